"""The loss: energies per atom, forces and stresses, where labels exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from camlip.data import Batch

if TYPE_CHECKING:
    from camlip.train.schema import LossConfig

TERMS = ("energy", "forces", "stress")


class Loss:
    r"""Weighted sum of the mean errors of energies per atom, forces and stresses.

    .. math:: \mathcal{L} = w_E \langle H((E - \hat E)/N) \rangle
              + w_F \langle H(F - \hat F) \rangle + w_S \langle H(\sigma - \hat\sigma) \rangle

    H is the Huber function :math:`x^2/2` for :math:`|x| < \delta` and
    :math:`\delta(|x| - \delta/2)` above, or :math:`x^2`.  Each mean is over the structures,
    force components or stress components that have a label; a structure's ``weight`` multiplies
    its part.

    Args:
        config: weights and kind.
    """

    def __init__(self, config: LossConfig) -> None:
        self.weights = torch.tensor(
            [config.energy, config.forces, config.stress], dtype=torch.float64
        )
        self.huber = config.kind == "huber"
        self.deltas = (config.energy_delta, config.forces_delta, config.stress_delta)
        self.needs_forces = config.forces > 0 or config.stress > 0

    def counts(self, batch: Batch) -> Tensor:
        """Number of labels of each kind: energies, force components, stress components."""
        return torch.stack(
            [
                batch.energy_mask.double().sum(),
                3 * batch.forces_mask.double().sum(),
                9 * stress_mask(batch).double().sum(),
            ]
        )

    def sums(self, errors: tuple[Tensor, Tensor, Tensor], batch: Batch) -> Tensor:
        """Sums of H over the labels of each kind, weighted by the structures, shape (3,)."""
        energy, forces, stress = errors
        weight = batch.weight
        return torch.stack(
            [
                (self._h(energy, 0) * weight).sum(),
                (self._h(forces, 1).sum(1) * weight[batch.structure_index]).sum(),
                (self._h(stress, 2).sum((1, 2)) * weight).sum(),
            ]
        )

    def combine(self, sums: Tensor, counts: Tensor, energy_factor: float = 1.0) -> Tensor:
        """Loss from :meth:`sums` and :meth:`counts`, which may be those of several batches."""
        weights = self.weights.to(sums.device).clone()
        weights[0] *= energy_factor
        return (sums * (weights / counts.clamp(min=1)).to(sums.dtype)).sum()

    def _h(self, error: Tensor, term: int) -> Tensor:
        if not self.huber:
            return error * error
        delta = self.deltas[term]
        size = error.abs()
        return torch.where(size < delta, 0.5 * error * error, delta * (size - 0.5 * delta))


def stress_mask(batch: Batch) -> Tensor:
    """1 for structures with a stress label and a volume, shape (S,)."""
    return batch.stress_mask * (batch.volume > 0)


def label_errors(
    results: dict[str, Tensor], batch: Batch, reference_energies: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction minus label, 0 where there is no label.

    The large part of the energies is subtracted in float64 before anything is rounded.

    Args:
        results: of :func:`camlip.models.evaluate`, with or without forces.
        batch: with labels.
        reference_energies: float64, shape (T,).

    Returns:
        Energies per atom (S,), forces (N, 3) and stresses (S, 3, 3) in eV and Angstrom, in the
        dtype of the predictions.
    """
    predicted = results["interaction_energy"]
    reference = batch.energy.new_zeros(batch.energy.shape).index_add(
        0, batch.structure_index, reference_energies[batch.types]
    )
    target = (batch.energy - reference).to(predicted.dtype)
    energy = (predicted - target) / batch.num_atoms * batch.energy_mask
    if "forces" not in results:
        return energy, torch.zeros_like(batch.forces), torch.zeros_like(batch.stress)
    forces = (results["forces"] - batch.forces) * batch.forces_mask[:, None]
    mask = stress_mask(batch)
    volume = torch.where(mask > 0, batch.volume, torch.ones_like(batch.volume))
    stress = -results["virial"] / volume[:, None, None]
    return energy, forces, (stress - batch.stress) * mask[:, None, None]
