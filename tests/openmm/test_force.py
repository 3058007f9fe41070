"""The force gives the numbers of the engine, in every box, on every path, for every option."""

import copy
import pickle

import numpy as np
import openmm
import pytest
from openmm import app, unit

from camlip import Engine, MLIPCalculator, Model
from camlip.engine import model_path
from camlip.openmm import KJ_PER_MOL_PER_EV, MLIPForce
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

STRUCTURES = structures()


@pytest.fixture(scope="module")
def engine(model):
    return Engine(Model(model), "reference", "double", threads=1)


def expected(engine, atoms):
    return engine.compute_system(
        atoms.positions,
        engine.model.types(atoms.numbers),
        atoms.cell.array if atoms.pbc.any() else None,
        atoms.pbc.tolist(),
        ("energy", "forces", "atomic_energies"),
    )


def relative(found, wanted):
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize("name", STRUCTURES)
def test_numbers_are_the_engines(engine, model, platform, name):
    atoms = STRUCTURES[name]
    wanted = expected(engine, atoms)
    system = make_system(atoms)
    force = make_force(model, atoms)
    system.addForce(force)
    context = make_context(system, atoms.positions, platform)
    energy, forces = results(context)
    assert energy == pytest.approx(wanted["energy"], rel=1e-11)
    assert relative(forces, wanted["forces"]) < 1e-9
    assert force.getEngine(context) == "reference"
    energies = force.getAtomicEnergies(context).value_in_unit(unit.kilojoules_per_mole)
    assert relative(energies / KJ_PER_MOL_PER_EV, wanted["atomic_energies"]) < 1e-9


def test_a_model_that_comes_with_camlip():
    force = MLIPForce("camlip:silicon", elements=["Si"], periodic=False)
    assert force.getModelFile() == model_path("camlip:silicon")


@pytest.mark.parametrize("name", ["dodecahedron", "tiny"])
def test_numbers_with_every_instruction_set(engine, model, name, every_simd):
    atoms = STRUCTURES[name]
    wanted = expected(engine, atoms)
    energy, forces = results(context_of(model, atoms, backend="cpu"))
    assert energy == pytest.approx(wanted["energy"], rel=1e-11)
    assert relative(forces, wanted["forces"]) < 1e-9


VARIANTS = [
    (name, backend, precision)
    for name in STRUCTURES
    for backend, precision in [("reference", "double"), ("cpu", "mixed"), ("cpu", "double")]
]


@pytest.mark.parametrize(("name", "backend", "precision"), VARIANTS)
def test_numbers_are_those_of_ase(model, name, backend, precision):
    options = {"backend": backend, "precision": precision}
    atoms = STRUCTURES[name].copy()
    atoms.calc = MLIPCalculator(model, threads=1, **options)
    energy, forces = results(context_of(model, atoms, **options))
    # In mixed precision the rounding of the units becomes a rounding of single precision.
    limit = 1e-9 if precision == "double" else 1e-5
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=0.01 * limit)
    assert relative(forces, atoms.get_forces()) < limit


def test_a_box_that_changes(engine, model, platform):
    atoms = STRUCTURES["triclinic"].copy()
    context = context_of(model, atoms, platform)
    results(context)
    atoms.set_cell(atoms.cell.array * 1.03, scale_atoms=True)
    context.setPeriodicBoxVectors(*vectors(atoms))
    context.setPositions(atoms.positions * 0.1)
    assert relative(results(context)[1], expected(engine, atoms)["forces"]) < 1e-9


@pytest.mark.parametrize("periodic", [True, False])
def test_a_subset_sees_only_itself(engine, model, platform, periodic):
    atoms = STRUCTURES["triclinic"]
    particles = [20, 3, 5, 11, 7, 26]
    system = make_system(atoms)
    force = MLIPForce(
        model,
        elements=atoms.numbers[particles],
        particles=particles,
        periodic=periodic,
        **EXACT,
    )
    system.addForce(force)
    part = atoms[particles]
    part.pbc = periodic
    wanted = expected(engine, part)
    context = make_context(system, atoms.positions, platform)
    energy, forces = results(context)
    assert energy == pytest.approx(wanted["energy"], rel=1e-11)
    assert relative(forces[particles], wanted["forces"]) < 1e-9
    others = np.setdiff1d(np.arange(len(atoms)), particles)
    assert not forces[others].any()
    assert len(force.getAtomicEnergies(context)) == len(particles)


