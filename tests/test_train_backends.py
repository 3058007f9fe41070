"""A run is the same run whether torch or the engine evaluates it."""

import math

import numpy as np
import pytest
import torch
from ase.io import write

from camlip.data import Dataset, collate
from camlip.models import evaluate
from camlip.train import Trainer, TrainingError
from camlip.train.backends import TorchBackend, choose_backend
from camlip.train.checkpoint import read_checkpoint
from camlip.train.engine_backend import EngineBackend
from camlip.train.schema import OptimizationConfig
from test_train_engine import make, structures
from train_tools import config, frames


def some_labels_missing(path):
    """The data set without half of the stresses and some of the forces and energies."""
    chosen = [a.copy() for a in frames()]
    for k, atoms in enumerate(chosen):
        if k % 2:
            del atoms.info["REF_stress"]
        if k % 5 == 0:
            del atoms.arrays["REF_forces"]
        if k % 7 == 1:
            del atoms.info["REF_energy"]
    write(path, chosen)


def losses(folder, **sections):
    """Loss of each step and the history of a run."""
    trainer = Trainer(config(folder, **sections))
    step, values = trainer._step, []

    def recorded(batch):
        values.append(step(batch))
        return values[-1]

    trainer._step = recorded
    assert trainer.fit()
    return values, trainer


@pytest.mark.parametrize("preset", ["small", "medium"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-5), ("float32", 2e-3)])
def test_both_backends_make_the_same_run(tmp_path, preset, dtype, tolerance):
    some_labels_missing(tmp_path / "train.xyz")
    # Every third of the schedule is in the second stage; the averaged weights are validated.
    options = {"dtype": dtype, "epochs": 3, "ema": 0.9, "stage_two": {"start": 0.6}}
    # SOAP would make of other rounding other directions where the gradient is small.
    options["optimizer"] = "adamw"
    runs = {}
    for backend in ("torch", "engine"):
        runs[backend] = losses(
            tmp_path,
            model={"preset": preset},
            train=options | {"backend": backend},
            run_dir=str(tmp_path / backend),
        )
    (values, expected), (found, engine) = runs["torch"], runs["engine"]
    assert engine.backend.name == "engine"
    assert expected.backend.name == "torch"
    assert len(found) == len(values) == 12
    assert found[:4] == pytest.approx(values[:4], rel=tolerance)
    assert found == pytest.approx(values, rel=20 * tolerance)
    for a, b in zip(engine.history, expected.history, strict=True):
        assert a["stage"] == b["stage"]
        assert a["lr"] == b["lr"]
        for key in ("valid_loss", "train_forces_rmse", "valid_energy_mae", "valid_stress_rmse"):
            assert a[key] == pytest.approx(b[key], rel=20 * tolerance), key


def test_a_run_through_torch_resumes_to_the_same_numbers(tmp_path):
    options = {"backend": "torch", "epochs": 3}
    _values, whole = losses(tmp_path, train=options, run_dir=str(tmp_path / "whole"))
    first = Trainer(config(tmp_path, train=options))
    step = first._step

    def interrupted(batch):
        value = step(batch)
        first._stop = first.state.step == 6
        return value

    first._step = interrupted
    assert not first.fit()
    second = Trainer(config(tmp_path, train=options), resume=True)
    assert second.fit()
    for a, b in zip(whole.ema.averages, second.ema.averages, strict=True):
        assert torch.equal(a, b)


def test_structures_are_put_together_in_any_order():
    model = make("medium-4")
    dataset = Dataset(structures(model.atomic_numbers), model.atomic_numbers, model.cutoff)
    backend = EngineBackend(model, torch.float64, threads=1)
    lists = [[2, 0], [1], [1, 2, 0, 1]]
    for indices, batch in zip(lists, backend.loader(dataset)(lists), strict=True):
        whole = collate([dataset[k] for k in indices])
        assert batch.dataset_index.tolist() == indices
        found = backend.evaluator(model)(batch)
        expected = evaluate(model, whole)
        for key in ("energy", "interaction_energy", "forces", "virial"):
            torch.testing.assert_close(found[key], expected[key].detach(), rtol=1e-7, atol=1e-5)


def test_the_backend_is_chosen_with_a_reason():
    def chosen(name, device="cpu", **changes):
        options = OptimizationConfig.model_validate({"backend": "auto", **changes})
        return choose_backend(options, make(name), torch.device(device), torch.float32)

    assert chosen("small-4", threads=2).description == "engine (mixed, 2 thread(s))"
    many = chosen("elements-12")
    assert isinstance(many, TorchBackend)
    assert "12 elements, the engine is chosen up to 10" in many.description
    assert chosen("elements-12", backend="engine").name == "engine"
    assert "the device is cuda" in chosen("small-Si", device="cuda").description
    assert chosen("small-Si", backend="torch").description == "torch"
    with pytest.raises(TrainingError, match=r"the engine trains on the CPU.*use 'torch'"):
        chosen("small-Si", device="cuda", backend="engine")


def test_the_log_says_who_evaluates(tmp_path, capsys):
    import yaml

    from camlip.cli import main
    from train_tools import settings

    file = tmp_path / "train.yaml"
    file.write_text(yaml.safe_dump(settings(tmp_path, train={"epochs": 1})))
    assert main(["train", str(file)]) == 0
    assert "backend: engine (mixed, 1 thread(s))" in capsys.readouterr().out
    errors = read_checkpoint(tmp_path / "run" / "best.ckpt")["errors"]
    assert math.isfinite(errors["valid"]["forces"]["rmse"])
    speed = read_checkpoint(tmp_path / "run" / "best.ckpt")["history"][0]["atoms_per_second"]
    assert np.isfinite(speed)
    assert speed > 0
