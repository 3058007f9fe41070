"""Neighbor lists alone, ours and nvalchemi-toolkit-ops', one after the other on one system."""

import importlib.metadata
import statistics

import jobs


def ours(system: jobs.System, rounds: int) -> float:
    """What a step takes longer that makes a list (one atom less, or more), in seconds."""
    positions = system.motion.next()
    counts = [len(positions) - k % 2 for k in range(2 * rounds)]
    for count in counts[:3]:
        system.compute(positions[:count], ("energy",))
    made, kept = [], []
    for count in counts:
        for times in (made, kept):
            work = lambda n=count: system.compute(positions[:n], ("energy",))  # noqa: E731
            times.append(jobs.timed(work))
    return statistics.median(made) - statistics.median(kept)


def theirs(system: jobs.System, radius: float, rounds: int) -> dict:
    """Their list of the same positions, as a matrix, which they recommend."""
    import torch
    from nvalchemiops.torch.neighbors import neighbor_list

    device = torch.device("cuda")
    positions = torch.tensor(system.atoms.positions, dtype=torch.float32, device=device)
    cell = torch.tensor(system.cell, dtype=torch.float32, device=device)[None]
    pbc = torch.tensor([[True, True, True]], device=device)
    found = {}
    for method in (None, "cell_list"):

        def work(method=method):
            result = neighbor_list(positions, radius, cell=cell, pbc=pbc, method=method)
            torch.cuda.synchronize()
            return result

        pairs = int(work()[1].sum())
        for _ in range(3):
            work()
        spent = statistics.median(jobs.timed(work) for _ in range(rounds))
        found[method or "chosen"] = {"seconds": spent, "pairs": pairs}
    return found


def main() -> None:
    """One system."""
    job = jobs.read()
    own = jobs.model("small", [14])
    system = jobs.System(own, jobs.silicon(job["size"]), job["backend"])
    result: dict = {"num_atoms": len(system.atoms), "ours": ours(system, job["rounds"])}
    if job["peer"]:
        try:
            result["theirs"] = theirs(system, own.cutoff + jobs.SKIN, job["rounds"])
            result["version"] = importlib.metadata.version("nvalchemi-toolkit-ops")
        except Exception as error:
            result["why"] = f"{type(error).__name__}: {error}"[:500]
    jobs.answer(result)


main()