def test_forces_are_added_to_those_of_others(model, platform):
    atoms = STRUCTURES["cubic"]
    system = make_system(atoms)
    force = make_force(model, atoms)
    force.setForceGroup(3)
    system.addForce(force)
    spring = openmm.CustomExternalForce("50*x^2")
    for i in range(len(atoms)):
        spring.addParticle(i)
    system.addForce(spring)
    context = make_context(system, atoms.positions, platform)
    both, ml, mm = (results(context, groups) for groups in (-1, {3}, {0}))
    assert both[0] == pytest.approx(ml[0] + mm[0], rel=1e-12)
    assert np.allclose(both[1], ml[1] + mm[1], atol=1e-10)
    assert ml[0] == pytest.approx(results(context_of(model, atoms))[0], rel=1e-12)


@pytest.mark.parametrize("name", ["Reference", "CPU"])
def test_the_scale_parameter_and_its_derivative(model, name):
    atoms = STRUCTURES["cubic"]
    plain_energy, plain_forces = results(context_of(model, atoms, name))
    system = make_system(atoms)
    force = make_force(model, atoms, scaleParameter="lambda_ml")
    force.addEnergyParameterDerivative("lambda_ml")
    system.addForce(force)
    context = make_context(system, atoms.positions, name)
    for value in (1.0, 0.3, 0.0, -0.5):
        context.setParameter("lambda_ml", value)
        energy, forces = results(context)
        assert energy == pytest.approx(value * plain_energy, rel=1e-12)
        assert np.allclose(forces, value * plain_forces, atol=1e-10)
        state = context.getState(parameterDerivatives=True)
        slope = state.getEnergyParameterDerivatives()["lambda_ml"]
        assert slope / KJ_PER_MOL_PER_EV == pytest.approx(plain_energy, rel=1e-12)


def test_the_scale_parameter_on_the_generic_path(model, monkeypatch):
    monkeypatch.setenv("CAMLIP_OPENMM_GENERIC", "1")
    atoms = STRUCTURES["cubic"]
    system = make_system(atoms)
    force = make_force(model, atoms)
    force.setScaleParameter("lambda_ml", 0.25)
    system.addForce(force)
    context = make_context(system, atoms.positions)
    monkeypatch.delenv("CAMLIP_OPENMM_GENERIC")
    plain = results(context_of(model, atoms))
    found = results(context)
    assert found[0] == pytest.approx(0.25 * plain[0], rel=1e-12)
    assert np.allclose(found[1], 0.25 * plain[1], atol=1e-10)


def test_inside_a_custom_cv_force(model, platform):
    """OpenMM-ML interpolates in this way; it has the derivative on all platforms."""
    atoms = STRUCTURES["cubic"]
    plain = results(context_of(model, atoms, platform))
    system = make_system(atoms)
    scaled = openmm.CustomCVForce("a*ml")
    scaled.addGlobalParameter("a", 0.5)
    scaled.addEnergyParameterDerivative("a")
    scaled.addCollectiveVariable("ml", make_force(model, atoms))
    system.addForce(scaled)
    context = make_context(system, atoms.positions, platform)
    energy, forces = results(context)
    assert energy == pytest.approx(0.5 * plain[0], rel=1e-12)
    assert np.allclose(forces, 0.5 * plain[1], atol=1e-9)
    slope = context.getState(parameterDerivatives=True).getEnergyParameterDerivatives()["a"]
    assert slope / KJ_PER_MOL_PER_EV == pytest.approx(plain[0], rel=1e-12)


def test_parameters_change_in_a_context(engine, model, random_model, platform):
    atoms = STRUCTURES["cubic"].copy()
    system = make_system(atoms)
    force = make_force(model, atoms, backend="cpu", precision="mixed")
    system.addForce(force)
    context = make_context(system, atoms.positions, platform)
    atoms.numbers[:20] = 8
    force.setAtoms(atoms.numbers)
    force.setPrecision("double")
    force.setBackend("reference")
    force.updateParametersInContext(context)
    assert relative(results(context)[1], expected(engine, atoms)["forces"]) < 1e-9
    other = random_model("small", "Si,O", cutoff=5.0, seed=1)
    force.setModelFile(other)
    force.setUsesPeriodicBoundaryConditions(False)
    force.updateParametersInContext(context)
    atoms.pbc = False
    again = Engine(Model(other), "reference", "double", threads=1)
    assert relative(results(context)[1], expected(again, atoms)["forces"]) < 1e-9
    assert not force.usesPeriodicBoundaryConditions()


def full_force(model, atoms):
    force = make_force(model, atoms, scaleParameter="s")
    force.setScaleParameter("s", 0.75)
    force.addEnergyParameterDerivative("s")
    force.setBonds([(0, 1), (1, 2)])
    force.setForceGroup(5)
    force.setName('the "model" & more')
    return force


