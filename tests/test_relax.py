"""Relaxation: the minima of ASE's optimizers, found without Python; and the command."""

import itertools
import json
import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms, FixBondLength
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.optimize import LBFGS
from ase.units import GPa

import camlip
from camlip import MLIPCalculator, cli, relax_command
from camlip.errors import ArgumentError, NumericError
from camlip.relaxation import strain_flags
from model_zoo import zoo

OPTIMIZERS = ("lbfgs", "fire")
TIGHT = {"fmax": 1e-4, "smax": 1e-6}


@pytest.fixture
def double():
    return zoo("small-Si").engine("cpu", "double")


@pytest.fixture
def mixed():
    return zoo("small-Si").engine("cpu", "mixed")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("relax") / "si.safetensors"
    path.write_bytes(zoo("small-Si").block)
    return path


@pytest.fixture(scope="module")
def minimum():
    """A crystal at rest: atoms and cell.  Low in symmetry, as the model is a random one."""
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=1)
    result = camlip.relax(
        atoms, zoo("small-Si").engine("cpu", "double"), fmax=1e-6, smax=1e-8, cell="full"
    )
    assert result.converged
    return atoms


@pytest.fixture
def strained(minimum):
    """The same, away from its minimum by a strain, a shear and displacements."""
    atoms = minimum.copy()
    strain = np.array([[0.01, 0.004, 0], [0.004, -0.008, 0.003], [0, 0.003, 0.005]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.03, seed=3)
    return atoms


@pytest.fixture
def cluster():
    """Silicon atoms without a cell."""
    atoms = bulk("Si", cubic=True)
    atoms.set_cell(None)
    atoms.pbc = False
    atoms.rattle(0.05, seed=2)
    return atoms


def metric(atoms):
    """Lengths and angles of the cell, whatever its orientation."""
    return atoms.cell.array @ atoms.cell.array.T


def with_ase(atoms, file, optimizer, cell=False, pressure=0.0, fmax=2e-4, **filter_options):
    """The result of ASE's optimizer with the same model, and its steps."""
    atoms = atoms.copy()
    atoms.calc = MLIPCalculator(file, precision="double", threads=1)
    target = FrechetCellFilter(atoms, scalar_pressure=pressure, **filter_options) if cell else atoms
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy's logm is not sure of itself
        with optimizer(target, logfile=None) as run:
            assert run.run(fmax=fmax, steps=2000)
            return atoms, run.nsteps


# ---- minima -----------------------------------------------------------------------------


@pytest.mark.usefixtures("every_simd")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_positions_relax_to_the_minimum_of_ase(double, file, strained, optimizer):
    expected, _ = with_ase(strained, file, LBFGS)
    atoms = strained.copy()
    result = camlip.relax(atoms, double, optimizer=optimizer, fmax=1e-4)
    assert result.converged
    assert result.max_force <= 1e-4
    assert abs(result.energy - expected.get_potential_energy()) < 1e-7
    np.testing.assert_allclose(atoms.positions, expected.positions, atol=2e-3)
    np.testing.assert_array_equal(atoms.cell.array, strained.cell.array)


@pytest.mark.parametrize("pressure", [0.0, 3.0])
def test_cells_relax_to_the_minimum_of_ase(double, file, strained, pressure):
    expected, _ = with_ase(strained, file, LBFGS, cell=True, pressure=pressure * GPa)
    enthalpy = expected.get_potential_energy() + pressure * GPa * expected.get_volume()
    for optimizer in OPTIMIZERS:
        atoms = strained.copy()
        result = camlip.relax(
            atoms, double, optimizer=optimizer, cell="full", pressure=pressure * GPa, **TIGHT
        )
        assert result.converged
        assert abs(result.energy + pressure * GPa * atoms.get_volume() - enthalpy) < 1e-6
        np.testing.assert_allclose(metric(atoms), metric(expected), rtol=0, atol=5e-3)
        # The stress is minus the pressure, by another way to compute it, too.
        np.testing.assert_allclose(result.stress / GPa, [-pressure] * 3 + [0] * 3, atol=2e-4)
        atoms.calc = MLIPCalculator(file, precision="double", threads=1)
        np.testing.assert_allclose(atoms.get_stress(), result.stress, atol=1e-12)
        np.testing.assert_allclose(atoms.get_forces(), result.forces, atol=1e-12)
        assert result.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-10)


