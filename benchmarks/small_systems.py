"""Time of one call for small systems: energy and forces in C, from Python and through ASE.

    python benchmarks/small_systems.py [--json benchmarks/results/small_systems.json]

Positions change before every call by 0.001 Angstrom (the neighbor list is kept, as in dynamics;
"rebuilt": it is made anew in every call).  "batch": camlip.compute_batch with BATCH of them, each a
little different, per structure.  Processor time of one thread; the ways take turns, and what
counts is the median over the rounds.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from relaxation import naphthalene, random_file

import camlip
from camlip.bench import cpu_name
from camlip.engine import Engine, Model

GOALS = {
    ("naphthalene", "small", "C"): 50.0,
    ("naphthalene", "small", "ASE"): 150.0,
    ("naphthalene", "medium", "C"): 300.0,
    ("naphthalene", "medium", "ASE"): 450.0,
}
BATCH = 200
LIBRARY = Path(camlip.__file__).parent / "lib" / "libcamlip.so"


class Options(ctypes.Structure):
    """``camlip_engine_options``."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("backend", ctypes.c_char_p),
        ("precision", ctypes.c_char_p),
        ("num_threads", ctypes.c_int32),
        ("num_active_types", ctypes.c_int32),
        ("active_types", ctypes.c_void_p),
        ("skin", ctypes.c_double),
        ("simd", ctypes.c_char_p),
    )


class System(ctypes.Structure):
    """``camlip_system``."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("num_atoms", ctypes.c_int64),
        ("positions", ctypes.c_void_p),
        ("types", ctypes.c_void_p),
        ("cell", ctypes.c_void_p),
        ("periodic", ctypes.c_int32 * 3),
    )


class Results(ctypes.Structure):
    """``camlip_results``."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("energy", ctypes.c_void_p),
        ("atomic_energies", ctypes.c_void_p),
        ("forces", ctypes.c_void_p),
        ("virial", ctypes.c_void_p),
        ("centroid_virial", ctypes.c_void_p),
    )


class Motion:
    """Positions that change in every call; with ``far`` by more than the skin."""

    def __init__(self, atoms: Atoms, far: bool = False) -> None:
        self.start = atoms.positions.copy()
        steps = np.random.default_rng(0).normal(scale=1e-3, size=(10, *self.start.shape))
        if far:
            steps[::2] += [1.0, 0.0, 0.0]  # all of them: the structure stays what it is
        self.steps = steps
        self.done = 0

    def next(self) -> np.ndarray:
        self.done += 1
        return self.start + self.steps[self.done % len(self.steps)]


def through_c(file: Path, atoms: Atoms, far: bool = False) -> Callable[[], None]:
    """``camlip_compute_system`` of the library, called with nothing in between."""
    library = ctypes.CDLL(str(LIBRARY))
    library.camlip_last_error.restype = ctypes.c_char_p
    model, engine = ctypes.c_void_p(), ctypes.c_void_p()

    def check(status: int) -> None:
        if status:
            raise RuntimeError(library.camlip_last_error().decode())

    check(library.camlip_model_load(str(file).encode(), ctypes.byref(model)))
    options = Options(ctypes.sizeof(Options), None, None, 1, 0, None, -1.0, None)
    check(library.camlip_engine_create(model, ctypes.byref(options), ctypes.byref(engine)))
    motion = Motion(atoms, far)
    types = Model(str(file)).types(atoms.numbers)
    positions, cell = atoms.positions.copy(), atoms.cell.array.copy()
    energy, forces = np.zeros(1), np.zeros_like(positions)
    system = System(
        ctypes.sizeof(System), len(atoms), positions.ctypes.data, types.ctypes.data,
        cell.ctypes.data, tuple(int(p) for p in atoms.pbc),
    )  # fmt: skip
    results = Results(ctypes.sizeof(Results), energy.ctypes.data, None, forces.ctypes.data)
    compute, a, b = library.camlip_compute_system, ctypes.byref(system), ctypes.byref(results)
    keep = (model, types, positions, cell, energy, forces)

    def call() -> None:
        positions[:] = motion.next()
        begin = time.thread_time_ns()
        status = compute(engine, a, b)
        call.spent = time.thread_time_ns() - begin  # type: ignore[attr-defined]
        check(status)
        assert keep

    return call


