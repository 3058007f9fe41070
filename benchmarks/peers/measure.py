"""Contenders in processes of their own, measured in turn: a ratio is of one and the same run."""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WORKERS = Path(__file__).resolve().parent / "workers"
ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "DP_INTRA_OP_PARALLELISM_THREADS",
        "DP_INTER_OP_PARALLELISM_THREADS",
    )
}


class Unavailable(Exception):
    """A peer that cannot be measured here; the text says why."""


@dataclass
class Contender:
    """One side of a comparison: a worker script, the Python that runs it, and its job.

    ``block`` steps belong together, for example those from one list build to the next.
    """

    name: str
    worker: str
    job: dict[str, Any]
    python: str = sys.executable
    environment: dict[str, str] = field(default_factory=dict)
    block: int = 1


def prepare(name: str, python: str, script: str, made: Path, job: Mapping[str, Any]) -> Path:
    """Run a script that makes the model of a peer, unless it is there.

    The script gets the path as its argument and the job as JSON on standard input.

    Raises:
        Unavailable: if it fails.
    """
    if made.exists():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [python, str(WORKERS / script), str(made)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        env=os.environ | ONE_THREAD,
    )
    if done.returncode or not made.exists():
        raise Unavailable(f"{name}: making its model failed: {done.stderr.strip()[-500:]}")
    return made


class Worker:
    """A running contender."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        environment = {
            key: value for key, value in os.environ.items() if key != "LAMMPS_PLUGIN_PATH"
        }
        self._process = subprocess.Popen(
            [contender.python, str(WORKERS / contender.worker)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment | ONE_THREAD | contender.environment,
        )
        # Read all the time, so that a chatty library does not block on a full pipe.
        self._said: deque[str] = deque(maxlen=30)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.facts = self._ask(json.dumps(contender.job))

    def _listen(self) -> None:
        assert self._process.stderr is not None
        self._said.extend(self._process.stderr)

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # the missing answer tells
            print(line, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        while answer and not answer.startswith("{"):  # printed while libraries were imported
            self._said.append(answer)
            answer = self._process.stdout.readline()
        if not answer:
            self.close()
            raise Unavailable(
                f"{self.contender.name}: the worker '{self.contender.worker}' ended with status "
                f"{self._process.returncode}: {''.join(self._said).strip()[-1500:]}"
            )
        return json.loads(answer)

    def run(self, steps: int) -> dict[str, float]:
        """Seconds of processor and wall time that so many steps take."""
        return self._ask(str(steps))

    def close(self) -> None:
        """End the process: it stops when it has nothing more to read."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._listener.join()
        self._process.stdout.close()
        self._process.stderr.close()


def alternate(
    contenders: Mapping[str, Contender],
    rounds: int = 5,
    seconds: float = 1.0,
    clock: str = "cpu",
) -> dict[str, Any]:
    """Measure contenders in turn, each at least ``seconds`` a round by ``clock``, cpu or wall.

    Returns:
        For each key: ``facts`` of the worker, ``steps`` of a round, and the processor and wall
        time of a step, in seconds, for each round.
    """
    workers: dict[str, Worker] = {}
    found: dict[str, Any] = {}
    try:
        for key, contender in contenders.items():
            workers[key] = Worker(contender)
            found[key] = {
                "name": contender.name,
                "facts": workers[key].facts,
                "cpu_per_step": [],
                "wall_per_step": [],
            }
        for key, worker in workers.items():
            block = worker.contender.block
            worker.run(block)  # caches, lazy initialization
            spent = worker.run(block)[clock]
            found[key]["steps"] = block * max(1, math.ceil(seconds / max(spent, 1e-6)))
        for _ in range(rounds):
            for key, worker in workers.items():
                steps = found[key]["steps"]
                spent = worker.run(steps)
                found[key]["cpu_per_step"].append(spent["cpu"] / steps)
                found[key]["wall_per_step"].append(spent["wall"] / steps)
    finally:
        for worker in workers.values():
            worker.close()
    return found


def median(values: Sequence[float]) -> float:
    """The middle value; the mean of the two middle ones of an even number."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else 0.5 * (ordered[middle - 1] + ordered[middle])
