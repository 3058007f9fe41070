"""``camlip relax``: relax the structures of a file.

camlip relax in.xyz --model si.pt -o out.xyz --fmax 0.01 --cell full

Structures are appended to the output as they finish, so a run that was killed goes on with
``--resume``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import GPa
from numpy.typing import NDArray
from tqdm import tqdm

from camlip.engine import Engine, Model
from camlip.errors import ArgumentError, EngineError, NumericError
from camlip.label import read_structures
from camlip.relax_output import STRUCTURE_KEY, RelaxOutput, digest
from camlip.relaxation import OPTIMIZERS, Relaxation, Step, check_structure, relax, strain_flags


@dataclass(frozen=True)
class Row:
    """One structure in the table.

    Attributes:
        index: in the file.
        formula: of the structure.
        num_atoms: N.
        result: None if the relaxation broke.
        error: why it broke.
    """

    index: int
    formula: str
    num_atoms: int
    result: Relaxation | None
    error: str = ""

    def cells(self) -> list[str]:
        """Texts of the columns."""
        start = [str(self.index), self.formula, str(self.num_atoms)]
        if self.result is None:
            return [*start, *"-----", "failed"]
        r = self.result
        return [
            *start,
            f"{r.start_energy:.6f}",
            f"{r.energy:.6f}",
            f"{r.max_force:.2e}",
            str(r.steps),
            f"{r.seconds:.3f}",
            r.reason,
        ]

    def record(self) -> dict[str, Any]:
        """The same for JSON."""
        found: dict[str, Any] = {
            "index": self.index,
            "formula": self.formula,
            "num_atoms": self.num_atoms,
            "reason": "failed",
            "message": self.error,
        }
        if self.result is not None:
            values = dict(vars(self.result))
            del values["forces"]
            if values["stress"] is not None:
                values["stress"] = values["stress"].tolist()
            found |= values
        return found


COLUMNS = ("#", "formula", "atoms", "start eV", "final eV", "fmax eV/A", "steps", "s", "end")


def table(rows: Sequence[Row]) -> str:
    """The results as aligned text.

    >>> print(table([Row(0, "H2O", 3, None, "why")]))
    #  formula  atoms  start eV  final eV  fmax eV/A  steps  s     end
    0      H2O      3         -         -          -      -  -  failed
    """
    lines = [list(COLUMNS), *(row.cells() for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
        for line in lines
    )


def fixed_atoms(text: str, atoms: Atoms) -> NDArray[np.bool_]:
    """Flags of the atoms that a text names: indices, ranges, elements, or a height.

    >>> fixed_atoms("0,2-3,O", Atoms("HHHHO")).tolist()
    [True, False, True, True, True]
    >>> fixed_atoms("z<1.5", Atoms("H2", [[0, 0, 1], [0, 0, 2]])).tolist()
    [True, False]

    Raises:
        ArgumentError: for a word that names nothing.
    """
    mask = np.zeros(len(atoms), dtype=bool)
    for word in (w.strip() for w in text.split(",")):
        chosen = _named(word, atoms)
        if not np.any(chosen):
            raise ArgumentError(
                f"fix: '{word}' names no atom of {len(atoms)} ({atoms.get_chemical_formula()}), "
                "expected indices (0,4), ranges (0-7), element symbols, or heights (z<5.0)"
            )
        mask |= chosen
    return mask


def _named(word: str, atoms: Atoms) -> NDArray[np.bool_]:
    none = np.zeros(len(atoms), dtype=bool)
    if word[:1] in ("x", "y", "z") and word[1:2] in ("<", ">"):
        try:
            limit = float(word[2:])
        except ValueError:
            return none
        heights = atoms.positions[:, "xyz".index(word[0])]
        return heights < limit if word[1] == "<" else heights > limit
    if word.isalpha():
        return np.array([symbol == word for symbol in atoms.get_chemical_symbols()], dtype=bool)
    first, dash, last = word.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()):
        return none
    begin, end = int(first), int(last) if dash else int(first)
    if end >= len(atoms) or begin > end:
        return none
    none[begin : end + 1] = True
    return none


def relaxed_frame(atoms: Atoms, result: Relaxation) -> Atoms:
    """A copy of a relaxed structure with its energy, forces and stress; old labels are dropped."""
    frame = atoms.copy()
    frame.info = {k: v for k, v in frame.info.items() if not k.startswith("REF_")}
    for name in [name for name in frame.arrays if name.startswith("REF_")]:
        del frame.arrays[name]
    labels: dict[str, Any] = {"energy": result.energy, "forces": result.forces}
    if result.stress is not None:
        labels["stress"] = result.stress
    frame.calc = SinglePointCalculator(frame, **labels)
    frame.info["relax_converged"] = result.converged
    frame.info["relax_steps"] = result.steps
    return frame


class _Watcher:
    """Shows the progress of a structure, and writes its steps if that is wanted."""

    def __init__(self, bar: Any, output: RelaxOutput | None) -> None:
        self.bar, self.output = bar, output
        self.index, self.atoms = 0, Atoms()

    def __call__(self, step: Step) -> None:
        self.bar.set_postfix_str(f"step {step.step}, fmax {step.max_force:.2e}", refresh=False)
        self.bar.update(0)
        if self.output is None:
            return
        frame = Atoms(self.atoms.numbers, step.positions, cell=step.cell, pbc=self.atoms.pbc)
        frame.info = {STRUCTURE_KEY: self.index, "step": step.step}
        frame.calc = SinglePointCalculator(frame, energy=step.energy, forces=step.forces)
        self.output.add_step(frame)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``camlip relax``."""
    parser.add_argument("input", help="structures, any file that ASE reads (name@slice selects)")
    parser.add_argument("--model", required=True, help="model file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="extended XYZ file")
    parser.add_argument("--fmax", type=float, default=0.01, help="eV/A (default: 0.01)")
    parser.add_argument("--smax", type=float, help="GPa (default: 1.6 for each eV/A of fmax)")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="lbfgs")
    parser.add_argument(
        "--cell",
        default="none",
        help="none, full, isotropic, or components of the strain as in xx,yy,xy (default: none)",
    )
    parser.add_argument("--pressure", type=float, default=0.0, help="GPa (default: 0)")
    parser.add_argument("--steps", type=int, default=1000, help="at most (default: 1000)")
    parser.add_argument(
        "--max-step", type=float, default=0.2, help="of an atom, Angstrom (default: 0.2)"
    )
    parser.add_argument(
        "--fix", help="atoms to fix: indices, ranges, elements or heights, as in 0,4-7,Pt,z<5.0"
    )
    parser.add_argument("--trajectory", type=Path, help="extended XYZ file for all steps")
    parser.add_argument(
        "--resume", action="store_true", help="go on with existing output files of the same run"
    )
    parser.add_argument("--precision", choices=("mixed", "double"), default="mixed")
    parser.add_argument("--threads", type=int, help="default: what OpenMP would use")
    parser.add_argument("--json", action="store_true", help="results for programs")


