"""One HTML file about a run, with its pictures inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

import camlip
from camlip.train.evaluation import QUANTITIES, Evaluation

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 75rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: .7rem 0; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
tr.total td { font-weight: 600; } img { max-width: 100%; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; } .note { color: #666; }
"""
HEADS = {
    "energy_per_atom": "energy, meV/atom",
    "forces": "forces, meV/Å",
    "stress": "stress, meV/Å³",
}


def page(title: str, sections: Sequence[tuple[str, str]]) -> str:
    """A complete HTML page.

    Args:
        title: plain text.
        sections: heading (plain text, may be empty) and body (HTML) of each.
    """
    body = "\n".join(
        (f"<h2>{html.escape(heading)}</h2>\n" if heading else "") + content
        for heading, content in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def image(png: bytes, text: str) -> str:
    """An ``img`` element that contains the picture."""
    return (
        f'<img alt="{html.escape(text)}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
    )


def html_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], total: Sequence[int] = ()
) -> str:
    """A table of plain text; rows listed in ``total`` are emphasized."""
    lines = ["<table>", "<tr>" + "".join(f"<th>{html.escape(h)}</th>" for h in head) + "</tr>"]
    for k, row in enumerate(rows):
        mark = ' class="total"' if k in total else ""
        lines.append(
            f"<tr{mark}>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        )
    return "\n".join([*lines, "</table>"])


def errors_html(tables: Mapping[str, dict[str, Any]]) -> str:
    """Errors of each set, in total and by configuration type and element."""
    shown = [q for q in QUANTITIES if any(t[q] is not None for t in tables.values())]
    head = ["", "number", *[f"{HEADS[q]} {e}" for q in shown for e in ("MAE", "RMSE")]]
    rows: list[list[str]] = []
    total = []

    def add(name: str, number: int, part: dict[str, Any]) -> None:
        cells = [name, str(number)]
        for q in shown:
            errors = part.get(q)
            cells += [f"{1e3 * errors[e]:.2f}" if errors else "–" for e in ("mae", "rmse")]
        rows.append(cells)

    for name, table in tables.items():
        total.append(len(rows))
        add(name, table["configurations"], table)
        for kind, unit in (("by_config_type", ""), ("by_element", " atoms")):
            if len(table[kind]) > 1:
                for key, part in table[kind].items():
                    number = part["configurations"] if kind == "by_config_type" else part["atoms"]
                    add(f"\u2003{name}: {key}{unit}", number, part)
    return html_table(head, rows, total)


def outliers_html(evaluation: Evaluation, number: int = 10) -> str:
    """The structures with the largest errors."""

    def text(value: float | None) -> str:
        return "–" if value is None else f"{1e3 * value:.1f}"

    rows = [
        [
            row["source"],
            row["formula"],
            row["config_type"],
            text(row["energy_per_atom_error"]),
            text(row["forces_rmse"]),
            text(row["forces_max"]),
        ]
        for row in evaluation.outliers(number)
    ]
    head = ["structure", "formula", "type", "energy error, meV/atom"]
    return html_table([*head, "force RMSE, meV/Å", "largest force error, meV/Å"], rows)


def training_report(
    title: str,
    summary: Sequence[tuple[str, str]],
    config: dict[str, Any],
    evaluations: Mapping[str, Evaluation],
    pictures: Mapping[str, bytes],
) -> str:
    """The page that a run leaves behind.

    Args:
        title: of the page.
        summary: names and values for the first table.
        config: complete configuration.
        evaluations: by data set.
        pictures: PNG files by caption.
    """
    tables = {name: evaluation.table() for name, evaluation in evaluations.items()}
    sections = [
        ("", html_table(["", ""], [list(row) for row in summary])),
        ("Errors of the best model (averaged weights)", errors_html(tables)),
        *[(caption, image(png, caption)) for caption, png in pictures.items()],
        *[
            (f"Largest errors: {name}", outliers_html(evaluation))
            for name, evaluation in evaluations.items()
            if name != "train" or len(evaluations) == 1
        ],
        ("Largest errors: train", outliers_html(evaluations["train"]))
        if "train" in evaluations and len(evaluations) > 1
        else ("", ""),
        ("Configuration", f"<pre>{html.escape(yaml.safe_dump(config, sort_keys=False))}</pre>"),
        ("", f'<p class="note">written by camlip {html.escape(camlip.__version__)}</p>'),
    ]
    return page(title, sections)
