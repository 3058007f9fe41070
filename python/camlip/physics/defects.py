"""Vacancy and surfaces."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.build import surface as cut
from ase.units import J
from ase.units import m as meter

from camlip.physics.common import Result, Sample, Settings, Skip, Source, relax, repeats

VACUUM = 8.0
"""On each side of a slab, Angstrom."""
RATTLE = 0.02
"""Displacements that break the symmetry before a relaxation, Angstrom."""
LOOSE = 10.0
"""Defects are relaxed to forces larger than those of crystals by this factor."""


def vacancy(sample: Sample, source: Source, settings: Settings, show: bool) -> Result:
    """Formation energy at constant volume, E(N - 1) - (N - 1)/N E(N), of an elemental crystal."""
    cell = sample.relaxed(source, settings)
    if len(set(cell.numbers.tolist())) > 1:
        raise Skip("a compound: the formation energy depends on the chemical potentials")
    atoms = source.on(cell.repeat(repeats(cell, settings.size)))
    number = len(atoms)
    if number < 2:
        raise Skip(
            f"the supercell has one atom; a larger --size than {settings.size:g} Å is needed"
        )
    perfect = atoms.get_potential_energy()
    del atoms[0]
    result = Result()
    scale = (number - 1) / number
    result.add(
        "unrelaxed",
        atoms.get_potential_energy() - scale * perfect,
        "eV",
        f"vacancy formation energy, unrelaxed ({number - 1} atoms)",
    )
    atoms.rattle(RATTLE, seed=settings.seed)
    start = atoms.positions.copy()
    if not relax(atoms, _loose(settings)):
        result.warnings.append(f"not relaxed within {settings.steps} steps")
    result.add(
        "relaxed",
        atoms.get_potential_energy() - scale * perfect,
        "eV",
        f"vacancy formation energy, relaxed ({number - 1} atoms)",
    )
    moved = float(np.linalg.norm(atoms.positions - start, axis=1).max())
    if moved > 1.5:
        result.warnings.append(f"an atom moved by {moved:.1f} Å: the vacancy rearranged")
    return result


def surface(sample: Sample, source: Source, settings: Settings, show: bool) -> Result:
    """Energies of ideally cut surfaces, relaxed and not; the symmetry of the cut stays."""
    cell = sample.relaxed(source, settings)
    bulk_energy = source.on(cell).get_potential_energy() / len(cell)
    result = Result()
    if sample.note:
        result.warnings.append(sample.note)
    for indices in settings.surfaces:
        layer = cut(cell, indices, 1, periodic=True)
        height = layer.get_volume() / _area(layer)
        thin = cut(cell, indices, max(1, math.ceil(settings.thickness / height)))
        thin.center(vacuum=VACUUM, axis=2)
        thin.pbc = True
        atoms = source.on(thin)
        area = 2 * _area(atoms)
        unit = J / meter**2
        name = "({}{}{})".format(*indices)

        def energy(atoms=atoms, area=area, unit=unit) -> float:
            return (atoms.get_potential_energy() - len(atoms) * bulk_energy) / area / unit

        result.add(f"{name} unrelaxed", energy(), "J/m²", f"surface {name}, as cut")
        if not relax(atoms, _loose(settings)):
            result.warnings.append(f"{name}: not relaxed within {settings.steps} steps")
        result.add(
            f"{name} relaxed", energy(), "J/m²", f"surface {name}, relaxed ({len(atoms)} atoms)"
        )
    if len(set(cell.numbers.tolist())) > 1:
        result.warnings.append("a compound: mean of the two ends of a stoichiometric slab")
    return result


def _area(atoms: Atoms) -> float:
    a, b, _ = atoms.cell.array
    return float(np.linalg.norm(np.cross(a, b)))


def _loose(settings: Settings) -> Settings:
    return replace(settings, fmax=LOOSE * settings.fmax)
