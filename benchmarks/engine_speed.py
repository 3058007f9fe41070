"""Time of the engine per atom and step: silicon, diamond structure, one domain with its ghosts.

Processor time where there is one thread, so that a busy machine disturbs little; wall time else.
With ``--against``, another build of the engine (a folder with its libcamlip.so) is timed in turns
with this one, step by step, and the ratio of the medians is printed.  With ``--stages``, the time
of every stage of the backend is compared with what it has to compute and to move.

Example:
    python benchmarks/engine_speed.py --presets small medium --repeats 7
    python benchmarks/engine_speed.py --presets medium --against ../before/python/camlip/lib
    python benchmarks/engine_speed.py --presets medium --stages
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ase.build import bulk

from camlip.engine import Engine, Model, Neighbors

CUTOFF, SKIN = 5.0, 1.2
PROPERTIES = ("energy", "forces", "virial")


class Step:
    """One engine and one domain, and what a step of it costs.

    Args:
        path: model file.
        num_cells: cubic cells of 8 atoms along each axis.
        options: of :class:`camlip.engine.Engine`.
    """

    def __init__(self, path: str, num_cells: int, options: dict) -> None:
        self.model = Model(path)
        self.engine = Engine(self.model, "cpu", **options)
        atoms = bulk("Si", "diamond", a=5.43, cubic=True).repeat(num_cells)
        atoms.rattle(0.05, seed=0)
        self.neighbors = Neighbors(self.model.cutoff, SKIN)
        self.view = self.neighbors.update(atoms.positions, atoms.cell.array, True)
        self.num_atoms = len(atoms)
        self.types = np.zeros(len(self.view.positions), dtype=np.int32)
        self.clock = time.thread_time if options["threads"] == 1 else time.perf_counter
        self.exchanged = 0.0

    def forward(self, features: np.ndarray) -> None:
        """Halo exchange, whose time is not the engine's."""
        begin = self.clock()
        features[self.num_atoms :] = features[self.view.ghost_owner]
        self.exchanged += self.clock() - begin

    def reverse(self, features: np.ndarray) -> None:
        """Halo exchange of the adjoints."""
        begin = self.clock()
        np.add.at(features, self.view.ghost_owner, features[self.num_atoms :])
        self.exchanged += self.clock() - begin

    def time(self) -> float:
        """Microseconds per atom of one step."""
        self.exchanged = 0.0
        begin = self.clock()
        self.engine.compute(
            self.view.positions,
            self.types,
            self.num_atoms,
            self.view.offsets,
            self.view.indices,
            self.forward,
            self.reverse,
            PROPERTIES,
            revision=1,
        )
        return (self.clock() - begin - self.exchanged) / self.num_atoms * 1e6

    def stages(self, repeats: int) -> dict:
        """Microseconds per atom of the stages, and what the machine can do, measured in turns."""
        from roofline import machine_peak

        library = ctypes.CDLL("libcamlip.so")  # the one that is loaded
        stage = library.camlip_cpu_stage
        stage.restype = ctypes.c_char_p
        steps, peaks, names = [], [], []
        for _ in range(repeats):
            peaks.append(machine_peak(repeats=1))
            count = library.camlip_cpu_stage_clock(1)
            self.time()
            seconds, names = [], []
            for n in range(count):
                value = ctypes.c_double()
                names.append(stage(n, ctypes.byref(value)).decode())
                seconds.append(value.value / self.num_atoms * 1e6)
            library.camlip_cpu_stage_clock(0)
            steps.append([*seconds, self.time()])  # the clocks take time, too
        *spent, total = np.median(steps, axis=0).tolist()
        positions, owners = self.view.positions, np.diff(self.view.offsets)
        distance = positions[self.view.indices] - np.repeat(
            positions[: self.num_atoms], owners, axis=0
        )
        within = (distance**2).sum(axis=1) < self.model.cutoff**2
        return {
            "stages": dict(zip(names, spent, strict=True)),
            "total": total,
            "listed": len(self.view.indices) / self.num_atoms,
            "edges": int(within.sum()) / self.num_atoms,
            "peak": np.max(peaks, axis=0).tolist(),
        }

    def describe(self) -> str:
        """What is timed."""
        info = self.engine.info
        listed = len(self.view.indices) / self.num_atoms
        return (
            f"{info.precision:6s} {info.simd:8s} threads {info.num_threads}  {self.num_atoms} "
            f"atoms, {listed:.0f} neighbors listed"
        )


