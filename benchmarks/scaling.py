"""Two threads and two ranks against one, and memory of a million atoms in LAMMPS: silicon.

Efficiency is the time of one over twice the time of two.  On a machine with other work wall times
scatter: every case is run in turns, the median of the ratios of the rounds and the ratio of the
best times are given, and a third number that other work hardly disturbs, from processor time while
those who wait sleep: that of one core over twice that of the busier of two threads or ranks.

Memory is the largest resident size of the process less that with ``pair_style zero`` at the same
cutoff and with the same full list, which LAMMPS makes and keeps itself.

Example:
    python benchmarks/scaling.py --presets small medium --json benchmarks/results/scaling.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk
from engine_speed import PROPERTIES, write_model

from camlip.bench import cpu_name, parse_log
from camlip.engine import Engine, Model
from camlip.lammps import plugin_directory
from camlip.lammps_check import find_lmp

SHORTEST = 0.2  # seconds
DECK = """
units metal
atom_style atomic
lattice diamond 5.43
region box block 0 {cells} 0 {cells} 0 {cells}
create_box 1 box
create_atoms 1 box
mass 1 28.0855
displace_atoms all random 0.05 0.05 0.05 4711
{style}
neighbor 1.0 bin
neigh_modify every 10 delay 0 check no
velocity all create 300.0 4711
fix 1 all nve
timestep 1.0e-6
thermo 10
thermo_modify norm no
"""


# ---- threads of the engine ----------------------------------------------------------------


def thread_times(process: int | str = "self") -> dict[int, float]:
    """Processor time of every thread of a process so far, seconds."""
    found = {}
    for task in Path(f"/proc/{process}/task").iterdir():
        found[int(task.name)] = int((task / "schedstat").read_text().split()[0]) * 1e-9
    return found


def work(path: str, cells: int, threads: int) -> None:
    """Body of a worker: a line in, the times of a step out."""
    model = Model(path)
    engine = Engine(model, "cpu", "mixed", threads=threads)
    atoms = bulk("Si", "diamond", a=5.43, cubic=True).repeat(cells)
    atoms.rattle(0.05, seed=0)
    types = model.types(atoms.numbers)

    def step() -> None:
        engine.compute_system(
            atoms.positions, types, atoms.cell.array, atoms.pbc.tolist(), PROPERTIES
        )

    step()
    print(len(atoms), flush=True)
    for _ in sys.stdin:
        # Long enough for the clocks of the threads, which go by ticks of the system.
        before, begin, steps, wall = thread_times(), time.perf_counter(), 0, 0.0
        while wall < SHORTEST:
            step()
            steps += 1
            wall = time.perf_counter() - begin
        wall /= steps
        spent = [(t - before.get(thread, 0.0)) / steps for thread, t in thread_times().items()]
        print(json.dumps({"wall": wall, "busiest": max(spent), "all": sum(spent)}), flush=True)


def engine_threads(path: str, cells: int, rounds: int) -> dict[str, Any]:
    """Steps of the engine with one and with two threads, in turns."""
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, "--worker", path, str(cells), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"},
        )
        for threads in (1, 2)
    ]

    def ask(worker, line: str | None) -> Any:
        if line is not None:
            worker.stdin.write(line + "\n")
            worker.stdin.flush()
        return json.loads(worker.stdout.readline())

    atoms = [ask(worker, None) for worker in workers][-1]
    times = [[ask(worker, "step") for worker in workers] for _ in range(rounds)]
    for worker in workers:
        worker.communicate()  # nothing more to read: it ends
    wall = np.array([[t["wall"] for t in row] for row in times])
    busiest = np.array([[t["busiest"] for t in row] for row in times])
    work_done = np.array([[t["all"] for t in row] for row in times])
    return {
        "case": "engine, 2 threads",
        "atoms": atoms,
        "us_per_atom": float(np.median(busiest[:, 0])) / atoms * 1e6,
        **efficiency(wall),
        "efficiency_processor": float(np.median(busiest[:, 0] / busiest[:, 1] / 2)),
        "work_grows": float(np.median(work_done[:, 1] / work_done[:, 0])),
        "wall_seconds": wall.tolist(),
    }


def efficiency(wall: np.ndarray) -> dict[str, float]:
    """From wall times (rounds, 2) of one and of two."""
    best = wall.min(axis=0)
    return {
        "efficiency_median": float(np.median(wall[:, 0] / wall[:, 1]) / 2),
        "efficiency_best": float(best[0] / best[1] / 2),
    }


# ---- LAMMPS ----------------------------------------------------------------------------------


def descendants(root: int) -> list[int]:
    """A process and all that it and its children have started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [root]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def run_lammps(folder: Path, deck: str, ranks: int = 1) -> tuple[str, float, float]:
    """Output of LAMMPS, processor time of its busiest thread, largest resident size of a rank."""
    executable = find_lmp(None)
    (folder / "in.deck").write_text(deck)
    command = [executable, "-in", "in.deck", "-log", "none", "-nocite"]
    if ranks > 1:
        command = [str(Path(executable).with_name("mpiexec")), "-n", str(ranks), *command]
    environment = os.environ | {
        "LAMMPS_PLUGIN_PATH": plugin_directory(),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
        "MPIR_CVAR_CH4_PROGRESS_THROTTLE": "true",
        "MPIR_CVAR_CH4_PROGRESS_THROTTLE_NO_PROGRESS_COUNT": "1000",
    }
    with open(folder / "out", "w") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
        busiest, ended = 0.0, 0
        while not ended:
            for one in descendants(process.pid):
                with contextlib.suppress(OSError, ValueError, IndexError):  # ended meanwhile
                    busiest = max(busiest, *thread_times(one).values(), 0.0)
            time.sleep(0.05)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
    text = (folder / "out").read_text()
    if process.returncode:
        raise SystemExit(f"scaling: LAMMPS ended with status {process.returncode}: {text[-800:]}")
    return text, busiest, usage.ru_maxrss * 1024.0


