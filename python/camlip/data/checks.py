"""Labels whose size or sign shows that the unit or the convention is another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from camlip.data.structure import FloatArray, Structure

# Medians over 20 public data sets lie between 0.001 and 0.03 eV/A^3, so that each of them would
# exceed this limit in GPa and none does in eV/A^3.  A mean would not do: one set has frames that
# were compressed to 10 eV/A^3.
STRESS_LIMIT = 0.15
FORCE_LIMIT = 15.0


def check_units(structures: Iterable[Structure]) -> list[str]:
    """Look for labels in other units or with the opposite sign.

    Args:
        structures: a data set.

    Returns:
        One sentence per suspicion, empty when all looks right.

    >>> cell = 4.0 * np.eye(3)
    >>> check_units([Structure(np.zeros((1, 3)), np.array([14]), cell, np.ones(3, bool),
    ...                        stress=np.full((3, 3), 12.3), source="train.xyz#0")])[0]
    'stress labels of train.xyz: median size 12.3 eV/A^3, expected below 0.15; are they in GPa? \
set data.keys.stress_unit: GPa'
    """
    files: dict[str, list[Structure]] = {}
    for s in structures:
        files.setdefault(s.source.rsplit("#", 1)[0] or "the data", []).append(s)
    messages = []
    for name, members in files.items():
        stress = [s.stress for s in members if s.stress is not None]
        if stress:
            sizes = np.sqrt(np.mean(np.square(np.stack(stress)), axis=(1, 2)))
            typical = float(np.median(sizes))
            if typical > STRESS_LIMIT:
                unit = "kbar" if typical > 15.0 else "GPa"
                messages.append(
                    f"stress labels of {name}: median size {typical:.3g} eV/A^3, expected below "
                    f"{STRESS_LIMIT}; are they in {unit}? set data.keys.stress_unit: {unit}"
                )
        forces = [s.forces for s in members if s.forces is not None and s.num_atoms > 1]
        typical = float(np.nanmedian(np.abs(np.concatenate(forces)))) if forces else 0.0
        if typical > FORCE_LIMIT:
            messages.append(
                f"force labels of {name}: median size {typical:.3g} eV/A, expected below "
                f"{FORCE_LIMIT:g}; are they in kcal/mol/A? set data.keys.energy_unit: kcal/mol"
            )
        correlation = stress_volume_correlation(members)
        if correlation is not None and correlation < -0.25:
            messages.append(
                f"stress labels of {name}: they fall when the volume grows (rank correlation "
                f"{correlation:.2f}), expected tension in larger cells; is the sign reversed or "
                "is it a virial? set data.keys.virial and virial_convention"
            )
    return messages


def stress_volume_correlation(structures: Sequence[Structure]) -> float | None:
    """Rank correlation of the mean normal stress with the volume, at equal composition.

    A compressed solid or liquid pushes outwards: in ASE's sign its stress is the more negative the
    smaller the volume, so the correlation is positive unless the sign of the labels is wrong.

    Returns:
        Value between -1 and 1 over all compositions with at least 5 structures whose volumes
        differ by 3 % or more, or None when there are fewer than 20 such structures.
    """
    groups: dict[bytes, list[tuple[float, float]]] = {}
    for s in structures:
        if s.stress is not None:
            volume, pressure = s.volume / s.num_atoms, float(np.trace(s.stress)) / 3.0
            elements, counts = np.unique(s.atomic_numbers, return_counts=True)
            # Reduced composition, so that a supercell and its primitive cell are compared.
            key = np.concatenate([elements, counts // np.gcd.reduce(counts)]).tobytes()
            groups.setdefault(key, []).append((volume, pressure))
    ranks: list[FloatArray] = []
    for values in groups.values():
        table = np.array(values)
        if len(table) >= 5 and np.std(table[:, 0]) > 0.03 * np.mean(table[:, 0]):
            order = table.argsort(axis=0).argsort(axis=0)
            ranks.append((order - order.mean(axis=0)) / len(table))
    joined = np.concatenate(ranks) if ranks else np.zeros((0, 2))
    if len(joined) < 20:
        return None
    return float(np.corrcoef(joined.T)[0, 1])
