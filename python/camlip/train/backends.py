"""Who evaluates the model in a run: torch, or the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from camlip.data import AnyDataset, Batch
from camlip.errors import EngineError
from camlip.models import CartesianMoments, evaluate
from camlip.train.dataset import batches
from camlip.train.evaluation import Predictor, TorchPredictor
from camlip.train.schema import OptimizationConfig
from camlip.train.setup import TrainingError

# The engine tabulates the radial functions of every ordered pair of elements: above this number the
# tables cost more than they save.
ENGINE_ELEMENTS = 10

Results = dict[str, Tensor]
Loader = Callable[[Sequence[list[int]]], Iterator[Batch]]


class Backend(Protocol):
    """What the trainer needs of either."""

    name: str
    description: str

    def loader(self, dataset: AnyDataset) -> Loader:
        """A function from lists of indices to batches for :meth:`evaluate`."""
        ...

    def evaluate(self, model: CartesianMoments, batch: Batch, forces: bool) -> Results:
        """Results that can be differentiated by the parameters."""
        ...

    def evaluator(self, model: CartesianMoments) -> Callable[[Batch], Results]:
        """A function to results of the model as it is now, with forces, for validation."""
        ...

    def predictor(self, model: CartesianMoments) -> Predictor:
        """The model as it is now, for structures without neighbor lists."""
        ...


class TorchBackend:
    """Automatic differentiation by torch, on any device.

    Args:
        device: of the model.
        dtype: of the model.
        workers: processes that prepare batches.
        reason: why it is not the engine, for the log.
    """

    name = "torch"

    def __init__(
        self, device: torch.device, dtype: torch.dtype, workers: int = 0, reason: str = ""
    ) -> None:
        self.device, self.dtype, self.workers = device, dtype, workers
        self.description = f"torch ({reason})" if reason else "torch"

    def loader(self, dataset: AnyDataset) -> Loader:
        """Batches in the precision of the model."""
        return lambda lists: batches(dataset, lists, self.device, self.dtype, self.workers)

    def evaluate(self, model: CartesianMoments, batch: Batch, forces: bool) -> Results:
        """Results with their graph."""
        return evaluate(model, batch, forces=forces, training=True)

    def evaluator(self, model: CartesianMoments) -> Callable[[Batch], Results]:
        """Results without a graph."""
        return lambda batch: evaluate(model, batch, forces=True)

    def predictor(self, model: CartesianMoments) -> Predictor:
        """The module itself."""
        return TorchPredictor(model, device=self.device)


def choose_backend(
    options: OptimizationConfig,
    model: CartesianMoments,
    device: torch.device,
    dtype: torch.dtype,
) -> Backend:
    """The backend that the configuration asks for, or with ``auto`` the fastest that can train.

    Raises:
        TrainingError: the engine is asked for and cannot train this model on this device.
    """
    wanted = options.backend
    threads = options.threads or torch.get_num_threads()
    if wanted == "torch":
        return TorchBackend(device, dtype, options.workers)
    reason = ""
    if device.type != "cpu":
        reason = f"the engine trains on the CPU, the device is {device}"
    elif wanted == "auto" and model.num_types > ENGINE_ELEMENTS:
        reason = f"{model.num_types} elements, the engine is chosen up to {ENGINE_ELEMENTS}"
    else:
        # Without the native pieces, or on a GPU, there is nothing to load.
        try:
            from camlip.train.engine_backend import EngineBackend

            return EngineBackend(model, dtype, threads)
        except (EngineError, ImportError) as error:
            reason = str(error)
    if wanted == "engine":
        raise TrainingError(
            f"train.backend: the engine cannot train this model: {reason}; use 'torch' or 'auto'"
        )
    return TorchBackend(device, dtype, options.workers, reason)
