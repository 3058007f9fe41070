"""OpenMM-ML's two lines: pure systems, mixed ML/MM, interpolation, link atoms."""

import importlib
import re
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

from camlip import Engine, Model
from camlip.openmm import KJ_PER_MOL_PER_EV, MLIPForce
from openmm_tools import EXACT, make_context, results

openmmml = pytest.importorskip("openmmml", reason="openmmml is not installed")

ROOT = Path(__file__).resolve().parents[2]
ALANINE = ROOT / "examples" / "openmm" / "alanine.pdb"
FIELD = app.ForceField("amber14-all.xml", "amber14/tip3p.xml")


@pytest.fixture(scope="module")
def model(random_model):
    return random_model("small", "H,C,N,O", cutoff=4.0)


@pytest.fixture(scope="module")
def solvated():
    """The molecule with some water in a small periodic box: topology and positions in Angstrom."""
    pdb = app.PDBFile(str(ALANINE))
    modeller = app.Modeller(pdb.topology, pdb.positions)
    modeller.addSolvent(FIELD, model="tip3p", boxSize=openmm.Vec3(1.9, 1.9, 1.9))
    positions = np.array(modeller.positions.value_in_unit(unit.angstrom))
    return modeller.topology, positions


@pytest.fixture(scope="module")
def molecular(solvated):
    return FIELD.createSystem(
        solvated[0],
        nonbondedMethod=app.PME,
        nonbondedCutoff=0.8 * unit.nanometer,
        constraints=app.HBonds,
    )


