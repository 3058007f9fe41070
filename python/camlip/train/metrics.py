"""Running sums of errors of energies, forces and stresses."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from camlip.data import Batch
from camlip.train.loss import TERMS, stress_mask


class ErrorSums:
    """Mean absolute and root mean square errors over many batches.

    Attributes:
        values: rows energy, forces, stress; columns sum of absolute errors, of squares, count.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.values = torch.zeros(3, 3, dtype=torch.float64, device=device)

    @torch.no_grad()
    def add(self, errors: tuple[Tensor, Tensor, Tensor], batch: Batch) -> None:
        """Take in errors from :func:`camlip.train.loss.label_errors`."""
        counts = (
            batch.energy_mask.double().sum(),
            3 * batch.forces_mask.double().sum(),
            9 * stress_mask(batch).double().sum(),
        )
        rows = [
            torch.stack([e.abs().sum(dtype=torch.float64), (e.double() ** 2).sum(), n])
            for e, n in zip(errors, counts, strict=True)
        ]
        self.values += torch.stack(rows)

    def summary(self, prefix: str) -> dict[str, float]:
        """``{prefix}_energy_mae`` and so on, NaN where there is no label."""
        result = {}
        for term, (absolute, square, count) in zip(TERMS, self.values.tolist(), strict=True):
            known = count > 0
            result[f"{prefix}_{term}_mae"] = absolute / count if known else math.nan
            result[f"{prefix}_{term}_rmse"] = math.sqrt(square / count) if known else math.nan
        return result
