"""Relaxation in the engine against ASE's LBFGS with the same model, ratios in one run.

Processor time of this process, so that a busy machine disturbs little; one thread.  The medians
are over repeats that take turns.  Both stop at the same largest force; with a free cell the stress
limit is what ASE's FrechetCellFilter asks (V S / N <= fmax).

A model with random weights has some minimum near any structure, and others beside it: the structure
is first relaxed there, then displaced, so that both find the same one; the last column says so.

Example:
    python benchmarks/relaxation.py                          # random models, sizes as a user's
    python benchmarks/relaxation.py --model si.pt --structure si.xyz --json relaxation.json
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.io import read
from ase.optimize import FIRE2, LBFGS

import camlip
from camlip import Engine, MLIPCalculator, Model
from camlip.bench import cpu_name

THEIRS = {"lbfgs": LBFGS, "fire": FIRE2}


def naphthalene() -> Atoms:
    """18 atoms: two rings that share a bond."""
    a = 1.40
    x, y = a * np.sqrt(3) / 2, a / 2
    carbons = [(0, y), (0, -y)]
    hydrogens = []
    for side in (-1, 1):
        ring = [(x, a), (2 * x, y), (2 * x, -y), (x, -a)]
        carbons += [(side * p, q) for p, q in ring]
        center = np.array([side * x, 0.0])
        for p, q in ring:
            out = np.array([side * p, q]) - center
            hydrogens.append(tuple(center + out * (1 + 1.09 / a)))
    return Atoms("C10H8", [(p, q, 0.0) for p, q in carbons + hydrogens])


def displaced(atoms: Atoms, file: Path, size: float = 0.05) -> Atoms:
    """The structure at a minimum of the model, then rattled and, if periodic, strained by 1 %."""
    work = atoms.copy()
    options = {"precision": "double", "threads": 1, "steps": 5000}
    camlip.relax(work, file, fmax=1e-3, **options)
    if work.pbc.all():
        work.rattle(0.01, seed=2)
        camlip.relax(work, file, fmax=1e-3, cell="full", **options)
        strain = np.array([[0.01, 0.003, 0], [0.003, -0.005, 0], [0, 0, 0.005]])
        work.set_cell(work.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    work.rattle(size, seed=1)
    return work


def ours(atoms: Atoms, engine: Engine, optimizer: str, cell: str, fmax: float, steps: int):
    """Processor time, evaluations, final energy, and whether it converged."""
    work = atoms.copy()
    smax = fmax * len(work) / work.get_volume() if cell == "full" else None
    begin = time.process_time()
    result = camlip.relax(
        work, engine, fmax=fmax, smax=smax, cell=cell, optimizer=optimizer, steps=steps
    )
    spent = time.process_time() - begin
    return spent, result.evaluations, result.energy, result.converged


def theirs(
    atoms: Atoms, calculator: MLIPCalculator, optimizer: str, cell: str, fmax: float, steps: int
):
    """The same with ASE."""
    work = atoms.copy()
    work.calc = calculator
    calculator.reset()
    target = FrechetCellFilter(work) if cell == "full" else work
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of scipy's logm
        with THEIRS[optimizer](target, logfile=None) as run:
            converged = run.run(fmax=fmax, steps=steps)
    spent = time.process_time() - begin
    return spent, run.nsteps + 1, work.get_potential_energy(), bool(converged)


def compare(name, atoms, file, optimizer, cell, precision, fmax, steps, repeats) -> dict:
    """One line of the table."""
    calculator = MLIPCalculator(file, precision=precision, threads=1)
    calculator.get_potential_energy(atoms)  # makes the tables
    model = Model(file)
    types = np.unique(model.types(atoms.numbers)).tolist()
    engine = Engine(model, precision=precision, threads=1, active_types=types)
    mine, other = [], []
    for _ in range(repeats):
        mine.append(ours(atoms, engine, optimizer, cell, fmax, steps))
        other.append(theirs(atoms, calculator, optimizer, cell, fmax, steps))
    record = {
        "structure": name,
        "num_atoms": len(atoms),
        "optimizer": optimizer,
        "cell": cell,
        "precision": precision,
        "fmax": fmax,
    }
    for who, runs in (("camlip", mine), ("ase", other)):
        record[who] = {
            "seconds": statistics.median(run[0] for run in runs),
            "evaluations": runs[0][1],
            "energy": runs[0][2],
            "converged": all(run[3] for run in runs),
        }
    record["ratio"] = record["ase"]["seconds"] / record["camlip"]["seconds"]
    return record


def line(r: dict) -> str:
    """The record as text."""

    def half(x: dict) -> str:
        mark = " " if x["converged"] else "!"
        each = 1e6 * x["seconds"] / x["evaluations"]
        return f"{1e3 * x['seconds']:9.2f} ms {x['evaluations']:5d}{mark} {each:7.0f} us"

    gap = r["camlip"]["energy"] - r["ase"]["energy"]
    return (
        f"{r['preset']:7s} {r['structure']:12s} {r['num_atoms']:5d} {r['optimizer']:6s} "
        f"{r['cell']:5s} {r['precision']:6s} |{half(r['camlip'])} |{half(r['ase'])} |"
        f"{r['ratio']:7.1f} x "
        f"{1e3 * gap:+9.2f} meV"
    )


def random_file(preset: str, elements: list[int], folder: Path) -> Path:
    """A model file with random weights."""
    from camlip.export import engine_block
    from camlip.random_model import random_model

    path = folder / f"{preset}-{'-'.join(map(str, elements))}.safetensors"
    module = random_model(preset, elements, seed=1, changes={"cutoff": 5.0})
    path.write_bytes(engine_block(module, {}))
    return path


def main() -> None:
    """Compares every combination."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", help="model file (default: random models)")
    parser.add_argument("--structure", help="with --model: file that ASE reads")
    parser.add_argument("--presets", nargs="+", default=["small", "medium"], help="random models")
    parser.add_argument("--precision", nargs="+", default=["mixed"])
    parser.add_argument("--optimizers", nargs="+", default=["lbfgs"], choices=THEIRS)
    parser.add_argument("--fmax", type=float, default=0.01)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if arguments.model:
            atoms = read(arguments.structure)
            assert isinstance(atoms, Atoms)
            atoms.calc = None
            subjects = [("", Path(arguments.structure).stem, atoms, Path(arguments.model))]
        else:
            subjects = []
            for preset in arguments.presets:
                silicon = random_file(preset, [14], Path(name))
                organic = random_file(preset, [1, 6], Path(name))
                crystal = bulk("Si", "diamond", a=5.43, cubic=True).repeat(2)
                subjects += [
                    (preset, "64 Si", displaced(crystal, silicon), silicon),
                    (preset, "naphthalene", displaced(naphthalene(), organic), organic),
                ]
        print(f"{cpu_name()}; processor time, one thread, median of {arguments.repeats}")
        print("model   structure    atoms optim. cell  prec.  | camlip: time, evaluations, each |")
        records = []
        for preset, title, atoms, file in subjects:
            for cell in ("none", "full") if atoms.pbc.all() else ("none",):
                for optimizer in arguments.optimizers:
                    for precision in arguments.precision:
                        records.append(
                            compare(
                                title, atoms, file, optimizer, cell, precision, arguments.fmax,
                                arguments.steps, arguments.repeats,
                            )
                        )  # fmt: skip
                        records[-1]["preset"] = preset
                        print(line(records[-1]), flush=True)
    if arguments.json:
        text = {"cpu": cpu_name(), "camlip": camlip.__version__, "results": records}
        arguments.json.write_text(json.dumps(text, indent=2) + "\n")


if __name__ == "__main__":
    main()
