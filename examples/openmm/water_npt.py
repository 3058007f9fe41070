"""Liquid water at constant pressure: ``python water_npt.py MODEL``.

Leaves a plot of the density and of the oxygen-oxygen distribution.
"""

import argparse

import matplotlib as mpl
import numpy as np
import openmm
from ase import Atoms
from ase.geometry.rdf import get_rdf
from openmm import app, unit

from camlip.openmm import MLIPForce

mpl.use("Agg")
import matplotlib.pyplot as plt

GRAMS = 1.66053906660  # g/cm3 of one dalton in a cubic Angstrom


def start_structure(args: argparse.Namespace) -> app.Simulation:
    """A box of TIP3P water after a short run: a model must not begin with overlapping molecules."""
    field = app.ForceField("amber14/tip3p.xml")
    modeller = app.Modeller(app.Topology(), [])
    modeller.addSolvent(field, numAdded=args.molecules)
    lengths = modeller.topology.getUnitCellDimensions().value_in_unit(unit.nanometer)
    system = field.createSystem(
        modeller.topology,
        nonbondedMethod=app.CutoffPeriodic,
        nonbondedCutoff=min(0.9, 0.4 * min(lengths)),
    )
    return run(modeller.topology, system, modeller.positions, args, 2.0, 1000)


def model_system(topology: app.Topology, model: str) -> openmm.System:
    """The model alone; masses are those of the elements."""
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors())
    for atom in topology.atoms():
        system.addParticle(atom.element.mass)
    # Elements, periodicity and molecules come from the topology.
    system.addForce(MLIPForce(model, topology))
    return system


def run(
    topology: app.Topology,
    system: openmm.System,
    positions: unit.Quantity,
    args: argparse.Namespace,
    time_step: float,
    steps: int,
) -> app.Simulation:
    """Minimize, then that many steps at the temperature and pressure of the arguments."""
    temperature = args.temperature * unit.kelvin
    # Molecules are scaled as a whole: larger changes of the volume are accepted.
    barostat = openmm.MonteCarloBarostat(args.pressure * unit.bar, temperature, 10)
    integrator = openmm.LangevinMiddleIntegrator(
        temperature, 1 / unit.picosecond, time_step * unit.femtoseconds
    )
    for part in (barostat, integrator):
        part.setRandomNumberSeed(args.seed)
    system.addForce(barostat)
    platform = openmm.Platform.getPlatformByName("CPU")
    simulation = app.Simulation(topology, system, integrator, platform)
    simulation.context.setPositions(positions)
    simulation.minimizeEnergy(maxIterations=100)
    simulation.context.setVelocitiesToTemperature(temperature, args.seed)
    simulation.step(steps)
    return simulation


def frame(simulation: app.Simulation) -> Atoms:
    """The present positions and box for ASE."""
    state = simulation.context.getState(positions=True)
    return Atoms(
        [atom.element.atomic_number for atom in simulation.topology.atoms()],
        state.getPositions(asNumpy=True).value_in_unit(unit.angstrom),
        cell=state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom),
        pbc=True,
    )


def distribution(frames: list[Atoms]) -> tuple[np.ndarray, np.ndarray]:
    """Oxygen-oxygen distribution up to half the smallest box."""
    oxygens = [atoms[atoms.numbers == 8] for atoms in frames]
    reach = min(atoms.cell.lengths().min() for atoms in frames) / 2 - 0.01
    curves = [get_rdf(atoms, reach, int(reach / 0.05)) for atoms in oxygens]
    return curves[0][1], np.mean([curve for curve, _ in curves], axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="knows H and O; `make demo` trains one")
    parser.add_argument("--molecules", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=330.0, help="kelvin")
    parser.add_argument("--pressure", type=float, default=1.0, help="bar")
    parser.add_argument("--steps", type=int, default=40000)
    parser.add_argument("--time-step", type=float, default=0.5, help="femtoseconds")
    parser.add_argument("--interval", type=int, default=50, help="steps between two samples")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", default="water_npt.png")
    args = parser.parse_args()

    start = start_structure(args)
    topology = start.topology
    state = start.context.getState(positions=True)
    topology.setPeriodicBoxVectors(state.getPeriodicBoxVectors())
    system = model_system(topology, args.model)
    simulation = run(topology, system, state.getPositions(), args, args.time_step, 0)
    times, densities, frames = [], [], []
    for step in range(args.interval, args.steps + 1, args.interval):
        simulation.step(args.interval)
        atoms = frame(simulation)
        times.append(1e-3 * step * args.time_step)
        densities.append(GRAMS * atoms.get_masses().sum() / atoms.get_volume())
        if step > args.steps // 2:
            frames.append(atoms)
    late = densities[len(densities) // 2 :]
    print(f"density {np.mean(late):.3f} g/cm3 (spread {np.std(late):.3f}) in the second half")

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
    left.plot(times, densities)
    left.set(xlabel="time (ps)", ylabel="density (g/cm³)")
    right.plot(*distribution(frames))
    right.set(xlabel="O-O distance (Å)", ylabel="g(r)")
    figure.tight_layout()
    figure.savefig(args.output, dpi=120)
    print(f"plot: {args.output}")


if __name__ == "__main__":
    main()
