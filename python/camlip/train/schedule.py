"""Learning rate and stage as functions of how much of the run is done."""

from __future__ import annotations

import math
from typing import Any

from camlip.train.schema import OptimizationConfig


class Schedule:
    """Learning rate of each step, and when the second stage begins.

    Args:
        config: section ``train`` of the configuration.
    """

    def __init__(self, config: OptimizationConfig) -> None:
        self.config = config
        self.plateau_lr = 1.0
        self.bad_validations = 0

    def stage(self, progress: float) -> int:
        """1 or 2."""
        return 2 if progress >= self.config.stage_two.start and progress < 1 + 1e-9 else 1

    def lr(self, progress: float) -> float:
        """Learning rate at a fraction of the run, 0 to 1."""
        config = self.config
        lr = config.lr
        if progress < config.warmup:
            return lr * max(progress / config.warmup, 1e-3)
        if config.schedule == "cosine":
            done = min(1.0, (progress - config.warmup) / (1 - config.warmup))
            low = config.final_lr_factor
            lr *= low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done))
        elif config.schedule == "plateau":
            lr *= self.plateau_lr
        if self.stage(progress) == 2:
            lr *= config.stage_two.lr_factor
        return lr

    def validated(self, improved: bool) -> None:
        """Tell the result of a validation; ``plateau`` lowers the learning rate on it."""
        self.bad_validations = 0 if improved else self.bad_validations + 1
        if self.bad_validations > self.config.plateau_patience:
            self.plateau_lr = max(
                self.plateau_lr * self.config.plateau_factor, self.config.final_lr_factor
            )
            self.bad_validations = 0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs."""
        return {"plateau_lr": self.plateau_lr, "bad_validations": self.bad_validations}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.plateau_lr = float(state["plateau_lr"])
        self.bad_validations = int(state["bad_validations"])
