"""Full training steps through the engine, through torch, and of mace-torch, in atoms per second.

A step is everything that `camlip train` does with a batch: loading it, energies, forces, loss,
gradient, clipping, AdamW, averaged weights, sums for the log.  Both backends take the same batches
of the same data in turn, in one process; the ratio is the median of the ratios of the rounds.  With
one thread time is processor time; with more it is wall time, of an otherwise idle machine.  MACE
(benchmarks/install_peers.sh) runs in its own environment, on the same structures; without it its
columns stay empty.

Example:
    python benchmarks/training_speed.py                      # one thread
    python benchmarks/training_speed.py --threads 2 --json results/training_2.json
    python benchmarks/training_speed.py --table results/training.json results/training_2.json
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from ase.io import read, write

from camlip.bench import cpu_name
from camlip.train import Trainer
from camlip.train.config import parse_config

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"
# Structures of equal size, about 256 atoms in a batch (the default of train.atoms_per_batch).
SYSTEMS = {"silicon": ("silicon", 64, 4), "water": ("water", 96, 2)}
BATCHES = 4
MACE = HERE / "peers" / "workers" / "mace_training_worker.py"


def frames(system: str, file: Path) -> int:
    """Write the labelled structures that are used; returns how many go into a batch."""
    folder, size, together = SYSTEMS[system]
    every = read(EXAMPLES / folder / "train.xyz.xz", ":")
    chosen = [a for a in every if len(a) == size and "REF_forces" in a.arrays]
    write(file, chosen[: together * BATCHES])
    return together


def trainer(
    folder: Path, file: Path, preset: str, together: int, threads: int, backend: str
) -> Any:
    """A run whose steps can be taken one by one."""
    values = {
        "run_dir": str(folder / f"{preset}-{backend}"),
        "data": {"train": str(file), "valid": str(file)},
        "model": {"preset": preset, "cutoff": 5.0},
        "train": {
            "epochs": 100_000,
            "structures_per_batch": together,
            "threads": threads,
            "device": "cpu",
            "backend": backend,
            "optimizer": "adamw",
        },
        "log": {"progress": False, "csv": False, "tensorboard": False},
    }
    return Trainer(parse_config(values))


def seconds(run: Any, epochs: int, threads: int) -> float:
    """Time of so many passes over the batches."""
    torch.set_num_threads(threads if run.backend.name == "torch" else 1)
    clock = time.process_time if threads == 1 else time.perf_counter
    start = clock()
    for _ in range(epochs):
        for batch in run._load(list(run.sampler)):
            run._step(batch)
    return clock() - start


def compare(system: str, preset: str, threads: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Both backends in turn."""
    file = folder / f"{system}.xyz"
    together = frames(system, file)
    runs = {b: trainer(folder, file, preset, together, threads, b) for b in ("torch", "engine")}
    atoms = int(runs["torch"].datasets.train.num_atoms.sum())
    epochs = {"torch": 1, "engine": 8}
    for name, run in runs.items():
        seconds(run, epochs[name], threads)
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            rates[name].append(epochs[name] * atoms / seconds(run, epochs[name], threads))
    ratios = [e / t for e, t in zip(rates["engine"], rates["torch"], strict=True)]
    return {
        "system": system,
        "preset": preset,
        "threads": threads,
        "atoms_per_batch": together * SYSTEMS[system][1],
        "neighbors": runs["torch"].model.average_num_neighbors,
        "atoms_per_second": {name: statistics.median(values) for name, values in rates.items()},
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def mace(system: str, threads: int, folder: Path, python: Path) -> dict[str, Any] | None:
    """Atoms per second of mace-torch on the same batches, or None without its environment."""
    if not python.exists():
        return None
    file = folder / f"{system}.xyz"
    options = ["--batch-size", str(SYSTEMS[system][2]), "--threads", str(threads), "--steps", "6"]
    done = subprocess.run(
        [str(python), str(MACE), str(file), *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )
    if done.returncode:
        raise SystemExit(f"mace-torch: {done.stderr[-800:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| data | model | threads | torch, atoms/s | engine, atoms/s | ratio "
        "| MACE 128x0e, atoms/s | ratio |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        speed, peer = row["atoms_per_second"], row.get("mace")
        theirs = peer["atoms_per_second"] if peer else None
        name = f"{row['system']}, {row['atoms_per_batch']} atoms a batch"
        cells = [name, f"`{row['preset']}`", str(row["threads"])]
        cells += [f"{speed['torch']:.0f}", f"{speed['engine']:.0f}", f"{row['ratio']:.1f} x"]
        cells += [f"{theirs:.0f}", f"{speed['engine'] / theirs:.0f} x"] if theirs else ["", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--presets", nargs="+", default=["small", "medium"])
    parser.add_argument("--mace", type=Path, default=HERE.parent / "build/peers/mace/bin/python")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", nargs="+", type=Path, help="of files written before")
    arguments = parser.parse_args()
    if arguments.table:
        rows = [row for file in arguments.table for row in json.loads(file.read_text())["rows"]]
        print(table(rows))
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for system in arguments.systems:
            for preset in arguments.presets:
                inner = folder / f"{system}-{preset}"
                inner.mkdir()
                rows.append(compare(system, preset, arguments.threads, arguments.rounds, inner))
            found = mace(system, arguments.threads, inner, arguments.mace)
            for row in rows:
                if found and row["system"] == system and row["preset"] == "medium":
                    row["mace"] = found
    print(table(rows))
    if arguments.json:
        content = {"processor": cpu_name(), "rows": rows}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
