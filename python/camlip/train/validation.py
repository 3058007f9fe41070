"""Errors on the validation set, and which structures are to blame for a loss that is no number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from camlip.data import AnyDataset, Batch, BatchSampler, Structure
from camlip.models import CartesianMoments
from camlip.train.backends import Backend
from camlip.train.distributed import Processes
from camlip.train.loss import Loss, label_errors
from camlip.train.metrics import ErrorSums
from camlip.train.schema import TrainConfig

# Batches stay in memory up to so many edges.
CACHED_EDGES = 3_000_000


class Validator:
    """Loss and errors of a model on a fixed set; each process takes its share of it.

    Args:
        config: of the run; batches are as large as those of the training.
        dataset: validation structures.
        loss: the loss.
        processes: of the run.
        backend: who evaluates.
        device: where.
    """

    def __init__(
        self,
        config: TrainConfig,
        dataset: AnyDataset,
        loss: Loss,
        processes: Processes,
        backend: Backend,
        device: torch.device,
    ) -> None:
        self.dataset, self.loss, self.processes = dataset, loss, processes
        self.backend, self.device = backend, device
        self._load = backend.loader(dataset)
        options = config.train
        lists = list(
            BatchSampler(
                dataset, options.atoms_per_batch, options.structures_per_batch, shuffle=False
            )
        )
        self.index_lists = lists[processes.rank :: processes.world_size]
        self._kept: list[Batch] | None = None

    def run(self, model: CartesianMoments, energy_factor: float) -> tuple[float, ErrorSums]:
        """Loss and errors over all processes."""
        errors = ErrorSums(self.device)
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        counts = torch.zeros(3, dtype=torch.float64, device=self.device)
        evaluate = self.backend.evaluator(model)
        for batch in self._batches():
            results = evaluate(batch)
            found = label_errors(results, batch, model.reference_energies)
            known = self.loss.counts(batch)
            errors.add(found, known)
            with torch.no_grad():
                sums += self.loss.sums(found, batch).double()
                counts += known
        for values in (errors.values, sums, counts):
            self.processes.sum(values)
        return float(self.loss.combine(sums, counts, energy_factor)), errors

    def _batches(self) -> Iterator[Batch]:
        if self._kept is not None:
            yield from self._kept
            return
        keep = int(self.dataset.num_edges.sum()) <= CACHED_EDGES
        kept = []
        for batch in self._load(self.index_lists):
            if keep:
                kept.append(batch)
            yield batch
        if keep:
            self._kept = kept


def name_culprits(
    batch: Batch, errors: tuple[Tensor, Tensor, Tensor], structures: Sequence[Structure]
) -> str:
    """Which structures of a batch have errors that are not finite, for a message."""
    # Squares, as in the loss, in the precision of most gradients: an error may be a number and its
    # square not.
    energy, forces, stress = (e.detach().float().square() for e in errors)
    bad = ~torch.isfinite(energy) | ~torch.isfinite(stress).all(2).all(1)
    bad[batch.structure_index[~torch.isfinite(forces).all(1)]] = True
    found = (
        "prediction or label is not finite, or absurdly large, in" if bad.any() else "the batch was"
    )
    chosen = batch.dataset_index[bad] if bad.any() else batch.dataset_index
    return f"{found} " + ", ".join(
        structures[k].source or f"structure {k}" for k in chosen.tolist()
    )
