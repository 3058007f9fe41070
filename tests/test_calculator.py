"""The ASE calculator: what a user of ASE expects of one."""

import copy
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.md.verlet import VelocityVerlet
from ase.optimize import LBFGS

import camlip
from camlip import MLIPCalculator
from camlip.errors import ArgumentError, BackendError, ModelFileError, NumericError
from camlip.structures import sample_structures
from model_zoo import available_backends, zoo

BACKENDS = available_backends()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("calculator") / "tiny.safetensors"
    path.write_bytes(zoo("tiny").block)
    return path


@pytest.fixture
def silicon():
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.fixture
def double(file):
    return MLIPCalculator(file, precision="double", threads=1, backend="reference")


def test_numbers_are_those_of_torch(double):
    expected = zoo("tiny").exact()
    for atoms in sample_structures([8, 14], seed=9).values():
        if len(atoms) == 0:
            continue
        atoms.calc = double
        exact = expected(atoms)
        assert abs(atoms.get_potential_energy() - exact["energy"]) < 1e-9
        np.testing.assert_allclose(atoms.get_potential_energies(), exact["atomic_energies"])
        np.testing.assert_allclose(atoms.get_forces(), exact["forces"], atol=1e-9)
        if atoms.pbc.any():
            stress = -exact["virial"] / atoms.get_volume()
            np.testing.assert_allclose(atoms.get_stress(voigt=False), stress, atol=1e-10)


@pytest.mark.usefixtures("every_simd")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["bulk", "slab", "small_cell"])
def test_derivatives_by_ase(file, backend, kind):
    atoms = sample_structures([8, 14], seed=9)[kind][:6]
    atoms.calc = MLIPCalculator(file, precision="double", threads=1, backend=backend)
    forces = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[0, 1])
    np.testing.assert_allclose(atoms.get_forces()[:2], forces, atol=1e-6)
    stress = calculate_numerical_stress(atoms, eps=1e-5)
    np.testing.assert_allclose(atoms.get_stress(), stress, atol=1e-7)


@pytest.mark.usefixtures("every_simd")
@pytest.mark.parametrize("backend", BACKENDS)
def test_mixed_is_close_to_double(file, silicon, backend):
    results = []
    for precision in ("double", "mixed"):
        silicon.calc = MLIPCalculator(file, precision=precision, backend=backend)
        results.append((silicon.get_potential_energy(), silicon.get_forces()))
    assert abs(results[1][0] - results[0][0]) < 1e-6 * len(silicon)
    assert np.abs(results[1][1] - results[0][1]).max() < 1e-5 * np.abs(results[0][1]).max()


def test_stresses_sum_to_the_stress(double, silicon):
    silicon.calc = double
    stresses = double.get_property("stresses", silicon)
    assert stresses.shape == (8, 6)
    np.testing.assert_allclose(stresses.sum(axis=0), silicon.get_stress(), atol=1e-12)


def test_energies_and_free_energy(double, silicon):
    silicon.calc = double
    energy = silicon.get_potential_energy()
    assert silicon.get_potential_energy(force_consistent=True) == energy
    assert abs(silicon.get_potential_energies().sum() - energy) < 1e-9


def test_one_calculation_gives_everything(double, silicon, monkeypatch):
    """ASE asks for energy, forces and stress one by one; the engine runs once."""
    silicon.calc = double
    runs = []
    calculate = MLIPCalculator.calculate
    monkeypatch.setattr(
        MLIPCalculator,
        "calculate",
        lambda self, *a, **k: (runs.append(1), calculate(self, *a, **k)),
    )
    silicon.get_potential_energy()
    silicon.get_forces()
    silicon.get_stress()
    assert len(runs) == 1
    silicon.positions[0, 0] += 0.01
    silicon.get_forces()
    assert len(runs) == 2


