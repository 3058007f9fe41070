"""Relax a structure and heat it with a camlip model: ``python dynamics.py MODEL STRUCTURE``."""

import argparse

import numpy as np
from ase import units
from ase.io import read, write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import LBFGS

from camlip import MLIPCalculator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="written by camlip export")
    parser.add_argument("structure", help="any file that ASE reads")
    parser.add_argument("--temperature", type=float, default=300.0, help="kelvin")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--time-step", type=float, default=1.0, help="femtoseconds")
    parser.add_argument("-o", "--output", default="trajectory.xyz")
    args = parser.parse_args()

    atoms = read(args.structure)
    # `double` for a relaxation to small forces, `mixed` (the default) for dynamics.
    atoms.calc = MLIPCalculator(args.model, precision="double")
    with LBFGS(atoms, logfile=None) as optimizer:
        optimizer.run(fmax=0.01, steps=200)
    force = np.abs(atoms.get_forces()).max()
    print(f"relaxed: {atoms.get_potential_energy():.6f} eV, largest force {force:.4f} eV/A")

    atoms.calc = MLIPCalculator(args.model)
    rng = np.random.default_rng(0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=args.temperature, rng=rng)
    dynamics = Langevin(
        atoms,
        args.time_step * units.fs,
        temperature_K=args.temperature,
        friction=0.01 / units.fs,
        rng=rng,
    )

    def report() -> None:
        print(
            f"{dynamics.get_time() / units.fs:8.0f} fs  {atoms.get_temperature():6.0f} K  "
            f"{atoms.get_potential_energy():14.6f} eV"
        )
        write(args.output, atoms, format="extxyz", append=dynamics.get_number_of_steps() > 0)

    dynamics.attach(report, interval=max(1, args.steps // 20))
    dynamics.run(args.steps)
    dynamics.close()


if __name__ == "__main__":
    main()
