"""Tables of errors against sums by hand, the command and the report."""

import json
import re

import numpy as np
import pytest
import torch
from ase.io import write

from camlip.cli import main
from camlip.data import Structure, read_structures
from camlip.train import Trainer
from camlip.train.evaluation import (
    Evaluation,
    Prediction,
    evaluate_dataset,
    format_table,
    is_checkpoint_file,
    load_predictor,
)
from camlip.train.finish import finish_run
from train_tools import config, frames, write_frames


class Fixed:
    """Predictions that are the labels of other structures, plus an offset."""

    def __init__(self, predictions):
        self.predictions = predictions

    def predict(self, structures):
        yield from self.predictions


def pair(z, energy, force, stress, kind):
    positions = np.array([[0.0, 0, 0], [2.0, 0, 0]])
    forces = None if force is None else np.full((2, 3), force)
    tensor = None if stress is None else np.full((3, 3), stress)
    return Structure(
        positions, np.array(z), np.eye(3) * 9, np.ones(3, bool), energy, forces, tensor, kind
    )


def prediction(energy, force, stress):
    return Prediction(energy, np.full((2, 3), force), np.full((3, 3), stress))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_frames(folder / "test.xyz", number=6, seed=1)
    log = {"plots": True, "report": True, "tensorboard": True}
    trainer = Trainer(
        config(folder, data={"test": str(folder / "test.xyz")}, log=log, train={"epochs": 4})
    )
    assert trainer.fit()
    finish_run(trainer.config, trainer.datasets, trainer.device)
    return trainer


def test_table_by_hand():
    structures = [
        pair([29, 29], 1.0, 0.5, 0.1, "a"),
        pair([28, 29], 2.0, None, None, "b"),
        pair([28, 28], 3.0, 1.0, 0.2, "b"),
    ]
    predictions = [
        prediction(1.4, 0.6, 0.1),
        prediction(2.2, 9.0, 9.0),
        prediction(2.4, 0.8, 0.5),
    ]
    structures[0].forces[1] = np.nan
    table = evaluate_dataset(Fixed(predictions), structures).table()
    assert table["configurations"] == 3
    assert table["energy_per_atom"]["mae"] == pytest.approx((0.2 + 0.1 + 0.3) / 3)
    assert table["energy_per_atom"]["rmse"] == pytest.approx(np.sqrt((0.04 + 0.01 + 0.09) / 3))
    assert table["forces"]["mae"] == pytest.approx((3 * 0.1 + 6 * 0.2) / 9)
    assert table["forces"]["rmse"] == pytest.approx(np.sqrt((3 * 0.01 + 6 * 0.04) / 9))
    assert table["stress"]["mae"] == pytest.approx(0.15)
    assert table["by_config_type"]["b"]["forces"]["mae"] == pytest.approx(0.2)
    assert table["by_config_type"]["a"]["configurations"] == 1
    assert table["by_element"]["Cu"]["forces"]["mae"] == pytest.approx(0.1)
    assert table["by_element"]["Ni"] == {
        "forces": {"mae": pytest.approx(0.2), "rmse": pytest.approx(0.2)},
        "atoms": 3,
    }
    worst = evaluate_dataset(Fixed(predictions), structures).outliers(1)[0]
    assert worst["forces_rmse"] == pytest.approx(0.2)
    assert worst["energy_per_atom_error"] == pytest.approx(0.3)


def test_quantities_without_labels_are_null():
    structures = [pair([29, 29], 1.0, None, None, "a")]
    table = evaluate_dataset(Fixed([prediction(1.0, 0.0, 0.0)]), structures).table()
    assert table["forces"] is None
    assert table["stress"] is None
    assert table["energy_per_atom"]["rmse"] == 0.0
    assert "meV/atom" in format_table(table)
    assert "meV/A" not in format_table(table).replace("meV/atom", "")
    assert Evaluation().table()["configurations"] == 0


def test_json_on_the_command_line(trained, tmp_path, capsys):
    # Compressed, with labels under REF_ keys, without options.
    path = tmp_path / "test.xyz.xz"
    write(path, frames(6, 1))
    assert main(["evaluate", str(trained.run_dir / "best.ckpt"), str(path), "--json", "-"]) == 0
    printed = capsys.readouterr().out
    found = json.loads(printed)
    assert {"energy_per_atom", "forces", "stress", "configurations"} <= set(found)
    assert set(found["forces"]) == {"mae", "rmse"}
    assert found["configurations"] == 6
    assert set(found["by_config_type"]) == {"alloy", "copper"}
    assert set(found["by_element"]) == {"Cu", "Ni"}
    written = json.loads((trained.run_dir / "errors.json").read_text())["test"]
    assert found["forces"]["rmse"] == pytest.approx(written["forces"]["rmse"], rel=1e-5)


