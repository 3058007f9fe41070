"""How fast a model is here: in the engine, through ASE, and in LAMMPS.

Atoms move between the steps, so that the neighbor list is kept and made anew as in dynamics.  Times
are wall times of whole steps; the median does not feel what other programs do now and then.

>>> from camlip.bench import Case, measure                               # doctest: +SKIP
>>> measure("si.pt", Case("engine", 1000)).time_per_atom                 # doctest: +SKIP
1.4e-06
"""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from camlip.bench_systems import TEMPERATURE, Motion, make_system
from camlip.engine import Engine, Model
from camlip.errors import ArgumentError, BackendError, EngineError
from camlip.lammps import plugin_directory
from camlip.lammps_check import LammpsMissing, data_file, find_lmp
from camlip.memory import DEFAULT_SKIN, check_memory, logger

HOSTS = ("engine", "ase", "lammps")
PROPERTIES = ("energy", "forces", "virial")
MIN_STEPS, MAX_STEPS = 5, 400

_DECK = """
units metal
atom_style atomic
boundary p p p
box tilt large
read_data in.data
pair_style mlip engine {engine} precision {precision} threads {threads}
pair_coeff * * "{model}" {elements}
velocity all create {temperature} 4928459 mom yes
timestep {time_step}
fix integrate all nve
thermo 1000000
run {warm_up} post no
"""


@dataclass(frozen=True)
class Case:
    """What to measure.

    Attributes:
        host: one of ``HOSTS``.
        size: atoms wished for.
        system: see :func:`camlip.bench_systems.make_system`.
        engine: backend.
        precision: ``mixed`` or ``double``.
        threads: OpenMP threads, of each rank.
        ranks: MPI ranks, with LAMMPS.
        simd: instruction set; with engine and ASE ``auto`` is the best there is.
    """

    host: str
    size: int
    system: str | None = None
    engine: str = "auto"
    precision: str = "mixed"
    threads: int = 1
    ranks: int = 1
    simd: str = "auto"


@dataclass(frozen=True)
class Timing:
    """What was measured.

    Attributes:
        host: as in the case.
        num_atoms: of the system.
        engine: backend that was chosen.
        precision: as in the case.
        simd: instruction set in use.
        threads: of each rank.
        ranks: MPI ranks.
        steps: timed.
        time_per_atom: of a step, median, seconds.  Engine and ASE: steps that keep the neighbor
            list, plus the share of those that make it.
        list_fraction: part of that which goes into making neighbor lists.
        list_interval: steps from one list to the next; None if unknown.
        memory_per_atom: held by the engine with its list, bytes; with LAMMPS what LAMMPS itself
            allocates, without the engine.
    """

    host: str
    num_atoms: int
    engine: str
    precision: str
    simd: str
    threads: int
    ranks: int
    steps: int
    time_per_atom: float
    list_fraction: float
    list_interval: float | None
    memory_per_atom: float

    @property
    def atom_steps_per_second(self) -> float:
        """Atoms times steps in one second."""
        return 1.0 / self.time_per_atom


def measure(
    path: str | os.PathLike[str],
    case: Case,
    seconds: float = 1.0,
    model: Model | None = None,
    lmp: str | None = None,
) -> Timing:
    """Time one case.

    Args:
        path: model file.
        case: what to measure.
        seconds: about how long the timed steps may take; at least five are made.
        model: the same file, loaded.
        lmp: executable of LAMMPS.

    Raises:
        ArgumentError: for a case that makes no sense, or a system with other elements.
        BackendError: if the backend or instruction set is not there, or no LAMMPS that knows the
            pair style.
        EngineError: if LAMMPS fails.
    """
    if case.host not in HOSTS:
        raise ArgumentError(f"host: '{case.host}', expected one of {', '.join(HOSTS)}")
    if case.ranks > 1 and case.host != "lammps":
        raise ArgumentError(f"ranks: {case.ranks} with host {case.host}, expected host lammps")
    model = model or Model(path)
    atoms = make_system(case.system, model.atomic_numbers, case.size)
    if case.host == "lammps":
        return _time_lammps(Path(path), model, atoms, case, seconds, lmp)
    if case.host == "ase":
        return _time_ase(Path(path), atoms, case, seconds)
    return _time_engine(model, atoms, case, seconds)


