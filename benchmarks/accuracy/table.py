"""The table of benchmarks/accuracy/README.md, from the results and the published errors."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

BEGIN, END = "<!-- table: written by run.py -->", "<!-- end of table -->"


def spread(values: list[float]) -> str:
    """Mean and, of several seeds, standard deviation.

    >>> spread([20.0, 22.0]), spread([8.0])
    ('21 +- 1.4 (2)', '8 (1)')
    """
    deviation = f" +- {stdev(values):.2g}" if len(values) > 1 else ""
    return f"{mean(values):.3g}{deviation} ({len(values)})"


def measured(folder: Path, name: str, preset: str) -> list[dict[str, Any]]:
    """Results of all seeds."""
    return [json.loads(p.read_text()) for p in sorted(folder.glob(f"{name}-{preset}-*.json"))]


def averages(runs: list[dict[str, Any]], test: str, measure: str) -> tuple[list[str], str]:
    """Cells of the errors in energies and forces, and minutes of training."""
    errors = [r["errors"][test] for r in runs]
    cells = [spread([e[f"{key}_{measure}"] for e in errors]) for key in ("energy", "forces")]
    return cells, f"{mean(r['training_minutes'] for r in runs):.0f}"


def rows(name: str, bench: dict[str, Any], folder: Path) -> list[str]:
    """Lines of a benchmark: one of each potential and test set."""
    lines = []
    measure = bench["measure"]
    trained = measured(folder, name, "mace")
    for test in bench["tests"]:
        others = {key: values[test] for key, values in bench.get("published", {}).items()}
        peers = folder / f"{bench['peers']}.json" if "peers" in bench else None
        if peers and peers.exists():
            others |= json.loads(peers.read_text())
        for other, errors in others.items():
            energy, forces = (errors.get(f"{key}_{measure}") for key in ("energy", "forces"))
            cells = [f"{x:.3g}" if x is not None else "" for x in (energy, forces)]
            lines.append(f"| {name} {test} | {measure} | {other} | {' | '.join(cells)} | | | |")
        if trained:
            cells, minutes = averages(trained, test, measure)
            lines.append(
                f"| {name} {test} | {measure} | MACE, trained here, {minutes} minutes | "
                f"{' | '.join(cells)} | | | {minutes} |"
            )
        for preset, goals in bench["goals"].items():
            goal = goals[test]
            if goal == "mace":
                errors = [r["errors"][test][f"forces_{measure}"] for r in trained]
                goal = float(f"{mean(errors):.3g}") if errors else None
            kinds = {f"**camlip `{preset}`**": measured(folder, name, preset)}
            if cheap := measured(folder, name, f"cheap-{preset}"):
                kinds[f"**camlip `{preset}`**, {bench['cheap']['label']} first"] = cheap
            for kind, runs in kinds.items():
                cells = ["", ""]
                verdict = "not run"
                minutes = ""
                if runs:
                    cells, minutes = averages(runs, test, measure)
                    verdict = ""
                    if goal is not None:
                        met = mean(r["errors"][test][f"forces_{measure}"] for r in runs) <= goal
                        verdict = "yes" if met else "**no**"
                lines.append(
                    f"| {name} {test} | {measure} | {kind} | {' | '.join(cells)} | "
                    f"{'' if goal is None else f'{goal:g}'} | {verdict} | {minutes} |"
                )
    return lines


def write(path: Path, benchmarks: dict[str, dict[str, Any]]) -> None:
    """Put the table between its marks."""
    lines = [
        "| test set | errors | potential | energy, meV/atom | forces, meV/A | goal | met | "
        "training, min |",
        "|---|---|---|---:|---:|---:|---|---:|",
    ]
    for name, bench in benchmarks.items():
        lines += rows(name, bench, path.parent / "results")
    replace_between(path, BEGIN, END, "\n".join(lines))


def replace_between(path: Path, begin: str, end: str, body: str) -> None:
    """Put lines between two marks of a file."""
    before, rest = path.read_text().split(begin)
    path.write_text(f"{before}{begin}\n\n{body}\n\n{end}{rest.split(end)[1]}")