def test_isotropic_and_masked_cells_are_those_of_ase(double, file, strained):
    for ours, theirs in (
        ("isotropic", {"hydrostatic_strain": True}),
        ("xx,yy,xy", {"mask": [1, 1, 0, 0, 0, 1]}),
        ([False, False, True, False, False, False], {"mask": [0, 0, 1, 0, 0, 0]}),
    ):
        expected, _ = with_ase(strained, file, LBFGS, cell=True, **theirs)
        atoms = strained.copy()
        assert camlip.relax(atoms, double, cell=ours, **TIGHT).converged
        np.testing.assert_allclose(metric(atoms), metric(expected), rtol=0, atol=4e-3)
        # The strain has no other component.
        strain = np.linalg.solve(strained.cell.array, atoms.cell.array) - np.eye(3)
        np.testing.assert_allclose(strain, strain.T, atol=1e-12)
        if ours == "isotropic":
            np.testing.assert_allclose(strain, np.eye(3) * strain[0, 0], atol=1e-12)
        else:
            free = strain_flags(ours)
            names = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
            for allowed, place in zip(free, names, strict=True):
                assert allowed == (abs(strain[place]) > 1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_molecules_relax_to_the_minimum_of_ase(double, file, cluster, optimizer):
    atoms = cluster.copy()
    result = camlip.relax(atoms, double, optimizer=optimizer, fmax=1e-4)
    assert result.converged
    assert result.stress is None
    assert atoms.cell.rank == 0
    # From near the end: a random model has many minima.
    start = atoms.copy()
    start.rattle(0.01, seed=1)
    expected, _ = with_ase(start, file, LBFGS)
    assert abs(result.energy - expected.get_potential_energy()) < 1e-6


@pytest.mark.usefixtures("every_simd")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_both_precisions_find_the_same_minimum(double, mixed, strained, optimizer):
    energies, cells = [], []
    for engine in (double, mixed):
        atoms = strained.copy()
        result = camlip.relax(atoms, engine, optimizer=optimizer, cell="full", fmax=1e-3)
        assert result.converged
        energies.append(result.energy)
        cells.append(metric(atoms))
    assert abs(energies[1] - energies[0]) < 1e-4
    np.testing.assert_allclose(cells[1], cells[0], atol=2e-2)


def test_lbfgs_needs_no_more_steps_than_that_of_ase(double, file, strained):
    for cell in (False, True):
        _, theirs = with_ase(strained, file, LBFGS, cell=cell, fmax=0.01)
        ours = camlip.relax(strained.copy(), double, cell="full" if cell else "none", fmax=0.01)
        assert ours.evaluations <= 1.2 * theirs


# ---- on the way -------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["none", "full"])
def test_lbfgs_goes_downhill_in_every_step(double, strained, cell):
    steps = []
    start = strained.copy()
    result = camlip.relax(strained, double, cell=cell, fmax=1e-3, callback=steps.append)
    assert [s.step for s in steps] == list(range(result.steps + 1))
    energies = [s.energy for s in steps]
    assert max(np.diff(energies)) < 0
    assert energies[0] == result.start_energy
    assert energies[-1] == result.energy
    np.testing.assert_array_equal(steps[0].positions, start.positions)
    np.testing.assert_array_equal(steps[-1].positions, strained.positions)
    np.testing.assert_array_equal(steps[-1].cell, strained.cell.array)
    np.testing.assert_array_equal(steps[-1].forces, result.forces)
    moves = [
        np.linalg.norm(b.positions - a.positions, axis=1).max()
        for a, b in itertools.pairwise(steps)
    ]
    if cell == "none":
        assert max(moves) <= 0.2 + 1e-12


def test_a_short_step_is_kept(mixed, strained):
    for optimizer in OPTIMIZERS:
        steps = []
        camlip.relax(
            strained.copy(), mixed, optimizer=optimizer, max_step=0.003, callback=steps.append
        )
        for a, b in itertools.pairwise(steps):
            assert np.linalg.norm(b.positions - a.positions, axis=1).max() <= 0.003 + 1e-12


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("cell", ["none", "full"])
def test_fixed_atoms_do_not_move(double, strained, optimizer, cell):
    before = strained.get_scaled_positions(wrap=False)
    by_constraint = strained.copy()
    by_constraint.set_constraint(FixAtoms([1, 5]))
    by_mask, by_index = strained.copy(), strained.copy()
    options = {"optimizer": optimizer, "cell": cell, "fmax": 1e-3}
    result = camlip.relax(by_constraint, double, **options)
    camlip.relax(by_mask, double, fixed=np.isin(np.arange(8), [1, 5]), **options)
    camlip.relax(by_index, double, fixed=[1, -3], **options)
    for atoms in (by_constraint, by_mask, by_index):
        after = atoms.get_scaled_positions(wrap=False)
        np.testing.assert_allclose(after[[1, 5]], before[[1, 5]], atol=1e-12)
        assert np.abs(np.delete(after - before, [1, 5], axis=0)).max() > 1e-3
        np.testing.assert_array_equal(atoms.positions, by_constraint.positions)
    assert result.converged
    norms = np.linalg.norm(result.forces, axis=1)
    assert norms[[1, 5]].max() > 1e-3 >= np.delete(norms, [1, 5]).max() == result.max_force


def test_all_atoms_fixed_is_converged_at_once(mixed, strained):
    result = camlip.relax(strained, mixed, fixed=np.ones(8, dtype=bool))
    assert (result.converged, result.steps, result.evaluations) == (True, 0, 1)
    assert result.max_force == 0.0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_rotated_structure_gives_the_rotated_result(double, strained, optimizer):
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    turned = strained.copy()
    turned.positions = strained.positions @ rotation
    turned.set_cell(strained.cell.array @ rotation)
    results = [
        camlip.relax(a, double, optimizer=optimizer, cell="full", fmax=1e-3)
        for a in (strained, turned)
    ]
    assert results[0].steps == results[1].steps
    assert abs(results[0].energy - results[1].energy) < 1e-9
    np.testing.assert_allclose(turned.positions, strained.positions @ rotation, atol=1e-7)
    np.testing.assert_allclose(turned.cell.array, strained.cell.array @ rotation, atol=1e-7)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_result_is_converged_when_it_starts_again(double, mixed, strained, optimizer):
    for engine, fmax in ((double, 1e-4), (mixed, 1e-2)):
        for cell in ("none", "full"):
            atoms = strained.copy()
            options = {"optimizer": optimizer, "cell": cell, "fmax": fmax, "steps": 3000}
            first = camlip.relax(atoms, engine, **options)
            again = camlip.relax(atoms, engine, **options)
            assert first.converged
            assert (again.converged, again.steps <= 1) == (True, True)


def test_images_of_atoms_far_away_relax_alike(double, strained):
    far = strained.copy()
    far.positions += np.array([3, -2, 5]) @ far.cell.array
    near = camlip.relax(strained, double, cell="full", fmax=1e-3)
    moved = camlip.relax(far, double, cell="full", fmax=1e-3)
    assert abs(near.energy - moved.energy) < 1e-6
    np.testing.assert_allclose(metric(far), metric(strained), atol=1e-4)


# ---- ends -------------------------------------------------------------------------------


def test_too_few_steps(mixed, strained):
    start = strained.copy()
    result = camlip.relax(strained, mixed, steps=2, fmax=1e-4)
    assert (result.reason, result.steps) == ("steps", 2)
    assert "not converged after 2 steps: largest force" in result.message
    assert result.energy < result.start_energy
    nothing = camlip.relax(start.copy(), mixed, steps=0)
    assert (nothing.reason, nothing.steps, nothing.evaluations) == ("steps", 0, 1)
    assert nothing.energy == result.start_energy


def test_the_callback_can_stop(mixed, strained):
    result = camlip.relax(strained, mixed, callback=lambda step: step.step == 3)
    assert (result.reason, result.steps) == ("stopped", 3)

    def broken(step):
        raise RuntimeError(f"no more after {step.step}")

    with pytest.raises(RuntimeError, match="no more after 0"):
        camlip.relax(strained, mixed, callback=broken)
    assert camlip.relax(strained, mixed).converged  # the engine is free again


def test_a_crystal_that_is_torn_apart_is_told(double, strained):
    result = camlip.relax(strained, double, cell="isotropic", pressure=-5.0, steps=3000)
    assert result.reason == "diverged"
    assert not result.converged
    # Whichever comes first.
    assert "flew away from all others" in result.message or "volume went" in result.message


def test_a_cell_that_collapses_is_told():
    """A random model of two layers has no smallest volume."""
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=1)
    result = camlip.relax(atoms, zoo("tiny").engine("cpu", "mixed"), cell="full")
    assert result.reason == "diverged"
    assert "the volume went from 160.1 to " in result.message


