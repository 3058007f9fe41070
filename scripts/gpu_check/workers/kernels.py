"""Time of each kernel of a step, by CUPTI through torch's profiler; or steps for ncu to look at."""

import json
import re
import sys
import tempfile
from pathlib import Path

import jobs

from camlip.models import preset


def profiled(system: jobs.System, steps: int) -> dict:
    """Kernel -> launches and seconds of a step, and how often it was seen."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.init()
    torch.zeros(1, device="cuda")
    for _ in range(5):
        system.compute(system.motion.next())
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        for _ in range(steps):
            system.compute(system.motion.next())
        torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        found.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    return kernels_of(events, steps)


def kernels_of(events: list[dict], steps: int) -> dict:
    """The same, of the events of a trace."""
    kernels: dict[str, dict] = {}
    for event in events:
        name = re.search(r"run_kernel<.*?::(\w+)[<>]", event.get("name", ""))
        if name is None or event.get("cat") != "kernel":
            continue
        entry = kernels.setdefault(name.group(1), {"launches": 0.0, "seconds": 0.0})
        entry["launches"] += 1 / steps
        entry["seconds"] += 1e-6 * event["dur"] / steps
    return kernels


def main() -> None:
    """One preset and size."""
    job = jobs.read()
    own = jobs.model(job["preset"], [14])
    system = jobs.System(own, jobs.silicon(job["size"]), job["backend"])
    result: dict = {"num_atoms": len(system.atoms), "preset": job["preset"]}
    if job["kind"] == "ncu":
        for _ in range(job["steps"]):
            system.compute(system.motion.next())
    else:
        result["kernels"] = profiled(system, job["steps"])
    sample = jobs.crystal(4)
    for name, radius in (("listed", own.cutoff + jobs.SKIN), ("edges", own.cutoff)):
        listed = jobs.Neighbors(radius).update(sample.positions, sample.cell.array, True)
        result[name] = float(listed.offsets[-1]) / len(sample)
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from gpu_check.roofline import counts

    result["work"] = counts(preset(job["preset"]), result["listed"], result["edges"])
    jobs.answer(result)


if __name__ == "__main__":
    main()
