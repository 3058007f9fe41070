"""``camlip check``: test a model file on the machine where it is going to run."""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from camlip import model_file
from camlip.calculator import MLIPCalculator
from camlip.domains import compute_domains, slices
from camlip.engine import PROPERTIES, Engine, Model, backends, simd_paths
from camlip.errors import ArgumentError
from camlip.lammps_check import LammpsMissing, lammps_difference
from camlip.openmm_check import OpenMMMissing, openmm_difference
from camlip.parity import (
    DOUBLE,
    FLOAT32,
    MIXED_ANY_MODEL,
    compare,
    engine_evaluator,
    torch_evaluator,
)
from camlip.structures import sample_structures

DERIVATIVE_LIMIT = 1e-6
DOMAIN_LIMIT = 1e-9
DOMAIN_LIMIT_MIXED = 1e-5
DRIFT_LIMIT = 0.02
ENERGY_NOISE_LIMIT = 0.02


@dataclass(frozen=True)
class Outcome:
    """One line of the table.

    Attributes:
        name: what was tested.
        status: ``PASS``, ``FAIL`` or ``SKIP``.
        value: what was found, or the reason.
        limit: what is allowed.
    """

    name: str
    status: str
    value: str
    limit: str = ""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is tested, and on what.

    Attributes:
        path: the model file.
        model: the same, loaded.
        structures: by name; for comparisons.
        main: the structure for everything else; periodic unless the user's is not.
        lmp: LAMMPS executable, or None to look for one.
        engines: those made so far; tables in double take seconds.
    """

    path: Path
    model: Model
    structures: dict[str, Atoms]
    main: Atoms
    lmp: str | None = None
    engines: dict[Any, Engine] = field(default_factory=dict)

    def engine(
        self, backend: str = "auto", precision: str = "double", copy: int = 0, **options: Any
    ) -> Engine:
        """An engine with tables for the elements of the structures only; the same if called again.

        Args:
            backend: of the engine.
            precision: of the engine.
            copy: another number is another engine.
            **options: of the engine.
        """
        key = (backend, precision, copy, *options.items())
        if key not in self.engines:
            used = self.model.types(np.concatenate([a.numbers for a in self.structures.values()]))
            active = np.unique(used).tolist()
            self.engines[key] = Engine(
                self.model, backend, precision, active_types=active, **options
            )
        return self.engines[key]


def verdict(name: str, value: float | np.floating, limit: float, unit: str) -> Outcome:
    """PASS if ``value <= limit``; NaN fails."""
    status = "PASS" if value <= limit else "FAIL"
    return Outcome(name, status, f"{value:.1e} {unit}".strip(), f"{limit:.0e}")


def check_file(subject: Subject) -> Iterator[Outcome]:
    """Both readers accept the file, and the checksum is right."""
    file = model_file.read(subject.path)
    yield Outcome("file: readers and checksum", "PASS", f"{file.container}, {file.size} bytes")


def check_derivatives(subject: Subject) -> Iterator[Outcome]:
    """Forces and virial are derivatives of the energy, by finite differences."""
    for backend in backends(subject.model):
        forces, virial = derivative_errors(subject.engine(backend), subject.main)
        name = f"{backend} double"
        yield verdict(f"forces = -dE/dr, {name}", forces, DERIVATIVE_LIMIT, "rel.")
        yield verdict(f"virial = -dE/dstrain, {name}", virial, DERIVATIVE_LIMIT, "rel.")


def derivative_errors(engine: Engine, atoms: Atoms, seed: int = 0) -> tuple[float, float]:
    """Largest errors of forces and virial against finite differences of the energy.

    Args:
        engine: in double precision.
        atoms: the structure.
        seed: of the random displacements and strains.

    Returns:
        Errors of forces (along the forces and along a random direction) and of the virial (two
        random strains), relative to their norms or to 1 where these are smaller.
    """
    rng = np.random.default_rng(seed)
    found = engine_evaluator(engine)(atoms)
    forces, virial = found["forces"], found["virial"]
    unstrained = np.zeros((3, 3))

    def energy(displacements: NDArray[np.float64], strain: NDArray[np.float64]) -> float:
        moved = atoms.copy()
        moved.positions += displacements
        moved.set_cell(moved.cell.array @ (np.eye(3) + strain))
        moved.positions = moved.positions @ (np.eye(3) + strain)
        return float(engine_evaluator(engine)(moved)["energy"])

    def slope(displacements: NDArray[np.float64], strain: NDArray[np.float64]) -> float:
        # A strain moves an atom by the size of the cell: smaller steps.
        step = 2e-4 if strain.any() else 1e-3
        return derivative(lambda x: energy(x * displacements, x * strain), step)

    force_error = virial_error = 0.0
    for direction in (forces, rng.normal(size=forces.shape)):
        direction = direction / max(float(np.linalg.norm(direction)), 1e-12)
        gap = abs(slope(direction, unstrained) + float((forces * direction).sum()))
        force_error = float(np.maximum(force_error, gap))
    for _ in range(2):
        strain = rng.normal(size=(3, 3))
        strain /= np.linalg.norm(strain)
        gap = abs(slope(np.zeros_like(forces), strain) + float((virial * strain).sum()))
        virial_error = float(np.maximum(virial_error, gap))
    return (
        force_error / max(1.0, float(np.linalg.norm(forces))),
        virial_error / max(1.0, float(np.linalg.norm(virial))),
    )


def derivative(function: Callable[[float], float], step: float) -> float:
    """Derivative at 0, central differences of fourth order."""
    far = function(2 * step) - function(-2 * step)
    near = function(step) - function(-step)
    return (8 * near - far) / (12 * step)


def check_parity(subject: Subject) -> Iterator[Outcome]:
    """Backends, precisions and instruction sets agree with the reference."""
    model, structures = subject.model, subject.structures.values()
    expected = engine_evaluator(subject.engine("reference"))
    variants: list[tuple[str, str, str]] = []
    for backend in backends(model):
        if backend == "reference":
            continue
        variants.append((backend, "double", "auto"))
        paths = simd_paths(model) if backend == "cpu" else ["auto"]
        variants += [(backend, "mixed", simd) for simd in paths]
    for backend, precision, simd in variants:
        options: dict[str, Any] = {} if simd == "auto" else {"simd": simd}
        engine = subject.engine(backend, precision, **options)
        name = f"{backend} {precision} {simd}".removesuffix(" auto")
        limits = DOUBLE if precision == "double" else MIXED_ANY_MODEL
        difference = compare(name, structures, expected, engine_evaluator(engine), limits)
        yield verdict(f"{name}: forces", difference.forces, difference.forces_limit, "eV/A")
        yield verdict(f"{name}: energy", difference.energy, difference.energy_limit, "eV/atom")
    if not variants:
        yield Outcome("backends against the reference", "SKIP", "only the reference is built in")


def check_torchscript(subject: Subject) -> Iterator[Outcome]:
    """TorchScript and engine agree."""
    if model_file.read(subject.path).container != "torchscript":
        yield Outcome("TorchScript", "SKIP", "the file holds the safetensors block alone")
        return
    try:
        import torch
    except ImportError:
        yield Outcome("TorchScript", "SKIP", "torch is not installed")
        return
    module = torch.jit.load(str(subject.path))
    exact = all(parameter.dtype == torch.float64 for parameter in module.parameters())
    difference = compare(
        "TorchScript",
        subject.structures.values(),
        engine_evaluator(subject.engine("reference")),
        torch_evaluator(module, subject.model.cutoff),
        DOUBLE if exact else FLOAT32,
    )
    yield verdict("TorchScript: forces", difference.forces, difference.forces_limit, "eV/A")
    yield verdict("TorchScript: energy", difference.energy, difference.energy_limit, "eV/atom")


def check_domains(subject: Subject) -> Iterator[Outcome]:
    """The system cut into domains, as MPI ranks do it, gives the same numbers."""
    atoms = subject.main
    for backend in backends(subject.model):
        # The tables of other backends take long in double; mistakes of a halo are no small ones.
        exact = backend == "reference"
        precision, limit = ("double", DOMAIN_LIMIT) if exact else ("mixed", DOMAIN_LIMIT_MIXED)
        counts = (1, 2, 4, 7)
        engines = [subject.engine(backend, precision, copy=i) for i in range(max(counts))]
        whole = engines[0].compute_system(
            atoms.positions,
            subject.model.types(atoms.numbers),
            atoms.cell.array if atoms.pbc.any() else None,
            atoms.pbc.tolist(),
            PROPERTIES,
        )
        worst = 0.0
        for count in counts:
            unused = list(engines)
            parts = compute_domains(unused.pop, atoms, slices(atoms, count), count)
            for name in PROPERTIES:
                scale = max(1.0, float(np.abs(whole[name]).max(initial=0.0)))
                gap = float(np.abs(parts[name] - whole[name]).max(initial=0.0)) / scale
                worst = float(np.maximum(worst, gap))
        name = f"{'/'.join(map(str, counts))} domains, {backend} {precision}"
        yield verdict(name, worst, limit, "rel.")


def check_dynamics(subject: Subject) -> Iterator[Outcome]:
    """The energy of a short run without thermostat stays."""
    from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
    from ase.md.verlet import VelocityVerlet

    atoms = subject.main.copy()
    atoms.calc = MLIPCalculator(subject.path, precision="mixed")
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
    Stationary(atoms)
    # Random structures are not at rest; they become hot at once, so the steps are short.
    time_step_fs = 0.1 if atoms.get_masses().min() < 3 else 0.25
    energies, kinetic = [], []
    with VelocityVerlet(atoms, time_step_fs * units.fs) as dynamics:
        for _ in range(200):
            dynamics.run(1)
            kinetic.append(atoms.get_kinetic_energy() / len(atoms))
            energies.append(atoms.get_potential_energy() / len(atoms) + kinetic[-1])
    average = max(float(np.mean(kinetic)), 1e-12)
    picoseconds = time_step_fs * 1e-3 * np.arange(len(energies))
    drift = abs(float(np.polyfit(picoseconds, energies, 1)[0]))
    # So short a run shows gross errors only: no more than a small part of the kinetic energy.
    drift_limit = DRIFT_LIMIT * average / picoseconds[-1]
    name = f"NVE {len(energies)} x {time_step_fs:g} fs"
    yield verdict(f"{name}: spread / kinetic", np.std(energies) / average, ENERGY_NOISE_LIMIT, "")
    yield verdict(f"{name}: drift", drift, drift_limit, "eV/atom/ps")


def check_lammps(subject: Subject) -> Iterator[Outcome]:
    """LAMMPS gives the same numbers."""
    atoms = subject.main
    if not atoms.pbc.all():
        yield Outcome("LAMMPS", "SKIP", "the structure is not periodic in three directions")
        return
    try:
        difference = lammps_difference(subject.path, atoms, subject.engine, subject.lmp)
    except LammpsMissing as error:
        yield Outcome("LAMMPS", "SKIP", str(error))
        return
    yield verdict("LAMMPS double: forces", difference.forces, difference.forces_limit, "eV/A")
    yield verdict("LAMMPS double: energy", difference.energy, difference.energy_limit, "eV/atom")
    limit = 10 * difference.energy_limit
    yield verdict("LAMMPS double: virial", difference.virial, limit, "eV/atom")


def check_openmm(subject: Subject) -> Iterator[Outcome]:
    """OpenMM gives the same numbers."""
    atoms = subject.main
    if atoms.pbc.any() and not atoms.pbc.all():
        yield Outcome("OpenMM", "SKIP", "the structure is periodic in one or two directions")
        return
    try:
        difference = openmm_difference(subject.path, atoms, subject.engine)
    except OpenMMMissing as error:
        yield Outcome("OpenMM", "SKIP", str(error))
        return
    yield verdict("OpenMM double: forces", difference.forces, difference.forces_limit, "eV/A")
    yield verdict("OpenMM double: energy", difference.energy, difference.energy_limit, "eV/atom")


CHECKS = (
    check_file,
    check_derivatives,
    check_parity,
    check_torchscript,
    check_domains,
    check_dynamics,
    check_lammps,
    check_openmm,
)


def checks(subject: Subject) -> Iterator[Outcome]:
    """All checks one after the other; one that breaks fails and the next goes on."""
    for check in CHECKS:
        try:
            yield from check(subject)
        except Exception as error:  # whatever breaks on this machine is a finding
            text = str(error).strip().splitlines() or [""]
            yield Outcome(
                check.__name__.replace("_", " "), "FAIL", f"{type(error).__name__}: {text[0]}"
            )


def subject_of(path: Path, structure: str | None = None, lmp: str | None = None) -> Subject:
    """Load the model and choose structures.

    Args:
        path: model file.
        structure: file that ASE reads; its first frame joins the random structures.
        lmp: LAMMPS executable.

    Raises:
        ModelFileError: if the model cannot be loaded.
        ArgumentError: if the structure cannot be read or has no atoms of the model.
    """
    model = Model(path)
    structures = sample_structures(model.atomic_numbers)
    main = structures["bulk"]
    if structure is not None:
        import ase.io

        try:
            read = ase.io.read(structure, index=0)
        except Exception as error:  # ASE's readers raise whatever their parsing runs into
            raise ArgumentError(
                f"structure '{structure}': ASE cannot read it: {type(error).__name__}: {error}"
            ) from error
        assert isinstance(read, Atoms)
        if len(read) == 0:
            raise ArgumentError(f"structure '{structure}': it has no atoms")
        model.types(read.numbers)
        main = Atoms(read.numbers, read.positions, cell=read.cell, pbc=read.pbc)
        structures = {"given": main, **structures}
    return Subject(path, model, structures, main, lmp)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``camlip check``."""
    parser.add_argument("model", type=Path, help="model file")
    parser.add_argument("--structure", help="test on this structure, too (any file ASE reads)")
    parser.add_argument("--lmp", help="LAMMPS executable (default: the one beside this Python)")
    parser.add_argument("--json", action="store_true", help="results for programs")


def run(args: argparse.Namespace) -> int:
    """Run ``camlip check``: 0 if nothing fails, 1 otherwise."""
    subject = subject_of(args.model, args.structure, args.lmp)
    start = time.perf_counter()
    outcomes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for outcome in checks(subject):
            outcomes.append(outcome)
            if not args.json:
                limit = f"  (limit {outcome.limit})" if outcome.limit else ""
                print(f"{outcome.status}  {outcome.name:<42} {outcome.value}{limit}", flush=True)
    failed = [o for o in outcomes if o.status == "FAIL"]
    seconds = time.perf_counter() - start
    if args.json:
        report = {
            "model": str(args.model),
            "passed": not failed,
            "seconds": seconds,
            "checks": [asdict(outcome) for outcome in outcomes],
        }
        print(json.dumps(report, indent=2))
    else:
        skipped = sum(o.status == "SKIP" for o in outcomes)
        passed = len(outcomes) - len(failed) - skipped
        print(f"{passed} passed, {len(failed)} failed, {skipped} skipped in {seconds:.1f} s")
    return 1 if failed else 0
