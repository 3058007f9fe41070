"""What of test_gpu.py is small enough, on a device emulated on the host (``make test-cpp``).

So those tests, which run unattended on a borrowed GPU, have run before.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import camlip

ROOT = Path(__file__).resolve().parent.parent
EMULATED = ROOT / "build" / "cpp" / "tests" / "cpp" / "emulated" / "libcamlip_cuda.so"
SMALL = (
    "(a_batch_agrees and double) or a_system_of_a_batch or relaxation or "
    "(list_of_the_device and 40 and True)"
)


@pytest.mark.skipif(not EMULATED.exists(), reason="the emulated device is not built: make test-cpp")
def test_small_tests_of_the_gpu_pass_on_the_emulated_device(tmp_path):
    (tmp_path / "libcamlip.so").symlink_to(Path(camlip.__file__).parent / "lib" / "libcamlip.so")
    (tmp_path / "libcamlip_cuda.so").symlink_to(EMULATED)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", SMALL),
            str(ROOT / "tests" / "test_gpu.py"),
        ],
        cwd=ROOT,
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
