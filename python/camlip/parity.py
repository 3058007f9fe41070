"""Largest differences between two implementations of the same model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from camlip.engine import Engine, Model, backends
from camlip.structures import sample_structures

if TYPE_CHECKING:
    from torch import nn

Evaluator = Callable[[Atoms], dict[str, NDArray[np.float64]]]

# Allowed differences: energies in eV/atom, forces relative to the largest (see `compare`).
DOUBLE = (1e-9, 1e-8)
MIXED = (1e-6, 1e-5)
# The same for models that were not made for tests: random structures may be far from their data.
MIXED_ANY_MODEL = (1e-5, 1e-4)
FLOAT32 = (2e-5, 1e-4)  # all in float32, sums included, as in a TorchScript module of this type


@dataclass(frozen=True)
class Difference:
    """Largest differences over some structures.

    Attributes:
        name: what was compared.
        energy: total energy, eV/atom.
        atomic_energies: of a single atom, eV.
        forces: eV/A.
        virial: eV/atom.
        energy_limit: what is allowed for ``energy``; ten times that for ``atomic_energies`` and
            ``virial``.
        forces_limit: what is allowed for ``forces``.
    """

    name: str
    energy: float
    atomic_energies: float
    forces: float
    virial: float
    energy_limit: float
    forces_limit: float

    @property
    def passed(self) -> bool:
        """Whether all differences are allowed; NaN is not."""
        return (
            self.energy <= self.energy_limit
            and self.forces <= self.forces_limit
            and self.atomic_energies <= 10 * self.energy_limit
            and self.virial <= 10 * self.energy_limit
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"passed": self.passed}

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"{self.name:<28} energy {self.energy:8.1e} (limit {self.energy_limit:.0e}) eV/atom   "
            f"forces {self.forces:8.1e} (limit {self.forces_limit:.0e}) eV/A   "
            f"{'ok' if self.passed else 'FAILED'}"
        )


def engine_evaluator(engine: Engine) -> Evaluator:
    """Results of an engine for ASE atoms."""

    def evaluate(atoms: Atoms) -> dict[str, NDArray[np.float64]]:
        return engine.compute_system(
            atoms.positions,
            engine.model.types(atoms.numbers),
            atoms.cell.array if atoms.pbc.any() else None,
            atoms.pbc.tolist(),
            ("energy", "atomic_energies", "forces", "virial"),
        )

    return evaluate


def torch_evaluator(module: nn.Module, cutoff: float) -> Evaluator:
    """Results of an :class:`camlip.torchscript.ExportedModel`, scripted or not, for ASE atoms."""
    import torch

    from camlip.random_model import edges

    def evaluate(atoms: Atoms) -> dict[str, NDArray[np.float64]]:
        edge_index, shifts = edges(atoms, cutoff)
        results = module(
            torch.from_numpy(atoms.positions),
            torch.from_numpy(atoms.numbers.astype(np.int64)),
            edge_index,
            shifts,
        )
        return {key: value.double().numpy() for key, value in results.items()}

    return evaluate


def compare(
    name: str,
    structures: Iterable[Atoms],
    expected: Evaluator,
    found: Evaluator,
    limits: tuple[float, float],
) -> Difference:
    """Compare two implementations.

    Args:
        name: for the report.
        structures: what to compare on.
        expected: the one that is taken as right.
        found: the other one; it may lack the virial.
        limits: allowed difference of the energy (eV/atom) and of the forces relative to
            the largest force.  Where forces exceed 1 eV/A both limits grow in proportion.
    """
    energy = atomic = forces = virial = largest = 0.0
    for atoms in structures:
        a, b = expected(atoms), found(atoms)
        if len(atoms) == 0:
            energy = max(energy, abs(float(a["energy"]) - float(b["energy"])))
            continue
        largest = max(largest, float(np.abs(a["forces"]).max()))
        # Not Python's max(), which loses NaN.
        atomic = float(np.maximum(atomic, _gap(a, b, "atomic_energies")))
        energy = float(np.maximum(energy, _gap(a, b, "energy") / len(atoms)))
        forces = float(np.maximum(forces, _gap(a, b, "forces")))
        if "virial" in b:
            virial = float(np.maximum(virial, _gap(a, b, "virial") / len(atoms)))
    scale = max(1.0, largest)
    return Difference(name, energy, atomic, forces, virial, limits[0] * scale, limits[1] * scale)


def _gap(a: dict[str, Any], b: dict[str, Any], key: str) -> float:
    return float(np.abs(np.asarray(a[key]) - np.asarray(b[key])).max())


def sampled_types(model: Model) -> list[int]:
    """Types of the elements in :func:`camlip.structures.sample_structures`: at most four."""
    numbers = np.concatenate([a.numbers for a in sample_structures(model.atomic_numbers).values()])
    return np.unique(model.types(numbers)).tolist()


def check_engines(model: Model, precisions: Iterable[str]) -> list[Engine]:
    """The reference and an engine of every other backend in each precision, for comparisons."""
    engines = []
    for backend in backends(model):
        for precision in ("double",) if backend == "reference" else precisions:
            engines.append(Engine(model, backend, precision, active_types=sampled_types(model)))
    return engines


def compare_engines(
    engines: Iterable[Engine], structures: Iterable[Atoms], expected: Evaluator
) -> list[Difference]:
    """Compare each engine with what is expected, by the limits of its precision."""
    chosen = list(structures)
    found = []
    for engine in engines:
        info = engine.info
        limits = DOUBLE if info.precision == "double" else MIXED_ANY_MODEL
        name = f"engine {info.backend} {info.precision}"
        found.append(compare(name, chosen, expected, engine_evaluator(engine), limits))
    return found


def table_errors(engines: Iterable[Engine]) -> tuple[dict[str, float], dict[str, float]]:
    """Errors of the radial tables and of their derivatives, relative, largest by precision."""
    values: dict[str, float] = {}
    derivatives: dict[str, float] = {}
    for info in (engine.info for engine in engines):
        if info.backend == "reference":  # which has no tables
            continue
        for found, error in (
            (values, info.radial_table_error),
            (derivatives, info.radial_table_derivative_error),
        ):
            found[info.precision] = max(found.get(info.precision, 0.0), error)
    return values, derivatives
