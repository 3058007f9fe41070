"""Conformers of alanine dipeptide for labelling: ``python make_structures.py --work FOLDER``.

Langevin dynamics in vacuum with Amber14 at several temperatures, without constraints; every other
frame is rattled.  The test frames come from trajectories of their own.
"""

import argparse
from pathlib import Path

import numpy as np
import openmm
from ase import Atoms
from ase.io import write
from openmm import app, unit

HERE = Path(__file__).resolve().parent
TEMPERATURES = (300, 500, 800)  # K
FRAMES = {"train": 120, "test": 15}  # of each temperature
INTERVAL = 500  # steps of 1 fs between frames


def trajectory(temperature: float, frames: int, seed: int) -> list[Atoms]:
    """Frames of one trajectory."""
    pdb = app.PDBFile(str(HERE / "alanine.pdb"))
    system = app.ForceField("amber14-all.xml").createSystem(
        pdb.topology, nonbondedMethod=app.NoCutoff, constraints=None
    )
    integrator = openmm.LangevinMiddleIntegrator(
        temperature * unit.kelvin, 5 / unit.picosecond, 0.001 * unit.picoseconds
    )
    integrator.setRandomNumberSeed(seed)
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(pdb.topology, system, integrator, platform)
    simulation.context.setPositions(pdb.positions)
    simulation.minimizeEnergy()
    simulation.context.setVelocitiesToTemperature(temperature, seed)
    simulation.step(5 * INTERVAL)
    rng = np.random.default_rng(seed)
    numbers = [atom.element.atomic_number for atom in pdb.topology.atoms()]
    found = []
    for frame in range(frames):
        simulation.step(INTERVAL)
        positions = simulation.context.getState(positions=True).getPositions(asNumpy=True)
        atoms = Atoms(numbers, positions.value_in_unit(unit.angstrom))
        atoms.positions -= atoms.positions.mean(axis=0)
        if frame % 2:
            atoms.positions += rng.normal(0, 0.04, atoms.positions.shape)
        atoms.info["config_type"] = f"vacuum_{temperature}K"
        found.append(atoms)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the structures")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    for part, (name, frames) in enumerate(FRAMES.items()):
        runs = [trajectory(t, frames, seed=10 * part + k) for k, t in enumerate(TEMPERATURES)]
        write(args.work / f"{name}_unlabelled.xyz", [a for run in runs for a in run])


if __name__ == "__main__":
    main()
