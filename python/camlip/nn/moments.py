"""Atomic moments: sums over the neighbors of radial functions times directions."""

import torch
from torch import Tensor


def edge_slots(centers: Tensor, num_atoms: int) -> tuple[Tensor, int]:
    """Place of each edge in an array padded to the largest number of neighbors.

    Args:
        centers: center of each edge, int64, shape (E,), ascending.
        num_atoms: N.

    Returns:
        ``(slots, width)``: edge e lies in row ``slots[e]`` of an array with ``N * width`` rows,
        where ``width`` is the largest number of neighbors.

    >>> edge_slots(torch.tensor([0, 0, 2]), 3)
    (tensor([0, 1, 4]), 2)
    """
    counts = torch.bincount(centers, minlength=num_atoms)
    width = int(counts.max()) if num_atoms > 0 else 0
    starts = torch.cumsum(counts, 0) - counts
    rank = torch.arange(centers.numel(), device=centers.device) - starts[centers]
    return centers * width + rank, width


def pad_edges(values: Tensor, slots: Tensor, num_atoms: int, width: int) -> Tensor:
    """Spread edge values over the padded array: (E, X) to (N, width, X); empty slots are zero."""
    padded = torch.zeros(
        num_atoms * width, values.shape[1], dtype=values.dtype, device=values.device
    )
    return padded.index_copy(0, slots, values).view(num_atoms, width, values.shape[1])


def moments(basis: Tensor, radial: Tensor, slots: Tensor, num_atoms: int, width: int) -> Tensor:
    r"""Atomic moments of layer 1.

    .. math:: a_{m i k} = \sum_{e \in E(i)} g_{e k}\, Y_m(\hat r_e)

    Args:
        basis: packed STF components ``Y`` of the directions, shape (E, (L+1)^2).
        radial: radial functions ``g``, shape (E, K).
        slots: from :func:`edge_slots`.
        num_atoms: N.
        width: from :func:`edge_slots`.

    Returns:
        Shape ((L+1)^2, N, K); zeros for an atom without edges.

    Source: docs/derivations.md, eq. (3).  Same contract as the edge stages of ``csrc/``.

    >>> slots, width = edge_slots(torch.tensor([0]), 2)
    >>> moments(torch.tensor([[1.0, 0.0, 0.0, 1.0]]), torch.ones(1, 1), slots, 2, width)[:, :, 0]
    tensor([[1., 0.],
            [0., 0.],
            [0., 0.],
            [1., 0.]])
    """
    left = pad_edges(basis, slots, num_atoms, width).transpose(1, 2)
    right = pad_edges(radial, slots, num_atoms, width)
    return torch.bmm(left, right).transpose(0, 1).contiguous()
