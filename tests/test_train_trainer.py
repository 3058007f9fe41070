"""Runs: they learn, resume to the same numbers, and stop with a reason."""

import csv
import errno
import math
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import yaml
from ase.io import read, write

from camlip.train import Trainer, TrainingError, load_checkpoint, setup
from camlip.train import checkpoint as checkpoint_module
from camlip.train.checkpoint import CheckpointError, read_checkpoint, save_checkpoint
from camlip.train.ema import ExponentialMovingAverage
from camlip.train.schedule import Schedule
from camlip.train.schema import OptimizationConfig
from train_tools import config, frames, settings, write_frames


def train(folder, **sections):
    trainer = Trainer(config(folder, **sections))
    assert trainer.fit()
    return trainer


def weights(trainer):
    return [p.detach().clone() for p in trainer.flat.parameters] + trainer.ema.averages


def assert_same(first, second):
    for a, b in zip(weights(first), weights(second), strict=True):
        assert torch.equal(a, b)
    untimed = [
        [{k: v for k, v in row.items() if k not in ("minutes", "atoms_per_second")} for row in h]
        for h in (first.history, second.history)
    ]
    assert untimed[0] == untimed[1]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return train(folder)


# So short a run is at its best with a higher rate: SOAP takes its first steps to find the basis.
@pytest.mark.parametrize(("optimizer", "lr"), [("adamw", 5e-3), ("soap", 2e-2)])
def test_a_run_learns(tmp_path, optimizer, lr):
    options = {"epochs": 30, "ema": 0.9, "stage_two": {"start": 1.0}}
    options |= {"optimizer": optimizer, "lr": lr}
    trainer = train(tmp_path, train=options, loss={"kind": "mse"})
    first, last = trainer.history[0], trainer.history[-1]
    for term in ("energy", "forces", "stress"):
        assert last[f"valid_{term}_rmse"] < 0.5 * first[f"valid_{term}_rmse"]
    best = min(trainer.history, key=lambda row: row["valid_loss"])
    assert read_checkpoint(trainer.run_dir / "best.ckpt")["progress"]["epoch"] == best["epoch"]


def test_the_best_checkpoint_has_the_averaged_weights(uninterrupted):
    path = uninterrupted.run_dir / "best.ckpt"
    model, known = load_checkpoint(path)
    raw, _ = load_checkpoint(path, which="raw")
    assert not torch.equal(model.mixing, raw.mixing)
    loss, _ = uninterrupted.validator.run(model, (known["progress"]["stage"] == 2 and 20.0) or 1.0)
    assert loss == pytest.approx(known["progress"]["best_loss"], rel=1e-12)
    assert set(known["fingerprint"]) == {"train", "valid"}
    assert known["config"]["model"]["num_channels"] == 4
    with pytest.raises(ValueError, match="'ema' or 'raw'"):
        load_checkpoint(path, which="best")


def test_same_seed_same_numbers(uninterrupted, tmp_path):
    assert_same(uninterrupted, train(tmp_path))


def test_other_seed_other_numbers(uninterrupted, tmp_path):
    other = train(tmp_path, seed=1)
    assert not torch.equal(weights(uninterrupted)[0], weights(other)[0])


@pytest.mark.parametrize("steps", [2, 4, 9])
def test_an_interrupted_run_resumes_to_the_same_numbers(uninterrupted, tmp_path, steps):
    first = Trainer(config(tmp_path))
    step = first._step

    def interrupted(batch):
        value = step(batch)
        if first.state.step == steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return value

    first._step = interrupted
    assert not first.fit()
    second = Trainer(config(tmp_path), resume=True)
    assert second.state.step == steps
    assert second.fit()
    assert_same(uninterrupted, second)
    columns = ("epoch", "step", "train_loss", "valid_loss", "lr")
    logs = []
    for trainer in (uninterrupted, second):
        rows = csv.DictReader((trainer.run_dir / "log.csv").read_text().splitlines())
        logs.append([[row[c] for c in columns] for row in rows])
    assert logs[0] == logs[1]


