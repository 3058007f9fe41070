"""One labelled atomic structure, as plain numpy arrays, and the error of this package."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import ase
import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class DataError(ValueError):
    """A data set cannot be used as it is; the message says where and what to do next."""


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms, cell and labels; a label that is missing is None.

    Attributes:
        positions: Angstrom, shape (n, 3).
        atomic_numbers: int64, shape (n,).
        cell: rows are the lattice vectors in Angstrom, shape (3, 3); zeros when there is none.
        pbc: periodic along each lattice vector, bool, shape (3,).
        energy: total energy in eV.
        forces: eV/Angstrom, shape (n, 3); a row of NaN marks an atom without a force label.
        stress: eV/Angstrom^3, shape (3, 3), symmetric, ASE sign (positive under tension).
        config_type: free text that groups structures in splits and error tables.
        weight: factor of this structure in the loss.
        source: ``"file#frame"``, for messages.

    >>> water = Structure(np.zeros((3, 3)), np.array([8, 1, 1]), energy=-14.2)
    >>> water.num_atoms, water.formula, water.volume
    (3, 'H2O', 0.0)
    """

    positions: FloatArray
    atomic_numbers: NDArray[np.int64]
    cell: FloatArray = field(default_factory=lambda: np.zeros((3, 3)))
    pbc: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(3, dtype=bool))
    energy: float | None = None
    forces: FloatArray | None = None
    stress: FloatArray | None = None
    config_type: str = "default"
    weight: float = 1.0
    source: str = ""

    @property
    def num_atoms(self) -> int:
        """Number of atoms."""
        return len(self.atomic_numbers)

    @property
    def volume(self) -> float:
        """Cell volume in Angstrom^3; 0 unless periodic in all three directions."""
        return float(abs(np.linalg.det(self.cell))) if bool(self.pbc.all()) else 0.0

    @property
    def formula(self) -> str:
        """Chemical formula in Hill order."""
        return str(ase.Atoms(numbers=self.atomic_numbers).symbols.formula.format("hill"))

    def to_atoms(self) -> ase.Atoms:
        """Convert to ASE atoms with the labels under the default keys (``REF_energy`` ...)."""
        atoms = ase.Atoms(
            numbers=self.atomic_numbers, positions=self.positions, cell=self.cell, pbc=self.pbc
        )
        if self.energy is not None:
            atoms.info["REF_energy"] = self.energy
        if self.forces is not None:
            atoms.arrays["REF_forces"] = self.forces.copy()
        if self.stress is not None:
            atoms.info["REF_stress"] = self.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        if self.config_type != "default":
            atoms.info["config_type"] = self.config_type
        if self.weight != 1.0:
            atoms.info["weight"] = self.weight
        return atoms

    def replace(self, **changes: object) -> Structure:
        """Copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # pyright: ignore[reportArgumentType]


def symbols(atomic_numbers: object) -> str:
    """Element symbols of some atomic numbers, for messages.

    >>> symbols([8, 1])
    'O, H'
    """
    numbers = np.asarray(atomic_numbers, dtype=int).ravel()
    return ", ".join(
        chemical_symbols[z] if 0 <= z < len(chemical_symbols) else f"Z={z}" for z in numbers
    )


def place(source: str) -> str:
    """Where a structure came from, for messages.

    >>> place("train.xyz#3")
    'train.xyz frame 3'
    """
    return " frame ".join(source.rsplit("#", 1))
