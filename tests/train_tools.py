"""A small labelled data set and small configurations, for the tests of training."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from camlip.train.config import parse_config
from camlip.train.schema import TrainConfig


@cache
def frames(number: int = 20, seed: int = 0) -> list[Atoms]:
    """Rattled and strained crystals of copper and of an alloy, with labels from EMT."""
    random = np.random.default_rng(seed)
    result = []
    for k in range(number):
        atoms = bulk("Cu", cubic=True)
        if k % 2:
            atoms.numbers[0] = 28
        strain = np.eye(3) + 0.03 * random.standard_normal((3, 3))
        atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
        atoms.positions += 0.1 * random.standard_normal(atoms.positions.shape)
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.arrays["REF_forces"] = atoms.get_forces()
        atoms.info["REF_stress"] = atoms.get_stress()
        atoms.info["config_type"] = "alloy" if k % 2 else "copper"
        atoms.calc = None
        result.append(atoms)
    return result


def write_frames(path: Path, number: int = 20, seed: int = 0) -> str:
    """The data set as a file; returns its name."""
    write(path, frames(number, seed))
    return str(path)


def settings(folder: Path, **sections: dict[str, Any]) -> dict[str, Any]:
    """Content of a configuration file for a tiny model; ``sections`` are merged into it."""
    data = folder / "train.xyz"
    if not data.exists():
        write_frames(data)
    values: dict[str, Any] = {
        "run_dir": str(folder / "run"),
        "data": {"train": str(data), "valid_fraction": 0.2},
        "model": {
            "preset": "small",
            "cutoff": 4.0,
            "max_rank": 2,
            "num_channels": 4,
            "num_radial": 4,
            "num_hidden": 8,
            "radial_width": 8,
        },
        "train": {"epochs": 5, "structures_per_batch": 4, "device": "cpu", "threads": 1},
        "log": {"progress": False, "tensorboard": False, "plots": False, "report": False},
    }
    for name, section in sections.items():
        if isinstance(section, dict):
            values.setdefault(name, {}).update(section)
        else:
            values[name] = section
    return values


def config(folder: Path, **sections: Any) -> TrainConfig:
    """Checked configuration for a tiny model."""
    return parse_config(settings(folder, **sections))
