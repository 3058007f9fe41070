"""Every implementation of a model gives the numbers of the torch module in float64."""

import numpy as np
import pytest
import torch

from camlip.data import Dataset, Structure, collate
from camlip.models import evaluate
from camlip.parity import DOUBLE, FLOAT32, MIXED, compare, engine_evaluator, sampled_types
from camlip.random_model import edges
from camlip.structures import sample_structures
from model_zoo import SHAPES, available_backends, available_simd, zoo

MODELS = [name for name in SHAPES if name != "tiny"]
BACKENDS = available_backends()
ABSENT = pytest.mark.skip(reason="the engine has no backend but the reference")
FAST = [b for b in BACKENDS if b != "reference"] or [pytest.param("cpu", marks=ABSENT)]
SIMD = available_simd() or [pytest.param("auto", marks=ABSENT)]


def structures(name: str):
    return sample_structures(zoo(name).model.atomic_numbers, seed=5)


@pytest.fixture(scope="module")
def expected():
    """Evaluator of torch in float64 for each model; works once for each structure."""
    known = {}

    def of(name: str):
        evaluate = zoo(name).exact()

        def lookup(atoms):
            key = (name, len(atoms), atoms.positions.tobytes())
            if key not in known:
                known[key] = evaluate(atoms)
            return known[key]

        return lookup

    return of


def engine(name: str, backend: str, precision: str, **options):
    """Tables for the elements of the structures alone."""
    return zoo(name).engine(
        backend, precision, active_types=sampled_types(zoo(name).model), **options
    )


def check(name, expected, found, limits):
    for kind, atoms in structures(name).items():
        difference = compare(kind, [atoms], expected(name), found, limits)
        assert difference.forces_limit < 100 * limits[1], "forces of the test are not natural"
        assert difference.passed, difference


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_double(name, backend, expected):
    check(name, expected, engine_evaluator(engine(name, backend, "double")), DOUBLE)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", FAST)
def test_mixed(name, backend, expected):
    check(name, expected, engine_evaluator(engine(name, backend, "mixed")), MIXED)


@pytest.mark.parametrize("name", ["small-Si", "medium-Si", "layers-3", "rank-0", "rank-1"])
@pytest.mark.parametrize("simd", SIMD)
@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_every_instruction_set(name, simd, precision, expected):
    chosen = engine(name, "cpu", precision, simd=simd)
    assert chosen.info.simd == simd
    check(name, expected, engine_evaluator(chosen), DOUBLE if precision == "double" else MIXED)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["small-Si", "medium-Si"])
def test_two_threads(backend, name, expected):
    check(name, expected, engine_evaluator(engine(name, backend, "double", threads=2)), DOUBLE)


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_do_not_depend_on_the_number_of_threads(backend):
    atoms = sample_structures([8, 14], seed=2)["bulk"]
    one, two = (
        engine_evaluator(zoo("tiny").engine(backend, "mixed", threads=n))(atoms) for n in (1, 2)
    )
    for key, value in one.items():
        np.testing.assert_allclose(two[key], value, rtol=0, atol=1e-9 * np.abs(value).max())


@pytest.mark.parametrize("name", ["small-Si", "medium-4", "layers-3", "rank-0", "elements-12"])
def test_torchscript(name, expected):
    check(name, expected, zoo(name).scripted(), DOUBLE)


@pytest.mark.parametrize("name", ["small-4", "medium-4"])
def test_torchscript_in_float32(name, expected):
    check(name, expected, zoo(name).scripted(torch.float32), FLOAT32)


@pytest.mark.parametrize("name", ["small-4", "medium-4"])
def test_the_exported_module_is_what_training_evaluates(name, expected):
    """One batch with all structures at once, through the code that the trainer uses."""
    chosen = {k: a for k, a in structures(name).items() if len(a) > 0}
    labelled = [
        Structure(a.positions, a.numbers, cell=a.cell.array, pbc=a.pbc, energy=0.0)
        for a in chosen.values()
    ]
    model = zoo(name).module
    dataset = Dataset(labelled, model.atomic_numbers, cutoff=model.cutoff)
    batch = collate([dataset[i] for i in range(len(labelled))])
    from copy import deepcopy

    found = evaluate(deepcopy(model).double(), batch)
    first = 0
    for index, (kind, atoms) in enumerate(chosen.items()):
        a = expected(name)(atoms)
        last = first + len(atoms)
        assert abs(float(found["energy"][index]) - float(a["energy"])) < 1e-10 * len(atoms), kind
        gap = np.abs(found["forces"][first:last].detach().numpy() - a["forces"]).max()
        assert gap < 1e-11, kind
        virial = found["virial"][index].detach().numpy()
        assert np.abs(virial - a["virial"]).max() < 1e-10 * len(atoms), kind
        first = last


def test_torchscript_takes_edges_in_any_order_and_beyond_the_cutoff(expected):
    atoms = structures("small-4")["bulk"]
    z = zoo("small-4")
    edge_index, shifts = edges(atoms, 1.2 * z.module.cutoff)
    order = torch.randperm(edge_index.shape[1], generator=torch.Generator().manual_seed(0))
    from copy import deepcopy
    from io import BytesIO

    from camlip.torchscript import archive_bytes

    module = torch.jit.load(BytesIO(archive_bytes(deepcopy(z.module).double(), z.block)))
    with torch.no_grad():  # hosts switch gradients off; forces come nevertheless
        found = module(
            torch.from_numpy(atoms.positions),
            torch.from_numpy(atoms.numbers),
            edge_index[:, order],
            shifts[order],
        )
        assert not torch.is_grad_enabled()
    a = expected("small-4")(atoms)
    np.testing.assert_allclose(found["forces"].numpy(), a["forces"], atol=1e-11)
    np.testing.assert_allclose(found["atomic_energies"].numpy(), a["atomic_energies"], atol=1e-11)
