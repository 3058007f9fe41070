"""Structures in memory with their neighbor lists, and numbers that set the scale of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch.utils.data
from numpy.typing import NDArray
from tqdm import tqdm

from camlip.data.batch import Item
from camlip.data.neighbors import neighbor_list
from camlip.data.structure import DataError, Structure, place, symbols

PROGRESS_FROM = 200


class AnyDataset(Protocol):
    """What the trainer needs of :class:`Dataset` and of ``StoredDataset``."""

    atomic_numbers: tuple[int, ...]
    cutoff: float
    num_atoms: NDArray[np.int64]
    num_edges: NDArray[np.int64]

    @property
    def structures(self) -> Sequence[Structure]:
        """Structures without neighbor lists, in order."""
        ...

    def __len__(self) -> int:
        """Return the number of structures."""
        ...

    def __getitem__(self, index: int) -> Item:
        """Return one structure with its neighbor list."""
        ...


class Dataset(torch.utils.data.Dataset[Item]):
    """Structures with neighbor lists that are built once, here.

    Args:
        structures: at least one.
        atomic_numbers: elements of the model; an atom's type is the index in this list.
        cutoff: Angstrom.
        progress: show a progress bar; default: for more than 200 structures.

    Attributes:
        structures: as given.
        num_atoms: atoms of each structure, int64.
        num_edges: edges of each structure, int64.

    Raises:
        DataError: for an element outside ``atomic_numbers``, two atoms at the same place, or no
            structures.

    >>> hydrogen = Structure(np.array([[0, 0, 0], [0, 0, 0.7]]), np.array([1, 1]))
    >>> Dataset([hydrogen], atomic_numbers=[8], cutoff=5.0)
    Traceback (most recent call last):
    camlip.data.structure.DataError: structure 0 (H2): element H is not among those of the model: O
    """

    def __init__(
        self,
        structures: Sequence[Structure],
        atomic_numbers: Sequence[int],
        cutoff: float,
        *,
        progress: bool | None = None,
    ) -> None:
        """Build the neighbor lists."""
        if len(structures) == 0:
            raise DataError("data set: no structures given, expected at least one")
        self.structures: list[Structure] = list(structures)
        self.atomic_numbers = tuple(int(z) for z in atomic_numbers)
        self.cutoff = float(cutoff)
        self._lookup = type_lookup(self.atomic_numbers)
        # Before the neighbor lists, which take the time.
        for k, s in enumerate(self.structures):
            to_types(s, k, self._lookup, self.atomic_numbers)
        show = len(structures) > PROGRESS_FROM if progress is None else progress
        self._neighbors = [
            pack_neighbors(s, k, self.cutoff)
            for k, s in enumerate(
                tqdm(self.structures, "neighbor lists", disable=None if show else True)
            )
        ]
        self.num_atoms = np.array([s.num_atoms for s in self.structures], dtype=np.int64)
        self.num_edges = np.array([len(n[1]) for n in self._neighbors], dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.structures)

    def __getitem__(self, index: int) -> Item:
        """Return one structure with its neighbor list, for :func:`camlip.data.collate`."""
        structure = self.structures[index]
        types = to_types(structure, index, self._lookup, self.atomic_numbers)
        return Item(structure, types, *self._neighbors[index], index=index)


class Subset(torch.utils.data.Dataset[Item]):
    """Some structures of a data set, with the same interface.

    Args:
        dataset: a ``Dataset`` or ``StoredDataset``.
        indices: positions in it; the order is kept.

    >>> hydrogen = [Structure(np.eye(3)[:2] * k, np.array([1, 1])) for k in (1, 2, 3)]
    >>> len(Subset(Dataset(hydrogen, [1], cutoff=5.0), [0, 2]))
    2
    """

    def __init__(self, dataset: AnyDataset, indices: Sequence[int]) -> None:
        """Choose the structures."""
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.int64)
        self.atomic_numbers, self.cutoff = dataset.atomic_numbers, dataset.cutoff
        self.num_atoms = dataset.num_atoms[self.indices]
        self.num_edges = dataset.num_edges[self.indices]

    @property
    def structures(self) -> Sequence[Structure]:
        """Structures without neighbor lists, in order, fetched when asked for."""
        return LazyStructures(lambda k: self.dataset.structures[int(self.indices[k])], len(self))

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.indices)

    def __getitem__(self, index: int) -> Item:
        """Return one structure with its neighbor list; its index is the one in the subset."""
        return dataclasses.replace(self.dataset[int(self.indices[index])], index=index)


class LazyStructures(Sequence[Structure]):
    """Sequence whose entries are fetched when asked for."""

    def __init__(self, fetch: Callable[[int], Structure], length: int) -> None:
        """Keep the function that fetches."""
        self._fetch, self._length = fetch, length

    def __len__(self) -> int:
        """Return the number of structures."""
        return self._length

    def __getitem__(self, index: Any) -> Any:
        """Return one structure, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self._fetch(k) for k in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            raise IndexError(f"structure {index} of {self._length}")
        return self._fetch(index % self._length)