@pytest.fixture(scope="module")
def solute(solvated):
    return [a.index for a in solvated[0].atoms() if a.residue.name in ("ACE", "ALA", "NME")]


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Do for a checkout on PYTHONPATH, which is not installed, what the entry point does."""
    factories = openmmml.MLPotential._implFactories
    declared = re.search(
        r'^camlip = "(.*potential):(.*)"', (ROOT / "pyproject.toml").read_text(), re.M
    )
    assert declared
    factory = getattr(importlib.import_module(declared[1]), declared[2])
    if "camlip" not in factories:
        openmmml.MLPotential.registerImplFactory("camlip", factory())
    assert type(factories["camlip"]) is factory


def potential(model):
    return openmmml.MLPotential("camlip", modelPath=str(model), **EXACT)


def engine_energy(model, topology, positions, atoms, box=None):
    numbers = [a.element.atomic_number for a in topology.atoms()]
    engine = Engine(Model(model), "reference", "double", threads=1)
    found = engine.compute_system(
        positions[atoms],
        engine.model.types(np.array(numbers)[atoms]),
        box,
        box is not None,
        ("energy", "forces"),
    )
    return float(found["energy"]), found["forces"]


def ml_force(system):
    (force,) = (MLIPForce.cast(f) for f in system.getForces() if MLIPForce.isinstance(f))
    return force


def test_a_system_of_the_model_alone(model):
    pdb = app.PDBFile(str(ALANINE))
    system = potential(model).createSystem(pdb.topology)
    positions = np.array(pdb.positions.value_in_unit(unit.angstrom))
    energy, forces = results(make_context(system, positions))
    atoms = list(range(len(positions)))
    wanted_energy, wanted_forces = engine_energy(model, pdb.topology, positions, atoms)
    assert energy == pytest.approx(wanted_energy, rel=1e-11)
    assert np.abs(forces - wanted_forces).max() < 1e-9 * np.abs(wanted_forces).max()
    assert not ml_force(system).usesPeriodicBoundaryConditions()
    assert len(ml_force(system).getBonds()) == pdb.topology.getNumBonds()


def test_a_mixed_system(model, solvated, molecular, solute):
    topology, positions = solvated
    system = potential(model).createMixedSystem(topology, molecular, solute, forceGroup=7)
    force = ml_force(system)
    assert force.getParticles() == solute
    assert force.usesPeriodicBoundaryConditions()
    context = make_context(system, positions)
    energy, forces = results(context, {7})
    box = np.eye(3) * 19.0
    wanted_energy, wanted_forces = engine_energy(model, topology, positions, solute, box)
    assert energy == pytest.approx(wanted_energy, rel=1e-11)
    assert np.abs(forces[solute] - wanted_forces).max() < 1e-9 * np.abs(wanted_forces).max()
    # The solute stays one molecule although its bonds of the force field are gone.
    assert sorted(context.getMolecules()[0]) == solute
    assert all(len(molecule) in (3, len(solute)) for molecule in context.getMolecules())


def test_interpolation(model, solvated, molecular, solute):
    topology, positions = solvated
    mixed = potential(model).createMixedSystem(topology, molecular, solute)
    system = potential(model).createMixedSystem(topology, molecular, solute, interpolate=True)
    # The force field counts the pairs of the solute in another way: a rounding of PME remains.
    ends = [results(make_context(s, positions, "Reference"))[0] for s in (molecular, mixed)]
    context = make_context(system, positions, "Reference")
    for value in (0.0, 0.25, 1.0):
        context.setParameter("lambda_interpolate", value)
        wanted = (1 - value) * ends[0] + value * ends[1]
        assert results(context)[0] == pytest.approx(wanted, abs=1e-4)
    again = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    context = make_context(again, positions, "Reference")
    context.setParameter("lambda_interpolate", 1.0)
    assert results(context)[0] == pytest.approx(ends[1], abs=1e-4)


def test_link_atoms(model, solvated, molecular):
    """The side chain alone: a hydrogen, a virtual site, ends its bond to the backbone."""
    topology, positions = solvated
    atoms = [a.index for a in topology.atoms() if a.name in ("CB", "HB1", "HB2", "HB3")]
    info = potential(model).createMixedSystem(
        topology, molecular, atoms, forceGroup=7, returnInfo=True
    )
    system, capped = info["system"], info["topology"]
    site = system.getNumParticles() - 1
    assert system.isVirtualSite(site)
    assert ml_force(system).getParticles() == [*atoms, site]
    assert ml_force(system).getAtomicNumbers() == [6, 1, 1, 1, 1]
    context = make_context(system, np.vstack([positions, np.zeros(3)]))
    context.computeVirtualSites()
    all_positions = context.getState(positions=True).getPositions(asNumpy=True)
    all_positions = all_positions.value_in_unit(unit.angstrom)
    energy, forces = results(context, {7})
    wanted, _ = engine_energy(model, capped, all_positions, [*atoms, site], np.eye(3) * 19.0)
    assert energy == pytest.approx(wanted, rel=1e-9)
    backbone = next(a.index for a in topology.atoms() if a.name == "CA")
    assert forces[backbone].any()
    assert abs(forces[:site].sum(axis=0)).max() < 1e-9


def test_a_mixed_system_conserves_energy(model, solvated, molecular, solute):
    topology, positions = solvated
    fast = openmmml.MLPotential("camlip", modelPath=str(model))
    system = fast.createMixedSystem(topology, molecular, solute)
    integrator = openmm.VerletIntegrator(0.00025)
    integrator.setConstraintTolerance(1e-7)
    context = make_context(system, positions, "CPU", integrator)
    openmm.LocalEnergyMinimizer.minimize(context, 50.0, 60)
    context.setVelocitiesToTemperature(200, 1)
    integrator.step(20)
    totals = []
    for _ in range(15):
        integrator.step(10)
        state = context.getState(energy=True)
        totals.append((state.getPotentialEnergy() + state.getKineticEnergy())._value)
    kinetic = state.getKineticEnergy()._value
    assert np.ptp(totals) < 0.02 * kinetic


def test_arguments(model, solvated):
    topology, _ = solvated
    with pytest.raises(ValueError, match="modelPath is missing"):
        openmmml.MLPotential("camlip")
    with pytest.raises(ValueError, match="unknown argument 'modelpath', expected modelPath"):
        openmmml.MLPotential("camlip", modelPath="m.pt", modelpath="m.pt")
    with pytest.raises(openmm.OpenMMException, match=r"model file '.*none.pt'"):
        openmmml.MLPotential("camlip", modelPath="none.pt").createSystem(topology)
    system = potential(model).createSystem(topology, scaleParameter="lambda_ml", periodic=False)
    assert ml_force(system).getScaleParameter() == "lambda_ml"
    assert not ml_force(system).usesPeriodicBoundaryConditions()
    assert system.getNumForces() == 2
    assert pytest.approx(96.48533212, rel=1e-9) == KJ_PER_MOL_PER_EV
