"""Errors of a model on labelled structures, by configuration type and element."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray
from tqdm import tqdm

from camlip.data import BatchSampler, Dataset, Structure, collate
from camlip.models import CartesianMoments, evaluate
from camlip.train.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from camlip.engine import Model

FloatArray = NDArray[np.float64]
QUANTITIES = ("energy_per_atom", "forces", "stress")
PROGRESS_FROM = 20


@dataclass(frozen=True)
class Prediction:
    """What a model says about one structure.

    Attributes:
        energy: eV.
        forces: eV/Angstrom, shape (n, 3).
        stress: eV/Angstrom^3, shape (3, 3), ASE sign; None without a volume.
    """

    energy: float
    forces: FloatArray
    stress: FloatArray | None


class Predictor(Protocol):
    """A model that predicts structures one after the other."""

    def predict(self, structures: Sequence[Structure]) -> Iterator[Prediction]:
        """Predictions in the order of the structures."""
        ...


class TorchPredictor:
    """A torch module.

    Args:
        model: architecture with its weights.
        atoms_per_batch: how many atoms to evaluate at once.
        device: where.
    """

    def __init__(
        self,
        model: CartesianMoments,
        atoms_per_batch: int = 1000,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model = model.to(device)
        self.atoms_per_batch = atoms_per_batch
        self.device = device

    def predict(self, structures: Sequence[Structure]) -> Iterator[Prediction]:
        """Predictions in the order of the structures."""
        dtype = next(self.model.parameters()).dtype
        dataset = Dataset(structures, self.model.atomic_numbers, self.model.cutoff, progress=False)
        for indices in BatchSampler(dataset, self.atoms_per_batch, shuffle=False):
            batch = collate([dataset[k] for k in indices]).to(self.device, dtype)
            results = evaluate(self.model, batch, forces=True)
            sizes = batch.num_atoms.tolist()
            forces = results["forces"].double().cpu().numpy()
            virials = results["virial"].double().cpu().numpy()
            start = 0
            for k, size, energy, virial in zip(
                indices, sizes, results["energy"].tolist(), virials, strict=True
            ):
                volume = structures[k].volume
                stress = -virial / volume if volume > 0 else None
                yield Prediction(energy, forces[start : start + size], stress)
                start += size


class EnginePredictor:
    """A model, run by the engine.

    Args:
        model: exported file, or a model of the engine.
        precision: ``mixed`` or ``double``.
        threads: of the engine; default: its choice.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Model,
        precision: str = "mixed",
        threads: int | None = None,
        device: str = "auto",
    ) -> None:
        from camlip.engine import Engine, Model

        self.model = model if isinstance(model, Model) else Model(model)
        self.engine = Engine(self.model, device, precision, threads)

    def predict(self, structures: Sequence[Structure]) -> Iterator[Prediction]:
        """Predictions in the order of the structures."""
        for s in structures:
            results = self.engine.compute_system(
                s.positions,
                self.model.types(s.atomic_numbers),
                s.cell,
                s.pbc.tolist(),
                ("energy", "forces", "virial"),
            )
            stress = -results["virial"] / s.volume if s.volume > 0 else None
            yield Prediction(float(results["energy"]), results["forces"], stress)


class CommitteePredictor:
    """Mean of several models.

    Args:
        members: of the committee.

    Attributes:
        energy_deviations: standard deviation over the members of each predicted structure, eV
            per atom.
        force_deviations: root mean square distance from the mean, over members and atoms of each
            structure, eV/Angstrom.
    """

    def __init__(self, members: Sequence[Predictor]) -> None:
        self.members = list(members)
        self.energy_deviations: list[float] = []
        self.force_deviations: list[float] = []

    def predict(self, structures: Sequence[Structure]) -> Iterator[Prediction]:
        """Means in the order of the structures."""
        for every in zip(*(m.predict(structures) for m in self.members), strict=True):
            energies = np.array([p.energy for p in every])
            forces = np.array([p.forces for p in every])
            mean = forces.mean(axis=0)
            number = max(len(mean), 1)
            distance = ((forces - mean) ** 2).sum() / (len(every) * number)
            self.energy_deviations.append(float(energies.std()) / number)
            self.force_deviations.append(float(np.sqrt(distance)))
            stresses = [p.stress for p in every if p.stress is not None]
            stress = np.mean(stresses, axis=0) if stresses else None
            yield Prediction(float(energies.mean()), mean, stress)

    def summary(self) -> str:
        """One line about the deviations so far."""
        energy = np.sqrt(np.mean(np.square(self.energy_deviations)))
        force = np.sqrt(np.mean(np.square(self.force_deviations)))
        return (
            f"committee of {len(self.members)}: deviation of the energies {1000 * energy:.2f} "
            f"meV/atom, of the forces {force:.4f} eV/A (root mean square over structures, largest "
            f"{max(self.force_deviations):.4f})"
        )


