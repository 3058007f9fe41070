"""Running sums of errors of energies, forces and stresses."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from camlip.train.loss import TERMS


class ErrorSums:
    """Mean absolute and root mean square errors over many batches.

    Attributes:
        values: rows energy, forces, stress; columns sum of absolute errors, of squares, count.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.values = torch.zeros(3, 3, dtype=torch.float64, device=device)

    @torch.no_grad()
    def add(self, errors: tuple[Tensor, Tensor, Tensor], counts: Tensor) -> None:
        """Take in errors from :func:`camlip.train.loss.label_errors`.

        Args:
            errors: 0 where there is no label.
            counts: number of labels, from :meth:`camlip.train.loss.Loss.counts`.
        """
        sums = []
        for error in errors:
            exact = error.double()
            sums += [exact.abs().sum(), exact.square().sum()]
        self.values[:, :2] += torch.stack(sums).view(3, 2)
        self.values[:, 2] += counts

    def add_sums(self, absolute: Tensor, squares: Tensor, counts: Tensor) -> None:
        """Take in sums of errors and of squares that somebody else made, shape (3,) each."""
        self.values += torch.stack([absolute, squares, counts], dim=1)

    def summary(self, prefix: str) -> dict[str, float]:
        """``{prefix}_energy_mae`` and so on, NaN where there is no label."""
        result = {}
        for term, (absolute, square, count) in zip(TERMS, self.values.tolist(), strict=True):
            known = count > 0
            result[f"{prefix}_{term}_mae"] = absolute / count if known else math.nan
            result[f"{prefix}_{term}_rmse"] = math.sqrt(square / count) if known else math.nan
        return result