def everything(force):
    of_contexts = ("getAtomicEnergies", "getEngine")
    getters = [n for n in dir(MLIPForce) if n.startswith("get") and n not in of_contexts]
    others = [getattr(force, name)() for name in getters]
    return [*others, force.usesPeriodicBoundaryConditions()]


@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        lambda force: pickle.loads(pickle.dumps(force)),
        lambda force: MLIPForce.cast(
            openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(force))
        ),
    ],
    ids=["copy", "deepcopy", "pickle", "xml"],
)
def test_copies_have_everything(model, again):
    force = full_force(model, STRUCTURES["not periodic"])
    twin = again(force)
    assert isinstance(twin, MLIPForce)
    assert everything(twin) == everything(force)
    twin.setPrecision("mixed")
    assert force.getPrecision() == "double"


def test_a_system_goes_through_xml_and_gives_the_same_numbers(model, platform):
    atoms = STRUCTURES["triclinic"]
    system = make_system(atoms)
    system.addForce(make_force(model, atoms))
    text = openmm.XmlSerializer.serialize(system)
    twin = openmm.XmlSerializer.deserialize(text)
    assert openmm.XmlSerializer.serialize(twin) == text
    assert MLIPForce.isinstance(twin.getForce(0))
    assert MLIPForce.cast(twin.getForce(0)).getModelFile() == str(model)
    found = results(make_context(twin, atoms.positions, platform))
    assert np.array_equal(found[1], results(context_of(model, atoms, platform))[1])


def test_only_our_forces_can_be_cast():
    assert not MLIPForce.isinstance(openmm.HarmonicBondForce())
    with pytest.raises(TypeError, match="'HarmonicBondForce' is not a MLIPForce"):
        MLIPForce.cast(openmm.HarmonicBondForce())


def silica() -> app.Topology:
    """Two molecules O-Si-O and a box."""
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(2):
        residue = topology.addResidue("SIO", chain)
        atoms = [topology.addAtom(s, app.Element.getBySymbol(s), residue) for s in ("Si", "O", "O")]
        topology.addBond(atoms[0], atoms[1])
        topology.addBond(atoms[0], atoms[2])
    topology.setPeriodicBoxVectors(np.eye(3) * unit.nanometer)
    return topology


def test_a_topology_gives_elements_box_and_molecules(model):
    topology = silica()
    force = MLIPForce(model, topology)
    assert force.getAtomicNumbers() == [14, 8, 8, 14, 8, 8]
    assert force.usesPeriodicBoundaryConditions()
    assert force.getBonds() == [(0, 1), (0, 2), (3, 4), (3, 5)]
    part = MLIPForce(model, topology, particles=[4, 3], periodic=False)
    assert part.getAtomicNumbers() == [8, 14]
    assert part.getParticles() == [4, 3]
    assert part.getBonds() == [(3, 4)]
    assert not part.usesPeriodicBoundaryConditions()
    system = openmm.System()
    for _ in range(6):
        system.addParticle(1.0)
    system.addForce(force)
    context = make_context(system, np.random.default_rng(0).uniform(0, 10, (6, 3)))
    assert [list(m) for m in context.getMolecules()] == [[0, 1, 2], [3, 4, 5]]
    assert MLIPForce(model, topology, bonds=False).getBonds() == []
    topology.setPeriodicBoxVectors(None)
    assert not MLIPForce(model, topology).usesPeriodicBoundaryConditions()


def test_elements_in_every_form(model):
    elements = ["Si", 8, np.int64(14), app.element.oxygen]
    assert MLIPForce(model, elements=elements, periodic=False).getAtomicNumbers() == [14, 8, 14, 8]


def test_contexts_of_two_models_and_threads_do_not_meet(model, random_model):
    from concurrent.futures import ThreadPoolExecutor

    atoms = disordered((3, 3, 3))
    files = [model, random_model("small", "Si,O", cutoff=5.0, seed=1)] * 2
    options = {"backend": "cpu", "precision": "mixed"}
    contexts = [context_of(file, atoms, **options) for file in files]
    alone = [results(context) for context in contexts]

    def often(context):
        for _ in range(5):
            context.setPositions(atoms.positions * 0.1)
            found = results(context)
        return found

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(often, contexts))
    assert alone[0][0] != alone[1][0]
    for (energy, forces), (energy_again, forces_again) in zip(alone, together, strict=True):
        assert energy == energy_again
        assert np.array_equal(forces, forces_again)
