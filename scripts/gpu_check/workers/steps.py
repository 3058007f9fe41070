"""Times of whole steps in the engine: sizes, a molecule, a batch of molecules."""

import jobs
import numpy as np


def batch(own: jobs.Model, backend: str, count: int, seconds: float) -> dict[str, float]:
    """Many molecules in one call."""
    one = jobs.molecule()
    rng = np.random.default_rng(0)
    positions = np.tile(one.positions, (count, 1)) + rng.normal(0, 0.02, (18 * count, 3))
    types = np.tile(own.types(one.numbers), count)
    offsets = 18 * np.arange(count + 1)
    engine = jobs.Engine(own, backend, "mixed")

    def work() -> None:
        engine.compute_systems(positions, types, offsets)

    spent = jobs.median_time(work, seconds)
    return {"molecules": count, "call": spent, "per_molecule": spent / count}


def main() -> None:
    """One job: a preset and what to measure with it."""
    job = jobs.read()
    backend, seconds = job["backend"], job["seconds"]
    result: dict = {"preset": job["preset"], "rows": []}
    if job["kind"] == "silicon":
        own = jobs.model(job["preset"], [14], **job.get("changes", {}))
        system = jobs.System(own, jobs.silicon(job["size"]), backend)
        result.update(jobs.step_times(system, seconds), cutoff=own.cutoff)
    elif job["kind"] == "molecule":
        own = jobs.model(job["preset"], [1, 8])
        result.update(jobs.step_times(jobs.System(own, jobs.molecule(), backend), seconds))
    else:
        own = jobs.model(job["preset"], [1, 8])
        result.update(batch(own, backend, job["count"], seconds))
    jobs.answer(result)


main()
