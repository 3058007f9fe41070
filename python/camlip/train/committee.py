"""Several models of the same data in one run: other first weights, another order of the data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from camlip.export import export
from camlip.train.checkpoint import load_checkpoint
from camlip.train.dataset import load_datasets
from camlip.train.finish import finish_run
from camlip.train.schema import TrainConfig
from camlip.train.setup import checkpoints_in
from camlip.train.trainer import Trainer


def member_config(config: TrainConfig, member: int) -> TrainConfig:
    """The configuration with which one member would be trained on its own."""
    train = config.train.model_copy(update={"committee": 1})
    folder = str(Path(config.run_dir) / f"member-{member}")
    return config.model_copy(
        update={"run_dir": folder, "seed": config.seed + member, "train": train}
    )


def member_file(config: TrainConfig, member: int) -> Path:
    """The model file of a member, written at its end."""
    return Path(config.run_dir) / f"member-{member}.pt"


def train_committee(
    config: TrainConfig,
    *,
    resume: bool = False,
    overwrite: bool = False,
    begins: Callable[[int, Trainer], None] = lambda member, trainer: None,
) -> bool:
    """Train the members one after the other, each to its end.

    They share the structures, their split, neighbor lists and what the engine prepared of them.
    Member k lies in ``run_dir/member-k``, a run like any other, and its model in
    ``run_dir/member-k.pt``, which is written last: a member that has one is complete.

    Args:
        config: with ``train.committee``.
        resume: go on where the members are.
        overwrite: start anew although there are some.
        begins: called before a member is trained.

    Returns:
        True at the end; False when a signal stopped the run.

    Raises:
        TrainingError: as for :class:`Trainer`.
    """
    members = range(config.train.committee)
    progress = None if config.log.progress else False
    datasets = load_datasets(config, progress)
    first: Trainer | None = None
    completed = True
    for member in members:
        own, file = member_config(config, member), member_file(config, member)
        if resume and file.exists():
            continue
        trainer = Trainer(
            own,
            resume=resume and bool(checkpoints_in(Path(own.run_dir))),
            overwrite=overwrite,
            datasets=datasets,
        )
        first = first or trainer
        if trainer.processes.is_main:
            file.unlink(missing_ok=True)
            begins(member, trainer)
        completed = trainer.fit()
        if not completed:
            break
        if trainer.processes.is_main:
            finish_run(own, datasets, trainer.device, trainer.backend)
            model, known = load_checkpoint(Path(own.run_dir) / "best.ckpt")
            facts = {key: known.get(key) for key in ("fingerprint", "errors", "version")}
            export(model, file, training=facts)
    if first is not None:
        first.processes.close()
    return completed
