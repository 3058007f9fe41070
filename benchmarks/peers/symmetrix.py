"""symmetrix-xl: MACE models with kernels compiled for each of them, through ASE as ours."""

from __future__ import annotations

from collections.abc import Iterator

from peers.context import REBUILD, Comparison, Context
from peers.measure import Contender, prepare
from peers.systems import ase_structure, num_neighbors, water

CUTOFF = 5.0
CHANNELS = 64
SKIN = 0.5  # Angstrom, its default


def symmetrix(context: Context) -> Iterator[Comparison]:
    """Liquid water, two-layer MACE of 64 scalar channels."""
    python = context.python("symmetrix")
    folder = context.peers / "symmetrix" / "models"
    atoms = water((2, 1, 1) if context.tiny else (4, 2, 2))
    job = {
        "structure": ase_structure(atoms),
        "cutoff": CUTOFF,
        "channels": CHANNELS,
        "skin": SKIN,
        "rebuild": REBUILD,
    }
    made = folder / f"water-{CHANNELS}.json"
    job["model"] = str(prepare("symmetrix-xl", python, "prepare_symmetrix.py", made, job))
    environment = {
        "SYMMETRIX_BACKEND": "cpu-avx512",
        "SYMMETRIX_JIT_CACHE": str(folder / "compiled"),
    }
    neighbors = f"cutoff {CUTOFF} A ({num_neighbors(atoms, CUTOFF):.0f} neighbors)"
    yield Comparison(
        "symmetrix",
        Contender(
            f"symmetrix-xl, MACE {CHANNELS}x0e, 2 layers",
            "symmetrix_worker.py",
            job,
            python,
            environment,
            REBUILD,
        ),
        {"medium": context.ase("medium", atoms, ["H", "O"], CUTOFF)},
        {"medium": 5.0},
        f"water, {len(atoms)} atoms",
        len(atoms),
        "energy, forces and stress through ASE, 1 thread, positions change in every call, both "
        "make a list every 10 calls (skin)",
        {
            "peer": f"{neighbors}, random weights, l_max 3, correlation 3, float32, backend "
            f"cpu-avx512 with kernels compiled for the model, skin {SKIN} A",
            "ours": f"{neighbors}, mixed",
        },
    )