def test_wrong_arguments(mixed, strained, file):
    for options, text in (
        ({"cell": "all"}, "cell: 'all', expected none, full, isotropic"),
        ({"cell": [True]}, "cell: 1 flags, expected 6"),
        ({"optimizer": "bfgs"}, "optimizer: 'bfgs', expected one of lbfgs, fire"),
        ({"fmax": 0.0}, r"fmax: 0.0, expected a positive number"),
        ({"smax": -1.0}, r"smax: -1.0"),
        ({"max_step": np.nan}, "max_step: nan"),
        ({"steps": -1}, "steps: -1, expected at least 0"),
        ({"pressure": 0.1}, "pressure: 0.1.* eV/A.3 with a fixed cell"),
        ({"pressure": np.inf, "cell": "full"}, "pressure: not a finite number"),
        ({"fixed": [8]}, "fixed: indices 8 to 8, expected 0 to 7"),
        ({"fixed": [True]}, r"fixed: \(1,\) flags, expected \(8,\)"),
    ):
        with pytest.raises(ArgumentError, match=text):
            camlip.relax(strained, mixed, **options)
    strained.set_constraint(FixBondLength(0, 1))
    with pytest.raises(ArgumentError, match="constraints: FixBondLengths, expected FixAtoms only"):
        camlip.relax(strained, mixed)
    with pytest.raises(ArgumentError, match="no element H, O"):
        camlip.relax(molecule("H2O"), file)


