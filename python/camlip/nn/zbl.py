"""Screened nuclear repulsion at short distances (Ziegler, Biersack, Littmark)."""

import torch
from ase.data import covalent_radii
from torch import Tensor, nn

from camlip.nn.radial import envelope

# The repulsion ends at this part of the shortest distance of the data.
MARGIN = 0.95


class ZBL(nn.Module):
    r"""Half of the ZBL repulsion of each pair, for the center's energy.

    .. math:: \tfrac12\, 14.3996\, \frac{Z_i Z_j}{r}\, \phi(r / a)\, f(r / (R_i + R_j)), \qquad
              a = 0.4685 / (Z_i^{0.23} + Z_j^{0.23})

    with the universal screening function :math:`\phi` and a radius R of each element: the covalent
    one, no more than half the cutoff, until :meth:`end_before` makes it smaller.

    Args:
        atomic_numbers: of the model's types.
        cutoff: of the model, Angstrom; radii are at most half of it.

    Source: Ziegler, Biersack, Littmark, The Stopping and Range of Ions in Matter (1985).
    """

    radii: Tensor
    charges: Tensor

    def __init__(self, atomic_numbers: list[int], cutoff: float) -> None:
        super().__init__()
        radii = torch.tensor(covalent_radii[atomic_numbers])
        self.register_buffer("radii", radii.clamp(max=cutoff / 2))
        self.register_buffer("charges", torch.tensor(atomic_numbers, dtype=torch.float64))

    @torch.jit.unused
    def end_before(self, shortest: Tensor) -> None:
        """Shrink radii until the repulsion of each pair ends before the distances of the data.

        Sums of covalent radii are lengths of bonds.  A repulsion that ends there rises within the
        vibration of every bond, and the network has to learn its opposite (docs/accuracy.md).

        Args:
            shortest: distance of each pair of elements, Angstrom, shape (T, T), symmetric;
                infinite for pairs without one.
        """
        reach = self.radii[:, None] + self.radii[None, :]
        ratio = (MARGIN * shortest.to(reach) / reach).amin(1)
        self.radii.mul_(ratio.clamp(max=1.0))

    def forward(self, distances: Tensor, center_types: Tensor, neighbor_types: Tensor) -> Tensor:
        """Energy of each edge in eV, shape (E,)."""
        zi = self.charges[center_types].to(distances.dtype)
        zj = self.charges[neighbor_types].to(distances.dtype)
        reach = (self.radii[center_types] + self.radii[neighbor_types]).to(distances.dtype)
        t = distances * (zi.pow(0.23) + zj.pow(0.23)) / 0.4685
        phi = (
            0.18175 * torch.exp(-3.1998 * t)
            + 0.50986 * torch.exp(-0.94229 * t)
            + 0.28022 * torch.exp(-0.4029 * t)
            + 0.02817 * torch.exp(-0.20162 * t)
        )
        return 0.5 * 14.3996 * zi * zj / distances * phi * envelope(distances / reach)