def test_validation_during_training_is_what_evaluation_finds(trained):
    row = max(trained.history, key=lambda r: (r["best"], r["epoch"]))
    errors = json.loads((trained.run_dir / "errors.json").read_text())["valid"]
    for term, name in (("energy", "energy_per_atom"), ("forces", "forces"), ("stress", "stress")):
        for kind in ("mae", "rmse"):
            assert row[f"valid_{term}_{kind}"] == pytest.approx(errors[name][kind], rel=1e-4)


def test_table_plot_and_outliers_on_the_command_line(trained, tmp_path, capsys):
    plot, written = tmp_path / "parity.png", tmp_path / "errors.json"
    data = str(trained.run_dir.parent / "test.xyz")
    options = ["--plot", str(plot), "--json", str(written), "--outliers", "2", "--batch", "8"]
    assert main(["evaluate", str(trained.run_dir / "best.ckpt"), data, *options]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^  copper +3", printed, re.MULTILINE)
    assert re.search(r"^  Cu atoms", printed, re.MULTILINE)
    assert printed.count(".xyz#") == 2
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert json.loads(written.read_text())["configurations"] == 6


def test_evaluation_names_what_is_wrong(trained, tmp_path, capsys):
    best = str(trained.run_dir / "best.ckpt")
    iron = frames(1)[0].copy()
    iron.numbers[:] = 26
    write(tmp_path / "iron.xyz", iron)
    assert main(["evaluate", best, str(tmp_path / "iron.xyz")]) == 2
    assert "element Fe is not among those of the model: Ni, Cu" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "no.ckpt"), best]) == 2
    assert "no.ckpt" in capsys.readouterr().err
    assert main(["evaluate", best, str(tmp_path / "no.xyz")]) == 2
    assert "no.xyz" in capsys.readouterr().err


def test_the_engine_and_torch_agree_on_a_data_set(trained, tmp_path):
    pytest.importorskip("camlip._engine", reason="the engine is not built")
    model = tmp_path / "model.pt"
    best = trained.run_dir / "best.ckpt"
    assert main(["export", str(best), "-o", str(model)]) == 0
    assert is_checkpoint_file(best)
    assert not is_checkpoint_file(model)
    structures = read_structures(trained.run_dir.parent / "test.xyz")
    for precision, tolerance in (("double", 1e-9), ("mixed", 1e-4)):
        results = [
            evaluate_dataset(load_predictor(path, precision=precision), structures)
            for path in (best, model)
        ]
        for name in ("energies", "forces", "stresses"):
            a, b = (getattr(r, name) for r in results)
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def test_the_report_is_one_file_with_everything(trained):
    text = (trained.run_dir / "report.html").read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert "http" not in text
    sources = re.findall(r'src="([^"]{0,30})', text)
    assert len(sources) == 2
    assert all(s.startswith("data:image/png;base64,") for s in sources)
    errors = json.loads((trained.run_dir / "errors.json").read_text())
    for part in ("train", "valid", "test"):
        assert f"{1e3 * errors[part]['forces']['rmse']:.2f}" in text
    for word in ("test: alloy", "test: Ni atoms", "fingerprint", "stage_two", "Largest errors"):
        assert word in text
    for name in ("learning_curves.png", "parity.png"):
        assert (trained.run_dir / name).read_bytes().startswith(b"\x89PNG")
    assert list((trained.run_dir / "tensorboard").glob("events.*"))


def test_tensorboard_has_the_curves(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained.run_dir / "tensorboard"))
    events.Reload()
    rows = events.Scalars("forces_rmse/valid")
    assert [r.step for r in rows] == [row["step"] for row in trained.history]
    values = [row["valid_forces_rmse"] for row in trained.history]
    np.testing.assert_allclose([r.value for r in rows], values, rtol=1e-6)


def test_best_checkpoint_carries_the_errors(trained):
    from camlip.train import load_checkpoint

    _, known = load_checkpoint(trained.run_dir / "best.ckpt")
    assert set(known["errors"]) == {"train", "valid", "test"}
    assert known["errors"]["test"]["configurations"] == 6
    assert torch.isfinite(torch.tensor(known["errors"]["test"]["stress"]["rmse"]))
