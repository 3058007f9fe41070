"""Train MACE (mace-torch) for a given processor time and say how it does on other structures.

The training is that of ``mace_run_train``; the only change is that what it calls an epoch is an
equal share of the processor time instead of one pass over the structures.  Its schedule (learning
rate, stage two, validation) thereby ends on time whatever the speed of the machine, as
``train.max_minutes`` does for camlip.  The passes go on across the shares: every structure is seen
once before any is seen again.  Time to read files, to build neighbor lists and to validate is not
counted, and validation is on the first WATCHED of the validation structures, for it is slow.

Runs in the environment of the peer ``mace`` and prints one line of JSON at the end.

Example:
    python mace_accuracy_worker.py job.json

``job.json`` holds ``train``, ``valid``, ``test`` (extended XYZ files with ``REF_energy`` ...; test
by name, may be empty), ``folder``, ``minutes``, ``seed``, ``stress`` and ``options``, which are
those of mace_run_train.
"""

import contextlib
import importlib
import importlib.metadata
import json
import os
import sys
import time
import warnings
from pathlib import Path

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
warnings.simplefilter("ignore")

import ase.io  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from mace import tools  # noqa: E402
from mace.calculators import MACECalculator  # noqa: E402
from mace.cli.run_train import run  # noqa: E402
from shares import Shares  # noqa: E402

# The function of this name hides the module in mace.tools.
mace_train = importlib.import_module("mace.tools.train")

WATCHED = 4
SHARES = 41  # one more than a multiple of the interval of validation: the last share is validated
VALIDATE_EVERY = 8
STAGE_TWO = 31  # of the shares: 75 %


class Trained(Exception):
    """Leaves mace_run_train after training; what follows is evaluation that nobody asked for."""


def errors(model_file, structures):
    """Errors in meV (per atom) and meV/A; evaluated in double, as the energies are large."""
    calculator = MACECalculator(model_paths=str(model_file), device="cpu", default_dtype="float64")
    energies, forces = [], []
    for atoms in structures:
        # ASE keeps what it read in a calculator of its own; the labels are under other names.
        atoms.calc = calculator
        energy = atoms.get_potential_energy() - atoms.info["REF_energy"]
        energies.append(energy / len(atoms))
        forces.append((atoms.get_forces() - atoms.arrays["REF_forces"]).ravel())
    return {
        f"{name}_{kind}": 1e3 * value
        for name, found in (("energy", np.array(energies)), ("forces", np.concatenate(forces)))
        for kind, value in (
            ("mae", float(np.abs(found).mean())),
            ("rmse", float(np.sqrt((found**2).mean()))),
        )
    }


def train(job, model_file):
    """Run mace_run_train; returns facts about the run."""
    facts = {"history": []}
    shares = Shares(60.0 * job["minutes"], SHARES)
    original_train = mace_train.train
    original_evaluate, original_log = mace_train.evaluate, mace_train.valid_err_log

    def evaluate(**arguments):
        began = time.process_time()
        try:
            return original_evaluate(**arguments)
        finally:
            shares.start += time.process_time() - began

    def log(loss, metrics, *rest):
        spent = shares.spent() / 60
        pair = [1e3 * float(metrics[key]) for key in ("rmse_e_per_atom", "rmse_f")]
        facts["history"].append([round(spent, 3), *(float(f"{x:.4g}") for x in pair)])
        original_log(loss, metrics, *rest)

    def timed(**arguments):
        shares.begin(arguments["train_loader"])
        original_train(**{**arguments, "train_loader": shares})
        facts["minutes"] = shares.spent() / 60
        facts["passes"] = round(shares.batches / len(shares.loader), 2)
        model = arguments["model"]
        facts["parameters"] = sum(p.numel() for p in model.parameters())
        state = tools.CheckpointState(model, arguments["optimizer"], arguments["lr_scheduler"])
        arguments["checkpoint_handler"].load_latest(state=state, swa=True, device="cpu")
        torch.save(model, model_file)
        raise Trained

    watched = Path(job["folder"]) / "watched.xyz"
    ase.io.write(watched, ase.io.read(job["valid"], f":{WATCHED}", format="extxyz"))
    options = {
        "name": "mace",
        "seed": job["seed"],
        "train_file": job["train"],
        "valid_file": str(watched),
        "work_dir": job["folder"],
        "energy_key": "REF_energy",
        "forces_key": "REF_forces",
        "device": "cpu",
        "default_dtype": "float32",
        "max_num_epochs": SHARES,
        "eval_interval": VALIDATE_EVERY,
        "start_swa": STAGE_TWO,
        **job["options"],
    }
    if job["stress"]:
        options |= {"stress_key": "REF_stress", "loss": "stress", "compute_stress": True}
    words = [f"--{key}={value}" for key, value in options.items()]
    parsed = tools.build_default_arg_parser().parse_args([*words, "--swa", "--ema", "--amsgrad"])
    mace_train.evaluate, mace_train.valid_err_log, tools.train = evaluate, log, timed
    with contextlib.suppress(Trained):
        run(parsed)
    return facts


def main():
    """Train, evaluate, print."""
    torch.set_num_threads(1)
    job = json.loads(Path(sys.argv[1]).read_text())
    model_file = Path(job["folder"]) / "trained.model"
    found = train(job, model_file)
    found["errors"] = {
        name: errors(model_file, ase.io.read(file, ":", format="extxyz"))
        for name, file in job["test"].items()
    }
    found["version"] = (
        f"mace-torch {importlib.metadata.version('mace-torch')}, torch {torch.__version__}"
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
