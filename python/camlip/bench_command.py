"""``camlip bench``: how fast a model is on this machine.

camlip bench si.pt --sizes 100,1000,10000 --threads 1,2
camlip bench si.pt --host lammps --ranks 1,2 --json here.json --plot here.png
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

import camlip
from camlip._files import replacing
from camlip.bench import HOSTS, Case, Timing, cpu_name, measure
from camlip.engine import Model, symbols
from camlip.errors import ArgumentError

COLUMNS = (
    *("host", "engine", "precision", "simd", "ranks", "threads", "atoms"),
    *("us/atom/step", "atom-steps/s", "efficiency", "lists", "list every", "bytes/atom"),
)


def efficiency(timing: Timing, timings: Sequence[Timing]) -> float | None:
    """Speed-up over one thread and one rank, by the number of both; None without such a timing."""

    def kind(t: Timing) -> tuple[Any, ...]:
        return t.host, t.engine, t.precision, t.simd, t.num_atoms

    for single in timings:
        if kind(single) == kind(timing) and single.ranks * single.threads == 1:
            return single.time_per_atom / timing.time_per_atom / (timing.ranks * timing.threads)
    return None


def cells(timing: Timing, timings: Sequence[Timing]) -> list[str]:
    """Texts of the columns for one timing."""
    e = efficiency(timing, timings)
    return [
        timing.host,
        timing.engine,
        timing.precision,
        timing.simd,
        str(timing.ranks),
        str(timing.threads),
        str(timing.num_atoms),
        f"{1e6 * timing.time_per_atom:.3f}",
        f"{timing.atom_steps_per_second:.3g}",
        "-" if e is None else f"{100 * e:.0f} %",
        f"{100 * timing.list_fraction:.1f} %",
        "-" if timing.list_interval is None else f"{timing.list_interval:.0f}",
        f"{timing.memory_per_atom:.0f}",
    ]


def table(timings: Sequence[Timing]) -> str:
    """The timings as aligned text."""
    lines = [list(COLUMNS), *(cells(timing, timings) for timing in timings)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
        for line in lines
    )


def report(path: Path, model: Model, system: str | None, timings: Sequence[Timing]) -> dict:
    """Everything about a benchmark, ready for JSON."""
    return {
        "camlip": camlip.__version__,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "cpu": cpu_name(),
        "cpu_count": os.cpu_count(),
        "model": str(path),
        "elements": symbols(model.atomic_numbers).split(", "),
        "cutoff": model.cutoff,
        "num_layers": model.num_layers,
        "system": system or "auto",
        "timings": [
            {
                **asdict(timing),
                "us_per_atom_step": 1e6 * timing.time_per_atom,
                "atom_steps_per_second": timing.atom_steps_per_second,
                "efficiency": efficiency(timing, timings),
            }
            for timing in timings
        ],
    }


def plot(timings: Sequence[Timing], title: str, file: Path) -> None:
    """Time per atom over the number of atoms, a line for each kind of run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()

    def label(t: Timing) -> str:
        parallel = f"{t.ranks} rank(s) x {t.threads}" if t.host == "lammps" else f"{t.threads}"
        return f"{t.host}, {t.engine} {t.precision}, {parallel} thread(s)"

    for name, group in itertools.groupby(sorted(timings, key=label), key=label):
        points = sorted((t.num_atoms, 1e6 * t.time_per_atom) for t in group)
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="atoms", ylabel="µs / atom / step", title=title)
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(fontsize="small")
    kind = file.suffix.lstrip(".").lower()
    with replacing(file) as temporary:
        figure.savefig(temporary, format=kind, dpi=150)


