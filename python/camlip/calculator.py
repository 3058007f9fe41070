"""ASE calculator on the engine.  Needs no torch."""

from __future__ import annotations

import os
from typing import Any, ClassVar, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import (
    Calculator,
    PropertyNotImplementedError,
    all_changes,
)
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from camlip.engine import Engine, MemoryEstimate, Model, model_path, symbols
from camlip.errors import ArgumentError, NumericError
from camlip.memory import check_memory


class _State(NamedTuple):
    """What decides the results, byte by byte."""

    positions: bytes
    numbers: bytes
    cell: bytes
    pbc: bytes

    @classmethod
    def of(cls, atoms: Atoms) -> _State:
        arrays = atoms.arrays
        return cls(
            np.asarray(arrays["positions"], dtype=np.float64).tobytes(),
            np.asarray(arrays["numbers"], dtype=np.int64).tobytes(),
            atoms.cell.array.tobytes(),
            atoms.pbc.tobytes(),
        )

    def atoms(self) -> Atoms:
        return Atoms(
            np.frombuffer(self.numbers, dtype=np.int64),
            np.frombuffer(self.positions).reshape(-1, 3),
            cell=np.frombuffer(self.cell).reshape(3, 3),
            pbc=np.frombuffer(self.pbc, dtype=bool),
        )


