"""``camlip sample``: structures from molecular dynamics of a model, to be labelled.

    camlip sample start.xyz -o new.xyz --model model.pt --number 4000 --temperature 300 800

Many short runs at constant volume, each from one of the given structures and at a temperature of
its own.  What for: labels of a cheap method to train on before the expensive ones
(docs/finetuning.md), structures that a data set lacks, tests.  A run ends where the model loses its
way, and what came just before is not kept.  Runs are appended as they end, so a command that was
killed goes on with ``--resume``.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.io import iread
from ase.md.bussi import Bussi
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary, ZeroRotation
from ase.neighborlist import neighbor_list
from tqdm import tqdm

from camlip.calculator import MLIPCalculator
from camlip.engine import Model
from camlip.errors import ArgumentError, NumericError
from camlip.label import read_structures
from camlip.label_output import drop_partial_frame, frame_text, lock
from camlip.physics.common import default_timestep
from camlip.physics.common import quiet as without_warnings

RUN_KEY = "sample_run"
CLOSEST = 0.8
"""A run ends when a pair is nearer than this part of its shortest distance in the start."""
HOTTEST = 3.0
"""Or when it is hotter than this many times what was asked for; more for few atoms."""
GIVE_UP = 20
"""Runs in a row without a structure, after which the model cannot be used."""
COUPLING = 50.0
"""Time constant of the thermostat, fs."""
LOOKED_AT = 500
"""Structures of the start whose distances are measured."""
PAIRS_WITHIN = 4.0
"""Angstrom; pairs that are farther apart in the start have no shortest distance."""


@dataclass(frozen=True)
class SampleSettings:
    """How the runs are made.

    Attributes:
        number: structures in the output, at least.
        temperature: lowest and highest of a run, K.
        interval: between two structures, fs.
        picoseconds: length of a run.
        timestep: fs; 0: 0.5 with hydrogen, else 1.
        strain: standard deviation of the components of a random strain of periodic cells.
        seed: of the random numbers; run k depends on it and on k alone.

    Raises:
        ArgumentError: a value out of range.
    """

    number: int = 1000
    temperature: tuple[float, float] = (300.0, 600.0)
    interval: float = 50.0
    picoseconds: float = 0.5
    timestep: float = 0.0
    strain: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every value against its range."""
        low, high = self.temperature
        checks = (
            ("number", self.number, self.number >= 1, "at least 1"),
            ("temperature", f"{low:g} to {high:g} K", 0 < low <= high, "0 < lowest <= highest"),
            ("interval", f"{self.interval:g} fs", 0 < self.interval < math.inf, "more than 0"),
            (
                "picoseconds",
                f"{self.picoseconds:g}",
                self.interval / 1000 <= self.picoseconds < math.inf,
                "at least one interval",
            ),
            ("timestep", f"{self.timestep:g} fs", 0 <= self.timestep <= 10, "0 to 10"),
            ("strain", f"{self.strain:g}", 0 <= self.strain <= 0.3, "0 to 0.3"),
            ("seed", self.seed, self.seed >= 0, "at least 0"),
        )
        for name, value, good, expected in checks:
            if not good:
                raise ArgumentError(f"{name}: {value}, expected {expected}")


@dataclass
class SampleReport:
    """What :func:`sample_file` did: structures and runs of this call, and why runs ended early."""

    structures: int = 0
    already: int = 0
    runs: int = 0
    broken: list[tuple[int, str]] = field(default_factory=list)


def shortest_by_pair(structures: Sequence[Atoms]) -> dict[tuple[int, int], float]:
    """Shortest distance of each pair of elements, Angstrom; pairs beyond 4 A are left out.

    >>> from ase.build import molecule
    >>> {pair: round(d, 2) for pair, d in shortest_by_pair([molecule("H2O")]).items()}
    {(1, 1): 1.53, (1, 8): 0.97}
    """
    shortest: dict[tuple[int, int], float] = {}
    for atoms in structures[:: math.ceil(len(structures) / LOOKED_AT)]:
        first, second, distances = neighbor_list("ijd", atoms, PAIRS_WITHIN)
        pairs = np.sort(atoms.numbers[np.stack([first, second])], axis=0)
        for a, b in np.unique(pairs, axis=1).T.tolist():
            found = float(distances[(pairs[0] == a) & (pairs[1] == b)].min())
            shortest[a, b] = min(found, shortest.get((a, b), math.inf))
    return shortest