class Worker:
    """A :class:`Step` in a process of its own, with the engine of a folder.

    Args:
        library: folder of libcamlip.so, None for the one that is installed.
        arguments: of :class:`Step`.
    """

    def __init__(self, library: Path | None, arguments: tuple) -> None:
        environment = dict(os.environ)
        if library:
            # Before the place that the extension module was linked with (RUNPATH)
            paths = [str(library.resolve()), environment.get("LD_LIBRARY_PATH", "")]
            environment["LD_LIBRARY_PATH"] = ":".join(filter(None, paths))
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.description = json.loads(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("engine_speed: a worker ended early; its message is above")
        return line

    def ask(self, command: str):
        """What the worker answers."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return json.loads(self._line())

    def time(self) -> float:
        """Microseconds per atom of one step."""
        return float(self.ask("step"))

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def work(arguments: list) -> None:
    """Body of a worker: a line in, a step, its time out."""
    step = Step(*arguments)
    print(json.dumps(step.describe()), flush=True)
    for line in sys.stdin:
        command, *repeats = line.split()
        answer = step.stages(int(repeats[0])) if command == "stages" else step.time()
        print(json.dumps(answer), flush=True)


def compare(preset: str, arguments: tuple, repeats: int, against: Path | None) -> None:
    """Print one line: best and median in microseconds per atom, and the ratio."""
    workers = [Worker(None, arguments)] + ([Worker(against, arguments)] if against else [])
    times = np.array([[worker.time() for worker in workers] for _ in range(repeats + 1)])[1:]
    for worker in workers:
        worker.close()
    best, median = times.min(axis=0), np.median(times, axis=0)
    line = f"{preset:7s} {workers[0].description}:  best {best[0]:7.2f}  median {median[0]:7.2f}"
    line += " us/atom"
    if against:
        line += f"   before {best[1]:7.2f} {median[1]:7.2f}   ratio of the medians "
        line += f"{median[0] / median[1]:.3f}, of the best {best[0] / best[1]:.3f}"
    print(line, flush=True)


def print_stages(preset: str, arguments: tuple, repeats: int) -> None:
    """Print the roofline of one thread: time against what the operations and bytes would take."""
    from roofline import counts

    from camlip.models import preset as configuration

    worker = Worker(None, arguments)
    worker.time()
    found = worker.ask(f"stages {repeats}")
    worker.close()
    operations, bandwidth = found["peak"]
    print(f"{preset} {worker.description}, {found['edges']:.1f} within the cutoff")
    print(f"one core just now: {operations / 1e9:.1f} GFMA/s, {bandwidth / 1e9:.1f} GB/s")
    print(f"{'stage':20s} {'us/atom':>8s} {'kFMA':>8s} {'kB':>6s} {'GFMA/s':>7s} {'of peak':>8s}")
    known = counts(configuration(preset, cutoff=CUTOFF), found["listed"], found["edges"])
    rows = [(name, spent, *known[name]) for name, spent in found["stages"].items()]
    rows.append(("rest", found["total"] - sum(row[1] for row in rows), 0.0, 0.0))
    rows.append(("all", *np.sum([row[1:] for row in rows], axis=0)))
    for name, spent, fma, size in rows:
        if spent <= 0:
            continue
        least = max(fma / operations, size / bandwidth) * 1e6
        print(
            f"{name:20s} {spent:8.2f} {fma / 1e3:8.1f} {size / 1e3:6.2f} {fma / spent / 1e3:7.1f} "
            f"{least / spent:8.0%}"
        )


def write_model(preset: str, folder: str) -> str:
    """A model file with random weights for silicon."""
    from camlip.export import engine_block
    from camlip.random_model import random_model

    path = Path(folder) / f"{preset}.safetensors"
    module = random_model(preset, [14], seed=1, changes={"cutoff": CUTOFF})
    path.write_bytes(engine_block(module, {}))
    return str(path)


def main() -> None:
    """Times every combination that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--presets", nargs="+", default=["small", "medium"])
    parser.add_argument("--precision", nargs="+", default=["mixed"])
    parser.add_argument("--simd", nargs="+", default=["auto"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--cells", type=int, default=8, help="cubic cells of 8 atoms per axis")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--against", type=Path, help="folder of another build's libcamlip.so")
    parser.add_argument("--stages", action="store_true", help="roofline of every stage")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(json.loads(arguments.worker))
        return
    with tempfile.TemporaryDirectory() as folder:
        for preset in arguments.presets:
            path = write_model(preset, folder)
            for precision, simd, threads in itertools.product(
                arguments.precision, arguments.simd, arguments.threads
            ):
                options = {"precision": precision, "simd": simd, "threads": threads}
                chosen = (path, arguments.cells, options)
                if arguments.stages:
                    print_stages(preset, chosen, arguments.repeats)
                else:
                    compare(preset, chosen, arguments.repeats, arguments.against)


if __name__ == "__main__":
    main()
