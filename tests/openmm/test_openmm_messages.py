"""What is told when something is wrong, and when."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import OpenMMException, app

from camlip.openmm import OPENMM_VERSION, MLIPForce
from openmm_tools import context_of, disordered, make_context, make_force, make_system

ROOT = Path(__file__).resolve().parents[2]


def oxygen_and(name: str, element: app.Element | None) -> app.Topology:
    topology = app.Topology()
    residue = topology.addResidue("RES", topology.addChain())
    topology.addAtom("O", app.element.oxygen, residue)
    topology.addAtom(name, element, residue)
    return topology


def two_particles(force: openmm.Force) -> openmm.Context:
    system = openmm.System()
    system.addParticle(1.0)
    system.addParticle(1.0)
    system.addForce(force)
    return make_context(system, np.array([[0.0, 0, 0], [1.6, 0, 0]]))


def test_an_element_that_the_model_lacks(model):
    text = r"MLIPForce: .*model '.*\.pt' has no element Cl \(first at atom 1, .*knows O, Si"
    with pytest.raises(OpenMMException, match=text):
        MLIPForce(model, oxygen_and("CL", app.element.chlorine))
    force = MLIPForce(model, oxygen_and("SI", app.element.silicon))
    force.setAtoms(["O", "Cl"])
    text = r"MLIPForce: model '.*\.pt' has no element 'Cl' \(first at particle 1\); it knows O, Si"
    with pytest.raises(OpenMMException, match=text):
        two_particles(force)


def test_a_site_without_an_element(model):
    with pytest.raises(ValueError, match=r"atom 1 \('M' of residue 'RES'\) has no element"):
        MLIPForce(model, oxygen_and("M", None))
    part = MLIPForce(model, oxygen_and("M", None), particles=[0])
    assert part.getAtomicNumbers() == [8]


def test_a_file_that_is_missing_or_another(model, random_model, tmp_path, monkeypatch):
    with pytest.raises(OpenMMException, match=r"MLIPForce: .*model file 'none.pt'"):
        MLIPForce("none.pt", elements=["Si"], periodic=False)
    atoms = disordered((2, 2, 2), pbc=False)
    path = tmp_path / "there" / "model.pt"
    path.parent.mkdir()
    shutil.copy(model, path)
    force = make_force(path, atoms)
    text = openmm.XmlSerializer.serialize(force)
    path.unlink()
    system = make_system(atoms)
    system.addForce(force)
    monkeypatch.chdir(tmp_path)
    missing = rf"model file '{re.escape(str(path))}' does not exist, nor does 'model.pt' in the cur"
    with pytest.raises(OpenMMException, match=missing):
        make_context(system, atoms.positions)
    # Another machine: the file lies beside the run.
    shutil.copy(model, tmp_path / "model.pt")
    make_context(system, atoms.positions)
    shutil.copy(random_model("small", "Si,O", cutoff=5.0, seed=1), tmp_path / "model.pt")
    with pytest.raises(OpenMMException, match=r"has sha256 \w{12}\.\.\., expected \w{12}\.\.\. as"):
        make_context(system, atoms.positions)
    # Accepted when the user says so.
    again = MLIPForce.cast(openmm.XmlSerializer.deserialize(text))
    again.setModelFile("model.pt")
    accepted = make_system(atoms)
    accepted.addForce(again)
    make_context(accepted, atoms.positions)
    path.write_bytes(b"no model")
    with pytest.raises(OpenMMException, match=r"MLIPForce: .*model file '.*model.pt'"):
        make_context(system, atoms.positions)


def test_particles_that_do_not_fit(model):
    options = {"elements": ["O", "Si"], "periodic": False}
    with pytest.raises(OpenMMException, match="1 elements for 2 particles of the System"):
        two_particles(MLIPForce(model, elements=["O"], periodic=False))
    with pytest.raises(OpenMMException, match="particle 2 does not exist, expected 0 to 1"):
        two_particles(MLIPForce(model, particles=[0, 2], **options))
    with pytest.raises(OpenMMException, match="particle 1 is listed twice"):
        two_particles(MLIPForce(model, particles=[1, 1], **options))
    with pytest.raises(OpenMMException, match="1 particles and 2 atomic numbers, expected one"):
        MLIPForce(model, particles=[1], **options)
    with pytest.raises(ValueError, match="particles is empty"):
        MLIPForce(model, elements=[], particles=[], periodic=False)
    topology = oxygen_and("SI", app.element.silicon)
    with pytest.raises(ValueError, match="particle 2 is not in the topology, expected 0 to 1"):
        MLIPForce(model, topology, particles=[2])


def test_what_must_be_given(model):
    with pytest.raises(ValueError, match="neither topology nor elements"):
        MLIPForce(model)
    with pytest.raises(ValueError, match="say periodic=True or periodic=False"):
        MLIPForce(model, elements=["Si"])
    with pytest.raises(ValueError, match="'Xx' is no element"):
        MLIPForce(model, elements=["Xx"], periodic=False)
    force = MLIPForce(model, elements=["Si"], periodic=False, scaleParameter="a")
    with pytest.raises(ValueError, match="energy parameter 'b', expected the scale parameter 'a'"):
        force.addEnergyParameterDerivative("b")


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"precision": "half"}, "precision: value 'half', expected mixed or double"),
        ({"backend": "cuda"}, "backend 'cuda': (not built|cannot open|no CUDA)"),
        ({"backend": "gpu"}, "backend 'gpu'|backend: .*'gpu'"),
    ],
)
def test_options_that_the_engine_refuses(model, option, text):
    with pytest.raises(OpenMMException, match=rf"MLIPForce: .*({text})"):
        context_of(model, disordered((2, 2, 2)), **option)


def test_an_update_that_fails_leaves_the_context_as_it_was(model, platform):
    atoms = disordered((2, 2, 2))
    system = make_system(atoms)
    force = make_force(model, atoms)
    system.addForce(force)
    context = make_context(system, atoms.positions, platform)
    before = context.getState(energy=True).getPotentialEnergy()
    force.setPrecision("half")
    for _ in range(2):
        with pytest.raises(OpenMMException, match="precision: value 'half'"):
            force.updateParametersInContext(context)
    assert context.getState(energy=True).getPotentialEnergy() == before


def test_the_derivative_where_it_cannot_be(model, monkeypatch):
    monkeypatch.setenv("CAMLIP_OPENMM_GENERIC", "1")
    atoms = disordered((2, 2, 2))
    system = make_system(atoms)
    force = make_force(model, atoms, scaleParameter="a")
    force.addEnergyParameterDerivative("a")
    system.addForce(force)
    with pytest.raises(OpenMMException, match=r"expected Reference, CPU, or CUDA .* CustomCVForce"):
        make_context(system, atoms.positions)


@pytest.mark.parametrize("path", ["own", "generic"])
def test_atoms_at_one_place(model, monkeypatch, path):
    if path == "generic":
        monkeypatch.setenv("CAMLIP_OPENMM_GENERIC", "1")
    force = MLIPForce(model, elements=["O", "Si"], periodic=False)
    context = two_particles(force)
    context.setPositions(np.zeros((2, 3)))
    with pytest.raises(OpenMMException, match=r"MLIPForce: .*"):
        context.getState(energy=True, forces=True)


def test_a_box_without_room(model):
    """Any box will do until its images are too many to count."""
    atoms = disordered((2, 2, 2))
    context = context_of(model, atoms)
    context.setPeriodicBoxVectors(*(np.eye(3) * 0.005))
    with pytest.raises(OpenMMException, match=r"MLIPForce: .*(cell|neighbor|ghost)"):
        context.getState(energy=True)


def test_a_context_of_another_force(model):
    force = MLIPForce(model, elements=["O", "Si"], periodic=False)
    two_particles(force)
    stranger = MLIPForce(model, elements=["O", "Si"], periodic=False)
    context = two_particles(force := MLIPForce(model, elements=["O", "Si"], periodic=False))
    with pytest.raises(OpenMMException, match=r"getImplInContext|No ForceImpl"):
        stranger.updateParametersInContext(context)


WRONG_VERSION = """
import sys, types
openmm = types.ModuleType("openmm")
openmm.version = types.SimpleNamespace(short_version="8.5.2")
sys.modules["openmm"] = openmm
import camlip.openmm
"""


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (WRONG_VERSION, "OpenMM 8.5.2 is installed, expected version 8.6, for which this camlip"),
        (
            "import sys; sys.modules['openmm'] = None\nimport camlip.openmm",
            "OpenMM is not installed .* pip install 'camlip\\[openmm\\]'",
        ),
    ],
)
def test_the_version_is_checked_before_native_code(script, text):
    """The real wrong versions crash the process; see docs/openmm.md."""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert re.search(f"ImportError: camlip.openmm: .*{text}", run.stderr), run.stderr


def test_the_version_is_the_same_everywhere():
    project = (ROOT / "pyproject.toml").read_text()
    assert re.findall(r'"openmm[<=>].*?"', project) == ['"openmm>=8.6.1,<8.7"'] * 2
    cmake = (ROOT / "openmm_plugin" / "FindOpenMM.cmake").read_text()
    assert "set(openmm_minimum 8.6.1)" in cmake
    assert "set(openmm_too_new 8.7)" in cmake
    assert OPENMM_VERSION == "8.6"