def why_broken(
    atoms: Atoms, temperature: float, limits: dict[tuple[int, int], float]
) -> str | None:
    """What is wrong with a structure of a run at some temperature, None if nothing is.

    Args:
        atoms: with momenta.
        temperature: asked for, K.
        limits: pairs of elements that may not come nearer than this, Angstrom.
    """
    if not np.isfinite(atoms.positions).all():
        return "positions are not finite"
    found = atoms.get_temperature()
    # The temperature of few atoms fluctuates by sqrt(2 / 3N) of itself.
    highest = (HOTTEST + 5 * math.sqrt(2 / (3 * len(atoms)))) * temperature
    if not found <= highest:
        return f"{found:.0f} K in a run at {temperature:.0f} K"
    pairs, distances = neighbor_list("id", atoms, limits) if limits else ((), ())
    if len(pairs):
        return f"two atoms at {min(distances):.2f} A"
    return None


def one_run(
    start: Atoms,
    calculator: Any,
    settings: SampleSettings,
    rng: np.random.Generator,
    limits: dict[tuple[int, int], float],
) -> tuple[list[Atoms], str | None]:
    """The structures of a run, and why it broke, if it did; the last before that is dropped."""
    atoms = Atoms(start.numbers, start.positions, cell=start.cell, pbc=start.pbc)
    if settings.strain and atoms.pbc.any():
        free = np.outer(atoms.pbc, atoms.pbc)
        strain = np.where(free, settings.strain * rng.standard_normal((3, 3)), 0.0)
        deformation = np.eye(3) + (strain + strain.T) / 2
        atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    temperature = float(rng.uniform(*settings.temperature))
    step = settings.timestep or default_timestep(atoms)
    every = max(1, round(settings.interval / step))
    kept: list[Atoms] = []
    with without_warnings():
        MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
        Stationary(atoms)
        if len(atoms) > 2 and not atoms.pbc.any():
            ZeroRotation(atoms)
    atoms.calc = calculator
    dynamics = Bussi(
        atoms,
        timestep=step * units.fs,
        temperature_K=temperature,
        taut=COUPLING * units.fs,
        rng=np.random.RandomState(rng.integers(2**31)),
    )
    for _ in range(int(1000 * settings.picoseconds / settings.interval + 1e-9)):
        try:
            dynamics.run(every)
            reason = why_broken(atoms, temperature, limits)
        except NumericError as error:
            reason = str(error)
        if reason is not None:
            return kept[:-1], reason
        frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        frame.info["sample_temperature"] = round(temperature, 1)
        kept.append(frame)
    return kept, None


def sample_file(
    source: str | Path,
    output: str | Path,
    model: str,
    settings: SampleSettings,
    *,
    resume: bool = False,
    quiet: bool = False,
    **options: Any,
) -> SampleReport:
    """Append structures from molecular dynamics to an extended XYZ file until there are enough.

    Args:
        source: structures to start from, any file that ASE reads.
        output: name ending in ``.xyz`` or ``.extxyz``; frames carry the number of their run, its
            temperature and the index of the structure it began with.
        model: file or name, as for :class:`camlip.MLIPCalculator`.
        settings: how.
        resume: go on after the last run in ``output``.
        quiet: no progress bar.
        **options: of :class:`camlip.MLIPCalculator`, such as ``threads``.

    Raises:
        ArgumentError: the input, the output or an option cannot be used, or the model breaks at
            once, run after run.
    """
    output = Path(output)
    if output.suffix not in (".xyz", ".extxyz"):
        raise ArgumentError(
            f"output '{output}': name ends in '{output.suffix}', expected .xyz or .extxyz"
        )
    structures = read_structures(source)
    for index, atoms in enumerate(structures):
        if not np.isfinite(atoms.positions).all():
            raise ArgumentError(f"input '{source}': positions of structure {index} are not finite")
    # Data sets hold isolated atoms for their energies.
    starts = [index for index, atoms in enumerate(structures) if len(atoms) > 1]
    if not starts:
        raise ArgumentError(f"input '{source}': no structure has more than one atom")
    shortest = shortest_by_pair([structures[index] for index in starts])
    limits = {pair: CLOSEST * distance for pair, distance in shortest.items()}
    # Before the output file exists, so that a model that cannot be used leaves no file.
    known = Model(model)
    for index in starts:
        known.types(structures[index].numbers)
    calculator = MLIPCalculator(model, **options)
    if output.exists() and output.stat().st_size and not resume:
        raise ArgumentError(
            f"output '{output}': the file exists; add --resume to go on with it, or choose "
            "another name"
        )
    report = SampleReport()
    with output.open("a", encoding="utf-8") as file:
        lock(file)
        drop_partial_frame(output)
        report.already, run = _state(output)
        bar = tqdm(
            total=settings.number,
            initial=min(report.already, settings.number),
            unit="structure",
            desc="sample",
            disable=quiet,
        )
        fruitless = 0
        while report.already + report.structures < settings.number:
            rng = np.random.default_rng([settings.seed, run])
            index = starts[int(rng.integers(len(starts)))]
            frames, reason = one_run(structures[index], calculator, settings, rng, limits)
            frames = frames[: settings.number - report.already - report.structures]
            if reason is not None:
                report.broken.append((run, reason))
            fruitless = 0 if frames else fruitless + 1
            if fruitless == GIVE_UP:
                raise ArgumentError(
                    f"model '{model}': {GIVE_UP} runs in a row broke before they gave a structure "
                    f"(the last one: {reason}); expected a model that holds these structures, "
                    "lower --temperature or --timestep, or train it further"
                )
            for frame in frames:
                frame.info |= {RUN_KEY: run, "sample_start": index}
            file.write("".join(frame_text(frame) for frame in frames))
            file.flush()
            os.fsync(file.fileno())
            report.structures += len(frames)
            report.runs += 1
            run += 1
            bar.update(len(frames))
        bar.close()
    return report


