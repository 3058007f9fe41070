"""`camlip label`: correct labels, resuming after a kill, failures that do not stop the run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.io import read, write

from camlip import label as module
from camlip.cli import main
from camlip.label import CalculatorSpec, LabelError, label, label_file, parse_option
from camlip.label_output import lock

PYTHON = Path(module.__file__).parents[1]


class Slow(EMT):
    """EMT that takes its time, so that a process can be killed in the middle of a run."""

    def calculate(self, *args, **kwargs):
        time.sleep(0.05)
        super().calculate(*args, **kwargs)


SLOW = f"{__name__}:Slow"


class NotFinite(Calculator):
    implemented_properties: ClassVar = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": np.nan, "forces": np.zeros((len(atoms), 3))}


class Dies(Calculator):
    implemented_properties: ClassVar = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        os._exit(1)


def copper(count: int) -> list[Atoms]:
    frames = []
    for n in range(count):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, seed=n)
        atoms.info["config_type"] = "rattled"
        frames.append(atoms)
    return frames


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write(path := tmp_path / "in.xyz", copper(6))
    return path


def run(*argv: object) -> int:
    return main(["label", *(str(a) for a in argv)])


def test_labels_are_those_of_the_calculator(tmp_path, source):
    out = tmp_path / "out.xyz"
    assert run(source, "-o", out, "--calculator", "emt", "--stress") == 0
    frames = read(out, ":")
    assert len(frames) == 6
    for frame, original in zip(frames, read(source, ":"), strict=True):
        original.calc = EMT()
        assert frame.info["REF_energy"] == pytest.approx(original.get_potential_energy(), abs=1e-9)
        np.testing.assert_allclose(frame.arrays["REF_forces"], original.get_forces(), atol=1e-7)
        stress = original.get_stress(voigt=False)
        np.testing.assert_allclose(frame.info["REF_stress"], stress.ravel(), atol=1e-9)
        assert frame.info["config_type"] == "rattled"
        assert frame.info["REF_calculator"] == "emt"


def test_stress_is_the_strain_derivative():
    atoms = copper(1)[0]
    stress = label(atoms, EMT(), stress=True).info["REF_stress"]
    energies = []
    for strain in (1e-4, -1e-4):
        strained = atoms.copy()
        deformation = np.eye(3)
        deformation[0, 0] += strain
        strained.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
        energies.append(label(strained, EMT()).info["REF_energy"])
    slope = (energies[0] - energies[1]) / 2e-4 / atoms.get_volume()
    assert stress[0, 0] == pytest.approx(slope, rel=1e-5)


def test_structure_without_volume_gets_no_stress():
    labelled = label(molecule("H2O"), EMT(), stress=True)
    assert "REF_stress" not in labelled.info


def test_old_labels_are_dropped_and_input_is_untouched():
    atoms = copper(1)[0]
    atoms.info["REF_stress"] = 7.0
    before = atoms.copy()
    assert "REF_stress" not in label(atoms, EMT()).info
    assert atoms == before
    assert atoms.calc is None


@pytest.mark.parametrize("cut", [1, 60, 200, 420])
def test_half_written_frame_is_dropped_and_done_again(tmp_path, source, cut):
    out = tmp_path / "out.xyz"
    label_file(source, out, CalculatorSpec("emt"), quiet=True)
    complete = out.read_bytes()
    out.write_bytes(complete[:-cut])
    report = label_file(source, out, CalculatorSpec("emt"), resume=True, quiet=True)
    assert (report.already, report.labelled, report.failed) == (5, 1, [])
    assert out.read_bytes() == complete


def test_every_truncation_can_be_resumed(tmp_path):
    """Whatever the kernel had written when the process died, no frame is lost or doubled."""
    source, out = tmp_path / "in.xyz", tmp_path / "out.xyz"
    write(source, [Atoms("Cu", [[x, 0, 0]]) for x in (0.0, 1.0)])
    label_file(source, out, CalculatorSpec("emt"), quiet=True)
    complete = out.read_bytes()
    for size in range(len(complete)):
        out.write_bytes(complete[:size])
        label_file(source, out, CalculatorSpec("emt"), resume=True, quiet=True)
        assert out.read_bytes() == complete, size


def test_killed_run_resumes(tmp_path):
    source, out = tmp_path / "in.xyz", tmp_path / "out.xyz"
    write(source, copper(60))
    code = (
        "from camlip.label import CalculatorSpec, label_file\n"
        f"label_file({str(source)!r}, {str(out)!r}, CalculatorSpec({SLOW!r}), quiet=True)"
    )
    folders = [PYTHON, Path(__file__).parent, Path(__file__).parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    deadline = time.monotonic() + 60
    while not (out.exists() and out.stat().st_size > 2000):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    report = label_file(source, out, CalculatorSpec(SLOW), resume=True, quiet=True)
    assert report.already > 0
    assert report.labelled > 0
    assert report.already + report.labelled == 60
    assert [frame.info["source_index"] for frame in read(out, ":")] == list(range(60))


def test_failing_structure_is_reported_and_skipped(tmp_path, capsys):
    source, out = tmp_path / "in.xyz", tmp_path / "out.xyz"
    frames = copper(3)
    frames.insert(1, Atoms("U2", [[0, 0, 0], [2, 0, 0]]))  # EMT has no uranium
    write(source, frames)
    assert run(source, "-o", out, "--calculator", "emt") == 0
    assert [frame.info["source_index"] for frame in read(out, ":")] == [0, 2, 3]
    captured = capsys.readouterr()
    assert "structure 1 (U2) skipped: NotImplementedError" in captured.err
    assert "3 labelled, 0 already there, 1 failed" in captured.out


def test_values_that_are_not_finite_are_never_written(tmp_path, source):
    out = tmp_path / "out.xyz"
    assert run(source, "-o", out, "--calculator", f"{__name__}:NotFinite") == 1
    assert out.read_text() == ""


def test_workers_give_the_same_labels(tmp_path, source):
    one, two = tmp_path / "one.xyz", tmp_path / "two.xyz"
    label_file(source, one, CalculatorSpec("emt"), quiet=True)
    label_file(source, two, CalculatorSpec("emt"), workers=2, quiet=True)
    frames = sorted(read(two, ":"), key=lambda frame: frame.info["source_index"])
    for a, b in zip(read(one, ":"), frames, strict=True):
        assert a.info["REF_energy"] == b.info["REF_energy"]
        assert (a.arrays["REF_forces"] == b.arrays["REF_forces"]).all()


def test_dead_worker_is_an_error_not_a_hang(tmp_path, source):
    with pytest.raises(LabelError, match=r"worker: a process died .* --resume"):
        label_file(
            source,
            tmp_path / "out.xyz",
            CalculatorSpec(f"{__name__}:Dies"),
            workers=2,
            quiet=True,
        )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tblit", "calculator 'tblit': not a known name, .* did you mean 'tblite'"),
        ("no_such_module:X", "cannot import 'no_such_module'"),
        ("ase.calculators.emt:EMTT", "module 'ase.calculators.emt' has no 'EMTT'"),
    ],
)
def test_unknown_calculator(tmp_path, source, name, message):
    out = tmp_path / "out.xyz"
    with pytest.raises(LabelError, match=message):
        label_file(source, out, CalculatorSpec(name))
    assert not out.exists()


def test_options_reach_the_calculator(tmp_path):
    source, out = tmp_path / "in.xyz", tmp_path / "out.xyz"
    write(source, Atoms("Ar2", [[0, 0, 0], [1.5, 0, 0]]))
    options = ["--option", "sigma=1.5", "--option", "epsilon=2", "--option", "rc=9"]
    assert run(source, "-o", out, "--calculator", "lj", *options) == 0
    # At r = sigma only the shift of the energy at the cutoff is left.
    shift = 4 * 2 * ((1.5 / 9) ** 12 - (1.5 / 9) ** 6)
    assert read(out).info["REF_energy"] == pytest.approx(-shift)
    with pytest.raises(LabelError, match="option 'sigma': expected key=value"):
        parse_option("sigma")


def test_output_of_something_else_is_not_touched(tmp_path, source, capsys):
    out = tmp_path / "out.xyz"
    label_file(source, out, CalculatorSpec("emt"), quiet=True)
    before = out.read_bytes()
    assert run(source, "-o", out, "--calculator", "emt") == 2
    assert "the file exists; add --resume" in capsys.readouterr().err
    assert run(source, "-o", out, "--calculator", "lj", "--resume") == 2
    assert "was labelled with 'emt', not with 'lj'" in capsys.readouterr().err
    write(other := tmp_path / "other.xyz", copper(8)[2:])
    assert run(other, "-o", out, "--calculator", "emt", "--resume") == 2
    assert "frame 0 is not structure 0 of the input" in capsys.readouterr().err
    assert out.read_bytes() == before
    out.write_text("notes of mine\n")
    assert run(source, "-o", out, "--calculator", "emt", "--resume") == 2
    assert "expected an atom count" in capsys.readouterr().err
    assert out.read_text() == "notes of mine\n"


def test_two_runs_do_not_write_to_one_file(tmp_path, source):
    out = tmp_path / "out.xyz"
    with out.open("a") as file:
        lock(file)
        with pytest.raises(LabelError, match="another process is writing to it"):
            label_file(source, out, CalculatorSpec("emt"), resume=True)
    assert label_file(source, out, CalculatorSpec("emt"), resume=True, quiet=True).labelled == 6


def test_bad_files(tmp_path, source):
    with pytest.raises(LabelError, match="no such file"):
        label_file(tmp_path / "missing.xyz", tmp_path / "o.xyz", CalculatorSpec("emt"))
    with pytest.raises(LabelError, match=r"name ends in '.xz', expected .xyz"):
        label_file(source, tmp_path / "o.xyz.xz", CalculatorSpec("emt"))
    (tmp_path / "empty.xyz").touch()
    with pytest.raises(LabelError, match=r"empty.xyz"):
        label_file(tmp_path / "empty.xyz", tmp_path / "o.xyz", CalculatorSpec("emt"))


def test_slice_of_the_input(tmp_path, source):
    report = label_file(f"{source}@1:3", tmp_path / "o.xyz", CalculatorSpec("emt"), quiet=True)
    assert report.labelled == 2
