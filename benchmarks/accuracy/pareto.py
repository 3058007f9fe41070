"""Table and plot of the ablations: error on held-out data against time of a step."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from table import replace_between

BEGIN, END = "<!-- tables: written by ablation.py -->", "<!-- end of tables -->"


def summary(system: str, measure: str, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds of one system's variants, best forces first.

    >>> runs = [{"system": "a", "variant": "x", "seed": s, "valid_forces_mae": e,
    ...          "valid_energy_mae": 1.0, "train_forces_mae": e} for s, e in ((1, 3.0), (2, 5.0))]
    >>> summary("a", "mae", runs)[0]["forces"]
    4.0
    """
    names = {r["variant"] for r in results if r["system"] == system}
    rows = []
    for name in names:
        runs = [r for r in results if r["system"] == system and r["variant"] == name]
        times = [r["time_over_medium"] for r in runs if "time_over_medium" in r]
        rows.append(
            {
                "variant": name,
                "seeds": len(runs),
                "energy": statistics.mean(r[f"valid_energy_{measure}"] for r in runs),
                "forces": statistics.mean(r[f"valid_forces_{measure}"] for r in runs),
                "training": statistics.mean(r[f"train_forces_{measure}"] for r in runs),
                "time": statistics.mean(times) if times else None,
            }
        )
    return sorted(rows, key=lambda row: row["forces"])


def front(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of :func:`summary` that none beats in both error and time, fastest first.

    >>> rows = [{"forces": 1.0, "time": 2.0}, {"forces": 2.0, "time": 1.0},
    ...         {"forces": 2.5, "time": 1.5}, {"forces": 0.5, "time": None}]
    >>> [row["time"] for row in front(rows)]
    [1.0, 2.0]
    """
    best = float("inf")
    chosen = []
    for row in sorted((r for r in rows if r["time"] is not None), key=lambda r: r["time"]):
        if row["forces"] < best:
            best = row["forces"]
            chosen.append(row)
    return chosen


def write(folder: Path, settings: dict[str, Any], results: list[dict[str, Any]]) -> None:
    """``README.md`` and ``pareto.png`` in ``folder``."""
    lines = []
    for system, which in settings["systems"].items():
        rows = summary(system, which["measure"], results)
        if not rows:
            continue
        best = [row["variant"] for row in front(rows)]
        lines += [
            f"\n## {system}: {which['benchmark']}, {which['measure'].upper()}\n",
            "| variant | forces, meV/A | energy, meV/atom | forces in training | time of a step "
            "over `medium` | seeds |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for row in rows:
            mark = "**" if row["variant"] in best else ""
            cost = f"{row['time']:.2f}" if row["time"] else ""
            lines.append(
                f"| {mark}{row['variant']}{mark} | {row['forces']:.3g} | {row['energy']:.3g} | "
                f"{row['training']:.3g} | {cost} | {row['seeds']} |"
            )
    replace_between(folder / "README.md", BEGIN, END, "\n".join(lines).strip())
    plot(folder / "pareto.png", settings, results)


def plot(path: Path, settings: dict[str, Any], results: list[dict[str, Any]]) -> None:
    """Error against time, a panel for each system that has both."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    panels = {
        system: rows
        for system, which in settings["systems"].items()
        if front(rows := summary(system, which["measure"], results))
    }
    if not panels:
        return
    figure, axes = plt.subplots(
        1, len(panels), figsize=(5.5 * len(panels), 4.5), squeeze=False, layout="constrained"
    )
    for axis, (system, rows) in zip(axes[0], panels.items(), strict=True):
        timed = [row for row in rows if row["time"] is not None]
        axis.scatter([r["time"] for r in timed], [r["forces"] for r in timed], s=14, color="0.5")
        best = front(rows)
        axis.step([r["time"] for r in best], [r["forces"] for r in best], where="post", color="C0")
        for row in timed:
            axis.annotate(row["variant"], (row["time"], row["forces"]), fontsize=6,
                          xytext=(3, 2), textcoords="offset points")  # fmt: skip
        measure = settings["systems"][system]["measure"].upper()
        axis.set(
            xscale="log", yscale="log", title=system, xlabel="time of a step over medium",
            ylabel=f"held-out force {measure}, meV/A",
        )  # fmt: skip
    figure.savefig(path, dpi=110)
    plt.close(figure)
