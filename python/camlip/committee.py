"""Several models of the same data as one ASE calculator: their mean, and how far they disagree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from camlip.calculator import MLIPCalculator
from camlip.errors import ArgumentError


def committee_files(run_dir: str | os.PathLike[str]) -> list[Path]:
    """The model files of the committee that ``camlip train`` left in a run directory.

    Raises:
        ArgumentError: there are none.
    """
    folder = Path(run_dir)
    files = sorted(folder.glob("member-*.pt"), key=lambda p: int(p.stem.rpartition("-")[2]))
    if not files:
        raise ArgumentError(
            f"committee '{folder}': no member-0.pt, member-1.pt ... in it; expected the run_dir of "
            "`camlip train` with train.committee above 1, after its end"
        )
    return files


class CommitteeCalculator(Calculator):
    """Mean of several models, which should be members of one committee.

    Besides energy, forces and stress, means over the members, the results have

    - ``energy_deviation``: standard deviation of the energies, eV;
    - ``forces_deviation``: for each atom the root mean square distance of the members' forces
      from their mean, eV/Angstrom, shape (N,).

    Large deviations mark structures unlike those of the training.  Small ones promise nothing:
    members share data and architecture, and with them what is wrong about both.

    Args:
        files: model files, or the run directory of a committee.
        **options: for each :class:`camlip.MLIPCalculator`, as ``precision`` and ``threads``.

    Raises:
        ArgumentError: fewer than two models, or no committee in the directory.
        ModelFileError: a file is missing or is not a valid model.

    >>> atoms.calc = CommitteeCalculator("runs/silicon")                  # doctest: +SKIP
    >>> atoms.get_forces(); atoms.calc.results["forces_deviation"]        # doctest: +SKIP
    """

    implemented_properties: ClassVar[list[str]] = [  # pyright: ignore[reportIncompatibleVariableOverride]
        "energy",
        "free_energy",
        "forces",
        "stress",
        "energy_deviation",
        "forces_deviation",
    ]
    ignored_changes: ClassVar[set[str]] = MLIPCalculator.ignored_changes  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        **options: Any,
    ) -> None:
        super().__init__()
        chosen = committee_files(files) if isinstance(files, str | os.PathLike) else list(files)
        if len(chosen) < 2:
            raise ArgumentError(f"committee: {len(chosen)} model, expected at least 2")
        self.members = [MLIPCalculator(file, **options) for file in chosen]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute with every member; called by ASE."""
        super().calculate(atoms, properties, system_changes)
        wanted = ["stress"] if "stress" in (properties or []) else ["energy"]
        for member in self.members:
            member.calculate(self.atoms, wanted)
        found = [member.results for member in self.members]
        energies = np.array([results["energy"] for results in found])
        forces = np.array([results["forces"] for results in found])
        mean = forces.mean(axis=0)
        spread = np.sqrt(((forces - mean) ** 2).sum(axis=2).mean(axis=0))
        energy = float(energies.mean())
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": mean,
            "energy_deviation": float(energies.std()),
            "forces_deviation": spread,
        }
        if all("stress" in results for results in found):
            self.results["stress"] = np.mean([results["stress"] for results in found], axis=0)
