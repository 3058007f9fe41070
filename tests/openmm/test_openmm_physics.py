"""Pressure, conservation of energy, virtual sites, threads: what simulations rely on."""

import os
import subprocess
import sys

import numpy as np
import openmm
import pytest
from openmm import unit

from camlip import Engine, Model
from camlip.openmm import MLIPForce
from openmm_tools import (
    EXACT,
    context_of,
    disordered,
    make_context,
    make_force,
    make_system,
    results,
    structures,
    vectors,
)

BAR_PER_EV_A3 = 1.602176634e6
STRUCTURES = structures()


def energy_at_scale(context, atoms, scale):
    scaled = atoms.copy()
    scaled.set_cell(atoms.cell.array * scale, scale_atoms=True)
    context.setPeriodicBoxVectors(*vectors(scaled))
    context.setPositions(scaled.positions * 0.1)
    return results(context)[0]


@pytest.mark.parametrize("name", ["triclinic", "travelled", "dodecahedron", "tiny"])
def test_the_volume_derivative_is_the_virial(model, name):
    """What a barostat sees is what the engine calls virial."""
    atoms = STRUCTURES[name]
    context = context_of(model, atoms)
    step = 1e-4
    far, near = (
        energy_at_scale(context, atoms, 1 + k * step)
        - energy_at_scale(context, atoms, 1 - k * step)
        for k in (2, 1)
    )
    slope = (8 * near - far) / (12 * step)
    engine = Engine(Model(model), "reference", "double", threads=1)
    virial = engine.compute_system(
        atoms.positions, engine.model.types(atoms.numbers), atoms.cell.array, True, ("virial",)
    )["virial"]
    assert -slope == pytest.approx(np.trace(virial), rel=1e-7)


@pytest.mark.parametrize("options", [EXACT, {"backend": "cpu", "precision": "mixed"}])
def test_the_barostats_pressure_is_the_virials(model, options):
    atoms = STRUCTURES["triclinic"]
    system = make_system(atoms)
    system.addForce(make_force(model, atoms, **options))
    barostat = openmm.MonteCarloBarostat(1.0, 300.0)
    system.addForce(barostat)
    context = make_context(system, atoms.positions)
    context.setVelocities(np.zeros((len(atoms), 3)))
    engine = Engine(Model(model), "reference", "double", threads=1)
    virial = engine.compute_system(
        atoms.positions, engine.model.types(atoms.numbers), atoms.cell.array, True, ("virial",)
    )["virial"]
    wanted = np.trace(virial) / (3 * atoms.get_volume()) * BAR_PER_EV_A3
    # OpenMM's own finite difference is of second order with a large step.
    found = barostat.computeCurrentPressure(context).value_in_unit(unit.bar)
    assert found == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("rigid", [True, False])
def test_barostats_move_molecules_or_atoms(model, rigid):
    """Bonds keep molecules as they are while the box changes, unless the barostat says no."""
    atoms = STRUCTURES["cubic"]
    system = make_system(atoms)
    force = make_force(model, atoms, backend="cpu", precision="mixed")
    force.setBonds([(i, i + 1) for i in range(0, len(atoms), 2)])
    system.addForce(force)
    barostat = openmm.MonteCarloBarostat(1.0, 300.0, 1)
    barostat.setScaleMoleculesAsRigid(rigid)
    barostat.setRandomNumberSeed(1)
    system.addForce(barostat)
    context = make_context(system, atoms.positions, "CPU", openmm.VerletIntegrator(1e-8))
    context.setVelocities(np.zeros((len(atoms), 3)))
    context.getIntegrator().step(20)
    state = context.getState(positions=True)
    volume = state.getPeriodicBoxVolume().value_in_unit(unit.angstrom**3)
    assert volume != pytest.approx(atoms.get_volume(), rel=1e-6)
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    lengths = np.linalg.norm(positions[1::2] - positions[::2], axis=1)
    before = np.linalg.norm(atoms.positions[1::2] - atoms.positions[::2], axis=1)
    assert np.allclose(lengths, before, rtol=1e-9) == rigid


