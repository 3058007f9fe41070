"""The parts that check: device, build, registers, tests, LAMMPS, OpenMM, sanitizers."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from gpu_check import packing
from gpu_check.common import (
    LIMIT,
    ROOT,
    Clock,
    NoDevice,
    has_module,
    need_device,
    python,
    run,
    tail,
    why_no_device,
)

TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
# Every kernel, both precisions, lists by bins and by all pairs, small enough for the sanitizers.
SMALL_CASE = """
import sys
sys.path.insert(0, "tests")
from camlip.engine import Engine
from model_zoo import zoo
from test_gpu import disordered
for size in (12, 300):
    atoms = disordered(size)
    for precision in ("mixed", "double"):
        model = zoo("tiny").model
        engine = Engine(model, "cuda", precision)
        for _ in range(3):
            engine.compute_system(
                atoms.positions, model.types(atoms.numbers), atoms.cell.array, True,
                ("energy", "forces", "virial", "centroid_virial", "atomic_energies"))
"""


def device(_: Path) -> dict:
    """What machine this is."""
    fields = "name,memory.total,driver_version,compute_cap,clocks.max.sm,power.limit"
    code, text = run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"], 60)
    _, nvcc = run(["nvcc", "--version"], 60)
    _, torch = run([python(), "-c", "import torch; print(torch.__version__)"], 90)
    result = {
        "nvcc": (re.findall(r"release [\d.]+, V([\d.]+)", nvcc) or ["not found"])[0],
        "python": platform.python_version(),
        "torch": tail(torch, 1),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
    if code != 0:
        raise NoDevice(f"nvidia-smi: {tail(text, 1)}", result)
    return {**result, "gpu": text.strip().splitlines()[0]}


def build(_: Path) -> dict:
    """Installs what is missing and builds with all cores."""
    begin = time.perf_counter()
    for group in ("scipy", "core"):
        why = packing.install(group)
        if why:
            return {"status": "failed", "why": f"{group}: {why}"}
    hosts = {group: packing.install(group) for group in ("lammps", "openmm")}
    options = ["-DCAMLIP_CUDA=ON", "-DCAMLIP_BUILD_TESTS=OFF"]
    for group, why in hosts.items():
        options.append(f"-DCAMLIP_{group.upper()}={'OFF' if why else 'ON'}")
    code, text = run([str(ROOT / "scripts" / "build-in-place"), *options])
    if code != 0:  # where time was short, the next run goes on
        return {"status": "failed", "why": tail(text)}
    why_no_device.cache_clear()
    seconds = round(time.perf_counter() - begin)
    return {"seconds": seconds, **{name: why or "built" for name, why in hosts.items()}}


def registers(_: Path) -> dict:
    """Registers, stack and spills of every kernel."""
    code, text = run([sys.executable, str(ROOT / "scripts" / "cuda-report"), "--json"])
    if code not in (0, 1):
        return {"status": "failed", "why": tail(text)}
    rows = json.loads(text)
    spilled = [f"{r['kernel']} {r['precision']} {r['arch']}" for r in rows if r["spills"]]
    result = {"kernels": len(rows), "spilled": spilled, "rows": rows}
    return {"status": "failed", "why": "spills", **result} if spilled else result


def _pytest(out: Path, name: str, *arguments: str) -> dict:
    need_device()
    file = out / f"{name}.xml"
    command = [python(), "-m", "pytest", "-q", "--maxfail=20", f"--junit-xml={file}"]
    code, text = run([*command, *arguments])
    result = {"status": "passed" if code == 0 else "failed", "output": tail(text, 30)}
    if code == 5:
        result["status"] = "skipped"
    if file.exists():
        suite = next(ElementTree.parse(file).getroot().iter("testsuite"))
        result.update({k: int(suite.get(k, 0)) for k in ("tests", "failures", "errors", "skipped")})
        if code == 0 and result["tests"] == result["skipped"]:
            result["status"] = "skipped"
    if code == 124:
        result["why"] = f"not done after {LIMIT} s"
    return result


def tests(out: Path) -> dict:
    """Parity with the reference for every shape of model, lists, tiles, moving atoms."""
    return _pytest(out, "tests", "tests/test_gpu.py")


def lammps(out: Path) -> dict:
    """1, 2 and 4 ranks on the device against one on the CPU."""
    need_device()
    if not (ROOT / "python/camlip/lammps/mlipplugin.so").exists() or not has_module("lammps"):
        why = packing.read_left_out().get("lammps", "the Python package lammps is missing")
        return {"status": "skipped", "why": why}
    return _pytest(out, "lammps", "tests/lammps/test_lammps_gpu.py")


def openmm(out: Path) -> dict:
    """OpenMM's platform CUDA against Reference."""
    need_device()
    if not (ROOT / "python/camlip/openmm/libCamlipOpenMMCUDA.so").exists():
        why = packing.read_left_out().get("openmm", "the Python package openmm is missing")
        return {"status": "skipped", "why": why}
    return _pytest(out, "openmm", "tests/openmm/test_openmm_gpu.py")


def sanitizer(_: Path) -> dict:
    """compute-sanitizer's tools on small systems."""
    need_device()
    program = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    if not Path(program).exists():
        return {"status": "skipped", "why": "compute-sanitizer is missing"}
    result: dict = {"status": "passed"}
    clock = Clock()
    for n, tool in enumerate(TOOLS):
        command = [program, "--tool", tool, "--error-exitcode", "9", python(), "-c", SMALL_CASE]
        code, text = run(command, clock.left() / (len(TOOLS) - n))
        summary = re.findall(r"(ERROR SUMMARY.*|RACECHECK SUMMARY.*)", text)
        result[tool] = {"code": code, "summary": summary[-1] if summary else tail(text, 5)}
        if code != 0:
            result["status"] = "failed"
            result[tool]["output"] = "\n".join(text.splitlines()[:60])
    return result
