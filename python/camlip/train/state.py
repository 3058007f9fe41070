"""What a checkpoint of a run contains besides the model, and how a run takes it up again."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from camlip.train.optimizer import load_optimizer_state, optimizer_state
from camlip.train.setup import ARCHITECTURE

if TYPE_CHECKING:
    from camlip.train.trainer import Trainer


@dataclass
class State:
    """How far a run is; part of the checkpoint.

    Attributes:
        epoch: epochs completed.
        batch: batches of the current epoch completed.
        step: optimizer steps.
        minutes: time spent, by ``train.clock``.
        stage: 1 or 2.
        best_loss: smallest validation loss of this stage.
        best_epoch: epoch of it.
        bad_validations: validations since then.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    minutes: float = 0.0
    stage: int = 1
    best_loss: float = math.inf
    best_epoch: int = 0
    bad_validations: int = 0


def capture(trainer: Trainer) -> dict[str, Any]:
    """Content of a checkpoint: everything that the numbers to come depend on."""
    rng = {"torch": torch.get_rng_state()}
    if trainer.device.type == "cuda":
        rng["cuda"] = torch.cuda.get_rng_state(trainer.device)
    return {
        "architecture": ARCHITECTURE,
        "model": trainer.model.describe(),
        "state": trainer.model.state_dict(),
        "ema": trainer.ema.state_dict(),
        "optimizer": optimizer_state(trainer.optimizer, trainer.flat),
        "schedule": trainer.schedule.state_dict(),
        "progress": dataclasses.asdict(trainer.state),
        "running": {
            "errors": trainer.train_errors.values,
            "sums": trainer.train_sums,
            "counts": trainer.train_counts,
        },
        "rng": rng,
        "config": trainer.config.model_dump(),
        "history": trainer.history,
        "fingerprint": trainer.fingerprint,
        "errors": {},
        "finetune": trainer.finetuning.content() if trainer.finetuning else None,
        "world_size": trainer.processes.world_size,
    }


def restore(trainer: Trainer, content: dict[str, Any]) -> None:
    """Take over everything but the weights of the model, which are there already."""
    trainer.ema.load_state_dict(content["ema"])
    load_optimizer_state(trainer.optimizer, trainer.flat, content["optimizer"])
    trainer.schedule.load_state_dict(content["schedule"])
    trainer.state = State(**content["progress"])
    trainer.history = list(content["history"])
    trainer.sampler.set_epoch(trainer.state.epoch)
    if trainer.processes.is_main:
        # Those of the first process; sums of the others since the last validation are lost,
        # which changes nothing but their share in one logged training error.
        trainer.train_errors.values.copy_(content["running"]["errors"])
        trainer.train_sums.copy_(content["running"]["sums"])
        trainer.train_counts.copy_(content["running"]["counts"])
    torch.set_rng_state(content["rng"]["torch"])
    if trainer.device.type == "cuda" and "cuda" in content["rng"]:
        torch.cuda.set_rng_state(content["rng"]["cuda"], trainer.device)