CHANGES = {
    "one number of positions": lambda a: a.positions.__setitem__((3, 1), 1.0),
    "positions through arrays": lambda a: a.arrays["positions"].__iadd__(0.01 * np.eye(8, 3)),
    "the last digit": lambda a: a.positions.__setitem__((0, 0), np.nextafter(a.positions[0, 0], 9)),
    "an element": lambda a: a.numbers.__setitem__(2, 8),
    "the cell in place": lambda a: a.cell.__setitem__((0, 0), 5.6),
    "cell and atoms": lambda a: a.set_cell(1.01 * a.cell.array, scale_atoms=True),
    "pbc": lambda a: a.pbc.__setitem__(2, False),
    "another atom": lambda a: a.append("O"),
    "two atoms swapped": lambda a: a.positions.__setitem__([0, 1], a.positions[[1, 0]]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_noticed(file, double, silicon, change):
    silicon.calc = double
    before = silicon.get_forces()
    kept = double.results
    CHANGES[change](silicon)
    assert double.calculation_required(silicon, ["energy"])
    energy, forces = silicon.get_potential_energy(), silicon.get_forces()
    assert double.results is not kept
    fresh = MLIPCalculator(file, precision="double", threads=1, backend="reference")
    twin = silicon.copy()
    assert energy == pytest.approx(fresh.get_potential_energy(twin), abs=1e-10)
    np.testing.assert_allclose(forces, fresh.get_forces(twin), atol=1e-10)
    if change != "the last digit":
        assert len(forces) != len(before) or np.abs(forces - before).max() > 1e-6


def test_what_does_not_matter_is_not_computed_again(double, silicon):
    silicon.calc = double
    silicon.get_potential_energy()
    kept = double.results
    silicon.set_momenta(np.ones((8, 3)))
    silicon.set_tags(range(8))
    silicon.set_initial_charges([0.5] * 8)
    silicon.info["name"] = "silicon"
    silicon.positions[:] = silicon.positions.copy()
    silicon.get_forces()
    assert double.results is kept
    assert double.check_state(silicon) == []
    silicon.positions[0, 0] += 1e-9
    assert double.check_state(silicon, tol=1e-6) == []
    assert double.check_state(silicon) == ["positions"]


def test_results_belong_to_the_caller(double, silicon):
    """ASE adds to forces in place (constraints); those that are kept stay what they are."""
    silicon.calc = double
    forces = silicon.get_forces()
    expected = forces.copy()
    forces += 1.0
    np.testing.assert_array_equal(silicon.get_forces(), expected)


def test_the_structure_of_the_results(double, silicon):
    assert double.atoms is None
    silicon.calc = double
    energy = silicon.get_potential_energy()
    positions = silicon.positions.copy()
    silicon.positions += 1.0
    assert isinstance(double.atoms, Atoms)
    np.testing.assert_array_equal(double.atoms.positions, positions)
    np.testing.assert_array_equal(double.atoms.cell, silicon.cell)
    assert double.atoms.pbc.all()
    assert double.get_potential_energy() == energy
    stresses = double.get_property("stresses")
    np.testing.assert_allclose(stresses.sum(axis=0), double.get_stress(), atol=1e-12)
    double.reset()
    assert double.atoms is None
    with pytest.raises(ArgumentError, match="expected a structure"):
        double.get_potential_energy()
    empty = Atoms(calculator=double)
    assert empty.get_potential_energy() == 0.0
    assert len(double.atoms) == 0


def test_nothing_is_left_of_a_calculation_that_failed(double, silicon):
    silicon.calc = double
    silicon.get_potential_energy()
    for breaking in (np.nan, np.inf):
        broken = silicon.copy()
        broken.calc = double
        broken.positions[2] = breaking
        for _ in range(2):
            with pytest.raises(NumericError, match=r"positions: atom 2 \(Si\)"):
                broken.get_forces()
        broken = silicon.copy()
        broken.calc = double
        broken.cell[1, 1] = breaking
        for _ in range(2):
            with pytest.raises(NumericError, match="cell: "):
                broken.get_forces()
    broken = silicon.copy()
    broken.calc = double
    broken.positions[1] = broken.positions[0]
    with pytest.raises(NumericError, match="two atoms at the same place"):
        broken.get_forces()
    assert double.results == {}
    assert np.isfinite(silicon.get_potential_energy())


def test_stress_of_a_molecule_is_refused(double):
    water = molecule("O2")
    water.calc = double
    assert np.isfinite(water.get_potential_energy())
    with pytest.raises(PropertyNotImplementedError, match="a molecule has no volume"):
        water.get_stress()
    slab = Atoms("Si", cell=[3, 3, 0], pbc=[True, True, False], calculator=double)
    assert np.isfinite(slab.get_potential_energy())
    with pytest.raises(PropertyNotImplementedError, match="rank 2"):
        slab.get_stress()


def test_messages(double, silicon):
    silicon.calc = double
    silicon.numbers[5] = 79
    with pytest.raises(ArgumentError, match=r"no element Au \(first at atom 5.*it knows O, Si"):
        silicon.get_potential_energy()
    silicon.numbers[5] = 14
    silicon.positions[3, 2] = np.nan
    with pytest.raises(NumericError, match=r"positions: atom 3 \(Si\) is at \[.*nan\]"):
        silicon.get_potential_energy()
    silicon.positions[3, 2] = 0.0
    assert np.isfinite(silicon.get_potential_energy())


def test_wrong_arguments(file, tmp_path):
    with pytest.raises(ModelFileError, match=r"none\.pt"):
        MLIPCalculator(tmp_path / "none.pt")
    with pytest.raises(ArgumentError, match="device: 'tpu'"):
        MLIPCalculator(file, device="tpu")
    with pytest.raises(ArgumentError, match="'single'"):
        MLIPCalculator(file, precision="single")
    if "cuda" not in BACKENDS:
        with pytest.raises(BackendError, match="cuda"):
            MLIPCalculator(file, device="cuda")


def test_no_atoms_and_one_atom(double):
    assert Atoms(calculator=double).get_potential_energy() == 0.0
    alone = Atoms("O", calculator=double)
    reference = float(zoo("tiny").module.reference_energies[0])
    assert abs(alone.get_potential_energy() - reference) < 1.0
    np.testing.assert_array_equal(alone.get_forces(), np.zeros((1, 3)))


def test_other_structures_with_one_calculator(double):
    """Numbers of atoms, elements and cells change from call to call."""
    structures = [a for a in sample_structures([8, 14], seed=9).values() if len(a)]
    first = [double.get_potential_energy(a) for a in structures]
    again = [double.get_potential_energy(a) for a in reversed(structures)]
    np.testing.assert_allclose(first, again[::-1], rtol=0, atol=1e-10)


def test_a_file_named_by_text(file, silicon):
    silicon.calc = MLIPCalculator(str(file), threads=1)
    assert np.isfinite(silicon.get_potential_energy())
    assert silicon.calc.cutoff == 3.5


def test_copies_and_pickles(double, silicon, tmp_path, monkeypatch):
    silicon.calc = double
    energy = silicon.get_potential_energy()
    monkeypatch.chdir(tmp_path)  # the file was named from another directory
    for twin in (copy.copy(double), copy.deepcopy(double), pickle.loads(pickle.dumps(double))):
        assert twin is not double
        assert twin.get_potential_energy(silicon) == energy
    travelled = pickle.loads(pickle.dumps(silicon))
    assert travelled.get_potential_energy() == energy


def test_a_calculator_for_each_thread(file, silicon):
    expected = MLIPCalculator(file, threads=1).get_potential_energy(silicon)

    def work(_):
        return MLIPCalculator(file, threads=1).get_potential_energy(silicon.copy())

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(8))) == {expected}


