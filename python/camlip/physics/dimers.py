"""Energy of two atoms in vacuum, down to distances that no data have."""

from __future__ import annotations

import math

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from numpy.typing import NDArray

from camlip.physics.common import Result, Sample, Settings, Skip, Source

FARTHEST = 6.0
STEP = 0.02
SHORT_BOND = 0.6
"""A minimum below so much of the sum of covalent radii is doubtful."""
TOLERANCE = 1e-3
"""Rises of the energy towards longer distances below this are no holes, eV."""


def zbl(z1: int, z2: int, distance: float) -> float:
    """The universal repulsion of two nuclei (Ziegler, Biersack, Littmark 1985), eV.

    >>> round(zbl(14, 14, 0.3))
    1713
    """
    t = distance * (z1**0.23 + z2**0.23) / 0.4685
    terms = ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))
    screening = sum(c * math.exp(-d * t) for c, d in terms)
    return 14.3996 * z1 * z2 / distance * screening


def dimers(sample: Sample, source: Source, settings: Settings, show: bool) -> Result:
    """For each pair of elements: is it repulsive all the way down to the shortest distance."""
    elements = sorted(set(sample.atoms.numbers.tolist()))
    result = Result()
    distances = np.arange(settings.shortest, FARTHEST + STEP / 2, STEP)
    result.curves["distance"] = distances.tolist()
    for i, first in enumerate(elements):
        for second in elements[i:]:
            name = f"{chemical_symbols[first]}-{chemical_symbols[second]}"
            energies = curve(source, first, second, distances)
            if not np.isfinite(energies).any():
                result.warnings.append(f"{name}: could not be computed at any distance")
                continue
            result.curves[name] = [None if not math.isfinite(e) else e for e in energies.tolist()]
            _judge(result, name, distances, energies, zbl(first, second, float(distances[0])))
    if len(result.curves) == 1:
        raise Skip("no pair of atoms could be computed")
    return result


def curve(
    source: Source, first: int, second: int, distances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Energies against the largest distance, eV; NaN where the calculator gives up."""
    # A box that is no box: some calculators (tblite) treat open systems as such, all others too.
    pair = source.on(Atoms([first, second], [[0, 0, 0], [0, 0, 1.0]]))
    energies = []
    for distance in distances:
        pair.positions[1, 2] = distance
        try:
            energies.append(float(pair.get_potential_energy()))
        except Exception:  # any calculator, any way to fail at a distance like this
            energies.append(math.nan)
            pair.calc = source.make(True)
    found = np.array(energies)
    last = found[np.isfinite(found)][-1] if np.isfinite(found).any() else math.nan
    return found - last


def holes(
    distances: NDArray[np.float64], energies: NDArray[np.float64]
) -> list[tuple[float, float]]:
    """Where two atoms below the minimum attract each other: from, to; empty if nowhere.

    The minimum is the first one from outside that is lower than all distances beyond; below it the
    energy must rise towards shorter distances without end.

    >>> r = np.array([0.3, 0.5, 0.7, 0.9, 1.1, 1.3])
    >>> holes(r, np.array([9.0, 4.0, 2.0, 0.5, -1.0, 0.0]))
    []
    >>> holes(r, np.array([-9.0, 4.0, 2.0, 0.5, -1.0, 0.0]))
    [(0.3, 0.5)]
    """
    known = np.isfinite(energies)
    distances, energies = distances[known], energies[known]
    well = well_index(energies)
    found: list[tuple[float, float]] = []
    for k in range(well):
        if energies[k + 1] > energies[k] + TOLERANCE:
            if found and found[-1][1] == distances[k]:
                found[-1] = (found[-1][0], float(distances[k + 1]))
            else:
                found.append((float(distances[k]), float(distances[k + 1])))
    return found


def well_index(energies: NDArray[np.float64]) -> int:
    """Index of the bond: the lowest energy outside of the outermost barrier of 1 eV.

    A hole at short distance is behind such a barrier and does not count, however deep.
    """
    best = len(energies) - 1
    for k in range(len(energies) - 1, -1, -1):
        if energies[k] < energies[best]:
            best = k
        elif energies[k] > energies[best] + 1.0:
            break
    return best


def _judge(
    result: Result,
    name: str,
    distances: NDArray[np.float64],
    energies: NDArray[np.float64],
    repulsion: float,
) -> None:
    found = holes(distances, energies)
    known = np.isfinite(energies)
    well = well_index(energies[known])
    place, depth = float(distances[known][well]), float(energies[known][well])
    bound = well < int(known.sum()) - 1
    result.add(f"{name} well at", place if bound else None, "Å", f"{name}: minimum")
    result.add(f"{name} well", depth if bound else None, "eV", f"{name}: energy there")
    touching = float(covalent_radii[[atomic_numbers[x] for x in name.split("-")]].sum())
    if not bound:
        result.warnings.append(f"{name}: no minimum, two atoms in vacuum repel at all distances")
    elif place < SHORT_BOND * touching:
        result.warnings.append(
            f"{name}: the minimum at {place:.2f} Å is far below the sum of covalent radii, "
            f"{touching:.2f} Å; is the repulsion missing?"
        )
    result.add(
        f"{name} repulsive",
        0.0 if found else 1.0,
        "",
        f"{name}: repulsive from the minimum down to {distances[0]:g} Å (1: yes)",
    )
    if not known.all():
        missing = distances[~known]
        result.warnings.append(
            f"{name}: not computed at {len(missing)} distances, {missing.min():.2f} to "
            f"{missing.max():.2f} Å"
        )
    result.add(
        f"{name} at {distances[0]:g} Å",
        float(energies[0]),
        "eV",
        f"{name}: energy at {distances[0]:g} Å (ZBL: {repulsion:.0f} eV)",
    )
    for low, high in found:
        result.warnings.append(
            f"{name}: ATTRACTIVE from {low:.2f} to {high:.2f} Å, below the minimum; atoms that "
            "come so near collapse: train with model.zbl, or add short distances to the data"
        )
