"""The optimizer of a run and its state in checkpoints."""

from __future__ import annotations

from typing import Any

import torch

from camlip.train.flat import FlatParameters
from camlip.train.schema import OptimizationConfig
from camlip.train.soap import Soap


def make_optimizer(flat: FlatParameters, options: OptimizationConfig) -> torch.optim.Optimizer:
    """SOAP or AdamW; either shrinks matrices only.

    Args:
        flat: parameters of the model.
        options: section ``train`` of the configuration.
    """
    if options.optimizer == "soap":
        parts = [
            {"params": members, "weight_decay": options.weight_decay if is_decayed else 0.0}
            for members, is_decayed in flat.parts
            if members
        ]
        return Soap(parts, lr=options.lr)
    decayed, other = flat.groups
    groups = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": other, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=options.lr, betas=(0.9, 0.999), amsgrad=options.amsgrad, fused=True
    )


def optimizer_state(optimizer: torch.optim.Optimizer, flat: FlatParameters) -> dict[str, Any]:
    """What a checkpoint keeps of it."""
    return optimizer.state_dict() if isinstance(optimizer, Soap) else flat.state_of(optimizer)


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, flat: FlatParameters, state: dict[str, Any]
) -> None:
    """Take over what :func:`optimizer_state` gave."""
    if isinstance(optimizer, Soap):
        optimizer.load_state_dict(state)
    else:
        flat.load_state(optimizer, state)
