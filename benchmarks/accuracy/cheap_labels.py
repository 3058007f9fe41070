"""The benchmarks again, with labels of a cheap method before those of the benchmark.

    python benchmarks/accuracy/cheap_labels.py                 # all that have a section `cheap`
    python benchmarks/accuracy/cheap_labels.py rmd17_aspirin --presets medium

Begins with the model that run.py trained and exported (build/accuracy), and does what
docs/finetuning.md, "Few labels: cheap ones first", says: `camlip sample`, `camlip label`,
`camlip train` on these labels, `camlip finetune` on the training set of the benchmark.  Every
step resumes; a row that has its file in results/ is not repeated.  The section `cheap` of
NAME.yaml names the method and what differs from the settings of the benchmark.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import yaml
from run import (
    HERE,
    PRESETS,
    RESULTS,
    ROOT,
    camlip,
    configuration,
    evaluate,
    export,
    load,
    merged,
    minutes_trained,
)


def settings(
    bench: dict[str, Any], preset: str, seed: int, data: Path, folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ``camlip train`` and ``camlip finetune`` are given."""
    cheap = bench["cheap"]
    last = configuration(bench, preset, seed, data, folder / "run")
    first = merged(last, cheap["pretraining"])
    first["run_dir"] = str(folder / "pretraining")
    first["data"] = {
        "train": str(folder / "labelled.xyz"),
        "valid_fraction": 0.02,
        "split": "random",
    }
    last = merged(last, cheap["finetuning"])
    del last["model"]  # that of the start
    last["finetune"] = {"start": str(folder / "pretraining" / "best.ckpt")}
    return first, last


def done(status: int, what: str) -> None:
    """End where a step failed."""
    if status:
        raise SystemExit(f"accuracy: {what} failed; the same command goes on from there")


def run(name: str, preset: str, seed: int, data: Path) -> None:
    """All steps, and the errors on the test sets."""
    result = RESULTS / f"{name}-cheap-{preset}-{seed}.json"
    if result.exists():
        return
    bench = load(name)
    cheap = bench["cheap"]
    scratch = ROOT / "build" / "accuracy" / name / f"{preset}-{seed}" / "model.pt"
    if not scratch.exists():
        raise SystemExit(
            f"accuracy: no model {scratch} to sample structures with; run.py {name} --presets "
            f"{preset} trains it, where results/ has no result of it"
        )
    folder = scratch.parents[1] / f"cheap-{preset}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    train = data / bench["config"]["data"]["train"]
    sampled, labelled = folder / "sampled.xyz", folder / "labelled.xyz"
    sampling = [x for key, value in cheap["sample"].items() for x in (f"--{key}", *value)]
    arguments = ("sample", train, "-o", sampled, "--model", scratch, "--resume", *sampling)
    done(camlip(*arguments), f"sampling of {name}")
    options = [
        x
        for key, value in cheap["options"].items()
        for x in ("--option", f"{key}={json.dumps(value)}")
    ]
    arguments = ("label", sampled, "-o", labelled, "--calculator", cheap["calculator"], "--resume")
    done(camlip(*arguments, *options), f"labelling of {name}")
    minutes = 0.0
    for command, config in zip(
        ("train", "finetune"), settings(bench, preset, seed, data, folder), strict=True
    ):
        file = folder / f"{command}.yaml"
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        done(camlip(command, file, "--resume"), f"`camlip {command}` of {name}")
        minutes += minutes_trained(Path(config["run_dir"]) / "log.csv")
    model = export(folder)
    found = {
        "benchmark": name,
        "preset": preset,
        "seed": seed,
        "training_minutes": round(minutes, 1),
        "errors": {test: evaluate(model, data / file) for test, file in bench["tests"].items()},
    }
    RESULTS.mkdir(exist_ok=True)
    result.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=("medium",))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    args = parser.parse_args()
    for name in args.names or sorted(
        p.stem for p in HERE.glob("*.yaml") if "cheap" in load(p.stem)
    ):
        for preset in args.presets:
            for seed in range(1, 1 + args.seeds):
                run(name, preset, seed, args.data.resolve())


if __name__ == "__main__":
    main()
