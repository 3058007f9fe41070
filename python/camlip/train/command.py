"""``camlip train``: train a model as a YAML file says."""

from __future__ import annotations

import argparse
import logging
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

from camlip.train.committee import member_file, train_committee
from camlip.train.config import ConfigError, load_config
from camlip.train.evaluation import format_table
from camlip.train.finish import finish_run
from camlip.train.schema import TrainConfig
from camlip.train.trainer import Trainer

if TYPE_CHECKING:
    from camlip.models import CartesianMoments

INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``camlip train``."""
    add_run_arguments(parser)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of every run that a YAML file describes."""
    parser.add_argument("config", metavar="FILE.yaml", help="configuration")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="change any key of the configuration, as in train.epochs=50 run_dir=runs/b",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--resume", action="store_true", help="go on from the checkpoints in run_dir, if any"
    )
    start.add_argument(
        "--overwrite", action="store_true", help="replace the run that run_dir holds"
    )


def run(args: argparse.Namespace) -> int:
    """Train; returns the exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    config = load_config(args.config, args.set)
    if config.finetune is not None:
        raise ConfigError(f"{args.config}: it has a section 'finetune'; use `camlip finetune`")
    if config.train.committee > 1:
        return run_committee(config, args)
    trainer = Trainer(config, resume=args.resume, overwrite=args.overwrite)
    main = trainer.processes.is_main
    if main:
        print(describe(trainer), flush=True)
    completed = trainer.fit()
    if main and completed:
        evaluations = finish_run(config, trainer.datasets, trainer.device, trainer.backend)
        for name, evaluation in evaluations.items():
            print(format_table(evaluation.table(), name))
        print(f"best model: {trainer.run_dir / 'best.ckpt'}")
    elif main:
        print(stopped(trainer))
    trainer.processes.close()
    return 0 if completed else INTERRUPTED


def stopped(trainer: Trainer) -> str:
    """What a run says that a signal ended."""
    return (
        f"stopped at epoch {trainer.state.epoch + 1}; continue with --resume "
        f"(checkpoint: {trainer.run_dir / 'last.ckpt'})"
    )


def run_committee(config: TrainConfig, args: argparse.Namespace) -> int:
    """Train several members; returns the exit status."""
    number = config.train.committee

    def begins(member: int, trainer: Trainer) -> None:
        print(f"member {member} of {number}\n{describe(trainer)}", flush=True)

    completed = train_committee(config, resume=args.resume, overwrite=args.overwrite, begins=begins)
    if not completed:
        print(f"stopped; continue with --resume (run directory: {config.run_dir})")
        return INTERRUPTED
    files = ", ".join(str(member_file(config, member)) for member in range(number))
    print(f"models: {files}; their mean: camlip evaluate {config.run_dir} FILE")
    return 0


def describe(trainer: Trainer) -> str:
    """What is going to be trained on what, in a few lines."""
    from ase.data import chemical_symbols

    model = trainer.model
    sets = ", ".join(
        f"{name} {len(dataset)} ({int(dataset.num_atoms.sum())} atoms)"
        for name, dataset in trainer.datasets.items()
    )
    elements = ", ".join(
        f"{chemical_symbols[z]} {energy:.4f}"
        for z, energy in zip(model.atomic_numbers, model.reference_energies.tolist(), strict=True)
    )
    number = sum(p.numel() for p in model.parameters())
    return "\n".join(
        [
            f"structures: {sets}",
            f"reference energies (eV): {elements}; force scale "
            f"{float(model.energy_scale):.3g} eV/A; {model.average_num_neighbors:.1f} neighbors "
            f"within {model.cutoff:g} A",
            f"model: {number} parameters, {model.num_layers} layer(s), rank {model.max_rank}, "
            f"{trainer.config.train.dtype} on {trainer.device}, "
            f"{torch_threads()} thread(s), {trainer.processes.world_size} process(es)",
            f"repulsion: {repulsion(model)}",
            f"backend: {trainer.backend.description}",
            f"run directory: {trainer.run_dir}",
        ]
    )


def repulsion(model: CartesianMoments) -> str:
    """Where the ZBL repulsion of each pair of elements ends, or of the extremes where many."""
    from ase.data import chemical_symbols

    if not model.use_zbl:
        return "none (model.zbl)"
    radii = dict(zip(model.atomic_numbers, model.zbl.radii.tolist(), strict=True))
    ends = [
        (radii[a] + radii[b], f"{chemical_symbols[a]}-{chemical_symbols[b]}")
        for a, b in combinations_with_replacement(radii, 2)
    ]
    shown = ends if len(ends) <= 10 else [min(ends), max(ends)]
    between = ", " if len(ends) <= 10 else " to "
    return "ZBL below " + between.join(f"{pair} {end:.2f}" for end, pair in shown) + " A"


def torch_threads() -> int:
    """Threads that PyTorch uses for one operation."""
    import torch

    return torch.get_num_threads()
