"""Data set, batches and the sampler."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from camlip.data import (
    BatchSampler,
    DataError,
    Dataset,
    Structure,
    average_num_neighbors,
    collate,
    neighbor_list,
    structure_from_atoms,
)

CUTOFF = 4.5


def structures():
    """A molecule, a small triclinic cell, an isolated atom, a slab."""
    water, silicon, atom = molecule("H2O"), bulk("Si"), Atoms("H")
    silicon.rattle(0.05, seed=3)
    water.info["REF_energy"] = -14.2
    water.arrays["REF_forces"] = np.array([[1.0, 2, 3], [np.nan] * 3, [-1, -2, -3]])
    silicon.info.update(REF_energy=-10.8, REF_stress=np.arange(6) * 0.01, weight=3.0)
    atom.info["REF_energy"] = -13.6
    slab = Atoms("SiOH", [[0, 0, 0], [1.6, 0, 0], [2.2, 0.8, 0]], cell=[4, 4, 20], pbc=[1, 1, 0])
    return [structure_from_atoms(a) for a in (water, silicon, atom, slab)]


def test_batch_matches_the_structures():
    items = structures()
    dataset = Dataset(items, atomic_numbers=[14, 1, 8], cutoff=CUTOFF)
    batch = collate([dataset[k] for k in range(len(dataset))])
    assert batch.num_atoms.tolist() == [3, 2, 1, 3]
    assert batch.types.tolist() == [2, 1, 1, 0, 0, 1, 0, 2, 1]
    assert batch.structure_index.tolist() == [0, 0, 0, 1, 1, 2, 3, 3, 3]
    assert batch.energy.tolist() == [-14.2, -10.8, -13.6, 0.0]
    assert batch.energy_mask.tolist() == [1, 1, 1, 0]
    assert batch.forces_mask.tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 0]
    assert batch.forces[:3].tolist() == [[1, 2, 3], [0, 0, 0], [-1, -2, -3]]
    assert batch.stress_mask.tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(batch.stress[1].numpy(), items[1].stress)
    assert batch.weight.tolist() == [1, 3, 1, 1]
    assert batch.volume[1].item() == pytest.approx(items[1].volume)
    assert batch.volume[[0, 2, 3]].tolist() == [0, 0, 0]
    assert batch.dataset_index.tolist() == [0, 1, 2, 3]
    assert (batch.edge_index[0].diff() >= 0).all()
    vectors = batch.edge_vectors()
    start = 0
    for k, s in enumerate(items):
        edges, shifts = neighbor_list(s.positions, s.cell, s.pbc, CUTOFF)
        inside = batch.structure_index[batch.edge_index[0]] == k
        assert (batch.edge_index[:, inside].numpy() - start == edges).all()
        expected = s.positions[edges[1]] - s.positions[edges[0]] + shifts @ s.cell
        np.testing.assert_allclose(vectors[inside].numpy(), expected, atol=1e-14)
        assert (np.linalg.norm(expected, axis=1) < CUTOFF).all()
        start += s.num_atoms


def test_strained_positions_and_cells_strain_the_edges():
    dataset = Dataset(structures(), [14, 1, 8], CUTOFF)
    batch = collate([dataset[1], dataset[0]])
    strain = torch.eye(3, dtype=torch.float64) + torch.tensor(
        [[0.01, 0.02, 0.0], [0.02, -0.03, 0.0], [0.0, 0.0, 0.05]], dtype=torch.float64
    )
    strained = batch.edge_vectors(batch.positions @ strain, batch.cells @ strain)
    torch.testing.assert_close(strained, batch.edge_vectors() @ strain)


def test_dtype_leaves_energies_in_double():
    dataset = Dataset([structures()[0].replace(energy=-123456.7890123)], [1, 8], CUTOFF)
    batch = collate([dataset[0]]).to(dtype=torch.float32)
    assert batch.positions.dtype == batch.edge_shifts.dtype == batch.weight.dtype == torch.float32
    assert batch.energy.dtype == torch.float64
    assert batch.energy.item() == -123456.7890123
    assert batch.edge_index.dtype == batch.types.dtype == torch.int64


def test_isolated_atoms_only():
    dataset = Dataset([structures()[2]] * 2, [1], CUTOFF)
    batch = collate([dataset[0], dataset[1]])
    assert batch.edge_index.shape == (2, 0)
    assert batch.edge_vectors().shape == (0, 3)
    assert average_num_neighbors(dataset) == 0.0


def test_average_number_of_neighbors_of_diamond():
    silicon = structure_from_atoms(bulk("Si"))
    # 4 nearest neighbors at 2.35 A, 12 second neighbors at 3.84 A.
    assert average_num_neighbors(Dataset([silicon], [14], cutoff=3.0)) == 4.0
    assert average_num_neighbors(Dataset([silicon], [14], cutoff=4.0)) == 16.0


def test_works_in_a_data_loader_with_workers():
    dataset = Dataset(structures(), [1, 8, 14], CUTOFF)
    sampler = BatchSampler(dataset, structures_per_batch=3, shuffle=False)
    loader = torch.utils.data.DataLoader(
        dataset, batch_sampler=sampler, collate_fn=collate, num_workers=1
    )
    assert [b.dataset_index.tolist() for b in loader] == [[0, 1, 2], [3]]


def test_unknown_element_is_named():
    with pytest.raises(DataError, match=r"element Si is not among those of the model: H, O"):
        Dataset(structures(), [1, 8], CUTOFF)


def test_coinciding_atoms_are_named():
    twice = Structure(np.zeros((2, 3)), np.array([1, 1]), source="a.xyz#5")
    with pytest.raises(DataError, match=r"a.xyz frame 5 \(H2\): atoms 0 and 1 are 0.0e\+00 A"):
        Dataset([twice], [1], CUTOFF)


def test_empty_data_set_and_empty_batch():
    with pytest.raises(DataError, match="no structures given"):
        Dataset([], [1], CUTOFF)
    with pytest.raises(ValueError, match="no structures given"):
        collate([])


class Sizes:
    def __init__(self, sizes):
        self.num_atoms = np.array(sizes)


SIZES = Sizes(np.random.default_rng(0).integers(1, 60, size=101))


@pytest.mark.parametrize("world_size", [1, 2, 7])
@pytest.mark.parametrize("limits", [(100, None), (None, 8), (150, 4)])
def test_sampler_covers_everything_once(world_size, limits):
    samplers = [
        BatchSampler(SIZES, *limits, rank=r, world_size=world_size) for r in range(world_size)
    ]
    for epoch in range(3):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        assert len({len(s) for s in samplers}) == 1
        batches = [tuple(b) for s in samplers for b in s]
        assert len(batches) - len(set(batches)) < world_size
        assert sorted(k for b in set(batches) for k in b) == list(range(101))
        atoms, number = limits
        for batch in batches:
            assert number is None or len(batch) <= number
            assert atoms is None or len(batch) == 1 or SIZES.num_atoms[list(batch)].sum() <= atoms


def test_sampler_is_deterministic_and_shuffles_per_epoch():
    first, second = (BatchSampler(SIZES, structures_per_batch=5, seed=4) for _ in range(2))
    assert list(first) == list(second)
    zero = list(first)
    first.set_epoch(1)
    assert list(first) != zero
    first.set_epoch(0)
    assert list(first) == zero
    assert list(BatchSampler(SIZES, structures_per_batch=5, seed=5)) != zero


def test_sampler_with_fewer_batches_than_ranks():
    batches = [
        list(BatchSampler(Sizes([3, 3]), 3, rank=r, world_size=5, shuffle=False)) for r in range(5)
    ]
    assert batches == [[[0]], [[1]], [[0]], [[1]], [[0]]]


def test_a_structure_larger_than_the_limit_goes_alone():
    batches = list(BatchSampler(Sizes([10, 500, 10]), atoms_per_batch=100, shuffle=False))
    assert batches == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give atoms_per_batch or structures_per_batch"),
        ({"atoms_per_batch": 0}, "atoms_per_batch is 0, expected at least 1"),
        ({"atoms_per_batch": 5, "rank": 2, "world_size": 2}, "rank is 2, expected 0 to 1"),
    ],
)
def test_sampler_arguments(arguments, message):
    with pytest.raises(DataError, match=message):
        BatchSampler(SIZES, **arguments)
