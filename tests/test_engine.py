"""The Python face of the engine: arguments, errors, model files, neighbor lists, threads."""

import copy
import json
import struct
import threading
import time

import numpy as np
import pytest
import torch
from ase.build import bulk

from camlip import model_file
from camlip.data.neighbors import neighbor_list
from camlip.engine import (
    PROPERTIES,
    ArgumentError,
    BackendError,
    Engine,
    EngineError,
    Model,
    ModelFileError,
    Neighbors,
    NumericError,
    simd_paths,
)
from camlip.structures import sample_structures
from model_zoo import available_backends, zoo

BACKENDS = available_backends()


@pytest.fixture
def tiny():
    return zoo("tiny")


@pytest.fixture
def silicon():
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=1)
    return atoms


def system(model: Model, atoms):
    box = atoms.cell.array if atoms.pbc.any() else None
    return atoms.positions, model.types(atoms.numbers), box, atoms.pbc.tolist()


def test_model_describes_itself(tiny):
    model = tiny.model
    assert model.atomic_numbers == (8, 14)
    assert (model.cutoff, model.num_layers, model.exchange_width) == (3.5, 2, 3 + 3 * 2)
    assert model.metadata["config"]["num_channels"] == 8
    assert model.metadata["units"] == {"energy": "eV", "length": "Ang"}


def test_unknown_element_is_named_with_an_atom(tiny):
    with pytest.raises(
        ArgumentError, match=r"no element Cl \(first at atom 1, 2 of 3 atoms\); it knows O, Si"
    ):
        tiny.model.types([14, 17, 17])
    with pytest.raises(ArgumentError, match="no element Z=300"):
        tiny.model.types([300])


@pytest.mark.parametrize("backend", BACKENDS)
def test_engine_says_what_it_chose(tiny, backend):
    info = tiny.engine(backend, "double").info
    assert (info.backend, info.precision, info.num_threads) == (backend, "double", 1)
    assert 0 <= info.radial_table_error < 1e-8
    mixed = tiny.engine(backend, "mixed").info
    assert 0 <= mixed.radial_table_error < 1e-5
    if backend != "reference":  # which tabulates nothing
        assert mixed.radial_table_error > 0
        assert mixed.memory_bytes > 0


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"backend": "tpu"}, BackendError, "'tpu'"),
        ({"precision": "half"}, ArgumentError, "'half'"),
        ({"simd": "sse9"}, EngineError, "'sse9'"),
        ({"threads": 0}, ArgumentError, "threads: 0"),
        ({"skin": -1.0}, ArgumentError, "skin: -1.0"),
        ({"skin": float("nan")}, ArgumentError, "skin: nan"),
        ({"active_types": [7]}, ArgumentError, "7"),
    ],
)
def test_wrong_options(tiny, options, error, text):
    with pytest.raises(error, match=text):
        Engine(tiny.model, **{"backend": "reference"} | options)


