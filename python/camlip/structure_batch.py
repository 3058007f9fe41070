"""Energies, forces and stresses of many structures in one call.

>>> import camlip                                                        # doctest: +SKIP
>>> found = camlip.compute_batch(molecules, "water.pt")                       # doctest: +SKIP
>>> found.energy.shape, found[7]["forces"].shape                         # doctest: +SKIP
((4096,), (3, 3))
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from camlip.engine import Engine, Model
from camlip.errors import ArgumentError

PROPERTIES = ("energy", "energies", "forces", "stress")
"""ASE names of what :func:`compute_batch` computes."""

_ENGINE_NAMES = {
    "energy": "energy",
    "energies": "atomic_energies",
    "forces": "forces",
    "stress": "virial",
}


@dataclass(frozen=True, eq=False)
class BatchResults:
    """Results of S structures with N atoms in total, in the order of the structures.

    ``found[s]`` has those of structure s by their ASE names, and ``for results in found`` goes
    through all of them.  What was not asked for is None.

    Attributes:
        offsets: atoms of structure s are rows ``offsets[s]`` to ``offsets[s + 1]``, (S + 1,).
        energy: eV, (S,).
        energies: of the atoms, eV, (N,).
        forces: eV/A, (N, 3).
        stress: ASE's sign and Voigt order, eV/A^3, (S, 6); NaN for a structure without a periodic
            direction or a cell of three vectors.
    """

    offsets: NDArray[np.int64]
    energy: NDArray[np.float64] | None
    energies: NDArray[np.float64] | None
    forces: NDArray[np.float64] | None
    stress: NDArray[np.float64] | None

    def __len__(self) -> int:
        """Number of structures."""
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> dict[str, float | NDArray[np.float64]]:
        """Results of one structure, views; ``stress`` only where there is one."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index: {index}, expected a structure of {len(self)}")
        s = index % len(self)
        rows = slice(self.offsets[s], self.offsets[s + 1])
        found: dict[str, float | NDArray[np.float64]] = {}
        if self.energy is not None:
            found["energy"] = float(self.energy[s])
        if self.energies is not None:
            found["energies"] = self.energies[rows]
        if self.forces is not None:
            found["forces"] = self.forces[rows]
        if self.stress is not None and not np.isnan(self.stress[s, 0]):
            found["stress"] = self.stress[s]
        return found

    def __iter__(self) -> Iterator[dict[str, float | NDArray[np.float64]]]:
        """Results of one structure after the other."""
        return (self[s] for s in range(len(self)))


def compute_batch(
    structures: Sequence[Atoms],
    model: str | os.PathLike[str] | Model | Engine,
    *,
    properties: Sequence[str] = ("energy", "forces", "stress"),
    precision: str = "mixed",
    threads: int | None = None,
    device: str = "cpu",
) -> BatchResults:
    """Energies, forces and stresses of many structures, all at once.

    The engine packs the structures into one system whose parts do not touch, so that small ones
    use it as well as large ones do; threads share the structures, and a GPU takes all of them at
    once.  Neighbor lists are made anew in every call.

    Args:
        structures: any sizes, elements, cells and boundary conditions; not changed, and their
            calculators are not used.
        model: a model file, a model, or an engine (the quickest for repeated calls).
        properties: names from ``PROPERTIES``.
        precision: ``mixed`` or ``double``; not with an engine.
        threads: default: what OpenMP would use; not with an engine.
        device: ``cpu``, ``cuda`` or ``cuda:N``; not with an engine.

    Returns:
        The results; see :class:`BatchResults`.

    Raises:
        ArgumentError: for an element that the model does not know, or an unknown property.
        NumericError: for NaN or infinity in a structure, or two atoms at the same place; it
            names the structure.
        ModelFileError: if the file is missing or is not a valid model.
        BackendError: for a device that is not there.
    """
    unknown = [name for name in properties if name not in PROPERTIES]
    if unknown:
        raise ArgumentError(f"properties: '{unknown[0]}', expected {', '.join(PROPERTIES)}")
    sizes = [len(atoms) for atoms in structures]
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
    numbers = _joined([a.numbers for a in structures], np.zeros(0, dtype=np.int64))
    engine = _engine_of(model, numbers, precision, threads, device)
    cells = np.array([a.cell.array for a in structures]).reshape(-1, 3, 3)
    pbc = np.array([a.pbc for a in structures], dtype=bool).reshape(-1, 3)
    found = engine.compute_systems(
        _joined([a.positions for a in structures], np.zeros((0, 3))),
        engine.model.types(numbers),
        offsets,
        cells,
        pbc,
        [_ENGINE_NAMES[name] for name in properties],
    )
    return BatchResults(
        offsets,
        found.get("energy"),
        found.get("atomic_energies"),
        found.get("forces"),
        _stresses(found["virial"], cells, pbc) if "virial" in found else None,
    )


def _joined(arrays: list[NDArray], empty: NDArray) -> NDArray:
    return np.concatenate(arrays) if arrays else empty


def _engine_of(
    model: str | os.PathLike[str] | Model | Engine,
    numbers: NDArray[np.int64],
    precision: str,
    threads: int | None,
    device: str,
) -> Engine:
    if isinstance(model, Engine):
        return model
    if device != "cpu" and not device.startswith("cuda"):
        raise ArgumentError(f"device: '{device}', expected cpu, cuda or cuda:N")
    if not isinstance(model, Model):
        model = Model(model)
    # Radial tables for the elements of these structures alone.
    present = np.unique(model.types(numbers)).tolist()
    return Engine(model, device, precision, threads=threads, active_types=present or [0])


def _stresses(
    virials: NDArray[np.float64], cells: NDArray[np.float64], pbc: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(S, 6); NaN where there is no volume."""
    volumes = np.abs(np.linalg.det(cells))
    volumes[(volumes == 0) | ~pbc.any(axis=1)] = np.nan
    symmetric = 0.5 * (virials + np.swapaxes(virials, -1, -2))
    return full_3x3_to_voigt_6_stress(-symmetric / volumes[:, None, None])
