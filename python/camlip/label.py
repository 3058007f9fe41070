"""Label structures with energies, forces and stresses from any ASE calculator.

One structure after the other is appended to an extended XYZ file, so a run that was killed goes on
with ``--resume``: a last frame that was only half written is dropped, every finished one is kept.

    camlip label in.xyz -o out.xyz --calculator tblite --method GFN1-xTB --stress
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from tqdm import tqdm

from camlip.label_output import (
    INDEX_KEY,
    METHOD_KEY,
    LabelError,
    already_labelled,
    drop_partial_frame,
    frame_text,
    lock,
)

CALCULATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "emt": ("ase.calculators.emt:EMT", {}),
    "lj": ("ase.calculators.lj:LennardJones", {}),
    # Without the cache a label does not depend on the structure that was labelled before it.
    "tblite": ("tblite.ase:TBLite", {"verbosity": 0, "cache_api": False}),
}
"""Names that ``--calculator`` knows: ``module:Class`` and the options it gets by default."""

INSTALL_HINTS = {"tblite": "; install it with: pip install 'camlip[label]'"}
KEPT_ARRAYS = ("initial_charges", "initial_magmoms")


@dataclass(frozen=True)
class CalculatorSpec:
    """What to compute labels with; small enough to send to a worker process.

    Attributes:
        name: a key of `CALCULATORS` or ``module:Class``.
        options: keyword arguments of the calculator.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Name and options in one line, as the label file records them."""
        return " ".join([self.name, *(f"{k}={v}" for k, v in sorted(self.options.items()))])

    def build(self) -> Any:
        """A new calculator.

        Raises:
            LabelError: if the name is not known, cannot be imported or rejects its options.
        """
        target, defaults = CALCULATORS.get(self.name, (self.name, {}))
        if ":" not in target:
            near = difflib.get_close_matches(self.name, CALCULATORS, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise LabelError(
                f"calculator '{self.name}': not a known name, expected one of "
                f"{', '.join(CALCULATORS)} or 'module:Class'{hint}"
            )
        module_name, _, class_name = target.partition(":")
        try:
            factory = getattr(importlib.import_module(module_name), class_name)
        except ImportError as error:
            hint = INSTALL_HINTS.get(self.name, "; is the package installed?")
            raise LabelError(
                f"calculator '{self.name}': cannot import '{module_name}': {error}{hint}"
            ) from error
        except AttributeError as error:
            raise LabelError(
                f"calculator '{self.name}': module '{module_name}' has no '{class_name}'"
            ) from error
        try:
            return factory(**{**defaults, **self.options})
        except Exception as error:  # any calculator, any way to reject an option
            raise LabelError(
                f"calculator '{self.name}': it rejects its options ({self}): {error}"
            ) from error


@dataclass
class LabelReport:
    """What `label_file` did: counts, and ``(index, reason)`` of every failed structure."""

    labelled: int = 0
    already: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)


def parse_option(text: str) -> tuple[str, Any]:
    """Split ``key=value``; the value is read as JSON where it is JSON, else as a string.

    >>> parse_option("max_iterations=500"), parse_option("method=GFN1-xTB")
    (('max_iterations', 500), ('method', 'GFN1-xTB'))

    Raises:
        LabelError: if there is no ``=``.
    """
    key, separator, value = text.partition("=")
    if not separator or not key.isidentifier():
        raise LabelError(f"option '{text}': expected key=value, such as max_iterations=500")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


def label(atoms: Atoms, calculator: Any, stress: bool = False) -> Atoms:
    """A copy of ``atoms`` with the labels of ``calculator``; ``atoms`` is not changed.

    Args:
        atoms: one structure of N atoms.
        calculator: any ASE calculator.
        stress: also label the stress of structures that are periodic in three directions.

    Returns:
        The structure with ``info['REF_energy']`` (eV; the free energy where the calculator has
        one, because forces are its derivative), ``arrays['REF_forces']`` (eV/A, shape (N, 3)) and
        ``info['REF_stress']`` (eV/A^3, ASE sign, shape (3, 3)).  Scalars in ``info``, charges
        and magnetic moments are kept.

    Raises:
        LabelError: if there are no atoms, or if a label is not finite.
        Exception: whatever the calculator raises.

    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> float(label(bulk("Cu"), EMT()).info["REF_energy"])
    -0.00...
    """
    if len(atoms) == 0:
        raise LabelError("structure: it has no atoms")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise LabelError("structure: positions or cell are not finite")
    work = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    for name in KEPT_ARRAYS:
        if name in atoms.arrays:
            work.set_array(name, atoms.arrays[name])
    out = work.copy()
    info: dict[str, Any] = {
        k: v for k, v in atoms.info.items() if np.isscalar(v) and not k.startswith("REF_")
    }
    work.calc = calculator
    forces = work.get_forces()
    energy = work.get_potential_energy()
    energy = getattr(calculator, "results", {}).get("free_energy", energy)
    info["REF_energy"] = float(energy)
    out.set_array("REF_forces", np.array(forces, dtype=float))
    labels = {"energy": energy, "forces": forces}
    if stress and atoms.pbc.all():
        labels["stress"] = info["REF_stress"] = work.get_stress(voigt=False)
    for name, value in labels.items():
        if not np.isfinite(value).all():
            raise LabelError(f"{name}: the calculator returned a value that is not finite")
    out.info = info
    return out


class Labeler:
    """Labels structures with one calculator and turns a failure into a reason."""

    def __init__(self, spec: CalculatorSpec, stress: bool) -> None:
        """Build the calculator; raises `LabelError` if that is not possible."""
        self.spec, self.stress, self.calculator = spec, stress, spec.build()

    def __call__(self, index: int, atoms: Atoms) -> tuple[int, str | None, str]:
        """Returns ``(index, frame text or None if it failed, reason if it failed)``."""
        try:
            labelled = label(atoms, self.calculator, self.stress)
        except Exception as error:  # the calculator is not ours: any failure skips one structure
            # A calculator that failed may be left in a state that spoils the next structure.
            self.calculator = self.spec.build()
            return index, None, f"{type(error).__name__}: {error}".strip()
        if hasattr(self.calculator, "reset"):
            self.calculator.reset()
        labelled.info[INDEX_KEY] = index
        labelled.info[METHOD_KEY] = str(self.spec)
        return index, frame_text(labelled), ""


_process_labeler: Labeler | None = None
"""The labeler of a worker process."""


def _start_worker(spec: CalculatorSpec, stress: bool) -> None:
    global _process_labeler
    _process_labeler = Labeler(spec, stress)


def _work(index: int, atoms: Atoms) -> tuple[int, str | None, str]:
    assert _process_labeler is not None
    return _process_labeler(index, atoms)


def _results(
    labeler: Labeler, structures: Sequence[Atoms], todo: Iterable[int], workers: int
) -> Iterator[tuple[int, str | None, str]]:
    if workers == 1:
        for index in todo:
            yield labeler(index, structures[index])
        return
    # One thread per worker unless the user says otherwise; children read this when they start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    pool = ProcessPoolExecutor(
        workers,
        # A forked copy of a process that runs OpenMP threads may hang.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(labeler.spec, labeler.stress),
    )
    try:
        for future in as_completed([pool.submit(_work, i, structures[i]) for i in todo]):
            yield future.result()
    except BrokenProcessPool as error:
        raise LabelError(
            "worker: a process died (out of memory, or the calculator crashed); what is done is "
            "saved, go on with --resume and fewer --workers"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def label_file(
    source: str | Path,
    output: str | Path,
    spec: CalculatorSpec,
    *,
    stress: bool = False,
    resume: bool = False,
    workers: int = 1,
    quiet: bool = False,
) -> LabelReport:
    """Label every structure of a file and append it to an extended XYZ file.

    Args:
        source: any file that ASE reads; ``name@slice`` selects structures.
        output: name ending in ``.xyz`` or ``.extxyz``.
        spec: the calculator.
        stress: label the stress of structures that are periodic in three directions.
        resume: keep what ``output`` holds and label the rest, earlier failures included.
        workers: processes; with more than one, structures are written as they finish.
        quiet: no progress bar and no line per failure.

    Returns:
        Counts and failures.  A structure that fails is skipped; nothing is written for it.

    Raises:
        LabelError: if the input, the output, the calculator or an option cannot be used.
    """
    output = Path(output)
    if output.suffix not in (".xyz", ".extxyz"):
        raise LabelError(
            f"output '{output}': name ends in '{output.suffix}', expected .xyz or .extxyz "
            "(frames are appended, which compressed files do not allow; compress afterwards)"
        )
    if workers < 1:
        raise LabelError(f"workers: {workers}, expected at least 1")
    structures = read_structures(source)
    # Before the output file exists, so that a calculator that cannot be built leaves no file.
    labeler = Labeler(spec, stress)
    report = LabelReport()
    if output.exists() and output.stat().st_size and not resume:
        raise LabelError(
            f"output '{output}': the file exists; add --resume to go on with it, or choose "
            "another name"
        )
    with output.open("a", encoding="utf-8") as file:
        lock(file)
        if (dropped := drop_partial_frame(output)) and not quiet:
            tqdm.write(f"{output}: dropped a half-written frame ({dropped} bytes)", sys.stderr)
        done = already_labelled(output, structures, str(spec))
        report.already = len(done)
        todo = [index for index in range(len(structures)) if index not in done]
        bar = tqdm(
            total=len(structures), initial=len(done), unit="structure", desc="label", disable=quiet
        )
        for index, text, reason in _results(labeler, structures, todo, workers):
            if text is None:
                report.failed.append((index, reason))
                if not quiet:
                    formula = structures[index].get_chemical_formula()
                    tqdm.write(f"structure {index} ({formula}) skipped: {reason}", sys.stderr)
            else:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                report.labelled += 1
            bar.update()
        bar.close()
    return report


def read_structures(source: str | Path) -> list[Atoms]:
    """All structures of a file; see `label_file`.

    Raises:
        LabelError: if the file is missing, holds nothing or cannot be read.
    """
    name = str(source)
    if not Path(name).exists() and not Path(name.rpartition("@")[0]).is_file():
        raise LabelError(f"input '{source}': no such file")
    try:
        frames = read(name, None if "@" in name else ":")
    except Exception as error:  # ASE's readers raise whatever their parsing runs into
        raise LabelError(
            f"input '{source}': ASE cannot read it: {type(error).__name__}: {error}"
        ) from error
    structures = frames if isinstance(frames, list) else [frames]
    if not structures:
        raise LabelError(f"input '{source}': it holds no structure")
    return structures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``camlip label``."""
    parser.add_argument("input", help="structures, any file that ASE reads (name@slice selects)")
    parser.add_argument("-o", "--output", required=True, help="extended XYZ file to append to")
    parser.add_argument(
        "--calculator", required=True, help=f"{', '.join(CALCULATORS)}, or module:Class"
    )
    parser.add_argument("--method", help="short for --option method=...")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="keyword argument of the calculator, can be repeated",
    )
    parser.add_argument("--stress", action="store_true", help="label stresses, too")
    parser.add_argument("--resume", action="store_true", help="go on with an existing output file")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Run ``camlip label``: 0 if every structure is labelled or skipped, 1 if none could be.

    Raises:
        LabelError: see `label_file`.
    """
    options = dict(parse_option(text) for text in args.option)
    if args.method is not None:
        options["method"] = args.method
    try:
        report = label_file(
            args.input,
            args.output,
            CalculatorSpec(args.calculator, options),
            stress=args.stress,
            resume=args.resume,
            workers=args.workers,
        )
    except KeyboardInterrupt:
        print(f"{args.output}: what is done is saved, go on with --resume", file=sys.stderr)
        raise
    print(
        f"{args.output}: {report.labelled} labelled, {report.already} already there, "
        f"{len(report.failed)} failed"
    )
    return 1 if report.failed and not (report.labelled or report.already) else 0