def test_relaxation_and_trajectory(double, silicon, tmp_path):
    """A relaxation of cell and atoms goes downhill, and its results are stored and read."""
    silicon.calc = double
    start = silicon.get_potential_energy()
    with LBFGS(FrechetCellFilter(silicon), logfile=None, maxstep=0.05) as optimizer:
        optimizer.run(fmax=1e-3, steps=15)
    assert silicon.get_potential_energy() < start - 0.01
    write(tmp_path / "relaxed.xyz", silicon)
    found = read(tmp_path / "relaxed.xyz")
    assert abs(found.get_potential_energy() - silicon.get_potential_energy()) < 1e-6


@pytest.mark.parametrize("precision", ["mixed", "double"])
def test_energy_is_conserved(file, silicon, precision):
    silicon.calc = MLIPCalculator(file, precision=precision, threads=1)
    silicon.set_velocities(np.random.default_rng(0).normal(scale=0.005, size=(8, 3)))
    start = silicon.get_total_energy()
    kinetic = silicon.get_kinetic_energy()
    with VelocityVerlet(silicon, 0.5 * units.fs) as dynamics:
        dynamics.run(100)
    assert abs(silicon.get_total_energy() - start) < 0.01 * kinetic


def test_neither_calculator_nor_info_imports_torch(file):
    script = f"""
import sys
from camlip import MLIPCalculator
from ase.build import bulk
atoms = bulk("Si")
atoms.calc = MLIPCalculator({str(file)!r})
atoms.get_stress()
import camlip.cli
assert camlip.cli.main(["info", {str(file)!r}]) == 0
loaded = {{name.split(".")[0] for name in sys.modules}}
assert not loaded & {{"torch", "vesin", "matplotlib"}}, loaded
"""
    subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        env={"PYTHONPATH": str(Path(camlip.__file__).parents[1]), "PATH": "/usr/bin:/bin"},
    )


def test_the_example_runs(file, silicon, tmp_path):
    write(tmp_path / "si.xyz", silicon)
    script = Path(__file__).parents[1] / "examples" / "ase" / "dynamics.py"
    done = subprocess.run(
        [sys.executable, str(script), str(file), "si.xyz", "--steps", "10"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(camlip.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("relaxed: ")
    frames = read(tmp_path / "trajectory.xyz", ":")
    assert len(frames) == 11
    assert all(np.isfinite(frame.get_forces()).all() for frame in frames)
