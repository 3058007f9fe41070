"""Make the unlabelled structures of the bundled water set.

Three steps, each resumable: decorrelated starting points from classical MD (SPC/Fw in LAMMPS,
seconds), a short Langevin MD on the GFN1-xTB surface from each of them (about half an hour on
one core), then rattled and strained copies, clusters, dimers, molecules and atoms.  The result is
labelled afterwards with ``camlip label``; see README.md for the commands.

    OMP_NUM_THREADS=1 python make_structures.py --work work
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.geometry import find_mic
from ase.io import read, write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta

METHOD = "GFN1-xTB"
NUM_MOLECULES = 32
MD_STEPS = 36
FRAMES_AT = (12, 16, 20, 24, 28, 32, 36)
TIME_STEP_FS = 1.0
# Deuterium: configurations do not depend on masses, and a heavier hydrogen allows 1 fs.
HYDROGEN_MASS = 2.014

# SPC/Fw (Wu, Tepper, Voth, J. Chem. Phys. 124, 024503, 2006) in LAMMPS "real" units.
LAMMPS_INPUT = """\
units real
atom_style full
pair_style lj/cut/coul/long 7.0
bond_style harmonic
angle_style harmonic
kspace_style pppm 1e-4
read_data {stem}.data
pair_coeff 1 1 0.1554253 3.165492
pair_coeff 1 2 0.0 1.0
pair_coeff 2 2 0.0 1.0
bond_coeff 1 529.581 1.012
angle_coeff 1 37.95 113.24
special_bonds lj/coul 0 0 0
neighbor 1.0 bin
minimize 1e-4 1e-4 500 5000
velocity all create {temperature} {seed}
timestep 0.5
thermo 5000
fix nve all nve/limit 0.05
fix bath all langevin {hot} {hot} 100 {seed}
run 6000
unfix nve
unfix bath
fix nve all nve
fix bath all langevin {temperature} {temperature} 200 {seed}
run 20000
write_dump all custom {stem}.dump id type xu yu zu modify sort id format float %.8f
"""


@dataclass(frozen=True)
class Run:
    """One trajectory: ``density`` in g/cm^3, ``temperature`` in K."""

    split: str
    index: int
    temperature: int
    density: float

    @property
    def name(self) -> str:
        return f"{self.split}_{self.index:02d}_{self.temperature}K"


def plan() -> list[Run]:
    """The list of trajectories, interleaved so that a part of it is already a balanced set."""
    temperatures = ([330, 600, 280, 400, 1000, 330, 600, 280, 400, 800] * 3)[:27]
    densities = [1.0, 0.95, 1.05, 0.9, 1.1]
    runs = [Run("train", i, t, densities[(i + i // 5) % 5]) for i, t in enumerate(temperatures)]
    for i, t in enumerate([330, 600, 400, 280, 330]):
        runs.insert(4 + 6 * i, Run("test", i, t, [1.0, 1.0, 0.95, 1.0, 1.05][i]))
    return runs


def box(num_molecules: int, density: float) -> float:
    """Edge in Angstrom of the cube that holds ``num_molecules`` waters at ``density`` g/cm^3."""
    return float((num_molecules * 18.01528 / units.mol / density * 1e24) ** (1 / 3))


def random_water(rng: np.random.Generator) -> Atoms:
    """A water molecule (O, H, H) in a random orientation with its oxygen at the origin."""
    water = molecule("H2O")
    water.translate(-water.positions[0])
    # A normalized 4-vector of Gaussians is a uniformly distributed rotation (quaternion).
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    water.rotate(np.degrees(2 * np.arccos(np.clip(w, -1, 1))), (x, y, z), center=(0, 0, 0))
    return water


def classical_start(run: Run, seed: int, folder: Path) -> Atoms:
    """A liquid configuration from SPC/Fw molecular dynamics, molecules whole."""
    stem = folder / f"spcfw_{run.name}"
    edge = box(NUM_MOLECULES, run.density)
    rng = np.random.default_rng(seed)
    cells = [(i, j, k) for i in range(4) for j in range(4) for k in range(2)]
    atoms = Atoms(cell=[edge] * 3, pbc=True)
    for i, j, k in cells:
        water = random_water(rng)
        water.translate(np.array([i / 4, j / 4, k / 2 + 0.25 * ((i + j) % 2)]) * edge)
        atoms += water
    lines = ["SPC/Fw water", "", f"{len(atoms)} atoms", f"{2 * NUM_MOLECULES} bonds"]
    lines += [f"{NUM_MOLECULES} angles", "2 atom types", "1 bond types", "1 angle types", ""]
    lines += [f"0 {edge:.10f} {axis}lo {axis}hi" for axis in "xyz"]
    lines += ["", "Masses", "", "1 15.9994", "2 1.008", "", "Atoms", ""]
    for i, (symbol, position) in enumerate(zip(atoms.symbols, atoms.positions, strict=True)):
        kind, charge = (1, -0.82) if symbol == "O" else (2, 0.41)
        x, y, z = position
        lines.append(f"{i + 1} {i // 3 + 1} {kind} {charge} {x:.8f} {y:.8f} {z:.8f}")
    first = 3 * np.arange(NUM_MOLECULES) + 1
    lines += ["", "Bonds", ""]
    lines += [f"{2 * n + b + 1} 1 {o} {o + b + 1}" for n, o in enumerate(first) for b in (0, 1)]
    lines += ["", "Angles", ""]
    lines += [f"{n + 1} 1 {o + 1} {o} {o + 2}" for n, o in enumerate(first)]
    Path(f"{stem}.data").write_text("\n".join(lines) + "\n")
    deck = LAMMPS_INPUT.format(
        stem=stem, temperature=run.temperature, hot=max(500, run.temperature), seed=seed
    )
    Path(f"{stem}.in").write_text(deck)
    lmp = Path(sysconfig.get_path("scripts")) / "lmp"
    command = [str(lmp), "-in", f"{stem}.in", "-log", f"{stem}.log", "-screen", "none"]
    subprocess.run(command, check=True)
    table = np.loadtxt(f"{stem}.dump", skiprows=9)
    atoms.positions = table[:, 2:5]
    return atoms


def xtb_frames(run: Run, start: Atoms, seed: int) -> list[Atoms]:
    """Frames of a short Langevin MD on the xTB surface, molecules wrapped into the cell."""
    from tblite.ase import TBLite

    atoms = start.copy()
    atoms.set_masses(np.where(atoms.numbers == 1, HYDROGEN_MASS, 15.999))
    rng = np.random.default_rng(seed)
    thermalize_momenta(atoms, run.temperature, rng=rng)
    atoms.calc = TBLite(method=METHOD, verbosity=0)
    # A strong bath: the start is 20 ps old on another surface and sheds the difference quickly.
    bath = Langevin(
        atoms,
        TIME_STEP_FS * units.fs,
        temperature_K=run.temperature,
        friction=0.05 / units.fs,
        rng=rng,
        fixcm=False,
    )
    frames = []
    for _ in bath.irun(MD_STEPS):
        if bath.nsteps in FRAMES_AT:
            frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
            frame.wrap()
            frame.info["config_type"] = f"liquid_{run.temperature}K"
            frames.append(frame)
    return frames


def strained(frame: Atoms, rng: np.random.Generator) -> Atoms:
    """A copy with a random strain up to 5 % and random displacements of 0.02 to 0.08 Angstrom."""
    out = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=True)
    strain = rng.uniform(-0.05, 0.05, (3, 3))
    out.set_cell(out.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    out.positions += rng.normal(scale=rng.uniform(0.02, 0.08), size=out.positions.shape)
    out.info["config_type"] = "strained"
    return out


def cluster(frame: Atoms, size: int, rng: np.random.Generator) -> Atoms:
    """The ``size`` molecules nearest to a random one, cut out of a periodic frame."""
    numbers, cell = frame.numbers, frame.cell
    oxygens = np.flatnonzero(numbers == 8)
    center = rng.choice(oxygens)
    vectors, lengths = find_mic(frame.positions[oxygens] - frame.positions[center], cell)
    out = Atoms(pbc=False)
    for n in np.argsort(lengths)[:size]:
        members = oxygens[n] + np.arange(3)
        offsets, _ = find_mic(frame.positions[members] - frame.positions[members[0]], cell)
        out += Atoms(numbers[members], vectors[n] + offsets)
    out.info["config_type"] = "cluster"
    return out


def distorted_molecule(rng: np.random.Generator) -> Atoms:
    """A molecule with O-H lengths of 0.75 to 1.5 Angstrom and an angle of 60 to 170 degrees."""
    # Half of the bonds stay near equilibrium, where the weight of any MD lies.
    lengths = [rng.uniform(0.75, 1.5) if rng.random() < 0.5 else rng.normal(0.97, 0.05)] * 2
    if rng.random() < 0.7:
        lengths[1] = rng.uniform(0.85, 1.1)
    angle = np.radians(rng.uniform(60, 170) if rng.random() < 0.5 else rng.normal(105, 10))
    second = [np.cos(angle), np.sin(angle), 0.0]
    positions = [[0, 0, 0], [lengths[0], 0, 0], lengths[1] * np.array(second)]
    atoms = Atoms("OHH", positions)
    atoms.info["config_type"] = "molecule"
    return atoms


def dimer(distance: float, rng: np.random.Generator) -> Atoms:
    """Two slightly distorted molecules, random orientations, at an O-O ``distance``."""
    while True:
        a, b = random_water(rng), random_water(rng)
        b.translate([distance, 0, 0])
        gaps = np.linalg.norm(a.positions[:, None] - b.positions[None], axis=-1)
        if gaps.min() > 1.15:
            break
    atoms = a + b
    atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
    atoms.info["config_type"] = "dimer"
    return atoms


def small_structures(split: str, liquid: list[Atoms], rng: np.random.Generator) -> list[Atoms]:
    """Isolated atoms, molecules, dimers and clusters of one split."""
    train = split == "train"
    frames = []
    if train:
        for symbol, magmom in (("H", 1.0), ("O", 2.0)):
            atom = Atoms(symbol, magmoms=[magmom])
            atom.info["config_type"] = "isolated_atom"
            frames.append(atom)
    frames += [distorted_molecule(rng) for _ in range(50 if train else 6)]
    frames += [dimer(d, rng) for d in np.linspace(2.2, 6.0, 80 if train else 10)]
    sizes = (3, 4, 6, 8) * (6 if train else 1)
    frames += [cluster(liquid[rng.integers(len(liquid))], n, rng) for n in sizes]
    return frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("work"), help="scratch folder")
    parser.add_argument("--only-assemble", action="store_true", help="use what MD there is")
    folder = parser.parse_args().work
    folder.mkdir(parents=True, exist_ok=True)
    liquids: dict[str, list[Atoms]] = {"train": [], "test": []}
    for run, seed in zip(plan(), range(1000, 2000), strict=False):
        done = folder / f"xtb_{run.name}.xyz"
        if not done.exists():
            if parser.parse_args().only_assemble:
                continue
            frames = xtb_frames(run, classical_start(run, seed, folder), seed)
            write(f"{done}.part", frames, format="extxyz")
            os.replace(f"{done}.part", done)
            print(run.name, flush=True)
        liquids[run.split] += read(done, ":")
    for split, liquid in liquids.items():
        rng = np.random.default_rng(7 if split == "train" else 8)
        count = 90 if split == "train" else 6
        frames = list(liquid)
        frames += [strained(liquid[rng.integers(len(liquid))], rng) for _ in range(count)]
        frames += small_structures(split, liquid, rng)
        for frame in frames:
            # The labels must belong to the positions that the data file stores.
            frame.positions = np.round(frame.positions, 6)
        write(folder / f"{split}_unlabelled.xyz", frames, format="extxyz")
        print(split, len(frames), "structures")


if __name__ == "__main__":
    main()
