"""MACE (mace-torch), two layers, 128 scalar channels, through ASE as ours."""

from __future__ import annotations

from collections.abc import Iterator

from peers.context import REBUILD, Comparison, Context
from peers.measure import Contender
from peers.systems import ase_structure, naphthalene, num_neighbors, water

ASE_CALLS = (
    "energy, forces and stress through ASE, 1 thread, positions change in every call; the peer "
    "makes its list in every call, camlip every 10 calls (skin)"
)
MOLECULE_CALLS = ASE_CALLS.replace("energy, forces and stress", "energy and forces")


def mace(context: Context) -> Iterator[Comparison]:
    """192 atoms of water, and a molecule."""
    python = context.python("mace")
    for key, atoms, elements, presets, name in (
        ("mace", water((2, 1, 1)), ["H", "O"], {"medium": 120.0}, "water"),
        ("mace_molecule", naphthalene(), ["H", "C"], {"small": None, "medium": None}, "C10H8"),
    ):
        job = {
            "structure": ase_structure(atoms),
            "cutoff": 5.0,
            "channels": 128,
            "rebuild": REBUILD,
        }
        ours = {p: context.ase(p, atoms, elements, 5.0) for p in presets}
        work = ASE_CALLS
        if key == "mace_molecule":  # what a host in C gets
            ours |= {f"{p}, no ASE": context.engine(p, atoms, elements, 5.0) for p in presets}
            work = MOLECULE_CALLS
        neighbors = f"cutoff 5.0 A ({num_neighbors(atoms, 5.0):.0f} neighbors)"
        yield Comparison(
            key,
            Contender("MACE 128x0e, 2 layers", "mace_worker.py", job, python),
            ours,
            presets,
            f"{name}, {len(atoms)} atoms",
            len(atoms),
            work,
            {
                "peer": f"{neighbors}, random weights, l_max 3, correlation 3, float32 (PyTorch)",
                "ours": f"{neighbors}, mixed",
            },
        )