def type_lookup(atomic_numbers: Sequence[int]) -> NDArray[np.int64]:
    """Table from atomic number to type, -1 for elements outside the model."""
    if len(set(atomic_numbers)) != len(atomic_numbers) or len(atomic_numbers) == 0:
        raise DataError(
            f"data set: atomic_numbers is {list(atomic_numbers)}, expected different elements"
        )
    lookup = np.full(119, -1, dtype=np.int64)
    lookup[list(atomic_numbers)] = np.arange(len(atomic_numbers))
    return lookup


def to_types(
    structure: Structure, index: int, lookup: NDArray[np.int64], atomic_numbers: Sequence[int]
) -> NDArray[np.int64]:
    """Types of the atoms; raises DataError that names an element outside the model."""
    types = lookup[structure.atomic_numbers]
    if types.min() < 0:
        unknown = np.unique(structure.atomic_numbers[types < 0])
        raise DataError(
            f"{_name(structure, index)}: element {symbols(unknown)} is not among those of the "
            f"model: {symbols(atomic_numbers)}"
        )
    return types


def pack_neighbors(
    structure: Structure, index: int, cutoff: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Neighbor list in 5 bytes per edge for small structures.

    Returns:
        Number of neighbors of each atom, neighbor of each edge (uint16 or int32) and its shift
        (int8 or int32).

    Raises:
        DataError: if two atoms are at the same place.
    """
    s = structure
    edge_index, shifts = neighbor_list(s.positions, s.cell, s.pbc, cutoff)
    vectors = s.positions[edge_index[1]] - s.positions[edge_index[0]] + shifts @ s.cell
    if len(vectors):
        closest = int(np.argmin(np.einsum("ea,ea->e", vectors, vectors)))
        if (distance := float(np.linalg.norm(vectors[closest]))) < 1e-3:
            i, j = edge_index[:, closest]
            raise DataError(
                f"{_name(s, index)}: atoms {i} and {j} are {distance:.1e} A apart; remove the "
                "structure (`camlip data FILE --drop clean.xyz`)"
            )
    counts = np.bincount(edge_index[0], minlength=s.num_atoms).astype(np.int32)
    neighbors = edge_index[1].astype(np.uint16 if s.num_atoms <= 65536 else np.int32)
    small = len(shifts) == 0 or int(np.abs(shifts).max()) < 128
    return counts, neighbors, shifts.astype(np.int8 if small else np.int32)


def average_num_neighbors(dataset: AnyDataset) -> float:
    """Mean number of neighbors of an atom within the cutoff.

    >>> hydrogen = Structure(np.array([[0, 0, 0], [0, 0, 0.7]]), np.array([1, 1]))
    >>> average_num_neighbors(Dataset([hydrogen], [1], cutoff=5.0))
    1.0
    """
    return float(dataset.num_edges.sum() / dataset.num_atoms.sum())


def shortest_distances(dataset: AnyDataset, sample: int = 20_000) -> NDArray[np.float64]:
    """Shortest distance of each pair of elements within the cutoff.

    Args:
        dataset: with neighbor lists.
        sample: look at so many structures, evenly spread, of a larger data set.

    Returns:
        Angstrom, shape (T, T), symmetric; infinite for pairs that are never neighbors.

    >>> water = Structure(np.array([[0, 0, 0], [0.96, 0, 0], [-0.2, 0.9, 0]]), np.array([8, 1, 1]))
    >>> shortest_distances(Dataset([water], [1, 8], cutoff=5.0)).round(2)
    array([[1.47, 0.92],
           [0.92,  inf]])
    """
    number = len(dataset.atomic_numbers)
    squares = np.full(number * number, np.inf)
    stride = max(1, -(-len(dataset) // sample))
    for index in range(0, len(dataset), stride):
        item = dataset[index]
        s = item.structure
        centers = np.repeat(np.arange(len(item.types)), item.counts)
        neighbors = item.neighbors.astype(np.int64)
        vectors = s.positions[neighbors] - s.positions[centers]
        if s.pbc.any():
            vectors = vectors + item.shifts @ s.cell
        pairs = item.types[centers] * number + item.types[neighbors]
        np.minimum.at(squares, pairs, np.einsum("ea,ea->e", vectors, vectors))
    found = np.sqrt(squares).reshape(number, number)
    return np.minimum(found, found.T)


def _name(structure: Structure, index: int) -> str:
    where = place(structure.source) or f"structure {index}"
    return f"{where} ({structure.formula})"
