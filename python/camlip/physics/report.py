"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from camlip.physics.parts import PARTS
from camlip.physics.reference import Published

Row = tuple[str, str, list[float | None]]


def rows_of(part: str, results: dict[str, Any], published: Sequence[Published]) -> list[Row]:
    """Description, unit and the values of all columns, in the order in which they were found."""
    names: dict[str, tuple[str, str]] = {}
    for result in results.values():
        for name, entry in result["values"].items():
            names.setdefault(name, (entry["text"], entry["unit"]))
    rows = []
    for name, (text, unit) in names.items():
        values = [r["values"].get(name, {}).get("value") for r in results.values()]
        values += [column.values.get(f"{part}.{name}") for column in published]
        rows.append((text, unit, values))
    return rows


def markdown(
    content: dict[str, Any],
    published: Sequence[Published],
    title: str,
    description: str,
    picture: str | None = None,
) -> str:
    """The report: a table for each part, what was left out and why, sources.

    Args:
        content: of :func:`~camlip.physics.parts.run_parts`.
        published: columns of values.
        title: name of the model.
        description: of the sample.
        picture: name of the picture's file.
    """
    lines = [f"# Physics of {title}", "", f"Sample: {description}.", ""]
    if picture:
        lines += [f"![curves]({picture})", ""]
    warnings: list[str] = []
    for part, (heading, _) in PARTS.items():
        results = content["parts"].get(part)
        if results is None:
            continue
        lines += [f"## {heading[0].upper()}{heading[1:]}", ""]
        for name, result in results.items():
            if result["status"] != "done":
                lines += [f"{name}: {result['status']}: {result['reason']}", ""]
            warnings += [f"{heading}, {name}: {text}" for text in result["warnings"]]
        rows = rows_of(part, results, published)
        if rows:
            used = [
                c
                for k, c in enumerate(published)
                if any(r[2][len(results) + k] is not None for r in rows)
            ]
            lines += _table(rows, list(results), published, used)
    if warnings:
        lines += ["## To know", "", *[f"- {text}" for text in warnings], ""]
    sources = [f"- {c.name}: {c.source}" for c in published if c.source]
    notes = [f"- {c.name}, {key}: {note}" for c in published for key, note in c.notes.items()]
    if sources:
        lines += ["## Sources", "", *sources, *notes, ""]
    return "\n".join(lines)


def _table(
    rows: list[Row], names: list[str], published: Sequence[Published], used: list[Published]
) -> list[str]:
    keep = [*range(len(names)), *(len(names) + k for k, c in enumerate(published) if c in used)]
    columns = names + [c.name for c in used]
    # The difference to the first other column says most when there is one only.
    compare = len(columns) == 2
    head = ["", "unit", *columns, *(["difference"] if compare else [])]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for text, unit, values in rows:
        shown = [values[k] for k in keep]
        cells = [text, unit, *[_number(v) for v in shown]]
        if compare:
            a, b = shown
            cells.append("" if a is None or b is None else _difference(a, b))
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _number(value: float | None) -> str:
    """Four digits.

    >>> _number(154.2345), _number(5.46871), _number(0.0), _number(None)
    ('154.2', '5.469', '0', '')
    """
    return "" if value is None else f"{value:.4g}"


def _difference(a: float, b: float) -> str:
    return f"{a - b:+.2g}" + (f" ({100 * (a - b) / abs(b):+.1f} %)" if abs(b) > 1e-12 else "")