@pytest.mark.skipif("cpu" not in BACKENDS, reason="the engine has no backend cpu")
def test_the_environment_chooses_the_instruction_set(tiny, monkeypatch):
    monkeypatch.setenv("CAMLIP_SIMD", "baseline")
    assert Engine(tiny.model, "cpu").info.simd == "baseline"
    for path in simd_paths(tiny.model):
        assert Engine(tiny.model, "cpu", simd=path).info.simd == path, "the option goes first"
    monkeypatch.setenv("CAMLIP_SIMD", "mmx")
    with pytest.raises(ArgumentError, match="variable CAMLIP_SIMD: value 'mmx', expected auto, "):
        Engine(tiny.model, "cpu")
    monkeypatch.setenv("CAMLIP_SIMD", "")
    assert Engine(tiny.model, "cpu").info.simd != "mmx"


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_what_is_asked_for(tiny, silicon, backend):
    engine = tiny.engine(backend)
    everything = engine.compute_system(*system(tiny.model, silicon), PROPERTIES)
    assert sorted(everything) == sorted(PROPERTIES)
    for name in PROPERTIES:
        alone = engine.compute_system(*system(tiny.model, silicon), [name])
        assert list(alone) == [name]
        np.testing.assert_allclose(alone[name], everything[name], atol=1e-12)
    assert engine.compute_system(*system(tiny.model, silicon), []) == {}
    with pytest.raises(ArgumentError, match="unknown 'stress'"):
        engine.compute_system(*system(tiny.model, silicon), ["stress"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_wrong_shapes(tiny, backend):
    engine = tiny.engine(backend)
    with pytest.raises(ArgumentError, match=r"positions: shape \(2\), expected \(N, 3\)"):
        engine.compute_system([0.0, 1.0], [0, 0])
    with pytest.raises(ArgumentError, match=r"types: shape \(1\), expected \(2\)"):
        engine.compute_system(np.zeros((2, 3)), [0])
    with pytest.raises(ArgumentError, match=r"cell: shape \(3\)"):
        engine.compute_system(np.zeros((1, 3)), [0], [1.0, 2.0, 3.0], True)
    with pytest.raises(ArgumentError, match="pbc: 2 values"):
        engine.compute_system(np.zeros((1, 3)), [0], np.eye(3), [True, False])
    with pytest.raises(ArgumentError, match="type"):
        engine.compute_system(np.zeros((1, 3)), [2])
    with pytest.raises(ArgumentError):  # periodic without a cell
        engine.compute_system(np.zeros((1, 3)), [0], None, True)
    with pytest.raises(ArgumentError):  # a cell without volume
        engine.compute_system(np.zeros((1, 3)), [0], np.ones((3, 3)), True)
    with pytest.raises(ArgumentError, match=r"offsets: shape \(3\), expected \(2\)"):
        engine.compute(np.zeros((1, 3)), [0], 1, [0, 0, 0], [])
    with pytest.raises(ArgumentError, match=r"indices: shape \(1\), expected \(2\)"):
        engine.compute(np.zeros((1, 3)), [0], 1, [0, 2], [0])
    with pytest.raises(ArgumentError, match="num_owned: 2"):
        engine.compute(np.zeros((1, 3)), [0], 2, [0, 0, 0], [])
    with pytest.raises(ArgumentError):  # a neighbor that does not exist
        engine.compute(np.zeros((1, 3)), [0], 1, [0, 1], [5])
    with pytest.raises(ArgumentError):  # offsets that go backwards
        engine.compute(np.eye(3), [0, 0, 0], 3, [0, 2, 1, 2], [0, 1])
    with pytest.raises(ArgumentError):  # message passing with ghosts needs an exchange
        engine.compute(np.eye(3), [0, 0, 0], 1, [0, 2], [1, 2])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_positions_that_are_not_finite(tiny, silicon, backend, value):
    engine = tiny.engine(backend)
    good = engine.compute_system(*system(tiny.model, silicon))
    broken = silicon.copy()
    broken.positions[3, 1] = value
    with pytest.raises(NumericError):
        engine.compute_system(*system(tiny.model, broken))
    again = engine.compute_system(*system(tiny.model, silicon))
    np.testing.assert_array_equal(again["forces"], good["forces"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_atoms_on_one_point_end_in_an_error_or_a_huge_energy(tiny, backend):
    try:
        found = tiny.engine(backend).compute_system(np.zeros((2, 3)), [0, 1])
    except EngineError:
        return
    assert np.isfinite(found["forces"]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_atoms_of_no_type_are_not_there(tiny, backend):
    atoms = sample_structures([8, 14], seed=4)["bulk"]
    engine = tiny.engine(backend)
    positions, types, cell, pbc = system(tiny.model, atoms)
    hidden = np.zeros(len(atoms), dtype=bool)
    hidden[[0, 5, 11]] = True
    found = engine.compute_system(positions, np.where(hidden, -1, types), cell, pbc, PROPERTIES)
    alone = engine.compute_system(positions[~hidden], types[~hidden], cell, pbc, PROPERTIES)
    for name in ("atomic_energies", "forces", "centroid_virial"):
        np.testing.assert_allclose(found[name][~hidden], alone[name], atol=1e-11)
        assert not found[name][hidden].any()
    np.testing.assert_allclose(found["energy"], alone["energy"], atol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_active_types_change_nothing_but_memory(backend):
    z = zoo("elements-12")
    atoms = sample_structures([8, 14], seed=4)["bulk"]
    types = sorted(set(z.model.types(atoms.numbers).tolist()))
    three = [*types, int(z.model.types([3])[0])]
    everything, few = (z.engine(backend, "double", active_types=t) for t in (three, types))
    a, b = (e.compute_system(*system(z.model, atoms)) for e in (everything, few))
    np.testing.assert_allclose(a["forces"], b["forces"], atol=1e-12)
    assert few.info.memory_bytes <= everything.info.memory_bytes
    carbon = atoms.copy()
    carbon.numbers[0] = 6
    with pytest.raises(ArgumentError, match="type"):
        few.compute_system(*system(z.model, carbon))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_kept_neighbor_list_is_never_stale(tiny, backend):
    """A walk with small and large steps, other cells and other numbers of atoms."""
    rng = np.random.default_rng(0)
    kept, fresh = tiny.engine(backend, skin=0.6), tiny.engine(backend, skin=0.0)
    atoms = sample_structures([8, 14], seed=4)["bulk"]
    for step in range(25):
        atoms.positions += rng.normal(size=atoms.positions.shape) * rng.choice([0.01, 0.1])
        if step % 7 == 3:
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * rng.normal(size=(3, 3))))
        if step % 9 == 5:
            atoms.pbc = ~atoms.pbc
        if step == 15:
            del atoms[0]
        if step == 20:
            atoms.positions += atoms.cell.array[0] * rng.integers(-3, 4, (len(atoms), 1))
        a = kept.compute_system(*system(tiny.model, atoms))
        b = fresh.compute_system(*system(tiny.model, atoms))
        np.testing.assert_allclose(a["forces"], b["forces"], atol=1e-9)


def test_results_of_one_call_survive_the_next(tiny, silicon):
    engine = tiny.engine()
    first = engine.compute_system(*system(tiny.model, silicon))["forces"]
    copy = first.copy()
    silicon.rattle(0.1, seed=2)
    second = engine.compute_system(*system(tiny.model, silicon))["forces"]
    np.testing.assert_array_equal(first, copy)
    assert not np.array_equal(first, second)


def test_an_error_in_a_callback_reaches_the_caller(tiny):
    def broken(features):
        raise KeyError("the network is down")

    engine = tiny.engine()
    positions = np.array([[0.0, 0, 0], [2.0, 0, 0], [0, 2.0, 0]])
    with pytest.raises(KeyError, match="the network is down"):
        engine.compute(positions, [0, 1, 0], 1, [0, 2], [1, 2], broken, broken)
    with pytest.raises(ArgumentError, match="only one of forward and reverse"):
        engine.compute(positions, [0, 1, 0], 1, [0, 2], [1, 2], broken, None)


@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_share_a_model_and_even_an_engine(tiny, silicon, backend):
    shared = tiny.engine(backend)
    expected = shared.compute_system(*system(tiny.model, silicon))["forces"]
    wrong = []

    def work(own: bool) -> None:
        engine = tiny.engine(backend, copy=threading.get_ident()) if own else shared
        for _ in range(5):
            forces = engine.compute_system(*system(tiny.model, silicon))["forces"]
            if np.abs(forces - expected).max() > 1e-12:
                wrong.append(own)

    threads = [threading.Thread(target=work, args=(own,)) for own in (True, False) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_python_goes_on_while_the_engine_computes():
    z = zoo("medium-4")
    atoms = sample_structures(z.model.atomic_numbers, seed=1)["bulk"] * (2, 2, 2)
    engine = z.engine()
    longest = [0.0]
    done = threading.Event()

    def watch() -> None:
        last = time.perf_counter()
        while not done.is_set():
            time.sleep(0.0005)
            now = time.perf_counter()
            longest[0] = max(longest[0], now - last)
            last = now

    thread = threading.Thread(target=watch)
    thread.start()
    start = time.perf_counter()
    engine.compute_system(*system(z.model, atoms))
    duration = time.perf_counter() - start
    done.set()
    thread.join()
    assert duration > 0.01
    assert longest[0] < 0.7 * duration, "the GIL was held"


# ---- model files ------------------------------------------------------------------------


def rewritten(block: bytes, **changes) -> bytes:
    """The block with other metadata; the tensors stay as they are."""
    size = struct.unpack("<Q", block[:8])[0]
    header = json.loads(block[8 : 8 + size])
    header["__metadata__"].update(changes)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + block[8 + size :]


@pytest.mark.parametrize("reader", ["engine", "python"])
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format_version": "2"}, "2.*1"),
        ({"format": "other"}, "other"),
        ({"sha256": "0" * 64}, "checksum|sha256"),
    ],
)
def test_blocks_of_another_kind_are_refused(tiny, tmp_path, reader, changes, text):
    path = tmp_path / "m.safetensors"
    path.write_bytes(rewritten(tiny.block, **changes))
    with pytest.raises(ModelFileError, match=rf"(?s)m\.safetensors.*({text})"):
        (Model if reader == "engine" else model_file.read)(path)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"architecture": "perceptron"}, "perceptron"),
        ({"required": '["magic"]'}, "magic"),
        ({"atomic_numbers": "[14, 8]"}, "atomic_numbers"),
        ({"config": "{}"}, "config|cutoff|num_"),
    ],
)
def test_the_engine_refuses_what_it_cannot_run(tiny, changes, text):
    with pytest.raises(ModelFileError, match=text):
        Model.from_bytes(rewritten(tiny.block, **changes), "m")


