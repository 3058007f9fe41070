"""camlip from Python: energy, forces and virial through the engine or through ASE."""

import numpy as np
from ase_calls import calls, places
from protocol import serve

import camlip


def prepare(job):
    """Load the model and compute once."""
    return (through_ase if job["route"] == "ase" else through_engine)(job)


def through_engine(job):
    """One call of the engine for a step: what a host in C or C++ would do."""
    from camlip.engine import Engine, Model

    structure = job["structure"]
    model = Model(job["model"])
    types = model.types(structure["numbers"])
    periodic = any(structure["pbc"])
    cell = np.array(structure["cell"]) if periodic else None
    pbc = structure["pbc"]
    engine = Engine(model, "cpu", "mixed", threads=1, active_types=sorted(set(types.tolist())))
    wanted = ("energy", "forces", "virial") if periodic else ("energy", "forces")
    following = places(structure, job["rebuild"])

    def compute():
        return engine.compute_system(next(following), types, cell, pbc, wanted)

    def step(steps):
        for _ in range(steps):
            compute()

    energy = float(compute()["energy"]) / len(types)
    return step, {
        "version": f"camlip {camlip.__version__}",
        "energy": energy,
        "simd": engine.info.simd,
    }


def through_ase(job):
    """Energy, forces and stress of an Atoms object whose positions change."""
    from ase import Atoms

    atoms = Atoms(**job["structure"])
    atoms.calc = camlip.MLIPCalculator(job["model"], threads=1, device=job.get("device", "cpu"))
    step, energy = calls(atoms, job)
    return step, {"version": f"camlip {camlip.__version__}", "energy": energy}


if __name__ == "__main__":
    serve(prepare)
