"""The accuracy benchmarks: descriptions that training accepts, pieces that go on, true tables."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ase.io import read

from camlip.train.config import load_config

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks" / "accuracy"


def script(name: str, folder: Path = FOLDER) -> Any:
    spec = importlib.util.spec_from_file_location(f"accuracy_{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # The scripts import each other.
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


run, table, cheap_labels = script("run"), script("table"), script("cheap_labels")
peer_shares = script("shares", ROOT / "benchmarks" / "peers" / "workers")
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("preset", run.PRESETS)
@pytest.mark.parametrize("name", NAMES)
def test_training_accepts_the_settings(name, preset, tmp_path):
    bench = run.load(name)
    config = run.configuration(bench, preset, 3, tmp_path, tmp_path / "run")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    accepted = load_config(tmp_path / "config.yaml", [])
    assert accepted.seed == 3
    assert accepted.model["preset"] == preset
    # The test set never meets training, not even to be printed.
    assert accepted.data.test == []
    assert set(bench["goals"][preset]) == set(bench["tests"])
    for errors in bench.get("published", {}).values():
        assert set(errors) == set(bench["tests"])


def test_unknown_benchmark_is_named():
    with pytest.raises(SystemExit, match=r"no benchmark 'silicn'; there are .*mlearn_Si"):
        run.load("silicn")


def test_the_table_in_the_readme_is_that_of_the_results(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "accuracy")
    readme = tmp_path / "accuracy" / "README.md"
    before = readme.read_text()
    table.write(readme, {name: run.load(name) for name in NAMES})
    assert readme.read_text() == before


def test_goals_are_met_only_by_what_was_run(tmp_path):
    bench = {
        "measure": "mae",
        "tests": {"test": "x.xyz"},
        "goals": {"medium": {"test": 3.0}, "small": {"test": 6.0}},
        "published": {"MACE": {"test": {"energy_mae": 0.1, "forces_mae": 3.0}}},
    }
    for seed, forces in ((1, 2.0), (2, 5.0)):
        errors = {"test": {"energy_mae": 1.0, "forces_mae": forces}}
        found = {"errors": errors, "training_minutes": 4.0}
        (tmp_path / f"x-medium-{seed}.json").write_text(json.dumps(found))
    mace, medium, small = table.rows("x", bench, tmp_path)
    assert mace == "| x test | mae | MACE | 0.1 | 3 | | | |"
    assert "3.5 +- 2.1 (2) | 3 | **no** | 4 |" in medium
    assert "| 6 | not run |" in small


def test_a_peer_that_was_trained_here_is_the_goal(tmp_path):
    bench = {
        "measure": "rmse",
        "tests": {"test": "x.xyz"},
        "goals": {"medium": {"test": "mace"}, "small": {"test": "mace"}},
    }
    medium, small = table.rows("x", bench, tmp_path)
    assert "not run" in medium
    assert "not run" in small
    for model, forces in (("mace", 50.0), ("medium", 40.0), ("small", 60.0)):
        errors = {"test": {"energy_rmse": 1.0, "forces_rmse": forces}}
        found = {"errors": errors, "training_minutes": 3.01}
        (tmp_path / f"x-{model}-1.json").write_text(json.dumps(found))
    mace, medium, small = table.rows("x", bench, tmp_path)
    assert mace == ("| x test | rmse | MACE, trained here, 3 minutes | 1 (1) | 50 (1) | | | 3 |")
    assert "40 (1) | 50 | yes | 3 |" in medium
    assert "60 (1) | 50 | **no** | 3 |" in small


def test_labels_of_a_cheap_method_have_a_row_of_their_own(tmp_path):
    bench = {
        "measure": "mae",
        "tests": {"test": "x.xyz"},
        "goals": {"medium": {"test": 3.0}},
        "cheap": {"label": "GFN1-xTB"},
    }
    assert len(table.rows("x", bench, tmp_path)) == 1
    for kind, forces in (("medium", 4.0), ("cheap-medium", 2.0)):
        errors = {"test": {"energy_mae": 1.0, "forces_mae": forces}}
        found = {"errors": errors, "training_minutes": 5.0}
        (tmp_path / f"x-{kind}-1.json").write_text(json.dumps(found))
    scratch, cheap = table.rows("x", bench, tmp_path)
    assert "| **camlip `medium`** | 1 (1) | 4 (1) | 3 | **no** |" in scratch
    assert "| **camlip `medium`**, GFN1-xTB first | 1 (1) | 2 (1) | 3 | yes |" in cheap


@pytest.mark.parametrize("preset", run.PRESETS)
@pytest.mark.parametrize("name", [n for n in NAMES if "cheap" in run.load(n)])
def test_both_trainings_with_cheap_labels_accept_their_settings(name, preset, tmp_path):
    bench = run.load(name)
    first, last = cheap_labels.settings(bench, preset, 2, tmp_path, tmp_path)
    for config in (first, last):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        accepted = load_config(tmp_path / "config.yaml", [])
        assert accepted.seed == 2
        assert accepted.data.test == []
    # The second goes on from the first, on the labels of the benchmark.
    assert last["finetune"]["start"] == f"{first['run_dir']}/best.ckpt"
    own = run.configuration(bench, preset, 2, tmp_path, tmp_path)
    assert last["data"]["train"][0] == own["data"]["train"][0]
    assert first["model"] == own["model"]


@pytest.mark.parametrize("name", [n for n in NAMES if "mace" in run.load(n)])
def test_peers_and_camlip_share_time_and_goals(name):
    bench = run.load(name)
    options = bench["config"]["train"]
    # Processor time, so that other work on the machine favors nobody; one length for all.
    assert options["clock"] == "processor"
    assert options["threads"] == 1
    assert not any("train" in changes for changes in bench.get("presets", {}).values())


def test_shares_of_time_go_on_through_the_passes(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(peer_shares.time, "process_time", lambda: clock[0])
    shares = peer_shares.Shares(seconds=8.0, count=2)
    shares.begin(["a", "b", "c"])
    seen: list[list[str]] = [[], []]
    for share in seen:
        for batch in shares:
            share.append(batch)
            clock[0] += 1.0
        # Validation takes five seconds that do not count.
        clock[0] += 5.0
        shares.start += 5.0
    assert seen == [["a", "b", "c", "a"], ["b", "c", "a", "b"]]
    assert shares.spent() == 8.0
    assert shares.batches == 8


def toy(module, folder, monkeypatch):
    """A benchmark in another folder: structures of the project's own, a model of no use."""
    shape = {"num_channels": 4, "num_radial": 4, "num_hidden": 4, "num_bessel": 4}
    bench = {
        "measure": "rmse",
        "tests": {"test": "test.xyz.xz"},
        "goals": {"small": {"test": 1e-9}},
        "cheap": {
            "label": "Lennard-Jones",
            "calculator": "lj",
            "options": {"sigma": 2.1},
            "first": 1,
            "sample": {"number": [3], "picoseconds": [0.05], "temperature": [900]},
            "pretraining": {"train": {"epochs": 1}},
            "finetuning": {"train": {"lr": 1e-3}},
        },
        "config": {
            "data": {"train": "test.xyz.xz"},
            "model": {"cutoff": 3.0, **shape, "radial_width": 4},
            "train": {"epochs": 2, "atoms_per_batch": 2000},
            "log": {"plots": False, "report": False, "tensorboard": False, "progress": False},
        },
    }
    for name, path in (("HERE", folder), ("ROOT", folder), ("RESULTS", folder / "results")):
        monkeypatch.setattr(module, name, path)
    (folder / "toy.yaml").write_text(yaml.safe_dump(bench))
    return "toy", "small", 1, ROOT / "examples" / "silicon"


