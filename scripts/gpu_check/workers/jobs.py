"""What the workers share: the job, models with random weights, structures, and times of steps."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

from camlip.bench_systems import Motion, make_system, water
from camlip.engine import Engine, Model, Neighbors
from camlip.export import engine_block
from camlip.random_model import random_model

__all__ = ["Engine", "Model", "Neighbors", "bulk"]
PROPERTIES = ("energy", "forces", "virial")
SKIN = 0.5


def read() -> dict[str, Any]:
    """The job on standard input."""
    return json.loads(sys.stdin.read())


def answer(result: dict[str, Any]) -> None:
    """The last line of a worker."""
    print(json.dumps(result), flush=True)


def block(preset: str, elements: list[int], **changes: Any) -> bytes:
    """A model with random weights as a file's content."""
    return engine_block(random_model(preset, elements, seed=1, changes=changes), {})


@cache
def _model(preset: str, elements: tuple[int, ...], changes: tuple) -> Model:
    return Model.from_bytes(block(preset, list(elements), **dict(changes)), preset)


def model(preset: str, elements: list[int], **changes: Any) -> Model:
    """The same, loaded."""
    return _model(preset, tuple(elements), tuple(sorted(changes.items())))


def silicon(size: int) -> Atoms:
    """Diamond, rattled, near ``size`` atoms."""
    return make_system("si", [14], size)


def crystal(repeat: int) -> Atoms:
    """Diamond, rattled, 8 ``repeat``^3 atoms."""
    atoms = bulk("Si", cubic=True).repeat(repeat)
    atoms.rattle(0.05, seed=1)
    return atoms


def molecule() -> Atoms:
    """Six molecules of water, 18 atoms, not periodic."""
    atoms = water(2, seed=3)[:18]
    atoms.pbc = False
    atoms.cell = np.zeros((3, 3))
    return atoms


class System:
    """An engine and a system whose atoms move."""

    def __init__(self, own: Model, atoms: Atoms, backend: str, precision: str = "mixed") -> None:
        self.types = own.types(atoms.numbers)
        active = np.unique(self.types).tolist()
        self.engine = Engine(own, backend, precision, active_types=active, skin=SKIN)
        self.atoms = atoms
        self.motion = Motion(atoms)
        self.cell = atoms.cell.array.copy() if atoms.pbc.any() else None
        self.pbc = atoms.pbc.tolist()

    def compute(self, positions: np.ndarray, properties=PROPERTIES) -> dict[str, Any]:
        """Results at these positions, of as many atoms as there are."""
        types = self.types[: len(positions)]
        return self.engine.compute_system(positions, types, self.cell, self.pbc, properties)


def timed(work: Callable[[], Any]) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def median_time(work: Callable[[], Any], seconds: float, least: int = 5, most: int = 2000) -> float:
    """Median of calls for about so long, after three that do not count."""
    for _ in range(3):
        once = timed(work)
    count = int(np.clip(seconds / max(once, 1e-9), least, most))
    return statistics.median(timed(work) for _ in range(count))


def step_times(system: System, seconds: float) -> dict[str, float]:
    """Times of steps in seconds.

    Returns:
        ``kept``: of one that keeps the list. ``list``: what one takes longer that begins with a
        new list, because an atom has gone or come. ``stale``: what one takes longer that finds
        its list stale, and is done again. ``interval``: steps from one list to the next.
        ``step``: of a step of dynamics, on average.
    """
    motion = system.motion
    interval = motion.list_interval(SKIN)
    kept = median_time(lambda: system.compute(motion.next()), seconds)
    moved = motion.next()
    places = [moved + (k % 2) * SKIN for k in range(1, 8)]
    stale = statistics.median(timed(lambda p=p: system.compute(p)) for p in places)
    counts = [len(moved) - k % 2 for k in range(1, 8)]
    listed = statistics.median(timed(lambda n=n: system.compute(moved[:n])) for n in counts)
    atoms = len(system.atoms)
    return {
        "num_atoms": atoms,
        "kept": kept,
        "list": max(0.0, listed - kept),
        "stale": max(0.0, stale - kept),
        "interval": interval if np.isfinite(interval) else None,
        "step": kept + max(0.0, stale - kept) / interval,
        "bytes_per_atom": system.engine.info.memory_bytes / atoms,
    }