@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_saved(tmp_path):
    values = settings(tmp_path, train={"epochs": 15, "checkpoint_every_minutes": 0})
    file = tmp_path / "train.yaml"
    file.write_text(yaml.safe_dump(values))
    command = [sys.executable, "-m", "camlip.cli", "train", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    last = tmp_path / "run" / "last.ckpt"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if last.exists() and read_checkpoint(last)["progress"]["step"] > 5:
            break
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL, process.stderr.read()
    process.stderr.close()
    saved = read_checkpoint(last)
    assert saved["progress"]["step"] > 5
    load_checkpoint(last)
    resumed = Trainer(config(tmp_path, train={"epochs": 15}), resume=True)
    assert resumed.state.step >= saved["progress"]["step"]
    assert resumed.fit()
    (tmp_path / "other").mkdir()
    assert_same(train(tmp_path / "other", train={"epochs": 15}), resumed)


def test_a_failed_write_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, {"value": torch.ones(3)})
    before = path.read_bytes()

    def full_disk(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint_module.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"value": torch.zeros(3)})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_damaged_file_is_not_taken_for_a_checkpoint(uninterrupted, tmp_path):
    content = (uninterrupted.run_dir / "last.ckpt").read_bytes()
    path = tmp_path / "cut.ckpt"
    for size in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError, match=r"cut\.ckpt"):
            load_checkpoint(path)
    torch.save({"weights": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint of camlip"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match="no such file"):
        load_checkpoint(tmp_path / "missing.ckpt")


def test_a_run_directory_is_not_overwritten_by_accident(uninterrupted):
    folder = uninterrupted.run_dir.parent
    with pytest.raises(TrainingError, match=r"--resume.*--overwrite"):
        Trainer(config(folder))


def test_a_run_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written"):
        Trainer(config(tmp_path, run_dir=str(tmp_path / "file" / "run")))


def test_a_disk_that_is_too_small_is_noticed_before_training(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    monkeypatch.setattr(setup.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(TrainingError, match=r"1\.0 MB are free.*needs about"):
        Trainer(config(tmp_path))


def test_a_disk_that_fills_up_does_not_end_the_run(tmp_path, monkeypatch, capsys):
    trainer = Trainer(config(tmp_path))
    save = trainer.save

    def full_for_a_while(name):
        if 0 < trainer.state.step < 17:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(name)

    monkeypatch.setattr(trainer, "save", full_for_a_while)
    assert trainer.fit()
    assert "No space left" in capsys.readouterr().err
    load_checkpoint(trainer.run_dir / "last.ckpt")


def test_resuming_with_other_data_or_another_model_is_refused(uninterrupted, tmp_path):
    run = {"run_dir": str(uninterrupted.run_dir)}
    folder = uninterrupted.run_dir.parent
    with pytest.raises(TrainingError, match=r"model\.max_rank was 2 and is 1"):
        Trainer(config(folder, model={"max_rank": 1}, **run), resume=True)
    with pytest.raises(TrainingError, match="seed was 0 and is 3"):
        Trainer(config(folder, seed=3, **run), resume=True)
    write_frames(tmp_path / "train.xyz", seed=9)
    with pytest.raises(TrainingError, match="train structures changed"):
        Trainer(config(tmp_path, **run), resume=True)


def test_resuming_with_another_learning_rate_warns(uninterrupted, caplog):
    folder = uninterrupted.run_dir.parent
    Trainer(config(folder, train={"lr": 1e-3}), resume=True)
    assert "train.lr was 0.005 and is 0.001" in caplog.text


def test_a_label_that_overflows_names_the_structure(tmp_path):
    trainer = Trainer(config(tmp_path, loss={"kind": "mse"}))
    target = trainer.datasets.train.structures[5]
    target.forces[0, 0] = 1e25
    with pytest.raises(TrainingError, match="not finite") as caught:
        trainer.fit()
    assert f"{target.source};" in str(caught.value)
    assert str(caught.value).count(".xyz#") == 1
    # What was saved before is still good.
    model, _ = load_checkpoint(trainer.run_dir / "last.ckpt")
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_a_prediction_that_is_not_finite_names_the_structure_alone(tmp_path):
    trainer = Trainer(config(tmp_path, train={"structures_per_batch": 16}))
    target = trainer.datasets.train.structures[3]
    target.positions[0] = np.nan
    with pytest.raises(TrainingError, match="not finite, or") as caught:
        trainer.fit()
    assert target.source in str(caught.value)
    assert str(caught.value).count(".xyz#") == 1


def test_structures_without_forces_or_stress_train(tmp_path):
    some = [a.copy() for a in frames()]
    for k, atoms in enumerate(some):
        if k % 3:
            del atoms.arrays["REF_forces"]
        if k % 2:
            del atoms.info["REF_stress"]
    write(tmp_path / "train.xyz", some)
    trainer = train(tmp_path, train={"epochs": 20, "stage_two": {"start": 1.0}})
    assert trainer.history[-1]["valid_loss"] < trainer.history[0]["valid_loss"]


def test_energies_alone_train(tmp_path):
    some = [a.copy() for a in frames()]
    for atoms in some:
        del atoms.arrays["REF_forces"], atoms.info["REF_stress"]
    write(tmp_path / "train.xyz", some)
    trainer = train(tmp_path, train={"epochs": 3})
    assert math.isnan(trainer.history[-1]["valid_forces_mae"])
    assert math.isfinite(trainer.history[-1]["valid_loss"])


def test_float64(tmp_path):
    trainer = train(tmp_path, train={"dtype": "float64", "epochs": 2})
    model, _ = load_checkpoint(trainer.run_dir / "best.ckpt")
    assert model.mixing.dtype == torch.float64
    assert model.block.hidden.scale.dtype == torch.float64


def test_a_run_by_the_clock_ends_on_time(tmp_path):
    start = time.monotonic()
    trainer = train(tmp_path, train={"epochs": None, "max_minutes": 0.05})
    assert 2.5 < time.monotonic() - start < 10
    assert trainer.progress() == 1.0
    assert trainer.history[-1]["lr"] < 0.2 * 0.3 * trainer.config.train.lr
    assert trainer.history[-1]["stage"] == 2


def test_the_processor_clock_does_not_count_other_work(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "process_time", lambda: 0.0)
    # Whatever the wall clock says, no processor time passes: the run goes on to its last epoch.
    trainer = train(tmp_path, train={"epochs": 3, "max_minutes": 1e-6, "clock": "processor"})
    assert trainer.state.epoch == 3
    assert trainer.state.minutes == 0.0


def test_early_stopping(tmp_path):
    # With a learning rate this small nothing improves by the last digit after the first epochs.
    trainer = train(
        tmp_path,
        train={"epochs": 50, "patience": 2, "lr": 1e-30, "warmup": 0.0, "ema": 0.0},
    )
    assert trainer.state.epoch == 3


def test_the_second_stage_chooses_the_best_model_anew(tmp_path):
    trainer = train(
        tmp_path, train={"epochs": 6, "stage_two": {"start": 0.5, "energy_factor": 1e3}}
    )
    stages = [row["stage"] for row in trainer.history]
    assert stages == [1, 1, 1, 2, 2, 2]
    # Losses jump with the weight; the first model of the new stage is the best so far.
    assert trainer.history[3]["valid_loss"] > 5 * trainer.history[2]["valid_loss"]
    assert trainer.history[3]["best"] == 1


def test_learning_rate():
    def schedule(**changes):
        return Schedule(OptimizationConfig.model_validate({"lr": 1.0, **changes}))

    one = {"stage_two": {"start": 1.0}}
    cosine = schedule(warmup=0.1, final_lr_factor=0.01, **one)
    assert cosine.lr(0.05) == pytest.approx(0.5)
    assert cosine.lr(0.1) == pytest.approx(1.0)
    assert cosine.lr(0.55) == pytest.approx(0.505)
    assert cosine.lr(1.0 - 1e-9) == pytest.approx(0.01)
    two = schedule(schedule="constant", stage_two={"start": 0.5, "lr_factor": 0.1})
    assert (two.lr(0.4), two.lr(0.6)) == (1.0, pytest.approx(0.1))
    plateau = schedule(schedule="plateau", plateau_patience=2, plateau_factor=0.5, **one)
    for improved in (True, False, False):
        plateau.validated(improved)
    assert plateau.lr(0.5) == 1.0
    plateau.validated(False)
    assert plateau.lr(0.5) == 0.5
    copy = schedule(schedule="plateau", plateau_patience=2, plateau_factor=0.5, **one)
    copy.load_state_dict(plateau.state_dict())
    assert copy.lr(0.5) == 0.5


def test_averaged_weights():
    model = torch.nn.Linear(1, 1, bias=False)
    ema = ExponentialMovingAverage(model, 0.9)
    model.weight.data.fill_(2.0)
    expected = ema.averages[0].item()
    for step in (1, 2, 500):
        ema.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * 2.0
        assert ema.averages[0].item() == pytest.approx(expected)
    with ema.applied():
        assert model.weight.item() == pytest.approx(expected)
    assert model.weight.item() == 2.0


def test_prepared_data_train_to_the_same_numbers(uninterrupted, tmp_path):
    from camlip.data import prepare

    frames_of = {
        name: [int(s.source.rsplit("#", 1)[1]) for s in dataset.structures]
        for name, dataset in uninterrupted.datasets.items()
    }
    every = read(uninterrupted.run_dir.parent / "train.xyz", ":")
    for name, chosen in frames_of.items():
        write(tmp_path / f"{name}.xyz", [every[k] for k in chosen])
        prepare(tmp_path / f"{name}.xyz", tmp_path / f"{name}.lmdb", 4.0, progress=False)
    data = {"train": str(tmp_path / "train.lmdb"), "valid": str(tmp_path / "valid.lmdb")}
    stored = train(tmp_path, data=data)
    assert stored.history[-1]["valid_loss"] == uninterrupted.history[-1]["valid_loss"]
    split_off = Trainer(
        config(tmp_path, data={"train": data["train"]}, run_dir=str(tmp_path / "b"))
    )
    assert len(split_off.datasets.train) + len(split_off.datasets.valid) == 16
    _, errors = split_off.validator.run(split_off.model, 1.0)
    assert math.isfinite(errors.summary("valid")["valid_forces_rmse"])
