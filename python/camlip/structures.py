"""Random structures of sensible density: material for comparisons and for random models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from numpy.typing import NDArray

_IMAGES = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


def random_structure(
    atomic_numbers: Sequence[int],
    num_atoms: int,
    seed: int = 0,
    pbc: bool | Sequence[bool] = True,
    closest: float = 0.9,
) -> Atoms:
    """Atoms thrown into a slightly triclinic cell, no pair much closer than a chemical bond.

    Args:
        atomic_numbers: elements, in equal shares.
        num_atoms: how many atoms.
        seed: of the random numbers.
        pbc: periodic directions; along the others the cell has a vacuum of 12 Angstrom.
        closest: smallest distance in units of the sum of covalent radii.

    Returns:
        Atoms at the density of ordinary matter (covalent spheres fill up to 30 % of the volume).

    >>> len(random_structure([14, 8], 12))
    12
    """
    rng = np.random.default_rng(seed)
    periodic = np.broadcast_to(np.asarray(pbc, dtype=bool), 3)
    numbers = np.resize(np.asarray(atomic_numbers, dtype=int), num_atoms)
    radii = covalent_radii[numbers]
    # Small atoms leave room between molecules: 10 A^3 for each atom of water.
    space = float((np.maximum(radii, 0.9) ** 3).sum())
    edge = (4 * np.pi / 3 * space / 0.3) ** (1 / 3) if num_atoms else 10.0
    tilt = np.tril(rng.uniform(-0.2, 0.2, (3, 3)), -1)
    cell = edge * (np.diag(rng.uniform(0.9, 1.1, 3)) + tilt)
    positions = np.zeros((num_atoms, 3))
    allowed = closest
    for i in range(num_atoms):
        for trial in range(1000):
            positions[i] = rng.random(3) @ cell
            if trial % 200 == 199:  # a jammed corner: accept a closer neighbor
                allowed *= 0.97
            if _reduced(positions[:i], positions[i], cell, radii[:i] + radii[i]) > allowed:
                break
    box = cell + np.diag(np.where(periodic, 0.0, 12.0))
    return Atoms(numbers, positions, cell=box if periodic.any() else None, pbc=periodic)


def _reduced(
    others: NDArray[np.float64],
    position: NDArray[np.float64],
    cell: NDArray[np.float64],
    reach: NDArray[np.float64],
) -> float:
    """Smallest distance to the others and their images, in units of ``reach``."""
    vectors = others[:, None] - position + _IMAGES @ cell
    distances = np.linalg.norm(vectors, axis=2).min(axis=1, initial=np.inf)
    return float((distances / reach).min(initial=np.inf))


def sample_structures(atomic_numbers: Sequence[int], seed: int = 0) -> dict[str, Atoms]:
    """One structure of every kind that hosts can send.

    Args:
        atomic_numbers: elements; more than four are thinned out.
        seed: of the random numbers.

    Returns:
        ``bulk``, ``slab``, ``molecule``, ``small_cell`` (triclinic, smaller than any sensible
        cutoff), ``atom`` (isolated) and ``empty``.
    """
    chosen = [int(z) for z in atomic_numbers]
    if len(chosen) > 4:
        chosen = [chosen[i] for i in np.linspace(0, len(chosen) - 1, 4).astype(int)]
    small = random_structure(chosen[:2], 2, seed + 3)
    small.set_cell(small.cell.array @ [[1, 0, 0], [0.45, 1, 0], [-0.3, 0.4, 1]], scale_atoms=True)
    return {
        "bulk": random_structure(chosen, 24, seed),
        "slab": random_structure(chosen, 16, seed + 1, pbc=[True, True, False]),
        "molecule": random_structure(chosen, 9, seed + 2, pbc=False),
        "small_cell": small,
        "atom": Atoms(numbers=[chosen[-1]], positions=[[1.0, 2.0, 3.0]]),
        "empty": Atoms(),
    }
