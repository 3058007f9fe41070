"""Time per step that the OpenMM plugin adds to the engine's call.

    python benchmarks/openmm_overhead.py MODEL [--atoms 3000] [--json FILE]

The force of a dense system takes milliseconds and the plugin microseconds, so a difference of whole
steps is lost in noise.  Instead a library of 20 lines, compiled by the C compiler and preloaded,
stands in front of the engine's function and measures every call of it; what the rest of the same
step takes, less a step without the force (what OpenMM itself costs), is the overhead.  Processor
time of the thread, medians; the two contexts take turns.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import openmm

import camlip
from camlip.bench import cpu_name
from camlip.engine import Model
from camlip.openmm import NM_PER_ANGSTROM, MLIPForce

LIBRARY = Path(camlip.__file__).parent / "lib" / "libcamlip.so"
SHIM = "CAMLIP_OVERHEAD_SHIM"
SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

typedef int function(void*, const void*, void*);
static double spent;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

double engine_seconds(void) { return spent; }

int camlip_compute_system(void* engine, const void* system, void* results) {
    static function* real;
    if (!real) real = (function*)dlsym(dlopen(LIBRARY, RTLD_NOW), "camlip_compute_system");
    const double begin = now();
    const int status = real(engine, system, results);
    spent = now() - begin;
    return status;
}
"""


def preload(folder: Path) -> None:
    """Start this program again, behind a library that measures the engine."""
    source, shim = folder / "shim.c", folder / "shim.so"
    source.write_text(SOURCE)
    subprocess.run(
        [
            *(os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", f'-DLIBRARY="{LIBRARY}"'),
            *("-o", str(shim), str(source), "-ldl"),
        ],
        check=True,
    )
    environment = os.environ | {"LD_PRELOAD": str(shim), SHIM: str(shim)}
    sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode)


def context(system: openmm.System, positions: np.ndarray) -> openmm.Context:
    made = openmm.Context(
        system,
        openmm.VerletIntegrator(1e-6),
        openmm.Platform.getPlatformByName("CPU"),
        {"Threads": "1"},
    )
    made.setPositions(positions * NM_PER_ANGSTROM)
    return made


def measure(file: str, positions: np.ndarray, length: float, repeats: int) -> dict[str, float]:
    """Median microseconds of a step with and without the force, and of the parts of the first."""
    engine_seconds = ctypes.CDLL(os.environ[SHIM]).engine_seconds
    engine_seconds.restype = ctypes.c_double
    elements = [Model(file).atomic_numbers[0]] * len(positions)
    contexts = []
    for with_force in (True, False):
        system = openmm.System()
        system.setDefaultPeriodicBoxVectors(*(np.eye(3) * length * NM_PER_ANGSTROM))
        for _ in elements:
            system.addParticle(10.0)
        if with_force:
            system.addForce(MLIPForce(file, elements=elements, periodic=True))
        contexts.append(context(system, positions))
    times: dict[str, list[float]] = {"with": [], "engine": [], "rest": [], "without": []}
    for turn in range(repeats + 3):
        for made, name in zip(contexts, ("with", "without"), strict=True):
            start = time.thread_time()
            made.getIntegrator().step(1)
            spent = time.thread_time() - start
            if turn < 3:
                continue
            times[name].append(1e6 * spent)
            if name == "with":
                times["engine"].append(1e6 * engine_seconds())
                times["rest"].append(times["with"][-1] - times["engine"][-1])
    medians = {name: float(np.median(values)) for name, values in times.items()}
    return medians | {"overhead": medians["rest"] - medians["without"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--atoms", type=int, default=3000)
    parser.add_argument("--spacing", type=float, default=2.2, help="of the grid, Angstrom")
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if SHIM not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            preload(Path(folder))
    side = int(np.ceil(args.atoms ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    positions = args.spacing * grid[: args.atoms].astype(float)
    positions += np.random.default_rng(0).normal(scale=0.05, size=positions.shape)
    found = measure(args.model, positions, args.spacing * side, args.repeats)
    print(f"{cpu_name()}; {args.atoms} atoms, one thread, us per step")
    for name, value in found.items():
        print(f"{name:<9}{value:10.1f}")
    if args.json:
        record = {"cpu": cpu_name(), "camlip": camlip.__version__, "atoms": args.atoms}
        record |= {"spacing": args.spacing, "us": found}
        args.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
