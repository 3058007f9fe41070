"""Train on public data sets and compare the test errors with those of other potentials.

    python benchmarks/accuracy/run.py                         # everything: days on two cores
    python benchmarks/accuracy/run.py mlearn_Cu rmd17_ethanol # some
    python benchmarks/accuracy/run.py mlearn_Cu --presets small --seeds 1
    python benchmarks/accuracy/run.py rmd17_aspirin --minutes 9    # a piece; again: the next one
    python benchmarks/accuracy/run.py --table                 # README.md again, from results/

NAME.yaml describes a benchmark: the files, the settings of ``camlip train``, the goals, and the
published errors of others.  Runs are in build/accuracy and go on where they stopped; a run that
has its file in results/ is not repeated.  The settings were not chosen on the test sets.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from camlip.train.command import INTERRUPTED

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = HERE / "results"
PRESETS = ("medium", "small")


def load(name: str) -> dict[str, Any]:
    """The description of a benchmark.

    Raises:
        SystemExit: there is none of that name.
    """
    path = HERE / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in HERE.glob("*.yaml")))
        raise SystemExit(f"accuracy: no benchmark '{name}'; there are {known}")
    return yaml.safe_load(path.read_text())


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with the keys of ``changes``, section by section.

    >>> merged({"train": {"lr": 1, "ema": 0}}, {"train": {"lr": 2}})
    {'train': {'lr': 2, 'ema': 0}}
    """
    result = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if nested else value
    return result


def configuration(bench: dict[str, Any], preset: str, seed: int, data: Path, run_dir: Path) -> dict:
    """What ``camlip train`` is given."""
    config = merged(bench["config"], bench.get("presets", {}).get(preset, {}))
    files = config["data"]
    for key in ("train", "valid"):
        if key in files:
            names = files[key] if isinstance(files[key], list) else [files[key]]
            files[key] = [str(data / name) for name in names]
    config["model"] = {**config.get("model", {}), "preset": preset}
    return {"run_dir": str(run_dir), "seed": seed, **config}


def camlip(*arguments: object, stop_after: float | None = None) -> int:
    """Run the command; returns its status, that of an interruption when time is up."""
    command = [sys.executable, "-m", "camlip.cli", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        return process.wait(stop_after)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
        return INTERRUPTED


def export(folder: Path) -> Path:
    """Write ``model.pt`` of the run in a folder."""
    model = folder / "model.pt"
    command = [sys.executable, "-m", "camlip.export", folder / "run" / "best.ckpt", "-o", model]
    subprocess.run(command, check=True, cwd=ROOT)
    return model


def evaluate(model: Path, structures: Path) -> dict[str, float]:
    """Test errors through the engine, meV and Angstrom."""
    command = [sys.executable, "-m", "camlip.cli", "evaluate", model, structures, "--json", "-"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    found = json.loads(done.stdout)
    return {
        f"{name}_{kind}": 1e3 * found[key][kind]
        for name, key in (("energy", "energy_per_atom"), ("forces", "forces"))
        for kind in ("mae", "rmse")
    }


def minutes_trained(log: Path) -> float:
    """Length of a run by its own clock (``train.clock``)."""
    with log.open() as lines:
        return float(list(csv.DictReader(lines))[-1]["minutes"])


def run(name: str, preset: str, seed: int, data: Path, stop: float) -> bool:
    """Train, export, evaluate; False when time was up before the end."""
    result = RESULTS / f"{name}-{preset}-{seed}.json"
    if result.exists():
        return True
    bench = load(name)
    folder = ROOT / "build" / "accuracy" / name / f"{preset}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    config = configuration(bench, preset, seed, data, folder / "run")
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    start = time.monotonic()
    status = camlip("train", folder / "config.yaml", "--resume", stop_after=max(1.0, stop - start))
    timing = folder / "seconds"
    seconds = time.monotonic() - start + (float(timing.read_text()) if timing.exists() else 0.0)
    timing.write_text(f"{seconds}")
    if status == INTERRUPTED:
        return False
    if status:
        raise SystemExit(f"accuracy: training of {name}, {preset}, seed {seed} failed")
    model = export(folder)
    processor = config["train"].get("clock") == "processor"
    minutes = minutes_trained(folder / "run" / "log.csv") if processor else seconds / 60
    found = {
        "benchmark": name,
        "preset": preset,
        "seed": seed,
        "training_minutes": round(minutes, 2 if processor else 1),
        "errors": {test: evaluate(model, data / file) for test, file in bench["tests"].items()},
    }
    RESULTS.mkdir(exist_ok=True)
    result.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS)
    parser.add_argument("--seeds", type=int, help="default: as the benchmark says")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--table", action="store_true", help="only write the table")
    args = parser.parse_args()
    stop = time.monotonic() + 60 * args.minutes
    if not args.table:
        for name in args.names or sorted(path.stem for path in HERE.glob("*.yaml")):
            for preset in args.presets:
                for seed in range(1, 1 + (args.seeds or load(name).get("seeds", 1))):
                    if not run(name, preset, seed, args.data.resolve(), stop):
                        print("accuracy: time is up; the same command goes on from here")
                        return
    from table import write

    write(HERE / "README.md", {path.stem: load(path.stem) for path in sorted(HERE.glob("*.yaml"))})


if __name__ == "__main__":
    main()