def _integers(text: str) -> list[int]:
    try:
        values = [int(float(word)) for word in text.split(",")]
    except ValueError:
        values = []
    if not values or min(values) < 1:
        raise argparse.ArgumentTypeError(f"'{text}', expected whole numbers as in 1,2")
    return values


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``camlip bench``."""
    parser.add_argument("model", type=Path, help="model file")
    parser.add_argument(
        "--system",
        help="si, water, or a file whose first structure is repeated (default: what suits the "
        "model's elements)",
    )
    parser.add_argument(
        "--sizes", type=_integers, default=[100, 1000, 10000], help="atoms (100,1000,10000)"
    )
    parser.add_argument("--threads", type=_integers, default=[1], help="of each rank (1)")
    parser.add_argument("--ranks", type=_integers, default=[1], help="MPI ranks, with lammps (1)")
    parser.add_argument(
        "--engine", type=_words, default=["auto"], help="auto, cpu, cuda, reference"
    )
    parser.add_argument("--precision", type=_words, default=["mixed"], help="mixed, double")
    parser.add_argument("--simd", default="auto", help="auto, avx512, avx2, baseline")
    parser.add_argument(
        "--host", type=_words, default=["engine"], help=f"{', '.join(HOSTS)} (engine)"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="of timed steps in a case (1)")
    parser.add_argument("--lmp", help="LAMMPS executable (default: the one beside this Python)")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--plot", type=Path, help="PNG, PDF or SVG file for a plot")


def cases(args: argparse.Namespace) -> list[Case]:
    """All combinations that are asked for.

    Raises:
        ArgumentError: for ranks without LAMMPS, or an unknown host.
    """
    unknown = [host for host in args.host if host not in HOSTS]
    if unknown:
        raise ArgumentError(f"host: '{unknown[0]}', expected {', '.join(HOSTS)}")
    if args.ranks != [1] and args.host != ["lammps"]:
        raise ArgumentError(
            f"ranks: {','.join(map(str, args.ranks))} with host {', '.join(args.host)}, expected "
            "host lammps alone"
        )
    if args.simd != "auto" and args.host != ["engine"]:
        raise ArgumentError(f"simd: '{args.simd}' with host {', '.join(args.host)}, expected auto")
    if args.plot is not None and args.plot.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise ArgumentError(f"plot '{args.plot}': expected a name ending in .png, .pdf or .svg")
    if args.seconds <= 0:
        raise ArgumentError(f"seconds: {args.seconds:g}, expected a positive number")
    return [
        Case(host, size, args.system, engine, precision, threads, ranks, args.simd)
        for host, engine, precision, threads, ranks, size in itertools.product(
            args.host, args.engine, args.precision, args.threads, args.ranks, args.sizes
        )
    ]


def run(args: argparse.Namespace) -> int:
    """Run ``camlip bench``.

    Raises:
        EngineError: see :func:`camlip.bench.measure`.
        OSError: if a file cannot be read or written.
    """
    wanted = cases(args)
    model = Model(args.model)
    timings: list[Timing] = []
    # What a device will need is told before the first step.
    logging.basicConfig(format="%(message)s")
    logging.getLogger("camlip.memory").setLevel(logging.INFO)
    with logging_redirect_tqdm():
        for case in tqdm(wanted, unit="case", desc="bench", leave=False):
            timing = measure(args.model, case, args.seconds, model, args.lmp)
            # Sizes that a system cannot have give the same number of atoms twice.
            if not any(_same(timing, other) for other in timings):
                timings.append(timing)
    print(f"{cpu_name()}, {os.cpu_count()} cores; {args.model}, {symbols(model.atomic_numbers)}")
    print(table(timings))
    if args.json is not None:
        with replacing(args.json) as file:
            text = json.dumps(report(args.model, model, args.system, timings), indent=2)
            file.write_text(text + "\n", encoding="utf-8")
    if args.plot is not None:
        plot(timings, f"{args.model.name}, {cpu_name()}", args.plot)
    return 0


def _same(a: Timing, b: Timing) -> bool:
    keys = ("host", "num_atoms", "engine", "precision", "simd", "threads", "ranks")
    return all(getattr(a, key) == getattr(b, key) for key in keys)
