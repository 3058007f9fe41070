"""Long molecular dynamics of the models that come with camlip, in LAMMPS: does any run fail?

    python benchmarks/md_stability.py                        # every model, 5 seeds of 100 ps
    python benchmarks/md_stability.py copper --minutes 9     # a piece; again: the next one
    python benchmarks/md_stability.py copper --model my.pt   # another model of the same system
    python benchmarks/md_stability.py --table                # README.md again, from results/

Constant volume, velocity Verlet and the thermostat of Bussi, Donadio and Parrinello, at the
highest temperature of the training data.  A run fails when LAMMPS stops or a number is not finite,
when the temperature of a picosecond exceeds 1.5 times what was asked for, when the energy that
dynamics conserves (thermostat included) jumps, when the potential energy falls below what the
training data have, when two atoms come closer than they can, and when a molecule breaks or a new
bond forms.  Pieces of 5 ps, with restart files in build/md_stability.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from md_checks import SYSTEMS, Run, System, judge, positions, thermo

from camlip import pretrained
from camlip.engine import model_path
from camlip.lammps import plugin_directory
from camlip.lammps_check import data_file, find_lmp

HERE = Path(__file__).parent
ROOT = HERE.parent
RESULTS = HERE / "results"
BEGIN, END = "<!-- stability: written by md_stability.py -->", "<!-- end of stability -->"
SEEDS, PICOSECONDS, PIECE = 5, 100.0, 5.0
SAMPLE_FS = 20.0  # distance of the structures that are looked at


DECK = """
units metal
atom_style atomic
{start}
pair_style mlip precision mixed
pair_coeff * * "{model}" {elements}
neighbor 1.0 bin
timestep {step}
{velocities}
fix integrate all nve
fix thermostat all temp/csvr {temperature} {temperature} 0.1 {seed}
thermo_style custom step temp pe econserve
thermo_modify format float %.10g
thermo {every}
dump positions all custom {every} piece.dump id x y z
dump_modify positions sort id format float %.4f
run {steps}
write_restart restart.next
"""


def piece(run: Run, folder: Path, model: str, atoms: Atoms, system: System, seed: int, ps: float):
    """Advance a run by some picoseconds; sets ``run.failure`` when it ends badly."""
    every = max(1, round(SAMPLE_FS / system.step_fs))
    steps = round(1000 * ps / system.step_fs / every) * every
    present = sorted(set(atoms.numbers.tolist()))
    (folder / "start.data").write_text(data_file(atoms, present))
    first = run.picoseconds == 0
    number = round(1000 * run.picoseconds)
    deck = DECK.format(
        start="read_data start.data" if first else "read_restart restart",
        model=model,
        elements=" ".join(Atoms(present).get_chemical_symbols()),
        step=system.step_fs / 1000,
        temperature=system.temperature,
        velocities=f"velocity all create {system.temperature} {seed + 1} mom yes rot yes"
        if first
        else "",
        seed=100000 * seed + number + 1,
        every=every,
        steps=steps,
    )
    (folder / "in.deck").write_text(deck)
    begin = os.times()
    done = subprocess.run(
        [find_lmp(), "-in", "in.deck", "-log", "piece.log", "-nocite", "-screen", "none"],
        cwd=folder,
        env={**os.environ, "LAMMPS_PLUGIN_PATH": plugin_directory()},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    end = os.times()
    spent = end.children_user + end.children_system - begin.children_user - begin.children_system
    run.us_per_atom = round(1e6 * spent / steps / len(atoms), 2)
    log = (folder / "piece.log").read_text()
    table = thermo(log)
    if done.returncode:
        errors = [line for line in log.splitlines() if "ERROR" in line]
        run.failure = f"LAMMPS: {errors[0] if errors else f'exit status {done.returncode}'}"
    else:
        frames = positions(folder / "piece.dump", len(atoms))
        run.failure = judge(run, table, frames, atoms, system, every * system.step_fs / 1000)
        (folder / "restart.next").replace(folder / "restart")
    run.picoseconds += ps


def report(found: dict[str, Any]) -> dict[str, Any]:
    """A row of the table from the JSON of a model."""
    runs = found["runs"].values()
    return {
        "shortest": {name: min(run["shortest"][name] for run in runs) for name in found["limits"]},
        "drift": float(np.mean([sum(run["drift"]) / run["picoseconds"] for run in runs])),
        "failures": {
            f"{seed}, by {run['picoseconds']:g} ps": run["failure"]
            for seed, run in found["runs"].items()
            if run["failure"]
        },
    }


def table(results: Path) -> str:
    """The table of README.md."""
    lines = [
        "| model | system | K | fs | done | shortest distances, A (in training) "
        "| drift, meV/atom/ps | failures |",
        "|---|---|---:|---:|---|---|---:|---|",
    ]
    for path in sorted(results.glob("md_stability_*.json")):
        found = json.loads(path.read_text())
        row = report(found)
        near = ", ".join(
            f"{name} {d:.2f} ({found['limits'][name]:.2f})" for name, d in row["shortest"].items()
        )
        done = [run["picoseconds"] for run in found["runs"].values()]
        failures = "; ".join(f"seed {seed}: {what}" for seed, what in row["failures"].items())
        lines.append(
            f"| `{found['model']}` | {found['formula']} | {found['temperature']:g} "
            f"| {found['step_fs']:g} | {len(done)} x {max(done):g} ps | {near} "
            f"| {1000 * row['drift']:.3f} | {failures or 'none'} |"
        )
    return "\n".join(lines)


def write_table(readme: Path, results: Path) -> None:
    """Replace the table between the two marks."""
    before, mark, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"'{readme}': no lines '{BEGIN}' and '{END}' around the table")
    readme.write_text(f"{before}{BEGIN}\n\n{table(results)}\n\n{END}{after}")


def stability(
    name: str,
    model: str,
    data: Path,
    work: Path,
    *,
    seeds: int = SEEDS,
    picoseconds: float = PICOSECONDS,
    piece_ps: float = PIECE,
    stop: float = float("inf"),
) -> dict[str, Any]:
    """Run a model, or go on; seeds take turns, so that what was done is even when time is up.

    Args:
        name: of the system.
        model: model file or ``camlip:NAME``.
        data: folder of the training data.
        work: folder for pieces and restart files.
        seeds: number of runs.
        picoseconds: length of each.
        piece_ps: length of one start of LAMMPS.
        stop: when to begin no other piece, as ``time.monotonic``.
    """
    system, file = SYSTEMS[name], Path(model_path(model)).resolve()
    atoms = system.atoms(data)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    folder = work / f"{name}-{digest}"
    runs = {}
    for seed in range(1, seeds + 1):
        (folder / str(seed)).mkdir(parents=True, exist_ok=True)
        runs[seed] = Run.load(folder / str(seed) / "run.json")
    while time.monotonic() < stop:
        left = [s for s, run in runs.items() if run.picoseconds < picoseconds and not run.failure]
        if not left:
            break
        seed = min(left, key=lambda s: runs[s].picoseconds)
        run, place = runs[seed], folder / str(seed)
        piece(run, place, str(file), atoms, system, seed, piece_ps)
        run.save(place / "run.json")
        (place / "piece.dump").unlink(missing_ok=True)
        print(
            f"{name}, seed {seed}: {run.picoseconds:g} ps, {run.us_per_atom} us/atom/step, "
            f"{run.failure or 'well'}",
            flush=True,
        )
    return {
        "model": name,
        "sha256": digest,
        "formula": f"{atoms.get_chemical_formula()}, {len(atoms)} atoms",
        "temperature": system.temperature,
        "step_fs": system.step_fs,
        "limits": system.shortest,
        "runs": {str(seed): asdict(run) for seed, run in runs.items() if run.picoseconds},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all that are shipped")
    parser.add_argument("--model", help="a file instead of the shipped model")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--picoseconds", type=float, default=PICOSECONDS)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="only write the table")
    args = parser.parse_args()
    stop = time.monotonic() + 60 * args.minutes
    names = args.names or [name for name in pretrained.names() if name in SYSTEMS]
    for name in [] if args.table else names:
        found = stability(
            name,
            args.model or f"camlip:{name}",
            args.data.resolve(),
            ROOT / "build" / "md_stability",
            seeds=args.seeds,
            picoseconds=args.picoseconds,
            stop=stop,
        )
        args.results.mkdir(parents=True, exist_ok=True)
        path = args.results / f"md_stability_{name}.json"
        path.write_text(json.dumps(found, indent=1) + "\n")
    if args.results == RESULTS:
        write_table(HERE / "README.md", RESULTS)


if __name__ == "__main__":
    main()
