"""Splits: sizes, groups, determinism, isolated atoms, given files."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from ase.io import write

from camlip.data import (
    BatchSampler,
    DataError,
    Dataset,
    Structure,
    Subset,
    collate,
    load_split,
    split,
    split_indices,
)


def dimer(k, group="default"):
    positions = np.array([[0, 0, 0], [0, 0, 0.7 + 0.01 * k]])
    return Structure(positions, np.array([1, 1]), energy=float(k), config_type=group)


DATA = [dimer(k, "liquid" if k < 60 else "solid" if k < 90 else "gas") for k in range(100)]
DATA.append(Structure(np.zeros((1, 3)), np.array([1]), energy=-13.6))


@pytest.mark.parametrize("mode", ["random", "config_type", "forces"])
def test_split_is_a_partition_and_deterministic(mode):
    train, valid = split(DATA, mode, fraction=0.2, seed=3)
    assert len(valid) == 20
    assert sorted([*map(id, train), *map(id, valid)]) == sorted(map(id, DATA))
    assert DATA[-1] in train
    again = split(DATA, mode, fraction=0.2, seed=3)
    assert list(map(id, again[1])) == list(map(id, valid))
    assert list(map(id, split(DATA, mode, 0.2, seed=4)[1])) != list(map(id, valid))
    assert [s.energy for s in valid] == sorted(s.energy for s in valid)


def test_every_group_gets_its_share():
    _, valid = split(DATA, "config_type", fraction=0.1)
    assert Counter(s.config_type for s in valid) == {"liquid": 6, "solid": 3, "gas": 1}


def test_large_forces_get_their_share():
    # Ten melts among ninety crystals, in no order.
    melts = set(np.random.default_rng(0).permutation(100)[:10].tolist())
    data = [
        replace(dimer(k), forces=np.full((2, 3), 2.0 if k in melts else 0.01 * k / 100))
        for k in range(100)
    ]
    for seed in range(5):
        _, valid = split_indices(data, "forces", 0.2, seed)
        assert len(melts & set(valid)) == 2
    # Forces that are missing are no error.
    half = [s if k % 2 else replace(s, forces=None) for k, s in enumerate(data)]
    half[1] = replace(half[1], forces=np.full((2, 3), np.nan))
    assert len(split_indices(half, "forces", 0.1)[1]) == 10


@pytest.mark.parametrize("fraction", [0.15, 0.3, 0.8, 0.95])
def test_both_sides_have_forces_of_all_sizes(fraction):
    data = [replace(dimer(k), forces=np.full((2, 3), float(k))) for k in range(400)]
    train, valid = split_indices(data, "forces", fraction, 1)
    assert len(valid) == round(400 * fraction)
    for part in (train, valid):
        assert np.mean(part) == pytest.approx(199.5, abs=12)


def test_small_sets_keep_one_structure_on_each_side():
    train, valid = split([dimer(0), dimer(1)], fraction=0.01)
    assert len(train) == len(valid) == 1
    train, valid = split([dimer(0), dimer(1)], fraction=0.99)
    assert len(train) == len(valid) == 1
    lonely = [*DATA[:10], dimer(0, "only one")]
    assert "only one" not in {s.config_type for s in split(lonely, "config_type", 0.5)[1]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((DATA, "randm"), "'randm' is not known; did you mean 'random'"),
        ((DATA, "random", 1.5), "fraction is 1.5, expected between 0 and 1"),
        ((DATA[-1:],), "0 structures that are not isolated atoms"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(DataError, match=message):
        split(*arguments)


def test_given_files_and_overlap(tmp_path, caplog):
    write(tmp_path / "train.xyz", [s.to_atoms() for s in DATA[:20]])
    write(tmp_path / "valid.xyz", [s.to_atoms() for s in DATA[20:25]])
    train, valid = load_split(tmp_path / "train.xyz", tmp_path / "valid.xyz")
    assert (len(train), len(valid)) == (20, 5)
    assert not caplog.records
    write(tmp_path / "valid.xyz", [s.to_atoms() for s in DATA[18:25]])
    load_split(tmp_path / "train.xyz", tmp_path / "valid.xyz")
    assert "2 of 7 validation structures are in the training files" in caplog.text
    train, valid = load_split(tmp_path / "train.xyz", fraction=0.1)
    assert (len(train), len(valid)) == (18, 2)


def test_subsets_of_a_data_set():
    dataset = Dataset(DATA, [1], 5.0)
    train, valid = (Subset(dataset, k) for k in split_indices(DATA, fraction=0.2, seed=3))
    expected = split(DATA, fraction=0.2, seed=3)
    for subset, structures in zip((train, valid), expected, strict=True):
        assert list(subset.structures) == structures
        assert subset.structures[-1] is structures[-1]
        assert len(subset) == len(structures) == len(subset.num_edges)
        batches = list(BatchSampler(subset, structures_per_batch=7))
        assert sorted(k for b in batches for k in b) == list(range(len(subset)))
        batch = collate([subset[k] for k in batches[0]])
        assert batch.dataset_index.tolist() == batches[0]
        assert batch.energy.tolist() == [structures[k].energy for k in batches[0]]
    with pytest.raises(IndexError):
        train.structures[81]
