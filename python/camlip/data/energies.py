"""Reference energies of the elements and the scale of the forces."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import numpy as np

from camlip.data.neighbors import neighbor_list
from camlip.data.structure import FloatArray, Structure, symbols

logger = logging.getLogger("camlip.data")

ISOLATED_DISTANCE = 12.0
ISOLATED_NAMES = ("isolated_atom", "isolatedatom")


def is_isolated_atom(structure: Structure) -> bool:
    """Whether this is one atom without a periodic image within 12 Angstrom.

    A single atom whose ``config_type`` says ``isolated_atom`` or ``IsolatedAtom`` counts as well.

    >>> is_isolated_atom(Structure(np.zeros((1, 3)), np.array([1])))
    True
    """
    if structure.num_atoms != 1:
        return False
    if structure.config_type.lower() in ISOLATED_NAMES or not structure.pbc.any():
        return True
    edges, _ = neighbor_list(structure.positions, structure.cell, structure.pbc, ISOLATED_DISTANCE)
    return edges.shape[1] == 0


def reference_energies(
    structures: Iterable[Structure], atomic_numbers: Sequence[int]
) -> FloatArray:
    r"""Energy of each element, to be subtracted from total energies before training.

    Elements with an isolated atom in the data get its energy.  The others get a ridge regression
    of the remaining energy per atom on the composition,

    .. math:: \min_e \sum_s \Big(\frac{E_s}{n_s} - \sum_z x_{sz} e_z\Big)^2
              + \lambda \sum_z (e_z - \bar e)^2,

    with a tiny :math:`\lambda` that decides only what the data do not (water: O and H occur in
    one ratio, so both get :math:`\bar e`, the mean energy per atom).

    Args:
        structures: those without an energy are skipped.
        atomic_numbers: elements of the model, in its order.

    Returns:
        eV, float64, shape (T,).  An element that no structure contains gets 0.

    >>> atom = Structure(np.zeros((1, 3)), np.array([1]), energy=-13.6)
    >>> hydride = Structure(np.eye(3)[:2], np.array([1, 3]), energy=-220.0)
    >>> reference_energies([atom, hydride], [1, 3]).round(6)
    array([ -13.6, -206.4])
    """
    numbers = np.asarray(atomic_numbers)
    isolated: dict[int, list[float]] = {int(z): [] for z in numbers}
    rows, energies = [], []
    for s in structures:
        if s.energy is None:
            continue
        if is_isolated_atom(s) and int(s.atomic_numbers[0]) in isolated:
            isolated[int(s.atomic_numbers[0])].append(s.energy)
        else:
            rows.append((s.atomic_numbers[:, None] == numbers).sum(axis=0) / s.num_atoms)
            energies.append(s.energy / s.num_atoms)
    result = np.zeros(len(numbers))
    known = np.array([bool(isolated[int(z)]) for z in numbers])
    for t, z in enumerate(numbers):
        values = isolated[int(z)]
        if values:
            result[t] = np.mean(values)
            if np.ptp(values) > 1e-3:
                logger.warning(
                    "isolated %s atoms have energies from %.4f to %.4f eV; the mean is used",
                    symbols(z),
                    min(values),
                    max(values),
                )
    if known.all() or not rows:
        _warn_missing(numbers[~known])
        return result
    composition = np.array(rows)
    rest = np.array(energies) - composition @ result
    unknown = np.flatnonzero(~known & (composition.sum(axis=0) > 0))
    _warn_missing(numbers[np.setdiff1d(np.flatnonzero(~known), unknown)])
    if unknown.size == 0:
        return result
    x = composition[:, unknown]
    # Structures of known elements only say nothing about the unknown ones.
    rest, x = rest[x.sum(axis=1) > 0], x[x.sum(axis=1) > 0]
    mean = rest.sum() / x.sum()
    gram = x.T @ x
    ridge = 1e-8 * np.trace(gram) * np.eye(len(unknown))
    result[unknown] = mean + np.linalg.solve(gram + ridge, x.T @ (rest - x.sum(axis=1) * mean))
    return result


def force_rms(structures: Iterable[Structure]) -> float:
    """Root mean square of the force components in eV/Angstrom; isolated atoms do not count.

    Returns:
        The value, or 0 when there are no force labels.

    >>> forces = np.array([[3.0, 0, 0], [-3.0, 0, 0]])
    >>> pair = Structure(np.eye(3)[:2], np.array([1, 1]), forces=forces)
    >>> round(force_rms([pair]), 6)
    1.732051
    """
    total, number = 0.0, 0
    for s in structures:
        if s.forces is not None and s.num_atoms > 1:
            known = s.forces[np.isfinite(s.forces).all(axis=1)]
            total += float(np.square(known).sum())
            number += known.size
    return float(np.sqrt(total / number)) if number else 0.0


def _warn_missing(numbers: np.ndarray) -> None:
    if numbers.size:
        logger.warning(
            "no energy label contains element %s; its reference energy is 0", symbols(numbers)
        )
