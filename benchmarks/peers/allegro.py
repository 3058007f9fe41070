"""Allegro (nequip-allegro), compiled ahead of time by AOTInductor, through ASE as ours."""

from __future__ import annotations

from collections.abc import Iterator

from peers.context import REBUILD, Comparison, Context
from peers.mace import ASE_CALLS, MOLECULE_CALLS
from peers.measure import Contender, prepare
from peers.systems import ase_structure, naphthalene, num_neighbors, water

CUTOFF = 5.0
SIZES = {"layers": 1, "l_max": 2, "features": 64}


def allegro(context: Context) -> Iterator[Comparison]:
    """192 atoms of water, and a molecule.  Compiling takes a minute or two for each."""
    python = context.python("allegro")
    for key, atoms, elements, presets, name, work in (
        ("allegro", water((2, 1, 1)), ["H", "O"], {"medium": 15.0}, "water", ASE_CALLS),
        (
            "allegro_molecule",
            naphthalene(),
            ["H", "C"],
            {"small": None, "medium": None},
            "C10H8",
            MOLECULE_CALLS,
        ),
    ):
        job = SIZES | {
            "structure": ase_structure(atoms),
            "cutoff": CUTOFF,
            "rebuild": REBUILD,
        }
        made = context.peers / "allegro" / "models" / f"{key}.nequip.pt2"
        job["model"] = str(prepare("Allegro", python, "prepare_allegro.py", made, job))
        neighbors = f"cutoff {CUTOFF} A ({num_neighbors(atoms, CUTOFF):.0f} neighbors)"
        yield Comparison(
            key,
            Contender("Allegro, 1 layer, l = 2, 64 features", "allegro_worker.py", job, python),
            {p: context.ase(p, atoms, elements, CUTOFF) for p in presets},
            presets,
            f"{name}, {len(atoms)} atoms",
            len(atoms),
            work,
            {
                "peer": f"{neighbors}, random weights, 64 scalar and 64 tensor features, float32, "
                "compiled by AOTInductor",
                "ours": f"{neighbors}, mixed",
            },
        )
