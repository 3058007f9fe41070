"""Who evaluates the model in a run: torch, or the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from camlip.data import AnyDataset, Batch
from camlip.errors import EngineError
from camlip.models import CartesianMoments, evaluate
from camlip.train.dataset import batches
from camlip.train.evaluation import Predictor, TorchPredictor
from camlip.train.loss import Loss, label_errors
from camlip.train.schema import OptimizationConfig
from camlip.train.setup import TrainingError

# The engine tabulates the radial functions of every ordered pair of elements: above this number the
# tables cost more than they save.
ENGINE_ELEMENTS = 10

Results = dict[str, Tensor]
Errors = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class StepSums:
    """What a step leaves for the log: sums over energies, forces and stresses, (3,) float64.

    Attributes:
        losses: ``Loss.sums``.
        absolute: of the errors' sizes.
        squares: of the errors' squares.
        errors: gives the errors of :func:`camlip.train.loss.label_errors`, for a message.
    """

    losses: Tensor
    absolute: Tensor
    squares: Tensor
    errors: Callable[[], Errors]

    @classmethod
    def of(cls, errors: Errors, losses: Tensor) -> StepSums:
        """From the errors themselves."""
        exact = [error.double() for error in errors]
        return cls(
            losses.double(),
            torch.stack([error.abs().sum() for error in exact]),
            torch.stack([error.square().sum() for error in exact]),
            lambda: errors,
        )


Loader = Callable[[Sequence[list[int]]], Iterator[Batch]]


class Backend(Protocol):
    """What the trainer needs of either."""

    name: str
    description: str

    def loader(self, dataset: AnyDataset) -> Loader:
        """A function from lists of indices to batches for :meth:`evaluate`."""
        ...

    def gradient(
        self,
        model: CartesianMoments,
        batch: Batch,
        loss: Loss,
        counts: Tensor,
        energy_factor: float,
    ) -> StepSums:
        """Add the gradient of the loss to that of the parameters.

        Args:
            model: with the parameters, whose gradients are tensors already.
            batch: of the loader.
            loss: what is differentiated: its ``combine`` of the sums of this batch.
            counts: labels, of all processes together.
            energy_factor: as for ``Loss.combine``.

        Returns:
            Sums for the log.
        """
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

    def gradient(
        self,
        model: CartesianMoments,
        batch: Batch,
        loss: Loss,
        counts: Tensor,
        energy_factor: float,
    ) -> StepSums:
        """By automatic differentiation, twice."""
        results = evaluate(model, batch, forces=loss.needs_forces, training=True)
        errors = label_errors(results, batch, model.reference_energies)
        sums = loss.sums(errors, batch)
        loss.combine(sums, counts, energy_factor).backward()
        energy, forces, stress = (error.detach() for error in errors)
        return StepSums.of((energy, forces, stress), sums.detach())

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
    prepared: dict[int, Any] | None = None,
) -> Backend:
    """The backend that the configuration asks for, or with ``auto`` the fastest that can train.

    Args:
        options: of the run.
        model: to train.
        device: of the model.
        dtype: of the model.
        prepared: where the backend keeps what it makes of data sets, to be used again.

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

            return EngineBackend(model, dtype, threads, prepared)
        except (EngineError, ImportError) as error:
            reason = str(error)
    if wanted == "engine":
        raise TrainingError(
            f"train.backend: the engine cannot train this model: {reason}; use 'torch' or 'auto'"
        )
    return TorchBackend(device, dtype, options.workers, reason)
