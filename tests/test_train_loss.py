"""The loss against plain loops, masks, weights and the sign of the stress."""

import numpy as np
import pytest
import torch
from ase.build import bulk

from camlip.data import Dataset, Structure, collate, structure_from_atoms
from camlip.models import CartesianMoments, evaluate, preset
from camlip.train.evaluation import TorchPredictor
from camlip.train.loss import Loss, label_errors
from camlip.train.metrics import ErrorSums
from camlip.train.schema import LossConfig
from train_tools import frames

REFERENCE = [-3.5, -4.4]


def structures():
    """Full labels; no forces; no stress and a weight; one force missing; a molecule."""
    a, b, c, d = (structure_from_atoms(x) for x in frames()[:4])
    partial = d.forces.copy()
    partial[1] = np.nan
    molecule = Structure(np.array([[0.0, 0, 0], [0, 0, 2.2]]), np.array([29, 29]), energy=1.0)
    return [
        a,
        b.replace(forces=None),
        c.replace(stress=None, weight=3.0),
        d.replace(forces=partial),
        molecule,
    ]


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = preset("small", cutoff=4.0, max_rank=2, num_channels=4, num_hidden=8)
    return CartesianMoments(config, [28, 29], 12.0, REFERENCE, 1.0).double()


@pytest.fixture
def single():
    torch.manual_seed(0)
    config = preset("small", cutoff=4.0, max_rank=2, num_channels=4, num_hidden=8)
    return CartesianMoments(config, [28, 29], 12.0, REFERENCE, 1.0)


def batch_of(items):
    dataset = Dataset(items, [28, 29], 4.0)
    return collate([dataset[k] for k in range(len(items))])


@pytest.mark.parametrize("kind", ["huber", "mse"])
def test_loss_is_the_formula(model, kind):
    items = structures()
    config = LossConfig(kind=kind, energy=2.0, forces=3.0, stress=5.0, energy_delta=0.02)
    predictions = list(TorchPredictor(model).predict(items))

    def h(x, delta):
        x = np.abs(x)
        if kind == "mse":
            return x**2
        return np.where(x < delta, x**2 / 2, delta * (x - delta / 2))

    energy, forces, stress = [], [], []
    for s, p in zip(items, predictions, strict=True):
        energy.append(s.weight * h((p.energy - s.energy) / s.num_atoms, 0.02))
        if s.forces is not None:
            known = np.isfinite(s.forces).all(1)
            forces.extend(s.weight * h((p.forces - s.forces)[known], 0.05).ravel())
        if s.stress is not None:
            stress.extend(s.weight * h(p.stress - s.stress, 0.01).ravel())
    expected = 2 * np.mean(energy) + 3 * np.mean(forces) + 5 * np.mean(stress)

    loss = Loss(config)
    batch = batch_of(items)
    errors = label_errors(evaluate(model, batch), batch, model.reference_energies)
    found = loss.combine(loss.sums(errors, batch), loss.counts(batch))
    assert found.item() == pytest.approx(expected, rel=1e-12)
    more = loss.combine(loss.sums(errors, batch), loss.counts(batch), energy_factor=10.0)
    assert more.item() - found.item() == pytest.approx(18 * np.mean(energy), rel=1e-10)


def test_parts_of_a_batch_add_up_to_the_batch(model):
    items = structures()
    loss = Loss(LossConfig())
    parts = [batch_of(items[:2]), batch_of(items[2:])]

    def sums(batch):
        errors = label_errors(evaluate(model, batch), batch, model.reference_energies)
        return loss.sums(errors, batch), loss.counts(batch)

    one = loss.combine(*sums(batch_of(items)))
    two = loss.combine(*(sum(x) for x in zip(*map(sums, parts), strict=True)))
    torch.testing.assert_close(one, two, rtol=1e-12, atol=0)


def test_labels_that_are_missing_change_nothing(model):
    items = structures()
    batch = batch_of(items)
    batch.forces[batch.forces_mask == 0] = 1e3
    batch.stress[batch.stress_mask == 0] = 1e3
    errors = label_errors(evaluate(model, batch), batch, model.reference_energies)
    clean = batch_of(items)
    expected = label_errors(evaluate(model, clean), clean, model.reference_energies)
    for a, b in zip(errors, expected, strict=True):
        torch.testing.assert_close(a, b)
    # A structure with an energy alone still teaches the model something.
    only = batch_of([items[1].replace(stress=None)])
    loss = Loss(LossConfig())
    results = evaluate(model, only, training=True)
    sums = loss.sums(label_errors(results, only, model.reference_energies), only)
    loss.combine(sums, loss.counts(only)).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.isfinite(g).all() for g in gradients)
    assert any(g.abs().max() > 0 for g in gradients)


def test_large_reference_energies_are_subtracted_in_float64(single):
    def energies(offset):
        items = [s.replace(energy=s.energy + offset * s.num_atoms) for s in structures()[:3]]
        batch = batch_of(items).to(dtype=torch.float32)
        return label_errors(evaluate(single, batch), batch, single.reference_energies + offset)[0]

    assert energies(1e6).dtype == torch.float32
    torch.testing.assert_close(energies(1e6), energies(0.0), rtol=1e-6, atol=1e-8)


def test_predicted_stress_is_the_strain_derivative_per_volume(model):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=2)
    atoms.numbers[0] = 28
    (prediction,) = TorchPredictor(model).predict([structure_from_atoms(atoms)])

    def energy(strain):
        strained = atoms.copy()
        strained.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
        (p,) = TorchPredictor(model).predict([structure_from_atoms(strained)])
        return p.energy

    for a, b in [(0, 0), (1, 2)]:
        strain = np.zeros((3, 3))
        strain[a, b] += 5e-6
        strain[b, a] += 5e-6
        slope = (energy(strain) - energy(-strain)) / 2e-5 / atoms.get_volume()
        # An off-diagonal strain of 1e-5 counts twice in the sum over components.
        assert prediction.stress[a, b] == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_error_sums_count_known_labels_only(model):
    batch = batch_of(structures())
    errors = label_errors(evaluate(model, batch), batch, model.reference_energies)
    sums = ErrorSums()
    counts = Loss(LossConfig()).counts(batch)
    sums.add(errors, counts)
    sums.add(errors, counts)
    assert sums.values[:, 2].tolist() == [10, 2 * 3 * (4 + 4 + 3), 2 * 9 * 3]
    summary = sums.summary("valid")
    known = errors[1].detach()[batch.forces_mask > 0]
    assert summary["valid_forces_mae"] == pytest.approx(known.abs().mean().item())
    assert summary["valid_energy_rmse"] == pytest.approx(
        errors[0].detach().square().mean().sqrt().item()
    )
    assert np.isnan(ErrorSums().summary("valid")["valid_stress_mae"])
