"""A peer and our `medium`, in turn, in one run.  Started by measure.py with a job in JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "scripts" / "gpu_check" / "workers")]

from peers.measure import Contender, alternate, median, prepare  # noqa: E402
from peers.systems import ase_structure  # noqa: E402

CUTOFF = 5.0
REBUILD = 10
IRREPS = {"symmetrix": "64x0e", "mace": "128x0e + 128x1o"}
WRITE = (
    "import sys, jobs, pathlib; pathlib.Path(sys.argv[1])"
    ".write_bytes(jobs.block('medium', [14], cutoff=float(sys.argv[2])))"
)


def main() -> None:
    """Medians of both, and their ratio."""
    import jobs

    given = json.loads(sys.argv[1])
    name, out, interpreter = given["peer"], Path(given["out"]), given["python"]
    atoms = jobs.crystal(given["repeat"])
    structure = {"structure": ase_structure(atoms), "cutoff": CUTOFF, "rebuild": REBUILD}
    model = out / "peer-medium.camlip"
    workers = str(ROOT / "scripts" / "gpu_check" / "workers")
    paths = os.pathsep.join([str(ROOT / "python"), workers])
    subprocess.run(
        [interpreter["ours"], "-c", WRITE, str(model), str(CUTOFF)],
        env={**os.environ, "PYTHONPATH": paths},
        check=True,
    )
    ours = {**structure, "route": "ase", "model": str(model), "device": given["device"]}
    theirs = {**structure, "channels": 64, "skin": 0.5, "irreps": IRREPS[name]}
    theirs["device"] = given["device"]
    theirs["cueq"] = given["cueq"]
    environment = {}
    if name == "symmetrix":
        made = out / "symmetrix-silicon.json"
        script = "prepare_symmetrix.py"
        theirs["model"] = str(prepare(name, interpreter["peer"], script, made, theirs))
        environment = {
            "SYMMETRIX_BACKEND": {"cuda": "cuda13-sm90", "cpu": "auto"}[given["device"]],
            "SYMMETRIX_JIT_CACHE": str(out / "symmetrix-compiled"),
        }
    found = alternate(
        {
            "ours": Contender("camlip", "camlip_worker.py", ours, interpreter["ours"], {}, REBUILD),
            "peer": Contender(
                name, f"{name}_worker.py", theirs, interpreter["peer"], environment, REBUILD
            ),
        },
        rounds=5,
        seconds=2.0,
        clock="wall",
    )
    steps = {key: median(found[key]["wall_per_step"]) for key in ("ours", "peer")}
    ratios = zip(found["peer"]["wall_per_step"], found["ours"]["wall_per_step"], strict=True)
    print(
        json.dumps(
            {
                "num_atoms": len(atoms),
                "seconds": steps,
                "ratio": median([peer / own for peer, own in ratios]),
                "facts": {key: found[key]["facts"] for key in found},
                "irreps": IRREPS[name],
            }
        )
    )


main()
