"""Labels of a batch as one vector, and the loss and its derivative from a vector of predictions.

What :mod:`camlip.train.loss` says, in a dozen operations of numpy: the batches of the engine take
a few milliseconds, of which the many small operations of torch would be a good part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camlip.data import Batch
from camlip.train.backends import Errors, StepSums
from camlip.train.loss import Loss, stress_mask

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class PackedLabels:
    """S energies, 3 N force components and 9 S components of virials, one after the other.

    The errors of :func:`camlip.train.loss.label_errors` are ``scale * (predictions - labels)``.

    Attributes:
        labels: total energies, forces, and the virials that the stresses stand for.
        scale: 0 where there is no label.
        weight: of the structure.
        ends: where the kinds end.
    """

    labels: Vector
    scale: Vector
    weight: Vector
    ends: tuple[int, int, int]

    @classmethod
    def of(cls, batch: Batch) -> PackedLabels:
        """The labels of a batch in float64."""
        size = batch.num_atoms.numpy()
        volume, weight = batch.volume.numpy(), batch.weight.numpy()
        stress = stress_mask(batch).numpy() / np.where(volume > 0, volume, 1.0)
        virials = -volume[:, None] * batch.stress.numpy().reshape(-1, 9)
        parts = [batch.energy.numpy(), batch.forces.numpy().reshape(-1), virials.reshape(-1)]
        scales = [
            batch.energy_mask.numpy() / size,
            np.repeat(batch.forces_mask.numpy(), 3),
            np.repeat(-stress, 9),
        ]
        weights = [weight, np.repeat(weight, 3 * size), np.repeat(weight, 9)]
        first, second, third = (len(part) for part in parts)
        return cls(
            np.concatenate(parts),
            np.concatenate(scales),
            np.concatenate(weights),
            (first, first + second, first + second + third),
        )

    def evaluate(
        self, predictions: Vector, loss: Loss, counts: Tensor, energy_factor: float
    ) -> tuple[StepSums, tuple[Vector, Vector, Vector]]:
        """Sums of the loss, and the derivative of its ``combine`` by the predictions.

        Args:
            predictions: energies, forces and virials; or energies alone.
            loss: the loss.
            counts: as for ``Loss.combine``.
            energy_factor: as for ``Loss.combine``.

        Returns:
            Sums, and derivatives of shapes (S,), (N, 3), (S, 3, 3).
        """
        one, two, three = self.ends
        error = np.zeros(three)
        known = len(predictions)
        np.multiply(self.scale[:known], predictions - self.labels[:known], out=error[:known])
        sizes = (one, two - one, three - two)
        absolute = np.abs(error)
        if loss.huber:
            # d (|x| - d/2) with d = min(|x|, delta) is both branches in one.
            inner = np.minimum(absolute, np.repeat(loss.deltas, sizes))
            value, slope = inner * (absolute - 0.5 * inner), np.copysign(inner, error)
        else:
            value, slope = error * error, 2 * error
        factors = (loss.weights / counts.clamp(min=1)).numpy() * (energy_factor, 1.0, 1.0)
        bar = slope * self.weight * self.scale * np.repeat(factors, sizes)
        starts = (0, one, two)

        def sums(values: Vector) -> Tensor:
            return torch.from_numpy(np.add.reduceat(values, starts))

        def errors() -> Errors:
            energy, forces, stress = torch.from_numpy(error).tensor_split([one, two])
            return energy, forces.view(-1, 3), stress.view(-1, 3, 3)

        found = StepSums(sums(value * self.weight), sums(absolute), sums(error * error), errors)
        derivatives = bar[:one], bar[one:two].reshape(-1, 3), bar[two:].reshape(-1, 3, 3)
        return found, derivatives
