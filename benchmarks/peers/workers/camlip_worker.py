"""camlip from Python: energy, forces and virial through the engine or through ASE.

All atoms are shifted every ``rebuild`` steps by more than the skin, so that the neighbor list is
made again, as it would be in dynamics.
"""

import numpy as np
from protocol import serve

import camlip

SHIFT = 1.5  # Angstrom


def prepare(job):
    """Load the model and compute once."""
    return (through_ase if job["route"] == "ase" else through_engine)(job)


def places(structure, rebuild):
    """Positions of one step after the other: small motions, and a jump for each new list."""
    positions = np.array(structure["positions"])
    motion = np.random.default_rng(0).normal(scale=1e-3, size=(2 * rebuild, *positions.shape))
    trajectory = positions + motion
    trajectory[rebuild:] += [SHIFT, 0, 0]
    step = 0
    while True:
        yield trajectory[step % len(trajectory)]
        step += 1


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

    structure = job["structure"]
    atoms = Atoms(**structure)
    atoms.calc = camlip.MLIPCalculator(job["model"], threads=1)
    wanted = ["energy", "forces", "stress"] if atoms.pbc.any() else ["energy", "forces"]
    following = places(structure, job["rebuild"])

    def step(steps):
        for _ in range(steps):
            atoms.positions[:] = next(following)
            for name in wanted:
                atoms.calc.get_property(name, atoms)

    step(1)
    energy = atoms.get_potential_energy() / len(atoms)
    return step, {"version": f"camlip {camlip.__version__}", "energy": float(energy)}


if __name__ == "__main__":
    serve(prepare)
