"""Phonons of crystals (phonopy) and vibrations of molecules (ASE)."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.units import invcm
from ase.vibrations import VibrationsData
from tqdm import tqdm

from camlip.physics.common import (
    Result,
    Sample,
    Settings,
    Skip,
    Source,
    progress,
    quiet,
    relax,
    repeats,
)

MESH = 10
BAND_POINTS = 120
UNSTABLE = 0.1
"""Imaginary frequencies below this are rounding, THz."""
DEGENERATE = 0.02
"""Branches that are nearer than this are counted once, THz."""
SAME = 1e-3
"""Points whose frequencies do not differ by more are equivalent, THz."""
RIGID = 20.0
"""Frequencies of molecules below this are translations and rotations, 1/cm."""


def phonons(sample: Sample, source: Source, settings: Settings, show: bool) -> Result:
    """Frequencies at the special points, lowest of a mesh, zero-point energy, heat capacity."""
    if not sample.atoms.pbc.any():
        return _molecule(sample, source, settings, show)
    sample.crystal()
    try:
        from phonopy import Phonopy
        from phonopy.structure.atoms import PhonopyAtoms
    except ImportError as error:
        raise Skip("phonopy is not installed: pip install 'camlip[physics]'") from error
    cell = sample.relaxed(source, settings)
    unit = PhonopyAtoms(
        symbols=cell.get_chemical_symbols(),
        scaled_positions=cell.get_scaled_positions(),
        cell=cell.cell.array,
    )
    # phonopy tells choices that are made on purpose: the primitive cell, the mesh.
    with quiet(advice_too=True):
        phonon: Any = Phonopy(unit, np.diag(repeats(cell, settings.size)), primitive_matrix="auto")
        phonon.generate_displacements(distance=settings.displacement)
        displaced = phonon.supercells_with_displacements
        forces = []
        for supercell in tqdm(displaced, "phonons", disable=progress(show), leave=False):
            atoms = source.on(
                Atoms(
                    supercell.symbols,
                    scaled_positions=supercell.scaled_positions,
                    cell=supercell.cell,
                    pbc=True,
                )
            )
            forces.append(atoms.get_forces())
        phonon.forces = forces
        phonon.produce_force_constants()
        phonon.symmetrize_force_constants()
    return _analyze(phonon, settings)


def _analyze(phonon: Any, settings: Settings) -> Result:
    result = Result()
    primitive = Atoms(phonon.primitive.symbols, cell=phonon.primitive.cell, pbc=True)
    with quiet(advice_too=True):
        path = primitive.cell.bandpath(npoints=BAND_POINTS)
        special = path.special_points
        known: list[np.ndarray] = []
        for label in _labels(path.path):
            phonon.run_qpoints([special[label]])
            found = np.sort(np.asarray(phonon.get_qpoints_dict()["frequencies"][0]))
            # Some points of a path are images of each other, such as K and U.
            if any(np.abs(found - other).max() < SAME for other in known):
                continue
            known.append(found)
            name = "Γ" if label == "G" else label
            for k, frequency in enumerate(_shown(found, name == "Γ")):
                result.add(f"{name} {k + 1}", frequency, "THz", f"phonon at {name}, branch {k + 1}")
        bands = []
        for point in path.kpts:
            phonon.run_qpoints([point])
            bands.append(np.sort(phonon.get_qpoints_dict()["frequencies"][0]).tolist())
        phonon.run_mesh([MESH] * 3, is_gamma_center=True)
        lowest = float(np.min(phonon.get_mesh_dict()["frequencies"]))
        phonon.run_thermal_properties(temperatures=[0, 300])
        thermal = phonon.get_thermal_properties_dict()
    atoms = len(primitive)
    result.add("lowest", lowest, "THz", "lowest frequency (negative: imaginary)")
    kilojoule = 0.010364269656262  # kJ/mol in eV
    result.add(
        "ZPE", 1e3 * kilojoule * thermal["free_energy"][0] / atoms, "meV/atom", "zero-point energy"
    )
    result.add("Cv", thermal["heat_capacity"][1] / atoms, "J/K/mol", "heat capacity at 300 K")
    distance, ticks, names = path.get_linear_kpoint_axis()
    result.curves = {
        "distance": np.asarray(distance).tolist(),
        "bands": bands,
        "ticks": np.asarray(ticks).tolist(),
        "labels": ["Γ" if n == "G" else n for n in names],
    }
    if lowest < -UNSTABLE:
        result.warnings.append(
            f"imaginary frequencies down to {lowest:.2f} THz: the crystal is unstable in this "
            f"model, or the supercell of {settings.size:g} Å is too small"
        )
    return result


def _labels(path: str) -> list[str]:
    """Special points of a path of ASE, each once.

    >>> _labels("GXWKGLUWLK,UX")
    ['G', 'X', 'W', 'K', 'L', 'U']
    """
    from ase.dft.kpoints import parse_path_string

    found = [label for part in parse_path_string(path) for label in part]
    return list(dict.fromkeys(found))


def _shown(frequencies: np.ndarray, gamma: bool) -> list[float]:
    """Distinct branches, or the highest of many; without the three acoustic ones at Gamma."""
    if gamma:
        frequencies = frequencies[3:]
    distinct: list[float] = []
    for f in frequencies.tolist():
        if not distinct or f - distinct[-1] > DEGENERATE:
            distinct.append(f)
    return distinct if len(distinct) <= 6 else [distinct[0], distinct[-1]]


def _molecule(sample: Sample, source: Source, settings: Settings, show: bool) -> Result:
    """Vibrational frequencies by central differences of the forces at the minimum."""
    if len(sample.atoms) < 2:
        raise Skip("the sample is a single atom")
    atoms = source.on(sample.atoms)
    converged = relax(atoms, settings)
    size, positions = settings.displacement, atoms.positions.copy()
    rows = []
    for k in tqdm(range(3 * len(atoms)), "vibrations", disable=progress(show), leave=False):
        ends = []
        for sign in (1, -1):
            moved = positions.copy()
            moved.flat[k] += sign * size
            atoms.positions = moved
            ends.append(atoms.get_forces().ravel())
        rows.append((ends[1] - ends[0]) / (2 * size))
    hessian = np.array(rows)
    atoms.positions = positions
    data = VibrationsData.from_2d(atoms, 0.5 * (hessian + hessian.T))
    energies = np.asarray(data.get_energies(), dtype=np.complex128)
    real, imaginary = np.real(energies), np.abs(np.imag(energies))
    wavenumbers = np.sort(np.where(imaginary > real, -imaginary, real)) / invcm
    # The lowest by size are translations and rotations.
    rigid = np.argsort(np.abs(wavenumbers))[: 5 if _linear(atoms) else 6]
    found = np.sort(np.delete(wavenumbers, rigid))
    result = Result(curves={"wavenumbers": found.tolist()})
    for k, value in enumerate(found):
        result.add(f"mode {k + 1}", float(value), "1/cm", f"vibration {k + 1}")
    if not converged:
        result.warnings.append("the molecule was not relaxed to the end")
    if (found < -RIGID).any():
        result.warnings.append(f"imaginary frequency: {-float(found.min()):.0f}i 1/cm")
    return result


def _linear(atoms: Atoms) -> bool:
    moments = np.asarray(atoms.get_moments_of_inertia())
    return bool(moments[0] < 1e-3 * moments[-1])