def cpu_name() -> str:
    """Name of the processor, as the system tells it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def _repeat(
    step: Callable[[np.ndarray], float], atoms: Atoms, seconds: float
) -> tuple[float, float, float, int]:
    """Time steps along a motion; ``step`` returns its own time.

    Returns:
        Median time of steps that keep the neighbor list; how much longer one takes that makes it;
        steps from one list to the next; number of steps.
    """
    motion = Motion(atoms)
    interval = motion.list_interval(DEFAULT_SKIN)
    for _ in range(3):
        once = step(motion.next())
    count = int(np.clip(seconds / max(once, 1e-9), MIN_STEPS, MAX_STEPS))
    # All steps with the first list may keep it; the median does not feel the others.
    kept = statistics.median(step(motion.next()) for _ in range(count))
    # The whole system moves by a skin: a list that has to be made.
    moved = motion.next()
    made = statistics.median(step(moved + k * DEFAULT_SKIN) for k in (1, 2, 3))
    return kept, max(0.0, made - kept), interval, count + 3


def _timing(
    case: Case, engine: Engine, atoms: Atoms, found: tuple[float, float, float, int]
) -> Timing:
    kept, extra, interval, steps = found
    step = kept + extra / interval
    info = engine.info
    return Timing(
        host=case.host,
        num_atoms=len(atoms),
        engine=info.backend,
        precision=info.precision,
        simd=info.simd,
        threads=info.num_threads,
        ranks=1,
        steps=steps,
        time_per_atom=step / len(atoms),
        list_fraction=extra / interval / step,
        list_interval=interval if np.isfinite(interval) else None,
        memory_per_atom=info.memory_bytes / len(atoms),
    )


def _time_engine(model: Model, atoms: Atoms, case: Case, seconds: float) -> Timing:
    types = model.types(atoms.numbers)
    engine = Engine(
        model,
        case.engine,
        case.precision,
        threads=case.threads,
        active_types=np.unique(types).tolist(),
        skin=DEFAULT_SKIN,
        simd=case.simd,
    )
    cell = atoms.cell.array if atoms.pbc.any() else None
    pbc = atoms.pbc.tolist()
    check_memory(engine, atoms, DEFAULT_SKIN)

    def step(positions: np.ndarray) -> float:
        begin = time.perf_counter()
        engine.compute_system(positions, types, cell, pbc, PROPERTIES)
        return time.perf_counter() - begin

    return _timing(case, engine, atoms, _repeat(step, atoms, seconds))


def _time_ase(path: Path, atoms: Atoms, case: Case, seconds: float) -> Timing:
    from camlip.calculator import MLIPCalculator

    work = atoms.copy()
    calculator = MLIPCalculator(
        path,
        precision=case.precision,
        threads=case.threads,
        backend=case.engine,
        skin=DEFAULT_SKIN,
    )
    work.calc = calculator

    def step(positions: np.ndarray) -> float:
        begin = time.perf_counter()
        work.set_positions(positions)
        work.get_forces()
        return time.perf_counter() - begin

    found = _repeat(step, atoms, seconds)
    return _timing(case, calculator._engine_for(atoms), atoms, found)


# ---- LAMMPS -----------------------------------------------------------------------------


def _time_lammps(
    path: Path, model: Model, atoms: Atoms, case: Case, seconds: float, lmp: str | None
) -> Timing:
    if not atoms.pbc.all():
        raise ArgumentError("system: not periodic in three directions, expected that with LAMMPS")
    try:
        executable = find_lmp(lmp)
    except LammpsMissing as error:
        raise BackendError(f"lammps: {error}") from error
    work = atoms.copy()
    if np.linalg.det(work.cell.array) < 0:
        work.set_cell(-work.cell.array)
    standard, _ = work.cell.standard_form()
    work.set_cell(standard, scale_atoms=True)
    work.wrap()
    present = sorted(set(work.numbers.tolist()))
    with tempfile.TemporaryDirectory(prefix="camlip-bench-") as name:
        folder = Path(name)
        (folder / "in.data").write_text(data_file(work, present))
        options = {
            "engine": case.engine,
            "precision": case.precision,
            "threads": case.threads,
            "model": path.resolve(),
            "elements": " ".join(chemical_symbols[z] for z in present),
            "temperature": TEMPERATURE,
            "time_step": 1e-3 * Motion(atoms).time_step_fs,
        }
        # First a few steps to learn how long they take, then three runs for a median.
        deck = _DECK.format(warm_up=2, **options)
        said = _run(executable, case, folder, deck + "run 5\n")
        trial = parse_log(said)
        for line in re.findall(r"^ *(memory: about .*)$", said, re.M):
            logger.info("%s", line)
        if not trial:
            raise EngineError("lammps: its output shows no finished run, expected one")
        once = trial[0]["seconds"] / 5
        steps = int(np.clip(seconds / 3 / max(once, 1e-9), MIN_STEPS, MAX_STEPS))
        deck = _DECK.format(warm_up=3, **options) + 3 * f"run {steps}\n"
        text = _run(executable, case, folder, deck)
    runs = parse_log(text)
    if len(runs) != 3:
        raise EngineError(f"lammps: its output shows {len(runs)} finished runs, expected 3")
    middle = sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]
    chosen = re.search(r"engine (\w+) \((\w+) precision, (\w+)\)", text)
    builds = sum(run["builds"] for run in runs)
    return Timing(
        host="lammps",
        num_atoms=len(atoms),
        engine=chosen.group(1) if chosen else case.engine,
        precision=case.precision,
        simd=chosen.group(3) if chosen else case.simd,
        threads=case.threads,
        ranks=case.ranks,
        steps=steps * len(runs),
        time_per_atom=middle["seconds"] / steps / len(atoms),
        list_fraction=middle["list"],
        list_interval=steps * len(runs) / builds if builds else None,
        memory_per_atom=middle["memory"] * 2**20 * case.ranks / len(atoms),
    )


def _run(executable: str, case: Case, folder: Path, deck: str) -> str:
    (folder / "in.deck").write_text(deck)
    command = [executable, "-in", "in.deck", "-log", "none", "-nocite"]
    if case.ranks > 1:
        launcher = Path(executable).with_name("mpiexec")
        command = [
            str(launcher) if launcher.exists() else "mpiexec", "-n", str(case.ranks), *command
        ]  # fmt: skip
    environment = dict(os.environ)
    paths = [plugin_directory(), environment.get("LAMMPS_PLUGIN_PATH", "")]
    environment["LAMMPS_PLUGIN_PATH"] = ":".join(p for p in paths if p)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        output = done.stdout + done.stderr
        lines = [x for x in output.splitlines() if "ERROR" in x] or output.splitlines()[-1:]
        if "nrecognized pair style" in output:
            raise BackendError(f"lammps: '{executable}' has no pair style mlip; {lines[0]}")
        raise EngineError(f"lammps: exit status {done.returncode}; {' '.join(lines)}")
    return done.stdout


def parse_log(text: str) -> list[dict[str, float]]:
    """Loop time, list fraction, memory and number of lists of each run of a LAMMPS log.

    >>> parse_log('''Per MPI rank memory allocation (min/avg/max) = 3.2 | 3.2 | 3.5 Mbytes
    ... Loop time of 0.5 on 1 procs for 10 steps with 512 atoms
    ... Neigh   | 0.1 | 0.1 | 0.1 |   0.0 | 20.0
    ... Neighbor list builds = 2''')
    [{'seconds': 0.5, 'list': 0.2, 'memory': 3.2, 'builds': 2.0}]
    """
    number = r"([\d.eE+-]+)"
    runs = []
    for block in re.split(r"(?=Per MPI rank memory)", text):
        memory = re.search(rf"Per MPI rank memory.*?= {number} \| {number} \|", block)
        loop = re.search(rf"Loop time of {number} on", block)
        # The average over ranks is the second column.
        lists = re.search(rf"^Neigh\s+\|\s*{number}\s*\|\s*{number}", block, re.M)
        builds = re.search(rf"Neighbor list builds = {number}", block)
        if memory is None or loop is None or lists is None or builds is None:
            continue
        seconds = float(loop.group(1))
        runs.append(
            {
                "seconds": seconds,
                "list": float(lists.group(2)) / seconds if seconds > 0 else 0.0,
                "memory": float(memory.group(2)),
                "builds": float(builds.group(1)),
            }
        )
    return runs
