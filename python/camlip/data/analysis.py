"""What is in a data set, and which structures would hurt a model trained on it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from tqdm import tqdm

from camlip.data.checks import check_units
from camlip.data.energies import is_isolated_atom
from camlip.data.neighbors import neighbor_list
from camlip.data.reading import fingerprint
from camlip.data.stress_check import stress_warning
from camlip.data.structure import FloatArray, Structure, symbols

# Limits.  The first of each pair is reported, the second one is worth dropping.
FORCE_LIMIT = 100.0  # eV/A
NET_FORCE = (0.02, 0.1)  # eV/A per atom
ENERGY_DEVIATION = (0.3, 5.0)  # eV/atom from the fit to the composition, if z exceeds ROBUST_Z
ENERGY_CERTAIN = 100.0  # eV/atom: absurd in any case
FORCE_DEVIATION = 30.0  # eV/A of the largest force, if its z exceeds ROBUST_Z
ROBUST_Z = 20.0
CLOSE_PAIR = (0.55, 0.35)  # times the sum of covalent radii
STRESS_LIMIT = 1.0  # eV/A^3
PAIR_CUTOFF = 4.0


@dataclass(frozen=True)
class Finding:
    """Something odd about one structure.

    Attributes:
        kind: ``"duplicate"``, ``"net force"``, ...
        index: of the structure.
        source: ``"file#frame"``.
        detail: one phrase with the numbers.
        drop: whether it is better left out.
    """

    kind: str
    index: int
    source: str
    detail: str
    drop: bool


@dataclass
class Analysis:
    """Result of :func:`analyze`: ``summary`` is plain data for JSON, arrays are for plots."""

    summary: dict[str, Any]
    findings: list[Finding]
    arrays: dict[str, Any] = field(default_factory=dict)

    @property
    def dropped(self) -> set[int]:
        """Indices of the structures that are better left out."""
        return {f.index for f in self.findings if f.drop}


def analyze(structures: Sequence[Structure], progress: bool | None = None) -> Analysis:
    """Count, measure and check.

    Args:
        structures: a data set, at least one.
        progress: show a progress bar; default: for more than 200 structures.

    Returns:
        Numbers in eV and Angstrom, and the structures that look wrong.

    >>> pair = Structure(np.array([[0, 0, 0], [0, 0, 0.74]]), np.array([1, 1]), energy=-31.7)
    >>> result = analyze([pair, pair])
    >>> [(f.kind, f.index) for f in result.findings], result.dropped
    ([('duplicate', 1)], {1})
    """
    findings: list[Finding] = []

    def find(kind: str, index: int, detail: str, drop: bool) -> None:
        findings.append(Finding(kind, index, structures[index].source, detail, drop))

    closest: dict[tuple[int, int], tuple[float, int]] = {}
    distances: list[FloatArray] = []
    first_seen: dict[str, int] = {}
    show = len(structures) > 200 if progress is None else progress
    for k, s in enumerate(tqdm(structures, "checking", disable=None if show else True)):
        _check_labels(k, s, find)
        _check_duplicate(k, s, structures, first_seen, find)
        shortest = _closest_pairs(k, s, closest, find)
        if shortest is not None:
            distances.append(shortest)
    residuals = _energy_residuals(structures)
    _check_energies(structures, residuals, find)
    _check_force_outliers(structures, find)
    findings.sort(key=lambda f: (f.kind, f.index))

    summary = _counts(structures)
    summary["labels"] = _label_statistics(structures, residuals)
    summary["closest_pairs"] = {
        f"{chemical_symbols[a]}-{chemical_symbols[b]}": {
            "distance": round(d, 4),
            "source": structures[k].source,
        }
        for (a, b), (d, k) in sorted(closest.items())
    }
    summary["isolated_atoms"] = {
        chemical_symbols[int(s.atomic_numbers[0])]: s.energy
        for s in structures
        if is_isolated_atom(s) and s.energy is not None
    }
    summary["warnings"] = [
        *check_units(structures),
        *_missing_labels(structures),
        *stress_warning(structures),
    ]
    result = Analysis(summary, findings)
    summary["findings"] = {
        kind: {
            "structures": len([f for f in findings if f.kind == kind]),
            "drop": len([f for f in findings if f.kind == kind and f.drop]),
        }
        for kind in dict.fromkeys(f.kind for f in findings)
    }
    summary["drop"] = [structures[k].source for k in sorted(result.dropped)]
    result.arrays = {
        "residuals": residuals[np.isfinite(residuals)],
        "distances": np.concatenate(distances) if distances else np.zeros(0),
        "forces": _force_sizes(structures),
        "stress": np.array([np.trace(s.stress) / 3 for s in structures if s.stress is not None]),
        "volume": np.array([s.volume / s.num_atoms for s in structures if s.stress is not None]),
        "sizes": np.array([s.num_atoms for s in structures]),
    }
    return result


def _counts(structures: Sequence[Structure]) -> dict[str, Any]:
    sizes = np.array([s.num_atoms for s in structures])
    atoms: Counter[int] = Counter()
    contain: Counter[int] = Counter()
    types: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    periodic: Counter[str] = Counter()
    for s in structures:
        numbers, counts = np.unique(s.atomic_numbers, return_counts=True)
        atoms.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        contain.update(numbers.tolist())
        types[s.config_type][0] += 1
        types[s.config_type][1] += s.num_atoms
        periodic["".join("T" if p else "F" for p in s.pbc)] += 1
    return {
        "structures": len(structures),
        "atoms": int(sizes.sum()),
        "atoms_per_structure": {
            "min": int(sizes.min()),
            "mean": round(float(sizes.mean()), 2),
            "max": int(sizes.max()),
        },
        "fingerprint": fingerprint(structures),
        "elements": {
            chemical_symbols[z]: {"atoms": atoms[z], "structures": contain[z]}
            for z in sorted(atoms)
        },
        "config_types": {
            name: {"structures": n, "atoms": a} for name, (n, a) in sorted(types.items())
        },
        "pbc": dict(periodic),
    }


def _label_statistics(structures: Sequence[Structure], residuals: FloatArray) -> dict[str, Any]:
    per_atom = np.array([s.energy / s.num_atoms for s in structures if s.energy is not None])
    forces = _force_sizes(structures)
    stress = [s.stress for s in structures if s.stress is not None]
    labels: dict[str, Any] = {}
    if len(per_atom):
        rest = residuals[np.isfinite(residuals)]
        labels["energy"] = {
            "structures": len(per_atom),
            "per_atom": _quantiles(per_atom),
            "per_atom_minus_composition": _quantiles(rest) if len(rest) else None,
        }
    if len(forces):
        labels["forces"] = {
            "structures": sum(s.forces is not None for s in structures),
            "atoms": len(forces),
            "component_rms": float(np.sqrt(np.mean(forces**2) / 3)),
            "size": _quantiles(forces),
        }
    if stress:
        values = np.stack(stress)
        labels["stress"] = {
            "structures": len(stress),
            "component_rms": float(np.sqrt(np.mean(values**2))),
            "mean_normal": _quantiles(np.trace(values, axis1=1, axis2=2) / 3),
        }
    return labels


def _quantiles(values: FloatArray) -> dict[str, float]:
    points = np.quantile(values, [0.0, 0.01, 0.5, 0.99, 1.0])
    names = ("min", "1%", "median", "99%", "max")
    return dict(zip(names, map(float, points), strict=True))


def _check_labels(k: int, s: Structure, find: Any) -> None:
    if s.energy is None and s.forces is None and s.stress is None:
        find("no label", k, "neither energy nor forces nor stress", True)
    if s.forces is not None and np.isfinite(s.forces).all():
        largest = float(np.linalg.norm(s.forces, axis=1).max())
        if largest > FORCE_LIMIT:
            atom = int(np.linalg.norm(s.forces, axis=1).argmax())
            find("large force", k, f"{largest:.1f} eV/A on atom {atom}", True)
        net = float(np.linalg.norm(s.forces.sum(axis=0))) / s.num_atoms
        if net > NET_FORCE[0]:
            drop = net > NET_FORCE[1]
            find("net force", k, f"{net:.3f} eV/A per atom, expected 0", drop)
    if s.stress is not None and (largest := float(np.abs(s.stress).max())) > STRESS_LIMIT:
        find("large stress", k, f"{largest:.2f} eV/A^3 ({160.2 * largest:.0f} GPa)", False)


def _check_duplicate(
    k: int, s: Structure, structures: Sequence[Structure], first_seen: dict[str, int], find: Any
) -> None:
    """Same atoms at the same places, up to a shift of all and 0.0001 A."""
    geometry = np.concatenate([s.positions - s.positions[0], s.cell])
    digest = hashlib.sha256(s.atomic_numbers.tobytes() + s.pbc.tobytes())
    digest.update((np.round(geometry, 4) + 0.0).tobytes())
    other = first_seen.setdefault(digest.hexdigest(), k)
    if other == k:
        return
    before = structures[other]
    where = before.source or f"structure {other}"
    if s.energy is not None and before.energy is not None:
        difference = abs(s.energy - before.energy) / s.num_atoms
        if difference > 1e-3:
            detail = f"geometry of {where}, but {difference:.4f} eV/atom apart"
            find("conflicting duplicate", k, detail, True)
            return
    find("duplicate", k, f"same as {where}", True)


def _closest_pairs(
    k: int, s: Structure, closest: dict[tuple[int, int], tuple[float, int]], find: Any
) -> FloatArray | None:
    edges, shifts = neighbor_list(s.positions, s.cell, s.pbc, PAIR_CUTOFF)
    if edges.shape[1] == 0:
        return None
    vectors = s.positions[edges[1]] - s.positions[edges[0]] + shifts @ s.cell
    lengths = np.linalg.norm(vectors, axis=1)
    numbers = np.sort(s.atomic_numbers[edges], axis=0)
    codes = numbers[0] * 128 + numbers[1]
    for code in np.unique(codes):
        pair = (int(code) // 128, int(code) % 128)
        shortest = float(lengths[codes == code].min())
        if shortest < closest.get(pair, (np.inf, 0))[0]:
            closest[pair] = (shortest, k)
    ratio = lengths / covalent_radii[s.atomic_numbers[edges]].sum(axis=0)
    worst = int(ratio.argmin())
    if ratio[worst] < CLOSE_PAIR[0]:
        i, j = edges[:, worst]
        names = f"{symbols(s.atomic_numbers[i])}-{symbols(s.atomic_numbers[j])}"
        detail = f"{names} {lengths[worst]:.3f} A between atoms {i} and {j}"
        find("close pair", k, detail, bool(ratio[worst] < CLOSE_PAIR[1]))
    per_atom = np.full(s.num_atoms, np.inf)
    np.minimum.at(per_atom, edges[0], lengths)
    return per_atom[np.isfinite(per_atom)]


def _energy_residuals(structures: Sequence[Structure]) -> FloatArray:
    """Energy per atom minus a fit to the composition, NaN where there is none.

    Outliers are taken out of the fit and it is repeated, so that one absurd label does not hide
    behind the coefficients that it distorted.
    """
    elements = np.unique(np.concatenate([s.atomic_numbers for s in structures]))
    use = np.array([s.energy is not None and not is_isolated_atom(s) for s in structures])
    residuals = np.full(len(structures), np.nan)
    if not use.any():
        return residuals
    chosen = [s for s, u in zip(structures, use, strict=True) if u]
    x = np.array([(s.atomic_numbers[:, None] == elements).sum(0) / s.num_atoms for s in chosen])
    y = np.array([s.energy / s.num_atoms for s in chosen if s.energy is not None])
    if len(y) < 2 * np.linalg.matrix_rank(x):
        # The fit would pass through every point.
        return residuals
    # Medians first: a least-squares fit would follow the outlier from the start.
    keep = np.abs(robust_z(y - np.median(y))) < 1e3
    rest = y
    for _ in range(5):
        rest = y - x @ np.linalg.lstsq(x[keep], y[keep], rcond=1e-10)[0]
        keep = np.abs(robust_z(rest)) < ROBUST_Z
    residuals[use] = rest
    return residuals


def _check_energies(structures: Sequence[Structure], residuals: FloatArray, find: Any) -> None:
    known = np.flatnonzero(np.isfinite(residuals))
    if len(known) < 10:
        return
    center = float(np.median(residuals[known]))
    z = np.abs(robust_z(residuals[known]))
    for k, score in zip(known, z, strict=True):
        deviation = residuals[k] - center
        if score > ROBUST_Z and abs(deviation) > ENERGY_DEVIATION[0]:
            detail = f"{deviation:+.3g} eV/atom from the fit to the composition"
            absurd = abs(deviation) > ENERGY_DEVIATION[1]
            # A high energy is right where the atoms are squeezed.
            if 0 < deviation < ENERGY_CERTAIN and _under_strain(structures[int(k)]):
                absurd, detail = False, detail + ", with large forces or stress"
            find("energy outlier", int(k), detail, bool(absurd))


def _under_strain(s: Structure) -> bool:
    return bool(
        (s.forces is not None and np.nanmax(np.abs(s.forces)) > 10.0)
        or (s.stress is not None and np.abs(s.stress).max() > 0.5 * STRESS_LIMIT)
    )


def _check_force_outliers(structures: Sequence[Structure], find: Any) -> None:
    largest = {
        k: float(np.nanmax(np.abs(s.forces)))
        for k, s in enumerate(structures)
        if s.forces is not None and s.num_atoms > 1
    }
    if len(largest) < 10:
        return
    known, sizes = list(largest), np.array(list(largest.values()))
    for k, size, score in zip(known, sizes, robust_z(sizes), strict=True):
        if score > ROBUST_Z and FORCE_DEVIATION < size <= FORCE_LIMIT:
            detail = f"{size:.1f} eV/A, the typical largest one is {np.median(sizes):.1f}"
            find("force outlier", k, detail, False)


def robust_z(values: FloatArray) -> FloatArray:
    """Distance from the median in units of the standard deviation, both robust to outliers.

    >>> bool(robust_z(np.array([1.0, 2.0, 3.0, 4.0, 1000.0]))[-1] > 100)
    True
    """
    center = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - center))
    return (values - center) / max(float(spread), 1e-8)


def _force_sizes(structures: Sequence[Structure]) -> FloatArray:
    parts = [s.forces for s in structures if s.forces is not None]
    if not parts:
        return np.zeros(0)
    sizes = np.linalg.norm(np.concatenate(parts), axis=1)
    return sizes[np.isfinite(sizes)]


def _missing_labels(structures: Sequence[Structure]) -> list[str]:
    """Labels that are exactly zero are often ones that were never computed."""
    messages = []
    several = [s for s in structures if s.num_atoms > 2]
    zero = [s for s in several if s.forces is not None and not s.forces.any()]
    if len(zero) > max(5, 0.05 * len(several)):
        messages.append(
            f"forces of {len(zero)} structures are exactly zero (first: {zero[0].source}); right "
            "for perfect crystals, otherwise leave the key out where they were not computed"
        )
    periodic = [s for s in structures if s.stress is not None]
    still = [s for s in periodic if s.stress is not None and not s.stress.any()]
    if still:
        messages.append(
            f"stress of {len(still)} structures is exactly zero (first: {still[0].source}); leave "
            "the key out where it was not computed"
        )
    return messages
