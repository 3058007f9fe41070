"""The structure that the physics is looked at: a file, or a name for one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk, molecule

from camlip.engine import symbols
from camlip.errors import ArgumentError
from camlip.physics.common import LARGE_CELL, Sample, quiet


def load_sample(text: str | None, elements: Sequence[int], standard: bool = True) -> Sample:
    """Structure of a file, of ``bulk:Si``, ``bulk:NaCl:rocksalt:5.64`` or ``molecule:H2O``.

    Args:
        text: None: the crystal of the model's only element, as ASE knows it.
        elements: atomic numbers of the model.
        standard: make it the conventional cell, in the orientation of tables.

    Raises:
        ArgumentError: it cannot be read or made, or has elements that the model does not know.

    >>> load_sample("bulk:Cu", [29]).description
    'Cu4, ...'
    """
    if text is None:
        if len(elements) != 1:
            raise ArgumentError(
                f"--physics: the model knows {symbols(list(elements))}, expected a structure to "
                "look at: a file, bulk:NaCl:rocksalt:5.64 or molecule:H2O"
            )
        text = f"bulk:{symbols(list(elements))}"
    atoms = _made(text) if text.partition(":")[0] in ("bulk", "molecule") else _read(text)
    unknown = sorted(set(atoms.numbers.tolist()) - set(elements))
    if unknown:
        raise ArgumentError(
            f"structure '{text}': the model has no element {symbols(unknown)}; it knows "
            f"{symbols(list(elements))}"
        )
    return make_sample(atoms, standard)


def make_sample(atoms: Atoms, standard: bool = True) -> Sample:
    """Recognize a crystal; without spglib, or when asked for, the cell is taken as it is."""
    plain = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    formula = plain.get_chemical_formula("metal")
    if not plain.pbc.all() or plain.cell.rank < 3:
        kind = "a molecule" if not plain.pbc.any() else "not periodic in three directions"
        return Sample(
            plain, None, False, f"the sample is {kind}, not a crystal", f"{formula}, {kind}"
        )
    if not standard:
        return _as_given(plain, formula, "")
    try:
        import spglib
    except ImportError:
        note = "spglib is missing: the cell was taken as given (pip install 'camlip[physics]')"
        return _as_given(plain, formula, note)
    data: Any = (plain.cell.array, plain.get_scaled_positions(), plain.numbers)
    with quiet():
        group = spglib.get_spacegroup(data, symprec=1e-3)
        found = spglib.standardize_cell(data, to_primitive=False, no_idealize=False, symprec=1e-3)
    if group is None or found is None:
        raise ArgumentError(f"structure {formula}: spglib finds no cell; do atoms overlap?")
    name, _, number = group.partition(" ")
    if len(plain) >= LARGE_CELL and number.strip("()") == "1":
        note = f"the cell of {len(plain)} atoms has no symmetry: a liquid or a glass, not a crystal"
        return Sample(plain, None, False, note, f"{formula}, no symmetry")
    vectors, scaled, numbers = found
    cell = Atoms(numbers, scaled_positions=scaled, cell=vectors, pbc=True)
    cubic = int(number.strip("()")) >= 195
    return Sample(plain, cell, cubic, "", f"{cell.get_chemical_formula('metal')}, {name}")


def _as_given(atoms: Atoms, formula: str, note: str) -> Sample:
    parameters = atoms.cell.cellpar()
    cubic = bool(np.ptp(parameters[:3]) < 1e-3 and np.abs(parameters[3:] - 90).max() < 1e-3)
    return Sample(atoms, atoms, cubic, note, f"{formula}, cell as given")


def _made(text: str) -> Atoms:
    kind, *parts = text.split(":")
    try:
        if kind == "molecule":
            return molecule(parts[0])
        options: dict[str, Any] = {}
        if len(parts) > 1:
            options["crystalstructure"] = parts[1]
        if len(parts) > 2:
            options["a"] = float(parts[2])
        return bulk(parts[0], **options)
    except (ValueError, KeyError, IndexError, RuntimeError, NotImplementedError) as error:
        raise ArgumentError(
            f"structure '{text}': ASE cannot make it ({error}); expected for example bulk:Si, "
            "bulk:NaCl:rocksalt:5.64 or molecule:H2O"
        ) from error


def _read(text: str) -> Atoms:
    if not Path(text.rpartition("@")[0] or text).is_file() and not Path(text).is_file():
        raise FileNotFoundError(2, "no such file, expected a structure", text)
    try:
        atoms = ase.io.read(text)
    except Exception as error:  # ASE's readers raise whatever their parsing runs into
        raise ArgumentError(
            f"structure '{text}': ASE cannot read it: {type(error).__name__}: {error}"
        ) from error
    first = atoms[0] if isinstance(atoms, list) else atoms
    if len(first) == 0:
        raise ArgumentError(f"structure '{text}': it has no atoms")
    return first
