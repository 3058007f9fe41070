"""Memory over many steps, and the largest system that fits."""

import time

import jobs
import numpy as np


def free_bytes() -> int | None:
    """Of the device; None without torch for CUDA."""
    import torch

    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None


def growth(job: dict) -> dict:
    """Ten thousand steps of dynamics-like motion, with new lists on the way."""
    own = jobs.model("small", [14])
    system = jobs.System(own, jobs.silicon(job["size"]), job["backend"])
    begin = time.perf_counter()
    held, free, done = [], [], 0
    for done in range(1, job["steps"] + 1):
        system.compute(system.motion.next())
        if done % (job["steps"] // 5) == 0:
            held.append(system.engine.info.memory_bytes)
            free.append(free_bytes())
        if time.perf_counter() - begin > job["seconds"]:
            break
    return {"steps": done, "engine_bytes": held, "free_bytes": free}


def largest(job: dict) -> dict:
    """One step with a list of its own, if it fits."""
    own = jobs.model("small", [14])
    free = free_bytes()
    size = job["size"]
    if free is not None:
        size = min(size, int(0.9 * free / job["bytes_per_atom"]))
    side = int(np.ceil((size / 8) ** (1 / 3)))
    unit = jobs.bulk("Si", cubic=True)
    # By hand: what ASE keeps of an atom is many times its place.
    edge = unit.cell.array[0, 0]
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    positions = (grid * edge + unit.positions[None]).reshape(-1, 3)
    positions += np.random.default_rng(1).normal(0, 0.05, positions.shape)
    types = np.zeros(len(positions), dtype=np.int32)
    engine = jobs.Engine(own, job["backend"], "mixed", skin=jobs.SKIN)
    cell = np.eye(3) * edge * side

    def step() -> None:
        engine.compute_system(positions, types, cell, True, ("energy", "forces"))

    first = jobs.timed(step)
    later = jobs.timed(step)
    return {
        "num_atoms": len(positions),
        "first": first,
        "later": later,
        "bytes_per_atom": engine.info.memory_bytes / len(positions),
    }


job = jobs.read()
jobs.answer({"growth": growth, "largest": largest}[job["kind"]](job))
