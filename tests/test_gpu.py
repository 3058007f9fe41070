"""The backend ``cuda``: what it says where there is no device, and parity where there is one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

import camlip
from camlip import MLIPCalculator, compute_batch, relax
from camlip.engine import (
    PROPERTIES,
    ArgumentError,
    BackendError,
    Engine,
    Model,
    Neighbors,
    NumericError,
)
from camlip.parity import DOUBLE, MIXED, compare, engine_evaluator, sampled_types
from camlip.structures import sample_structures
from model_zoo import SHAPES, zoo

LIBRARY = Path(camlip.__file__).parent / "lib" / "libcamlip_cuda.so"


def why_no_device() -> str:
    """The engine's own words, or nothing where a device can be used."""
    try:
        Engine(zoo("tiny").model, "cuda", active_types=[0])
    except BackendError as error:
        return str(error)
    return ""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tiny.camlip"
    path.write_bytes(zoo("tiny").block)
    return str(path)


NO_DEVICE = why_no_device()
without_device = pytest.mark.skipif(not NO_DEVICE, reason="there is a CUDA device")


def disordered(size: int, pbc=True) -> Atoms:
    """Si and O on a jittered, slightly skewed grid; fast for any number of atoms."""
    side = int(np.ceil(size ** (1 / 3) - 1e-9))
    rng = np.random.default_rng(size)
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)[:size]
    cell = 2.4 * side * np.array([[1.0, 0, 0], [0.1, 1, 0], [-0.2, 0.1, 1]])
    positions = (grid / side) @ cell + rng.uniform(-0.3, 0.3, (size, 3))
    return Atoms(np.resize([14, 8], size), positions=positions, cell=cell, pbc=pbc)


def on_device(test):
    """Marks a test that runs kernels."""
    return pytest.mark.gpu(pytest.mark.skipif(bool(NO_DEVICE), reason=NO_DEVICE)(test))


@without_device
def test_without_a_device_the_message_says_what_is_missing_and_what_to_do():
    if LIBRARY.exists():
        assert NO_DEVICE.startswith("backend 'cuda': no CUDA device (")
        assert "expected at least one; see what nvidia-smi says, or use backend cpu" in NO_DEVICE
    else:
        assert NO_DEVICE.startswith("backend 'cuda': cannot open the library of its kernels (")
        assert "build camlip where nvcc is, with -DCAMLIP_CUDA=ON, or use backend cpu" in NO_DEVICE


@without_device
@pytest.mark.parametrize("precision", ["mixed", "double"])
def test_the_calculator_says_the_same_and_works_afterwards(file, precision):
    for _ in range(2):
        with pytest.raises(BackendError) as caught:
            MLIPCalculator(file, device="cuda", precision=precision)
        assert str(caught.value) == NO_DEVICE
    assert MLIPCalculator(file, precision=precision).model.num_layers == 2


