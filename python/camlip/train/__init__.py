"""Training: configuration, loss, loop, checkpoints, evaluation and reports."""

from camlip.train.checkpoint import load_checkpoint
from camlip.train.config import ConfigError, load_config
from camlip.train.schema import TrainConfig
from camlip.train.setup import TrainingError
from camlip.train.trainer import Trainer

__all__ = [
    "ConfigError",
    "TrainConfig",
    "Trainer",
    "TrainingError",
    "load_checkpoint",
    "load_config",
]
