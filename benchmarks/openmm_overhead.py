"""Time per step that the OpenMM plugin adds to the engine's call.

    python benchmarks/openmm_overhead.py MODEL [--atoms 3000]

The same positions, in turns: an OpenMM evaluation of energy and forces with the force, one without
(what OpenMM itself costs), and the engine alone.  Overhead = with - without - engine; medians of
the time of this thread on its processor.
"""

import argparse
import time

import numpy as np
import openmm

from camlip.engine import Engine, Model
from camlip.openmm import NM_PER_ANGSTROM, MLIPForce


def context(system: openmm.System, positions: np.ndarray) -> openmm.Context:
    made = openmm.Context(
        system,
        openmm.VerletIntegrator(1e-6),
        openmm.Platform.getPlatformByName("CPU"),
        {"Threads": "1"},
    )
    made.setPositions(positions * NM_PER_ANGSTROM)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--atoms", type=int, default=3000)
    parser.add_argument("--spacing", type=float, default=20.0, help="of the grid, Angstrom")
    parser.add_argument("--repeats", type=int, default=200)
    args = parser.parse_args()

    model = Model(args.model)
    side = int(np.ceil(args.atoms ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    positions = args.spacing * grid[: args.atoms].astype(float)
    elements = [model.atomic_numbers[0]] * args.atoms
    types = model.types(elements)
    cell = np.eye(3) * args.spacing * side
    engine = Engine(model, threads=1)
    contexts = []
    for with_force in (True, False):
        system = openmm.System()
        system.setDefaultPeriodicBoxVectors(*(cell * NM_PER_ANGSTROM))
        for _ in range(args.atoms):
            system.addParticle(10.0)
        if with_force:
            system.addForce(MLIPForce(args.model, elements=elements, periodic=True))
        contexts.append(context(system, positions))
    calls = {
        "with": lambda: contexts[0].getIntegrator().step(1),
        "without": lambda: contexts[1].getIntegrator().step(1),
        "engine": lambda: engine.compute_system(positions, types, cell, True),
    }
    for _ in range(5):
        for call in calls.values():
            call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(args.repeats):
        for name, call in calls.items():
            start = time.thread_time()
            call()
            times[name].append(1e6 * (time.thread_time() - start))
    medians = {name: float(np.median(values)) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:<8} {value:9.1f} us")
    print(f"overhead {medians['with'] - medians['without'] - medians['engine']:9.1f} us per step")


if __name__ == "__main__":
    main()