def test_the_library_is_opened_only_when_asked_for(file):
    """A driver that is broken or absent never troubles who computes on the CPU."""
    code = """
import sys
from pathlib import Path
from camlip.engine import BackendError, Engine, Model
loaded = lambda: "libcamlip_cuda" in Path("/proc/self/maps").read_text()
model = Model(sys.argv[1])
Engine(model), Engine(model, "reference")
before = loaded()
try:
    Engine(model, "cuda")
except BackendError:
    pass
print(before, loaded())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, file], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", str(LIBRARY.exists())]


def arguments(model: Model, atoms: Atoms):
    box = atoms.cell.array if atoms.pbc.any() else None
    return atoms.positions, model.types(atoms.numbers), box, atoms.pbc.tolist()


@on_device
@pytest.mark.parametrize("precision", ["double", "mixed"])
@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_agrees_with_the_reference(name, precision):
    shape = zoo(name)
    active = sampled_types(shape.model)
    exact = engine_evaluator(shape.engine("reference", "double", active_types=active))
    found = engine_evaluator(shape.engine("cuda", precision, active_types=active))
    limits = DOUBLE if precision == "double" else MIXED
    for kind, atoms in sample_structures(shape.model.atomic_numbers, seed=5).items():
        difference = compare(kind, [atoms], exact, found, limits)
        assert difference.passed, difference


@on_device
@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_every_run_gives_the_same_bits(precision):
    shape = zoo("tiny")
    structures = sample_structures([8, 14], seed=3)
    for atoms in [*structures.values(), disordered(3000)]:
        if len(atoms) == 0:
            continue
        results = []
        for copy in range(3):
            engine = Engine(shape.model, "cuda", precision)
            for _ in range(1 + copy):  # the first step, a recorded one, a replayed one
                result = engine.compute_system(*arguments(shape.model, atoms), PROPERTIES)
            results.append(result)
        for other in results[1:]:
            for key, value in results[0].items():
                np.testing.assert_array_equal(other[key], value, err_msg=key)


@on_device
@pytest.mark.parametrize("size", [40, 300, 4000])
@pytest.mark.parametrize("pbc", [True, False, [True, False, True]])
def test_the_list_of_the_device_is_complete(size, pbc):
    """Energies of atoms with its own list are those with the engine's."""
    shape = zoo("tiny")
    atoms = disordered(size, pbc)
    positions, types, cell, periodic = arguments(shape.model, atoms)
    listed = Neighbors(shape.model.cutoff, 0.3).update(positions, cell, periodic)
    width = shape.model.exchange_width

    def forward(features):
        features[len(atoms) :] = features[listed.ghost_owner]

    def reverse(features):
        np.add.at(features, listed.ghost_owner, features[len(atoms) :])

    engine = Engine(shape.model, "cuda", "double")
    own = engine.compute_system(positions, types, cell, periodic, PROPERTIES)
    given = engine.compute(
        listed.positions,
        np.concatenate([types, types[listed.ghost_owner]]),
        len(atoms),
        listed.offsets,
        listed.indices,
        forward,
        reverse,
        PROPERTIES,
    )
    forces = given["forces"][: len(atoms)].copy()
    np.add.at(forces, listed.ghost_owner, given["forces"][len(atoms) :])
    assert width > 0
    np.testing.assert_allclose(own["atomic_energies"], given["atomic_energies"], rtol=1e-11)
    np.testing.assert_allclose(own["forces"], forces, rtol=0, atol=1e-9 * np.abs(forces).max())
    np.testing.assert_allclose(own["virial"], given["virial"], rtol=0, atol=1e-9 * len(atoms))


@on_device
@pytest.mark.parametrize("size", [18, 1000])
def test_moving_atoms_keep_energies_right_and_memory_constant(size):
    shape = zoo("tiny")
    atoms = disordered(size)
    engine = Engine(shape.model, "cuda", "double")
    reference = shape.engine("cpu", "double")
    velocities = np.random.default_rng(8).normal(scale=0.02, size=atoms.positions.shape)
    held = 0
    for step in range(200):
        atoms.positions += velocities * np.cos(0.1 * step)
        if step % 60 == 30:
            atoms.wrap()
        found = engine.compute_system(*arguments(shape.model, atoms))
        if step % 20 == 0:
            expected = reference.compute_system(*arguments(shape.model, atoms))
            assert found["energy"] == pytest.approx(expected["energy"], rel=1e-9)
        if step == 100:
            held = engine.info.memory_bytes
    assert engine.info.memory_bytes < 1.5 * held


@on_device
def test_tiles_of_atoms_agree_with_the_cpu():
    """More atoms than a tile of the workspace (32768) holds."""
    shape = zoo("medium-Si")
    atoms = bulk("Si", cubic=True).repeat(17)
    atoms.rattle(0.05, seed=1)
    found, expected = (
        Engine(shape.model, backend, "mixed").compute_system(*arguments(shape.model, atoms))
        for backend in ("cuda", "cpu")
    )
    assert found["energy"] == pytest.approx(expected["energy"], abs=1e-6 * len(atoms))
    largest = np.abs(expected["forces"]).max()
    np.testing.assert_allclose(found["forces"], expected["forces"], rtol=0, atol=2e-5 * largest)


def batch(sizes, seed: int) -> list[Atoms]:
    """Small structures of every periodicity."""
    rng = np.random.default_rng(seed)
    kinds = [False, True, [True, False, True], [False, False, True]]
    structures = []
    for n, size in enumerate(sizes):
        atoms = disordered(size, kinds[n % 4]) if size else Atoms(pbc=True, cell=[3, 3, 3])
        atoms.positions += rng.normal(scale=0.05, size=(size, 3)) + 7.0 * (n % 3)
        structures.append(atoms)
    return structures