def run(args: argparse.Namespace) -> int:
    """Run ``camlip relax``: 0 if every structure converged, 1 otherwise.

    Raises:
        ArgumentError: see :func:`camlip.relaxation.relax`; the structure is named.
        LabelError: if the input cannot be read, or another process writes to the output.
        OSError: if the output cannot be written.
    """
    for path in (args.output, args.trajectory):
        if path is not None and path.suffix not in (".xyz", ".extxyz"):
            raise ArgumentError(
                f"output '{path}': name ends in '{path.suffix}', expected .xyz or .extxyz"
            )
    strain_flags(args.cell)
    structures = read_structures(args.input)
    model = Model(args.model)
    masks = []
    for index, atoms in enumerate(structures):
        with _naming(args.input, index):
            check_structure(atoms)
            model.types(atoms.numbers)
            masks.append(None if args.fix is None else fixed_atoms(args.fix, atoms))
    used = np.unique(np.concatenate([model.types(a.numbers) for a in structures])).tolist()
    engine = Engine(model, precision=args.precision, threads=args.threads, active_types=used or [0])
    options = {
        "fmax": args.fmax,
        "smax": None if args.smax is None else args.smax * GPa,
        "cell": args.cell,
        "pressure": args.pressure * GPa,
        "optimizer": args.optimizer,
        "steps": args.steps,
        "max_step": args.max_step,
    }
    if len(structures) > 1:
        _check_options(args.input, structures, masks, engine, options)
    settings = _settings(args)
    try:
        with RelaxOutput.opened(
            args.output, args.trajectory, structures, settings, args.resume
        ) as output:
            rows = _relax_all(args, structures, masks, engine, options, output)
    except KeyboardInterrupt:
        print(f"{args.output}: what is done is saved, go on with --resume", file=sys.stderr)
        raise
    if args.json:
        print(json.dumps([row.record() for row in rows], indent=2))
    else:
        _report(args.output, rows, output.finished)
    converged = [row.result is not None and row.result.converged for row in rows]
    return 0 if all([*converged, *output.finished.values()]) else 1


