"""The curves of all parts in one PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from camlip.physics.parts import PARTS
from camlip.physics.reference import Published
from camlip.physics.report import rows_of

COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#7f7f7f")


def draw(content: dict[str, Any], published: Sequence[Published], title: str) -> bytes:
    """A panel for each part that was computed, the model and its references in each."""
    panels = [
        (part, {n: r for n, r in results.items() if r["status"] == "done"})
        for part in PARTS
        if (results := content["parts"].get(part))
    ]
    panels = [(part, results) for part, results in panels if results]
    columns = min(3, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure = Figure(figsize=(4.6 * columns, 3.5 * rows), dpi=100, layout="constrained")
    axes = np.atleast_1d(np.asarray(figure.subplots(rows, columns, squeeze=False))).ravel()
    figure.suptitle(title, fontsize=11)
    for axis, (part, results) in zip(axes, panels, strict=False):
        axis.set_title(PARTS[part][0], fontsize=10)
        _PANELS[part](axis, part, results, published)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False, fontsize=7)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _lines(x: str, names: Callable[[dict[str, Any]], list[str]], labels: tuple[str, str]) -> Any:
    def panel(axis: Any, part: str, results: dict[str, Any], published: Any) -> None:
        for color, (source, result) in zip(COLORS, results.items(), strict=False):
            curves = result["curves"]
            if x not in curves:
                continue
            for k, name in enumerate(names(curves)):
                values = np.array([np.nan if v is None else v for v in curves[name]], dtype=float)
                text = source if name in ("energy", "volume") else f"{name} {source}"
                axis.plot(
                    curves[x], values, color=color, lw=1.1, ls=("-", "--", ":")[k % 3], label=text
                )
        axis.set_xlabel(labels[0], fontsize=8)
        axis.set_ylabel(labels[1], fontsize=8)

    return panel


def _others(*left_out: str) -> Callable[[dict[str, Any]], list[str]]:
    return lambda curves: [name for name in curves if name not in left_out]


def _eos(axis: Any, part: str, results: dict[str, Any], published: Any) -> None:
    _lines("volume", lambda _: ["energy"], ("volume, Å³/atom", "energy, eV/atom"))(
        axis, part, results, published
    )


def _dimers(axis: Any, part: str, results: dict[str, Any], published: Any) -> None:
    _lines("distance", _others("distance"), ("distance, Å", "energy, eV"))(
        axis, part, results, published
    )
    axis.set_yscale("symlog", linthresh=1.0)


def _bars(axis: Any, part: str, results: dict[str, Any], published: Sequence[Published]) -> None:
    rows = rows_of(part, results, published)
    names = list(next(iter(results.values()))["values"])
    columns = [*results, *(c.name for c in published)]
    used = [k for k in range(len(columns)) if any(row[2][k] is not None for row in rows)]
    width = 0.8 / max(1, len(used))
    for place, k in enumerate(used):
        values = [np.nan if row[2][k] is None else row[2][k] for row in rows]
        at = np.arange(len(rows)) + (place - (len(used) - 1) / 2) * width
        axis.bar(at, values, width, color=COLORS[k % len(COLORS)], label=columns[k])
    axis.set_xticks(range(len(rows)), names[: len(rows)], rotation=60, fontsize=7)
    axis.set_ylabel(rows[0][1] if rows else "", fontsize=8)


def _phonons(axis: Any, part: str, results: dict[str, Any], published: Any) -> None:
    for color, (source, result) in zip(COLORS, results.items(), strict=False):
        curves = result["curves"]
        if "wavenumbers" in curves:
            found = curves["wavenumbers"]
            axis.plot(range(1, len(found) + 1), found, "o", color=color, ms=3, label=source)
            axis.set_xlabel("mode", fontsize=8)
            axis.set_ylabel("1/cm", fontsize=8)
            continue
        # Sources have cells of their own, and so paths of their own length.
        distance = np.array(curves["distance"]) / max(curves["distance"][-1], 1e-12)
        bands = np.array(curves["bands"])
        lines = axis.plot(distance, bands, color=color, lw=0.8)
        lines[0].set_label(source)
        ticks = np.array(curves["ticks"]) / max(curves["distance"][-1], 1e-12)
        axis.set_xticks(ticks, curves["labels"], fontsize=7)
        axis.set_ylabel("frequency, THz", fontsize=8)
    axis.axhline(0, color="#999999", lw=0.5)


_PANELS: dict[str, Callable[[Any, str, dict[str, Any], Any], None]] = {
    "eos": _eos,
    "elastic": _bars,
    "phonons": _phonons,
    "vacancy": _bars,
    "surface": _bars,
    "dimers": _dimers,
    "nve": _lines("time", lambda _: ["energy"], ("time, ps", "total energy, eV/atom")),
    "rdf": _lines("distance", _others("distance"), ("distance, Å", "g(r)")),
    "diffusion": _lines("time", _others("time"), ("time, ps", "mean square displacement, Å²")),
}
