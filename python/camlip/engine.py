"""The engine from Python: the functions of ``camlip.h``, with numpy arrays.  Needs no torch.

>>> from camlip.engine import Engine, Model                              # doctest: +SKIP
>>> model = Model("si.pt")                                               # doctest: +SKIP
>>> engine = Engine(model, precision="double")                           # doctest: +SKIP
>>> types = model.types([14, 14])                                        # doctest: +SKIP
>>> engine.compute_system([[0, 0, 0], [2.3, 0, 0]], types)["energy"]     # doctest: +SKIP
array(-9.07)
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray

from camlip import _engine
from camlip.errors import (
    ArgumentError,
    BackendError,
    EngineError,
    ExchangeError,
    InternalError,
    ModelFileError,
    NumericError,
    OutOfMemoryError,
)

__all__ = [
    "PROPERTIES",
    "ArgumentError",
    "BackendError",
    "Engine",
    "EngineError",
    "EngineInfo",
    "ExchangeError",
    "InternalError",
    "MemoryEstimate",
    "Model",
    "ModelFileError",
    "NeighborList",
    "Neighbors",
    "NumericError",
    "OutOfMemoryError",
    "backends",
    "model_path",
    "simd_paths",
    "symbols",
]

PROPERTIES = ("energy", "atomic_energies", "forces", "virial", "centroid_virial")

Results = dict[str, NDArray[np.float64]]
Callback = Callable[[NDArray[np.float64]], object]


def symbols(atomic_numbers: Iterable[int]) -> str:
    """Element symbols for messages.

    >>> symbols([1, 8])
    'H, O'
    """
    known = len(chemical_symbols)
    return ", ".join(chemical_symbols[z] if 0 < z < known else f"Z={z}" for z in atomic_numbers)


def model_path(name: str | os.PathLike[str]) -> str:
    """Path of a model file.

    Args:
        name: a path, or the name of a model that comes with camlip: ``camlip:silicon``, or
            ``silicon`` where there is no such file.

    Raises:
        ModelFileError: no such model: a name with ``camlip:``, or a word that is no file either.

    >>> model_path("runs/water.pt")
    'runs/water.pt'
    >>> os.path.basename(model_path("camlip:silicon")), os.path.basename(model_path("silicon"))
    ('silicon.pt', 'silicon.pt')
    """
    path = os.fspath(name)
    if path.isidentifier() and not os.path.exists(path):
        try:
            return _engine.model_path(f"camlip:{path}")
        except ModelFileError as error:
            raise ModelFileError(_no_such_model(path)) from error
    return _engine.model_path(path)


def _no_such_model(name: str) -> str:
    from camlip.pretrained import names

    known = names()
    close = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
    return f"model '{name}': neither a file nor one of the models of 'camlip models'; {hint}"


class Model:
    """Parameters of a model, read-only; may be shared by any number of engines and threads.

    Args:
        path: a model file, either form, or the name of a model that comes with camlip
            (``camlip models``).

    Attributes:
        path: the file, or the name given to :meth:`from_bytes`.
        cutoff: Angstrom.
        num_layers: 1 for a strictly local model.
        exchange_width: numbers per atom in one halo exchange, 0 if there is none.
        atomic_numbers: element of each type, ascending.
        metadata: of the file (docs/model_file.md), JSON values decoded.

    Raises:
        ModelFileError: if the file is missing or is not a valid model.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = model_path(path)
        self._describe(_engine.Model(path), path)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "in memory") -> Model:
        """A model from the bytes of a file; ``name`` is for messages."""
        model = cls.__new__(cls)
        model._describe(_engine.Model.from_bytes(data, name), name)
        return model

    def _describe(self, handle: _engine.Model, path: str) -> None:
        self._handle = handle
        info = handle.info()
        self.path = path
        self.cutoff: float = info["cutoff"]
        self.num_layers: int = info["num_layers"]
        self.exchange_width: int = info["exchange_width"]
        self.atomic_numbers: tuple[int, ...] = tuple(info["atomic_numbers"])
        self.metadata: dict[str, Any] = {}
        for key, value in json.loads(info["metadata_json"]).items():
            try:
                self.metadata[key] = json.loads(value)
            except (TypeError, ValueError):
                self.metadata[key] = value
        self._types = np.full(256, -1, dtype=np.int32)
        self._types[list(self.atomic_numbers)] = np.arange(len(self.atomic_numbers))

    def types(self, atomic_numbers: ArrayLike) -> NDArray[np.int32]:
        """Type of each atom, int32.

        Args:
            atomic_numbers: shape (N,).

        Raises:
            ArgumentError: if the model lacks an element; the message names it and an atom.
        """
        numbers = np.asarray(atomic_numbers, dtype=np.int64).reshape(-1)
        types = np.where((numbers >= 0) & (numbers < 256), self._types[numbers % 256], -1)
        unknown = np.flatnonzero(types < 0)
        if len(unknown):
            elements = np.unique(numbers[unknown])
            raise ArgumentError(
                f"atoms: model '{self.path}' has no element {symbols(elements)} (first at atom "
                f"{unknown[0]}, {len(unknown)} of {len(numbers)} atoms); it knows "
                f"{symbols(self.atomic_numbers)}"
            )
        return types.astype(np.int32)


