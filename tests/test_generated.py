"""Generated sources are what their generator makes of the torch model today."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_contraction_kernels_are_those_of_the_torch_model():
    path = ROOT / "scripts" / "generate_contraction.py"
    spec = importlib.util.spec_from_file_location("generate_contraction", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "csrc" / "cpu" / "contraction_generated.hpp").read_text()
    assert written == module.generate(), "run: python scripts/generate_contraction.py"
