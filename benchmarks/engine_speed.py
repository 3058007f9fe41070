"""Time of the engine per atom and step: silicon, diamond structure, one domain with its ghosts.

Processor time where there is one thread, so that a busy machine disturbs little; wall time else.

Example:
    python benchmarks/engine_speed.py --presets small medium --repeats 7
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np
from ase.build import bulk

from camlip.engine import Engine, Model, Neighbors
from camlip.export import engine_block
from camlip.random_model import random_model


def domain(num_cells: int, cutoff: float, skin: float, seed: int = 0):
    """A periodic crystal with ghosts and a neighbor list with skin, as a host keeps it."""
    atoms = bulk("Si", "diamond", a=5.43, cubic=True).repeat(num_cells)
    atoms.rattle(0.05, seed=seed)
    neighbors = Neighbors(cutoff, skin)
    return atoms, neighbors.update(atoms.positions, atoms.cell.array, True)


def time_engine(
    preset: str,
    num_cells: int,
    repeats: int,
    options: dict,
    properties: Sequence[str] = ("energy", "forces", "virial"),
) -> None:
    """Print one line: best and median time in microseconds per atom."""
    module = random_model(preset, [14], seed=1, changes={"cutoff": 5.0})
    model = Model.from_bytes(engine_block(module, {}), preset)
    engine = Engine(model, "cpu", **options)
    atoms, view = domain(num_cells, model.cutoff, 1.2)
    count = len(atoms)
    types = np.zeros(len(view.positions), dtype=np.int32)
    owner = view.ghost_owner

    def forward(features: np.ndarray) -> None:
        features[count:] = features[owner]

    def reverse(features: np.ndarray) -> None:
        np.add.at(features, owner, features[count:])

    clock = time.thread_time if options["threads"] == 1 else time.perf_counter
    spent = []
    for _ in range(repeats + 1):
        begin = clock()
        exchanged = 0.0

        def timed(body):
            def call(features: np.ndarray) -> None:
                nonlocal exchanged
                start = clock()
                body(features)
                exchanged += clock() - start

            return call

        engine.compute(
            view.positions,
            types,
            count,
            view.offsets,
            view.indices,
            timed(forward),
            timed(reverse),
            properties,
            revision=1,
        )
        spent.append((clock() - begin - exchanged) / count * 1e6)
    edges = len(view.indices) / count
    print(
        f"{preset:7s} {engine.info.precision:6s} {engine.info.simd:8s} "
        f"threads {engine.info.num_threads}  {count} atoms, {edges:.0f} neighbors listed:  "
        f"best {min(spent[1:]):7.2f}  median {np.median(spent[1:]):7.2f} us/atom"
    )


def main() -> None:
    """Times every combination that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--presets", nargs="+", default=["small", "medium"])
    parser.add_argument("--precision", nargs="+", default=["mixed"])
    parser.add_argument("--simd", nargs="+", default=["auto"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--cells", type=int, default=8, help="cubic cells of 8 atoms per axis")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    for preset in arguments.presets:
        for precision in arguments.precision:
            for simd in arguments.simd:
                for threads in arguments.threads:
                    options = {"precision": precision, "simd": simd, "threads": threads}
                    time_engine(preset, arguments.cells, arguments.repeats, options)


if __name__ == "__main__":
    main()
