"""One structure through OpenMM and through the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from camlip.engine import Engine
from camlip.parity import DOUBLE, Difference, compare, engine_evaluator


class OpenMMMissing(RuntimeError):
    """There is no OpenMM here that the plugin can run in."""


def openmm_difference(
    model: Path, atoms: Atoms, make_engine: Callable[..., Engine], platform: str = "CPU"
) -> Difference:
    """Differences between OpenMM and the engine, both in double.

    Args:
        model: model file.
        atoms: periodic in three directions or in none.
        make_engine: with the arguments ``backend`` and ``precision``.
        platform: of OpenMM.

    Returns:
        OpenMM has no virial; that difference is 0.

    Raises:
        OpenMMMissing: if OpenMM is missing or has the wrong version.
        ArgumentError: if the structure is periodic in one direction or two.
    """
    rotated = reduced(atoms) if atoms.pbc.any() else atoms
    engine = make_engine("auto", "double")
    found = run_openmm(model, rotated, platform, backend=engine.info.backend)
    return compare("OpenMM", [rotated], engine_evaluator(engine), lambda _: found, DOUBLE)


def reduced(atoms: Atoms) -> Atoms:
    """The same structure, turned so that its box is one that OpenMM takes.

    >>> cell = [[0, 5, 5], [5, 0, 5], [5, 5, 0]]
    >>> reduced(Atoms(cell=cell, pbc=True)).cell.array.round(3) + 0.0
    array([[7.071, 0.   , 0.   ],
           [3.536, 6.124, 0.   ],
           [3.536, 2.041, 5.774]])
    """
    turned = atoms.copy()
    if np.linalg.det(turned.cell.array) < 0:
        turned.set_cell(-turned.cell.array)
    standard, _ = turned.cell.standard_form()
    turned.set_cell(standard, scale_atoms=True)
    a, b, c = turned.cell.array.copy()
    c -= b * np.round(c[1] / b[1])
    c -= a * np.round(c[0] / a[0])
    b -= a * np.round(b[0] / a[0])
    turned.set_cell([a, b, c])
    return turned


def run_openmm(
    model: Path, atoms: Atoms, platform: str = "CPU", backend: str = "auto"
) -> dict[str, NDArray[np.float64]]:
    """Energy, energies of the atoms and forces of a structure in double, in eV and Angstrom.

    Args:
        model: model file.
        atoms: not periodic, or periodic with a cell that OpenMM takes.
        platform: of OpenMM.
        backend: of the engine.

    Raises:
        OpenMMMissing: if OpenMM is missing or has the wrong version.
        OpenMMException: if OpenMM fails.
    """
    try:
        from camlip.openmm import KJ_PER_MOL_PER_EV, NM_PER_ANGSTROM, MLIPForce
    except ImportError as error:
        raise OpenMMMissing(str(error).removeprefix("camlip.openmm: ")) from error
    import openmm
    from openmm import unit

    system = openmm.System()
    periodic = bool(atoms.pbc.any())
    if periodic:
        rows = atoms.cell.array * NM_PER_ANGSTROM
        system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in rows))
    for mass in atoms.get_masses():
        system.addParticle(mass)
    force = MLIPForce(
        model,
        elements=atoms.numbers.tolist(),
        periodic=periodic,
        precision="double",
        backend=backend,
    )
    system.addForce(force)
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName(platform)
    )
    context.setPositions(atoms.positions * NM_PER_ANGSTROM)
    state = context.getState(energy=True, forces=True)
    energy = unit.kilojoules_per_mole
    forces = state.getForces(asNumpy=True).value_in_unit_system(unit.md_unit_system)
    energies = force.getAtomicEnergies(context).value_in_unit(energy)
    total = state.getPotentialEnergy().value_in_unit(energy)
    return {
        "energy": np.asarray(total) / KJ_PER_MOL_PER_EV,
        "atomic_energies": np.asarray(energies) / KJ_PER_MOL_PER_EV,
        "forces": np.asarray(forces) * NM_PER_ANGSTROM / KJ_PER_MOL_PER_EV,
    }
