"""Generated sources are what their generator makes of the torch model today."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("script", "header"),
    [
        ("generate_contraction", "csrc/cpu/contraction_generated.hpp"),
        ("generate_contraction_cuda", "cuda/device/contraction_generated.hpp"),
    ],
)
def test_the_contraction_kernels_are_those_of_the_torch_model(script, header):
    path = ROOT / "scripts" / f"{script}.py"
    spec = importlib.util.spec_from_file_location(script, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / header).read_text()
    assert written == module.generate(), f"run: python scripts/{script}.py"
