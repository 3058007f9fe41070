"""Two processes with half the batch each do what one process does with the whole."""

import os
import subprocess
import sys

import pytest
import torch
import yaml

from camlip.train.checkpoint import read_checkpoint
from train_tools import settings


def launch(folder, processes, **train):
    # SOAP would make of other rounding other directions where the gradient is small.
    options = {"epochs": 3, "dtype": "float64", "threads": None, "optimizer": "adamw", **train}
    values = settings(folder, train=options)
    # A validation set with an odd number of batches: the processes get unequal shares.
    values["data"]["valid_fraction"] = 0.2
    values["run_dir"] = str(folder / f"run{processes}")
    file = folder / f"{processes}.yaml"
    file.write_text(yaml.safe_dump(values))
    module = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    run = subprocess.run(
        [sys.executable, *module, "-m", "camlip.cli", "train", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return read_checkpoint(folder / f"run{processes}" / "last.ckpt"), run.stdout


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "engine"])
def test_two_processes_follow_the_loss_curve_of_one(tmp_path, backend):
    one, _ = launch(tmp_path, 1, structures_per_batch=4, backend=backend)
    two, output = launch(tmp_path, 2, structures_per_batch=2, backend=backend)
    assert output.count("2 process(es)") == 1
    assert two["progress"]["step"] == one["progress"]["step"] == 12
    for a, b in zip(one["history"], two["history"], strict=True):
        for key in a:
            if key not in ("minutes", "atoms_per_second"):
                assert b[key] == pytest.approx(a[key], rel=1e-9, nan_ok=True), key
    for name, weights in one["ema"].items():
        torch.testing.assert_close(weights, two["ema"][name], rtol=1e-8, atol=1e-10)
