"""Molecules that are torn and pairs that collide, in vacuum: forces of GFN1-xTB, no energies.

Liquid water at room temperature has none of this, and a model that was trained on it alone has
holes there: atoms that attract each other, molecules that fall apart.  Forces of another method are
better than none; energies are left out because their zero is another one (configs/water.yaml).

    OMP_NUM_THREADS=1 python make_short_distances.py short_distances.xyz.xz
"""

from __future__ import annotations

import sys

import numpy as np
from ase import Atoms
from ase.io import write
from tblite.ase import TBLite

LARGEST_FORCE = 40.0  # eV/A
MOLECULES, PAIRS, SEED = 80, 100, 1
# Shortest intermolecular distances of the pairs, Angstrom.
REACH = {(1, 1): (0.5, 1.6), (1, 8): (0.7, 1.7), (8, 8): (1.1, 2.5)}
ATOMS = {"H2": (0.3, 0.65), "OH": (0.45, 0.85), "O2": (0.6, 1.15)}


def molecule(rng: np.random.Generator, stretched: bool) -> Atoms:
    """Water with bonds from 0.6 to 2.2 Angstrom, or near equilibrium, turned at random."""
    bonds = rng.uniform(0.6, 2.2, 2) if stretched else rng.normal(0.97, 0.04, 2)
    if stretched and rng.random() < 0.6:  # as when one proton leaves
        bonds[1] = rng.normal(0.97, 0.05)
    angle = np.radians(rng.uniform(60, 160) if stretched else rng.normal(105, 6))
    first = [bonds[0], 0.0, 0.0]
    second = [bonds[1] * np.cos(angle), bonds[1] * np.sin(angle), 0.0]
    atoms = Atoms("OHH", [[0.0, 0.0, 0.0], first, second])
    atoms.rotate(rng.uniform(0, 360), rng.normal(size=3))
    return atoms


def pair(rng: np.random.Generator) -> Atoms:
    """Two molecules whose nearest atoms are too near."""
    a, b = molecule(rng, False), molecule(rng, False)
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    wanted = rng.uniform()
    for distance in np.arange(8.0, 0.5, -0.02):
        moved = b.copy()
        moved.positions += distance * direction
        for i, x in enumerate(a.numbers):
            for j, y in enumerate(moved.numbers):
                low, high = REACH[tuple(sorted((int(x), int(y))))]
                gap = np.linalg.norm(moved.positions[j] - a.positions[i])
                if gap < low + wanted * (high - low):
                    return a + moved
    raise AssertionError("molecules that pass through each other")


def label(atoms: Atoms, kind: str) -> Atoms | None:
    """With the forces of GFN1-xTB; none where they are too large."""
    atoms.calc = TBLite(method="GFN1-xTB", verbosity=0, multiplicity=2 if kind == "OH" else 1)
    forces = atoms.get_forces()
    if np.abs(forces).max() > LARGEST_FORCE:
        return None
    labelled = Atoms(atoms.numbers, atoms.positions)
    labelled.arrays["REF_forces"] = np.round(forces, 5)
    labelled.info = {"config_type": "short_distance", "REF_calculator": "GFN1-xTB"}
    return labelled


def main(target: str) -> None:
    rng = np.random.default_rng(SEED)
    made = [(molecule(rng, True), "molecule") for _ in range(MOLECULES)]
    made += [(pair(rng), "pair") for _ in range(PAIRS)]
    for name, (low, high) in ATOMS.items():
        for distance in np.linspace(low, high, 12):
            made.append((Atoms(name, [[0, 0, 0], [0, 0, distance]]), name))
    frames = [f for f in (label(atoms, kind) for atoms, kind in made) if f is not None]
    write(target, frames, format="extxyz")
    print(f"{target}: {len(frames)} of {len(made)} frames")


if __name__ == "__main__":
    main(*sys.argv[1:])
