"""What of test_gpu.py is small enough, on a device emulated on the host (``make test-cpp``).

So those tests, which run unattended on a borrowed GPU, have run before.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import camlip
from model_zoo import zoo

ROOT = Path(__file__).resolve().parent.parent
EMULATED = ROOT / "build" / "cpp" / "tests" / "cpp" / "emulated" / "libcamlip_cuda.so"
SMALL = (
    "(a_batch_agrees and double) or a_system_of_a_batch or relaxation or "
    "(list_of_the_device and 40 and True) or the_calculator_tells"
)


pytestmark = pytest.mark.skipif(
    not EMULATED.exists(), reason="the emulated device is not built: make test-cpp"
)


def on_emulated_device(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess:
    """Runs Python with the library beside libcamlip.so, as that of a GPU would be."""
    library = folder / "libcamlip.so"
    if not library.exists():
        library.symlink_to(Path(camlip.__file__).parent / "lib" / "libcamlip.so")
        (folder / "libcamlip_cuda.so").symlink_to(EMULATED)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "LD_LIBRARY_PATH": str(folder), **more},
        capture_output=True,
        text=True,
        check=False,
    )


def test_small_tests_of_the_gpu_pass_on_the_emulated_device(tmp_path):
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", SMALL]
    done = on_emulated_device(tmp_path, *command, str(ROOT / "tests" / "test_gpu.py"))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


STEP = """
import sys
from ase.build import bulk
from camlip import MLIPCalculator
atoms = bulk("Si", cubic=True) * 10
calculator = MLIPCalculator(sys.argv[1], device="cuda")
for work in (calculator.estimate_memory, calculator.get_potential_energy):
    try:
        work(atoms)
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_a_system_that_does_not_fit_is_refused_before_the_first_step(tmp_path):
    model = tmp_path / "tiny.camlip"
    model.write_bytes(zoo("tiny").block)
    done = on_emulated_device(tmp_path, "-c", STEP, str(model), CAMLIP_EMULATED_MEMORY="3000000")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == second
    assert first.startswith("BackendError backend 'cuda': 8000 atoms need about 0.0")
    assert " GB of memory on a device, it has 0.00" in first
    assert first.endswith("left; use a larger device, a smaller system or a smaller skin")


def test_bench_tells_what_a_device_will_take(tmp_path):
    model = tmp_path / "tiny.camlip"
    model.write_bytes(zoo("tiny").block)
    command = ["-m", "camlip.cli", "bench", str(model), "--system", "si", "--engine", "cuda"]
    command += ["--sizes", "64", "--seconds", "0.01", "--host"]
    for host in ("engine", "ase"):
        done = on_emulated_device(tmp_path, *command, host)
        assert done.returncode == 0, done.stderr
        assert "memory: about 0.0" in done.stderr
        assert "GB of a device, which has 1.07 GB left, for 64 atoms" in done.stderr
