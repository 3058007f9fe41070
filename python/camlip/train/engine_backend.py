"""The engine as the backend of a run: structures prepared once, batches put together from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from camlip.data import AnyDataset, Batch, Item, collate
from camlip.errors import NumericError
from camlip.models import CartesianMoments
from camlip.train.backends import Loader, Results, StepSums
from camlip.train.engine import (
    EngineBatch,
    EngineTrainer,
    Geometry,
    add_gradient,
    engine_twin,
    flatten,
)
from camlip.train.evaluation import EnginePredictor, Predictor
from camlip.train.loss import Loss
from camlip.train.packed import PackedLabels
from camlip.train.setup import TrainingError

# Structures stay prepared up to so many edges, 8 bytes each with what belongs to them.
KEPT_EDGES = 50_000_000


class EngineBackend:
    """The kernels that run molecular dynamics (docs/training.md).

    Args:
        model: gives the shape.
        dtype: ``float32`` for the engine's mixed precision, ``float64`` for double.
        threads: of the engine.
        prepared: structures of data sets, of other models on the same data.
    """

    name = "engine"

    def __init__(
        self,
        model: CartesianMoments,
        dtype: torch.dtype,
        threads: int,
        prepared: dict[int, PackedStructures] | None = None,
    ) -> None:
        self._prepared = {} if prepared is None else prepared
        self.precision = "double" if dtype == torch.float64 else "mixed"
        self.threads = threads
        self.trainer = EngineTrainer(model, "cpu", self.precision, threads)
        self.description = f"engine ({self.precision}, {threads} thread(s))"

    def loader(self, dataset: AnyDataset) -> Loader:
        """Batches of structures that are prepared once."""
        key = id(dataset)  # the structures keep it alive
        if key not in self._prepared:
            self._prepared[key] = PackedStructures(dataset, self.trainer)
        return self._prepared[key].batches

    @torch.no_grad()
    def gradient(
        self,
        model: CartesianMoments,
        batch: Batch,
        loss: Loss,
        counts: Tensor,
        energy_factor: float,
    ) -> StepSums:
        """By a difference of first derivatives, along the derivative of the loss."""
        trainer = self.trainer
        assert isinstance(batch, EngineBatch)
        with torch.enable_grad():
            tensors = trainer.tensors(model)
        energies, *rest = trainer.results(flatten(tensors), batch.geometry, loss.needs_forces)
        predicted = [trainer.totals(model, batch, energies), *rest]
        predictions = np.concatenate([part.numpy().reshape(-1) for part in predicted])
        sums, bars = batch.packed.evaluate(predictions, loss, counts, energy_factor)
        if loss.needs_forces:
            found = trainer.difference(*bars, batch.geometry)
        else:
            found = trainer.seeded(bars[0], batch.geometry)
        add_gradient(found, tensors)
        return sums

    def evaluator(self, model: CartesianMoments) -> Callable[[Batch], Results]:
        """Results without a graph."""
        values = self.trainer.parameters(model)

        def run(batch: Batch) -> Results:
            with torch.no_grad():
                return self.trainer.evaluate(model, batch, values=values)

        return run

    def predictor(self, model: CartesianMoments) -> Predictor:
        """The engine that would run the exported model."""
        return EnginePredictor(engine_twin(model), self.precision, self.threads, "cpu")


class PackedStructures:
    """Structures of a data set as the engine wants them, prepared when first asked for.

    Args:
        dataset: with neighbor lists.
        trainer: whose batches they are for.
    """

    def __init__(self, dataset: AnyDataset, trainer: EngineTrainer) -> None:
        self.dataset, self.trainer = dataset, trainer
        self.keep = int(dataset.num_edges.sum()) <= KEPT_EDGES
        self._kept: dict[int, Geometry] = {}
        self._labels: Batch | None = None

    def batches(self, index_lists: Sequence[list[int]]) -> Iterator[Batch]:
        """Batches in the given order; while one is used the next is prepared."""
        with ThreadPoolExecutor(1, "batches") as pool:
            following: Future[Batch] | None = None
            for indices in index_lists:
                ready = following
                following = pool.submit(self.batch, indices)
                if ready is not None:
                    yield ready.result()
            if following is not None:
                yield following.result()

    def batch(self, indices: Sequence[int]) -> EngineBatch:
        """One batch: its labels for torch, its geometry for the engine."""
        geometry = self.trainer.join([self._geometry(k) for k in indices])
        if self.keep:
            labels = select(self._all_labels(), indices)
        else:
            items = [_without_edges(self.dataset[k]) for k in indices]
            labels = collate(items)
        return EngineBatch(**vars(labels), geometry=geometry, packed=PackedLabels.of(labels))

    def _geometry(self, index: int) -> Geometry:
        if index in self._kept:
            return self._kept[index]
        item = self.dataset[index]
        try:
            geometry = self.trainer.batch(collate([item]))
        except NumericError as error:
            name = item.structure.source or f"structure {index}"
            raise TrainingError(
                f"{name}: positions are not finite, or something else in it is not ({error}); "
                "look at it with `camlip data`"
            ) from error
        if self.keep:
            self._kept[index] = geometry
        return geometry

    def _all_labels(self) -> Batch:
        if self._labels is None:
            items = [_without_edges(self.dataset[k]) for k in range(len(self.dataset))]
            self._labels = collate(items)
        return self._labels


def select(batch: Batch, indices: Sequence[int]) -> Batch:
    """Some structures of a batch that has no edges, in the given order."""
    chosen = torch.tensor(indices)
    sizes = batch.num_atoms[chosen]
    ends = sizes.cumsum(0)
    structure = torch.repeat_interleave(torch.arange(len(indices)), sizes)
    first = batch.num_atoms.cumsum(0)[chosen] - ends
    rows = first[structure] + torch.arange(len(structure))
    of_atoms = ("positions", "types", "forces", "forces_mask")
    of_edges = ("edge_index", "edge_shifts")
    fields: dict[str, torch.Tensor] = {"structure_index": structure, "num_atoms": sizes}
    for field in dataclasses.fields(batch):
        value: torch.Tensor = getattr(batch, field.name)
        if field.name in of_edges:
            fields[field.name] = value
        elif field.name not in fields:
            fields[field.name] = value[rows if field.name in of_atoms else chosen]
    return Batch(**fields)


def _without_edges(item: Item) -> Item:
    return dataclasses.replace(
        item,
        counts=np.zeros(len(item.types), dtype=np.int64),
        neighbors=np.zeros(0, dtype=np.int64),
        shifts=np.zeros((0, 3)),
    )