def is_checkpoint_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a checkpoint of training, by the names in the archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return any(n.endswith("/data.pkl") for n in names) and not any(
        "/code/" in n or n.endswith("/model.safetensors") for n in names
    )


def load_predictor(
    path: str | os.PathLike[str],
    *,
    precision: str = "mixed",
    threads: int | None = None,
    device: str = "auto",
    atoms_per_batch: int = 1000,
    which: str = "ema",
) -> Predictor:
    """Predictor for a checkpoint (torch), an exported model or a committee of them (engine).

    Args:
        path: the file, or the run directory of a committee.
        precision: of the engine.
        threads: of the engine or of torch.
        device: ``auto``, ``cpu`` or ``cuda``.
        atoms_per_batch: for checkpoints.
        which: weights of a checkpoint, ``ema`` or ``raw``.
    """
    if Path(path).is_dir():
        from camlip.committee import committee_files

        files = committee_files(path)
        return CommitteePredictor([EnginePredictor(f, precision, threads, device) for f in files])
    if not is_checkpoint_file(path):
        return EnginePredictor(path, precision, threads, device)
    if threads is not None:
        torch.set_num_threads(threads)
    model, _ = load_checkpoint(path, which)
    if precision == "double":
        model = model.double()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return TorchPredictor(model, atoms_per_batch, device)


@dataclass
class Evaluation:
    """Labels and predictions side by side; NaN where there is no label.

    Attributes:
        structures: what was evaluated.
        energies: per atom, eV; columns label and prediction, shape (S, 2).
        forces: per component, eV/Angstrom, shape (N, 3, 2).
        stresses: eV/Angstrom^3, shape (S, 3, 3, 2).
        atom_structure: structure of each atom, shape (N,).
    """

    structures: list[Structure] = field(default_factory=list)
    energies: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))
    forces: FloatArray = field(default_factory=lambda: np.zeros((0, 3, 2)))
    stresses: FloatArray = field(default_factory=lambda: np.zeros((0, 3, 3, 2)))
    atom_structure: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def pairs(
        self,
        chosen: NDArray[np.bool_] | None = None,
        atoms: NDArray[np.bool_] | None = None,
    ) -> dict[str, FloatArray]:
        """Known labels and their predictions, (n, 2) for each quantity.

        Args:
            chosen: structures to take, shape (S,).
            atoms: atoms to take, shape (N,).
        """
        if chosen is None:
            chosen = np.ones(len(self.structures), dtype=bool)
        if atoms is None:
            atoms = chosen[self.atom_structure]
        flat = {
            "energy_per_atom": self.energies[chosen].reshape(-1, 2),
            "forces": self.forces[atoms].reshape(-1, 2),
            "stress": self.stresses[chosen].reshape(-1, 2),
        }
        return {name: values[np.isfinite(values[:, 0])] for name, values in flat.items()}

    def errors(self, chosen: NDArray[np.bool_] | None = None) -> dict[str, Any]:
        """``{"energy_per_atom": {"mae", "rmse"}, ...}``, None for a quantity without labels."""
        return {name: _errors(values) for name, values in self.pairs(chosen).items()}

    def table(self) -> dict[str, Any]:
        """All errors, ready for JSON; units eV, eV/Angstrom, eV/Angstrom^3."""
        types = np.array([s.config_type for s in self.structures])
        by_type = {
            str(name): {**self.errors(types == name), "configurations": int((types == name).sum())}
            for name in np.unique(types)
        }
        numbers = (
            np.concatenate([s.atomic_numbers for s in self.structures])
            if self.structures
            else np.zeros(0, dtype=np.int64)
        )
        by_element = {
            chemical_symbols[z]: {
                "forces": _errors(self.pairs(atoms=numbers == z)["forces"]),
                "atoms": int((numbers == z).sum()),
            }
            for z in np.unique(numbers).tolist()
        }
        return {
            **self.errors(),
            "configurations": len(self.structures),
            "by_config_type": by_type,
            "by_element": by_element,
        }

    def outliers(self, number: int = 10) -> list[dict[str, Any]]:
        """Structures with the largest force errors (energy errors where there are no forces)."""
        rows = []
        places = np.arange(len(self.structures))
        for k, s in enumerate(self.structures):
            error = self.errors(np.equal(places, k))
            energy, forces = error["energy_per_atom"], error["forces"]
            own = self.forces[np.equal(self.atom_structure, k)]
            largest = np.abs(own[..., 1] - own[..., 0])
            known = largest[np.isfinite(largest)]
            rows.append(
                {
                    "source": s.source,
                    "formula": s.formula,
                    "config_type": s.config_type,
                    "energy_per_atom_error": energy["mae"] if energy else None,
                    "forces_rmse": forces["rmse"] if forces else None,
                    "forces_max": float(known.max()) if known.size else None,
                }
            )
        rows.sort(key=lambda r: -(r["forces_rmse"] or r["energy_per_atom_error"] or 0.0))
        return rows[:number]


