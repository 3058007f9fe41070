"""What molecular dynamics of a shipped model is run on, and when it has failed; md_stability.py."""

from __future__ import annotations

import json
import lzma
from dataclasses import asdict, dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.data import covalent_radii
from ase.io import read

HOT = 1.5  # of the temperature, mean of a picosecond
JUMP = 0.1  # kT an atom, of the conserved energy between two picoseconds
BELOW = 0.15  # eV an atom; data of path integrals have more zero-point energy than dynamics
NEAR = 0.8  # of the smallest distance in the training data


@dataclass(frozen=True)
class System:
    """What a model is run on.

    Attributes:
        temperature: the highest of the training data, K.
        step_fs: time step.
        shortest: smallest distance of each pair of elements in the training data, Angstrom.
        lowest: smallest potential energy in the training data, eV per atom.
        molecules: whether bonds must last.
        source: file of the training data whose first structure is run, or none: a crystal.
        crystal: arguments of :func:`ase.build.bulk`, and its repetition.
    """

    temperature: float
    step_fs: float
    shortest: dict[str, float]
    lowest: float
    molecules: bool = False
    source: str | None = None
    crystal: tuple[dict[str, Any], int] | None = None

    def atoms(self, data: Path) -> Atoms:
        """The structure at the start; molecules get a box with 20 Angstrom of vacuum."""
        if self.crystal:
            arguments, repeat = self.crystal
            return bulk(**arguments, cubic=True).repeat(repeat)
        # Unpacked first: ASE jumps to and fro, and a packed file is read from its beginning then.
        with lzma.open(data / str(self.source), "rt") as file:
            text = file.read()
        atoms = read(StringIO(text), index=0, format="extxyz")
        assert isinstance(atoms, Atoms)
        if not atoms.pbc.any():
            atoms.center(vacuum=10.0)
            atoms.pbc = True
        return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)


SYSTEMS = {
    "silicon": System(
        3400,
        1.0,
        {"Si-Si": 1.83},
        -5.43,
        crystal=({"name": "Si", "crystalstructure": "diamond", "a": 5.4685}, 2),
    ),
    "copper": System(
        2700,
        2.0,
        {"Cu-Cu": 1.83},
        -4.11,
        crystal=({"name": "Cu", "crystalstructure": "fcc", "a": 3.6373}, 3),
    ),
    "water": System(
        330,
        0.5,
        {"H-H": 1.33, "H-O": 0.88, "O-O": 2.35},
        -155.97,
        molecules=True,
        source="water_pbe0ts/train.xyz.xz",
    ),
    "aspirin": System(
        500,
        0.5,
        {"C-C": 1.29, "C-H": 0.96, "C-O": 1.13, "H-H": 1.50, "H-O": 0.90, "O-O": 2.13},
        -838.98,
        molecules=True,
        source="rmd17_aspirin/train.xyz.xz",
    ),
}


@dataclass
class Run:
    """What is known of one run so far; a JSON file."""

    picoseconds: float = 0.0
    failure: str | None = None
    shortest: dict[str, float] = field(default_factory=dict)
    temperatures: list[float] = field(default_factory=list)  # of every piece
    potential: list[float] = field(default_factory=list)  # eV per atom, of every piece
    drift: list[float] = field(default_factory=list)  # eV per atom, of every piece
    us_per_atom: float = 0.0

    @classmethod
    def load(cls, path: Path) -> Run:
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def save(self, path: Path) -> None:
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(asdict(self)))
        scratch.replace(path)


def thermo(log: str) -> np.ndarray:
    """Rows of step, temperature, potential and conserved energy."""
    lines = log.splitlines()
    heads = [n for n, line in enumerate(lines) if line.split()[:2] == ["Step", "Temp"]]
    rows = []
    for line in lines[heads[-1] + 1 :] if heads else []:
        try:
            rows.append([float(word) for word in line.split()])
        except ValueError:
            break
    return np.array([row for row in rows if len(row) == 4]).reshape(-1, 4)