def test_a_missing_file_and_a_directory(tmp_path):
    with pytest.raises(ModelFileError, match=r"nothing\.pt.*No such file"):
        Model(tmp_path / "nothing.pt")
    with pytest.raises(ModelFileError):
        Model(tmp_path)


def test_a_checkpoint_is_recognized(tmp_path):
    path = tmp_path / "best.ckpt"
    torch.save({"state": torch.zeros(3)}, path)
    for reader in (Model, model_file.read):
        with pytest.raises(ModelFileError, match=r"best\.ckpt.*checkpoint"):
            reader(path)


def test_other_files_are_refused(tmp_path):
    for name, content in {"empty": b"", "short": b"abc", "text": b"Lattice=" * 50}.items():
        path = tmp_path / name
        path.write_bytes(content)
        for reader in (Model, model_file.read):
            with pytest.raises(ModelFileError, match=name):
                reader(path)


def test_every_truncation_is_refused(tiny):
    block = tiny.block
    lengths = {*range(0, 64), *range(64, len(block), 997), len(block) - 1}
    for length in sorted(lengths):
        with pytest.raises(ModelFileError):
            Model.from_bytes(block[:length], "cut")
    with pytest.raises(ModelFileError):
        Model.from_bytes(block + b"\0", "long")


def test_mutations_are_refused_or_harmless(tiny):
    """Flipped bytes in the tensors never pass the checksum; elsewhere they may mean nothing."""
    rng = np.random.default_rng(0)
    size = struct.unpack("<Q", tiny.block[:8])[0]
    for _ in range(200):
        data = bytearray(tiny.block)
        data[8 + size + rng.integers(len(data) - 8 - size)] ^= 1 << rng.integers(8)
        with pytest.raises(ModelFileError, match=r"sha256|finite"):
            Model.from_bytes(bytes(data), "flipped")
    for _ in range(500):
        data = bytearray(tiny.block)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(8 + size)] = rng.integers(256)
        try:
            model = Model.from_bytes(bytes(data), "mutated")
        except ModelFileError:
            continue
        energy = Engine(model, "reference", "double").compute_system(np.zeros((1, 3)), [0])
        assert np.isfinite(energy["energy"])