def test_cells_that_cannot_be_relaxed(mixed, cluster):
    with pytest.raises(ArgumentError, match="cell: relaxation of a structure that is not periodic"):
        camlip.relax(cluster, mixed, cell="full")
    with pytest.raises(ArgumentError, match="cell: relaxation of a structure without atoms"):
        camlip.relax(Atoms(cell=[3, 3, 3], pbc=True), mixed, cell="full")
    slab = bulk("Si", cubic=True)
    slab.center(vacuum=5, axis=2)
    slab.pbc = [True, True, False]
    for cell in ("full", "isotropic", "zz", "xz"):
        with pytest.raises(
            ArgumentError, match="is free, but the structure is not periodic along z"
        ):
            camlip.relax(slab, mixed, cell=cell)
    height = slab.cell.array[2].copy()
    assert camlip.relax(slab, mixed, cell="xx,yy,xy").converged
    np.testing.assert_array_equal(slab.cell.array[2], height)


def test_structures_that_are_not_finite(mixed, strained):
    strained.positions[3, 1] = np.nan
    with pytest.raises(NumericError, match=r"positions: atom 3 \(Si\) is at \[.*nan.*1 of 8 atoms"):
        camlip.relax(strained, mixed)
    strained.positions[3, 1] = 0
    strained.cell[0, 0] = np.inf
    with pytest.raises(NumericError, match=r"cell: .*inf"):
        camlip.relax(strained, mixed)
    together = Atoms("Si2", [[0, 0, 0], [0, 0, 0]])
    with pytest.raises(NumericError, match="two atoms at the same place"):
        camlip.relax(together, mixed)


def test_no_atoms_and_one_atom(mixed):
    nothing = camlip.relax(Atoms(), mixed)
    assert (nothing.converged, nothing.energy, nothing.steps) == (True, 0.0, 0)
    alone = camlip.relax(Atoms("Si"), mixed)
    assert (alone.converged, alone.steps) == (True, 0)


# ---- command ----------------------------------------------------------------------------


