"""Alanine dipeptide by a model, water by a force field: ``python mixed_alanine.py MODEL``.

Prints energies, and writes a trajectory and the System as XML.
"""

import argparse
import sys
from pathlib import Path

import openmm
from openmm import app, unit
from openmmml import MLPotential

HERE = Path(__file__).resolve().parent
SOLUTE = ("ACE", "ALA", "NME")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="knows H, C, N and O; train.yaml trains one")
    parser.add_argument("--temperature", type=float, default=300.0, help="kelvin")
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--time-step", type=float, default=0.5, help="femtoseconds")
    parser.add_argument("--interval", type=int, default=500, help="steps between two lines")
    parser.add_argument("--padding", type=float, default=0.9, help="water around it, nm")
    parser.add_argument("--nve", action="store_true", help="no thermostat, no barostat")
    parser.add_argument("--platform", default="CPU")
    parser.add_argument("-o", "--output", default="mixed_alanine", help="without a suffix")
    args = parser.parse_args()

    # As for any simulation with a force field ...
    field = app.ForceField("amber14-all.xml", "amber14/tip3p.xml")
    pdb = app.PDBFile(str(HERE / "alanine.pdb"))
    modeller = app.Modeller(pdb.topology, pdb.positions)
    modeller.addSolvent(field, padding=args.padding * unit.nanometer)
    topology = modeller.topology
    cutoff = min(0.9, 0.95 * args.padding) * unit.nanometer
    molecular = field.createSystem(
        topology, nonbondedMethod=app.PME, nonbondedCutoff=cutoff, constraints=app.HBonds
    )
    # ... and these lines make the inside of the solute the model's.
    solute = [atom.index for atom in topology.atoms() if atom.residue.name in SOLUTE]
    potential = MLPotential("camlip", modelPath=args.model)
    system = potential.createMixedSystem(topology, molecular, solute, forceGroup=1)

    time_step = args.time_step * unit.femtoseconds
    if args.nve:
        integrator = openmm.VerletIntegrator(time_step)
    else:
        system.addForce(openmm.MonteCarloBarostat(1.0 * unit.bar, args.temperature * unit.kelvin))
        integrator = openmm.LangevinMiddleIntegrator(
            args.temperature * unit.kelvin, 1 / unit.picosecond, time_step
        )
    integrator.setConstraintTolerance(1e-6)
    # The only trace of the model is its path and checksum.
    Path(f"{args.output}.xml").write_text(openmm.XmlSerializer.serialize(system))

    platform = openmm.Platform.getPlatformByName(args.platform)
    simulation = app.Simulation(topology, system, integrator, platform)
    simulation.context.setPositions(modeller.positions)
    simulation.minimizeEnergy(maxIterations=200)
    simulation.context.setVelocitiesToTemperature(args.temperature * unit.kelvin, 1)
    simulation.reporters.append(app.DCDReporter(f"{args.output}.dcd", args.interval))
    simulation.reporters.append(
        app.StateDataReporter(
            sys.stdout, args.interval, time=True, potentialEnergy=True, totalEnergy=True,
            temperature=True, density=True,
        )
    )  # fmt: skip
    simulation.step(args.steps)
    ml = simulation.context.getState(energy=True, groups={1}).getPotentialEnergy()
    print(f"{len(solute)} of {topology.getNumAtoms()} atoms by the model, their energy: {ml}")


if __name__ == "__main__":
    main()
