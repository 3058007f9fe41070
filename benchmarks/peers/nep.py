"""NEP4 on the CPU: the pair style of nep-adapters, built from its source distribution."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from peers.context import REBUILD, Comparison, Context, lammps_job
from peers.lammps_potentials import SAME_LOOP
from peers.measure import Contender
from peers.systems import ase_structure, crystal, num_neighbors, water

CALLS = (
    "energy, forces and virial from Python, 1 thread; NEP makes its list in every call, camlip "
    "every 10 calls (skin)"
)
NEURONS = 30
MAX, BASIS, ANGULAR = (4, 4), (8, 8), (4, 2, 0)  # n_max, basis_size, l_max: the defaults of NEP4


def write_random_nep(path: Path, elements: list[str], cutoffs: tuple[float, float]) -> None:
    """A NEP4 model with the default hyperparameters and random weights."""
    types = len(elements)
    features = MAX[0] + 1 + (MAX[1] + 1) * (ANGULAR[0] + (ANGULAR[1] > 0) + (ANGULAR[2] > 0))
    network = types * (features + 2) * NEURONS + 1
    expansion = types**2 * sum((n + 1) * (b + 1) for n, b in zip(MAX, BASIS, strict=True))
    rng = np.random.default_rng(1)
    values = rng.normal(scale=0.1, size=network + expansion).tolist() + [0.1] * features
    header = [
        f"nep4 {types} {' '.join(elements)}",
        f"cutoff {cutoffs[0]} {cutoffs[1]} 200 100",
        f"n_max {MAX[0]} {MAX[1]}",
        f"basis_size {BASIS[0]} {BASIS[1]}",
        f"l_max {ANGULAR[0]} {ANGULAR[1]} {ANGULAR[2]}",
        f"ANN {NEURONS} 0",
    ]
    path.write_text("\n".join(header + [f"{value:.7e}" for value in values]) + "\n")


def nep(context: Context) -> Iterator[Comparison]:
    """Silicon and water, each with the pair style of both and from Python.

    The Python call of nep-adapters takes less time than its pair style although it makes a list
    every time: it is the harder goal.
    """
    python = context.python("nep")
    plugin = {"LAMMPS_PLUGIN_PATH": str(context.peers / "nep" / "plugin")}
    silicon = crystal("Si", "diamond", 5.431, 3 if context.tiny else 8)
    liquid = water((2, 1, 1) if context.tiny else (4, 2, 2))
    for key, atoms, elements, cutoffs, ours in (
        ("nep_si", silicon, ["Si"], (5.0, 5.0), 5.0),
        ("nep_si_default", silicon, ["Si"], (8.0, 4.0), 5.0),
        ("nep_water", liquid, ["H", "O"], (6.0, 4.0), 5.0),
    ):
        file = context.work / f"{key}.txt"
        write_random_nep(file, elements, cutoffs)
        name = f"NEP4 {cutoffs[0]:g}/{cutoffs[1]:g} A"
        commands = ["pair_style nep/cpu", f"pair_coeff * * {file} {' '.join(elements)}"]
        job = lammps_job(atoms, elements, commands)
        style = Contender(f"{name}, LAMMPS", "lammps_worker.py", job, python, plugin, REBUILD)
        job = {
            "structure": ase_structure(atoms),
            "model": str(file),
            "atomic_numbers": [atomic_numbers[element] for element in elements],
        }
        call = Contender(f"{name}, Python call", "nep_worker.py", job, python)
        by_route = {
            "lammps": (style, context.lammps, SAME_LOOP),
            "python": (call, context.engine, CALLS),
        }
        for route, (peer, our_side, work) in by_route.items():
            yield Comparison(
                f"{key}_{route}",
                peer,
                {p: our_side(p, atoms, elements, ours) for p in ("small", "medium")},
                {"small": 3.0, "medium": 0.7},
                f"{'Si' if len(elements) == 1 else 'water'}, {len(atoms)} atoms",
                len(atoms),
                work,
                {
                    "peer": f"radial cutoff {cutoffs[0]:g} A "
                    f"({num_neighbors(atoms, cutoffs[0]):.0f} neighbors), angular "
                    f"{cutoffs[1]:g} A ({num_neighbors(atoms, cutoffs[1]):.0f}), default size, "
                    "random weights, float64, compiled with -march=native",
                    "ours": f"cutoff {ours} A ({num_neighbors(atoms, ours):.0f} neighbors), mixed",
                },
            )
