"""The ablations: variants that training accepts, results that are kept, a true table."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from camlip.train.config import load_config

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks" / "accuracy"


@pytest.fixture
def modules(monkeypatch, tmp_path) -> tuple[Any, Any]:
    """``ablation`` and ``pareto``, with a folder of their own for results."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("run", "table", "ablation", "pareto"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import ablation  # pyright: ignore[reportMissingImports]
    import pareto  # pyright: ignore[reportMissingImports]

    text = (FOLDER / "ablations" / "ablations.yaml").read_text()
    (tmp_path / "ablations.yaml").write_text(text)
    monkeypatch.setattr(ablation, "FOLDER", tmp_path)
    return ablation, pareto


def test_training_accepts_every_variant_of_every_system(modules, tmp_path):
    ablation, _ = modules
    known = ablation.settings()
    seen = {}
    for system in known["systems"]:
        for variant in known["variants"]:
            config = ablation.config(system, variant, 2, tmp_path)
            path = tmp_path / "config.yaml"
            path.write_text(yaml.safe_dump(config))
            accepted = load_config(path, [])
            # Nothing but a part of the training set.
            assert accepted.data.test == []
            assert accepted.data.valid == []
            assert accepted.data.valid_fraction >= 0.2
            seen[system, variant] = (accepted.model_shape(), accepted.train)
    # No variant is another one under a second name.
    for system in known["systems"]:
        shapes = [str(seen[system, variant]) for variant in known["variants"]]
        alike = {s for s in shapes if shapes.count(s) > 1}
        assert not alike


def test_results_are_replaced_not_repeated(modules):
    ablation, _ = modules
    one = {"system": "a", "variant": "x", "seed": 1, "valid_forces_mae": 2.0}
    ablation.keep(one)
    ablation.keep({**one, "seed": 2})
    ablation.keep({**one, "valid_forces_mae": 1.0})
    assert [(r["seed"], r["valid_forces_mae"]) for r in ablation.results()] == [(1, 1.0), (2, 2.0)]


def test_the_tables_in_the_readme_are_those_of_the_results(modules, tmp_path):
    ablation, pareto = modules
    folder = FOLDER / "ablations"
    readme = (folder / "README.md").read_text()
    (tmp_path / "README.md").write_text(readme)
    found = json.loads((folder / "results.json").read_text())
    pareto.write(tmp_path, ablation.settings(), found)
    assert (tmp_path / "README.md").read_text() == readme


def test_the_front_is_marked(modules, tmp_path):
    _, pareto = modules
    rows = [("fast", 5.0, 0.5), ("good", 2.0, 2.0), ("neither", 6.0, 1.5), ("untimed", 1.0, None)]
    found = [
        {"system": "a", "variant": name, "seed": 1, "valid_energy_mae": 1.0,
         "valid_forces_mae": error, "train_forces_mae": error}
        | ({} if time is None else {"time_over_medium": time})
        for name, error, time in rows
    ]  # fmt: skip
    settings = {"systems": {"a": {"benchmark": "toy", "measure": "mae"}}}
    (tmp_path / "README.md").write_text(f"{pareto.BEGIN}\n{pareto.END}\n")
    pareto.write(tmp_path, settings, found)
    text = (tmp_path / "README.md").read_text()
    assert "| **fast** | 5 |" in text
    assert "| **good** | 2 |" in text
    assert "| neither | 6 | 1 | 6 | 1.50 | 1 |" in text
    assert "| untimed | 1 | 1 | 1 |  | 1 |" in text
    assert (tmp_path / "pareto.png").stat().st_size > 1000


def test_the_examples_in_the_docstrings_run(modules):
    import doctest

    _, pareto = modules
    assert doctest.testmod(pareto).failed == 0
