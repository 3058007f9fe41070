"""Distorted aspirin and pairs of atoms at short distances: forces of GFN1-xTB, no energies.

Dynamics at 500 K has no two atoms nearer than 0.9 Angstrom and nothing between bonds and the next
neighbors.  A model that was trained on it alone may say anything there; this says that atoms repel
each other and that bonds resist.  Energies are left out: their zero is another one.

    OMP_NUM_THREADS=1 python make_short_distances.py ../../../shared/data/rmd17_aspirin/train.xyz.xz
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.io import write
from tblite.ase import TBLite

from camlip.data import read_structures

LARGEST_FORCE = 40.0  # eV/A
FRAMES, SEED = 240, 1
TARGET = Path(__file__).parent / "short_distances.xyz.xz"


def distorted(positions: np.ndarray, numbers: np.ndarray, rng: np.random.Generator) -> Atoms:
    """A frame of the data, every atom moved by 0.1 to 0.3 Angstrom, often two brought near."""
    moved = positions + rng.normal(scale=rng.uniform(0.06, 0.2), size=positions.shape)
    if rng.random() < 0.7:
        i, j = rng.choice(len(numbers), 2, replace=False)
        bond = covalent_radii[numbers[i]] + covalent_radii[numbers[j]]
        vector = moved[j] - moved[i]
        wanted = rng.uniform(0.7, 1.9) * bond
        # The lighter one goes there.
        which, sign = (j, 1) if numbers[j] <= numbers[i] else (i, -1)
        moved[which] += sign * (wanted / np.linalg.norm(vector) - 1) * vector
    return Atoms(numbers, moved)


def label(atoms: Atoms) -> Atoms | None:
    """With the forces of GFN1-xTB; none where they are too large or do not converge."""
    odd = int(atoms.numbers.sum()) % 2
    atoms.calc = TBLite(method="GFN1-xTB", verbosity=0, multiplicity=1 + odd)
    try:
        forces = atoms.get_forces()
    except Exception:  # tblite raises what its C library says
        return None
    if not np.abs(forces).max() <= LARGEST_FORCE:
        return None
    labelled = Atoms(atoms.numbers, np.round(atoms.positions, 5))
    labelled.arrays["REF_forces"] = np.round(forces, 4)
    labelled.info = {"config_type": "short_distance", "REF_calculator": "GFN1-xTB"}
    return labelled


def main(source: str) -> None:
    rng = np.random.default_rng(SEED)
    structures = read_structures(source)
    made = []
    for n in rng.choice(len(structures), FRAMES, replace=False):
        made.append(distorted(structures[n].positions, structures[n].atomic_numbers, rng))
    for a, b in itertools.combinations_with_replacement((1, 6, 8), 2):
        bond = covalent_radii[a] + covalent_radii[b]
        for distance in np.linspace(0.45, 1.3, 14) * bond:
            made.append(Atoms([a, b], [[0, 0, 0], [0, 0, distance]]))
    frames = [f for f in map(label, made) if f is not None]
    write(TARGET, frames, format="extxyz")
    print(f"{TARGET.name}: {len(frames)} of {len(made)} frames")


if __name__ == "__main__":
    main(*sys.argv[1:])
