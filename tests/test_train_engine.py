"""Training through the engine gives what double backward through torch gives."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from camlip.data import Dataset, Structure, collate, read_structures
from camlip.errors import ArgumentError, BackendError, NumericError
from camlip.models import evaluate
from camlip.random_model import random_model
from camlip.train.engine import EngineTrainer
from camlip.train.engine_backend import PackedStructures
from camlip.train.finetune.start import load_start
from camlip.train.loss import Loss
from camlip.train.schema import LossConfig
from model_zoo import SHAPES

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
# The shapes that the gradient treats differently; the cutoff is short for speed.
MODELS = ["small-Si", "small-4", "medium-Si", "medium-4", "layers-3", "rank-0", "rank-1", "rank-2",
          "no-zbl", "elements-12"]  # fmt: skip


def make(name: str) -> torch.nn.Module:
    preset, elements, changes = SHAPES[name]
    small = {"cutoff": 3.6, "num_channels": 8, "num_hidden": 16, "radial_width": 16}
    return random_model(
        preset, elements, seed=3, changes=small | changes | {"cutoff": 3.6}
    ).double()


def structures(elements: list[int]) -> list[Structure]:
    """A crystal with its images, a slab and a molecule."""
    rng = np.random.default_rng(8)
    grid = np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])
    found = []
    for pbc in ([True] * 3, [True, True, False], [False] * 3):
        cell = 4.4 * np.eye(3) + rng.normal(scale=0.15, size=(3, 3))
        if not any(pbc):
            cell = np.zeros((3, 3))
        found.append(
            Structure(
                2.2 * grid + rng.normal(scale=0.1, size=(8, 3)),
                rng.choice(elements, 8),
                cell=cell,
                pbc=np.array(pbc),
            )
        )
    return found


def make_batch(model, items=None):
    items = items or structures(model.atomic_numbers)
    dataset = Dataset(items, model.atomic_numbers, model.cutoff)
    return collate([dataset[k] for k in range(len(items))])


def gradients(model, results, seed: int = 0) -> dict[str, torch.Tensor]:
    """Of a loss in which energies, forces and virials all matter."""
    generator = torch.Generator().manual_seed(seed)
    loss = torch.zeros((), dtype=torch.float64)
    for name, weight in (("interaction_energy", 1.0), ("forces", 1.0), ("virial", 0.1)):
        if name in results:
            target = torch.randn(results[name].shape, generator=generator, dtype=torch.float64)
            loss = loss + weight * ((results[name] - target) ** 2).sum()
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def compare(found, expected, total: float, tensor: float) -> None:
    assert found.keys() == expected.keys()
    norm = torch.sqrt(sum((g**2).sum() for g in expected.values()))
    difference = torch.sqrt(sum(((found[k] - expected[k]) ** 2).sum() for k in expected))
    assert difference < total * norm
    for name, gradient in expected.items():
        if gradient.norm() > 1e-3 * norm:
            assert (found[name] - gradient).norm() < tensor * gradient.norm(), name


@pytest.mark.parametrize("name", MODELS)
def test_results_and_gradients_in_double(name):
    model = make(name)
    batch = make_batch(model)
    expected = evaluate(model, batch, training=True)
    found = EngineTrainer(model, "reference", "double").evaluate(model, batch)
    for key in ("energy", "interaction_energy", "forces", "virial"):
        torch.testing.assert_close(found[key], expected[key], rtol=1e-10, atol=1e-9)
    compare(gradients(model, found), gradients(model, expected), total=1e-6, tensor=1e-6)


def cpu_trainer(model, precision: str, threads: int, simd: str) -> EngineTrainer:
    try:
        return EngineTrainer(model, "cpu", precision, threads, simd)
    except BackendError:
        pytest.skip(f"{simd} is not an instruction set of this machine")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("simd", ["baseline", "avx2", "avx512"])
def test_cpu_gradients_in_double(name, simd):
    model = make(name)
    batch = make_batch(model)
    expected = evaluate(model, batch, training=True)
    wanted = gradients(model, expected)
    for threads in (1, 2):
        found = cpu_trainer(model, "double", threads, simd).evaluate(model, batch)
        for key in ("energy", "forces", "virial"):
            torch.testing.assert_close(found[key], expected[key], rtol=1e-7, atol=1e-5)
        compare(gradients(model, found), wanted, total=1e-6, tensor=1e-6)


@pytest.mark.parametrize("simd", ["baseline", "avx2", "avx512"])
@pytest.mark.parametrize("name", ["small-Si", "small-4", "medium-Si", "medium-4", "rank-1"])
def test_cpu_gradients_in_mixed(name, simd):
    model = make(name)
    batch = make_batch(model)
    expected = gradients(model, evaluate(model, batch, training=True))
    for threads in (1, 2):
        found = cpu_trainer(model, "mixed", threads, simd).evaluate(model, batch)
        compare(gradients(model, found), expected, total=1e-3, tensor=1e-2)


def test_gradients_of_a_trained_model_in_mixed():
    """What is left in the loss of a good model is small, and so the errors that matter are."""
    model = load_start("camlip:silicon").float()
    items = read_structures([EXAMPLES / "silicon" / "train.xyz.xz"])[:60:6]
    items = [s for s in items if s.forces is not None and len(s.atomic_numbers) > 2]
    dataset = Dataset(items, model.atomic_numbers, model.cutoff, progress=False)
    loss, found = Loss(LossConfig()), {}
    for precision in ("double", "mixed"):
        trainer = EngineTrainer(model, "cpu", precision, 1)
        batch = PackedStructures(dataset, trainer).batch(range(len(items)))
        results = trainer.results(trainer.parameters(model), batch.geometry, True)
        predictions = np.concatenate([part.numpy().reshape(-1) for part in results])
        _, bars = batch.packed.evaluate(predictions, loss, loss.counts(batch), 1.0)
        found[precision] = trainer.difference(*bars, batch.geometry)
    error = (found["mixed"] - found["double"]).norm() / found["double"].norm()
    assert 0 < error < 1e-3


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_energies_alone(backend):
    model = make("medium-Si")
    batch = make_batch(model)
    trainer = EngineTrainer(model, backend, "double")
    found = gradients(model, trainer.evaluate(model, batch, forces=False))
    expected = gradients(model, evaluate(model, batch, forces=False, training=True))
    exact = backend == "reference"
    compare(found, expected, total=1e-10 if exact else 1e-7, tensor=1e-9 if exact else 1e-7)


def test_new_parameters_are_used():
    model = make("small-Si")
    batch = make_batch(model)
    trainer = EngineTrainer(model, "reference", "double")
    first = trainer.evaluate(model, batch)["energy"]
    other = deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    changed = trainer.evaluate(other, batch)["energy"]
    torch.testing.assert_close(changed, evaluate(other, batch)["energy"])
    assert (changed - first).abs().min() > 1e-6
    torch.testing.assert_close(trainer.evaluate(model, batch)["energy"], first)


def test_bad_input_is_refused_before_work():
    model = make("small-Si")
    trainer = EngineTrainer(model, "reference", "double")
    values = trainer.parameters(model)
    values[3] = float("nan")
    with pytest.raises(NumericError, match=r"'radial\.0\.bessel_weight' holds NaN .* at 3"):
        trainer.load(values)
    batch = make_batch(model)
    batch.edge_index[1, 0] = 10_000
    with pytest.raises(ArgumentError, match="edge 0 goes from atom 0 to 10000"):
        trainer.batch(batch)


@pytest.mark.parametrize(("precision", "limit"), [("mixed", 3e-3), ("double", 1e-6)])
def test_the_error_of_the_difference_is_watched(precision, limit, caplog):
    model = make("medium-4")
    trainer = EngineTrainer(model, "cpu", precision, 1)
    gradients(model, trainer.evaluate(model, make_batch(model)))
    assert 0 < trainer.difference_error < limit
    assert caplog.text == ""
    trainer.num_gradients = 0
    trainer.displacement = 0.3
    gradients(model, trainer.evaluate(model, make_batch(model)))
    assert trainer.difference_error > limit
    assert "half the displacement changes the gradient by" in caplog.text