def mlip(path: str, threads: int = 1) -> str:
    """Pair style of a model."""
    return f"pair_style mlip threads {threads}\npair_coeff * * {path} Si"


def lammps_cores(path: str, cells: int, rounds: int, steps: int, folder: Path) -> list[dict]:
    """Molecular dynamics with one core, two threads and two ranks, in turns."""
    cases = {"one": (1, 1), "LAMMPS, 2 threads": (1, 2), "LAMMPS, 2 ranks": (2, 1)}
    wall: dict[str, list[float]] = {name: [] for name in cases}
    processor: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (ranks, threads) in cases.items():
            deck = DECK.format(cells=cells, style=mlip(path, threads)) + "run 1\n"
            _, before, _ = run_lammps(folder, deck, ranks)
            text, after, _ = run_lammps(folder, deck + 3 * f"run {steps}\n", ranks)
            seconds = [run["seconds"] / steps for run in parse_log(text)[1:]]
            wall[name].append(min(seconds))
            processor[name].append((after - before) / (3 * steps))
    atoms = 8 * cells**3
    one, one_processor = wall.pop("one"), processor.pop("one")
    return [
        {
            "case": name,
            "atoms": atoms,
            "us_per_atom": float(np.median(one_processor)) / atoms * 1e6,
            **efficiency(np.array([one, two]).T),
            "efficiency_processor": float(
                np.median(np.array(one_processor) / np.array(processor[name])) / 2
            ),
            "wall_seconds": np.array([one, two]).T.tolist(),
        }
        for name, two in wall.items()
    ]


def memory(styles: dict[str, str], cells: int, folder: Path) -> dict[str, float]:
    """Largest resident size, bytes per atom, of two steps with each pair style."""
    found = {}
    for name, style in styles.items():
        deck = DECK.format(cells=cells, style=style)
        _, _, size = run_lammps(folder, deck + "run 2\n")
        found[name] = size / (8 * cells**3)
        print(f"{name:12s} {found[name]:8.0f} B/atom", flush=True)
    return found


# ---- all -------------------------------------------------------------------------------------


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--presets", nargs="+", default=["small", "medium"])
    parser.add_argument("--parts", nargs="+", default=["engine", "lammps", "memory"])
    parser.add_argument("--cells", type=int, default=23, help="cubic cells of 8 atoms per axis")
    parser.add_argument("--memory-cells", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=10, help="of LAMMPS, between two times")
    parser.add_argument("--json", type=Path, help="file for the results, added to what it holds")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        path, cells, threads = arguments.worker
        work(path, int(cells), int(threads))
        return
    kept = arguments.json and arguments.json.exists()
    results = json.loads(arguments.json.read_text()) if kept else {}
    results |= {"processor": cpu_name(), "date": time.strftime("%Y-%m-%d")}
    with tempfile.TemporaryDirectory() as name:
        models = {preset: write_model(preset, name) for preset in arguments.presets}
        for preset, path in models.items():
            rows = []
            if "engine" in arguments.parts:
                rows.append(engine_threads(path, arguments.cells, arguments.rounds))
            if "lammps" in arguments.parts:
                rows += lammps_cores(
                    path, arguments.cells, arguments.rounds, arguments.steps, Path(name)
                )
            for row in rows:
                results.setdefault("efficiency", {})[f"{preset}, {row['case']}"] = row
                numbers = {k: v for k, v in row.items() if isinstance(v, float)}
                print(preset, row["case"], {k: round(v, 3) for k, v in numbers.items()}, flush=True)
        if "memory" in arguments.parts:
            zero = "pair_style zero 5.0 full\npair_coeff * *"
            styles = {"zero": zero} | {preset: mlip(path) for preset, path in models.items()}
            sizes = memory(styles, arguments.memory_cells, Path(name))
            results["memory"] = {
                "atoms": 8 * arguments.memory_cells**3,
                "bytes_per_atom": sizes,
                "beyond_lammps": {p: sizes[p] - sizes["zero"] for p in models},
            }
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
