"""Make the unlabelled structures of the bundled silicon set.

Hot crystals, liquids and amorphous cells come from classical MD (Stillinger-Weber in LAMMPS,
a minute in all), rattled, strained and vacancy cells, clusters and dimers from random numbers.
The result is labelled afterwards with ``camlip label``; see README.md for the commands.

    OMP_NUM_THREADS=1 python make_structures.py --work work
"""

from __future__ import annotations

import argparse
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import write

# GFN1-xTB silicon has its energy minimum near this lattice constant (the experiment: 5.43).
LATTICE = 5.62

# Stillinger and Weber, Phys. Rev. B 31, 5262 (1985), as a LAMMPS potential file.
POTENTIAL = "Si Si Si 2.1683 2.0951 1.80 21.0 1.20 -0.333333333333 7.049556277 0.6022245584 4 0 0\n"

LAMMPS_INPUT = """\
units metal
atom_style atomic
lattice diamond {lattice}
region box block 0 2 0 2 0 2
create_box 1 box
create_atoms 1 box
mass 1 28.0855
pair_style sw
pair_coeff * * {stem}.sw Si
neighbor 1.0 bin
timestep 0.001
velocity all create {hot} {seed}
fix nve all nve
fix bath all langevin {hot} {hot} 0.1 {seed}
run 5000
fix bath all langevin {hot} {temperature} 0.1 {seed}
run 20000
fix bath all langevin {temperature} {temperature} 0.1 {seed}
dump all all custom 5000 {stem}.dump id xu yu zu
dump_modify all sort id first yes format float %.8f
run {steps}
"""

# name: (temperature in K where frames are taken, temperature before, lattice constants)
PHASES = {
    "crystal_md": ((300, 900, 1400), None, (5.43, LATTICE)),
    "liquid": ((1800, 2500, 3500), 5000, (5.35, 5.5)),
    "amorphous": ((600,), 5000, (5.5,)),
}
# Frames of each trajectory, 5 ps apart.
MD_FRAMES = {
    "train": {"crystal_md": 2, "liquid": 3, "amorphous": 3},
    "test": {"crystal_md": 1, "liquid": 1, "amorphous": 1},
}


def named(atoms: Atoms, config_type: str) -> Atoms:
    """``atoms`` with its configuration type."""
    atoms.info["config_type"] = config_type
    return atoms


def crystal(lattice: float = LATTICE) -> Atoms:
    """The 64-atom cubic cell; all periodic cells are this one, because tblite has no k-points."""
    return bulk("Si", "diamond", a=lattice, cubic=True) * (2, 2, 2)


def molecular_dynamics(name: str, split: str, folder: Path) -> list[Atoms]:
    """Frames of `PHASES`, 5 ps apart."""
    temperatures, before, lattices = PHASES[name]
    frames = []
    for temperature in temperatures:
        for lattice in lattices:
            stem = folder / f"{split}_{name}_{temperature}K_{lattice}"
            Path(f"{stem}.sw").write_text(POTENTIAL)
            deck = LAMMPS_INPUT.format(
                lattice=lattice,
                stem=stem,
                hot=before or temperature,
                temperature=temperature,
                seed=temperature + (1 if split == "train" else 2),
                steps=5000 * (MD_FRAMES[split][name] - 1),
            )
            Path(f"{stem}.in").write_text(deck)
            lmp = Path(sysconfig.get_path("scripts")) / "lmp"
            command = [str(lmp), "-in", f"{stem}.in", "-log", f"{stem}.log", "-screen", "none"]
            subprocess.run(command, check=True)
            lines = Path(f"{stem}.dump").read_text().splitlines()
            for start in range(0, len(lines), 64 + 9):
                rows = np.array([line.split() for line in lines[start + 9 : start + 73]], float)
                cell = [2 * lattice] * 3
                frame = Atoms("Si64", rows[:, 1:], cell=cell, pbc=True)
                frame.wrap()
                frames.append(named(frame, f"{name}_{temperature}K"))
    return frames


def rattled(rng: np.random.Generator) -> Atoms:
    """A crystal with random displacements of 0.02 to 0.25 Angstrom per coordinate."""
    atoms = crystal(rng.normal(LATTICE, 0.04))
    atoms.positions += rng.normal(scale=rng.uniform(0.02, 0.25), size=atoms.positions.shape)
    return named(atoms, "rattled")


def strained(rng: np.random.Generator) -> Atoms:
    """A crystal of 0.78 to 1.2 times its volume, sheared by up to 6 %, slightly rattled."""
    atoms = crystal(LATTICE * rng.uniform(0.92, 1.06))
    strain = rng.uniform(-0.06, 0.06, (3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    atoms.positions += rng.normal(scale=rng.uniform(0.0, 0.08), size=atoms.positions.shape)
    return named(atoms, "strained")


def vacancy(rng: np.random.Generator) -> Atoms:
    """A crystal without one or two of its atoms, rattled by 0.02 to 0.15 Angstrom."""
    atoms = crystal(rng.normal(LATTICE, 0.04))
    del atoms[rng.choice(64, size=rng.integers(1, 3), replace=False).tolist()]
    atoms.positions += rng.normal(scale=rng.uniform(0.02, 0.15), size=atoms.positions.shape)
    return named(atoms, "vacancy")


def cluster(rng: np.random.Generator) -> Atoms:
    """The 8 to 20 atoms nearest to a random point of the crystal, rattled by 0.1 Angstrom."""
    atoms = crystal()
    center = atoms.positions.mean(axis=0) + rng.uniform(-1, 1, 3)
    nearest = np.argsort(np.linalg.norm(atoms.positions - center, axis=1))[: rng.integers(8, 21)]
    out = Atoms(atoms.numbers[nearest], atoms.positions[nearest] - center)
    out.positions += rng.normal(scale=0.1, size=out.positions.shape)
    return named(out, "cluster")


def dimer(rng: np.random.Generator) -> Atoms:
    """Two atoms, 1.7 to 5 Angstrom apart."""
    return named(Atoms("Si2", [[0, 0, 0], [rng.uniform(1.7, 5.0), 0, 0]]), "dimer")


# Number of structures (train, test) of each kind.
RANDOM: dict[Callable[[np.random.Generator], Atoms], tuple[int, int]] = {
    rattled: (12, 2),
    strained: (16, 3),
    vacancy: (8, 2),
    cluster: (30, 5),
    dimer: (16, 3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("work"), help="scratch folder")
    folder = parser.parse_args().work
    folder.mkdir(parents=True, exist_ok=True)
    for which, split in enumerate(("train", "test")):
        rng = np.random.default_rng(3 + which)
        frames = [named(Atoms("Si", magmoms=[2.0]), "isolated_atom")] if split == "train" else []
        if split == "train":
            frames += [named(crystal(a), "crystal") for a in (5.43, LATTICE, 5.8)]
        for name in PHASES:
            frames += molecular_dynamics(name, split, folder)
        for make, counts in RANDOM.items():
            frames += [make(rng) for _ in range(counts[which])]
        if split == "train":
            # Labelling that is cut short shall leave a balanced set.
            frames = [frames[0], *(frames[i] for i in 1 + rng.permutation(len(frames) - 1))]
        for frame in frames:
            # The labels must belong to the positions that the data file stores.
            frame.positions = np.round(frame.positions, 6)
        write(folder / f"{split}_unlabelled.xyz", frames, format="extxyz")
        print(split, len(frames), "structures")


if __name__ == "__main__":
    main()
