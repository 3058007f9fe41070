"""One ASE frame as a structure: find the labels, check them, convert the units."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import ase
import numpy as np

from camlip.data.keys import ENERGY_UNITS, LENGTH_UNITS, STRESS_UNITS, VIRIAL_SIGNS, LabelKeys
from camlip.data.structure import DataError, FloatArray, Structure, place


def structure_from_atoms(
    atoms: ase.Atoms,
    keys: LabelKeys | None = None,
    source: str = "atoms",
    counts: Counter[str] | None = None,
) -> Structure:
    """Convert one frame, check it and bring it to eV and Angstrom.

    Args:
        atoms: frame as ASE returns it.
        keys: names and units of the labels.
        source: ``"file#frame"``, used in messages.
        counts: incremented with what was found (``frames``, ``energy``, ``forces`` ...).

    Returns:
        The structure.

    Raises:
        DataError: naming ``source``, for anything that cannot be trained on.

    >>> structure_from_atoms(ase.Atoms("H", info={"REF_energy": -13.6})).energy
    -13.6
    """
    keys = keys or LabelKeys()
    counts = Counter() if counts is None else counts
    where = place(source)
    n = len(atoms)
    length = LENGTH_UNITS[keys.length_unit]
    energy_unit = ENERGY_UNITS[keys.energy_unit]
    positions = np.array(atoms.positions, dtype=np.float64) * length
    cell = np.array(atoms.cell.array, dtype=np.float64) * length
    pbc = np.array(atoms.pbc, dtype=bool)
    _check_geometry(where, positions, np.asarray(atoms.numbers), cell, pbc)
    volume = float(abs(np.linalg.det(cell))) if pbc.all() else 0.0

    label = _Lookup(atoms, keys, where)
    energy = _scalar(where, keys.energy, label("energy"))
    if keys.energy_per_atom and (value := label("energy_per_atom")) is not None:
        energy = n * cast(float, _scalar(where, keys.energy_per_atom, value))
    forces = _forces(where, keys.forces, label("forces"), n)
    stress = _tensor(where, keys.stress, label("stress"))
    if stress is not None:
        stress = stress * STRESS_UNITS[keys.stress_unit]
    if keys.virial and (value := label("virial")) is not None:
        virial = cast(FloatArray, _tensor(where, keys.virial, value)) * energy_unit
        if volume == 0.0:
            raise DataError(
                f"{where}: virial {keys.virial!r} needs a cell that is periodic in three "
                f"directions, pbc is {pbc.tolist()}; remove the virial of this frame"
            )
        stress = VIRIAL_SIGNS[keys.virial_convention] * virial / volume
    if stress is not None and volume == 0.0:
        # Isolated atoms and molecules come with a zero stress from many codes.
        counts["stress without volume"] += 1
        stress = None

    counts["frames"] += 1
    counts["calculator"] += label.used_calculator
    counts["energy"] += energy is not None
    counts["forces"] += forces is not None
    counts["stress"] += stress is not None
    weight = atoms.info.get(keys.weight, 1.0)
    return Structure(
        positions=positions,
        atomic_numbers=np.array(atoms.numbers, dtype=np.int64),
        cell=cell,
        pbc=pbc,
        energy=None if energy is None else energy * energy_unit,
        forces=None if forces is None else forces * (energy_unit / length),
        stress=stress,
        config_type=str(atoms.info.get(keys.config_type, "default")),
        weight=_weight(where, keys.weight, weight),
        source=source,
    )


class _Lookup:
    """Finds a label of one frame by the names in the keys."""

    def __init__(self, atoms: ase.Atoms, keys: LabelKeys, where: str) -> None:
        self.atoms, self.keys, self.where = atoms, keys, where
        self.results: dict[str, Any] = dict(atoms.calc.results) if atoms.calc is not None else {}
        defaults = [n for n in ("energy", "forces", "stress") if keys.is_default(n)]
        # All or nothing within a frame: labels of two levels of theory must not mix.
        self.fall_back = not any(
            getattr(keys, n) in atoms.info or getattr(keys, n) in atoms.arrays for n in defaults
        ) and not (keys.energy_per_atom or keys.virial)
        self.used_calculator = False

    def __call__(self, label: str) -> Any:
        key = getattr(self.keys, label)
        for where in (self.atoms.info, self.atoms.arrays):
            if key in where:
                return where[key]
        if not self.keys.is_default(label):
            return self.results.get(key)
        if self.fall_back and label in self.results:
            self.used_calculator = True
            return self.results[label]
        return None


def _check_geometry(
    where: str, positions: FloatArray, numbers: Any, cell: FloatArray, pbc: Any
) -> None:
    if len(positions) == 0:
        raise DataError(f"{where}: no atoms in it, expected at least one")
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if bad.size:
        raise DataError(f"{where}: position of atom {bad[0]} is {positions[bad[0]].tolist()}")
    if not np.isfinite(cell).all():
        raise DataError(f"{where}: cell is {cell.tolist()}, expected finite numbers")
    unknown = np.flatnonzero((numbers < 1) | (numbers > 118))
    if unknown.size:
        raise DataError(
            f"{where}: atom {unknown[0]} has atomic number {numbers[unknown[0]]}, expected 1 to 118"
        )
    if pbc.any():
        rows = cell[pbc]
        # The Gram determinant is the squared length, area or volume that the periods span.
        if np.linalg.det(rows @ rows.T) <= 1e-12:
            raise DataError(
                f"{where}: periodic along {pbc.tolist()} but the lattice vectors {rows.tolist()} "
                "span nothing; give a Lattice or set pbc to F"
            )


def _numbers(where: str, key: str, value: Any) -> FloatArray:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"{where}: label {key!r} is {str(value)[:40]!r}, expected numbers"
        ) from None


def _scalar(where: str, key: str, value: Any) -> float | None:
    if value is None:
        return None
    array = _numbers(where, key, value)
    if array.size != 1:
        raise DataError(f"{where}: label {key!r} has shape {array.shape}, expected one number")
    if not np.isfinite(array).all():
        raise DataError(
            f"{where}: label {key!r} is {array.item()}, expected a finite number; leave the key "
            "out when the label is missing"
        )
    return float(array.item())


def _weight(where: str, key: str, value: Any) -> float:
    weight = cast(float, _scalar(where, key, value))
    if weight < 0:
        raise DataError(f"{where}: weight {key!r} is {weight:g}, expected 0 or more")
    return weight


def _forces(where: str, key: str, value: Any, n: int) -> FloatArray | None:
    if value is None:
        return None
    forces = _numbers(where, key, value)
    if forces.shape != (n, 3):
        raise DataError(f"{where}: forces {key!r} have shape {forces.shape}, expected ({n}, 3)")
    masked = np.isnan(forces).all(axis=1)
    bad = np.flatnonzero(~np.isfinite(forces).all(axis=1) & ~masked)
    if bad.size:
        raise DataError(
            f"{where}: force {key!r} on atom {bad[0]} is {forces[bad[0]].tolist()}, expected three "
            "finite numbers (or three NaN for an atom without a label)"
        )
    if masked.all():
        raise DataError(
            f"{where}: all forces {key!r} are NaN; leave the key out when the label is missing"
        )
    return forces


def _tensor(where: str, key: str, value: Any) -> FloatArray | None:
    if value is None:
        return None
    array = _numbers(where, key, value)
    if array.size == 6:
        xx, yy, zz, yz, xz, xy = array.ravel()
        array = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    elif array.size == 9:
        array = array.reshape(3, 3)
    else:
        raise DataError(f"{where}: label {key!r} has shape {array.shape}, expected 6, 9 or (3, 3)")
    if not np.isfinite(array).all():
        raise DataError(
            f"{where}: label {key!r} is {array.tolist()}, expected finite numbers; leave the key "
            "out when the label is missing"
        )
    asymmetry = float(np.abs(array - array.T).max())
    if asymmetry > 0.05 * float(np.abs(array).max()) + 1e-6:
        raise DataError(
            f"{where}: label {key!r} is not symmetric (largest difference {asymmetry:.3g} of "
            f"{np.abs(array).max():.3g}); is the order of its components right?"
        )
    return 0.5 * (array + array.T)
