"""Models with random weights whose energies and forces have a natural size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from camlip.data.neighbors import neighbor_list
from camlip.models import CartesianMoments, preset
from camlip.structures import random_structure


def edges(atoms: Atoms, cutoff: float) -> tuple[Tensor, Tensor]:
    """Neighbor list of a structure as tensors.

    Returns:
        ``edge_index`` (2, E) and the Cartesian ``edge_shifts`` (E, 3) in Angstrom, float64.
    """
    index, shifts = neighbor_list(atoms.positions, atoms.cell.array, atoms.pbc, cutoff)
    return torch.from_numpy(index), torch.from_numpy(shifts @ atoms.cell.array)


def random_model(
    name: str,
    atomic_numbers: Sequence[int],
    seed: int = 0,
    changes: Mapping[str, Any] | None = None,
) -> CartesianMoments:
    """A model with random weights, for tests and benchmarks.

    The invariants are scaled on random structures of sensible density (bulk, slab, molecule,
    crystals), and ``energy_scale`` is such that the forces on their atoms are 1 eV/A (root mean
    square, without the ZBL repulsion).

    Args:
        name: preset, see :func:`camlip.models.preset`.
        atomic_numbers: elements, any order.
        seed: the same seed gives the same model.
        changes: fields of the configuration to override.

    Returns:
        The model, float32 parameters, reference energies of -Z eV.

    Raises:
        ValueError: unknown preset, or a value out of range.
    """
    config = preset(name, **(changes or {}))
    numbers = sorted({int(z) for z in atomic_numbers})
    size = max(32, len(numbers))
    structures = [
        random_structure(numbers, size, seed),
        random_structure(numbers, size, seed + 1, pbc=[True, True, False]),
        random_structure(numbers, 9, seed + 2, pbc=False),
        # Crystals: the same neighbor many times over gives the largest invariants.
        *(random_structure(np.roll(numbers, k)[:2].tolist(), 2, seed + 3 + k) for k in range(8)),
    ]
    edge_index, vectors = _joined(structures, config.cutoff)
    types = torch.from_numpy(
        np.searchsorted(numbers, np.concatenate([a.numbers for a in structures]))
    )
    in_bulk = int((edge_index[0] < size).sum())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CartesianMoments(
            config,
            numbers,
            average_num_neighbors=max(1.0, in_bulk / size),
            reference_energies=[-float(z) for z in numbers],
        )
    model.requires_grad_(False)
    vectors = vectors.float().requires_grad_(True)
    model.use_zbl = False
    with torch.no_grad():
        model.run(vectors, edge_index, types, measure=True)
    (gradient,) = torch.autograd.grad(model(vectors, edge_index, types).sum(), vectors)
    model.use_zbl = config.zbl
    forces = torch.zeros(len(types), 3).index_add(0, edge_index[0], gradient)
    forces = forces.index_add(0, edge_index[1], -gradient)
    rms = float(forces.square().mean().sqrt())
    model.energy_scale.fill_(1.0 / rms if rms > 1e-12 else 1.0)
    return model.requires_grad_(True)


def _joined(structures: Sequence[Atoms], cutoff: float) -> tuple[Tensor, Tensor]:
    """Edges and edge vectors of several structures put end to end."""
    indices, vectors = [], []
    first = 0
    for atoms in structures:
        edge_index, shifts = edges(atoms, cutoff)
        positions = torch.from_numpy(atoms.positions)
        vectors.append(positions[edge_index[1]] - positions[edge_index[0]] + shifts)
        indices.append(edge_index + first)
        first += len(atoms)
    return torch.cat(indices, dim=1), torch.cat(vectors)