@dataclass(frozen=True)
class EngineInfo:
    """What an engine chose and measured.

    Attributes:
        backend: the backend in use.
        precision: ``mixed`` or ``double``.
        simd: instruction set of the kernels.
        num_threads: OpenMP threads.
        radial_table_error: largest difference between table and radial network, relative to the
            largest value; 0 where nothing is tabulated.
        radial_table_derivative_error: the same for d/dr.
        memory_bytes: held by the engine.
    """

    backend: str
    precision: str
    simd: str
    num_threads: int
    radial_table_error: float
    radial_table_derivative_error: float
    memory_bytes: int


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on a device.

    Attributes:
        needed_bytes: with the largest workspace.
        least_bytes: with the smallest; with less there is an error.
        available_bytes: free, or held by the engine already.
    """

    needed_bytes: int
    least_bytes: int
    available_bytes: int


class Engine:
    """A model with a backend and scratch memory.  Calls from several threads wait for each other.

    Args:
        model: the parameters.
        backend: ``reference``, ``cpu``, ``cuda``, ``cuda:N``, or ``auto``: what the environment
            variable ``CAMLIP_BACKEND`` says, else ``cpu``; ``auto`` there means ``cuda`` where
            there is a device.
        precision: ``mixed`` (float32 with float64 sums) or ``double``.
        threads: default: what OpenMP would use.
        active_types: types that will appear; radial tables are made for these alone.
        skin: of the neighbor list of :meth:`compute_system`, Angstrom; default: the engine's.
        simd: ``auto``, ``avx512``, ``avx2`` or ``baseline``; ``auto`` is what the environment
            variable ``CAMLIP_SIMD`` says, or the widest of this processor.

    Raises:
        BackendError: if the backend or the instruction set is not there.
        ArgumentError: for any other wrong option.
    """

    def __init__(
        self,
        model: Model,
        backend: str = "auto",
        precision: str = "mixed",
        threads: int | None = None,
        active_types: Sequence[int] | None = None,
        skin: float | None = None,
        simd: str = "auto",
    ) -> None:
        self.model = model
        if threads is not None and threads < 1:
            raise ArgumentError(f"threads: {threads}, expected at least 1")
        if skin is not None and not 0.0 <= skin < float("inf"):
            raise ArgumentError(f"skin: {skin}, expected a length of at least 0")
        active = None if active_types is None else np.asarray(active_types, dtype=np.int32)
        self._handle = _engine.Engine(
            model._handle, backend, precision, threads or 0, active, -1.0 if skin is None else skin,
            simd,
        )  # fmt: skip

    @property
    def info(self) -> EngineInfo:
        """What was chosen; may take a moment, because table errors are measured on demand."""
        return EngineInfo(**self._handle.info())

    def estimate_memory(
        self,
        num_atoms: int,
        num_ghost: int = 0,
        periodic: bool = True,
        neighbors_per_atom: float = 0.0,
    ) -> MemoryEstimate:
        """What forces of a system will take on a device, before the first step.

        Args:
            num_atoms: owned atoms.
            num_ghost: ghosts, of a domain with its own list.
            periodic: whether a whole system has images.
            neighbors_per_atom: in the list, skin included; default: as in training.

        Returns:
            Zeros for a backend of the processor.
        """
        found = self._handle.estimate_memory(num_atoms, num_ghost, periodic, neighbors_per_atom)
        return MemoryEstimate(**found)

    def compute_system(
        self,
        positions: ArrayLike,
        types: ArrayLike,
        cell: ArrayLike | None = None,
        pbc: bool | Sequence[bool] = False,
        properties: Sequence[str] = ("energy", "forces"),
    ) -> Results:
        """Energies, forces and virials of a whole system, periodic or not.

        The engine keeps its neighbor list between calls and rebuilds it when atoms have moved.

        Args:
            positions: Angstrom, shape (N, 3); need not lie inside the cell.
            types: from :meth:`Model.types`, shape (N,); -1 is an atom to be ignored.
            cell: rows are lattice vectors, shape (3, 3); any triclinic cell.
            pbc: periodic along each lattice vector.
            properties: names from ``PROPERTIES``.

        Returns:
            ``energy`` () eV; ``atomic_energies`` (N,) eV; ``forces`` (N, 3) eV/A; ``virial``
            (3, 3) eV; ``centroid_virial`` (N, 3, 3) eV (docs/conventions.md); as asked for.

        Raises:
            ArgumentError: wrong shapes or types.
            NumericError: NaN or infinity in the positions or in the result.
        """
        periodic = [pbc] * 3 if isinstance(pbc, (bool, np.bool_)) else list(pbc)
        return self._handle.compute_system(
            _rows(positions),
            np.asarray(types, dtype=np.int32),
            None if cell is None else np.asarray(cell, dtype=np.float64),
            [bool(p) for p in periodic],
            list(properties),
        )

    def compute_systems(
        self,
        positions: ArrayLike,
        types: ArrayLike,
        offsets: ArrayLike,
        cells: ArrayLike | None = None,
        pbc: ArrayLike | None = None,
        properties: Sequence[str] = ("energy", "forces"),
    ) -> Results:
        """The same of many systems, one after the other in each array; they share the threads.

        :func:`camlip.compute_batch` does this for ASE's structures.

        Args:
            positions: Angstrom, shape (N, 3).
            types: from :meth:`Model.types`, shape (N,).
            offsets: atoms of system s are rows ``offsets[s]`` to ``offsets[s + 1]``, (S + 1,).
            cells: rows are lattice vectors, shape (S, 3, 3).
            pbc: periodic along each lattice vector, shape (S, 3).
            properties: names from ``PROPERTIES``.

        Returns:
            As :meth:`compute_system`, but ``energy`` (S,) and ``virial`` (S, 3, 3).

        Raises:
            ArgumentError: wrong shapes or types.
            NumericError: NaN or infinity in the positions or in the result; names the system.
        """
        return self._handle.compute_systems(
            _rows(positions),
            np.asarray(types, dtype=np.int32),
            np.asarray(offsets, dtype=np.int64),
            None if cells is None else np.asarray(cells, dtype=np.float64),
            None if pbc is None else np.asarray(pbc, dtype=np.int32),
            list(properties),
        )

    def compute(
        self,
        positions: ArrayLike,
        types: ArrayLike,
        num_owned: int,
        offsets: ArrayLike,
        indices: ArrayLike,
        forward: Callback | None = None,
        reverse: Callback | None = None,
        properties: Sequence[str] = ("energy", "forces"),
        revision: int | None = None,
    ) -> Results:
        """One domain of a system, with the caller's neighbor list: what a rank of LAMMPS does.

        Args:
            positions: owned atoms, then ghosts, shape (N + G, 3).
            types: shape (N + G,).
            num_owned: N.
            offsets: neighbors of owned atom i are ``indices[offsets[i]:offsets[i+1]]``, (N + 1,).
            indices: may point at ghosts; pairs beyond the cutoff are ignored.
            forward: called with features (N + G, width) between layers, in place: copy the rows
                of owned atoms to their ghosts.  Collective over all domains.
            reverse: the same: add the rows of ghosts to the atoms that they image.
            properties: names from ``PROPERTIES``.
            revision: changes whenever the list does; default: a new one for every call.

        Returns:
            As :meth:`compute_system`; ``energy`` is the sum over owned atoms, ``forces`` and
            ``centroid_virial`` have N + G rows and still need the ghosts brought home.

        Raises:
            ArgumentError: wrong shapes, types or indices.
            Exception: whatever a callback raised.
        """
        return self._handle.compute(
            _rows(positions),
            np.asarray(types, dtype=np.int32),
            int(num_owned),
            np.asarray(offsets, dtype=np.int64),
            np.asarray(indices, dtype=np.int32),
            forward,
            reverse,
            list(properties),
            revision,
        )


def _rows(positions: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(positions, dtype=np.float64)
    return array.reshape(0, 3) if array.size == 0 else array


@dataclass(frozen=True)
class NeighborList:
    """Neighbors of a system with its ghosts, as of one update; copies.

    Attributes:
        num_atoms: N.
        ghost_owner: atom that each ghost images, (G,).
        ghost_shift: lattice translation of each ghost, whole numbers, (G, 3).
        positions: atoms and ghosts, (N + G, 3).
        offsets: (N + 1,).
        indices: full list, pairs within the skin included.
        revision: number of times that the list was rebuilt.
    """

    num_atoms: int
    ghost_owner: NDArray[np.int64]
    ghost_shift: NDArray[np.int32]
    positions: NDArray[np.float64]
    offsets: NDArray[np.int64]
    indices: NDArray[np.int32]
    revision: int


class Neighbors:
    """The engine's own neighbor list, for tests and for hosts that need one.

    Args:
        cutoff: Angstrom.
        skin: the list is kept until an atom has moved by half of this.
    """

    def __init__(self, cutoff: float, skin: float = 0.0) -> None:
        self._handle = _engine.Neighbors(cutoff, skin)

    def update(
        self,
        positions: ArrayLike,
        cell: ArrayLike | None = None,
        pbc: bool | Sequence[bool] = False,
    ) -> NeighborList:
        """The list for new positions; arguments as in :meth:`Engine.compute_system`."""
        periodic = [pbc] * 3 if isinstance(pbc, (bool, np.bool_)) else list(pbc)
        box = None if cell is None else np.asarray(cell, dtype=np.float64)
        view = self._handle.update(_rows(positions), box, [bool(p) for p in periodic])
        return NeighborList(**view)


def backends(model: Model) -> list[str]:
    """Backends that work here, in the order of preference for checks."""
    return [name for name in ("reference", "cpu", "cuda") if _works(model, backend=name)]


def simd_paths(model: Model) -> list[str]:
    """Instruction sets of the backend ``cpu`` that work here."""
    return [s for s in ("baseline", "avx2", "avx512") if _works(model, backend="cpu", simd=s)]


@cache
def _works(model: Model, backend: str, simd: str = "auto") -> bool:
    try:
        Engine(model, backend, "double", threads=1, active_types=[0], simd=simd)
    except BackendError:
        return False
    return True