class MLIPCalculator(Calculator):
    """Energies, forces and stresses of a camlip model for ASE.

    Properties: ``energy``, ``free_energy`` (the same), ``energies`` (of the atoms, with the
    reference energies of their elements), ``forces``, ``stress`` and ``stresses``.  The stress
    needs a cell with a volume and at least one periodic direction; for a slab the volume includes
    the vacuum.  ``stresses`` are those of the atoms, shape (N, 6), from the centroid virial (a
    bond's virial is credited to the neighbor, docs/conventions.md), symmetrized and divided by
    the volume of the cell, so that their sum is ``stress``.

    Args:
        file: a model file, or the name of a model that comes with camlip, as ``silicon``.
        precision: ``mixed`` (float32 with float64 sums, for dynamics) or ``double`` (for finite
            differences, phonons and tight relaxations).
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        threads: default: what OpenMP would use.
        backend: of the engine, default the one for ``device``.
        skin: the neighbor list is kept until an atom has moved by half of this, Angstrom;
            default: the engine's.
        **kwargs: for :class:`ase.calculators.calculator.Calculator`.

    Raises:
        ModelFileError: if the file is missing or is not a valid model.
        BackendError: if the backend or the device is not there.

    Results are kept until positions, elements, cell or pbc of the structure change, in whatever
    way they are changed; ``atoms`` is a structure of these four.

    On a device, what a structure will take is logged (``camlip.memory``, level INFO) and compared
    with what is free before the first step; :meth:`estimate_memory` says it beforehand.

    A copy or an unpickled calculator opens the file again; it must still be there.

    >>> from ase.build import bulk                                        # doctest: +SKIP
    >>> atoms = bulk("Si")                                                # doctest: +SKIP
    >>> atoms.calc = MLIPCalculator("si.pt")                              # doctest: +SKIP
    >>> atoms.get_potential_energy()                                      # doctest: +SKIP
    -9.07
    """

    implemented_properties: ClassVar[list[str]] = [  # pyright: ignore[reportIncompatibleVariableOverride]
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
    ]
    ignored_changes: ClassVar[set[str]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        "initial_charges",
        "initial_magmoms",
    }

    def __init__(
        self,
        file: str | os.PathLike[str],
        precision: str = "mixed",
        device: str = "cpu",
        threads: int | None = None,
        backend: str = "auto",
        skin: float | None = None,
        **kwargs: Any,
    ) -> None:
        self._state: _State | None = None
        self._structure: Atoms | None = None
        super().__init__(**kwargs)
        if device != "cpu" and not device.startswith("cuda"):
            raise ArgumentError(f"device: '{device}', expected cpu, cuda or cuda:N")
        if backend == "auto":
            backend = device
        self._arguments = {
            "file": os.path.abspath(model_path(file)),
            "precision": precision,
            "device": device,
            "threads": threads,
            "backend": backend,
            "skin": skin,
            **kwargs,
        }
        self.model = Model(os.fspath(file))
        # The engine is made with the elements of the first structure, for fewer radial tables.
        self._options = {"backend": backend, "precision": precision, "threads": threads}
        self._options["skin"] = skin
        self._engine: Engine | None = None
        self._active: set[int] = set()
        self._numbers = b""
        self._types = np.zeros(0, dtype=np.int32)
        self._box = (b"", b"")
        self._volume: float | None = None  # of the box, None where there is no stress
        Engine(self.model, **self._options, active_types=[0])  # a wrong option is told now

    @property
    def cutoff(self) -> float:
        """Range of the model's neighbor list in Angstrom."""
        return self.model.cutoff

    def estimate_memory(self, atoms: Atoms) -> MemoryEstimate | None:
        """What a structure will take on the device; None on the processor.

        Args:
            atoms: only its size, elements, cell and pbc count.

        Raises:
            ArgumentError: for an element that the model does not know.
            BackendError: if it does not fit.
        """
        return check_memory(self._engine_for(atoms, check=False), atoms, self._options["skin"])

    @property
    def atoms(self) -> Atoms | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The structure of the results, None before the first; made when somebody asks for it."""
        if self._structure is None and self._state is not None:
            self._structure = self._state.atoms()
        return self._structure

    @atoms.setter
    def atoms(self, atoms: Atoms | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._state = None if atoms is None else _State.of(atoms)
        self._structure = None

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation; called by ASE.

        With the default tolerance any difference counts, also one in the last digit.
        """
        if self._state is None or tol != 1e-15:
            return super().check_state(atoms, tol)
        now = _State.of(atoms)
        if now == self._state:
            return []
        return [name for name, a, b in zip(_State._fields, now, self._state, strict=True) if a != b]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute what is asked for, and what comes with it; called by ASE.

        Args:
            atoms: the structure, default the last one.
            properties: ASE names, default ``energy``.
            system_changes: ignored: the engine looks for itself.

        Raises:
            ArgumentError: for an element that the model does not know.
            NumericError: for NaN or infinity in positions or cell.
            PropertyNotImplementedError: for the stress of a structure that is not periodic.
        """
        # ASE's own calculate would copy the structure and look for a directory: 0.1 ms.
        if atoms is not None:
            self.atoms = atoms
        structure = atoms if atoms is not None else self.atoms
        if structure is None or self._state is None:
            raise ArgumentError("atoms: None, expected a structure, since there was none before")
        self.results = {}
        asked = properties or ["energy"]
        positions = structure.positions
        try:
            volume = self._volume_of(self._state, structure)
            if volume is None and ("stress" in asked or "stresses" in asked):
                raise PropertyNotImplementedError(
                    f"stress: pbc is {structure.pbc.tolist()} and the cell has rank "
                    f"{structure.cell.rank}, expected a periodic structure with a cell of three "
                    "vectors; a molecule has no volume and so no stress"
                )
            wanted = ["energy", "atomic_energies", "forces"]
            if volume is not None:
                wanted.append("virial")
            if "stresses" in asked:
                wanted.append("centroid_virial")
            engine = self._engine_for(structure)
            pbc = structure.pbc.tolist()
            cell = structure.cell.array if any(pbc) else None
            found = engine.compute_system(positions, self._types, cell, pbc, wanted)
        except NumericError:
            _check_numbers(structure)  # says more, if it is the input
            raise
        energy = float(found["energy"])
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": found["atomic_energies"],
            "forces": found["forces"],
        }
        if volume is not None:
            self.results["stress"] = _stress(found["virial"], volume)
            if "stresses" in asked:
                self.results["stresses"] = _stress(found["centroid_virial"], volume)

    def _volume_of(self, state: _State, atoms: Atoms) -> float | None:
        """Volume by which virials are divided, None without a stress."""
        if self._box != (state.cell, state.pbc):
            if not np.isfinite(atoms.cell.array).all():
                raise NumericError("cell: holds NaN or infinity")
            has_stress = bool(atoms.pbc.any()) and atoms.cell.rank == 3
            self._volume = atoms.get_volume() if has_stress else None
            self._box = (state.cell, state.pbc)
        return self._volume

    def _engine_for(self, atoms: Atoms, check: bool = True) -> Engine:
        """The engine, with tables for the elements of the structure, whose memory is checked."""
        numbers = atoms.numbers.tobytes()
        if self._engine is not None and self._numbers == numbers:
            return self._engine
        types = self.model.types(atoms.numbers)
        present = set(types.tolist())
        if self._engine is None or not present <= self._active:
            self._active |= present
            self._engine = Engine(
                self.model, **self._options, active_types=sorted(self._active) or None
            )
        if check:
            check_memory(self._engine, atoms, self._options["skin"])
            self._types, self._numbers = types, numbers
        return self._engine

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy by the arguments: the engine itself cannot travel."""
        return _rebuild, (type(self), self._arguments)


def _rebuild(kind: type[MLIPCalculator], arguments: dict[str, Any]) -> MLIPCalculator:
    return kind(**arguments)


def _check_numbers(atoms: Atoms) -> None:
    broken = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(broken):
        first = int(broken[0])
        raise NumericError(
            f"positions: atom {first} ({symbols([int(atoms.numbers[first])])}) is at "
            f"{atoms.positions[first].tolist()}, expected finite numbers ({len(broken)} of "
            f"{len(atoms)} atoms are affected)"
        )
    if not np.isfinite(atoms.cell.array).all():
        raise NumericError(f"cell: {atoms.cell.array.tolist()}, expected finite numbers")


def _stress(virial: NDArray[np.float64], volume: float) -> NDArray[np.float64]:
    """Stress in ASE's sign and Voigt order from (..., 3, 3) virials."""
    symmetric = 0.5 * (virial + np.swapaxes(virial, -1, -2))
    return full_3x3_to_voigt_6_stress(-symmetric / volume)
