"""Levels of theory: reference energies, which structures belong to which, batches of one each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camlip.data import AnyDataset, BatchSampler, collate
from camlip.models import CartesianMoments, evaluate

FITTED_ATOMS = 20_000
"""Reference energies are fitted to a sample of about so many atoms."""


def refitted_energies(
    model: CartesianMoments, dataset: AnyDataset, indices: Sequence[int], seed: int = 0
) -> Tensor:
    r"""Reference energies with which a model fits the energies of new data best.

    .. math:: \min_\Delta \sum_s \frac{1}{n_s^2} \Big(E_s - E_s^\text{model}
              - \sum_z x_{sz} \Delta_z\Big)^2

    with the smallest :math:`\Delta` where the compositions leave it open, so that an offset per
    element between two levels of theory is gone before training begins.

    Args:
        model: with its reference energies.
        dataset: with labels.
        indices: structures of the new level; a sample of many.
        seed: of the sample.

    Returns:
        eV, float64, shape (T,); those of elements that the data do not have stay as they are.
    """
    parameter = next(model.parameters())
    rows: list[NDArray[np.float64]] = []
    values: list[float] = []
    atoms = 0
    for index in np.random.default_rng(seed).permutation(np.asarray(indices)).tolist():
        item = dataset[index]
        if item.structure.energy is None:
            continue
        if atoms > FITTED_ATOMS:
            break
        batch = collate([item]).to(parameter.device, parameter.dtype)
        with torch.no_grad():
            found = float(evaluate(model, batch, forces=False)["energy"][0])
        size = len(item.types)
        rows.append(np.bincount(item.types, minlength=model.num_types) / size)
        values.append((item.structure.energy - found) / size)
        atoms += size
    energies = model.reference_energies.clone()
    if rows:
        shift = np.linalg.lstsq(np.array(rows), np.array(values), rcond=1e-8)[0]
        energies += torch.from_numpy(shift).to(energies.device)
    return energies


class LevelSampler(BatchSampler):
    """Batches of structures of one level each, in random order; of replayed ones a fresh draw.

    Args:
        dataset: training set.
        groups: group of each structure, 0 for the new data, shape (len(dataset),).
        fractions: structures of each group per structure of group 0, in each epoch.
        **options: as :class:`camlip.data.BatchSampler`.
    """

    def __init__(
        self,
        dataset: AnyDataset,
        groups: NDArray[np.int64],
        fractions: Sequence[float],
        **options: Any,
    ) -> None:
        self.groups, self.fractions = groups, list(fractions)
        super().__init__(dataset, **options)

    def set_epoch(self, epoch: int) -> None:
        """Choose structures and order of this epoch."""
        self.epoch = epoch
        random = np.random.default_rng([self.seed, epoch])
        number = int((self.groups == 0).sum())
        batches: list[list[int]] = []
        for group, fraction in enumerate(self.fractions):
            members = np.flatnonzero(self.groups == group)
            wanted = len(members) if group == 0 else max(1, round(fraction * number))
            order = random.permutation(members)[:wanted]
            batches += self._fill(order)
        self._deal([batches[k] for k in random.permutation(len(batches)).tolist()])
