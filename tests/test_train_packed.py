"""The loss of packed labels is the loss, and its derivative the one that autograd finds."""

import numpy as np
import pytest
import torch

from camlip.data import Dataset, collate
from camlip.train.flat import FlatParameters
from camlip.train.loss import Loss, label_errors
from camlip.train.packed import PackedLabels
from camlip.train.schema import LossConfig
from test_train_engine import make, structures


def labelled_batch(model):
    """Random labels of which some are missing, and weights; one structure has no volume."""
    items = structures(model.atomic_numbers)
    dataset = Dataset(items, model.atomic_numbers, model.cutoff)
    batch = collate([dataset[k] for k in range(len(items))])
    generator = torch.Generator().manual_seed(4)
    for name in ("energy", "forces", "stress"):
        value = getattr(batch, name)
        setattr(batch, name, 0.1 * torch.randn(value.shape, generator=generator).double())
    batch.energy_mask = torch.tensor([1.0, 0.0, 1.0]).double()
    batch.forces_mask = (torch.arange(len(batch.types)) % 3 > 0).double()
    batch.stress_mask = torch.tensor([1.0, 0.0, 1.0]).double()
    batch.weight = torch.tensor([1.0, 0.5, 2.0]).double()
    return batch


@pytest.mark.parametrize("kind", ["huber", "mse"])
def test_packed_labels_give_the_loss_and_its_derivative(kind):
    model = make("small-4")
    batch = labelled_batch(model)
    loss = Loss(LossConfig(kind=kind))
    shapes = {"energy": (3,), "forces": batch.forces.shape, "virial": (3, 3, 3)}
    generator = torch.Generator().manual_seed(1)
    results = {
        name: (0.1 * torch.randn(shape, generator=generator).double()).requires_grad_()
        for name, shape in shapes.items()
    }
    reference = torch.zeros(3, dtype=torch.float64).index_add(
        0, batch.structure_index, model.reference_energies[batch.types]
    )
    given = results | {"interaction_energy": results["energy"] - reference}
    errors = label_errors(given, batch, model.reference_energies)
    sums, counts = loss.sums(errors, batch), loss.counts(batch)
    loss.combine(sums, counts, 3.0).backward()

    packed = PackedLabels.of(batch)
    predictions = np.concatenate([r.detach().numpy().reshape(-1) for r in results.values()])
    found, bars = packed.evaluate(predictions, loss, counts, 3.0)
    torch.testing.assert_close(found.losses, sums.detach())
    for got, error in zip(found.errors(), errors, strict=True):
        torch.testing.assert_close(got, error.detach())
    torch.testing.assert_close(
        found.squares, torch.stack([e.detach().square().sum() for e in errors])
    )
    torch.testing.assert_close(
        found.absolute, torch.stack([e.detach().abs().sum() for e in errors])
    )
    for bar, result in zip(bars, results.values(), strict=True):
        torch.testing.assert_close(torch.from_numpy(bar), result.grad)


def test_side_by_side_parameters_are_optimized_as_if_one_by_one():
    def steps(optimizer, gradients, count):
        generator = torch.Generator().manual_seed(count)
        for _ in range(count):
            for gradient in gradients:
                gradient.copy_(torch.randn(gradient.shape, generator=generator))
            optimizer.step()

    model, plain = make("medium-4"), make("medium-4")
    flat = FlatParameters(model)
    names = {id(p): name for name, p in model.named_parameters()}
    listed = [plain.get_parameter(names[id(p)]) for p in flat.parameters]
    for parameter in listed:
        parameter.grad = torch.zeros_like(parameter)
    split = sum(vector.numel() for vector in flat.groups[0])
    first = int(np.searchsorted(np.cumsum([p.numel() for p in listed]), split)) + 1
    options = {"lr": 1e-2, "amsgrad": True}
    mine = torch.optim.AdamW([{"params": vectors} for vectors in flat.groups], **options)
    theirs = torch.optim.AdamW([{"params": listed[:first]}, {"params": listed[first:]}], **options)
    steps(mine, flat.views(flat.gradient), 3)
    steps(theirs, [p.grad for p in listed], 3)
    state, expected = flat.state_of(mine), theirs.state_dict()
    assert state["state"].keys() == expected["state"].keys()
    for n, entry in expected["state"].items():
        for key, value in entry.items():
            torch.testing.assert_close(state["state"][n][key], value)
    assert [g["params"] for g in state["param_groups"]] == [
        g["params"] for g in expected["param_groups"]
    ]
    # One goes on from the state of the other.
    again = torch.optim.AdamW([{"params": vectors} for vectors in flat.groups], **options)
    flat.load_state(again, expected)
    steps(again, flat.views(flat.gradient), 2)
    steps(theirs, [p.grad for p in listed], 2)
    for one, other in zip(flat.parameters, listed, strict=True):
        torch.testing.assert_close(one, other)