def _state(output: Path) -> tuple[int, int]:
    """Structures that the file holds, and the number of the next run."""
    count, run = 0, 0
    if output.stat().st_size:
        for frame in iread(output, ":", format="extxyz"):
            if RUN_KEY not in frame.info:
                raise ArgumentError(
                    f"output '{output}': frame {count} has no '{RUN_KEY}', so it was not written "
                    "by camlip sample; choose another output file"
                )
            count, run = count + 1, int(frame.info[RUN_KEY]) + 1
    return count, run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``camlip sample``."""
    default = SampleSettings()
    parser.add_argument("input", help="structures to start from, any file that ASE reads")
    parser.add_argument("-o", "--output", required=True, help="extended XYZ file to append to")
    parser.add_argument("--model", required=True, help="model file, or the name of a shipped one")
    parser.add_argument("--number", type=int, default=default.number, help="of structures")
    parser.add_argument(
        "--temperature",
        type=float,
        nargs="+",
        default=list(default.temperature),
        metavar="K",
        help="one, or the lowest and the highest of the runs (default: 300 600)",
    )
    parser.add_argument(
        "--interval", type=float, default=default.interval, help="between structures, fs (50)"
    )
    parser.add_argument(
        "--picoseconds", type=float, default=default.picoseconds, help="length of a run (0.5)"
    )
    parser.add_argument(
        "--timestep", type=float, default=0.0, help="fs (default: 0.5 with hydrogen, else 1)"
    )
    parser.add_argument(
        "--strain",
        type=float,
        default=0.0,
        help="standard deviation of the components of a random strain of periodic cells (0)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="default: as OMP_NUM_THREADS says")
    parser.add_argument("--resume", action="store_true", help="go on with an existing output file")


def run(args: argparse.Namespace) -> int:
    """Run ``camlip sample``.

    Raises:
        ArgumentError: see :func:`sample_file`.
    """
    if len(args.temperature) > 2:
        raise ArgumentError(f"temperature: {len(args.temperature)} values, expected one or two")
    settings = SampleSettings(
        number=args.number,
        temperature=(args.temperature[0], args.temperature[-1]),
        interval=args.interval,
        picoseconds=args.picoseconds,
        timestep=args.timestep,
        strain=args.strain,
        seed=args.seed,
    )
    try:
        report = sample_file(
            args.input,
            args.output,
            args.model,
            settings,
            resume=args.resume,
            threads=args.threads,
        )
    except KeyboardInterrupt:
        print(f"{args.output}: what is done is saved, go on with --resume", file=sys.stderr)
        raise
    print(
        f"{args.output}: {report.structures} structures from {report.runs} runs, "
        f"{report.already} already there"
    )
    for number, reason in report.broken[:10]:
        print(f"run {number} ended early: {reason}")
    if len(report.broken) > 10:
        print(f"... and {len(report.broken) - 10} more")
    return 0
