"""What the parts share: the sample, who computes it, settings, and results."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from tqdm import tqdm

from camlip.errors import ArgumentError

LARGE_CELL = 40
"""Atoms of a cell without symmetry from which on it is taken for a liquid or a glass."""


class Skip(Exception):
    """A part does not apply to a sample; the message says why."""


@dataclass(frozen=True)
class Settings:
    """What decides the numbers.

    Attributes:
        temperature: of dynamics, K.
        picoseconds: of production in dynamics, after a quarter of it to equilibrate.
        timestep: fs; None: 1, or 0.5 with hydrogen.
        size: shortest distance between periodic images of supercells, Angstrom.
        volume_range: largest relative change of the volume in the equation of state.
        strain: of the finite differences of the elastic constants.
        displacement: of the finite differences of the phonons, Angstrom.
        fmax: of relaxations, eV/Angstrom.
        steps: most steps of a relaxation.
        shortest: of the dimer curves, Angstrom.
        surfaces: Miller indices.
        thickness: of slabs, Angstrom.
        minutes: parts of a reference that would take longer are left out.
        seed: of velocities and of the rattling of defects.
    """

    temperature: float = 300.0
    picoseconds: float = 10.0
    timestep: float | None = None
    size: float = 10.0
    volume_range: float = 0.06
    strain: float = 0.004
    displacement: float = 0.01
    fmax: float = 1e-3
    steps: int = 300
    shortest: float = 0.3
    surfaces: tuple[tuple[int, int, int], ...] = ((1, 0, 0), (1, 1, 0), (1, 1, 1))
    thickness: float = 12.0
    minutes: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ranges."""
        positive = ("picoseconds", "size", "strain", "displacement", "fmax", "shortest", "minutes")
        for name in (*positive, "thickness", "steps", "volume_range"):
            if not getattr(self, name) > 0:
                raise ArgumentError(f"{name}: {getattr(self, name)}, expected more than 0")
        if self.temperature < 0:
            raise ArgumentError(f"temperature: {self.temperature} K, expected at least 0")

    def timestep_for(self, atoms: Atoms) -> float:
        """Time step in fs."""
        return self.timestep or default_timestep(atoms)


def default_timestep(atoms: Atoms) -> float:
    """Time step of molecular dynamics in fs: hydrogen needs a shorter one.

    >>> default_timestep(Atoms("H2O")), default_timestep(Atoms("Si2"))
    (0.5, 1.0)
    """
    return 0.5 if 1 in atoms.numbers else 1.0


@dataclass
class Result:
    """What a part found.

    Attributes:
        values: by name: ``value`` (number or None), ``unit``, ``text`` (what it is).
        curves: numbers to draw, by name.
        warnings: what the reader must know, such as holes in a dimer curve.
        status: ``done``, ``skipped`` or ``failed``.
        reason: why not done.
        seconds: it took.
    """

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    curves: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    status: str = "done"
    reason: str = ""
    seconds: float = 0.0

    def add(self, name: str, value: float | None, unit: str, text: str) -> None:
        """One number for the table; what is not finite becomes None."""
        known = None if value is None or not math.isfinite(value) else float(value)
        self.values[name] = {"value": known, "unit": unit, "text": text}

    def plain(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


@dataclass
class Source:
    """Somebody who computes: the model or a reference.

    Attributes:
        name: of the column of the table.
        make: a new calculator; the argument says whether it shall be precise (static
            properties) or fast (dynamics).
        elements: atomic numbers that it knows; None: not limited.
        is_model: the model; else a reference, whose long parts have a limit.
    """

    name: str
    make: Callable[[bool], Any]
    elements: list[int] | None = None
    is_model: bool = True

    def on(self, atoms: Atoms, precise: bool = True) -> Atoms:
        """A copy of a structure with a calculator."""
        copy = atoms.copy()
        copy.calc = self.make(precise)
        return copy


@dataclass
class Sample:
    """The structure, and the crystal that it is.

    Attributes:
        atoms: as given.
        cell: conventional cell of a crystal in standard orientation; None if it is none.
        cubic: its axes are those of a cubic crystal.
        note: why it is no crystal, or what was done to it.
        description: for the table.
    """

    atoms: Atoms
    cell: Atoms | None
    cubic: bool
    note: str
    description: str
    _relaxed: dict[str, Atoms] = field(default_factory=dict)

    def crystal(self) -> Atoms:
        """Conventional cell.

        Raises:
            Skip: the sample is no crystal.
        """
        if self.cell is None:
            raise Skip(self.note)
        return self.cell

    def relaxed(self, source: Source, settings: Settings) -> Atoms:
        """Conventional cell at zero force and stress of a source, without calculator."""
        if source.name not in self._relaxed:
            atoms = source.on(self.crystal())
            relax(atoms, settings, cell=True)
            atoms.calc = None
            self._relaxed[source.name] = atoms
        return self._relaxed[source.name].copy()


def relax(atoms: Atoms, settings: Settings, cell: bool = False) -> bool:
    """Relax positions, and the cell if asked for, with the structure's calculator.

    Returns:
        Whether it converged.
    """
    target = FrechetCellFilter(atoms) if cell else atoms
    with quiet():
        # FrechetCellFilter's logarithm of a deformation that is nearly none.
        warnings.filterwarnings("ignore", message="logm result may be inaccurate")
        return bool(
            BFGS(target, logfile=None, maxstep=0.1).run(fmax=settings.fmax, steps=settings.steps)  # pyright: ignore[reportArgumentType]
        )


def repeats(atoms: Atoms, size: float) -> tuple[int, int, int]:
    """How often to repeat a cell until its images are so far apart, Angstrom.

    >>> from ase.build import bulk
    >>> repeats(bulk("Cu", cubic=True), 10.0)
    (3, 3, 3)
    """
    # Distance of the planes spanned by the other two vectors.
    heights = 1 / np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    a, b, c = (
        max(1, math.ceil(size / h - 1e-6)) if p else 1
        for h, p in zip(heights, atoms.pbc, strict=True)
    )
    return a, b, c


def progress(show: bool) -> bool | None:
    """What tqdm wants to know: a bar on a terminal only."""
    return None if show else True


@contextmanager
def quiet(advice_too: bool = False) -> Iterator[None]:
    """Without the warnings of libraries about their own future, and their advice if asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        if advice_too:
            warnings.simplefilter("ignore")
        yield


def steps_with_progress(dynamics: Any, steps: int, title: str, show: bool) -> None:
    """Run molecular dynamics with a progress bar."""
    chunk = max(1, steps // 100)
    with tqdm(total=steps, desc=title, unit="step", disable=progress(show), leave=False) as bar:
        done = 0
        while done < steps:
            number = min(chunk, steps - done)
            dynamics.run(number)
            done += number
            bar.update(number)
