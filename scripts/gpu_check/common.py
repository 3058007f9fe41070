"""What all parts share: where things are, how programs run, how a part says what is amiss."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FETCHED = ROOT / "build" / "gpu-fetched"
WHEELS = ROOT / "build" / "gpu-wheels"
VENVS = ROOT / "build" / "gpu-venv"
WORKERS = Path(__file__).resolve().parent / "workers"
LIMIT = 520  # seconds of a part
# `--rehearse`: everything on the CPU and a thousand times smaller, to see that the parts work.
REHEARSAL = bool(os.environ.get("GPU_CHECK_REHEARSAL"))
NOT_BUILT = "cannot open the library of its kernels"  # what the engine says
BACKEND = "cpu" if REHEARSAL else "cuda"


def scaled(count: int, least: int = 1) -> int:
    """A number of atoms or steps, smaller in a rehearsal."""
    return max(least, count // 1000) if REHEARSAL else count


class NoDevice(Exception):
    """There is nothing to run on; the second argument is what is known nevertheless."""

    @property
    def status(self) -> str:
        """Of a part that ends with it."""
        return "not built" if NOT_BUILT in self.args[0] else "no CUDA device"


class NotAvailable(Exception):
    """A peer or a tool is missing; the text says why."""


def python(group: str = "core") -> str:
    """The interpreter of a group of wheels, or the one that runs this."""
    for name in (group, "core"):
        own = VENVS / name / "bin" / "python"
        if own.exists():
            return str(own)
    return sys.executable


def environment(group: str = "core") -> dict[str, str]:
    """Of a program: the checkout is what it imports."""
    given = os.environ
    return {
        **given,
        "PYTHON": python(group),
        "PYTHONPATH": str(ROOT / "python"),
        "LAMMPS_PLUGIN_PATH": str(ROOT / "python" / "camlip" / "lammps"),
        "OMP_NUM_THREADS": given.get("OMP_NUM_THREADS", "1"),
        "JOBS": given.get("JOBS", str(os.cpu_count() or 2)),
    }


def run(
    command: list[str], limit: float = LIMIT, group: str = "core", stdin: str | None = None
) -> tuple[int, str]:
    """Exit status and output, both streams together; 124 after the limit, 127 without a program.

    After the limit all that the program started ends with it.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(group),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        return 127, f"{missing.filename}: not found"
    try:
        text = process.communicate(stdin, timeout=max(limit, 1))[0]
        return process.returncode, text
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return 124, process.communicate()[0] + f"\nnot done after {limit:.0f} s"
    except BaseException:  # the user's Ctrl-C does not reach another session
        os.killpg(process.pid, signal.SIGKILL)
        raise


def tail(text: str, lines: int = 15) -> str:
    """The last lines."""
    return "\n".join(text.strip().splitlines()[-lines:])


def worker(name: str, job: dict, limit: float = LIMIT, group: str = "core") -> dict:
    """Runs a script of ``workers`` with a job as JSON; its last line is its answer.

    Raises:
        NotAvailable: with its last words, if there is no answer.
    """
    code, text = run([python(group), str(WORKERS / name)], limit, group, stdin=json.dumps(job))
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    why = f"not done after {limit:.0f} s" if code == 124 else f"exit status {code}"
    raise NotAvailable(f"{name}: {why}: {tail(text, 4)}")


def has_module(name: str, group: str = "core") -> bool:
    """Whether an import succeeds."""
    return run([python(group), "-c", f"import {name}"], 90, group)[0] == 0


def need_device() -> None:
    """Asks the engine, which is what matters.

    Raises:
        NoDevice: with its answer, where it gives one.
        NotAvailable: where there is no engine to ask.
    """
    why = why_no_device(python())
    if "_engine" in why:  # the checkout without its native parts
        why = f"{NOT_BUILT}: nothing is built in this checkout, run scripts/gpu-check build"
    if "no CUDA device" in why or NOT_BUILT in why:
        raise NoDevice(why)
    if why:
        raise NotAvailable(why)


@cache
def why_no_device(interpreter: str) -> str:
    """The last words of the engine, or nothing where it can use a device."""
    code, text = run([interpreter, str(WORKERS / "device.py"), BACKEND], 120)
    return (text.strip().splitlines() or ["no answer"])[-1] if code != 0 else ""


class Clock:
    """How much of the time of a part is left."""

    def __init__(self, limit: float = LIMIT) -> None:
        self._end = time.monotonic() + limit

    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()
