"""Many structures in one call: the results of one call for each."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

import camlip
from camlip import MLIPCalculator
from camlip.errors import ArgumentError, NumericError
from camlip.structures import sample_structures
from model_zoo import available_backends, zoo

BACKENDS = available_backends()
ALL = ("energy", "energies", "forces", "stress")


@pytest.fixture(scope="module")
def structures():
    """Of every kind, more than once: molecules, slabs, skewed crystals, single atoms, no atoms."""
    return [a for seed in (9, 10, 11) for a in sample_structures([8, 14], seed=seed).values()]


def one_by_one(file, structures, precision, backend):
    calculator = MLIPCalculator(file, precision=precision, threads=1, backend=backend)
    for atoms in structures:
        twin = atoms.copy()
        twin.calc = calculator
        names = [name for name in ALL if name != "stress"]
        if twin.pbc.any() and twin.cell.rank == 3:
            names.append("stress")
        yield {name: calculator.get_property(name, twin) for name in names}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluation") / "tiny.safetensors"
    path.write_bytes(zoo("tiny").block)
    return path


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("precision", ["double", "mixed"])
@pytest.mark.parametrize("threads", [1, 3])
def test_results_are_those_of_single_calls(structures, file, backend, precision, threads):
    engine = camlip.Engine(camlip.Model(file), backend, precision, threads=threads)
    found = camlip.compute_batch(structures, engine, properties=ALL)
    assert len(found) == len(structures)
    exact = 1e-9 if precision == "double" else 2e-5
    for results, single in zip(
        found, one_by_one(file, structures, precision, backend), strict=True
    ):
        assert set(results) == set(single)
        for name, value in single.items():
            scale = max(1.0, float(np.abs(value).max(initial=0.0)))
            np.testing.assert_allclose(results[name], value, rtol=0, atol=exact * scale)


def test_order_and_company_do_not_matter(structures, file):
    """A structure has the same results among others, to the last digits that float32 sums keep."""
    engine = camlip.Engine(camlip.Model(file), threads=2)
    forward = camlip.compute_batch(structures, engine)
    backward = camlip.compute_batch(structures[::-1], engine)
    again = camlip.compute_batch(structures, engine)
    np.testing.assert_array_equal(forward.forces, again.forces)  # the same batch: the same bits
    assert forward.energy is not None
    assert backward.energy is not None
    np.testing.assert_allclose(forward.energy, backward.energy[::-1], rtol=2e-6)
    for s in (0, 4, 7):
        np.testing.assert_allclose(forward[s]["forces"], backward[-1 - s]["forces"], atol=2e-5)


def test_a_large_batch(file):
    """More atoms than are worked on at once."""
    atoms = bulk("Si", cubic=True)
    batch = []
    for seed in range(300):
        batch.append(atoms.copy())
        batch[-1].rattle(0.05, seed=seed)
    found = camlip.compute_batch(batch, file, precision="double", threads=1)
    for s in (0, 127, 128, 299):
        single = camlip.compute_batch([batch[s]], file, precision="double", threads=1)[0]
        for name in ("energy", "forces", "stress"):
            np.testing.assert_allclose(found[s][name], single[name], atol=1e-10)


def test_what_is_asked_for(structures, file):
    found = camlip.compute_batch(structures, file, properties=["stress"], threads=1)
    assert found.energy is None
    assert found.forces is None
    full = camlip.compute_batch(structures, file, threads=1)
    np.testing.assert_allclose(found.stress, full.stress, atol=1e-12)
    assert np.isnan(full.stress).any()
    assert not np.isnan(full.stress).all()
    assert "stress" not in full[[not a.pbc.any() for a in structures].index(True)]
    assert set(full[-len(full)]) == set(full[0])
    with pytest.raises(IndexError, match=f"expected a structure of {len(structures)}"):
        full[len(structures)]
    with pytest.raises(ArgumentError, match="'virial', expected energy, energies, forces, stress"):
        camlip.compute_batch(structures, file, properties=["virial"])


def test_no_structures(file):
    found = camlip.compute_batch([], file, properties=ALL)
    assert len(found) == 0
    assert list(found) == []
    empty = camlip.compute_batch([Atoms(), Atoms()], file, properties=ALL)
    assert empty[1]["energy"] == 0.0
    assert empty[1]["forces"].shape == (0, 3)


def test_messages_name_the_structure(structures, file):
    engine = camlip.Engine(camlip.Model(file), precision="double", threads=2)
    twins = [*structures, bulk("Si", cubic=True)]
    twins[-1].positions[1] = twins[-1].positions[0]
    with pytest.raises(NumericError, match=f"of system {len(structures)} are NaN"):
        camlip.compute_batch(twins, engine)
    flat = bulk("Si")
    flat.cell[2] = flat.cell[1]
    with pytest.raises(ArgumentError, match="system 1: cell: the periodic lattice vectors"):
        camlip.compute_batch([bulk("Si"), flat, flat], engine)
    with pytest.raises(ArgumentError, match="no element C"):
        camlip.compute_batch([bulk("Si"), molecule("CO")], engine)
    broken = bulk("Si")
    broken.positions[1, 2] = np.inf
    with pytest.raises(NumericError, match="positions: atom 3 is at NaN"):
        camlip.compute_batch([bulk("Si"), broken], engine)


def test_wrong_shapes(file):
    engine = camlip.Engine(camlip.Model(file), threads=1)
    positions, types = np.zeros((4, 3)), np.zeros(4, dtype=int)
    for changes, text in (
        ({"offsets": [0, 2, 5]}, "offsets: the last is 5, expected 4 atoms"),
        ({"offsets": [0, 3, 2, 4]}, "offsets of system 1 descend"),
        ({"offsets": []}, r"offsets: shape \(0\), expected \(S \+ 1,\)"),
        ({"cells": np.eye(3)}, r"cells: shape \(3, 3\), expected \(2, 3, 3\)"),
        ({"pbc": [True, True, True]}, r"pbc: shape \(3\), expected \(2, 3\)"),
        ({"pbc": np.ones((2, 3))}, "system 0: cell: null"),
        ({"types": [0]}, r"types: shape \(1\)"),
    ):
        arguments = {"positions": positions, "types": types, "offsets": [0, 2, 4]} | changes
        with pytest.raises(ArgumentError, match=text):
            engine.compute_systems(**arguments)