@pytest.fixture
def source(minimum, cluster, tmp_path):
    """A file with a crystal and a cluster, with labels that a relaxation makes wrong."""
    crystal = minimum.copy()
    crystal.rattle(0.02, seed=5)
    for atoms in (crystal, cluster):
        atoms.info["REF_energy"] = 1.0
        atoms.info["name"] = "kept"
        atoms.arrays["REF_forces"] = np.zeros((8, 3))
    write(tmp_path / "in.xyz", [crystal, cluster])
    return tmp_path / "in.xyz"


def run(*arguments):
    return cli.main(["relax", *map(str, arguments)])


def test_the_command_relaxes_a_file(source, file, tmp_path, capsys):
    out = tmp_path / "out.xyz"
    options = ["--model", file, "-o", out, "--precision", "double", "--fmax", "0.001"]
    trajectory = tmp_path / "steps.xyz"
    assert run(source, *options, "--trajectory", trajectory) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0].split() == [
        *(
            "#",
            "formula",
            "atoms",
            "start",
            "eV",
            "final",
            "eV",
            "fmax",
            "eV/A",
            "steps",
            "s",
            "end",
        )
    ]
    assert "2 converged, 0 not" in text
    frames = read(out, ":")
    for before, frame in zip(read(source, ":"), frames, strict=True):
        assert frame.info["relax_converged"]
        assert frame.info["name"] == "kept"
        assert "REF_energy" not in frame.info
        assert "REF_forces" not in frame.arrays
        assert np.linalg.norm(frame.get_forces(), axis=1).max() <= 0.001
        energy = frame.get_potential_energy()
        np.testing.assert_array_equal(frame.pbc, before.pbc)
        frame.calc = MLIPCalculator(file, precision="double", threads=1)
        assert abs(frame.get_potential_energy() - energy) < 1e-5
    steps = read(trajectory, ":")
    assert len(steps) == sum(frame.info["relax_steps"] + 1 for frame in frames)
    last = [s for s in steps if s.info["structure"] == 0][-1]
    np.testing.assert_allclose(last.positions, frames[0].positions, atol=1e-7)
    assert not list(tmp_path.glob(".*tmp"))


def test_the_command_relaxes_cells_under_pressure(source, file, tmp_path, capsys):
    out = tmp_path / "out.xyz"
    options = ["--model", file, "-o", out, "--cell", "full", "--pressure", "2", "--json"]
    options += ["--optimizer", "fire", "--fix", "0,2-3"]
    assert run(f"{source}@0", *options) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["reason"] == "converged"
    np.testing.assert_allclose(np.array(record["stress"])[:3] / GPa, -2, atol=0.01)
    (frame,) = read(out, ":")
    start = read(source, 0).get_scaled_positions(wrap=False)
    moved = np.abs(frame.get_scaled_positions(wrap=False) - start).max(axis=1)
    np.testing.assert_allclose(moved[[0, 2, 3]], 0, atol=1e-6)
    assert moved[[1, 4, 5, 6, 7]].min() > 1e-5


def test_the_command_says_what_did_not_converge(source, file, tmp_path, capsys):
    out = tmp_path / "out.xyz"
    assert run(source, "--model", file, "-o", out, "--steps", "1") == 1
    text = capsys.readouterr().out
    assert "structure 1 (Si8): not converged after 1 step: largest force" in text
    assert [frame.info["relax_converged"] for frame in read(out, ":")] == [False, False]


def test_a_structure_that_breaks_does_not_stop_the_others(source, file, tmp_path, capsys):
    broken = Atoms("Si2", [[0, 0, 0], [0, 0, 0]])
    write(source, [broken, *read(source, ":")])
    assert run(source, "--model", file, "-o", tmp_path / "out.xyz") == 1
    text = capsys.readouterr().out
    assert "structure 0 (Si2)" in text
    assert "two atoms at the same place" in text
    assert "2 converged, 1 not" in text
    assert len(read(tmp_path / "out.xyz", ":")) == 3


@pytest.fixture
def many(minimum, file, tmp_path):
    """Six crystals, the command that relaxes them, and the files that it makes."""
    frames = []
    for seed in range(6):
        frames.append(minimum.copy())
        frames[-1].rattle(0.02, seed=seed)
    write(tmp_path / "many.xyz", frames)
    out, steps = tmp_path / "out.xyz", tmp_path / "steps.xyz"
    options = ["--model", file, "-o", out, "--trajectory", steps, "--precision", "double"]
    return [tmp_path / "many.xyz", *options], out, steps


