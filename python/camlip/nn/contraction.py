"""Contraction: products of moments, coupled to symmetric trace-free tensors again."""

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from camlip.nn.stf import stf_tensors


@cache
def coupling(a: int, b: int, c: int) -> np.ndarray:
    r"""Coupling coefficients of two packed STF tensors of ranks a and b to rank c.

    .. math:: K_{xyz} \propto E^c_z : \mathrm{contract}_k(E^a_x, E^b_y), \quad k = (a + b - c) / 2

    contracting the last k axes of the first with the last k of the second, and scaled to
    :math:`\lVert K \rVert^2 = 2c + 1`.  Only even paths exist (a + b + c even).

    Args:
        a: rank of the first factor.
        b: rank of the second factor.
        c: rank of the product, ``|a - b| <= c <= a + b``.

    Returns:
        float64 array of shape (2a+1, 2b+1, 2c+1); do not write to it.

    Raises:
        ValueError: if the path does not exist.

    >>> coupling(1, 1, 0)[:, :, 0].round(3).tolist()[0]
    [0.577, 0.0, 0.0]
    """
    if (a + b + c) % 2 or not abs(a - b) <= c <= a + b:
        raise ValueError(f"coupling: path ({a}, {b}, {c}) does not exist; a + b + c must be even")
    k = (a + b - c) // 2
    first, second, third = stf_tensors(a), stf_tensors(b), stf_tensors(c)
    left, right = "abc"[: a - k], "def"[: b - k]
    inner = "ghi"[:k]
    tensor = np.einsum(f"x{left}{inner},y{right}{inner},z{left}{right}->xyz", first, second, third)
    tensor *= math.sqrt((2 * c + 1) / np.sum(tensor**2))
    tensor[np.abs(tensor) < 1e-14] = 0.0
    tensor.flags.writeable = False
    return tensor


def contraction_paths(max_rank: int) -> list[tuple[int, int, int]]:
    """All even paths (a, b, c) with 1 <= a <= b and every rank at most ``max_rank``, sorted.

    This order is the order of the product weights in the model file.

    >>> contraction_paths(2)
    [(1, 1, 0), (1, 1, 2), (1, 2, 1), (2, 2, 0), (2, 2, 2)]
    """
    return [
        (a, b, c)
        for a in range(1, max_rank + 1)
        for b in range(a, max_rank + 1)
        for c in range(b - a, min(a + b, max_rank) + 1, 2)
    ]


def pair_products(max_rank: int) -> list[tuple[int, int, list[tuple[int, int]], np.ndarray]]:
    """The paths grouped by their factors, as products of components and a matrix.

    Returns:
        For each (a, b): a, b, the pairs of component indices (within all (L+1)^2 components) that
        are multiplied, and the matrix of shape (rows, pairs) that takes the products to the
        components of every path (a, b, c), paths in the order of :func:`contraction_paths`.
    """
    groups = []
    for a in range(1, max_rank + 1):
        for b in range(a, max_rank + 1):
            paths = [path for path in contraction_paths(max_rank) if path[:2] == (a, b)]
            if not paths:
                continue
            pairs = [(x, y) for x in range(2 * a + 1) for y in range(2 * b + 1) if a != b or x <= y]
            rows = []
            for path in paths:
                tensor = coupling(*path)
                rows.append(
                    np.array(
                        [
                            tensor[x, y] + (tensor[y, x] if a == b and x != y else 0.0)
                            for x, y in pairs
                        ]
                    ).T
                )
            matrix = np.concatenate(rows)
            used = np.any(matrix != 0, axis=0)
            kept = [(a * a + x, b * b + y) for (x, y), use in zip(pairs, used, strict=True) if use]
            groups.append((a, b, kept, matrix[:, used]))
    return groups