def _check_options(
    source: str,
    structures: Sequence[Atoms],
    masks: Sequence[NDArray[np.bool_] | None],
    engine: Engine,
    options: dict[str, Any],
) -> None:
    """Tell before the first relaxation which structure the options do not fit."""
    for index, (atoms, mask) in enumerate(zip(structures, masks, strict=True)):
        # Whatever else is wrong with it is told when its turn comes.
        with _naming(source, index), contextlib.suppress(NumericError):
            relax(atoms.copy(), engine, fixed=mask, **{**options, "steps": 0})


def _settings(args: argparse.Namespace) -> str:
    """What a result depends on beside its structure, as the output records it."""
    names = ("optimizer", "fmax", "smax", "cell", "pressure", "steps", "max_step", "fix")
    values = [f"{name}={getattr(args, name)}" for name in (*names, "precision")]
    return " ".join([*values, f"model={digest(Path(args.model).read_bytes())}"])


def _relax_all(
    args: argparse.Namespace,
    structures: Sequence[Atoms],
    masks: Sequence[NDArray[np.bool_] | None],
    engine: Engine,
    options: dict[str, Any],
    output: RelaxOutput,
) -> list[Row]:
    rows = []
    todo = [index for index in range(len(structures)) if index not in output.finished]
    with tqdm(
        total=len(structures), initial=len(output.finished), unit="structure", desc="relax"
    ) as bar:
        watcher = _Watcher(bar, output if args.trajectory else None)
        for index in todo:
            atoms = structures[index]
            watcher.index, watcher.atoms = index, atoms
            formula = atoms.get_chemical_formula()
            interval = 0.0 if args.trajectory else 0.1
            try:
                with _naming(args.input, index):
                    result = relax(
                        atoms,
                        engine,
                        fixed=masks[index],
                        callback=watcher,
                        interval=interval,
                        **options,
                    )
            except ArgumentError:
                raise
            except EngineError as error:
                # The structure, not the request, is at fault: the others go on.
                rows.append(Row(index, formula, len(atoms), None, str(error)))
                atoms.info["relax_converged"] = False
                atoms.calc = None
                output.add(index, atoms)
            else:
                rows.append(Row(index, formula, len(atoms), result))
                output.add(index, relaxed_frame(atoms, result))
            bar.update()
    return rows


def _report(output: Path, rows: Sequence[Row], earlier: dict[int, bool]) -> None:
    print(table(rows))
    missed = 0
    for row in rows:
        if row.result is None or not row.result.converged:
            missed += 1
            reason = row.error if row.result is None else row.result.message
            print(f"structure {row.index} ({row.formula}): {reason}")
    text = f"{output}: {len(rows) - missed} converged, {missed} not"
    if earlier:
        done = sum(earlier.values())
        text += f"; already there: {done} converged, {len(earlier) - done} not"
    print(text)


@contextlib.contextmanager
def _naming(source: str, index: int) -> Iterator[None]:
    """Put the structure in front of what is wrong with it."""
    try:
        yield
    except EngineError as error:
        raise type(error)(f"{source} structure {index}: {error}") from error
