"""Differences from the backend ``reference`` in double, and whether runs give the same bits."""

import jobs
import numpy as np


def main() -> None:
    """Bulk, larger than a bin of the cell list, and a molecule."""
    job = jobs.read()
    rows = []
    for preset in ("small", "medium"):
        for name, atoms in (("crystal", jobs.crystal(4)), ("molecule", jobs.molecule())):
            own = jobs.model(preset, sorted(set(atoms.numbers.tolist())))
            exact = jobs.System(own, atoms, "reference", "double").compute(atoms.positions)
            system = jobs.System(own, atoms, job["backend"])
            found = system.compute(atoms.positions)
            same = True
            for _ in range(3):  # a recorded step and replayed ones
                again = system.compute(atoms.positions)
                same &= all(np.array_equal(again[key], found[key]) for key in found)
            largest = np.abs(exact["forces"]).max()
            rows.append(
                {
                    "preset": preset,
                    "structure": name,
                    "force": float(np.abs(found["forces"] - exact["forces"]).max() / largest),
                    "energy": float(abs(found["energy"] - exact["energy"]) / len(atoms)),
                    "repeatable": bool(same),
                }
            )
    jobs.answer({"rows": rows})


main()
