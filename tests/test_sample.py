"""`camlip sample`: runs that can be repeated, resumed, and that end where a model loses its way."""

from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import read, write

from camlip import sample as module
from camlip.cli import main
from camlip.errors import ArgumentError
from camlip.sample import RUN_KEY, SampleSettings, one_run, sample_file, why_broken

SHORT = {"interval": 10.0, "picoseconds": 0.03}


@pytest.fixture
def silicon(tmp_path):
    start = tmp_path / "start.xyz"
    crystal = bulk("Si", cubic=True)
    write(start, [Atoms("Si"), crystal, crystal])
    return start


def test_runs_go_on_after_a_kill_as_if_nothing_had_been(tmp_path, silicon):
    settings = SampleSettings(number=8, **SHORT)
    whole, pieces = tmp_path / "whole.xyz", tmp_path / "pieces.xyz"
    report = sample_file(silicon, whole, "silicon", settings, quiet=True)
    assert (report.structures, report.runs, report.broken) == (8, 3, [])
    frames = read(whole, ":")
    assert [f.info[RUN_KEY] for f in frames] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert all(300 <= f.info["sample_temperature"] <= 600 for f in frames)
    # The isolated atom is nothing to start from.
    assert {f.info["sample_start"] for f in frames} <= {1, 2}
    assert all(np.ptp(f.positions - g.positions) > 0.01 for f, g in pairwise(frames))

    first = sample_file(silicon, pieces, "silicon", SampleSettings(number=3, **SHORT), quiet=True)
    assert first.structures == 3
    with pieces.open("a") as file:
        file.write("8\nhalf a frame")
    again = sample_file(silicon, pieces, "silicon", settings, resume=True, quiet=True)
    assert (again.already, again.structures) == (3, 5)
    for f, g in zip(read(pieces, ":"), frames, strict=True):
        assert np.array_equal(f.positions, g.positions)


def test_temperature_and_strain_are_those_asked_for():
    settings = SampleSettings(temperature=(900, 900), strain=0.02, interval=20, picoseconds=4)
    crystal = bulk("Cu", cubic=True).repeat(2)
    frames, reason = one_run(crystal, EMT(), settings, np.random.default_rng(0), {})
    assert reason is None
    assert len(frames) == 200
    strain = np.linalg.inv(crystal.cell.array) @ frames[0].cell.array - np.eye(3)
    assert np.allclose(strain, strain.T)
    assert 0.005 < np.abs(strain).max() < 0.06
    assert {f.info["sample_temperature"] for f in frames} == {900}
    # Equipartition: two frames that are far apart differ by what 900 K moves atoms.
    moved = [frames[k].positions - frames[k + 50].positions for k in range(50, 150)]
    assert 0.1 < np.sqrt(np.mean(np.square(moved))) < 0.5


def test_a_run_ends_where_the_model_loses_its_way():
    hot = bulk("Cu", cubic=True)
    hot.set_momenta(np.sqrt(hot.get_masses())[:, None] * np.full((4, 3), 2.0))
    assert "K in a run at 300 K" in str(why_broken(hot, 300.0, {}))
    assert why_broken(bulk("Cu", cubic=True), 300.0, {(29, 29): 2.5}) is None
    near = Atoms("H2", [[0, 0, 0], [0, 0, 0.5]])
    assert why_broken(near, 300.0, {(1, 1): 0.6}) == "two atoms at 0.50 A"
    near.positions[0, 0] = np.nan
    assert why_broken(near, 300.0, {}) == "positions are not finite"


def test_a_model_that_breaks_at_once_is_refused(tmp_path, silicon, monkeypatch):
    monkeypatch.setattr(module, "why_broken", lambda *_: "two atoms at 0.1 A")
    with pytest.raises(ArgumentError, match=r"20 runs in a row.*0.1 A.*lower --temperature"):
        sample_file(silicon, tmp_path / "out.xyz", "silicon", SampleSettings(**SHORT), quiet=True)


def test_command(tmp_path, silicon, capsys):
    out = tmp_path / "out.xyz"
    command = ["sample", str(silicon), "-o", str(out), "--model", "silicon", "--number", "2"]
    command += ["--interval", "5", "--picoseconds", "0.01", "--temperature", "400"]
    assert main(command) == 0
    assert "2 structures from 1 runs, 0 already there" in capsys.readouterr().out
    assert {f.info["sample_temperature"] for f in read(out, ":")} == {400}
    assert main(command) == 2
    assert "add --resume" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert "0 structures from 0 runs, 2 already there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"number": 0}, "number: 0, expected at least 1"),
        ({"temperature": (500, 300)}, "temperature: 500 to 300 K, expected 0 < lowest"),
        ({"interval": 0}, "interval: 0 fs"),
        ({"picoseconds": 0.01}, "picoseconds: 0.01, expected at least one interval"),
        ({"timestep": -1}, "timestep: -1 fs"),
        ({"strain": 1}, "strain: 1, expected 0 to 0.3"),
    ],
)
def test_wrong_settings(changes, message):
    with pytest.raises(ArgumentError, match=message):
        SampleSettings(**changes)


def test_wrong_files(tmp_path, silicon):
    out = tmp_path / "out.xyz"
    settings = SampleSettings(**SHORT)
    with pytest.raises(ArgumentError, match=r"ends in '.cif', expected .xyz"):
        sample_file(silicon, tmp_path / "out.cif", "silicon", settings)
    write(tmp_path / "one.xyz", Atoms("Si"))
    with pytest.raises(ArgumentError, match="no structure has more than one atom"):
        sample_file(tmp_path / "one.xyz", out, "silicon", settings)
    write(tmp_path / "water.xyz", molecule("H2O"))
    with pytest.raises(ArgumentError, match="element"):
        sample_file(tmp_path / "water.xyz", out, "silicon", settings, quiet=True)
    assert not out.exists()
    write(out, bulk("Si"))
    with pytest.raises(ArgumentError, match="was not written by camlip sample"):
        sample_file(silicon, out, "silicon", settings, resume=True, quiet=True)