def positions(path: Path, num_atoms: int) -> np.ndarray:
    """Structures of a dump, shape (T, N, 3)."""
    lines = path.read_text().splitlines()
    block = num_atoms + 9
    rows = [
        [float(word) for word in line.split()[1:4]]
        for n, line in enumerate(lines)
        if n % block >= 9
    ]
    return np.array(rows).reshape(-1, num_atoms, 3)


def judge(
    run: Run, table: np.ndarray, frames: np.ndarray, atoms: Atoms, system: System, spacing: float
) -> str | None:
    """Why a piece failed, or nothing; notes in ``run`` what was seen.

    Args:
        run: of which this is a piece.
        table: as :func:`thermo` gives it.
        frames: positions, shape (T, N, 3), Angstrom.
        atoms: the structure at the start, its bonds and its rectangular cell.
        system: the limits.
        spacing: time between two rows and two frames, ps.
    """
    if not (np.isfinite(table).all() and np.isfinite(frames).all()):
        return "a number is not finite"
    window = max(1, min(len(table) // 2, round(1.0 / spacing)))
    whole = len(table) // window
    means = table[: whole * window].reshape(whole, window, 4).mean(axis=1)
    run.temperatures.append(round(float(table[:, 1].mean()), 1))
    run.potential.append(round(float(table[:, 2].mean()) / len(atoms), 5))
    run.drift.append(float(f"{(means[-1, 3] - means[0, 3]) / len(atoms):.2e}"))
    if means[:, 1].max() > HOT * system.temperature:
        return f"the temperature of a picosecond is {means[:, 1].max():.0f} K"
    jump = np.abs(np.diff(means[:, 3])).max(initial=0.0) / len(atoms)
    if jump > JUMP * units.kB * system.temperature:
        return f"the conserved energy changes by {jump:.4f} eV/atom in a picosecond"
    if means[:, 2].min() / len(atoms) < system.lowest - BELOW:
        return f"the potential energy falls to {means[:, 2].min() / len(atoms):.3f} eV/atom"
    return distances(run, frames, atoms, system)


def distances(run: Run, frames: np.ndarray, atoms: Atoms, system: System) -> str | None:
    """Atoms that come too close, and bonds that break or form."""
    i, j = np.triu_indices(len(atoms), 1)
    symbols = np.array(atoms.get_chemical_symbols())
    pairs = np.array(
        ["-".join(sorted((symbols[a], symbols[b]))) for a, b in zip(i, j, strict=True)]
    )
    radii = covalent_radii[atoms.numbers]
    lengths = np.diag(atoms.cell.array)
    usual = radii[i] + radii[j]
    start = _separations(atoms.positions, i, j, lengths)
    bonded = start < 1.25 * usual
    of_pair = {name: pairs == name for name in system.shortest}
    for frame in frames:
        found = _separations(frame, i, j, lengths)
        for name, limit in system.shortest.items():
            nearest = float(found[of_pair[name]].min())
            run.shortest[name] = round(min(nearest, run.shortest.get(name, np.inf)), 3)
            if nearest < NEAR * limit:
                return f"{name} at {nearest:.2f} A"
        if not system.molecules:
            continue
        broken = bonded & (found > 1.5 * usual)
        formed = ~bonded & (found < 1.1 * usual)
        for what, which in (("breaks", broken), ("forms", formed)):
            if which.any():
                n = int(np.argmax(which))
                return f"a bond {what}: {pairs[n]} {i[n]}-{j[n]} at {found[n]:.2f} A"
    return None


def _separations(frame: np.ndarray, i: np.ndarray, j: np.ndarray, lengths: np.ndarray):
    vectors = frame[j] - frame[i]
    vectors -= lengths * np.round(vectors / lengths)
    return np.sqrt((vectors**2).sum(axis=1))
