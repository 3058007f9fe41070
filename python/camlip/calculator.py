"""ASE calculator on the engine.  Needs no torch."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import (
    Calculator,
    PropertyNotImplementedError,
    all_changes,
)
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from camlip.engine import Engine, Model, symbols
from camlip.errors import ArgumentError, NumericError


class MLIPCalculator(Calculator):
    """Energies, forces and stresses of a camlip model for ASE.

    Properties: ``energy``, ``free_energy`` (the same), ``energies`` (of the atoms, with the
    reference energies of their elements), ``forces``, ``stress`` and ``stresses``.  The stress
    needs a cell with a volume and at least one periodic direction; for a slab the volume includes
    the vacuum.  ``stresses`` are those of the atoms, shape (N, 6), from the centroid virial (a
    bond's virial is credited to the neighbor, docs/conventions.md), symmetrized and divided by
    the volume of the cell, so that their sum is ``stress``.

    Args:
        file: a model file.
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
        super().__init__(**kwargs)
        if device != "cpu" and not device.startswith("cuda"):
            raise ArgumentError(f"device: '{device}', expected cpu, cuda or cuda:N")
        if backend == "auto":
            backend = device
        self._arguments = {
            "file": os.path.abspath(file),
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
        self._numbers: NDArray[np.int64] | None = None
        self._types = np.zeros(0, dtype=np.int32)
        Engine(self.model, **self._options, active_types=[0])  # a wrong option is told now

    @property
    def cutoff(self) -> float:
        """Range of the model's neighbor list in Angstrom."""
        return self.model.cutoff

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute what is asked for, and what comes with it; called by ASE.

        Args:
            atoms: the structure.
            properties: ASE names, default ``energy``.
            system_changes: ignored: the engine looks for itself.

        Raises:
            ArgumentError: for an element that the model does not know.
            NumericError: for NaN or infinity in positions or cell.
            PropertyNotImplementedError: for the stress of a structure that is not periodic.
        """
        super().calculate(atoms, properties, system_changes)
        asked = properties or ["energy"]
        structure: Atoms = self.atoms  # type: ignore[assignment]
        has_stress = bool(structure.pbc.any()) and structure.cell.rank == 3
        if not has_stress and {"stress", "stresses"} & set(asked):
            raise PropertyNotImplementedError(
                f"stress: pbc is {structure.pbc.tolist()} and the cell has rank "
                f"{structure.cell.rank}, expected a periodic structure with a cell of three "
                "vectors; a molecule has no volume and so no stress"
            )
        self._check_numbers(structure)
        wanted = ["energy", "atomic_energies", "forces"]
        if has_stress:
            wanted.append("virial")
        if "stresses" in asked:
            wanted.append("centroid_virial")
        engine = self._engine_for(structure)
        found = engine.compute_system(
            structure.positions,
            self._types,
            structure.cell.array if structure.pbc.any() else None,
            structure.pbc.tolist(),
            wanted,
        )
        energy = float(found["energy"])
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": found["atomic_energies"],
            "forces": found["forces"],
        }
        if has_stress:
            volume = structure.get_volume()
            self.results["stress"] = _stress(found["virial"], volume)
            if "stresses" in asked:
                self.results["stresses"] = _stress(found["centroid_virial"], volume)

    def _check_numbers(self, atoms: Atoms) -> None:
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

    def _engine_for(self, atoms: Atoms) -> Engine:
        """The engine, with tables for the elements of the structure."""
        if self._numbers is None or not np.array_equal(self._numbers, atoms.numbers):
            self._types = self.model.types(atoms.numbers)
            self._numbers = atoms.numbers.copy()
        elif self._engine is not None:
            return self._engine
        present = set(self._types.tolist())
        if self._engine is None or not present <= self._active:
            self._active |= present
            self._engine = Engine(
                self.model, **self._options, active_types=sorted(self._active) or None
            )
        return self._engine

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy by the arguments: the engine itself cannot travel."""
        return _rebuild, (type(self), self._arguments)


def _rebuild(kind: type[MLIPCalculator], arguments: dict[str, Any]) -> MLIPCalculator:
    return kind(**arguments)


def _stress(virial: NDArray[np.float64], volume: float) -> NDArray[np.float64]:
    """Stress in ASE's sign and Voigt order from (..., 3, 3) virials."""
    symmetric = 0.5 * (virial + np.swapaxes(virial, -1, -2))
    return full_3x3_to_voigt_6_stress(-symmetric / volume)
