"""The benchmarks again, with labels of a cheap method before those of the benchmark.

    python benchmarks/accuracy/cheap_labels.py                 # all that have a section `cheap`
    python benchmarks/accuracy/cheap_labels.py rmd17_aspirin --presets medium

Does what docs/finetuning.md, "Few labels: cheap ones first", says: `camlip sample` with the model
that run.py trained (build/accuracy), or with one of `first` epochs where there is none, `camlip
label`, `camlip train` on these labels, `camlip finetune` on the training set of the benchmark.
Every step resumes; a row that has its file in results/ is not repeated.  The section `cheap` of
NAME.yaml names the method and what differs from the settings of the benchmark.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import yaml
from ase.io import iread
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

# A method that fails for more of the structures than this leaves is not the one that was meant.
ENOUGH = 0.95


def settings(
    bench: dict[str, Any], preset: str, seed: int, data: Path, folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ``camlip train`` and ``camlip finetune`` are given."""

    def changed(changes: dict[str, Any], run_dir: str) -> dict[str, Any]:
        changed_bench = {**bench, "config": merged(bench["config"], changes)}
        return configuration(changed_bench, preset, seed, data, folder / run_dir)

    first = changed(bench["cheap"]["pretraining"], "pretraining")
    last = changed(bench["cheap"]["finetuning"], "run")
    first["data"] = {
        "train": str(folder / "labelled.xyz"),
        "valid_fraction": 0.02,
        "split": "random",
    }
    del last["model"]  # that of the start
    last["finetune"] = {"start": str(folder / "pretraining" / "best.ckpt")}
    return first, last


def sampler(bench: dict[str, Any], preset: str, seed: int, data: Path, folder: Path) -> Path:
    """A model to sample structures with, trained if there is none."""
    scratch = folder.parent / f"{preset}-{seed}" / "model.pt"
    model = folder / "sampler" / "model.pt"
    if scratch.exists():
        return scratch
    if not model.exists():
        config = configuration(bench, preset, seed, data, model.parent / "run")
        config["train"] = {**config["train"], "epochs": bench["cheap"]["first"]}
        step("train", config, model.parent)
        export(model.parent)
    return model


def step(command: str, config: dict[str, Any], folder: Path) -> None:
    """Train or fine-tune, or go on with it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{command}.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    done(camlip(command, file, "--resume"), f"`camlip {command} {file}`")


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
    folder = ROOT / "build" / "accuracy" / name / f"cheap-{preset}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    model = sampler(bench, preset, seed, data, folder)
    train = configuration(bench, preset, seed, data, folder)["data"]["train"][0]
    sampled, labelled = folder / "sampled.xyz", folder / "labelled.xyz"
    sampling = [x for key, value in cheap["sample"].items() for x in (f"--{key}", *value)]
    arguments = ("sample", train, "-o", sampled, "--model", model, "--resume", *sampling)
    done(camlip(*arguments), f"sampling of {name}")
    options = [
        x
        for key, value in cheap["options"].items()
        for x in ("--option", f"{key}={json.dumps(value)}")
    ]
    arguments = ("label", sampled, "-o", labelled, "--calculator", cheap["calculator"], "--resume")
    done(camlip(*arguments, *options), f"labelling of {name}")
    sizes = [sum(1 for _ in iread(file, ":")) for file in (sampled, labelled)]
    if sizes[1] < ENOUGH * sizes[0]:
        raise SystemExit(
            f"accuracy: {cheap['calculator']} labelled {sizes[1]} of {sizes[0]} structures of "
            f"{name}, expected {ENOUGH:.0%}; see above why it failed"
        )
    minutes = 0.0
    for command, config in zip(
        ("train", "finetune"), settings(bench, preset, seed, data, folder), strict=True
    ):
        step(command, config, folder)
        minutes += minutes_trained(Path(config["run_dir"]) / "log.csv")
    model = export(folder)
    found = {
        "benchmark": name,
        "preset": preset,
        "seed": seed,
        "cheap_labels": sizes[1],
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
