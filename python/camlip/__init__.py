"""camlip: machine-learning interatomic potentials, from quantum-mechanical data to production MD.

>>> from camlip import MLIPCalculator                  # ASE; does not import torch
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from camlip.calculator import MLIPCalculator
    from camlip.committee import CommitteeCalculator
    from camlip.engine import Engine, Model
    from camlip.errors import EngineError, ModelFileError
    from camlip.relaxation import relax
    from camlip.structure_batch import compute_batch

# Resolved on first use, so that `import camlip` is quick and needs neither torch nor the engine.
_HOMES = {
    "CommitteeCalculator": "camlip.committee",
    "Engine": "camlip.engine",
    "EngineError": "camlip.errors",
    "MLIPCalculator": "camlip.calculator",
    "Model": "camlip.engine",
    "ModelFileError": "camlip.errors",
    "compute_batch": "camlip.structure_batch",
    "relax": "camlip.relaxation",
}

__all__ = [
    "CommitteeCalculator",
    "Engine",
    "EngineError",
    "MLIPCalculator",
    "Model",
    "ModelFileError",
    "__version__",
    "compute_batch",
    "relax",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'camlip' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
