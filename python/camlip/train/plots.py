"""Learning curves and parity plots, as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from camlip.train.evaluation import QUANTITIES, Evaluation
from camlip.train.loss import TERMS

LABELS = {
    "energy_per_atom": ("energy", "eV/atom"),
    "forces": ("force components", "eV/Å"),
    "stress": ("stress components", "eV/Å³"),
}
COLORS = {"train": "#9aa5b1", "valid": "#1f77b4", "test": "#d62728"}
MAX_POINTS = 20_000


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    # The Agg canvas of the figure itself: no global state of pyplot, no display.
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def learning_curves(history: list[dict[str, Any]]) -> bytes:
    """Loss, errors and learning rate against the optimizer step."""
    figure = Figure(figsize=(12, 6.5), dpi=110, layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    steps = [row["step"] for row in history]
    mark = "." if len(steps) < 30 else ""
    titles = {"energy": "energy, meV/atom", "forces": "forces, meV/Å", "stress": "stress, meV/Å³"}
    panels: list[tuple[str, str, float]] = [("loss", "loss", 1.0)]
    panels += [(f"{term}_rmse", f"RMSE of {titles[term]}", 1e3) for term in TERMS]
    for axis, (name, title, factor) in zip(axes, panels, strict=False):
        drawn = False
        for group in ("train", "valid"):
            values = factor * np.array([row[f"{group}_{name}"] for row in history], dtype=float)
            if np.isfinite(values).any() and (values[np.isfinite(values)] > 0).all():
                axis.semilogy(steps, values, color=COLORS[group], label=group, lw=1.2, marker=mark)
                drawn = True
        if drawn:
            axis.legend(frameon=False, fontsize=8)
        else:
            axis.text(0.5, 0.5, "no labels", ha="center", va="center", transform=axis.transAxes)
        axis.set_title(title, fontsize=10)
    axes[4].plot(steps, [row["lr"] for row in history], color="#444444", lw=1.2, marker=mark)
    axes[4].set_title("learning rate", fontsize=10)
    axes[5].plot(
        steps, [row["atoms_per_second"] for row in history], color="#444444", lw=1.2, marker=mark
    )
    axes[5].set_title("atoms per second", fontsize=10)
    stage_two = [row["step"] for row in history if row["stage"] == 2]
    for axis in axes:
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
        if stage_two and stage_two[0] != steps[0]:
            axis.axvline(stage_two[0], color="#999999", lw=0.8, ls=":")
    return png(figure)


def parity_plot(evaluations: Mapping[str, Evaluation]) -> bytes:
    """Predictions against labels for energies, forces and stresses, one color for each set.

    Args:
        evaluations: by name (``train``, ``valid``, ``test``); drawn in this order.
    """
    pairs = {name: evaluation.pairs() for name, evaluation in evaluations.items()}
    shown = [q for q in QUANTITIES if any(len(p[q]) for p in pairs.values())]
    figure = Figure(figsize=(4.6 * max(len(shown), 1), 4.4), dpi=110, layout="constrained")
    axes = figure.subplots(1, max(len(shown), 1), squeeze=False)[0]
    for axis, quantity in zip(axes, shown, strict=False):
        low, high = np.inf, -np.inf
        for k, (name, values) in enumerate(pairs.items()):
            points = values[quantity]
            if len(points) == 0:
                continue
            difference = points[:, 1] - points[:, 0]
            rmse = 1e3 * float(np.sqrt(np.square(difference).mean()))
            if len(points) > MAX_POINTS:
                points = points[:: -(-len(points) // MAX_POINTS)]
            low, high = min(low, points.min()), max(high, points.max())
            axis.scatter(
                points[:, 0],
                points[:, 1],
                s=5,
                lw=0,
                alpha=0.5,
                color=COLORS.get(name, f"C{k}"),
                label=f"{name} RMSE {rmse:.3g} m{LABELS[quantity][1]}".strip(),
                rasterized=True,
            )
        margin = 0.03 * (high - low) or 1e-3
        line = [low - margin, high + margin]
        axis.plot(line, line, color="black", lw=0.7)
        axis.set_xlim(line)
        axis.set_ylim(line)
        axis.set_aspect("equal")
        title, unit = LABELS[quantity]
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(f"label, {unit}", fontsize=9)
        axis.set_ylabel(f"model, {unit}", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.legend(frameon=False, fontsize=8)
    return png(figure)
