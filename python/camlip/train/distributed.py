"""Several processes that train one model, started by ``torchrun``; or one process."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor


class Processes:
    """This process among those of the run.

    Gradients are summed over the processes in one call on one flat tensor.  (The wrapper
    ``DistributedDataParallel`` is not used: the loss contains derivatives of the model, so
    its hooks would see the same parameter twice.)

    Attributes:
        rank: index of this process.
        world_size: number of processes.
    """

    def __init__(self, device: torch.device) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.world_size = int(os.environ.get("WORLD_SIZE", "1"))
        self._owner = False
        if self.world_size > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
            self._owner = True

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Sum over the processes, in place."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world_size > 1:
            dist.barrier()

    def close(self) -> None:
        """Leave the group, if this object made it."""
        if self._owner and dist.is_initialized():
            dist.destroy_process_group()


def choose_device(name: str) -> torch.device:
    """Device of a process: ``auto`` takes a GPU when there is one.

    Raises:
        ValueError: a GPU is asked for and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda"):
        if not torch.cuda.is_available():
            raise ValueError(
                f"train.device: found '{name}', but PyTorch sees no GPU; use 'cpu' or 'auto'"
            )
        if name == "cuda":
            name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(name)
    return torch.device(name)