@pytest.mark.slow
def test_a_benchmark_runs_in_pieces(tmp_path, monkeypatch):
    arguments = toy(run, tmp_path, monkeypatch)
    assert not run.run(*arguments, stop=0.0)
    assert not (tmp_path / "results").exists()
    assert run.run(*arguments, stop=float("inf"))
    found = json.loads((tmp_path / "results" / "toy-small-1.json").read_text())
    assert found["errors"]["test"]["forces_rmse"] > 0
    # What has its result is not done again.
    monkeypatch.setattr(subprocess, "run", None)
    assert run.run(*arguments, stop=0.0)


@pytest.mark.slow
def test_cheap_labels_first(tmp_path, monkeypatch):
    """From a trained model to errors of the fine-tuned one, and nothing twice."""
    # `load` is that of the module which the script imports.
    monkeypatch.setattr(sys.modules["run"], "HERE", tmp_path)
    arguments = toy(cheap_labels, tmp_path, monkeypatch)
    # In the place of the model that would be trained first, one that holds the structures.
    folder = tmp_path / "build" / "accuracy" / "toy"
    (folder / "small-1").mkdir(parents=True)
    pretrained = ROOT / "python" / "camlip" / "pretrained"
    shutil.copy(pretrained / "silicon.pt", folder / "small-1" / "model.pt")
    monkeypatch.setattr(cheap_labels, "ENOUGH", 1.1)
    with pytest.raises(SystemExit, match="lj labelled 3 of 3 structures of toy, expected 110%"):
        cheap_labels.run(*arguments)
    monkeypatch.undo()
    arguments = toy(cheap_labels, tmp_path, monkeypatch)
    monkeypatch.setattr(sys.modules["run"], "HERE", tmp_path)
    cheap_labels.run(*arguments)
    found = json.loads((tmp_path / "results" / "toy-cheap-small-1.json").read_text())
    assert found["errors"]["test"]["forces_rmse"] > 0
    assert found["cheap_labels"] == 3
    assert len(read(folder / "cheap-small-1" / "labelled.xyz", ":")) == 3
    # What has its result is not done again.
    monkeypatch.setattr(cheap_labels, "camlip", None)
    cheap_labels.run(*arguments)