def contents(out, steps):
    frames = read(out, ":")
    assert [frame.info["relax_index"] for frame in frames] == list(range(len(frames)))
    return frames, [(step.info["structure"], step.info["step"]) for step in read(steps, ":")]


@pytest.mark.parametrize("cut", [-5, -400, 0])
def test_half_written_structures_are_relaxed_again(many, capsys, cut):
    """After any end, the files are those of a run that nothing ended."""
    command, out, steps = many
    assert run(*command) == 0
    whole, all_steps = contents(out, steps)
    text = out.read_text()
    half = sum(len(atoms) + 2 for atoms in whole[:3])  # lines
    lines = text.splitlines(keepends=True)
    kept = "".join(lines[: half + 10])
    out.write_text(kept[: cut or None])
    if cut:
        steps.write_bytes(steps.read_bytes()[: 3 * cut])
    capsys.readouterr()
    assert run(*command, "--resume") == 0
    assert (
        f"{2 if cut == 0 else 3} converged, 0 not; already there"
        in capsys.readouterr().out.splitlines()[-1]
    )
    again, all_again = contents(out, steps)
    assert all_again == all_steps
    for a, b in zip(whole, again, strict=True):
        np.testing.assert_allclose(a.positions, b.positions, atol=1e-7)
    before = out.read_bytes()
    assert run(*command, "--resume") == 0
    assert "already there: 6 converged" in capsys.readouterr().out
    assert out.read_bytes() == before


def test_structures_are_there_when_they_are_finished(many, monkeypatch, capsys):
    """A run that is killed in the third structure leaves two, and goes on."""
    command, out, steps = many
    original, calls = relax_command.relax, []

    def relax_until(*arguments, **options):
        calls.append(options["steps"])
        if sum(limit > 0 for limit in calls) == 3:
            assert len(read(out, ":")) == 2
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(relax_command, "relax", relax_until)
    assert run(*command) == 130
    assert "go on with --resume" in capsys.readouterr().err
    monkeypatch.undo()
    assert run(*command, "--resume") == 0
    frames, all_steps = contents(out, steps)
    assert len(frames) == 6
    assert {structure for structure, _ in all_steps} == set(range(6))


def test_files_of_other_runs_are_not_touched(many, capsys):
    command, out, _ = many
    assert run(*command) == 0
    before = out.read_bytes()
    for options, text in (
        ([], "the file exists; add --resume to go on with it"),
        (["--resume", "--fmax", "0.1"], "fmax=0.01 "),
        (["--resume", "--cell", "full"], "not with 'optimizer=lbfgs fmax=0.01 smax=None cell=full"),
    ):
        assert run(*command, *options) == 2
        assert text in capsys.readouterr().err
    frames = read(command[0], ":")
    frames[2].positions[0, 0] += 1e-6
    write(command[0], frames)
    assert run(*command, "--resume") == 2
    assert "frame 2 is not structure 2 of the input" in capsys.readouterr().err
    assert out.read_bytes() == before
    write(out, frames)
    assert run(*command, "--resume") == 2
    assert "frame 0 has no 'relax_index'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("nan", "in.xyz structure 1: positions: atom 2 (Si)"),
        ("element", "in.xyz structure 1: atoms: model"),
        ("cell", "in.xyz structure 1: cell: relaxation of a structure that is not periodic"),
        ("fix", "in.xyz structure 0: fix: 'Pt' names no atom of 8 (Si8)"),
        ("suffix", "name ends in '.cif', expected .xyz or .extxyz"),
    ],
)
def test_mistakes_are_told_and_leave_no_file(source, file, tmp_path, capsys, change, text):
    frames = read(source, ":")
    out = tmp_path / ("out.cif" if change == "suffix" else "out.xyz")
    options = ["--model", file, "-o", out]
    if change == "nan":
        frames[1].positions[2, 0] = np.nan
    elif change == "element":
        frames[1].numbers[3] = 79
    elif change == "cell":
        options += ["--cell", "full"]
    elif change == "fix":
        options += ["--fix", "Pt"]
    write(source, frames)
    assert run(source, *options) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert not out.exists()
    assert not list(tmp_path.glob(".*tmp"))
