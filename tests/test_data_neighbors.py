"""The neighbor list against ASE's, on every kind of cell."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list as ase_neighbor_list

from camlip.data import neighbor_list

TRICLINIC = np.array([[3.0, 0, 0], [1.5, 2, 0], [0.7, 0.8, 2.5]])
CELLS = {
    "no cell": (np.zeros((3, 3)), (False, False, False)),
    "cell without periodicity": (3.0 * np.eye(3), (False, False, False)),
    "slab without third vector": (np.diag([4.0, 5.0, 0.0]), (True, True, False)),
    "slab with vacuum": (np.diag([4.0, 5.0, 30.0]), (True, True, False)),
    "wire": (np.diag([0.0, 0.0, 4.0]), (False, False, True)),
    "triclinic below the cutoff": (TRICLINIC, (True, True, True)),
    "triclinic, mixed": (TRICLINIC, (True, False, True)),
    "left-handed": (3.0 * np.eye(3)[[1, 0, 2]], (True, True, True)),
    "large": (14.0 * np.eye(3), (True, True, True)),
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("n", [1, 7])
def test_same_edges_as_ase(name, n):
    cell, pbc = CELLS[name]
    # Some atoms lie outside the cell.
    positions = np.random.default_rng(n).normal(scale=4.0, size=(n, 3))
    cutoff = 5.0
    edge_index, shifts = neighbor_list(positions, cell, pbc, cutoff)
    atoms = Atoms(numbers=[1] * n, positions=positions, cell=cell, pbc=pbc)
    i, j, s, vectors = ase_neighbor_list("ijSD", atoms, cutoff)
    ours = sorted(map(tuple, np.c_[edge_index.T, shifts].tolist()))
    assert ours == sorted(map(tuple, np.c_[i, j, s].tolist()))
    assert edge_index.dtype == np.int64
    assert (np.diff(edge_index[0]) >= 0).all()
    r = positions[edge_index[1]] - positions[edge_index[0]] + shifts @ cell
    lengths = np.linalg.norm(r, axis=1)
    np.testing.assert_allclose(np.sort(lengths), np.sort(np.linalg.norm(vectors, axis=1)))
    # Full list: the reverse of every edge is there as well.
    reverse = np.c_[edge_index[1], edge_index[0], -shifts].tolist()
    assert ours == sorted(map(tuple, reverse))


def test_isolated_atom_and_no_atoms():
    for n in (0, 1):
        edge_index, shifts = neighbor_list(np.zeros((n, 3)), np.zeros((3, 3)), [False] * 3, 5.0)
        assert edge_index.shape == (2, 0)
        assert shifts.shape == (0, 3)


@pytest.mark.parametrize("cutoff", [0.0, -1.0, float("nan")])
def test_cutoff_must_be_positive(cutoff):
    with pytest.raises(ValueError, match="expected a positive number"):
        neighbor_list(np.zeros((1, 3)), np.eye(3), [True] * 3, cutoff)
