"""Energy drift, radial distribution and diffusion from molecular dynamics."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.data import chemical_symbols
from ase.geometry.rdf import get_rdf
from ase.md.bussi import Bussi
from ase.md.velocitydistribution import (
    MaxwellBoltzmannDistribution,
    Stationary,
    ZeroRotation,
)
from ase.md.verlet import VelocityVerlet

from camlip.physics.common import (
    Result,
    Sample,
    Settings,
    Skip,
    Source,
    quiet,
    repeats,
    steps_with_progress,
)

COUPLING = 100.0
"""Time constant of the thermostat, fs."""
SAMPLES = 200
"""Structures of a trajectory that are kept."""
BINS = 150


def nve(sample: Sample, source: Source, settings: Settings, show: bool) -> Result:
    """Drift of the total energy without thermostat, after equilibration with one."""
    atoms = _system(sample, source, settings)
    step = settings.timestep_for(atoms)
    _equilibrate(atoms, source, settings, step, show)
    dynamics = VelocityVerlet(atoms, timestep=step * units.fs)
    times, energies, temperatures = [], [], []
    steps = _number(settings.picoseconds, step)
    every = max(1, steps // (5 * SAMPLES))

    def watch() -> None:
        times.append(dynamics.get_time() / (1000 * units.fs))
        energies.append(atoms.get_total_energy() / len(atoms))
        temperatures.append(atoms.get_temperature())

    dynamics.attach(watch, interval=every)
    steps_with_progress(dynamics, steps, "nve", show)
    slope, offset = np.polyfit(times, energies, 1)
    rest = np.array(energies) - (slope * np.array(times) + offset)
    result = Result()
    result.add("drift", 1e6 * float(slope), "µeV/atom/ps", f"drift of the energy, {step:g} fs")
    result.add("fluctuation", 1e6 * float(rest.std()), "µeV/atom", "fluctuation about the drift")
    result.add("temperature", float(np.mean(temperatures)), "K", "mean temperature")
    result.curves = {"time": times, "energy": (np.array(energies) - energies[0]).tolist()}
    if not np.isfinite(energies).all():
        result.warnings.append("the energy is not finite: the run exploded")
    return result


def trajectory(
    sample: Sample, source: Source, settings: Settings, show: bool
) -> tuple[list[Atoms], float]:
    """Structures of a run at constant temperature, atoms not wrapped, and their distance in ps."""
    atoms = _system(sample, source, settings)
    step = settings.timestep_for(atoms)
    _equilibrate(atoms, source, settings, step, show)
    dynamics = _thermostat(atoms, settings, step)
    steps = _number(settings.picoseconds, step)
    every = max(1, steps // SAMPLES)
    kept: list[Atoms] = []

    def keep() -> None:
        kept.append(Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc))

    dynamics.attach(keep, interval=every)
    steps_with_progress(dynamics, steps, f"{settings.temperature:g} K", show)
    return kept, every * step / 1000


def rdf(sample: Sample, source: Source, settings: Settings, show: bool) -> Result:
    """Radial distribution of each pair of elements: place and height of the first peak."""
    if not sample.atoms.pbc.all():
        raise Skip("the sample is not periodic in three directions")
    frames, _ = _shared(sample, source, settings, show)
    result = Result()
    first = frames[0]
    heights = 1 / np.linalg.norm(first.cell.reciprocal(), axis=1)
    farthest = float(min(heights.min() / 2 - 1e-3, 10.0))
    elements = sorted(set(first.numbers.tolist()))
    for i, a in enumerate(elements):
        for b in elements[i:]:
            name = f"{chemical_symbols[a]}-{chemical_symbols[b]}"
            chosen = None if len(elements) == 1 else (a, b)
            sums = np.zeros(BINS)
            distances = np.zeros(BINS)
            for frame in frames:
                g, distances = get_rdf(frame, farthest, BINS, elements=chosen)
                sums += g
            mean = sums / len(frames)
            peak = int(np.argmax(mean))
            result.add(f"{name} peak at", float(distances[peak]), "Å", f"{name}: highest peak")
            result.add(f"{name} peak", float(mean[peak]), "", f"{name}: its height")
            result.curves[name] = mean.tolist()
            result.curves["distance"] = distances.tolist()
    return result


def diffusion(sample: Sample, source: Source, settings: Settings, show: bool) -> Result:
    """Coefficients of self-diffusion from the mean square displacement."""
    if not sample.atoms.pbc.all():
        raise Skip("the sample is not periodic in three directions")
    frames, interval = _shared(sample, source, settings, show)
    numbers = frames[0].numbers
    positions = np.array([f.positions for f in frames])
    positions = positions - np.average(positions, axis=1, weights=frames[0].get_masses())[:, None]
    result = Result()
    for z in sorted(set(numbers.tolist())):
        name = chemical_symbols[z]
        squares = mean_square_displacement(positions[:, numbers == z])
        times = interval * np.arange(len(squares))
        # The ballistic start and the end, which few pairs of times know, are left out.
        low, high = len(squares) // 10, len(squares) // 2
        slope, _ = np.polyfit(times[low:high], squares[low:high], 1)
        result.add(f"D {name}", float(slope) / 6, "Å²/ps", f"self-diffusion of {name} (1e-8 m²/s)")
        result.curves[name] = squares[:high].tolist()
        result.curves["time"] = times[:high].tolist()
        if squares[high - 1] < 1.0:
            result.warnings.append(
                f"{name}: atoms moved by {math.sqrt(max(squares[high - 1], 0)):.2f} Å only, a "
                f"solid at {settings.temperature:g} K; its D is no more than noise"
            )
    return result


def mean_square_displacement(positions: np.ndarray) -> np.ndarray:
    """Over all atoms and pairs of times, by the lag, Angstrom^2.

    Args:
        positions: not wrapped, shape (F, N, 3).

    >>> line = np.arange(4.0)[:, None, None] * np.array([1.0, 0, 0])
    >>> mean_square_displacement(line).tolist()
    [0.0, 1.0, 4.0, 9.0]
    """
    number = len(positions)
    result = np.zeros(number)
    for lag in range(1, number):
        moved = positions[lag:] - positions[:-lag]
        result[lag] = np.square(moved).sum(axis=2).mean()
    return result


_kept: dict[Any, tuple[list[Atoms], float]] = {}


def _shared(
    sample: Sample, source: Source, settings: Settings, show: bool
) -> tuple[list[Atoms], float]:
    """The trajectory that both parts look at."""
    key = (id(sample), source.name, settings)
    if key not in _kept:
        _kept.clear()
        _kept[key] = trajectory(sample, source, settings, show)
    return _kept[key]


def _system(sample: Sample, source: Source, settings: Settings) -> Atoms:
    """Supercell, or the structure as given, with velocities; checks the cost of references."""
    if len(sample.atoms) < 2 and not sample.atoms.pbc.any():
        raise Skip("the sample is a single atom")
    start = sample.atoms
    if sample.cell is not None:
        cell = sample.relaxed(source, settings)
        start = cell.repeat(repeats(cell, settings.size))
    atoms = source.on(start, precise=False)
    if not source.is_model:
        atoms.get_forces()
        began = time.monotonic()
        atoms.rattle(1e-3, seed=settings.seed)
        atoms.get_forces()
        each = time.monotonic() - began
        steps = 1.25 * _number(settings.picoseconds, settings.timestep_for(atoms))
        if each * steps > 60 * settings.minutes:
            raise Skip(
                f"{steps:.0f} steps of {len(atoms)} atoms would take {each * steps / 60:.0f} "
                f"minutes with {source.name}, more than --minutes {settings.minutes:g}"
            )
    rng = np.random.default_rng(settings.seed)
    # Half of it becomes potential energy in a crystal at rest.
    double = 2 if sample.cell is not None else 1
    with quiet():
        MaxwellBoltzmannDistribution(atoms, temperature_K=double * settings.temperature, rng=rng)
        Stationary(atoms)
        if not atoms.pbc.any():
            ZeroRotation(atoms)
    return atoms


def _equilibrate(atoms: Atoms, source: Source, settings: Settings, step: float, show: bool) -> None:
    steps = _number(settings.picoseconds / 4, step)
    steps_with_progress(_thermostat(atoms, settings, step), steps, "equilibration", show)


def _thermostat(atoms: Atoms, settings: Settings, step: float) -> Any:
    if settings.temperature == 0:
        return VelocityVerlet(atoms, timestep=step * units.fs)
    return Bussi(
        atoms,
        timestep=step * units.fs,
        temperature_K=settings.temperature,
        taut=COUPLING * units.fs,
        rng=np.random.RandomState(settings.seed),
    )


def _number(picoseconds: float, step: float) -> int:
    return max(1, round(1000 * picoseconds / step))
