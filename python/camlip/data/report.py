"""``camlip data FILE ...``: what is in a data set, what looks wrong, and what to drop."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np

from camlip.data.analysis import Analysis, Finding, analyze
from camlip.data.frames import iter_frames
from camlip.data.keys import add_label_key_arguments, label_keys_from_args
from camlip.data.reading import read_structures
from camlip.data.store import prepare
from camlip.data.structure import DataError

_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``camlip data``."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="anything ASE reads, 'file@:100'")
    add_label_key_arguments(parser)
    parser.add_argument("--json", metavar="OUT", help="write the numbers as JSON, '-' for stdout")
    parser.add_argument("--plot", metavar="OUT.png", help="write the distributions as a picture")
    parser.add_argument(
        "--drop", metavar="OUT.xyz", help="write the structures without those that look wrong"
    )
    parser.add_argument(
        "--prepare",
        metavar="OUT.lmdb",
        help="store structures and neighbor lists for training from disk; needs --cutoff",
    )
    parser.add_argument("--cutoff", type=float, metavar="A", help="Angstrom, for --prepare")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUT.lmdb")


def run(args: argparse.Namespace) -> int:
    """Run ``camlip data`` with parsed options.

    Returns:
        Exit status 0.

    Raises:
        DataError: for input that cannot be read, or options that do not fit together.
    """
    keys = label_keys_from_args(args)
    if args.prepare:
        if args.cutoff is None:
            raise DataError("camlip data --prepare: give the --cutoff of the model in Angstrom")
        header = prepare(args.files, args.prepare, args.cutoff, keys=keys, overwrite=args.overwrite)
        print(
            f"{args.prepare}: {header['structures']} structures, {header['atoms']} atoms, cutoff "
            f"{header['cutoff']:g} A, fingerprint {header['fingerprint']}"
        )
        return 0
    structures = read_structures(args.files, keys, require_labels=False)
    analysis = analyze(structures)
    if args.json == "-":
        print(json.dumps(as_json(analysis), indent=2))
    else:
        print(as_text(analysis, args.files))
        if args.json:
            _replace(args.json, json.dumps(as_json(analysis), indent=2) + "\n")
    if args.plot:
        plot(analysis, args.plot)
    if args.drop:
        kept = write_kept(args.files, analysis.dropped, args.drop)
        print(f"{args.drop}: {kept} of {len(structures)} structures", file=sys.stderr)
    return 0


def as_json(analysis: Analysis) -> dict[str, Any]:
    """Summary and findings as plain data."""
    findings = [vars(f) for f in analysis.findings]
    return {**analysis.summary, "all_findings": findings}


def as_text(analysis: Analysis, files: Sequence[str] = ()) -> str:
    """Tables for a terminal."""
    s = analysis.summary
    size = s["atoms_per_structure"]
    lines = [
        ", ".join(files) or "data",
        f"  {s['structures']} structures, {s['atoms']} atoms ({size['min']} to {size['max']} each, "
        f"mean {size['mean']:g}), fingerprint {s['fingerprint']}",
        "  periodic along (abc): " + ", ".join(f"{k} {n}" for k, n in s["pbc"].items()),
        "",
    ]
    lines += _table(
        ["element", "atoms", "structures", "isolated atom (eV)"],
        [
            [e, v["atoms"], v["structures"], _number(s["isolated_atoms"].get(e))]
            for e, v in s["elements"].items()
        ],
    )
    if len(s["config_types"]) > 1:
        rows = [[n, v["structures"], v["atoms"]] for n, v in s["config_types"].items()]
        lines += _table(["configuration type", "structures", "atoms"], rows)
    rows = []
    for name, group, key in (
        ("energy (eV/atom)", "energy", "per_atom"),
        ("  minus composition", "energy", "per_atom_minus_composition"),
        ("|force| (eV/A)", "forces", "size"),
        ("mean stress (eV/A^3)", "stress", "mean_normal"),
    ):
        label = s["labels"].get(group)
        if label and label[key]:
            rows.append([name, label["structures"], *map(_number, label[key].values())])
    headings = ["label", "structures", "min", "1 %", "median", "99 %", "max"]
    lines += _table(headings, rows) if rows else ["no labels", ""]
    pairs = sorted(s["closest_pairs"].items(), key=lambda item: item[1]["distance"])
    if pairs:
        rows = [[n, f"{v['distance']:.3f}", v["source"]] for n, v in pairs[:20]]
        lines += _table(["closest pair", "A", "in"], rows)
        if len(pairs) > 20:
            lines[-1:] = [f"  ... and {len(pairs) - 20} more pairs of elements", ""]
    lines += [f"warning: {w}" for w in s["warnings"]]
    lines += _finding_lines(analysis.findings)
    dropped = len(analysis.dropped)
    if dropped:
        lines.append(
            f"would drop {dropped} of {s['structures']} structures (marked x); "
            "--drop OUT.xyz writes the others"
        )
    else:
        lines.append("would drop nothing")
    return "\n".join(lines)


def plot(analysis: Analysis, path: str | os.PathLike[str]) -> None:
    """Write the distributions of labels, distances and sizes as a picture."""
    from matplotlib.figure import Figure

    a = analysis.arrays
    figure = Figure(figsize=(12, 7), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    panels = (
        ("residuals", "energy minus composition (eV/atom)", "structures"),
        ("forces", "|force| (eV/Å)", "atoms"),
        ("distances", "distance to the nearest neighbor (Å)", "atoms"),
        ("sizes", "atoms per structure", "structures"),
        ("stress", "mean normal stress (eV/Å³)", "structures"),
    )
    for axis, (name, label, count) in zip(axes, panels, strict=False):
        _histogram(axis, a[name], log=name == "forces")
        axis.set_xlabel(label)
        axis.set_ylabel(count)
    axes[5].plot(a["volume"], a["stress"], ".", markersize=3, alpha=0.6)
    axes[5].set_xlabel("volume per atom (Å³)")
    axes[5].set_ylabel("mean normal stress (eV/Å³)")
    if not len(a["stress"]):
        for axis in axes[4:]:
            axis.text(0.5, 0.5, "no stress labels", transform=axis.transAxes, ha="center")
    s = analysis.summary
    figure.suptitle(
        f"{s['structures']} structures, {s['atoms']} atoms: {', '.join(s['elements'])[:80]}"
    )
    temporary = Path(f"{path}.partial")
    figure.savefig(temporary, dpi=120, format=Path(path).suffix.lstrip(".") or "png")
    os.replace(temporary, path)


def write_kept(files: Sequence[str], drop: set[int], path: str | os.PathLike[str]) -> int:
    """Copy the frames that are not dropped, all of their keys included, to extended XYZ.

    Args:
        files: as given to ``camlip data``.
        drop: positions in the sequence of all frames.
        path: written completely or not at all.

    Returns:
        Number of frames written.

    Raises:
        DataError: if nothing is left to write.
    """
    temporary = Path(f"{path}.partial")
    kept = 0
    with temporary.open("w") as stream:
        frames = (atoms for file in files for _, atoms in iter_frames(file))
        for k, atoms in enumerate(frames):
            if k not in drop:
                ase.io.write(stream, atoms, format="extxyz")
                kept += 1
    if kept == 0:
        temporary.unlink()
        raise DataError(f"'{path}': no structure is left to write")
    os.replace(temporary, path)
    return kept


def _histogram(axis: Any, values: Any, log: bool) -> None:
    if not len(values):
        return
    low, high = np.quantile(values, [0.0, 1.0])
    # Far outliers would leave one bar; they are in the table.
    inner = np.quantile(values, [0.002, 0.998])
    width = max(float(inner[1] - inner[0]), 1e-6)
    edges = (max(low, inner[0] - 0.5 * width), min(high, inner[1] + 0.5 * width))
    axis.hist(values, bins=60, range=edges, color="#33658a", log=log)


def _finding_lines(findings: Sequence[Finding]) -> list[str]:
    lines = []
    for kind in dict.fromkeys(f.kind for f in findings):
        # The ones to drop first.
        group = sorted((f for f in findings if f.kind == kind), key=lambda f: not f.drop)
        lines.append(f"{kind}: {len(group)} structures, {sum(f.drop for f in group)} to drop")
        lines += [
            f"  {'x' if f.drop else ' '} {f.source or f.index}: {f.detail}" for f in group[:_SHOWN]
        ]
        if len(group) > _SHOWN:
            lines.append(f"    ... and {len(group) - _SHOWN} more (--json has all)")
    return [*lines, ""] if lines else []


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.5g}" if abs(value) < 1e4 else f"{value:.2f}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """First column to the left, numbers to the right, a blank line at the end."""
    cells = [list(headings), *([str(c) for c in row] for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(headings))]
    lines = []
    for row in cells:
        first = row[0].ljust(widths[0])
        rest = [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        lines.append("  " + "  ".join([first, *rest]).rstrip())
    lines.insert(1, "  " + "-" * (sum(widths) + 2 * len(widths) - 2))
    return [*lines, ""]


def _replace(path: str, text: str) -> None:
    temporary = Path(f"{path}.partial")
    temporary.write_text(text)
    os.replace(temporary, path)
