"""report.md and report.json of all parts that left results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from gpu_check import packing
from gpu_check.common import REHEARSAL

Parts = dict[str, dict]


class Missing(Exception):
    """Why a row has no number."""


def _rows(parts: Parts, part: str, **wanted: object) -> dict:
    """The row of a part with these values."""
    content = parts.get(part)
    if content is None:
        raise Missing(f"part {part} was not run")
    for row in content.get("rows", []):
        if all(row.get(key) == value for key, value in wanted.items()):
            if "why" in row:
                raise Missing(_short(row["why"]))
            return row
    raise Missing(_short(content.get("why") or content["status"]))


def _short(text: str) -> str:
    """One line, for a table."""
    return " ".join(text.replace("|", "/").split())[:160]


Value = tuple[str, bool]


def _rate(preset: str, goal: float) -> Callable[[Parts], Value]:
    def find(parts: Parts) -> Value:
        row = _rows(parts, "bench", case="silicon", preset=preset, size=1000000)
        rate = row["num_atoms"] / row["step"]
        return f"{rate / 1e6:.3g} M atom-steps/s", rate >= goal

    return find


def _step(case: str, preset: str, goal: float, **more: object) -> Callable[[Parts], Value]:
    def find(parts: Parts) -> Value:
        row = _rows(parts, "bench", case=case, preset=preset, **more)
        return f"{1e3 * row['step']:.3g} ms", row["step"] <= goal

    return find


def _batch(parts: Parts) -> Value:
    row = _rows(parts, "bench", case="batch", preset="small")
    spent = row["per_molecule"]
    return f"{1e6 * spent:.3g} us a molecule ({row['molecules']} of them)", spent <= 3e-6


def _list_rate(parts: Parts) -> Value:
    row = _rows(parts, "lists", size=1000000)
    rate = row["num_atoms"] / row["ours"] if row["ours"] > 0 else 0.0
    return f"{rate:.3g} atoms/s", rate >= 5e8


def _list_time(parts: Parts) -> Value:
    spent = _rows(parts, "lists", size=1000)["ours"]
    return f"{1e6 * spent:.3g} us", 0 < spent <= 60e-6


def _list_ratio(parts: Parts) -> Value:
    texts, reached = [], True
    for size in (1000000, 1000):
        row = _rows(parts, "lists", size=size)
        if "theirs" not in row:
            raise Missing(_short(row.get("peer_why", "no answer")))
        best = min(x["seconds"] for x in row["theirs"].values())
        ratio = best / row["ours"] if row["ours"] > 0 else 0.0
        texts.append(f"{ratio:.2g} x at {row['num_atoms']} atoms")
        reached &= ratio >= 3
    return ", ".join(texts), reached


def _peer(name: str, goal: float) -> Callable[[Parts], Value]:
    def find(parts: Parts) -> Value:
        content = parts.get(name)
        if content is None:
            raise Missing(f"part {name} was not run")
        if "ratio" not in content:
            raise Missing(_short(content.get("why") or content["status"]))
        extra = content.get("cuequivariance")
        text = f"{content['ratio']:.3g} x at {content['num_atoms']} atoms"
        return text + (f", cuEquivariance {_short(extra)}" if extra else ""), content[
            "ratio"
        ] >= goal

    return find


def _bytes(preset: str, goal: float) -> Callable[[Parts], Value]:
    def find(parts: Parts) -> Value:
        row = _rows(parts, "bench", case="silicon", preset=preset, size=1000000)
        return f"{row['bytes_per_atom']:.0f} bytes an atom, with the list", (
            row["bytes_per_atom"] <= goal
        )

    return find


def _largest(parts: Parts) -> Value:
    row = _rows(parts, "memory", case="largest")
    return f"{row['num_atoms']:.3g} atoms ran, {row['bytes_per_atom']:.0f} bytes each", (
        row["num_atoms"] >= 1e8
    )


def _parity(parts: Parts) -> Value:
    content = parts.get("accuracy")
    if content is None or not content.get("rows"):
        raise Missing(_short((content or {}).get("why") or "part accuracy was not run"))
    force = max(row["force"] for row in content["rows"])
    energy = max(row["energy"] for row in content["rows"])
    return (
        f"{force:.1e} of the largest force, {energy:.1e} eV/atom",
        force <= 1e-5 and energy <= 1e-6,
    )


def _repeatable(parts: Parts) -> Value:
    content = parts.get("accuracy")
    if content is None or not content.get("rows"):
        raise Missing(_short((content or {}).get("why") or "part accuracy was not run"))
    same = all(row["repeatable"] for row in content["rows"])
    return "the same bits" if same else "bits differ", same


def _growth(parts: Parts) -> Value:
    row = _rows(parts, "memory", case="growth")
    held = row["engine_bytes"]
    free = [x for x in row["free_bytes"] if x is not None]
    lost = free[0] - free[-1] if free else 0
    same = row["steps"] >= 10000 and held[-1] == held[0] and lost <= 2**21
    return (
        f"{held[-1] - held[0]} bytes of the engine, {lost} of the device in {row['steps']} steps",
        same,
    )


def _tests(name: str) -> Callable[[Parts], Value]:
    def find(parts: Parts) -> Value:
        content = parts.get(name)
        if content is None:
            raise Missing(f"part {name} was not run")
        if content["status"] not in ("passed", "failed"):
            raise Missing(_short(content.get("why") or content["status"]))
        ran = content.get("tests", 0) - content.get("skipped", 0)
        text = f"{ran} tests, {content.get('failures', 0) + content.get('errors', 0)} failures"
        return text, content["status"] == "passed"

    return find


GOALS: tuple[tuple[str, str, Callable[[Parts], Value]], ...] = (
    ("`small`, 10^6 Si atoms, full step", "20 M atom-steps/s", _rate("small", 20e6)),
    ("`medium`, 10^6 atoms, 46 neighbors", "5 M atom-steps/s", _rate("medium", 5e6)),
    ("`medium` over symmetrix-xl, MACE 64x0e", "8 x", _peer("symmetrix", 8)),
    ("`medium` over mace-torch, 128x0e + 128x1o", "40 x", _peer("mace", 40)),
    ("neighbor list, 10^6 atoms", "5e8 atoms/s", _list_rate),
    ("neighbor list, 1000 atoms", "60 us", _list_time),
    ("neighbor list over nvalchemi-toolkit-ops", "3 x", _list_ratio),
    ("1000 atoms, `small`", "0.15 ms", _step("silicon", "small", 0.15e-3, size=1000)),
    ("1000 atoms, `medium`", "0.3 ms", _step("silicon", "medium", 0.3e-3, size=1000)),
    ("18 atoms, `small`", "0.06 ms", _step("molecule", "small", 60e-6)),
    ("4096 molecules of 18 atoms in one call, `small`", "3 us a molecule", _batch),
    ("memory, `small`", "1 kB an atom", _bytes("small", 1000)),
    ("memory, `medium`", "4 kB an atom", _bytes("medium", 4000)),
    ("largest `small`, 139 GiB", "10^8 atoms", _largest),
    ("10^4 steps", "no growth of memory", _growth),
    ("parity with `reference`", "1e-5 of the largest force, 1e-6 eV/atom", _parity),
    ("repeated runs", "the same bits", _repeatable),
    ("tests of the backend", "pass", _tests("tests")),
    ("1, 2, 4 LAMMPS ranks on one device", "equal to one on the CPU", _tests("lammps")),
    ("OpenMM's platform CUDA", "equal to Reference", _tests("openmm")),
)


def table(parts: Parts) -> list[dict]:
    """Every row of what the backend must show: reached, missed or not available, and why."""
    rows = []
    for what, goal, find in GOALS:
        try:
            found, reached = find(parts)
            state = "reached" if reached else "missed"
        except Missing as reason:
            found, state = f"not available: {reason}", "not available"
        except (KeyError, TypeError, ValueError) as error:  # an answer that nobody foresaw
            found, state = f"not available: {type(error).__name__} {error}", "not available"
        rows.append({"what": what, "goal": goal, "found": found, "state": state})
    return rows


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _short(str(value))


def _grid(rows: list[dict]) -> list[str]:
    """Rows of a part as a table of all their keys that are numbers or short texts."""
    keys = [k for k in dict.fromkeys(k for r in rows for k in r) if k != "rows"]
    lines = ["| " + " | ".join(keys) + " |", "| --- " * len(keys) + "|"]
    lines += ["| " + " | ".join(_number(r.get(k, "")) for k in keys) + " |" for r in rows]
    return lines


def describe(name: str, content: dict) -> list[str]:
    """A part in words."""
    lines = [f"## {name}: {content['status']}", ""]
    if "why" in content:
        lines += ["```", content["why"], "```", ""]
    for key, value in content.items():
        if key in ("status", "why", "rows"):
            continue
        if isinstance(value, str) and "\n" in value:
            lines += ["```", value, "```"]
        else:
            lines.append(f"- {key}: {value}")
    if content.get("rows"):
        lines += ["", *_grid(content["rows"])]
    return [*lines, ""]


def write(out: Path, names: tuple[str, ...]) -> None:
    """Both files, from what the parts left."""
    parts: Parts = {}
    for name in names:
        file = out / f"{name}.part.json"
        if file.exists():
            parts[name] = json.loads(file.read_text())
    rows, left_out = table(parts), packing.read_left_out()
    content = {"must_show": rows, "left_out": left_out, "parts": parts}
    (out / "report.json").write_text(json.dumps(content, indent=1))
    title = "# gpu-check, a rehearsal on the CPU: no number means anything"
    lines = [
        title if REHEARSAL else "# gpu-check",
        "",
        "| what | goal | found | |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {r['what']} | {r['goal']} | {r['found']} | {r['state']} |" for r in rows]
    lines.append("")
    if left_out:
        lines += ["Left out of the pack:", ""]
        lines += [*(f"- {name}: {why}" for name, why in left_out.items()), ""]
    for name, content in parts.items():
        lines += describe(name, content)
    (out / "report.md").write_text("\n".join(lines))
