"""``camlip finetune``: a trained model to new data, as a YAML file says."""

from __future__ import annotations

import argparse
import json
import logging
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from camlip._files import replacing
from camlip.data import Structure
from camlip.data import read_structures as read_labelled
from camlip.models import CartesianMoments
from camlip.train.checkpoint import load_checkpoint
from camlip.train.command import INTERRUPTED, add_run_arguments, describe, stopped
from camlip.train.config import ConfigError, load_values, parse_config
from camlip.train.evaluation import evaluate_dataset, format_table
from camlip.train.finetune.schema import label_keys
from camlip.train.finetune.start import load_start, shape_of
from camlip.train.finish import finish_run, sample
from camlip.train.schema import TrainConfig
from camlip.train.trainer import Trainer

MAX_REPLAYED = 200
"""Of replayed structures so many tell the forgetting where there is no old test set."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``camlip finetune``."""
    add_run_arguments(parser)


def load_finetune_config(path: str, changes: list[str] | tuple[str, ...] = ()) -> TrainConfig:
    """Read a configuration whose model is the starting model.

    Raises:
        ConfigError: naming the key, the value and what was expected.
        TrainingError: the starting model cannot be used.
    """
    values, name = load_values(path, changes), Path(path).name
    section = values.get("finetune")
    if not isinstance(section, dict) or not isinstance(section.get("start"), str):
        raise ConfigError(
            f"{name}: key 'finetune.start' is missing, expected a checkpoint, an exported model or "
            "camlip:NAME"
        )
    if values.get("model"):
        raise ConfigError(
            f"{name}: key 'model': found {values['model']!r}, expected nothing: the shape is that "
            f"of {section['start']}"
        )
    config = parse_config({**values, "model": shape_of(load_start(section["start"]))}, name)
    if config.train.committee > 1:
        raise ConfigError(
            f"{name}: key 'train.committee': found {config.train.committee}, expected 1: fine-tune "
            "the members of a committee one by one"
        )
    return config


def run(args: argparse.Namespace) -> int:
    """Fine-tune; returns the exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    config = load_finetune_config(args.config, args.set)
    trainer = Trainer(config, resume=args.resume, overwrite=args.overwrite)
    tuning, main = trainer.finetuning, trainer.processes.is_main
    assert tuning is not None
    if main:
        print(describe(trainer))
        print(tuning.describe(trainer.model), flush=True)
    completed = trainer.fit()
    best = trainer.run_dir / "best.ckpt"
    if main and completed:
        own = tuning.own(trainer.datasets)
        compared = compare(trainer)
        notes = [("fine-tuning", tuning.describe(trainer.model)), ("forgetting", compared)]
        evaluations = finish_run(config, own, trainer.device, trainer.backend, notes=notes)
        for name, evaluation in evaluations.items():
            print(format_table(evaluation.table(), name))
        print(compared)
        print(f"best model: {best}")
    elif main:
        print(stopped(trainer))
    trainer.processes.close()
    return 0 if completed else INTERRUPTED


def compare(trainer: Trainer) -> str:
    """Errors on new and old data before and after; also written to ``finetune.json``.

    Before: the starting model, on the new data with the reference energies of the run.  Energies of
    old data that have no head of their own are compared after the best shift per element: the new
    data may have another zero, which is no forgetting.
    """
    tuning = trainer.finetuning
    assert tuning is not None
    datasets, options = trainer.datasets, tuning.options
    name = "test" if datasets.test is not None else "valid"
    new = sample(datasets.test if datasets.test is not None else datasets.valid, 0)
    rows = {f"new data ({name})": (new, 0)}
    group = tuning.old_group()
    if options.old_test:
        old = read_labelled(options.old_test, label_keys(options.old_keys))
        rows["old data (old_test)"] = (old, group)
    elif tuning.replayed:
        rows["old data (replayed in training)"] = (tuning.replayed[:MAX_REPLAYED], group)
    best = trainer.run_dir / "best.ckpt"
    results: dict[str, Any] = {}
    for title, (structures, level) in rows.items():
        head = tuning.heads[tuning.head_of_group[level]]
        after = load_checkpoint(best, head=head)[0]
        energies, shifted = tuning.energies[level], title.startswith("old") and level == 0
        if shifted:
            energies = tuning.start.reference_energies
        results[title] = {
            "structures": len(structures),
            "head": head,
            "energies_shifted": shifted,
            **{
                when: errors(trainer, model, energies, structures, shifted)
                for when, model in (("before", tuning.start), ("after", after))
            },
        }
    content = {
        "start": options.start,
        "elements": tuning.start.atomic_numbers,
        "reference_energies": {
            head: row.tolist()
            for head, row in zip(tuning.heads, tuning.head_energies(), strict=True)
        },
        "errors": results,
    }
    with replacing(trainer.run_dir / "finetune.json") as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    lines = ["before and after (RMSE)" + " " * 15 + "E meV/atom            F meV/A"]
    for title, row in results.items():
        cells = [
            " -> ".join(_number(row[when][quantity]) for when in ("before", "after"))
            for quantity in ("energy_per_atom", "forces")
        ]
        lines.append(f"  {title:<33}  {cells[0]:<20}  {cells[1]}")
    if len(results) == 1:
        lines.append("  forgetting was not measured: there is no finetune.old_test and no replay")
    return "\n".join(lines)


def errors(
    trainer: Trainer,
    model: CartesianMoments,
    energies: Any,
    structures: list[Structure],
    shift: bool = False,
) -> dict[str, Any]:
    """Errors of a model with these reference energies, or the best ones, in eV and Angstrom."""
    model = deepcopy(model)
    model.reference_energies.copy_(energies)
    evaluation = evaluate_dataset(trainer.backend.predictor(model), structures, False)
    if shift:
        fractions = np.array(
            [(s.atomic_numbers[:, None] == model.atomic_numbers).mean(axis=0) for s in structures]
        )
        label, found = evaluation.energies.T
        known = np.isfinite(label)
        if known.any():
            offset = np.linalg.lstsq(fractions[known], (label - found)[known], rcond=1e-8)[0]
            evaluation.energies[:, 1] += fractions @ offset
    return evaluation.errors()


def _number(found: dict[str, float] | None) -> str:
    return "-" if found is None else f"{1e3 * found['rmse']:.2f}"
