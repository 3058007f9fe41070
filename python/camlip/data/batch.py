"""Structures put end to end for the model, and the sampler that decides which ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from camlip.data.structure import DataError, Structure

if TYPE_CHECKING:
    from camlip.data.dataset import AnyDataset


@dataclass(frozen=True, eq=False)
class Item:
    """One structure of a data set with its neighbor list.

    Attributes:
        structure: geometry and labels.
        types: index of each atom's element in the model's list, int64, shape (n,).
        counts: number of neighbors of each atom, shape (n,); their sum is E.
        neighbors: neighbor ``j`` of each edge, grouped by center, shape (E,).
        shifts: cell shift of each edge, small integers, shape (E, 3).
        index: position in the data set.
    """

    structure: Structure
    types: NDArray[np.int64]
    counts: NDArray[Any]
    neighbors: NDArray[Any]
    shifts: NDArray[Any]
    index: int


@dataclass
class Batch:
    """S structures with N atoms and E edges in total, as tensors.

    A label that is missing is 0 and its mask is 0.  Units are eV and Angstrom.

    Attributes:
        positions: (N, 3).
        types: index in the model's list of elements, int64, (N,).
        structure_index: structure of each atom, int64, (N,), ascending.
        cells: rows are lattice vectors, (S, 3, 3).
        edge_index: centers and neighbors, int64, (2, E), sorted by the centers (row 0).
        edge_shifts: whole numbers of lattice vectors, as floats, (E, 3).
        num_atoms: int64, (S,).
        energy: total energies, always float64, (S,).
        forces: (N, 3).
        stress: (S, 3, 3), ASE sign.
        energy_mask: 1 where the label exists, else 0, (S,).
        forces_mask: (N,).
        stress_mask: (S,).
        weight: factor in the loss, (S,).
        volume: Angstrom^3, (S,); 0 unless periodic in three directions.
        dataset_index: position of each structure in the data set, int64, (S,).
    """

    positions: Tensor
    types: Tensor
    structure_index: Tensor
    cells: Tensor
    edge_index: Tensor
    edge_shifts: Tensor
    num_atoms: Tensor
    energy: Tensor
    forces: Tensor
    stress: Tensor
    energy_mask: Tensor
    forces_mask: Tensor
    stress_mask: Tensor
    weight: Tensor
    volume: Tensor
    dataset_index: Tensor

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Batch:
        """Copy on another device; floating tensors become ``dtype``.

        The total energies stay float64: they are large numbers from which the reference energies
        of the elements are still to be subtracted.
        """
        moved: dict[str, Tensor] = {}
        for field in dataclasses.fields(self):
            value: Tensor = getattr(self, field.name)
            convert = value.is_floating_point() and field.name != "energy"
            moved[field.name] = value.to(
                device=device, dtype=dtype if convert else None, non_blocking=True
            )
        return Batch(**moved)

    def pin_memory(self) -> Batch:
        """Copy in page-locked memory (called by ``DataLoader(pin_memory=True)``)."""
        fields = dataclasses.fields(self)
        return Batch(**{f.name: getattr(self, f.name).pin_memory() for f in fields})

    @property
    def num_structures(self) -> int:
        """Number of structures S."""
        return len(self.num_atoms)

    def edge_vectors(self, positions: Tensor | None = None, cells: Tensor | None = None) -> Tensor:
        """Vectors ``r_j - r_i + shift @ cell`` of the edges.

        Args:
            positions: (N, 3), default ``self.positions``; pass the tensor that carries the
                gradient.
            cells: (S, 3, 3), default ``self.cells``; pass the strained cells for the stress.

        Returns:
            Angstrom, shape (E, 3).
        """
        positions = self.positions if positions is None else positions
        cells = self.cells if cells is None else cells
        center, neighbor = self.edge_index[0], self.edge_index[1]
        shift = torch.einsum("ea,eab->eb", self.edge_shifts, cells[self.structure_index[center]])
        return positions[neighbor] - positions[center] + shift


def collate(items: Sequence[Item]) -> Batch:
    """Put structures end to end; the ``collate_fn`` of a ``DataLoader``.

    Args:
        items: entries of a data set, at least one.

    Returns:
        Batch on the CPU, floating tensors in float64.

    Raises:
        ValueError: if ``items`` is empty.

    >>> from camlip.data import Dataset
    >>> hydrogen = Structure(np.array([[0, 0, 0], [0, 0, 0.7]]), np.array([1, 1]), energy=-31.7)
    >>> batch = collate([Dataset([hydrogen], [1, 8], cutoff=5.0)[0]] * 2)
    >>> batch.edge_index
    tensor([[0, 1, 2, 3],
            [1, 0, 3, 2]])
    >>> batch.edge_vectors()[0]
    tensor([0.0000, 0.0000, 0.7000], dtype=torch.float64)
    """
    if not items:
        raise ValueError("collate: no structures given, expected at least one")
    structures = [item.structure for item in items]
    num_atoms = np.array([s.num_atoms for s in structures], dtype=np.int64)
    num_edges = np.array([len(item.neighbors) for item in items], dtype=np.int64)
    first_atom = np.cumsum(num_atoms) - num_atoms
    total = int(num_atoms.sum())
    counts = np.concatenate([item.counts for item in items]).astype(np.int64)
    edge_index = np.empty((2, int(num_edges.sum())), dtype=np.int64)
    edge_index[0] = np.repeat(np.arange(total), counts)
    edge_index[1] = np.concatenate([item.neighbors for item in items])
    edge_index[1] += np.repeat(first_atom, num_edges)

    forces = np.zeros((total, 3))
    forces_mask = np.zeros(total)
    for start, s in zip(first_atom, structures, strict=True):
        if s.forces is not None:
            known = np.isfinite(s.forces[:, 0])
            forces[start : start + s.num_atoms] = np.nan_to_num(s.forces)
            forces_mask[start : start + s.num_atoms] = known
    zero = np.zeros((3, 3))

    def per_structure(values: list[Any]) -> Tensor:
        return torch.from_numpy(np.array(values, dtype=np.float64))

    return Batch(
        positions=torch.from_numpy(np.concatenate([s.positions for s in structures])),
        types=torch.from_numpy(np.concatenate([item.types for item in items]).astype(np.int64)),
        structure_index=torch.from_numpy(np.repeat(np.arange(len(items)), num_atoms)),
        cells=per_structure([s.cell for s in structures]),
        edge_index=torch.from_numpy(edge_index),
        edge_shifts=torch.from_numpy(
            np.concatenate([item.shifts for item in items]).astype(np.float64)
        ),
        num_atoms=torch.from_numpy(num_atoms),
        energy=per_structure([0.0 if s.energy is None else s.energy for s in structures]),
        forces=torch.from_numpy(forces),
        stress=per_structure([zero if s.stress is None else s.stress for s in structures]),
        energy_mask=per_structure([s.energy is not None for s in structures]),
        forces_mask=torch.from_numpy(forces_mask),
        stress_mask=per_structure([s.stress is not None for s in structures]),
        weight=per_structure([s.weight for s in structures]),
        volume=per_structure([s.volume for s in structures]),
        dataset_index=torch.from_numpy(np.array([item.index for item in items], dtype=np.int64)),
    )


class BatchSampler(Sampler[list[int]]):
    """Batches of about equal size, the same for a given seed and epoch.

    Every structure appears once per epoch; with several ranks the batches are dealt in turn, and
    the first ones are repeated until all ranks have equally many.

    Args:
        dataset: has ``num_atoms``, the size of each structure.
        atoms_per_batch: close a batch before it exceeds this; a larger structure goes alone.
        structures_per_batch: close a batch at this many structures.  With both limits, the one
            that is reached first counts.
        shuffle: new order in each epoch.
        seed: of the order.
        rank: index of this process.
        world_size: number of processes.

    Raises:
        DataError: if neither limit is given, one is not positive, or the data set is empty.

    >>> class Three:
    ...     num_atoms = np.array([2, 3, 9])
    >>> list(BatchSampler(Three(), atoms_per_batch=6, structures_per_batch=None, shuffle=False))
    [[0, 1], [2]]
    """

    def __init__(
        self,
        dataset: AnyDataset,
        atoms_per_batch: int | None = None,
        structures_per_batch: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Check the limits and choose the order of epoch 0."""
        limits = {"atoms_per_batch": atoms_per_batch, "structures_per_batch": structures_per_batch}
        if atoms_per_batch is None and structures_per_batch is None:
            raise DataError("batch sampler: give atoms_per_batch or structures_per_batch")
        for name, value in limits.items():
            if value is not None and value < 1:
                raise DataError(f"batch sampler: {name} is {value}, expected at least 1")
        if not 0 <= rank < world_size:
            raise DataError(f"batch sampler: rank is {rank}, expected 0 to {world_size - 1}")
        self.sizes = np.asarray(dataset.num_atoms)
        if len(self.sizes) == 0:
            raise DataError("batch sampler: the data set is empty, expected structures")
        self.atoms_per_batch = atoms_per_batch
        self.structures_per_batch = structures_per_batch
        self.shuffle, self.seed = shuffle, seed
        self.rank, self.world_size = rank, world_size
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch."""
        self.epoch = epoch
        order = np.arange(len(self.sizes))
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        self._deal(self._fill(order))

    def _fill(self, order: NDArray[np.int64]) -> list[list[int]]:
        """Batches of structures in this order."""
        batches: list[list[int]] = []
        atoms = 0
        for index in order.tolist():
            size = int(self.sizes[index])
            if (
                not batches
                or (self.structures_per_batch and len(batches[-1]) >= self.structures_per_batch)
                or (self.atoms_per_batch and atoms + size > self.atoms_per_batch)
            ):
                batches.append([])
                atoms = 0
            batches[-1].append(index)
            atoms += size
        return batches

    def _deal(self, batches: list[list[int]]) -> None:
        """Keep those of this rank."""
        per_rank = -(-len(batches) // self.world_size)
        self._batches = [
            batches[(self.rank + k * self.world_size) % len(batches)] for k in range(per_rank)
        ]

    def __iter__(self) -> Iterator[list[int]]:
        """Yield lists of indices into the data set."""
        return iter(self._batches)

    def __len__(self) -> int:
        """Return the number of batches of this rank in the chosen epoch."""
        return len(self._batches)
