"""Round a file that `camlip label` wrote and compress it: python pack_labelled.py in.xyz out.xyz.xz

Forces keep 5 and stresses 7 decimals, which is below what any model resolves and makes the file
small; positions are stored as they are.  Frames in which a force exceeds 40 eV/A are left out.
"""

from __future__ import annotations

import sys

import numpy as np
from ase.io import read, write

LARGEST_FORCE = 40.0  # eV/A


def main(source: str, target: str) -> None:
    packed = []
    for atoms in read(source, ":"):
        atoms.arrays["REF_forces"] = np.round(atoms.arrays["REF_forces"], 5)
        atoms.info["REF_energy"] = round(atoms.info["REF_energy"], 6)
        if "REF_stress" in atoms.info:
            atoms.info["REF_stress"] = np.round(atoms.info["REF_stress"], 7).ravel()
        del atoms.info["source_index"]
        if np.abs(atoms.arrays["REF_forces"]).max() <= LARGEST_FORCE:
            packed.append(atoms)
    # Frames of a trajectory stay together: alike neighbors compress better.
    write(target, packed, format="extxyz")
    print(f"{target}: {len(packed)} frames")


if __name__ == "__main__":
    main(*sys.argv[1:])
