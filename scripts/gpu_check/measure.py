"""The parts that measure: steps, memory, accuracy, neighbor lists, peers."""

from __future__ import annotations

import json
from pathlib import Path

from gpu_check import packing
from gpu_check.common import (
    BACKEND,
    REHEARSAL,
    ROOT,
    Clock,
    NotAvailable,
    need_device,
    python,
    run,
    scaled,
    tail,
    worker,
)

CUDA = {"backend": BACKEND}
MOLECULES = 4096
# What `medium` is measured with: 46 neighbors in silicon.
CUTOFF = {"small": {}, "medium": {"cutoff": 6.0}}
# cells of 8 atoms along an edge, until one fits the device
SIZES = {"symmetrix": (16, 12, 8, 5), "mace": (8, 6, 4)}
if REHEARSAL:
    SIZES = {"symmetrix": (2,), "mace": (2,)}


def _try(rows: list[dict], what: dict, name: str, job: dict, clock: Clock, share: float) -> None:
    """Adds what a worker answers, or why it does not."""
    limit = min(clock.left(), share)
    try:
        if limit < 10:
            raise NotAvailable("no time left in this part")
        rows.append({**what, **worker(name, {**CUDA, **job}, limit)})
    except NotAvailable as reason:
        rows.append({**what, "why": str(reason)})


def _part(rows: list[dict]) -> dict:
    bad = [r["why"] for r in rows if "why" in r]
    result: dict = {"status": "failed" if bad else "passed", "rows": rows}
    return {**result, "why": "\n".join(bad)} if bad else result


def bench(_: Path) -> dict:
    """Whole steps of the engine."""
    need_device()
    rows: list[dict] = []
    clock = Clock()
    for preset in ("small", "medium"):
        for size in (1000, 1000000):
            job = {"kind": "silicon", "preset": preset, "size": scaled(size, 64), "seconds": 3}
            job["changes"] = CUTOFF[preset]
            what = {"case": "silicon", "preset": preset, "size": size}
            _try(rows, what, "steps.py", job, clock, 120)
        job = {"kind": "molecule", "preset": preset, "seconds": 2}
        _try(rows, {"case": "molecule", "preset": preset}, "steps.py", job, clock, 60)
        job = {"kind": "batch", "preset": preset, "count": scaled(MOLECULES), "seconds": 3}
        _try(rows, {"case": "batch", "preset": preset}, "steps.py", job, clock, 60)
    return _part(rows)


def accuracy(_: Path) -> dict:
    """Parity with the reference, and the same bits in every run."""
    need_device()
    try:
        return {"rows": worker("accuracy.py", CUDA)["rows"]}
    except NotAvailable as reason:
        return {"status": "failed", "why": str(reason)}


def memory(out: Path) -> dict:
    """Ten thousand steps, and the largest system."""
    need_device()
    rows: list[dict] = []
    clock = Clock()
    job: dict = {"kind": "growth", "size": scaled(1000, 64), "steps": 10000, "seconds": 120}
    _try(rows, {"case": "growth"}, "memory.py", job, clock, 200)
    per_atom = 600.0  # until bench has told
    file = out / "bench.part.json"
    for row in json.loads(file.read_text())["rows"] if file.exists() else []:
        if row.get("preset") == "small" and row.get("size") == 1000000:
            per_atom = row.get("bytes_per_atom", per_atom)
    job = {"kind": "largest", "size": scaled(100000000), "bytes_per_atom": 1.1 * per_atom}
    _try(rows, {"case": "largest"}, "memory.py", job, clock, 300)
    return _part(rows)


def lists(_: Path) -> dict:
    """Neighbor lists beside those of nvalchemi-toolkit-ops."""
    need_device()
    why = packing.install("nvalchemi")
    rows: list[dict] = []
    clock = Clock()
    for size, rounds in ((1000, 200), (1000000, 15)):
        job = {**CUDA, "size": scaled(size, 64), "rounds": rounds, "peer": not why}
        try:
            group = "core" if why else "nvalchemi"
            row = worker("lists.py", job, min(240, clock.left()), group)
        except NotAvailable as reason:
            row = {"why": str(reason)}
        if why:
            row["peer_why"] = why
        elif "theirs" not in row:
            row["peer_why"] = row.pop("why", "it gave no answer")
        rows.append({"case": "lists", "size": size, **row})
    return _part(rows)


def _compare(out: Path, name: str, cueq: bool = False) -> dict:
    """A peer and `medium` through ASE, in turn, on the same structure."""
    need_device()
    why = packing.install("mace") or (name == "symmetrix" and packing.install("symmetrix")) or ""
    if why:
        return {"status": "skipped", "why": why}
    group = name
    clock = Clock()
    said = ""
    for repeat in SIZES[name]:
        job = {"peer": name, "repeat": repeat, "out": str(out), "cueq": cueq, "device": BACKEND}
        job["python"] = {"ours": python(), "peer": python(group)}
        command = [python(), str(ROOT / "scripts" / "gpu_check" / "compare.py")]
        limit = clock.left() if repeat == SIZES[name][-1] else 0.6 * clock.left()
        code, text = run([*command, json.dumps(job)], limit, group)
        answer = next((x for x in reversed(text.splitlines()) if x.startswith("{")), "")
        if code == 0 and answer:
            return {"status": "passed", **json.loads(answer)}
        said = f"{8 * repeat**3} atoms: exit status {code}: {tail(text, 4)}"
        if clock.left() < 60:
            break
    return {"status": "failed", "why": said}


def symmetrix(out: Path) -> dict:
    """symmetrix-xl, a random two-layer MACE of 64 scalar channels."""
    return _compare(out, "symmetrix")


def mace(out: Path) -> dict:
    """mace-torch, 128x0e + 128x1o, with cuEquivariance where it installs."""
    need_device()
    why = packing.install("mace")
    if why:
        return {"status": "skipped", "why": why}
    code, text = run([python("mace"), "-c", "import cuequivariance_ops_torch"], 90, "mace")
    result = _compare(out, "mace", cueq=code == 0)
    if code == 0 and result["status"] == "failed":  # what it says with cuEquivariance is kept
        plain = _compare(out, "mace")
        return {**plain, "cuequivariance": f"failed: {result['why']}"}
    used = "used" if code == 0 else f"not available: {tail(text, 1)}"
    return {**result, "cuequivariance": used}
