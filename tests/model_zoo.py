"""Random models for tests of the engine, one of every shape that the code treats differently."""

import os
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import torch

from camlip.engine import Engine, Model, backends, simd_paths
from camlip.export import engine_block
from camlip.models import CartesianMoments
from camlip.parity import torch_evaluator
from camlip.random_model import random_model
from camlip.torchscript import ExportedModel, archive_bytes

SMALL = {"num_channels": 8, "num_hidden": 16, "radial_width": 16, "num_radial": 4}
TINY_MESSAGES = {
    "num_message_radial": 4,
    "num_message_scalars": 3,
    "num_message_vectors": 2,
}

# name: preset, elements, changes
SHAPES = {
    "small-Si": ("small", [14], {}),
    "small-4": ("small", [1, 6, 8, 14], {}),
    "medium-Si": ("medium", [14], {}),
    "medium-4": ("medium", [1, 6, 8, 14], {"cutoff": 4.0}),
    "layers-3": ("medium", [8, 14], {"num_layers": 3, "cutoff": 3.5, **SMALL, **TINY_MESSAGES}),
    "rank-0": ("small", [8, 14], {"max_rank": 0, "cutoff": 4.0, **SMALL}),
    "rank-1": (
        "medium",
        [8, 14],
        {"max_rank": 1, "message_rank": 1, "cutoff": 4.0, **SMALL, **TINY_MESSAGES},
    ),
    "rank-2": (
        "medium",
        [8, 14],
        {"max_rank": 2, "message_rank": 1, "cutoff": 4.0, **SMALL, **TINY_MESSAGES},
    ),
    "no-zbl": ("small", [8, 14], {"zbl": False, "cutoff": 4.0, **SMALL}),
    # More than ten elements: factored pair embeddings, products shared between elements.
    "elements-12": ("medium", list(range(3, 15)), {"cutoff": 4.0, **SMALL, **TINY_MESSAGES}),
    # For properties that take many evaluations.
    "tiny": ("medium", [8, 14], {"cutoff": 3.5, **SMALL, **TINY_MESSAGES}),
}


@dataclass(frozen=True, eq=False)
class Zoo:
    """One model as a torch module and as the engine's parameters."""

    module: CartesianMoments
    block: bytes
    model: Model

    def exact(self):
        """Results of torch in float64."""
        return torch_evaluator(ExportedModel(_double(self)), self.module.cutoff)

    def scripted(self, dtype: torch.dtype = torch.float64):
        """Results of the TorchScript archive."""
        archive = archive_bytes(_double(self).to(dtype), self.block)
        return torch_evaluator(torch.jit.load(BytesIO(archive)), self.module.cutoff)

    def engine(self, backend: str = "reference", precision: str = "double", **options) -> Engine:
        """An engine of one thread; the same for the same arguments, because tables take long."""
        options.setdefault("threads", 1)
        options.setdefault("simd", os.environ.get("CAMLIP_SIMD", "auto"))
        if "active_types" in options:
            options["active_types"] = tuple(options["active_types"])
        return _engine(self, backend, precision, tuple(sorted(options.items())))


@cache
def _engine(zoo: Zoo, backend: str, precision: str, options: tuple) -> Engine:
    known = {key: value for key, value in options if key != "copy"}
    return Engine(zoo.model, backend, precision, **known)


def _double(zoo: Zoo) -> CartesianMoments:
    from copy import deepcopy

    return deepcopy(zoo.module).double()


@cache
def zoo(name: str) -> Zoo:
    preset, elements, changes = SHAPES[name]
    module = random_model(preset, elements, seed=1, changes=changes)
    block = engine_block(module, {})
    return Zoo(module, block, Model.from_bytes(block, name))


def available_backends() -> list[str]:
    """Backends of the engine on this machine; tests are parametrized over them."""
    return backends(zoo("tiny").model)


def available_simd() -> list[str]:
    """Instruction sets of the backend cpu on this machine."""
    return simd_paths(zoo("tiny").model)
