"""Systems for benchmarks: of any size, with atoms that move as in dynamics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import chemical_symbols, reference_states
from ase.units import fs, kB
from numpy.typing import NDArray

from camlip.errors import ArgumentError
from camlip.label import read_structures
from camlip.structures import random_structure

CRYSTALS = ("fcc", "bcc", "diamond")
TEMPERATURE = 300.0


def make_system(name: str | None, atomic_numbers: Sequence[int], size: int, seed: int = 0) -> Atoms:
    """A system of about ``size`` atoms.

    Args:
        name: ``si``, ``water``, a file that ASE reads (its first structure is repeated; a molecule
            or slab is taken as it is), or None for what suits the elements: liquid water for H
            and O, the crystal of a single element, else a dense random mixture.
        atomic_numbers: of the model; the system has no others.
        size: number of atoms wished for; the nearest one that the unit allows is made.
        seed: of the random numbers.

    Raises:
        ArgumentError: if the model lacks an element, or the file holds nothing that can be used.

    >>> len(make_system(None, [14], 500)), len(make_system("water", [1, 8], 100))
    (512, 192)
    """
    if size < 1:
        raise ArgumentError(f"size: {size} atoms, expected at least 1")
    unit = _unit(name, atomic_numbers, seed)
    missing = sorted(set(unit.numbers.tolist()) - set(atomic_numbers))
    if missing:
        raise ArgumentError(
            f"system '{name}': the model has no {', '.join(chemical_symbols[z] for z in missing)}; "
            f"it knows {', '.join(chemical_symbols[z] for z in atomic_numbers)}"
        )
    atoms = unit
    if unit.pbc.all():
        atoms = unit.repeat(repeats(unit.cell.lengths(), len(unit), size))
    atoms.rattle(0.05, seed=seed)
    return atoms


def _unit(name: str | None, atomic_numbers: Sequence[int], seed: int) -> Atoms:
    known = sorted({int(z) for z in atomic_numbers})
    if name is None and known == [1, 8]:
        name = "water"
    if name == "water":
        return water(seed=seed)
    if name == "si":
        return bulk("Si", "diamond", a=5.431, cubic=True)
    if name is None and len(known) == 1:
        state = reference_states[known[0]] or {}
        if state.get("symmetry") in CRYSTALS:
            return bulk(chemical_symbols[known[0]], cubic=True)
    if name is None:
        chosen = [known[i] for i in np.linspace(0, len(known) - 1, min(len(known), 8)).astype(int)]
        return random_structure(chosen, 96, seed)
    if not Path(name.rpartition("@")[0] or name).exists() and not Path(name).exists():
        raise ArgumentError(f"system '{name}': no such file, expected si, water or a file")
    atoms = read_structures(name)[0]
    if len(atoms) == 0:
        raise ArgumentError(f"system '{name}': it has no atoms")
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def water(molecules: int = 4, seed: int = 0) -> Atoms:
    """Liquid water, roughly: molecules in random directions on a grid, 1 g/cm^3.

    Args:
        molecules: along each edge of the cube.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    spacing = 3.104  # Angstrom, a volume of 29.9 A^3 each
    grid = np.stack(np.meshgrid(*[np.arange(molecules)] * 3, indexing="ij"), axis=-1)
    oxygen = grid.reshape(-1, 3) * spacing
    half = np.deg2rad(104.5) / 2
    arms = 0.96 * np.array([[np.sin(half), np.cos(half), 0], [-np.sin(half), np.cos(half), 0]])
    positions = []
    for center in oxygen:
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        positions += [center, *(center + arms @ turn)]
    edge = molecules * spacing
    return Atoms("OH2" * len(oxygen), positions, cell=[edge] * 3, pbc=True)


def repeats(lengths: NDArray[np.float64], atoms: int, size: int) -> tuple[int, int, int]:
    """How often to repeat a unit along each vector: near ``size`` atoms, near a cube.

    >>> repeats(np.array([5.0, 5.0, 5.0]), 8, 500)
    (4, 4, 4)
    >>> repeats(np.array([5.0, 5.0, 10.0]), 16, 64)
    (2, 2, 1)
    """
    edge = (np.prod(lengths) * max(size / atoms, 1.0)) ** (1 / 3)
    ideal = edge / lengths
    options = [sorted({max(1, int(np.floor(x))), max(1, int(np.ceil(x)))}) for x in ideal]
    return min(
        ((a, b, c) for a in options[0] for b in options[1] for c in options[2]),
        key=lambda n: (abs(np.log(n[0] * n[1] * n[2] * atoms / size)), max(n * lengths)),
    )


class Motion:
    """Positions of atoms that fly as at 300 K, and turn back every 50 steps.

    What a step costs depends on how often the neighbor list is made anew; this decides it about as
    dynamics would, for any model and without blowing up.

    Args:
        atoms: the structure; not changed.
        seed: of the velocities.

    Attributes:
        time_step_fs: 0.5 with hydrogen, else 1.
    """

    TURN = 50

    def __init__(self, atoms: Atoms, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        masses = atoms.get_masses()
        self.time_step_fs = 0.5 if masses.min() < 3 else 1.0
        speeds = np.sqrt(TEMPERATURE * kB / masses)[:, None]
        self._step = self.time_step_fs * fs * speeds * rng.normal(size=(len(atoms), 3))
        self._start = atoms.positions.copy()
        self._count = 0

    def next(self) -> NDArray[np.float64]:
        """Positions after one more step, (N, 3)."""
        self._count += 1
        return self.at(self._count)

    def at(self, step: int) -> NDArray[np.float64]:
        """Positions after a number of steps."""
        phase = step % (2 * self.TURN)
        return self._start + min(phase, 2 * self.TURN - phase) * self._step

    def list_interval(self, skin: float) -> float:
        """Steps from one neighbor list to the next, if it is kept until an atom moved by skin/2."""
        built, lists = self.at(0), 0
        for step in range(1, 2 * self.TURN + 1):
            positions = self.at(step)
            if np.square(positions - built).sum(axis=1).max(initial=0.0) > (0.5 * skin) ** 2:
                built, lists = positions, lists + 1
        return 2 * self.TURN / lists if lists else np.inf
