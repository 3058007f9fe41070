"""What all comparisons share: folders, sizes, and our side of each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.data import atomic_numbers

from peers.measure import Contender, Unavailable
from peers.systems import ase_structure, lammps_box

SKIN = 1.0  # Angstrom
REBUILD = 10  # steps from one neighbor list to the next


@dataclass
class Comparison:
    """One peer against our presets, on one system.

    ``goals`` says how many times as fast as the peer each preset is meant to be; a goal of None
    is measured for information.  Where ``neighbors`` are given, times are compared per neighbor.
    """

    key: str
    peer: Contender
    ours: dict[str, Contender]
    goals: dict[str, float | None]
    system: str
    atoms: int
    work: str
    notes: dict[str, Any] = field(default_factory=dict)
    neighbors: dict[str, float] = field(default_factory=dict)


@dataclass
class Context:
    """Where the peers are installed, where to write, and how large the systems are.

    ``models`` may hold trained models, ``<preset>-<elements>-<cutoff>.pt``, for example
    ``small-Si-5.0.pt``; random weights otherwise, which take the same time.
    """

    peers: Path
    work: Path
    models: Path | None = None
    tiny: bool = False

    def python(self, peer: str) -> str:
        """The interpreter of a peer's environment."""
        found = self.peers / peer / "bin" / "python"
        reason = self.peers / f"{peer}.skipped"
        if reason.exists():
            raise Unavailable(reason.read_text().strip())
        if not (self.peers / peer / "installed").exists():
            raise Unavailable(
                f"peer '{peer}' is not installed in '{self.peers}'; "
                f"run benchmarks/install_peers.sh {peer}"
            )
        return str(found)

    def trained(self, preset: str, elements: Sequence[str], cutoff: float) -> Path | None:
        """The trained model of ours, where there is one."""
        if self.models is None:
            return None
        path = self.models / _name(preset, elements, cutoff)
        return path if path.exists() else None

    def model(self, preset: str, elements: Sequence[str], cutoff: float) -> Path:
        """A model file of ours."""
        trained = self.trained(preset, elements, cutoff)
        if trained is not None:
            return trained
        path = self.work / _name(preset, elements, cutoff)
        if not path.exists():
            from camlip.export import export
            from camlip.random_model import random_model

            numbers = [atomic_numbers[element] for element in elements]
            model = random_model(preset, numbers, seed=0, changes={"cutoff": cutoff})
            export(model, path, file_format="safetensors")
        return path

    def lammps(
        self, preset: str, atoms: Atoms, elements: list[str], cutoff: float, skin: float = SKIN
    ) -> Contender:
        """Our pair style in the stock LAMMPS."""
        from camlip.lammps import plugin_directory

        model = self.model(preset, elements, cutoff)
        commands = [
            "pair_style mlip engine cpu precision mixed threads 1",
            f"pair_coeff * * {model} {' '.join(elements)}",
        ]
        return Contender(
            f"camlip {preset}",
            "lammps_worker.py",
            lammps_job(atoms, elements, commands, skin),
            environment={"LAMMPS_PLUGIN_PATH": str(plugin_directory())},
            block=REBUILD,
        )

    def engine(self, preset: str, atoms: Atoms, elements: list[str], cutoff: float) -> Contender:
        """Our engine from Python, on arrays."""
        return self._python("engine", preset, atoms, elements, cutoff)

    def ase(self, preset: str, atoms: Atoms, elements: list[str], cutoff: float) -> Contender:
        """Our ASE calculator."""
        return self._python("ase", preset, atoms, elements, cutoff)

    def _python(
        self, route: str, preset: str, atoms: Atoms, elements: list[str], cutoff: float
    ) -> Contender:
        job = {
            "route": route,
            "structure": ase_structure(atoms),
            "model": str(self.model(preset, elements, cutoff)),
            "rebuild": REBUILD,
        }
        return Contender(f"camlip {preset}", "camlip_worker.py", job, block=REBUILD)


def _name(preset: str, elements: Sequence[str], cutoff: float) -> str:
    return f"{preset}-{''.join(elements)}-{cutoff}.pt"


def lammps_job(
    atoms: Atoms, elements: list[str], commands: list[str], skin: float = SKIN
) -> dict[str, Any]:
    """Molecular dynamics of a structure with the given pair style."""
    return lammps_box(atoms, elements) | {
        "commands": commands,
        "skin": skin,
        "rebuild": REBUILD,
    }