class Contraction(nn.Module):
    r"""Products of moments, mixed over channels: the tensors B and D of an atom block.

    .. math:: B^c = \sum_{(a,b,c)} w_{z_i}^{abc} \odot K^{abc}(A^a, A^b), \qquad
              D^l = B^l V^l + \omega^l \odot A^l

    Args:
        max_rank: L.
        num_channels: C.
        num_types: number of elements.
        per_element: whether the weights w differ between elements.

    Source: docs/derivations.md, eqs. (5) and (6).
    """

    left: Tensor
    right: Tensor
    matrix: Tensor
    path_of_row: Tensor
    component_of_row: Tensor
    bounds: list[list[int]]
    blocks: list[list[int]]

    def __init__(
        self, max_rank: int, num_channels: int, num_types: int, per_element: bool = True
    ) -> None:
        super().__init__()
        self.max_rank = max_rank
        self.num_components = (max_rank + 1) ** 2
        self.num_paths = len(contraction_paths(max_rank))
        self.per_element = per_element and num_types > 1
        left, right, blocks, paths, components = [], [], [], [], []
        bounds: list[list[int]] = []
        path = 0
        for a, b, pairs, matrix in pair_products(max_rank):
            bounds.append([len(left), len(left) + len(pairs)])
            left += [i for i, _ in pairs]
            right += [j for _, j in pairs]
            blocks.append(torch.tensor(matrix))
            for _, _, c in [p for p in contraction_paths(max_rank) if p[:2] == (a, b)]:
                paths += [path] * (2 * c + 1)
                components += range(c * c, (c + 1) ** 2)
                path += 1
        self.bounds = bounds
        self.blocks = [list(block.shape) for block in blocks]
        self.register_buffer("left", torch.tensor(left, dtype=torch.long), persistent=False)
        self.register_buffer("right", torch.tensor(right, dtype=torch.long), persistent=False)
        flat = [block.flatten() for block in blocks]
        self.register_buffer(
            "matrix",
            torch.cat(flat) if flat else torch.zeros(0, dtype=torch.float64),
            persistent=False,
        )
        self.register_buffer("path_of_row", torch.tensor(paths, dtype=torch.long), persistent=False)
        self.register_buffer(
            "component_of_row", torch.tensor(components, dtype=torch.long), persistent=False
        )
        rows = num_types if self.per_element else 1
        self.weight = nn.Parameter(torch.full((rows, self.num_paths, num_channels), 0.5))
        self.mixing = nn.Parameter(
            torch.randn(max_rank + 1, num_channels, num_channels) / math.sqrt(num_channels)
        )
        self.skip = nn.Parameter(torch.ones(max_rank + 1, num_channels))

    def products(self, moments: Tensor, types: Tensor) -> Tensor:
        """B of shape ((L+1)^2, N, C) from moments A of shape ((L+1)^2, N, C)."""
        num_components, num_atoms, num_channels = moments.shape
        if self.num_paths == 0:
            return torch.zeros_like(moments)
        products = moments.index_select(0, self.left) * moments.index_select(0, self.right)
        matrix = self.matrix.to(moments.dtype)
        coupled: list[Tensor] = []
        # Split once: the gradient of each slice by itself would be a full array of zeros.
        parts = products.flatten(1).split([bound[1] - bound[0] for bound in self.bounds])
        start = 0
        for chosen, block in zip(parts, self.blocks):  # noqa: B905 (TorchScript)
            size = block[0] * block[1]
            coefficients = matrix[start : start + size].view(block[0], block[1])
            start += size
            coupled.append(torch.matmul(coefficients, chosen))
        rows = torch.cat(coupled).view(-1, num_atoms, num_channels)
        weight = self.weight.index_select(1, self.path_of_row).transpose(0, 1)
        if self.per_element:
            weight = weight.index_select(1, types)
        return torch.zeros(
            num_components, num_atoms, num_channels, dtype=moments.dtype, device=moments.device
        ).index_add(0, self.component_of_row, rows * weight)

    def forward(self, moments: Tensor, types: Tensor) -> Tensor:
        """D of shape ((L+1)^2, N, C) from moments A of shape ((L+1)^2, N, C)."""
        sizes = [2 * rank + 1 for rank in range(self.max_rank + 1)]
        products = self.products(moments, types).split(sizes)
        parts = moments.split(sizes)
        mixed: list[Tensor] = []
        for rank in range(self.max_rank + 1):
            mixed.append(
                torch.matmul(products[rank], self.mixing[rank]) + self.skip[rank] * parts[rank]
            )
        return torch.cat(mixed)
