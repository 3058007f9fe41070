"""Committees: members as if trained alone, resumed after a crash, and used together."""

import json

import numpy as np
import pytest

from camlip import CommitteeCalculator, MLIPCalculator
from camlip.cli import main
from camlip.committee import committee_files
from camlip.errors import ArgumentError
from camlip.train import Trainer
from camlip.train.checkpoint import read_checkpoint
from camlip.train.committee import member_config, train_committee
from train_tools import config, frames


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A committee of two, and its configuration."""
    folder = tmp_path_factory.mktemp("committee")
    options = config(folder, train={"epochs": 2, "committee": 2, "backend": "engine"})
    shared = []
    assert train_committee(options, begins=lambda _, trainer: shared.append(trainer))
    return options, shared


def test_members_share_the_data_and_are_runs_like_any_other(trained, tmp_path):
    options, (first, second) = trained
    assert first.datasets is second.datasets
    assert first._load.__self__ is second._load.__self__
    assert second.config.seed == options.seed + 1
    # The first one has the seed of the configuration: it is what a run without a committee gives.
    alone = Trainer(member_config(options, 0).model_copy(update={"run_dir": str(tmp_path / "a")}))
    assert alone.fit()
    ours = read_checkpoint(first.run_dir / "last.ckpt")["ema"]
    for name, weights in read_checkpoint(tmp_path / "a" / "last.ckpt")["ema"].items():
        assert (weights == ours[name]).all(), name
    other = read_checkpoint(second.run_dir / "last.ckpt")["ema"]
    assert not np.allclose(ours["mixing"], other["mixing"])


def test_a_complete_member_is_left_alone_and_a_lost_one_made_again(trained):
    options, (first, _) = trained
    files = committee_files(options.run_dir)
    before = [file.stat().st_mtime_ns for file in files]
    content = files[1].read_bytes()
    files[1].unlink()
    begun = []
    assert train_committee(options, resume=True, begins=lambda member, _: begun.append(member))
    assert begun == [1]
    assert files[0].stat().st_mtime_ns == before[0]
    assert len(files[1].read_bytes()) == len(content)
    more = options.train.model_copy(update={"committee": 3})
    larger = options.model_copy(update={"train": more})
    assert train_committee(larger, resume=True, begins=lambda member, _: begun.append(member))
    assert begun == [1, 2]
    assert len(committee_files(options.run_dir)) == 3
    committee_files(options.run_dir)[2].unlink()
    assert first.run_dir.name == "member-0"


def test_the_calculator_gives_mean_and_deviation(trained):
    options, _ = trained
    atoms = frames()[1].copy()
    atoms.calc = CommitteeCalculator(options.run_dir, precision="double")
    forces, stress = atoms.get_forces(), atoms.get_stress()
    members = []
    for file in committee_files(options.run_dir):
        copy = atoms.copy()
        copy.calc = MLIPCalculator(file, precision="double")
        members.append((copy.get_potential_energy(), copy.get_forces(), copy.get_stress()))
    energies = np.array([m[0] for m in members])
    assert atoms.get_potential_energy() == pytest.approx(energies.mean())
    assert atoms.calc.results["energy_deviation"] == pytest.approx(energies.std())
    np.testing.assert_allclose(forces, (members[0][1] + members[1][1]) / 2, atol=1e-12)
    np.testing.assert_allclose(stress, (members[0][2] + members[1][2]) / 2, atol=1e-12)
    half = np.linalg.norm(members[0][1] - members[1][1], axis=1) / 2
    np.testing.assert_allclose(atoms.calc.results["forces_deviation"], half, atol=1e-12)
    assert half.max() > 1e-4


def test_evaluate_takes_the_run_directory(trained, capsys):
    options, _ = trained
    assert main(["evaluate", options.run_dir, options.data.train[0]]) == 0
    assert "committee of 2: deviation of the energies" in capsys.readouterr().out
    assert main(["evaluate", options.run_dir, options.data.train[0], "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_a_committee_needs_members(tmp_path):
    with pytest.raises(ArgumentError, match=r"no member-0\.pt"):
        CommitteeCalculator(tmp_path)
    with pytest.raises(ArgumentError, match="1 model, expected at least 2"):
        CommitteeCalculator(["camlip:silicon"])
