"""OpenMM's platform CUDA, with the model in its context and stream, against Reference.

All of it needs a device.  ``CAMLIP_TEST_PLATFORM=CPU`` runs the same tests on that platform, to see
that they are right.
"""

import os

import numpy as np
import openmm
import pytest
from openmm import unit

from camlip.openmm import NM_PER_ANGSTROM, MLIPForce
from openmm_tools import FORCE_UNIT, disordered, make_force, make_system, results, structures

PLATFORM = os.environ.get("CAMLIP_TEST_PLATFORM", "CUDA")
# Of positions in float, nm; the model is in double.
LIMITS = {"single": 2e-4, "mixed": 1e-9, "double": 1e-9}
ON_DEVICE = {"precision": "double", "backend": "auto"}


def why_not() -> str:
    names = [
        openmm.Platform.getPlatform(i).getName() for i in range(openmm.Platform.getNumPlatforms())
    ]
    if PLATFORM not in names:
        return f"OpenMM has no platform {PLATFORM} here"
    if PLATFORM != "CUDA":
        return ""
    system = openmm.System()
    system.addParticle(1.0)
    try:
        openmm.Context(
            system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("CUDA")
        )
    except openmm.OpenMMException as error:
        return str(error)
    return ""


WHY_NOT = why_not()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]


def make_context(system, positions, platform=PLATFORM, precision="mixed", step=0.001):
    properties = {"Precision": precision} if platform == "CUDA" else {}
    context = openmm.Context(
        system,
        openmm.VerletIntegrator(step),
        openmm.Platform.getPlatformByName(platform),
        properties,
    )
    context.setPositions(positions * NM_PER_ANGSTROM)
    return context


def reference(model, atoms, positions=None):
    system = make_system(atoms)
    system.addForce(make_force(model, atoms))
    return results(
        make_context(system, atoms.positions if positions is None else positions, "Reference")
    )


def check(found, expected, limit, atoms):
    energy, forces = found
    exact, exact_forces = expected
    assert energy == pytest.approx(exact, abs=max(1e-7, limit) * len(atoms))
    np.testing.assert_allclose(
        forces, exact_forces, rtol=0, atol=max(1e-7, 20 * limit) * np.abs(exact_forces).max()
    )


@pytest.mark.parametrize("precision", list(LIMITS))
@pytest.mark.parametrize("name", list(structures()))
def test_numbers_are_those_of_reference(model, name, precision):
    atoms = structures()[name]
    system = make_system(atoms)
    force = make_force(model, atoms, **ON_DEVICE)
    system.addForce(force)
    context = make_context(system, atoms.positions, precision=precision)
    assert force.getEngine(context) == ("cuda" if PLATFORM == "CUDA" else "cpu")
    for _ in range(3):  # the first step, a recorded one, a replayed one
        check(results(context), reference(model, atoms), LIMITS[precision], atoms)
    energies = force.getAtomicEnergies(context).value_in_unit(unit.kilojoules_per_mole)
    state = context.getState(energy=True).getPotentialEnergy()
    assert np.sum(energies) == pytest.approx(
        state.value_in_unit(unit.kilojoules_per_mole), rel=1e-6
    )


@pytest.mark.parametrize("periodic", [True, False])
def test_a_part_of_a_system_whose_atoms_are_reordered(model, periodic):
    """OpenMM sorts its atoms every 250 steps where a force has a cutoff."""
    atoms = disordered((9, 9, 9), spacing=3.0, tilt=0.2)
    part = np.sort(np.random.default_rng(2).choice(len(atoms), 60, replace=False)).tolist()
    system = make_system(atoms, mass=30.0)
    force = MLIPForce(
        model,
        elements=[atoms.numbers[i] for i in part],
        particles=part,
        periodic=periodic,
        **ON_DEVICE,
    )
    force.setForceGroup(1)
    system.addForce(force)
    others = openmm.NonbondedForce()
    others.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    others.setCutoffDistance(0.7)
    for _ in atoms:
        others.addParticle(0.0, 0.22, 0.2)
    system.addForce(others)
    context = make_context(system, atoms.positions, step=0.0005)
    context.setVelocitiesToTemperature(300, 1)
    for steps in (0, 300, 300):
        context.getIntegrator().step(steps)
        positions = context.getState(positions=True).getPositions(asNumpy=True)
        exact = openmm.Context(
            system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
        )
        exact.setPositions(positions)
        check(results(context, groups={1}), results(exact, groups={1}), 1e-6, atoms)


def test_atoms_that_jump_and_a_box_that_changes(model):
    """Nothing tells the force of either."""
    atoms = disordered((4, 4, 4))
    system = make_system(atoms)
    system.addForce(make_force(model, atoms, **ON_DEVICE))
    context = make_context(system, atoms.positions)
    rng = np.random.default_rng(5)
    for _ in range(4):
        context.getIntegrator().step(2)
        atoms.positions += rng.uniform(-0.2, 0.2, atoms.positions.shape)
        atoms.positions += rng.integers(-1, 2, (len(atoms), 3)) @ atoms.cell.array
        atoms.set_cell(atoms.cell.array * rng.uniform(0.99, 1.02), scale_atoms=True)
        context.setPeriodicBoxVectors(
            *(openmm.Vec3(*row) for row in atoms.cell.array * NM_PER_ANGSTROM)
        )
        context.setPositions(atoms.positions * NM_PER_ANGSTROM)
        forces = context.getState(forces=True).getForces(asNumpy=True)
        forces = forces.value_in_unit(unit.kilojoules_per_mole / unit.nanometer) / FORCE_UNIT
        exact = reference(model, atoms)[1]
        np.testing.assert_allclose(forces, exact, rtol=0, atol=1e-6 * np.abs(exact).max())


def test_the_scale_parameter_and_its_derivative(model):
    atoms = disordered((3, 3, 3))
    system = make_system(atoms)
    force = make_force(model, atoms, **ON_DEVICE, scaleParameter="lambda")
    force.addEnergyParameterDerivative("lambda")
    system.addForce(force)
    context = make_context(system, atoms.positions)
    exact, exact_forces = reference(model, atoms)
    for scale in (1.0, 0.4, 0.0):
        context.setParameter("lambda", scale)
        energy, forces = results(context)
        assert energy == pytest.approx(scale * exact, abs=1e-6 * len(atoms))
        np.testing.assert_allclose(forces, scale * exact_forces, rtol=0, atol=1e-6)
        state = context.getState(parameterDerivatives=True)
        slope = state.getEnergyParameterDerivatives()["lambda"]
        assert slope == pytest.approx(exact * FORCE_UNIT * NM_PER_ANGSTROM, rel=1e-6)


def test_energy_is_conserved_over_steps_in_which_nobody_asks_for_it(model):
    atoms = disordered((4, 4, 4), spacing=3.2)
    system = make_system(atoms)
    system.addForce(make_force(model, atoms, **ON_DEVICE))
    context = make_context(system, atoms.positions, precision="mixed", step=0.0002)
    openmm.LocalEnergyMinimizer.minimize(context, 10, 200)
    context.setVelocitiesToTemperature(300, 3)
    context.getIntegrator().step(20)

    def total() -> float:
        state = context.getState(energy=True)
        energy = state.getPotentialEnergy() + state.getKineticEnergy()
        return energy.value_in_unit(unit.kilojoules_per_mole)

    begin = total()
    for _ in range(3):
        context.getIntegrator().step(200)
        assert total() == pytest.approx(begin, abs=0.02 * len(atoms))
