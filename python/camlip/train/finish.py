"""What happens after the last step of a run: final errors, pictures, report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols

from camlip.data import AnyDataset, Structure, force_rms
from camlip.train.backends import Backend
from camlip.train.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint
from camlip.train.dataset import Datasets
from camlip.train.evaluation import Evaluation, TorchPredictor, evaluate_dataset
from camlip.train.schema import TrainConfig

# The final errors of a larger training set are those of a sample.
MAX_ATOMS = 200_000


def finish_run(
    config: TrainConfig,
    datasets: Datasets,
    device: torch.device,
    backend: Backend | None = None,
    seed: int = 0,
    notes: Sequence[tuple[str, str]] = (),
) -> dict[str, Evaluation]:
    """Evaluate ``best.ckpt``, add the errors to it, and write plots and the report.

    Args:
        config: of the run.
        datasets: of the run.
        device: where to evaluate.
        backend: who evaluates; torch unless given.
        seed: of the sample, where a set is too large.
        notes: names and texts for the summary of the report.

    Returns:
        Evaluations of the data sets, by name.

    Raises:
        OSError: a file cannot be written.
    """
    run_dir = Path(config.run_dir)
    best = run_dir / "best.ckpt"
    model, metadata = load_checkpoint(best)
    predictor = (
        TorchPredictor(model, device=device) if backend is None else backend.predictor(model)
    )
    evaluations = {
        name: evaluate_dataset(
            predictor, sample(dataset, seed), None if config.log.progress else False
        )
        for name, dataset in datasets.items()
    }
    tables = {name: evaluation.table() for name, evaluation in evaluations.items()}
    content = read_checkpoint(best)
    content["errors"] = tables
    save_checkpoint(best, content)
    (run_dir / "errors.json").write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")
    if config.log.plots or config.log.report:
        write_report(config, datasets, metadata, model, evaluations, notes)
    return evaluations


def write_report(
    config: TrainConfig,
    datasets: Datasets,
    metadata: dict[str, Any],
    model: torch.nn.Module,
    evaluations: dict[str, Evaluation],
    notes: Sequence[tuple[str, str]] = (),
) -> None:
    """Write ``learning_curves.png``, ``parity.png`` and ``report.html``."""
    # matplotlib takes a second to import, which every other command would wait for.
    from camlip.train.plots import learning_curves, parity_plot
    from camlip.train.report import training_report

    run_dir = Path(config.run_dir)
    # The history of best.ckpt ends at the best validation.
    history = read_checkpoint(run_dir / "last.ckpt")["history"] or metadata["history"]
    pictures = {
        "Learning curves": learning_curves(history),
        "Predictions against labels": parity_plot(evaluations),
    }
    if config.log.plots:
        for name, png in zip(("learning_curves", "parity"), pictures.values(), strict=True):
            (run_dir / f"{name}.png").write_bytes(png)
    if config.log.report:
        summary = [
            (f"{name} structures", describe_dataset(dataset, metadata["fingerprint"].get(name)))
            for name, dataset in datasets.items()
        ]
        progress = metadata["progress"]
        summary += [
            ("parameters", str(sum(p.numel() for p in model.parameters()))),
            ("best model", f"epoch {progress['best_epoch']}, step {progress['step']}"),
            (
                "training",
                f"{history[-1]['step']} steps, {history[-1]['epoch']} epochs, "
                f"{history[-1]['minutes']:.1f} minutes",
            ),
            *notes,
        ]
        (run_dir / "report.html").write_text(
            training_report(
                f"camlip: {run_dir.name}", summary, config.model_dump(), evaluations, pictures
            ),
            encoding="utf-8",
        )


def describe_dataset(dataset: AnyDataset, fingerprint: str | None) -> str:
    """Size, elements and content of a data set in one line."""
    structures = sample(dataset, 0)
    numbers = np.unique(np.concatenate([np.unique(s.atomic_numbers) for s in structures]))
    labels = [
        f"{sum(getattr(s, label) is not None for s in structures)} {label}"
        for label in ("energy", "forces", "stress")
    ]
    return (
        f"{len(dataset)} with {int(dataset.num_atoms.sum())} atoms of "
        f"{', '.join(chemical_symbols[z] for z in numbers)}; labels: {', '.join(labels)}; "
        f"force RMS {force_rms(structures):.3f} eV/Å; fingerprint {fingerprint}"
    )


def sample(dataset: AnyDataset, seed: int) -> list[Structure]:
    """All structures, or of a large set a random choice that fits into memory."""
    if int(dataset.num_atoms.sum()) <= MAX_ATOMS:
        return list(dataset.structures)
    order = np.random.default_rng(seed).permutation(len(dataset))
    size = int(np.searchsorted(np.cumsum(dataset.num_atoms[order]), MAX_ATOMS, side="right"))
    return [dataset.structures[int(k)] for k in np.sort(order[: max(size, 1)])]
