"""Energy, forces and stress through an ASE calculator, at positions that change in every call."""

import numpy as np

SHIFT = 1.5  # Angstrom


def places(structure, rebuild):
    """Positions of one step after the other: small motions, and a jump for each new list.

    All atoms jump by more than any skin every ``rebuild`` steps, so that a neighbor list that is
    kept is made again, as it would be in dynamics.
    """
    positions = np.array(structure["positions"])
    motion = np.random.default_rng(0).normal(scale=1e-3, size=(2 * rebuild, *positions.shape))
    trajectory = positions + motion
    trajectory[rebuild:] += [SHIFT, 0, 0]
    step = 0
    while True:
        yield trajectory[step % len(trajectory)]
        step += 1


def calls(atoms, job):
    """What the worker serves: that many calls of ``atoms.calc``; and the energy of an atom, in eV.

    Computes once.
    """
    wanted = ["energy", "forces", "stress"] if atoms.pbc.any() else ["energy", "forces"]
    following = places(job["structure"], job["rebuild"])

    def step(steps):
        for _ in range(steps):
            atoms.positions[:] = next(following)
            for name in wanted:
                atoms.calc.get_property(name, atoms)

    step(1)
    return step, float(atoms.get_potential_energy()) / len(atoms)
