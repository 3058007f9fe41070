"""Train MACE on the split of a benchmark, for as much processor time as camlip has.

    benchmarks/install_peers.sh mace                       # once, into build/peers/mace
    python benchmarks/accuracy/mace_peer.py                # every benchmark with a section `mace`
    python benchmarks/accuracy/mace_peer.py hfo2
    python benchmarks/accuracy/mace_peer.py hfo2 --trial 1 --set max_L=0 num_channels=64

Structures to train on and to validate are those of ``run.py`` (same file, same seed), the test set
is the same and is read once.  Settings are in the section ``mace`` of NAME.yaml, the length is
``max_minutes`` of camlip's runs, processor time in both.  A trial trains for so many minutes, with
other options, prints errors on *validation* structures and leaves the test set alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import ase.io
import yaml
from run import HERE, RESULTS, ROOT, configuration, load

from camlip.data import load_split
from camlip.train.config import load_config

PYTHON = ROOT / "build" / "peers" / "mace" / "bin" / "python"
WORKER = ROOT / "benchmarks" / "peers" / "workers" / "mace_accuracy_worker.py"
SEED = 1

# What mace_run_train is told beside the size of the model (NAME.yaml).  The learning rate falls
# tenfold until stage two, whose rate is the 1e-3 that is MACE's default.
OPTIONS: dict[str, Any] = {
    "model": "MACE",
    "num_interactions": 2,
    "correlation": 3,
    "max_ell": 3,
    "E0s": "average",
    "lr": 0.01,
    "scheduler": "ExponentialLR",
    "lr_scheduler_gamma": 0.1 ** (1 / 30),
    "ema_decay": 0.99,
    "batch_size": 1,
    "valid_batch_size": 2,
    "energy_weight": 10,
    "forces_weight": 100,
    "swa_energy_weight": 1000,
    "swa_forces_weight": 100,
    "swa_lr": 1e-3,
}


def split_files(name: str, bench: dict[str, Any], data: Path, folder: Path) -> dict[str, Path]:
    """Write the structures that camlip trains on and those that validate, as extended XYZ."""
    config = configuration(bench, "small", SEED, data, folder / "run")
    (folder / "split.yaml").write_text(yaml.safe_dump(config))
    accepted = load_config(folder / "split.yaml", [])
    files = accepted.data
    parts = load_split(
        files.train,
        files.valid or None,
        files.label_keys(),
        files.split,
        files.valid_fraction,
        accepted.seed,
    )
    written = {}
    for part, structures in zip(("train", "valid"), parts, strict=True):
        written[part] = folder / f"{part}.xyz"
        ase.io.write(written[part], [s.to_atoms() for s in structures], format="extxyz")
    return written


def run(name: str, data: Path, minutes: float | None, changes: dict[str, str]) -> dict[str, Any]:
    """Train and evaluate; a trial when ``minutes`` are given."""
    bench = load(name)
    settings = bench["mace"]
    folder = ROOT / "build" / "accuracy" / name / ("mace-trial" if minutes else f"mace-{SEED}")
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        **OPTIONS,
        "r_max": bench["config"]["model"]["cutoff"],
        **settings["options"],
        **changes,
    }
    test = {}
    if not minutes:
        for key, file in bench["tests"].items():
            test[key] = str(folder / f"{key}.xyz")
            ase.io.write(test[key], ase.io.read(data / file, ":"), format="extxyz")
    job = {
        **{key: str(file) for key, file in split_files(name, bench, data, folder).items()},
        "test": test,
        "folder": str(folder),
        "minutes": minutes or bench["config"]["train"]["max_minutes"],
        "seed": SEED,
        "stress": bench["config"]["loss"]["stress"] > 0,
        "options": options,
    }
    (folder / "job.json").write_text(json.dumps(job))
    # Checkpoints of a run before would be taken for those of this one.
    for old in folder.glob("checkpoints/*"):
        old.unlink()
    done = subprocess.run(
        [PYTHON, WORKER, folder / "job.json"], stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return {
        "benchmark": name,
        "potential": "MACE",
        "seed": SEED,
        "training_minutes": round(found.pop("minutes"), 2),
        "options": options,
        "stress": job["stress"],
        **found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    known = [path.stem for path in sorted(HERE.glob("*.yaml")) if "mace" in load(path.stem)]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: {', '.join(known)}")
    parser.add_argument("--trial", type=float, metavar="MINUTES", help="validation errors only")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="of a trial")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    args = parser.parse_args()
    if not PYTHON.exists():
        raise SystemExit(
            f"accuracy: no '{PYTHON}', expected the environment of MACE; make it with "
            "benchmarks/install_peers.sh mace"
        )
    changes = dict(word.split("=", 1) for word in args.set)
    if changes and not args.trial:
        parser.error("--set is for trials; settings of a run are in NAME.yaml")
    for name in args.names or known:
        result = RESULTS / f"{name}-mace-{SEED}.json"
        if result.exists() and not args.trial:
            continue
        found = run(name, args.data.resolve(), args.trial, changes)
        print(json.dumps(found))
        if not args.trial:
            result.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
