"""The model that fine-tuning begins with, and the elements that are added to it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from camlip import model_file
from camlip.data import DataError
from camlip.data.structure import symbols
from camlip.models import CartesianMoments, CartesianMomentsConfig
from camlip.nn.readout import Invariants
from camlip.train.checkpoint import load_checkpoint
from camlip.train.evaluation import is_checkpoint_file
from camlip.train.setup import TrainingError

NOBLE = (0, 2, 10, 18, 36, 54, 86, 118)
PREFIX = "model."


def start_path(name: str) -> Path:
    """File of a starting model: a path, or the name of a model that comes with camlip.

    Raises:
        TrainingError: there is none.
    """
    from camlip import pretrained

    if not name.startswith("camlip:") and Path(name).is_file():
        return Path(name)
    short = name.removeprefix("camlip:")
    path = Path(pretrained.__file__).parent / f"{short}.pt"
    if short in pretrained.names():
        return path
    raise TrainingError(
        f"finetune.start: '{name}': no such file, expected a checkpoint, an exported model or "
        f"camlip:NAME with NAME of {', '.join(pretrained.names())}"
    )


def digest(path: Path) -> str:
    """A short name of the content of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def load_start(name: str) -> CartesianMoments:
    """The starting model on the CPU, in the precision of its file.

    Raises:
        TrainingError: the file is missing, or has no weights that can be trained.
        CheckpointError: a checkpoint is damaged.
        ModelFileError: an exported model is damaged.
    """
    path = start_path(name)
    if is_checkpoint_file(path):
        return load_checkpoint(path)[0]
    content = model_file.read(path)
    if content.container != "torchscript" or not zipfile.is_zipfile(path):
        raise TrainingError(
            f"finetune.start: '{path}' holds the engine's tensors alone, whose embeddings are "
            "folded into others; expected a checkpoint or a TorchScript model (camlip export "
            "--format torchscript)"
        )
    described: dict[str, Any] = dict(content.metadata["config"])
    neighbors = float(described.pop("average_num_neighbors"))
    model = CartesianMoments(
        CartesianMomentsConfig(**described),
        [int(z) for z in content.metadata["atomic_numbers"]],
        average_num_neighbors=neighbors,
    )
    archive: Any = torch.jit.load(str(path), map_location="cpu")
    found: dict[str, Tensor] = archive.state_dict()
    # TorchScript stores tables as well, which a module makes for itself.
    state = {key: found[PREFIX + key] for key in model.state_dict()}
    to_dtype(model, state["mixing"].dtype)
    model.load_state_dict(state)
    # In float64 whatever the precision of the archive.
    energies = content.arrays()["reference_energies"]
    model.reference_energies.copy_(torch.tensor(energies, dtype=torch.float64))
    return model.eval()


def to_dtype(model: CartesianMoments, dtype: torch.dtype) -> None:
    """Bring parameters and the scales of invariants to ``dtype``; tables stay float64."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    for module in model.modules():
        if isinstance(module, Invariants):
            module.scale = module.scale.to(dtype)


def shape_of(model: CartesianMoments) -> dict[str, Any]:
    """Section ``model`` of a configuration that has the shape of this model."""
    return {"preset": "medium", **json.loads(json.dumps(model.describe()["config"]))}


def column(z: int) -> int:
    """Column of the periodic table: 1 to 8 for main groups, more for d and f blocks.

    >>> [column(z) for z in (3, 11, 6, 14, 32, 82, 26)]
    [1, 1, 4, 4, 4, 4, 18]
    """
    core = max(n for n in NOBLE if n < z)
    length = min(n for n in NOBLE if n >= z) - core
    place = z - core
    if length == 2:
        return 1 if place == 1 else 8
    if place <= 2 or length == 8:
        return place
    if length == 18:
        return 10 + place if place <= 12 else place - 10
    if place <= 16:
        return 30 + place
    return place - 4 if place <= 26 else place - 24


def similar(z: int, known: Sequence[int]) -> int:
    """The known element that is most like this one: of its column, then the nearest.

    >>> similar(32, [1, 14, 31])
    14
    """
    return min(known, key=lambda y: (column(y) != column(z), abs(y - z)))


def with_elements(model: CartesianMoments, numbers: Sequence[int]) -> CartesianMoments:
    """The model with more elements, each a copy of the known one that is most like it.

    For structures of known elements nothing changes.

    Args:
        model: is not changed.
        numbers: all atomic numbers, ascending, those of the model among them.

    Raises:
        DataError: the shape does not allow it.
    """
    old = model.atomic_numbers
    new = CartesianMoments(
        model.config, numbers, model.average_num_neighbors, None, float(model.energy_scale)
    )
    if new.radial.per_pair != model.radial.per_pair:
        raise DataError(
            f"finetune.new_elements: the model has {len(old)} elements and a weight for each pair "
            f"of them, which ends at 10; found {len(numbers)} elements, {symbols(numbers)}"
        )
    source = [old.index(z if z in old else similar(z, old)) for z in numbers]
    state = model.state_dict()
    wanted = new.state_dict()
    for name, tensor in state.items():
        if name == "zbl.charges":
            state[name] = wanted[name]
        elif name == "zbl.radii":
            # Those of the old elements as they are, the new ones as much shorter as the shortest.
            ratio = (tensor / new.zbl.radii[[numbers.index(z) for z in old]]).min()
            radii = new.zbl.radii * ratio
            radii[[numbers.index(z) for z in old]] = tensor
            state[name] = radii
        elif name.endswith("pair_embedding") and tensor.numel():
            state[name] = tensor[source][:, source]
        elif name.endswith(("element_embedding", "hidden.bias", "reference_energies")):
            state[name] = tensor[source] if tensor.numel() else tensor
        elif name.endswith("contraction.weight") and tensor.shape != wanted[name].shape:
            # One row may have stood for the only element.
            rows = [0] * len(numbers) if tensor.shape[0] == 1 else source
            state[name] = tensor[rows]
    to_dtype(new, state["mixing"].dtype)
    new.load_state_dict(state)
    return new.eval()
