"""One structure through LAMMPS and through the engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, chemical_symbols
from numpy.typing import NDArray

from camlip.engine import Engine
from camlip.errors import EngineError
from camlip.lammps import plugin_directory
from camlip.parity import DOUBLE, Difference, compare, engine_evaluator

# LAMMPS' own constant for eV/A^3 in bar (units metal).
BAR_PER_EV_A3 = 1.6021765e6

_DECK = """
units metal
atom_style atomic
boundary p p p
box tilt large
read_data in.data
pair_style mlip engine {backend} precision double
pair_coeff * * "{model}" {elements}
compute virial all pressure NULL virial
thermo_style custom step pe c_virial[1] c_virial[2] c_virial[3] c_virial[4] c_virial[5] c_virial[6]
run 0
print "RESULT $(pe:%.17g) $(vol:%.17g) $(c_virial[1]:%.17g) $(c_virial[2]:%.17g) &
 $(c_virial[3]:%.17g) $(c_virial[4]:%.17g) $(c_virial[5]:%.17g) $(c_virial[6]:%.17g)" file out.txt
compute energies all pe/atom
run 0
write_dump all custom out.dump id c_energies fx fy fz modify sort id format float %.17g
"""


class LammpsMissing(RuntimeError):
    """There is no LAMMPS here that knows the pair style."""


def find_lmp(given: str | None = None) -> str:
    """The executable of LAMMPS.

    Raises:
        LammpsMissing: if there is none.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which(given or "lmp", path=None if given else beside)
    found = found or shutil.which(given or "lmp")
    if found is None:
        raise LammpsMissing(f"no executable '{given or 'lmp'}' beside this Python or on PATH")
    return found


def lammps_difference(
    model: Path,
    atoms: Atoms,
    make_engine: Callable[..., Engine],
    lmp: str | None = None,
) -> Difference:
    """Differences between LAMMPS and the engine, both in double.

    Args:
        model: model file.
        atoms: periodic in three directions.
        make_engine: with the arguments ``backend`` and ``precision``.
        lmp: executable.

    Raises:
        LammpsMissing: if there is no LAMMPS, or if it does not know ``pair_style mlip``.
        EngineError: if LAMMPS fails otherwise.
    """
    executable = find_lmp(lmp)
    rotated = atoms.copy()
    rotated.wrap()
    # LAMMPS wants a along x and b in the xy plane, right-handed.
    if np.linalg.det(rotated.cell.array) < 0:
        rotated.set_cell(-rotated.cell.array)
        rotated.wrap()
    standard, _ = rotated.cell.standard_form()
    rotated.set_cell(standard, scale_atoms=True)
    engine = make_engine("auto", "double")
    backend = engine.info.backend
    found = run_lammps(executable, model, rotated, backend)
    return compare("LAMMPS", [rotated], engine_evaluator(engine), lambda _: found, DOUBLE)


def run_lammps(
    executable: str, model: Path, atoms: Atoms, backend: str
) -> dict[str, NDArray[np.float64]]:
    """Energy, forces and virial of a structure whose cell is lower triangular."""
    present = sorted(set(atoms.numbers.tolist()))
    elements = [chemical_symbols[z] for z in present]
    with tempfile.TemporaryDirectory(prefix="camlip-check-") as name:
        folder = Path(name)
        (folder / "in.data").write_text(data_file(atoms, present))
        deck = _DECK.format(backend=backend, model=model.resolve(), elements=" ".join(elements))
        (folder / "in.deck").write_text(deck)
        done = subprocess.run(
            [executable, "-in", "in.deck", "-log", "none", "-nocite"],
            cwd=folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            output = done.stdout + done.stderr
            lines = [x for x in output.splitlines() if "ERROR" in x] or output.splitlines()[-1:]
            if "pair style" in output and "ERROR" in output and "nrecognized" in output:
                raise LammpsMissing(f"'{executable}' has no pair style mlip; {lines[0]}")
            raise EngineError(f"lammps: exit status {done.returncode}; {' '.join(lines)}")
        return _read(folder, len(atoms))


def data_file(atoms: Atoms, present: list[int]) -> str:
    """A LAMMPS data file with every digit; ASE's writer rounds coordinates."""
    cell = atoms.cell.array
    lines = [
        "camlip check",
        "",
        f"{len(atoms)} atoms",
        f"{len(present)} atom types",
        *(f"0.0 {float(cell[i, i])!r} {x}lo {x}hi" for i, x in enumerate("xyz")),
        f"{float(cell[1, 0])!r} {float(cell[2, 0])!r} {float(cell[2, 1])!r} xy xz yz",
        "",
        "Masses",
        "",
        *(f"{i + 1} {float(atomic_masses[z])!r}" for i, z in enumerate(present)),
        "",
        "Atoms # atomic",
        "",
    ]
    for i, (number, position) in enumerate(zip(atoms.numbers, atoms.positions, strict=True)):
        x, y, z = (repr(float(v)) for v in position)
        lines.append(f"{i + 1} {present.index(number) + 1} {x} {y} {z}")
    return "\n".join(lines) + "\n"


def _environment() -> dict[str, str]:
    environment: dict[str, Any] = dict(os.environ)
    # Found even where the package is not installed, only on PYTHONPATH.
    paths = [plugin_directory(), environment.get("LAMMPS_PLUGIN_PATH", "")]
    environment["LAMMPS_PLUGIN_PATH"] = ":".join(path for path in paths if path)
    return environment


def _read(folder: Path, num_atoms: int) -> dict[str, NDArray[np.float64]]:
    words = (folder / "out.txt").read_text().replace("RESULT", "").split()
    energy, volume, xx, yy, zz, xy, xz, yz = (float(word) for word in words)
    pressure = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    rows = np.loadtxt(folder / "out.dump", skiprows=9, ndmin=2)
    return {
        "energy": np.array(energy),
        "atomic_energies": rows[:num_atoms, 1],
        "forces": rows[:num_atoms, 2:],
        "virial": pressure * volume / BAR_PER_EV_A3,
    }
