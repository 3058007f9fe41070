"""The backend ``cuda``: what it says where there is no device, and parity where there is one."""

import subprocess
import sys
from pathlib import Path

import pytest

import camlip
from camlip import MLIPCalculator
from camlip.engine import BackendError, Engine
from model_zoo import zoo

LIBRARY = Path(camlip.__file__).parent / "lib" / "libcamlip_cuda.so"


def why_no_device() -> str:
    """The engine's own words, or nothing where a device can be used."""
    try:
        Engine(zoo("tiny").model, "cuda", active_types=[0])
    except BackendError as error:
        return str(error)
    return ""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tiny.camlip"
    path.write_bytes(zoo("tiny").block)
    return str(path)


NO_DEVICE = why_no_device()
without_device = pytest.mark.skipif(not NO_DEVICE, reason="there is a CUDA device")


@without_device
def test_without_a_device_the_message_says_what_is_missing_and_what_to_do():
    if LIBRARY.exists():
        assert NO_DEVICE.startswith("backend 'cuda': no CUDA device (")
        assert "expected at least one; see what nvidia-smi says, or use backend cpu" in NO_DEVICE
    else:
        assert NO_DEVICE.startswith("backend 'cuda': cannot open the library of its kernels (")
        assert "build camlip where nvcc is, with -DCAMLIP_CUDA=ON, or use backend cpu" in NO_DEVICE


@without_device
@pytest.mark.parametrize("precision", ["mixed", "double"])
def test_the_calculator_says_the_same_and_works_afterwards(file, precision):
    for _ in range(2):
        with pytest.raises(BackendError) as caught:
            MLIPCalculator(file, device="cuda", precision=precision)
        assert str(caught.value) == NO_DEVICE
    assert MLIPCalculator(file, precision=precision).model.num_layers == 2


def test_the_library_is_opened_only_when_asked_for(file):
    """A driver that is broken or absent never troubles who computes on the CPU."""
    code = """
import sys
from pathlib import Path
from camlip.engine import BackendError, Engine, Model
loaded = lambda: "libcamlip_cuda" in Path("/proc/self/maps").read_text()
model = Model(sys.argv[1])
Engine(model), Engine(model, "reference")
before = loaded()
try:
    Engine(model, "cuda")
except BackendError:
    pass
print(before, loaded())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, file], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", str(LIBRARY.exists())]
