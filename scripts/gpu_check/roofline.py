"""What each kernel has to do for an atom, and how near to the device's limits it comes.

Counted are fused multiply-adds, two operations each, without padding, and bytes of arrays over
atoms and list entries, read or written once: what DRAM has to move.  Gathers of neighbors and
atomics are served by the second-level cache and counted apart, as are none of the weights.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
from pathlib import Path

from gpu_check.common import (
    BACKEND,
    ROOT,
    WORKERS,
    Clock,
    NotAvailable,
    need_device,
    python,
    run,
    scaled,
    tail,
    worker,
)

# name in nvidia-smi -> float32 operations and bytes of memory a second, of NVIDIA's data sheets
PEAKS = {"H200": (67e12, 4.8e12), "H100": (67e12, 3.35e12), "A100": (19.5e12, 2.0e12)}
SIZE = 100000
METRICS = (
    "gpu__time_duration.sum",
    "dram__bytes.sum",
    "lts__t_bytes.sum",
    "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum",
    "sm__warps_active.avg.pct_of_peak_sustained_active",
)


def counts(config, listed: float, edges: float) -> dict[str, dict[str, float]]:
    """Operations, bytes of DRAM and bytes of the second-level cache of each kernel, per atom.

    Args:
        config: of the model.
        listed: neighbors per atom in the list.
        edges: of them within the cutoff.
    """
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from roofline import counts as stages

    per_stage = {name: fma for name, (fma, _) in stages(config, listed, edges).items()}
    above = config.num_layers > 1
    m, k, width = (config.max_rank + 1) ** 2, config.num_radial, config.exchange_width
    sums = 4 * m * k  # of layer 0
    # index, shift and, of a neighbor, place and type
    entry, gather = 8 * listed, 28 * listed
    own = 24 + 4 + 8
    passes = 3 if above else 1
    one_pass = per_stage["neighbors"] / passes
    adjoint = ["readout adjoint", "contraction adjoint", "products adjoint", "mixing adjoint"]
    block = ["mixing", "products", "contraction", "readout", "send", *adjoint]
    depth = hidden = 0  # bytes of the sums above layer 0, and of what an atom keeps
    if above:
        vectors = config.num_message_vectors
        sent = config.num_message_scalars + vectors
        sides = (8 if config.max_rank >= 2 else 3) * vectors
        rank = (config.message_rank + 1) ** 2
        depth = 4 * (rank * sent + sides) * config.num_message_radial
        hidden = 4 * config.num_hidden
    found = {
        "MomentsForward": (per_stage["moments"] + one_pass, entry + own + sums, gather),
        "AtomBlock": (
            sum(per_stage[name] for name in block),
            # Sums in and their adjoints out; above, those of layer 0 come in and out twice more.
            (6 if above else 2) * sums + 2 * depth + 4 * hidden + (12 * width if above else 0),
            0.0,
        ),
        "MomentsBackward": (
            per_stage["moments adjoint"] + one_pass,
            entry + own + sums + 24,
            gather + 2 * 24 * edges,
        ),
    }
    if above:
        feature = 4 * width
        found["MessagesForward"] = (
            per_stage["messages"] + one_pass,
            entry + own + depth,
            gather + feature * edges,
        )
        found["MessagesBackward"] = (
            per_stage["messages adjoint"] + one_pass,
            entry + own + depth + 24,
            gather + (feature + 2 * 8 * width + 2 * 24) * edges,
        )
    keys = ("operations", "dram_bytes", "cache_bytes")
    return {
        name: dict(zip(keys, (2 * fma, dram, cache), strict=True))
        for name, (fma, dram, cache) in found.items()
    }


def peaks() -> tuple[str, float, float] | None:
    """Of this device, where the table knows it."""
    code, text = run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], 60)
    for name, (operations, memory) in PEAKS.items():
        if code == 0 and name in text:
            return name, operations, memory
    return None


def rows_of(preset: str, found: dict, limits: tuple[str, float, float] | None) -> list[dict]:
    """One row for each kernel that was seen."""
    work = found["work"]
    rows = []
    for name, entry in sorted(found["kernels"].items(), key=lambda x: -x[1]["seconds"]):
        row = {"preset": preset, "kernel": name, "launches": entry["launches"]}
        row["ns_per_atom"] = 1e9 * entry["seconds"] / found["num_atoms"]
        if name in work and entry["seconds"] > 0:
            rate = found["num_atoms"] / entry["seconds"]
            row["operations_per_second"] = work[name]["operations"] * rate
            row["dram_bytes_per_second"] = work[name]["dram_bytes"] * rate
            row["cache_bytes_per_second"] = work[name]["cache_bytes"] * rate
            if limits:
                row["of_operations"] = row["operations_per_second"] / limits[1]
                row["of_memory"] = row["dram_bytes_per_second"] / limits[2]
        rows.append(row)
    return rows


def roofline(_: Path) -> dict:
    """Times of kernels by CUPTI, as torch's profiler gives them."""
    need_device()
    rows: list[dict] = []
    limits, clock, bad = peaks(), Clock(), []
    for name in ("small", "medium"):
        job = {"kind": "time", "preset": name, "size": scaled(SIZE, 64), "steps": 20}
        job["backend"] = BACKEND
        try:
            found = worker("kernels.py", job, min(240, clock.left()))
            if not found["kernels"]:
                raise NotAvailable("torch's profiler saw no kernel of ours")
            rows += rows_of(name, found, limits)
        except NotAvailable as reason:
            bad.append(f"{name}: {reason}")
    result: dict = {"status": "failed" if bad else "passed", "rows": rows}
    result["peaks"] = "unknown device" if limits is None else {limits[0]: limits[1:]}
    return {**result, "why": "\n".join(bad)} if bad else result