@on_device
@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_a_batch_agrees_with_the_cpu(precision):
    shape = zoo("tiny")
    structures = batch([18, 1, 0, 8, 3, 2, 27, 5], seed=1)
    names = ("energy", "energies", "forces", "stress")
    expected = compute_batch(structures, shape.model, properties=names, precision="double")
    found = compute_batch(
        structures, shape.model, properties=names, precision=precision, device="cuda"
    )
    limit = 1e-9 if precision == "double" else 2e-5
    for name in names:
        one, other = getattr(found, name), getattr(expected, name)
        scale = max(1.0, float(np.nanmax(np.abs(other))))
        np.testing.assert_allclose(one, other, rtol=0, atol=limit * scale, err_msg=name)


@on_device
def test_a_batch_may_hold_large_systems_and_thousands_of_small_ones():
    shape = zoo("tiny")
    structures = batch([18] * 700 + [1500] + [18] * 300, seed=2)
    engine = Engine(shape.model, "cuda", "double")
    found = compute_batch(structures, engine)
    for s in (0, 1, 699, 700, 701, 999):
        expected = compute_batch([structures[s]], shape.model, precision="double")
        assert found[s]["energy"] == pytest.approx(expected[0]["energy"], rel=1e-9)
        np.testing.assert_allclose(found[s]["forces"], expected[0]["forces"], rtol=0, atol=1e-6)


@on_device
def test_a_system_of_a_batch_that_has_no_result_is_named():
    shape = zoo("tiny")
    structures = batch([5, 6, 7], seed=3)
    structures[1].positions[2] = structures[1].positions[4]
    with pytest.raises(NumericError, match="system 1"):
        compute_batch(structures, shape.model, device="cuda")
    structures = batch([5, 6, 7, 8], seed=3)
    structures[3].set_cell([0.0, 0.0, 0.0])
    structures[3].pbc = True
    with pytest.raises(ArgumentError, match="system 3"):
        compute_batch(structures, shape.model, device="cuda")


@on_device
def test_the_estimate_of_memory_covers_what_is_taken():
    shape = zoo("tiny")
    atoms = disordered(600)
    engine = Engine(shape.model, "cuda")
    pairs = Neighbors(shape.model.cutoff, 0.5).update(atoms.positions, atoms.cell.array, True)
    estimate = engine.estimate_memory(len(atoms), 0, True, len(pairs.indices) / len(atoms))
    engine.compute_system(*arguments(shape.model, atoms))
    held = engine.info.memory_bytes
    assert 0.5 * estimate.needed_bytes < held < 1.1 * estimate.needed_bytes
    assert estimate.least_bytes <= estimate.needed_bytes < estimate.available_bytes


@on_device
def test_the_calculator_tells_before_the_first_step_what_it_will_take(file, caplog):
    atoms = disordered(300)
    atoms.calc = MLIPCalculator(file, device="cuda")
    estimate = atoms.calc.estimate_memory(atoms)
    assert 0 < estimate.least_bytes <= estimate.needed_bytes < estimate.available_bytes
    caplog.clear()
    with caplog.at_level("INFO", logger="camlip.memory"):
        for _ in range(2):
            atoms.get_forces()
            atoms.rattle(0.01, seed=1)
    (line,) = caplog.messages  # of the first step alone
    assert line.startswith("memory: about ")
    assert line.endswith(" left, for 300 atoms")
    held = atoms.calc._engine.info.memory_bytes
    assert 0.5 * estimate.needed_bytes < held < 1.1 * estimate.needed_bytes


@on_device
@pytest.mark.parametrize("cell", ["none", "full"])
def test_relaxation_ends_where_that_of_the_cpu_does(cell):
    """Steps of constant pressure keep their list while the cell changes little."""
    shape = zoo("tiny")
    ends = []
    for backend in ("cpu", "cuda"):
        atoms = disordered(8)
        engine = Engine(shape.model, backend, "double", threads=1)
        found = relax(atoms, engine, cell=cell, fmax=1e-3, steps=12, max_step=0.05)
        ends.append((found, atoms))
    (expected, first), (found, second) = ends
    assert found.reason == expected.reason
    assert found.energy == pytest.approx(expected.energy, abs=1e-6)
    np.testing.assert_allclose(second.positions, first.positions, rtol=0, atol=1e-5)
    np.testing.assert_allclose(second.cell.array, first.cell.array, rtol=0, atol=1e-5)
