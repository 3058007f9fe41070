"""Invariants of an atom block and the small network that turns them into an energy."""

import math

import torch
from torch import Tensor, nn


def invariants(moments: Tensor, contracted: Tensor, max_rank: int) -> Tensor:
    r"""Invariants of an atom: :math:`A^0,\; A^l\!\cdot\!A^l,\; D^l\!\cdot\!A^l,\; D^l\!\cdot\!D^l`.

    Args:
        moments: A, shape ((L+1)^2, N, C).
        contracted: D, shape ((L+1)^2, N, C).
        max_rank: L.

    Returns:
        Shape (N, (3L+3) C), blocks of C in the order A^0; A.A for l = 1..L; D.A for l = 0..L;
        D.D for l = 0..L.

    Source: docs/derivations.md, eq. (7).

    >>> invariants(torch.full((1, 1, 1), 2.0), torch.full((1, 1, 1), 3.0), 0)
    tensor([[2., 6., 9.]])
    """
    # Split once: the gradient of each slice by itself would be a full array of zeros.
    sizes = [2 * rank + 1 for rank in range(max_rank + 1)]
    parts = (moments * moments).split(sizes)
    blocks = [moments[0]]
    for rank in range(1, max_rank + 1):
        blocks.append(parts[rank].sum(0))
    for other in (moments, contracted):
        for part in (contracted * other).split(sizes):
            blocks.append(part.sum(0))
    return torch.cat(blocks, dim=1)


class Invariants(nn.Module):
    r"""Hidden features of an atom, :math:`h = W_h (I \odot s) + \beta_{z_i}`.

    The scale s is measured once on training data (:meth:`measure`) and constant afterwards.

    Args:
        max_rank: L.
        num_channels: C.
        num_hidden: H.
        num_types: number of elements.
    """

    scale: Tensor

    def __init__(self, max_rank: int, num_channels: int, num_hidden: int, num_types: int) -> None:
        super().__init__()
        self.max_rank = max_rank
        size = (3 * max_rank + 3) * num_channels
        self.weight = nn.Parameter(torch.randn(size, num_hidden) / math.sqrt(size))
        self.bias = nn.Parameter(0.1 * torch.randn(num_types, num_hidden))
        self.register_buffer("scale", torch.ones(size))

    @torch.jit.unused
    def measure(self, moments: Tensor, contracted: Tensor) -> None:
        """Set the scale to ``1 / (std + 0.1 mean|I| + 1e-3)`` over the given atoms."""
        values = invariants(moments, contracted, self.max_rank).detach()
        spread = values.std(0) + 0.1 * values.abs().mean(0) + 1e-3
        self.scale.copy_(1 / spread)

    def forward(self, moments: Tensor, contracted: Tensor, types: Tensor) -> Tensor:
        """Shape (N, H) from A and D of shape ((L+1)^2, N, C)."""
        values = invariants(moments, contracted, self.max_rank)
        return torch.matmul(values * self.scale, self.weight) + self.bias[types]


class Readout(nn.Module):
    r"""Energy of an atom, :math:`e = w \cdot \mathrm{SiLU}(\mathrm{SiLU}(h) W + c)`.

    Args:
        num_hidden: H.
    """

    def __init__(self, num_hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_hidden, num_hidden) / math.sqrt(num_hidden))
        self.bias = nn.Parameter(torch.zeros(num_hidden))
        self.output = nn.Parameter(0.1 * torch.randn(num_hidden) / math.sqrt(num_hidden))

    def forward(self, hidden: Tensor) -> Tensor:
        """Shape (N,) from hidden features of shape (N, H)."""
        active = nn.functional.silu(hidden)
        return torch.mv(
            nn.functional.silu(torch.matmul(active, self.weight) + self.bias), self.output
        )