# ---- neighbor list ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bulk", "slab", "molecule", "small_cell", "atom", "empty"])
@pytest.mark.parametrize("skin", [0.0, 0.7])
def test_neighbors_are_those_of_vesin(kind, skin):
    atoms = sample_structures([8, 14], seed=6)[kind]
    cutoff = 4.5
    cell = atoms.cell.array if atoms.pbc.any() else None
    found = Neighbors(cutoff, skin).update(atoms.positions, cell, atoms.pbc.tolist())
    centers = np.repeat(np.arange(len(atoms)), np.diff(found.offsets))
    vectors = found.positions[found.indices] - found.positions[centers]
    home = np.concatenate([np.arange(len(atoms)), found.ghost_owner])
    shifts = np.concatenate([np.zeros((len(atoms), 3)), found.ghost_shift])
    images = found.positions[: len(atoms)][home] + shifts @ atoms.cell.array
    np.testing.assert_allclose(images, found.positions, atol=1e-10)
    near = np.linalg.norm(vectors, axis=1) < cutoff
    mine = sorted(
        (int(i), int(home[j]), *np.round(v, 7))
        for i, j, v in zip(centers[near], found.indices[near], vectors[near], strict=True)
    )
    edge_index, cell_shifts = neighbor_list(atoms.positions, atoms.cell.array, atoms.pbc, cutoff)
    r = atoms.positions[edge_index[1]] - atoms.positions[edge_index[0]]
    r = r + cell_shifts @ atoms.cell.array
    theirs = sorted(
        (int(i), int(j), *np.round(v, 7)) for i, j, v in zip(*edge_index, r, strict=True)
    )
    assert len(mine) == len(theirs)
    np.testing.assert_allclose(np.array(mine), np.array(theirs), atol=1e-6)


def test_neighbors_are_rebuilt_when_needed_and_only_then():
    atoms = sample_structures([14], seed=6)["bulk"]
    neighbors = Neighbors(4.0, skin=1.0)
    first = neighbors.update(atoms.positions, atoms.cell.array, True)
    moved = atoms.positions.copy()
    moved[0] += [0.3, 0.3, 0.2]  # 0.47 < skin / 2
    kept = neighbors.update(moved, atoms.cell.array, True)
    assert kept.revision == first.revision
    np.testing.assert_allclose(kept.positions[0], moved[0])
    moved[0] += [0.1, 0.0, 0.0]
    assert neighbors.update(moved, atoms.cell.array, True).revision == first.revision + 1
    cell = atoms.cell.array * 1.001  # so little that no pair within the cutoff is new
    assert neighbors.update(moved, cell, True).revision == first.revision + 1
    cell = atoms.cell.array * 1.3
    assert neighbors.update(moved, cell, True).revision == first.revision + 2
    assert neighbors.update(moved, cell, [True, True, False]).revision == first.revision + 3


def test_exceptions_travel_between_processes():
    error = ModelFileError("model file 'a': no")
    assert isinstance(error, (ValueError, EngineError))
    twin = copy.copy(error)
    assert str(twin) == str(error)
