"""Prepared data on disk behaves as the data set in memory."""

import os
import signal
import subprocess
import sys
import time

import lmdb
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write

from camlip.data import (
    BatchSampler,
    DataError,
    Dataset,
    StoredDataset,
    average_num_neighbors,
    collate,
    fingerprint,
    prepare,
    read_structures,
    reference_energies,
    store,
)

CUTOFF = 4.0


@pytest.fixture
def file(tmp_path):
    rng = np.random.default_rng(0)
    frames = [Atoms("H", info={"REF_energy": -13.6})]
    for k in range(30):
        atoms = bulk("SiC", "zincblende", a=4.36) if k % 2 else molecule("H2O")
        atoms.rattle(0.05, seed=k)
        atoms.info.update(REF_energy=-10.0 - k, config_type=f"group {k % 3}")
        atoms.arrays["REF_forces"] = rng.normal(size=(len(atoms), 3))
        if k % 2:
            atoms.info["REF_stress"] = rng.normal(size=6) * 0.01
        frames.append(atoms)
    write(tmp_path / "train.xyz", frames)
    return tmp_path / "train.xyz"


def test_same_batches_as_in_memory(file, tmp_path):
    header = prepare(file, tmp_path / "train.lmdb", CUTOFF, progress=False)
    structures = read_structures(file)
    elements = [1, 8, 6, 14]
    memory = Dataset(structures, elements, CUTOFF)
    stored = StoredDataset(tmp_path / "train.lmdb", elements, CUTOFF)
    assert len(stored) == len(memory) == header["structures"] == 31
    assert stored.fingerprint == fingerprint(structures) == fingerprint(stored.structures)
    np.testing.assert_array_equal(stored.num_atoms, memory.num_atoms)
    assert average_num_neighbors(stored) == average_num_neighbors(memory)
    np.testing.assert_array_equal(
        reference_energies(stored.structures, elements), reference_energies(structures, elements)
    )
    for dataset in (memory, stored):
        assert list(BatchSampler(dataset, 16)) == list(BatchSampler(memory, 16))
    one, two = (collate([d[k] for k in range(31)]) for d in (memory, stored))
    for name, value in vars(one).items():
        torch.testing.assert_close(getattr(two, name), value, rtol=0, atol=0)
    assert [s.config_type for s in stored.structures] == [s.config_type for s in structures]
    assert stored.structures[3].source == structures[3].source
    assert stored[-1].index == 30
    with pytest.raises(IndexError):
        stored[31]


# On one processor torch finds two workers too many.
@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker")
def test_workers_and_two_handles_on_one_file(file, tmp_path):
    prepare(file, tmp_path / "train.lmdb", CUTOFF, progress=False)
    first = StoredDataset(tmp_path / "train.lmdb")
    second = StoredDataset(tmp_path / "train.lmdb")
    assert first[4].structure.energy == second[4].structure.energy
    loader = torch.utils.data.DataLoader(
        first,
        batch_sampler=BatchSampler(first, structures_per_batch=8, shuffle=False),
        collate_fn=collate,
        num_workers=2,
    )
    for _ in range(2):
        assert [k for b in loader for k in b.dataset_index.tolist()] == list(range(31))
    first.close()
    assert first[4].structure.energy == second[4].structure.energy


def test_map_grows_beyond_its_first_size(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "FIRST_MAP_SIZE", 1 << 16)
    atoms = bulk("Cu", cubic=True).repeat((7, 7, 7))
    atoms.info["REF_energy"] = -1.0
    write(tmp_path / "big.traj", [atoms] * 2)
    prepare(tmp_path / "big.traj", tmp_path / "big.lmdb", 6.0, progress=False)
    assert (tmp_path / "big.lmdb").stat().st_size > 1 << 18
    dataset = StoredDataset(tmp_path / "big.lmdb")
    assert len(dataset[1].neighbors) == dataset.num_edges[1]


def test_header_is_checked(file, tmp_path):
    path = tmp_path / "train.lmdb"
    prepare(file, path, CUTOFF, progress=False)
    with pytest.raises(DataError, match="made for cutoff 4 A, the model has 5 A; prepare it again"):
        StoredDataset(path, [1, 6, 8, 14], 5.0)
    with pytest.raises(DataError, match="element C, Si is not among those of the model: H, O"):
        StoredDataset(path, [1, 8], CUTOFF)
    with pytest.raises(DataError, match="the file exists"):
        prepare(file, path, CUTOFF, progress=False)
    prepare(file, path, 5.0, overwrite=True, progress=False)
    assert StoredDataset(path).cutoff == 5.0
    with pytest.raises(DataError, match="no such file"):
        StoredDataset(tmp_path / "other.lmdb")
    with pytest.raises(DataError, match="cannot read it"):
        StoredDataset(file)
    environment = lmdb.open(str(tmp_path / "new.lmdb"), subdir=False, lock=False)
    with environment.begin(write=True) as transaction:
        transaction.put(b"header", b'{"format": "camlip-data", "version": 99}')
    environment.close()
    with pytest.raises(DataError, match="version 99, expected 'camlip-data' version 1"):
        StoredDataset(tmp_path / "new.lmdb")


def test_bad_input_leaves_nothing_behind(file, tmp_path):
    file.write_text(file.read_text() + "3\nbroken\n")
    with pytest.raises(DataError, match="frame 31"):
        prepare(file, tmp_path / "train.lmdb", CUTOFF, progress=False)
    assert not list(tmp_path.glob("train.lmdb*"))


def test_killed_run_leaves_no_file_and_starts_again(tmp_path):
    atoms = bulk("Cu", cubic=True).repeat((6, 6, 6))
    atoms.info["REF_energy"] = -1.0
    write(tmp_path / "train.traj", [atoms] * 400)
    code = (
        "import sys; from camlip.data import prepare;"
        "prepare(sys.argv[1], sys.argv[2], 7.0, progress=False)"
    )
    arguments = [str(tmp_path / "train.traj"), str(tmp_path / "train.lmdb")]
    child = subprocess.Popen([sys.executable, "-c", code, *arguments])
    partial = tmp_path / "train.lmdb.partial"
    deadline = time.monotonic() + 60
    while not partial.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert partial.exists()
    assert not (tmp_path / "train.lmdb").exists()
    prepare(f"{arguments[0]}@:5", arguments[1], 7.0, progress=False)
    assert not partial.exists()
    assert len(StoredDataset(arguments[1])) == 5
