"""The structures of the comparisons."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import read

ROOT = Path(__file__).resolve().parents[2]
RATTLE = 0.05  # Angstrom; about what 300 K does to a crystal


def crystal(element: str, structure: str, lattice_constant: float, cells: int) -> Atoms:
    """A cube of conventional cells, atoms displaced as by thermal motion."""
    atoms = bulk(element, structure, a=lattice_constant, cubic=True).repeat(cells)
    atoms.rattle(RATTLE, seed=1)
    atoms.wrap()
    return atoms


def water(repeat: tuple[int, int, int]) -> Atoms:
    """Liquid water at 330 K and 1.00 g/cm3: 32 molecules of the bundled data, repeated."""
    with lzma.open(ROOT / "examples" / "water" / "train.xyz.xz", "rt") as stream:
        frames = read(stream, ":", format="extxyz")
    liquid = [a for a in frames if a.info.get("config_type") == "liquid_330K"]
    first = min(liquid, key=lambda a: abs(a.get_volume() - 9.86**3))
    atoms = Atoms(first.numbers, first.positions, cell=first.cell, pbc=True).repeat(repeat)
    atoms.rattle(0.01, seed=1)
    atoms.wrap()
    return atoms


def naphthalene() -> Atoms:
    """C10H8, 18 atoms: two fused rings in the plane."""
    bond, hydrogen = 1.40, 1.09
    half = bond * np.sqrt(3) / 2
    carbon = [(0.0, bond / 2), (0.0, -bond / 2)]
    outward = []
    for side in (-1.0, 1.0):
        for y in (-1.0, 1.0):
            carbon += [(side * half, y * bond), (side * 2 * half, y * bond / 2)]
            outward += [(0.0, y), (side * np.sqrt(3) / 2, y / 2)]
    rim = np.array(carbon[2:])
    plane = np.concatenate([carbon, rim + hydrogen * np.array(outward)])
    atoms = Atoms("C10H8", np.column_stack([plane, np.zeros(18)]))
    atoms.rattle(0.03, seed=1)
    return atoms


def num_neighbors(atoms: Atoms, cutoff: float) -> float:
    """Average number of neighbors within a cutoff."""
    from camlip.data.neighbors import neighbor_list

    index, _ = neighbor_list(atoms.positions, atoms.cell.array, atoms.pbc, cutoff)
    return index.shape[1] / len(atoms)


def lammps_box(atoms: Atoms, elements: list[str]) -> dict[str, Any]:
    """An orthogonal periodic structure for the LAMMPS worker; types in the order of elements."""
    masses = {a.symbol: float(a.mass) for a in atoms}
    return {
        "types": [elements.index(symbol) + 1 for symbol in atoms.get_chemical_symbols()],
        "positions": atoms.positions.tolist(),
        "lengths": atoms.cell.lengths().tolist(),
        "masses": [masses[element] for element in elements],
    }


def ase_structure(atoms: Atoms) -> dict[str, Any]:
    """A structure for the workers that use ASE."""
    return {
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.array.tolist(),
        "pbc": atoms.pbc.tolist(),
    }
