"""Test errors of the SNAP potentials that come with LAMMPS.

    python benchmarks/accuracy/lammps_peers.py             # Si, Cu, Ni, Li
    python benchmarks/accuracy/lammps_peers.py Cu

The potentials of Zuo et al. (J. Phys. Chem. A 2020, 124, 731) were trained on the training
structures of the mlearn sets; here they meet the test structures.  Needs ``lammps`` and ASE;
writes ``results/SNAP-ELEMENT.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from lammps_calculator import potential

HERE = Path(__file__).parent
ELEMENTS = ("Si", "Cu", "Ni", "Li")
POTENTIALS = {"SNAP": "snap", "quadratic SNAP": "quadratic.snap"}


def errors(element: str, kind: str, structures: list[Atoms]) -> dict[str, float]:
    """RMSE and MAE: energies in meV/atom, forces in meV/Angstrom."""
    energies, forces = [], []
    stem = f"{element}_Zuo_JPCA2020.{kind}"
    calculator = potential("snap", [f"{stem}coeff", f"{stem}param"], element)
    for labelled in structures:
        atoms = labelled.copy()
        atoms.calc = calculator
        energies.append((atoms.get_potential_energy() - labelled.info["REF_energy"]) / len(atoms))
        forces.append((atoms.get_forces() - labelled.arrays["REF_forces"]).ravel())
    per_atom, components = 1e3 * np.array(energies), 1e3 * np.concatenate(forces)
    return {
        "energy_mae": float(np.abs(per_atom).mean()),
        "energy_rmse": float(np.sqrt((per_atom**2).mean())),
        "forces_mae": float(np.abs(components).mean()),
        "forces_rmse": float(np.sqrt((components**2).mean())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("elements", nargs="*", default=ELEMENTS, metavar="ELEMENT")
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    args = parser.parse_args()
    for element in args.elements:
        structures = ase.io.read(args.data / f"mlearn_{element}" / "test.xyz.xz", ":")
        found = {name: errors(element, kind, structures) for name, kind in POTENTIALS.items()}
        path = HERE / "results" / f"SNAP-{element}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
        for name, values in found.items():
            line = ", ".join(f"{key} {value:.3g}" for key, value in values.items())
            print(f"{element} {name}: {line}")


if __name__ == "__main__":
    main()
