"""Equation of state and elastic constants."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.eos import EquationOfState
from ase.units import GPa
from numpy.typing import NDArray

from camlip.physics.common import Result, Sample, Settings, Skip, Source, quiet, relax

POINTS = 11
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
SMALL = 3.0
"""Elastic constants below this are not listed unless they are always there, GPa."""


def eos(sample: Sample, source: Source, settings: Settings, show: bool) -> Result:
    """Energy against volume, atoms relaxed: lattice constants, bulk modulus and its derivative."""
    result = Result()
    if sample.cell is not None:
        start = sample.relaxed(source, settings)
    elif sample.atoms.pbc.all():
        start = sample.atoms.copy()
    else:
        raise Skip(sample.note)
    atoms = source.on(start)
    volumes, energies = [], []
    for change in np.linspace(-settings.volume_range, settings.volume_range, POINTS):
        atoms.set_cell(start.cell * (1 + change) ** (1 / 3), scale_atoms=False)
        atoms.set_scaled_positions(start.get_scaled_positions())
        if sample.cell is not None and len(atoms) > 1:
            relax(atoms, settings)
        volumes.append(atoms.get_volume() / len(atoms))
        energies.append(atoms.get_potential_energy() / len(atoms))
    fit = EquationOfState(volumes, energies, eos="birchmurnaghan")
    try:
        with quiet():
            volume, energy, modulus = fit.fit(warn=False)
    except (ValueError, RuntimeError) as error:
        raise Skip(f"the energies have no minimum within {settings.volume_range:.0%}") from error
    derivative = float(np.asarray(fit.eos_parameters)[2])
    if sample.cell is not None:
        factor = (volume * len(start) / start.get_volume()) ** (1 / 3)
        lengths = start.cell.lengths() * factor
        for name, value, other in zip("abc", lengths, (0.0, *lengths), strict=False):
            if name == "a" or (not sample.cubic and abs(value - other) > 1e-4):
                result.add(name, value, "Å", f"lattice constant {name}")
    result.add("V0", volume, "Å³/atom", "volume at zero pressure")
    result.add("B0", modulus / GPa, "GPa", "bulk modulus")
    result.add("B0'", derivative, "", "pressure derivative of the bulk modulus")
    result.curves = {"volume": volumes, "energy": (np.array(energies) - energy).tolist()}
    if not min(volumes) < volume < max(volumes):
        result.warnings.append("the minimum is outside of the volumes that were computed")
    return result


def elastic(sample: Sample, source: Source, settings: Settings, show: bool) -> Result:
    """Elastic constants with relaxed atoms, from the stress of strained cells."""
    start = sample.relaxed(source, settings)
    matrix = elastic_tensor(source, start, settings) / GPa
    asymmetry = float(np.abs(matrix - matrix.T).max())
    matrix = 0.5 * (matrix + matrix.T)
    result = Result(curves={"C": matrix.tolist()})
    if sample.cubic:
        shown = {
            "C11": float(np.mean([matrix[i, i] for i in range(3)])),
            "C12": float(np.mean([matrix[0, 1], matrix[0, 2], matrix[1, 2]])),
            "C44": float(np.mean([matrix[i, i] for i in range(3, 6)])),
        }
        result.curves["noise"] = float(np.ptp([matrix[i, i] for i in range(3)]))
    else:
        shown = {
            f"C{i + 1}{j + 1}": float(matrix[i, j])
            for i in range(6)
            for j in range(i, 6)
            if i == j or (i < 3 and j < 3) or abs(matrix[i, j]) > SMALL
        }
    for name, value in shown.items():
        result.add(name, value, "GPa", f"elastic constant {name}")
    bulk, shear = voigt_reuss_hill(matrix)
    result.add("B", bulk, "GPa", "bulk modulus (Voigt-Reuss-Hill)")
    result.add("G", shear, "GPa", "shear modulus (Voigt-Reuss-Hill)")
    if asymmetry > 0.02 * np.abs(matrix).max():
        result.warnings.append(f"C differs from its transpose by up to {asymmetry:.1f} GPa")
    lowest = float(np.linalg.eigvalsh(matrix)[0])
    if lowest <= 0:
        result.warnings.append(
            f"the crystal is mechanically unstable: lowest eigenvalue of C is {lowest:.1f} GPa"
        )
    return result


def elastic_tensor(source: Source, start: Atoms, settings: Settings) -> NDArray[np.float64]:
    """Derivative of the stress by the strain in Voigt order, eV/Angstrom^3, shape (6, 6).

    Shear strains are the engineering ones, so that rows and columns are the usual C_ij.

    Args:
        source: who computes.
        start: relaxed crystal.
        settings: strain and limits of the relaxation of the atoms.
    """
    atoms = source.on(start)
    scaled = start.get_scaled_positions()
    columns = []
    for a, b in VOIGT:
        ends = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            # e_xx = strain, or e_xy = e_yx = strain / 2: an engineering strain of the same size.
            strain[a, b] += sign * settings.strain / 2
            strain[b, a] += sign * settings.strain / 2
            atoms.set_cell(start.cell.array @ (np.eye(3) + strain), scale_atoms=False)
            atoms.set_scaled_positions(scaled)
            if len(atoms) > 1:
                relax(atoms, settings)
            ends.append(atoms.get_stress(voigt=True))
        columns.append((ends[0] - ends[1]) / (2 * settings.strain))
    return np.array(columns).T


def voigt_reuss_hill(matrix: NDArray[np.float64]) -> tuple[float, float]:
    """Bulk and shear modulus of a polycrystal: the mean of Voigt's and Reuss's.

    >>> c11, c12, c44 = 160.0, 60.0, 50.0
    >>> isotropic = np.diag([c11 - c12] * 3 + [c44] * 3)
    >>> isotropic[:3, :3] += c12
    >>> [round(float(x), 6) for x in voigt_reuss_hill(isotropic)]
    [93.333333, 50.0]
    """

    def sums(m: NDArray[np.float64]) -> tuple[float, float, float]:
        return (
            float(m[0, 0] + m[1, 1] + m[2, 2]),
            float(m[0, 1] + m[0, 2] + m[1, 2]),
            float(m[3, 3] + m[4, 4] + m[5, 5]),
        )

    a, b, c = sums(matrix)
    d, e, f = sums(np.asarray(np.linalg.inv(matrix), dtype=np.float64))
    bulk = 0.5 * ((a + 2 * b) / 9 + 1 / (d + 2 * e))
    shear = 0.5 * ((a - b + 3 * c) / 15 + 15 / (4 * d - 4 * e + 3 * f))
    return bulk, shear
