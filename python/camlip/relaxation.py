"""Structure relaxation in the engine: positions, and the cell if asked for.

The steps run in C++ (``csrc/relax``); docs/relaxation.md has the formulas.

>>> import camlip                                                        # doctest: +SKIP
>>> result = camlip.relax(atoms, "si.pt", fmax=0.01, cell="full")        # doctest: +SKIP
>>> result.converged, result.steps                                       # doctest: +SKIP
(True, 12)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from numpy.typing import ArrayLike, NDArray

from camlip.engine import Engine, Model, symbols
from camlip.errors import ArgumentError, NumericError

OPTIMIZERS = {"lbfgs": 0, "fire": 1}
STRAINS = ("xx", "yy", "zz", "yz", "xz", "xy")
"""Components of the strain in Voigt order."""

REASONS = ("converged", "steps", "stopped", "stalled", "diverged")
_FIXED, _STRAIN, _ISOTROPIC = 0, 1, 2


@dataclass(frozen=True)
class Step:
    """The state after one step, for callbacks.

    Attributes:
        step: 0 is the start.
        evaluations: of energy and forces, so far.
        energy: eV.
        max_force: largest force norm of the atoms that are not fixed, eV/A.
        max_stress: largest principal value of the stress + pressure that moves the cell,
            eV/A^3.
        positions: Angstrom, (N, 3).
        forces: eV/A, (N, 3).
        cell: rows are lattice vectors, (3, 3); None if nothing is periodic.
    """

    step: int
    evaluations: int
    energy: float
    max_force: float
    max_stress: float
    positions: NDArray[np.float64]
    forces: NDArray[np.float64]
    cell: NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class Relaxation:
    """How a relaxation went.

    Attributes:
        reason: why it ended: ``converged``, ``steps`` (not enough of them), ``stopped`` (by the
            callback), ``stalled`` (no lower point was found, often because of rounding) or
            ``diverged`` (an atom lost all neighbors, or the cell exploded or collapsed).
        message: the same in words, with numbers.
        steps: taken.
        evaluations: of energy and forces.
        start_energy: eV.
        energy: eV.
        max_force: largest force norm of the atoms that are not fixed, eV/A.
        max_stress: largest principal value of the stress + pressure that moves the cell,
            eV/A^3.
        forces: eV/A, (N, 3).
        stress: ASE's sign and Voigt order, eV/A^3, (6,); None without a periodic cell of three
            vectors.
        seconds: wall time.
    """

    reason: str
    message: str
    steps: int
    evaluations: int
    start_energy: float
    energy: float
    max_force: float
    max_stress: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64] | None
    seconds: float

    @property
    def converged(self) -> bool:
        """Whether forces and stress are below the limits."""
        return self.reason == "converged"


def relax(
    atoms: Atoms,
    model: str | os.PathLike[str] | Model | Engine,
    *,
    fmax: float = 0.01,
    smax: float | None = None,
    cell: str | Sequence[bool] = "none",
    pressure: float = 0.0,
    optimizer: str = "lbfgs",
    steps: int = 1000,
    max_step: float = 0.2,
    fixed: ArrayLike | None = None,
    precision: str = "mixed",
    threads: int | None = None,
    callback: Callable[[Step], object] | None = None,
    interval: float = 0.0,
) -> Relaxation:
    """Relax a structure; positions and cell of ``atoms`` become those of the result.

    The cell keeps its orientation: its deformation is symmetric.  Fixed atoms keep their
    fractional coordinates when the cell changes.

    Args:
        atoms: the structure, changed in place, also when the relaxation does not converge.  Its
            calculator is not used.
        model: a model file, a model, or an engine (the quickest for many structures).
        fmax: limit on the largest force norm, eV/A.
        smax: limit on the principal values of the stress + pressure that moves the cell, eV/A^3;
            default: ``fmax`` / 100 A^2.
        cell: ``none``, ``full``, ``isotropic``, components of the strain as in ``xx,yy,xy``, or
            six flags in Voigt order.
        pressure: hydrostatic, eV/A^3 (``ase.units.GPa`` converts); needs a free cell.
        optimizer: ``lbfgs``, or ``fire`` (slower and hardier).
        steps: at most this many.
        max_step: no atom moves further in one step, Angstrom.
        fixed: indices or flags of atoms; default: those of ``FixAtoms`` constraints.
        precision: ``mixed`` or ``double`` (for ``fmax`` below about 1e-4); not with an engine.
        threads: default: what OpenMP would use; not with an engine.
        callback: called with a :class:`Step` for the start and after each step; a true result
            stops.  The engine is busy meanwhile: do not use the same one.
        interval: call it at most every so many seconds.

    Returns:
        How it went; look at ``converged``.

    Raises:
        ArgumentError: for an element that the model does not know, an option that does not fit
            the structure, or a constraint other than FixAtoms.
        NumericError: for NaN or infinity in the structure, or in energies of its start.
        ModelFileError: if the file is missing or is not a valid model.

    >>> from ase.build import bulk                                       # doctest: +SKIP
    >>> atoms = bulk("Si", a=5.6)                                        # doctest: +SKIP
    >>> relax(atoms, "si.pt", cell="full").reason                        # doctest: +SKIP
    'converged'
    """
    begin = time.perf_counter()
    check_structure(atoms)
    free = strain_flags(cell)
    if optimizer not in OPTIMIZERS:
        raise ArgumentError(f"optimizer: '{optimizer}', expected one of {', '.join(OPTIMIZERS)}")
    if smax is None:
        smax = fmax / 100
    for name, value in (("fmax", fmax), ("smax", smax), ("max_step", max_step)):
        if not 0 < value < np.inf:
            raise ArgumentError(f"{name}: {value}, expected a positive number")
    if steps < 0:
        raise ArgumentError(f"steps: {steps}, expected at least 0")
    mask = _fixed_mask(atoms, fixed)
    engine = _engine_of(model, atoms, precision, threads)
    found = engine._handle.relax(
        np.ascontiguousarray(atoms.positions, dtype=np.float64).reshape(-1, 3),
        engine.model.types(atoms.numbers),
        atoms.cell.array if atoms.pbc.any() else None,
        atoms.pbc.tolist(),
        {
            "optimizer": OPTIMIZERS[optimizer],
            "max_force": float(fmax),
            "max_stress": float(smax),
            "max_steps": int(steps) or -1,
            "max_step": float(max_step),
            "pressure": float(pressure),
            "cell_change": _ISOTROPIC if free == "isotropic" else _STRAIN if any(free) else _FIXED,
            "strain": [True] * 6 if free == "isotropic" else list(free),
            "fixed": mask if mask.any() else None,
        },
        None if callback is None else lambda state: callback(_step(state)),
        float(interval),
    )
    start_volume = atoms.cell.volume
    atoms.positions[:] = found["positions"]
    if any(free):
        atoms.set_cell(found["cell"], apply_constraint=False)
    reason = REASONS[found["end"]]
    return Relaxation(
        reason=reason,
        message=_message(reason, found, atoms, start_volume, fmax, smax),
        steps=found["num_steps"],
        evaluations=found["num_evaluations"],
        start_energy=found["start_energy"],
        energy=found["energy"],
        max_force=found["max_force"],
        max_stress=found["max_stress"],
        forces=found["forces"],
        stress=found["stress"] if atoms.pbc.any() and atoms.cell.rank == 3 else None,
        seconds=time.perf_counter() - begin,
    )


def strain_flags(cell: str | Sequence[bool]) -> tuple[bool, ...] | str:
    """What of the cell is free: six flags in Voigt order, or ``isotropic``.

    >>> strain_flags("xx,xy")
    (True, False, False, False, False, True)
    >>> strain_flags("isotropic")
    'isotropic'

    Raises:
        ArgumentError: for anything else than :func:`relax` documents.
    """
    if cell == "isotropic":
        return "isotropic"
    if isinstance(cell, str):
        if cell in ("none", "full"):
            return (cell == "full",) * 6
        names = [name.strip() for name in cell.split(",")]
        unknown = [name for name in names if name not in STRAINS]
        if unknown:
            raise ArgumentError(
                f"cell: '{cell}', expected none, full, isotropic, or components of the strain "
                f"from {', '.join(STRAINS)}"
            )
        return tuple(name in names for name in STRAINS)
    flags = tuple(bool(flag) for flag in cell)
    if len(flags) != 6:
        raise ArgumentError(f"cell: {len(flags)} flags, expected 6 for {', '.join(STRAINS)}")
    return flags


def check_structure(atoms: Atoms) -> None:
    """Refuse a structure that is not finite.

    Raises:
        NumericError: it names the first atom.
    """
    broken = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(broken):
        first = int(broken[0])
        raise NumericError(
            f"positions: atom {first} ({symbols([int(atoms.numbers[first])])}) is at "
            f"{atoms.positions[first].tolist()}, expected finite numbers ({len(broken)} of "
            f"{len(atoms)} atoms are affected)"
        )
    if not np.isfinite(atoms.cell.array).all():
        raise NumericError(f"cell: {atoms.cell.array.tolist()}, expected finite numbers")


def _fixed_mask(atoms: Atoms, fixed: ArrayLike | None) -> NDArray[np.uint8]:
    mask = np.zeros(len(atoms), dtype=np.uint8)
    if fixed is None:
        for constraint in atoms.constraints:
            if not isinstance(constraint, FixAtoms):
                raise ArgumentError(
                    f"constraints: {type(constraint).__name__}, expected FixAtoms only; remove it "
                    "(atoms.set_constraint()), or relax with an optimizer of ASE"
                )
            mask[constraint.index] = 1
        return mask
    chosen = np.asarray(fixed)
    if chosen.dtype == bool:
        if chosen.shape != mask.shape:
            raise ArgumentError(f"fixed: {chosen.shape} flags, expected {mask.shape}")
        return chosen.astype(np.uint8)
    if chosen.size == 0:
        return mask
    indices = chosen.astype(np.int64).reshape(-1)
    if indices.min() < -len(atoms) or indices.max() >= len(atoms):
        raise ArgumentError(
            f"fixed: indices {indices.min()} to {indices.max()}, expected 0 to {len(atoms) - 1}"
        )
    mask[indices] = 1
    return mask


def _engine_of(
    model: str | os.PathLike[str] | Model | Engine,
    atoms: Atoms,
    precision: str,
    threads: int | None,
) -> Engine:
    if isinstance(model, Engine):
        return model
    if not isinstance(model, Model):
        model = Model(model)
    # Radial tables for the elements of this structure alone.
    present = np.unique(model.types(atoms.numbers)).tolist()
    return Engine(model, precision=precision, threads=threads, active_types=present or [0])


def _step(state: dict[str, Any]) -> Step:
    return Step(evaluations=state.pop("num_evaluations"), **state)


def _message(
    reason: str,
    found: dict[str, Any],
    atoms: Atoms,
    start_volume: float,
    fmax: float,
    smax: float,
) -> str:
    count = f"{found['num_steps']} step{'' if found['num_steps'] == 1 else 's'}"
    size = f"largest force {found['max_force']:.3g} eV/A"
    if found["max_stress"] > 0:
        size += f", largest stress {found['max_stress']:.3g} eV/A^3"
    limits = f"limits {fmax:g}" + (f" and {smax:g}" if found["max_stress"] > 0 else "")
    if reason == "converged":
        return f"converged in {count}: {size}"
    if reason == "steps":
        return f"not converged after {count}: {size}, {limits}; allow more steps"
    if reason == "stopped":
        return f"stopped after {count}: {size}"
    if reason == "stalled":
        return (
            f"stalled after {count}: {size}, {limits}; no lower point was found, use precision "
            "double or a larger fmax"
        )
    if found["atom"] >= 0:
        symbol = symbols([int(atoms.numbers[found["atom"]])])
        return (
            f"diverged after {count}: atom {found['atom']} ({symbol}) flew away from all others; "
            "is the structure far from the training data"
        )
    return (
        f"diverged after {count}: the volume went from {start_volume:.4g} to "
        f"{atoms.cell.volume:.4g} A^3; is the structure, or the pressure, far from the training "
        "data"
    )
