"""Systems from ASE structures, and their numbers in the units of the engine."""

from pathlib import Path

import numpy as np
import openmm
from ase import Atoms
from openmm import unit

from camlip.openmm import KJ_PER_MOL_PER_EV, NM_PER_ANGSTROM, MLIPForce

FORCE_UNIT = KJ_PER_MOL_PER_EV / NM_PER_ANGSTROM


def disordered(
    repeat: tuple[int, int, int], spacing: float = 2.5, tilt: float = 0.0, pbc: bool = True
) -> Atoms:
    """Si and O on a jittered grid, in a reduced triclinic box as OpenMM wants it."""
    rng = np.random.default_rng(7)
    cell = np.diag(np.array(repeat) * spacing)
    cell[1, 0] = tilt * cell[0, 0]
    cell[2, :2] = -0.7 * tilt * cell[0, 0], 0.5 * tilt * cell[1, 1]
    grid = np.stack(np.meshgrid(*(np.arange(n) / n for n in repeat), indexing="ij"), -1)
    positions = grid.reshape(-1, 3) @ cell + rng.uniform(0.05, 0.6, (np.prod(repeat), 3))
    numbers = rng.permutation(np.resize([14, 8, 14], len(positions)))
    return Atoms(numbers=numbers, positions=positions, cell=cell, pbc=pbc)


def structures() -> dict[str, Atoms]:
    """One structure for every kind of box."""
    travelled = disordered((3, 3, 3), tilt=0.3)
    shifts = np.random.default_rng(0).integers(-3, 4, (len(travelled), 3))
    travelled.positions += shifts @ travelled.cell.array
    dodecahedron = disordered((4, 4, 4))
    dodecahedron.set_cell([[10, 0, 0], [0, 10, 0], [5, 5, 50**0.5]], scale_atoms=True)
    return {
        "cubic": disordered((4, 4, 4)),
        "triclinic": disordered((3, 3, 3), tilt=0.3),
        "travelled": travelled,
        "dodecahedron": dodecahedron,
        # three atoms, two lattice vectors shorter than half the cutoff
        "tiny": disordered((1, 1, 3), spacing=2.3, tilt=0.45),
        "not periodic": disordered((3, 3, 3), pbc=False),
    }


def vectors(atoms: Atoms) -> list[openmm.Vec3]:
    return [openmm.Vec3(*row) for row in atoms.cell.array * NM_PER_ANGSTROM]


def make_system(atoms: Atoms, mass: float | None = None) -> openmm.System:
    """A System with the particles and the box, and no forces."""
    system = openmm.System()
    if atoms.pbc.any():
        system.setDefaultPeriodicBoxVectors(*vectors(atoms))
    for own in atoms.get_masses():
        system.addParticle(own if mass is None else mass)
    return system


# The backend without tables, which take seconds in double; the backend cpu has tests of its own.
EXACT = {"precision": "double", "backend": "reference"}


def make_force(model: Path, atoms: Atoms, **options) -> MLIPForce:
    options = {**EXACT, **options}
    return MLIPForce(model, elements=atoms.numbers, periodic=bool(atoms.pbc.any()), **options)


def make_context(
    system: openmm.System,
    positions: np.ndarray,
    platform: str = "CPU",
    integrator: openmm.Integrator | None = None,
) -> openmm.Context:
    """A Context of one thread; positions in Angstrom."""
    properties = {"Threads": "1"} if platform == "CPU" else {}
    context = openmm.Context(
        system,
        integrator or openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName(platform),
        properties,
    )
    context.setPositions(positions * NM_PER_ANGSTROM)
    return context


def context_of(model: Path, atoms: Atoms, platform: str = "CPU", **options) -> openmm.Context:
    system = make_system(atoms)
    system.addForce(make_force(model, atoms, **options))
    return make_context(system, atoms.positions, platform)


def results(context: openmm.Context, groups: int | set[int] = -1) -> tuple[float, np.ndarray]:
    """Energy in eV and forces in eV/A."""
    state = context.getState(energy=True, forces=True, groups=groups)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoules_per_mole)
    forces = state.getForces(asNumpy=True)
    forces = forces.value_in_unit(unit.kilojoules_per_mole / unit.nanometer)
    return energy / KJ_PER_MOL_PER_EV, forces / FORCE_UNIT
