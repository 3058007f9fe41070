"""Neighbor lists, by the vesin library."""

from __future__ import annotations

from typing import Any

import numpy as np
import vesin
from numpy.typing import NDArray

from camlip.data.structure import FloatArray


def neighbor_list(
    positions: FloatArray, cell: FloatArray, pbc: Any, cutoff: float
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Full neighbor list: every pair appears as (i, j) and as (j, i).

    Edge ``e`` goes from center ``i`` to neighbor ``j`` with
    ``r_ij = positions[j] - positions[i] + shifts[e] @ cell`` and ``|r_ij| < cutoff``.  Any cell
    works: triclinic, smaller than the cutoff (an atom is then its own neighbor through an
    image), periodic in some directions only, none.

    Args:
        positions: Angstrom, shape (n, 3); atoms may lie outside the cell.
        cell: rows are the lattice vectors in Angstrom, shape (3, 3).
        pbc: periodic along each lattice vector, shape (3,).
        cutoff: Angstrom.

    Returns:
        ``edge_index``, int64, shape (2, E), sorted by its first row (the centers), and
        ``shifts``, int32, shape (E, 3).

    Raises:
        ValueError: if the cutoff is not positive.

    >>> edge_index, shifts = neighbor_list(np.zeros((1, 3)), 2.0 * np.eye(3), [True] * 3, 2.5)
    >>> edge_index.shape, shifts.shape
    ((2, 6), (6, 3))
    """
    if not cutoff > 0.0:
        raise ValueError(f"neighbor_list: cutoff is {cutoff}, expected a positive number")
    if len(positions) == 0:
        return np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3), dtype=np.int32)
    # One thread: structures are small, and the order of the pairs stays the same everywhere.
    calculator = vesin.NeighborList(cutoff=cutoff, full_list=True, sorted=True, n_threads=1)
    pairs, shifts = calculator.compute(
        np.asarray(positions, dtype=np.float64),
        np.asarray(cell, dtype=np.float64),
        [bool(p) for p in pbc],
        quantities="PS",
    )
    edge_index = np.ascontiguousarray(pairs.reshape(-1, 2).T.astype(np.int64))
    return edge_index, np.ascontiguousarray(shifts.reshape(-1, 3), dtype=np.int32)
