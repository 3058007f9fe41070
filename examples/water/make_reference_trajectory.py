"""Sample water at 330 K on the GFN1-xTB surface and write its oxygen-oxygen distribution.

The curve that `make demo` draws beside that of the trained model.  Langevin MD of the 32 molecules
of the first 330 K frame of the test set, about 1 s a step on one core; it continues where an
earlier call stopped, and the curve is rewritten all the while.

    OMP_NUM_THREADS=1 python make_reference_trajectory.py --work work --picoseconds 3
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.geometry.rdf import get_rdf
from ase.io import read, write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from tblite.ase import TBLite

from camlip.data import read_structures

HERE = Path(__file__).parent
TEMPERATURE = 330
TIME_STEP_FS = 1.0
# Deuterium: configurations do not depend on masses, and a heavier hydrogen allows 1 fs.
HYDROGEN_MASS = 2.014
FRICTION = 0.01 / units.fs
STEPS_PER_FRAME = 5
# The start was sampled on another surface; this long the trajectory forgets it.
DISCARDED_PS = 0.6
BIN = 0.1


def first_frame(seed: int) -> Atoms:
    """The first 330 K frame of the test set with thermal velocities."""
    structures = read_structures(HERE / "test.xyz.xz")
    start = next(s for s in structures if s.config_type == f"liquid_{TEMPERATURE}K")
    atoms = Atoms(start.atomic_numbers, start.positions, cell=start.cell, pbc=True)
    atoms.set_masses(np.where(atoms.numbers == 1, HYDROGEN_MASS, 15.999))
    thermalize_momenta(atoms, TEMPERATURE, rng=np.random.default_rng(seed))
    return atoms


def distribution(frames: list[Atoms]) -> np.ndarray:
    """Rows of distance (Angstrom), g(r) and its standard error from five blocks of frames."""
    reach = min(frames[0].cell.lengths()) / 2 - 1e-6
    bins = int(reach / BIN)
    curves, r = [], np.empty(0)
    for frame in frames:
        g, r = get_rdf(frame, bins * BIN, bins, elements=[8, 8])
        curves.append(g)
    blocks = [np.mean(block, axis=0) for block in np.array_split(np.array(curves), 5)]
    error = np.std(blocks, axis=0, ddof=1) / np.sqrt(len(blocks))
    return np.column_stack([r, np.mean(curves, axis=0), error])


def write_curve(path: Path, frames: list[Atoms]) -> None:
    """The distribution of ``frames`` as CSV."""
    length = len(frames) * STEPS_PER_FRAME * TIME_STEP_FS / 1000
    header = (
        f"GFN1-xTB, {len(frames[0]) // 3} molecules, {TEMPERATURE} K, {length:.2f} ps after "
        f"{DISCARDED_PS} ps\nr (Angstrom),g_OO,standard error (5 blocks)"
    )
    np.savetxt(path, distribution(frames), fmt="%.4f", delimiter=",", header=header)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("work"), help="scratch folder")
    parser.add_argument("--picoseconds", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    path = arguments.work / f"gfn1_{TEMPERATURE}K_{arguments.seed}.xyz"
    frames = read(path, ":") if path.exists() else []
    # The extended XYZ file keeps momenta and masses.
    atoms = frames[-1].copy() if frames else first_frame(arguments.seed)
    atoms.calc = TBLite(method="GFN1-xTB", verbosity=0)
    rng = np.random.default_rng([arguments.seed, len(frames)])
    bath = Langevin(
        atoms,
        TIME_STEP_FS * units.fs,
        temperature_K=TEMPERATURE,
        friction=FRICTION,
        rng=rng,
        fixcm=False,
    )
    discarded = round(1000 * DISCARDED_PS / TIME_STEP_FS / STEPS_PER_FRAME)
    total = round(1000 * arguments.picoseconds / TIME_STEP_FS / STEPS_PER_FRAME)
    while len(frames) < total:
        bath.run(STEPS_PER_FRAME)
        frame = atoms.copy()
        write(
            path,
            frame,
            format="extxyz",
            columns=["symbols", "positions", "momenta", "masses"],
            append=True,
        )
        frames.append(frame)
        if len(frames) % 20 == 0:
            print(
                f"{len(frames) * STEPS_PER_FRAME} steps, {atoms.get_temperature():.0f} K",
                flush=True,
            )
            if len(frames) > discarded + 20:
                write_curve(arguments.work / "oo_distribution.csv", frames[discarded:])
    write_curve(arguments.work / "oo_distribution.csv", frames[discarded:])


if __name__ == "__main__":
    main()
