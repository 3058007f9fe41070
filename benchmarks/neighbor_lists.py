"""Time of a full neighbor list: camlip against vesin, matscipy and nvalchemi-toolkit-ops, one run.

Random atoms at the density of water in a cubic periodic cell, one thread, processor time, the best
of the repeats.  Peers make pairs and cell shifts ("ijS"; nvalchemi: its matrix); camlip makes its
rows with ghost atoms, whose positions and shifts come with them, copied to numpy arrays.
Peers that are not installed are left out.

Example:
    OMP_NUM_THREADS=1 python benchmarks/neighbor_lists.py --json lists.json
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from camlip.engine import Neighbors

DENSITY = 0.1  # atoms per cubic Angstrom


def camlip(positions: np.ndarray, cell: np.ndarray, cutoff: float) -> Callable[[], float]:
    """A new list with copies of its arrays; gives neighbors per atom."""
    return lambda: len(Neighbors(cutoff).update(positions, cell, True).indices) / len(positions)


def vesin(positions: np.ndarray, cell: np.ndarray, cutoff: float) -> Callable[[], float]:
    import vesin

    lists = vesin.NeighborList(cutoff=cutoff, full_list=True)
    return lambda: len(lists.compute(positions, cell, True, "ijS")[0]) / len(positions)


def matscipy(positions: np.ndarray, cell: np.ndarray, cutoff: float) -> Callable[[], float]:
    from matscipy.neighbours import neighbour_list

    pbc = np.ones(3, dtype=bool)

    def run() -> float:
        pairs = neighbour_list("ijS", cutoff=cutoff, positions=positions, cell=cell, pbc=pbc)
        return len(pairs[0]) / len(positions)

    return run


def nvalchemi(positions: np.ndarray, cell: np.ndarray, cutoff: float) -> Callable[[], float]:
    import torch
    from nvalchemiops.torch.neighbors import neighbor_list

    torch.set_num_threads(1)
    r, box = torch.as_tensor(positions), torch.as_tensor(cell)[None]
    pbc = torch.ones((1, 3), dtype=torch.bool)
    most = int(1.8 * 4 / 3 * np.pi * cutoff**3 * DENSITY)

    def run() -> float:
        found = neighbor_list(r, cutoff, cell=box, pbc=pbc, max_neighbors=most, method="cell_list")
        return float(found[1].double().mean())

    return run


def best_of(run: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Milliseconds of processor time, and what the run gives."""
    times, value = [], 0.0
    for _ in range(repeats):
        begin = time.process_time()
        value = run()
        times.append(time.process_time() - begin)
    return 1e3 * min(times), value


def main() -> None:
    """Times every library at every size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--atoms", nargs="+", type=int, default=[10_000, 100_000])
    parser.add_argument("--cutoff", type=float, default=6.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for count in arguments.atoms:
        length = (count / DENSITY) ** (1 / 3)
        positions = np.random.default_rng(0).random((count, 3)) * length
        times = {}
        for library in (camlip, vesin, matscipy, nvalchemi):
            name = library.__name__
            try:
                run = library(positions, length * np.eye(3), arguments.cutoff)
            except ImportError:
                print(f"{count} atoms: {name} is not installed, left out")
                continue
            times[name], neighbors = best_of(run, arguments.repeats)
            rows.append({"library": name, "atoms": count, "ms": times[name]})
            print(f"{count} atoms  {name:10s} {times[name]:9.2f} ms  {neighbors:.2f} neighbors")
        peers = [ms for name, ms in times.items() if name != "camlip"]
        if peers:
            print(f"{count} atoms  best of the others / camlip: {min(peers) / times['camlip']:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
