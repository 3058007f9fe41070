"""What of a model may change: frozen parts, low-rank updates, one readout per level of theory."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from camlip.models import CartesianMoments
from camlip.nn.readout import Readout
from camlip.train.finetune.schema import GROUPS, LoraConfig
from camlip.train.flat import is_matrix
from camlip.train.setup import TrainingError


def group_of(name: str) -> str:
    """Group of a parameter by its name; a layer's parameters belong to the same groups.

    >>> group_of("radial.hidden_weight"), group_of("layers.0.radial.pair_embedding")
    ('radial', 'embeddings')
    >>> group_of("mixing"), group_of("layers.0.moments.skip"), group_of("block.readout.output")
    ('moments', 'moments', 'readout')
    """
    parts = name.split(".")
    if parts[0] == "layers":
        parts = parts[2:]
    if parts[0] == "block":
        parts = parts[1:]
    if parts[0] == "radial":
        return "embeddings" if "embedding" in parts[-1] else "radial"
    if parts[0] in ("mixing", "moments"):
        return "moments"
    return parts[0]


def chosen(model: nn.Module, parts: Sequence[str], key: str) -> list[str]:
    """Names of the parameters that groups and patterns mean.

    Args:
        model: without low-rank updates.
        parts: groups, or patterns such as ``layers.*.messages.*``.
        key: of the configuration, for messages.

    Raises:
        TrainingError: a part means nothing.
    """
    names = [name for name, p in model.named_parameters() if p.numel() > 0]
    found: list[str] = []
    for part in parts:
        matched = [n for n in names if group_of(n) == part or fnmatch.fnmatchcase(n, part)]
        if not matched:
            raise TrainingError(
                f"{key}: found '{part}', which the model has not, expected some of "
                f"{', '.join(GROUPS)}, or a pattern of parameters such as block.hidden.*"
            )
        found += matched
    return list(dict.fromkeys(found))


class LowRank(nn.Module):
    r"""Update of a matrix, :math:`W + s\,A B`, for each matrix of a stack.

    Args:
        weight: shape (..., rows, columns).
        rank: of the update.
        scale: s.
    """

    def __init__(self, weight: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        *stack, rows, columns = weight.shape
        options: dict[str, Any] = {"dtype": weight.dtype, "device": weight.device}
        self.down = nn.Parameter(torch.randn(*stack, rows, rank, **options) / math.sqrt(rows))
        self.up = nn.Parameter(torch.zeros(*stack, rank, columns, **options))
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        """The updated matrix."""
        return weight + self.scale * torch.matmul(self.down, self.up)


class HeadedReadout(nn.Module):
    """Readouts of several levels of theory, one of which is active; all begin as copies.

    Args:
        readout: of the starting model.
        number: how many.
    """

    def __init__(self, readout: Readout, number: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList([readout, *(deepcopy(readout) for _ in range(number - 1))])
        self.active = 0

    @property
    def readout(self) -> Any:
        """The active readout."""
        return self.heads[self.active]

    @property
    def weight(self) -> Tensor:
        """W of the active readout."""
        return self.readout.weight

    @property
    def bias(self) -> Tensor:
        """The bias of the active readout."""
        return self.readout.bias

    @property
    def output(self) -> Tensor:
        """The output weights of the active readout."""
        return self.readout.output

    def forward(self, hidden: Tensor) -> Tensor:
        """Energies by the active readout."""
        return self.readout(hidden)


def blocks_of(model: CartesianMoments) -> list[Any]:
    """The atom blocks of all layers."""
    layers: Any = model.layers
    return [model.block, *(layer.block for layer in layers)]


def add_heads(model: CartesianMoments, number: int) -> None:
    """Give every atom block so many readouts."""
    if number > 1:
        for block in blocks_of(model):
            block.readout = HeadedReadout(block.readout, number)


def choose_head(model: CartesianMoments, head: int) -> None:
    """Make a readout the one that is evaluated and trained."""
    for block in blocks_of(model):
        if isinstance(block.readout, HeadedReadout):
            block.readout.active = head


def add_low_rank(model: CartesianMoments, config: LoraConfig) -> None:
    """Freeze everything but low-rank updates of the matrices; see :class:`LoraConfig`.

    Readouts of several heads are trained in full: they are what differs between the heads.
    """
    full = set(chosen(model, config.also, "finetune.lora.also"))
    for name, parameter in list(model.named_parameters()):
        path, _, last = name.rpartition(".")
        if parameter.numel() == 0 or name in full or ".readout.heads." in name:
            continue
        small = parameter.ndim >= 2 and min(parameter.shape[-2:]) <= config.rank
        if is_matrix(name, parameter) and small:
            continue
        parameter.requires_grad_(False)
        if is_matrix(name, parameter):
            module = model.get_submodule(path)
            update = LowRank(parameter.detach(), config.rank, config.scale)
            parametrize.register_parametrization(module, last, update)


def freeze(model: CartesianMoments, names: Sequence[str]) -> None:
    """Keep these parameters as they are, low-rank updates of them too."""
    for name in names:
        path, _, last = name.rpartition(".")
        module = model.get_submodule(path)
        if parametrize.is_parametrized(module, last):
            module.parametrizations[last].requires_grad_(False)  # type: ignore[index, union-attr]  # pyright: ignore
        else:
            getattr(module, last).requires_grad_(False)


def build_parts(
    model: CartesianMoments, num_heads: int, lora: LoraConfig | None, frozen: Sequence[str]
) -> CartesianMoments:
    """Heads, low-rank updates and frozen parts, in place; the function stays the same.

    Raises:
        TrainingError: a name means nothing, or nothing is left to train.
    """
    # By the names of the model as it is, before anything is wrapped.
    names = chosen(model, frozen, "finetune.freeze")
    add_heads(model, num_heads)
    if num_heads > 1:
        names = _with_heads(names, num_heads)
    if lora is not None:
        add_low_rank(model, lora)
    freeze(model, names)
    if not any(p.requires_grad and p.numel() for p in model.parameters()):
        raise TrainingError(
            f"finetune.freeze: {', '.join(frozen)} leaves nothing to train, expected fewer parts"
        )
    return model


def _with_heads(names: Sequence[str], number: int) -> list[str]:
    result = []
    for name in names:
        path, readout, last = name.rpartition("readout.")
        if readout:
            result += [f"{path}readout.heads.{k}.{last}" for k in range(number)]
        else:
            result.append(name)
    return result


def merged(model: CartesianMoments, head: int = 0) -> CartesianMoments:
    """A plain model with one head and without low-rank updates, of the same function."""
    # A new module: removing a parametrization would break the model that it was copied from.
    with torch.random.fork_rng(devices=[]):
        plain = CartesianMoments(
            model.config, model.atomic_numbers, average_num_neighbors=model.average_num_neighbors
        )
    state: dict[str, Tensor] = {}
    for name in plain.state_dict():
        path, _, last = name.rpartition(".")
        module: Any = model.get_submodule(path)
        if isinstance(module, HeadedReadout):
            module = module.heads[head]
        state[name] = getattr(module, last).detach().clone()
    plain.load_state_dict(state, assign=True)
    return plain.requires_grad_(True)
