"""Which changes of the model are worth their time: error on held-out data against time of a step.

    python benchmarks/accuracy/ablation.py nickel medium small     # a system and its variants
    python benchmarks/accuracy/ablation.py ethanol                 # all variants
    python benchmarks/accuracy/ablation.py --times                 # measure all that were trained
    python benchmarks/accuracy/ablation.py --table                 # table and plot, from results

ablations/ablations.yaml names the systems, each a benchmark with a part of its *training* set held
out, and the variants.  Runs that have their result in ablations/results.json are not repeated,
interrupted ones go on.  Times are those of the engine, one thread, mixed precision, by processor
time, relative to `medium` measured in turn with each variant.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import statistics
import time
from pathlib import Path
from typing import Any

import yaml
from run import ROOT, camlip, configuration, export, load, merged

FOLDER = Path(__file__).parent / "ablations"
RUNS = ROOT / "build" / "ablations"
BASE = "medium"
ROUNDS = 7


def settings() -> dict[str, Any]:
    """Systems and variants."""
    return yaml.safe_load((FOLDER / "ablations.yaml").read_text())


def results() -> list[dict[str, Any]]:
    """What was measured so far."""
    path = FOLDER / "results.json"
    return json.loads(path.read_text()) if path.exists() else []


def keep(found: dict[str, Any]) -> None:
    """Add a result, or replace that of the same system, variant and seed."""
    key = ("system", "variant", "seed")
    # Several may run side by side.
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        others = [r for r in results() if any(r[k] != found[k] for k in key)]
        ordered = sorted([*others, found], key=lambda r: [r[k] for k in key])
        lines = ",\n ".join(json.dumps(r) for r in ordered)
        temporary = FOLDER / "results.json.new"
        temporary.write_text(f"[\n {lines}\n]\n")
        temporary.replace(FOLDER / "results.json")


def folder(system: str, variant: str, seed: int) -> Path:
    """Where a run is."""
    return RUNS / system.replace(" ", "-") / f"{variant.replace(' ', '-')}-{seed}"


def config(system: str, variant: str, seed: int, data: Path) -> dict[str, Any]:
    """What ``camlip train`` is given."""
    known = settings()
    change = dict(known["variants"][variant])
    preset = change.pop("preset", BASE)
    which = known["systems"][system]
    bench = load(which["benchmark"])
    # Shapes that a benchmark chose for its presets would hide what is compared.
    bench = {"config": bench["config"]}
    made = configuration(bench, preset, seed, data, folder(system, variant, seed) / "run")
    made = merged(merged(made, which["set"]), change)
    quiet = {"plots": False, "report": False, "tensorboard": False, "progress": False}
    return {**made, "log": quiet}


def train(system: str, variant: str, seed: int, data: Path) -> None:
    """Train one variant and keep its errors on training and held-out structures."""
    if any(r["system"] == system and r["variant"] == variant and r["seed"] == seed
           for r in results()):  # fmt: skip
        return
    where = folder(system, variant, seed)
    where.mkdir(parents=True, exist_ok=True)
    (where / "config.yaml").write_text(yaml.safe_dump(config(system, variant, seed, data)))
    if camlip("train", where / "config.yaml", "--resume"):
        raise SystemExit(f"ablation: training of {variant} on {system} did not end")
    errors = json.loads((where / "run" / "errors.json").read_text())
    export(where)
    found = {"system": system, "variant": variant, "seed": seed}
    for part in ("train", "valid"):
        for name, key in (("energy", "energy_per_atom"), ("forces", "forces")):
            for kind in ("mae", "rmse"):
                found[f"{part}_{name}_{kind}"] = round(1e3 * errors[part][key][kind], 4)
    keep(found)
    print(json.dumps(found), flush=True)


def step_time(path: Path, structures: Path) -> Any:
    """A function that computes a step and returns its processor time per atom, microseconds."""
    from camlip.bench_systems import Motion, make_system
    from camlip.engine import Engine, Model
    from camlip.memory import DEFAULT_SKIN

    model = Model(path)
    atoms = make_system(f"{structures}", model.atomic_numbers, 1000)
    engine = Engine(model, "cpu", "mixed", threads=1, skin=DEFAULT_SKIN)
    types = model.types(atoms.numbers)
    cell = atoms.cell.array if atoms.pbc.any() else None
    motion = Motion(atoms)
    repeats = max(1, 2000 // len(atoms))

    def step() -> float:
        begin = time.process_time()
        for _ in range(repeats):
            engine.compute_system(
                motion.next(), types, cell, atoms.pbc.tolist(), ("energy", "forces", "virial")
            )
        return 1e6 * (time.process_time() - begin) / repeats / len(atoms)

    step()
    return step


def measure_times(data: Path) -> None:
    """Time of every variant that has a model, beside that of `medium`."""
    for found in results():
        system, variant, seed = (found[k] for k in ("system", "variant", "seed"))
        paths = [folder(system, name, seed) / "model.pt" for name in (variant, BASE)]
        if "us_per_atom" in found or not all(p.exists() for p in paths):
            continue
        bench = load(settings()["systems"][system]["benchmark"])
        structures = data / bench["config"]["data"]["train"]
        ours, base = (step_time(path, structures) for path in paths)
        pairs = [(ours(), base()) for _ in range(ROUNDS)]
        found["us_per_atom"] = round(statistics.median(a for a, _ in pairs), 2)
        found["time_over_medium"] = round(statistics.median(a / b for a, b in pairs), 3)
        keep(found)
        print(json.dumps(found), flush=True)


def main() -> None:
    known = settings()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("system", nargs="?", choices=[*known["systems"]])
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help="default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--times", action="store_true", help="measure the times that are missing")
    parser.add_argument("--table", action="store_true", help="only write table and plot")
    args = parser.parse_args()
    unknown = sorted(set(args.variants) - set(known["variants"]))
    if unknown:
        raise SystemExit(
            f"ablation: no variant {', '.join(map(repr, unknown))}; "
            f"there are {', '.join(known['variants'])}"
        )
    if args.times:
        measure_times(args.data.resolve())
    elif not args.table:
        for system in [args.system] if args.system else list(known["systems"]):
            for variant in args.variants or known["variants"]:
                for seed in args.seeds:
                    train(system, variant, seed, args.data.resolve())
    from pareto import write

    write(FOLDER, known, results())


if __name__ == "__main__":
    main()
