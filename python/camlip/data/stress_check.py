"""Whether stress labels are the strain derivative of the energy labels."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from camlip.data.structure import FloatArray, Structure

STRAIN = (0.003, 0.025)  # smaller ones drown in rounding, larger ones are not quadratic
SAME_PLACE = 2e-3  # in units of cell vectors
MOST = 150  # structures of a kind that are compared with each other
FEWEST_PAIRS = 5
REPORTED = 1e-3  # eV/A^3 (0.16 GPa)


@dataclass(frozen=True)
class StressExcess:
    """What normal stress labels have beyond dE/(V dstrain).

    Attributes:
        excess: median over the pairs, eV/Angstrom^3.
        spread: half the distance between the quartiles, eV/Angstrom^3.
        pairs: of strained structures that were compared.
    """

    excess: float
    spread: float
    pairs: int


def stress_excess(structures: Sequence[Structure]) -> StressExcess | None:
    """Compare stress labels with energy differences between strained copies of a structure.

    Two structures with the same fractional coordinates differ by a strain eps only, and by
    dE = V sigma : eps + O(eps^3) with the mean of their stress labels sigma, whatever the forces.
    Plane waves of a fixed cutoff violate this by their Pulay stress, which is nearly the same
    for all structures: a model can then fit the energies or the stress, not both.

    Args:
        structures: a data set; pairs with a change of volume count.

    Returns:
        The mean normal stress that the labels have in excess; None where fewer than five pairs
        tell.
    """
    kinds: dict[bytes, list[Structure]] = defaultdict(list)
    for s in structures:
        if s.energy is not None and s.stress is not None and s.pbc.all():
            group = kinds[s.atomic_numbers.tobytes()]
            if len(group) < MOST:
                group.append(s)
    found = np.array([value for group in kinds.values() for value in _pairs(group)])
    if len(found) < FEWEST_PAIRS:
        return None
    low, median, high = np.percentile(found, [25, 50, 75])
    return StressExcess(float(median), float(high - low) / 2, len(found))


def stress_warning(structures: Sequence[Structure]) -> list[str]:
    """The same as a sentence for the report; empty when the labels agree."""
    result = stress_excess(structures)
    if result is None or abs(result.excess) < max(REPORTED, 2 * result.spread):
        return []
    return [
        f"stress labels exceed the strain derivative of the energies by {result.excess:.4f} "
        f"eV/A^3 ({160.2 * result.excess:.2f} GPa; median of {result.pairs} pairs of strained "
        f"structures, half of them within {result.spread:.4f}): the two cannot both be fitted; "
        "subtract the Pulay stress or train with loss.stress=0"
    ]


def _pairs(group: Sequence[Structure]) -> Iterator[float]:
    inverses = [np.linalg.inv(s.cell) for s in group]
    fractions = [s.positions @ inverse for s, inverse in zip(group, inverses, strict=True)]
    for i, j in itertools.combinations(range(len(group)), 2):
        a, b = group[i], group[j]
        strain = _strain(inverses[i] @ b.cell)
        if strain is None or abs(np.trace(strain)) < STRAIN[0]:
            continue
        shift = fractions[i] - fractions[j]
        shift -= shift[0]
        if np.abs(shift - np.round(shift)).max() > SAME_PLACE:
            continue
        assert a.energy is not None
        assert b.energy is not None
        assert a.stress is not None
        assert b.stress is not None
        volume = (a.volume + b.volume) / 2
        work = volume * float(((a.stress + b.stress) / 2 * strain).sum())
        yield (work - (b.energy - a.energy)) / (volume * float(np.trace(strain)))


def _strain(deformation: FloatArray) -> FloatArray | None:
    """Logarithmic strain, None where it is too small or too large."""
    gradient = deformation - np.eye(3)
    if np.abs(gradient).max() > 2 * STRAIN[1]:
        return None
    # ln(1 + x) to the third order, short by 1e-6 of 1.
    strain = gradient - gradient @ gradient / 2 + gradient @ gradient @ gradient / 3
    strain = (strain + strain.T) / 2
    return strain if STRAIN[0] < np.abs(strain).max() < STRAIN[1] else None
