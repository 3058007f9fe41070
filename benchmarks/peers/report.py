"""Results as JSON and as the table of benchmarks/README.md."""

from __future__ import annotations

import datetime
import json
import platform
from pathlib import Path
from typing import Any

from peers.context import Comparison
from peers.measure import median

BEGIN = "<!-- table: written by compare.py -->"
END = "<!-- end of table -->"
COLUMNS = (
    "peer",
    "system",
    "camlip",
    "peer, us/atom/step",
    "camlip, us/atom/step",
    "ratio",
    "goal",
    "met",
)


def cpu_name() -> str:
    """What Linux calls the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown"
    fields: dict[str, str] = {}
    for line in text.split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    name = fields.get("model name", platform.machine())
    return f"{name}, family {fields.get('cpu family')}, model {fields.get('model')}"


def result(comparison: Comparison, measured: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a comparison."""
    import camlip

    rows = {}
    peer = median(measured["peer"]["cpu_per_step"]) / comparison.atoms * 1e6
    for preset in comparison.ours:
        ours = median(measured[preset]["cpu_per_step"]) / comparison.atoms * 1e6
        # The contenders were measured in turn: the ratio of each round, and the middle of them.
        pairs = zip(measured["peer"]["cpu_per_step"], measured[preset]["cpu_per_step"], strict=True)
        per = comparison.neighbors.get(preset, 1.0) / comparison.neighbors.get("peer", 1.0)
        ratio = median([theirs / own for theirs, own in pairs]) * per
        goal = comparison.goals.get(preset)
        rows[preset] = {
            "peer_us_per_atom": peer,
            "camlip_us_per_atom": ours,
            "ratio": ratio,
            "goal": goal,
            "met": None if goal is None else ratio >= goal,
        }
    return {
        "key": comparison.key,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_name(),
        "camlip": camlip.__version__,
        "peer": comparison.peer.name,
        "system": comparison.system,
        "atoms": comparison.atoms,
        "work": comparison.work,
        "notes": comparison.notes,
        "neighbors": comparison.neighbors,
        "rows": rows,
        "measured": measured,
    }


def skipped(key: str, reason: str) -> dict[str, Any]:
    """What is kept of a comparison that could not be made."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {"key": key, "date": now.isoformat(timespec="seconds"), "skipped": reason}


def number(value: float) -> str:
    """Three digits.

    >>> number(3612.3), number(0.0512)
    ('3610', '0.0512')
    """
    return f"{float(f'{value:.3g}'):g}" if value < 1e5 else f"{value:.0f}"


def table(results: list[dict[str, Any]]) -> str:
    """Rows in the order given, what is compared in numbered notes, what was skipped last."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|---|---|---:|---:|---:|---:|---|"]
    notes: list[str] = []
    missing: list[str] = []
    for found in results:
        if "skipped" in found:
            missing.append(f"- `{found['key']}`: not measured: {found['skipped']}")
            continue
        notes.append(
            f"{len(notes) + 1}. {found['peer']}: {found['work']}. Peer: {found['notes']['peer']}. "
            f"camlip: {found['notes']['ours']}. Measured {found['date'][:10]}, {found['cpu']}."
        )
        per_neighbor = " (per neighbor)" if found["neighbors"] else ""
        for preset, row in found["rows"].items():
            goal = "" if row["goal"] is None else f"{row['goal']:g} x"
            met = {None: "", True: "yes", False: "**no**"}[row["met"]]
            cells = (
                f"{found['peer']} [{len(notes)}]",
                found["system"],
                f"`{preset}`",
                number(row["peer_us_per_atom"]),
                number(row["camlip_us_per_atom"]),
                f"{number(row['ratio'])} x{per_neighbor}",
                goal,
                met,
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *notes, *([""] if missing else []), *missing])


def insert(readme: Path, text: str) -> None:
    """Put the table between its marks.

    Raises:
        ValueError: if the file lacks the marks.
    """
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"'{readme}': no lines '{BEGIN}' and '{END}' around the table")
    readme.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def load(folder: Path, order: list[str]) -> list[dict[str, Any]]:
    """The results that are there, in the order of the comparisons."""
    found = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    known = [found.pop(key) for key in order if key in found]
    return known + [value for value in found.values() if "rows" in value and "measured" in value]


def save(folder: Path, found: dict[str, Any]) -> None:
    """One file for each comparison."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{found['key']}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