def ncu_rows(text: str) -> list[dict]:
    """Sums over the launches of each kernel in ncu's CSV.

    >>> ncu_rows('''"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
    ... "0","void run_kernel<camlip::cuda::Search>(T1)","dram__bytes.sum","byte","1,024"
    ... "1","void run_kernel<camlip::cuda::Search>(T1)","dram__bytes.sum","Kbyte","1"''')
    [{'kernel': 'Search', 'launches': 2, 'dram__bytes.sum': 2024.0}]
    """
    lines = text.splitlines()
    start = next((n for n, x in enumerate(lines) if x.startswith('"ID"')), None)
    if start is None:
        return []
    factors = {"K": 1e3, "M": 1e6, "G": 1e9, "u": 1e-6, "n": 1e-9, "m": 1e-3}
    found: dict[str, dict] = {}
    launches: dict[str, set] = {}
    for row in csv.DictReader(io.StringIO("\n".join(lines[start:]))):
        name = re.search(r"run_kernel<.*?::(\w+)[<>]", row.get("Kernel Name") or "")
        metric, text_value = row.get("Metric Name"), row.get("Metric Value") or ""
        if name is None or metric is None:
            continue
        try:
            value = float(text_value.replace(",", ""))
        except ValueError:
            continue
        unit = row.get("Metric Unit") or ""
        prefixed = unit.endswith(("byte", "second")) and unit not in ("byte", "second")
        value *= factors.get(unit[0], 1.0) if prefixed else {"ns": 1e-9, "us": 1e-6}.get(unit, 1.0)
        entry = found.setdefault(name.group(1), {"kernel": name.group(1), "launches": 0})
        launches.setdefault(name.group(1), set()).add(row["ID"])
        entry["launches"] = len(launches[name.group(1)])
        if ".pct" in metric:  # the last launch stands for all
            entry[metric] = value
        else:
            entry[metric] = entry.get(metric, 0.0) + value
    return list(found.values())


def ncu(out: Path) -> dict:
    """Nsight Compute's numbers for every kernel of a few steps."""
    need_device()
    program = shutil.which("ncu")
    if program is None:
        return {"status": "skipped", "why": "ncu is missing"}
    rows, bad, clock = [], [], Clock()
    for name in ("small", "medium"):
        job = {"kind": "ncu", "preset": name, "size": scaled(20000, 64), "steps": 2}
        command = [program, "--csv", "--clock-control", "none", "--metrics", ",".join(METRICS)]
        command += [python(), str(WORKERS / "kernels.py")]
        code, text = run(
            command, min(240, clock.left()), stdin=json.dumps({**job, "backend": BACKEND})
        )
        (out / f"ncu-{name}.csv").write_text(text)
        found = ncu_rows(text)
        rows += [{"preset": name, **row} for row in found]
        if not found:
            bad.append(f"{name}: exit status {code}: {tail(text, 3)}")
    result: dict = {"status": "skipped" if bad else "passed", "rows": rows}
    return {**result, "why": "\n".join(bad)} if bad else result