def evaluate_dataset(
    predictor: Predictor, structures: Sequence[Structure], progress: bool | None = None
) -> Evaluation:
    """Predict labelled structures.

    Args:
        predictor: from :func:`load_predictor`, or anything with ``predict``.
        structures: with labels.
        progress: show a progress bar; default: for more than a few structures.

    Returns:
        Labels and predictions; :meth:`Evaluation.table` has the errors.

    Raises:
        ValueError: an element is not among those of the model.
    """
    show = len(structures) >= PROGRESS_FROM if progress is None else progress
    energies, forces, stresses = [], [], []
    predictions = predictor.predict(structures)
    for s, p in zip(
        structures, tqdm(predictions, "evaluating", len(structures), disable=not show), strict=True
    ):
        n = s.num_atoms
        label = math.nan if s.energy is None else s.energy / n
        energies.append([label, p.energy / n])
        known = np.full((n, 3), math.nan) if s.forces is None else s.forces
        # A force is known with all its components or not at all.
        known = np.where(np.isfinite(known).all(axis=1, keepdims=True), known, math.nan)
        forces.append(np.stack([known, p.forces], axis=-1))
        pair = np.full((3, 3, 2), math.nan)
        if s.stress is not None and p.stress is not None:
            pair[..., 0], pair[..., 1] = s.stress, p.stress
        stresses.append(pair)
    if not energies:
        return Evaluation()
    return Evaluation(
        list(structures),
        np.array(energies),
        np.concatenate(forces),
        np.array(stresses),
        np.repeat(np.arange(len(energies)), [s.num_atoms for s in structures]),
    )


def format_table(table: dict[str, Any], title: str = "") -> str:
    """Table of errors for the terminal: MAE and RMSE in meV."""
    units = {"energy_per_atom": "E meV/atom", "forces": "F meV/A", "stress": "S meV/A^3"}
    shown = [q for q in QUANTITIES if table[q] is not None]
    head = [title or "", "number", *[f"{units[q]} {e}" for q in shown for e in ("MAE", "RMSE")]]
    rows = [head]

    def add(name: str, number: int, part: dict[str, Any]) -> None:
        cells = [name, str(number)]
        for q in shown:
            errors = part.get(q)
            cells += [f"{1e3 * errors[e]:.2f}" if errors else "-" for e in ("mae", "rmse")]
        rows.append(cells)

    add("all", table["configurations"], table)
    if len(table["by_config_type"]) > 1:
        for name, part in table["by_config_type"].items():
            add(f"  {name}", part["configurations"], part)
    if len(table["by_element"]) > 1:
        for name, part in table["by_element"].items():
            add(f"  {name} atoms", part["atoms"], part)
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    align: Sequence[Callable[[str, int], str]] = [str.ljust] + [str.rjust] * (len(head) - 1)
    return "\n".join(
        "  ".join(f(cell, width) for f, cell, width in zip(align, row, widths, strict=True))
        for row in rows
    )


def _errors(values: FloatArray) -> dict[str, float] | None:
    if len(values) == 0:
        return None
    difference = values[:, 1] - values[:, 0]
    return {
        "mae": float(np.abs(difference).mean()),
        "rmse": float(np.sqrt(np.square(difference).mean())),
    }
