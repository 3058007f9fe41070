"""Packed symmetric trace-free (STF) tensors of a direction, ranks 0 to 3.

A rank-l STF tensor has 2l+1 independent components.  They are kept with respect to an orthonormal
basis ``E^l_m``, so that every full contraction is a plain dot product of packed components.
Components of all ranks are stacked: rank l occupies ``[l^2, (l+1)^2)``.
"""

import itertools
import math

import numpy as np
import torch
from torch import Tensor

MAX_RANK = 3

_K = 1 / math.sqrt(10)
# Component m of rank l as polynomials of (x, y, z): {(powers of x, y, z): coefficient}.
_POLYNOMIALS: list[list[dict[tuple[int, int, int], float]]] = [
    [{(0, 0, 0): 1.0}],
    [{(1, 0, 0): 1.0}, {(0, 1, 0): 1.0}, {(0, 0, 1): 1.0}],
    [
        {(1, 1, 0): math.sqrt(2)},
        {(0, 1, 1): math.sqrt(2)},
        {(1, 0, 1): math.sqrt(2)},
        {(2, 0, 0): math.sqrt(0.5), (0, 2, 0): -math.sqrt(0.5)},
        {
            (0, 0, 2): 2 / math.sqrt(6),
            (2, 0, 0): -1 / math.sqrt(6),
            (0, 2, 0): -1 / math.sqrt(6),
        },
    ],
    [
        {(2, 1, 0): 3 * _K * math.sqrt(2.5), (0, 3, 0): -_K * math.sqrt(2.5)},
        {(1, 1, 1): 2 * _K * math.sqrt(15)},
        {
            (0, 1, 2): 4 * _K * math.sqrt(1.5),
            (2, 1, 0): -_K * math.sqrt(1.5),
            (0, 3, 0): -_K * math.sqrt(1.5),
        },
        {(0, 0, 3): 2 * _K, (2, 0, 1): -3 * _K, (0, 2, 1): -3 * _K},
        {
            (1, 0, 2): 4 * _K * math.sqrt(1.5),
            (3, 0, 0): -_K * math.sqrt(1.5),
            (1, 2, 0): -_K * math.sqrt(1.5),
        },
        {(2, 0, 1): _K * math.sqrt(15), (0, 2, 1): -_K * math.sqrt(15)},
        {(3, 0, 0): _K * math.sqrt(2.5), (1, 2, 0): -3 * _K * math.sqrt(2.5)},
    ],
]


def stf_tensors(rank: int) -> np.ndarray:
    """The orthonormal basis tensors ``E^l_m`` in full Cartesian form.

    Args:
        rank: l, 0 to 3.

    Returns:
        float64 array of shape (2l+1, 3, ..., 3) with l Cartesian axes: each ``E^l_m`` is symmetric
        and trace-free, and ``E^l_m : E^l_n = delta_mn``.

    Source: docs/derivations.md, section "Packed STF tensors".

    >>> E = stf_tensors(2).reshape(5, 9)
    >>> bool(np.allclose(E @ E.T, np.eye(5)))
    True
    """
    components = np.zeros((2 * rank + 1,) + (3,) * rank)
    for m, polynomial in enumerate(_POLYNOMIALS[rank]):
        for index in itertools.product(range(3), repeat=rank):
            powers = tuple(index.count(axis) for axis in range(3))
            coefficient = polynomial.get(powers, 0.0)  # type: ignore[arg-type]
            a, b, c = powers
            orderings = math.factorial(rank) / (
                math.factorial(a) * math.factorial(b) * math.factorial(c)
            )
            components[(m, *index)] = coefficient / orderings
    return components


def stf_basis(directions: Tensor, max_rank: int) -> Tensor:
    r"""Packed STF components of unit vectors, all ranks up to ``max_rank``.

    .. math:: Y^l_m(u) = E^l_m : u^{\otimes l}

    Args:
        directions: unit vectors, shape (E, 3).
        max_rank: L, 0 to 3.

    Returns:
        Shape (E, (L+1)^2); rank l in columns ``[l^2, (l+1)^2)``, with
        ``|Y^l|^2`` = 1, 1, 2/3, 2/5 for l = 0, 1, 2, 3.

    Source: docs/derivations.md, section "Packed STF tensors".

    >>> stf_basis(torch.tensor([[0.0, 0.0, 1.0]]), 1)
    tensor([[1., 0., 0., 1.]])
    """
    x = directions[:, 0]
    y = directions[:, 1]
    z = directions[:, 2]
    columns = [torch.ones_like(x)]
    if max_rank >= 1:
        columns += [x, y, z]
    if max_rank >= 2:
        s2 = math.sqrt(2.0)
        columns += [
            s2 * x * y,
            s2 * y * z,
            s2 * x * z,
            (x * x - y * y) / s2,
            (2 * z * z - x * x - y * y) / math.sqrt(6.0),
        ]
    if max_rank >= 3:
        k = 1 / math.sqrt(10.0)
        q = 4 * z * z - x * x - y * y
        columns += [
            k * math.sqrt(2.5) * y * (3 * x * x - y * y),
            2 * k * math.sqrt(15.0) * x * y * z,
            k * math.sqrt(1.5) * y * q,
            k * z * (2 * z * z - 3 * x * x - 3 * y * y),
            k * math.sqrt(1.5) * x * q,
            k * math.sqrt(15.0) * z * (x * x - y * y),
            k * math.sqrt(2.5) * x * (x * x - 3 * y * y),
        ]
    return torch.stack(columns, dim=1)