@pytest.mark.parametrize("name", ["Reference", "CPU"])
def test_energy_is_conserved(model, name):
    atoms = disordered((4, 4, 4))
    system = make_system(atoms)
    system.addForce(make_force(model, atoms, backend="cpu", precision="mixed"))
    integrator = openmm.VerletIntegrator(0.00025)
    context = make_context(system, atoms.positions, name, integrator)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, 100)
    context.setVelocitiesToTemperature(300, 1)
    totals = []
    for _ in range(40):
        integrator.step(10)
        state = context.getState(energy=True)
        # Velocities are half a step behind; OpenMM's kinetic energy makes up for it.
        totals.append((state.getPotentialEnergy() + state.getKineticEnergy())._value / 96.485)
    kinetic = state.getKineticEnergy()._value / 96.485
    assert np.std(totals) < 0.01 * kinetic
    picoseconds = 0.0025 * np.arange(len(totals))
    drift = np.polyfit(picoseconds, np.array(totals) / len(atoms), 1)[0]
    # The oscillation of so short a run is larger than the drift of a long one (docs/openmm.md).
    assert abs(drift) < 1e-3


def test_virtual_sites_hand_their_forces_on(model):
    """An oxygen at the middle of two atoms, as OpenMM-ML's link atoms: forces are derivatives."""
    atoms = STRUCTURES["not periodic"]
    system = make_system(atoms)
    site = system.addParticle(0.0)
    system.setVirtualSite(site, openmm.LocalCoordinatesSite(
        [0, 1], [1.0, 0.0], [-1.0, 1.0], [0.0, 0.0], [0.11, 0.0, 0.0]))  # fmt: skip
    particles = [0, 2, 3, 5, site]
    numbers = [*atoms.numbers[particles[:-1]], 8]
    system.addForce(
        MLIPForce(model, elements=numbers, particles=particles, periodic=False, **EXACT)
    )
    context = make_context(system, np.vstack([atoms.positions, np.zeros(3)]))
    context.computeVirtualSites()
    _, forces = results(context)
    start = context.getState(positions=True).getPositions(asNumpy=True)._value
    assert forces[1].any()  # not an atom of the model: by the site alone

    def energy(displacement):
        context.setPositions(start + 0.1 * displacement)
        context.computeVirtualSites()
        return results(context)[0]

    rng = np.random.default_rng(0)
    for _ in range(2):
        direction = np.zeros((system.getNumParticles(), 3))
        direction[:6] = rng.normal(size=(6, 3))
        h = 1e-4
        far = energy(2 * h * direction) - energy(-2 * h * direction)
        near = energy(h * direction) - energy(-h * direction)
        slope = (8 * near - far) / (12 * h)
        assert slope == pytest.approx(-float((forces * direction).sum()), rel=1e-6)


THREADS = """
import os, sys
import numpy as np
import openmm
from camlip.openmm import MLIPForce
system = openmm.System()
for _ in range(64):
    system.addParticle(28.0)
system.addForce(MLIPForce(sys.argv[1], elements=["Si"] * 64, periodic=True, backend="cpu"))
for threads in ("1", "3"):
    start = len(os.listdir("/proc/self/task"))
    context = openmm.Context(system, openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("CPU"), {"Threads": threads})
    grid = np.stack(np.meshgrid(*[np.arange(4) * 0.3] * 3), -1).reshape(-1, 3)
    context.setPositions(grid)
    context.getState(forces=True)
    print(len(os.listdir("/proc/self/task")) - start)
    del context
"""


def test_the_engine_has_as_many_threads_as_openmm(model):
    """OpenMM makes the threads of its pool, OpenMP one less, because it uses the caller's."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    run = subprocess.run(
        [sys.executable, "-c", THREADS, str(model)],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    assert run.stdout.split() == ["1", "5"], run.stdout