def through_python(file: Path, atoms: Atoms) -> Callable[[], None]:
    """:meth:`camlip.engine.Engine.compute_system`."""
    model = Model(str(file))
    engine, motion, types = Engine(model, threads=1), Motion(atoms), model.types(atoms.numbers)
    cell, pbc = atoms.cell.array.copy(), atoms.pbc.tolist()

    def call() -> None:
        positions = motion.next()
        begin = time.thread_time_ns()
        engine.compute_system(positions, types, cell, pbc)
        call.spent = time.thread_time_ns() - begin  # type: ignore[attr-defined]

    return call


def in_batch(file: Path, atoms: Atoms) -> Callable[[], None]:
    """:func:`camlip.compute_batch`; the time is that of one structure."""
    engine = Engine(Model(str(file)), threads=1)
    batch = [atoms.copy() for _ in range(BATCH)]
    for seed, twin in enumerate(batch):
        twin.rattle(1e-3, seed=seed)

    def call() -> None:
        begin = time.thread_time_ns()
        camlip.compute_batch(batch, engine, properties=("energy", "forces"))
        call.spent = (time.thread_time_ns() - begin) / BATCH  # type: ignore[attr-defined]

    return call


def through_ase(calculator: Calculator, atoms: Atoms) -> Callable[[], None]:
    """``get_potential_energy`` and ``get_forces`` of an :class:`ase.Atoms`."""
    atoms, motion = atoms.copy(), Motion(atoms)
    atoms.calc = calculator

    def call() -> None:
        positions = motion.next()
        begin = time.thread_time_ns()
        atoms.positions[:] = positions
        atoms.get_potential_energy()
        atoms.get_forces()
        call.spent = time.thread_time_ns() - begin  # type: ignore[attr-defined]

    return call


class Nothing(Calculator):
    """What ASE itself costs: a calculator that has the answer already."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=None, system_changes=()) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms or ()), 3))}


def measure(ways: dict[str, Callable[[], None]], rounds: int, calls: int) -> dict[str, float]:
    """Median microseconds of each way; they take turns, ``calls`` calls a turn."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, call in ways.items():
            for _ in range(1 if name == "batch" else calls):
                call()
                if turn:  # the first one warms up
                    times[name].append(1e-3 * call.spent)  # type: ignore[attr-defined]
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    """Every system with every preset."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--presets", nargs="+", default=["small", "medium"])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=50, help="of one way in a row")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    systems = {
        "water": molecule("H2O"),
        "naphthalene": naphthalene(),
        "8 Si": bulk("Si", "diamond", a=5.43, cubic=True),
    }
    records = []
    print(f"{cpu_name()}; us a call: processor time of one thread, medians")
    print(
        f"{'':22s}{'C':>8s}{'rebuilt':>9s}{'Python':>8s}{'batch':>8s}{'ASE':>8s}{'ASE alone':>11s}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for preset in arguments.presets:
            for name, atoms in systems.items():
                elements = sorted(set(atoms.numbers.tolist()))
                file = random_file(preset, elements, Path(folder))
                ways = {
                    "C": through_c(file, atoms),
                    "rebuilt": through_c(file, atoms, far=True),
                    "Python": through_python(file, atoms),
                    "batch": in_batch(file, atoms),
                    "ASE": through_ase(camlip.MLIPCalculator(file, threads=1), atoms),
                    "ASE alone": through_ase(Nothing(), atoms),
                }
                found = measure(ways, arguments.rounds, arguments.calls)
                goals = {way: GOALS.get((name, preset, way)) for way in ways}
                records.append(
                    {"system": name, "num_atoms": len(atoms), "preset": preset, "us": found}
                    | {"goals": {way: goal for way, goal in goals.items() if goal}}
                )
                widths = (8, 9, 8, 8, 8, 11)
                values = "".join(f"{v:{w}.1f}" for v, w in zip(found.values(), widths, strict=True))
                print(f"{name:12s}{len(atoms):3d} {preset:6s}{values}", flush=True)
    if arguments.json:
        text = {"cpu": cpu_name(), "camlip": camlip.__version__, "results": records}
        arguments.json.write_text(json.dumps(text, indent=2) + "\n")


if __name__ == "__main__":
    main()
