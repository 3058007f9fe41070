"""What happens before the first step of a run: directory, model, optimizer, resuming."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.utils.deterministic as deterministic_options
from torch import nn

from camlip.data import (
    average_num_neighbors,
    collate,
    force_rms,
    reference_energies,
    shortest_distances,
)
from camlip.models import CartesianMoments
from camlip.train.checkpoint import build_model, read_checkpoint, set_dtype
from camlip.train.dataset import Datasets
from camlip.train.schema import TrainConfig

logger = logging.getLogger("camlip.train")

ARCHITECTURE = "cartesian_moments"
MEASURED_ATOMS = 1500
# Keys that may differ when a run goes on; others only with a warning, or not at all.
FREE_KEYS = (
    "run_dir",
    "log.",
    "train.epochs",
    "train.max_minutes",
    "train.clock",
    "train.patience",
    "train.validate_every",
    "train.device",
    "train.deterministic",
    "train.threads",
    "train.workers",
    "train.checkpoint_every_minutes",
    "train.committee",
    "data.",
)
FIXED_KEYS = (
    "seed",
    "model.",
    "train.dtype",
    "train.optimizer",
    "train.amsgrad",
    "train.atoms_per_batch",
    "train.structures_per_batch",
    "finetune",
)


class TrainingError(ValueError):
    """A run cannot begin or go on; the message says why and what to do."""


def open_run_dir(run_dir: Path, resume: bool, overwrite: bool) -> dict[str, Any] | None:
    """Make the run directory, or find the checkpoint to go on from.

    Returns:
        Content of the newest checkpoint, or None for a new run.

    Raises:
        TrainingError: it cannot be written, or holds a run and neither option says what to do.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        probe = run_dir / f".probe.{os.getpid()}"
        try:
            with probe.open("wb") as file:
                file.write(bytes(1 << 20))
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise TrainingError(
            f"run_dir '{run_dir}': cannot be written: {error.strerror}; free some space or choose "
            "another one with --set run_dir=..."
        ) from error
    present = checkpoints_in(run_dir)
    if resume:
        if not present:
            logger.warning("run_dir '%s': no checkpoint yet, the run begins", run_dir)
        return newest_checkpoint(run_dir)
    if not present:
        return None
    if not overwrite:
        raise TrainingError(
            f"run_dir '{run_dir}': holds a run already ({present[0].name}); continue it with "
            "--resume, replace it with --overwrite, or choose another with --set run_dir=..."
        )
    for path in present:
        path.unlink()
    shutil.rmtree(run_dir / "tensorboard", ignore_errors=True)
    return None


def checkpoints_in(run_dir: Path) -> list[Path]:
    """The checkpoints that a run directory has."""
    return [p for name in ("last.ckpt", "best.ckpt") if (p := run_dir / name).exists()]


def newest_checkpoint(run_dir: Path) -> dict[str, Any] | None:
    """Content of the checkpoint to go on from; a crash may have come between two of them."""
    contents = [read_checkpoint(path) for path in checkpoints_in(run_dir)]
    return max(contents, key=lambda content: content["progress"]["step"], default=None)


def check_space(run_dir: Path, model: nn.Module) -> None:
    """Make sure that the checkpoints and logs of a run fit onto the disk.

    Raises:
        TrainingError: they do not.
    """
    # Weights, averages and up to four more copies in the optimizer; two files and a partial one.
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    needed = 3 * 6 * weights + (2 << 20)
    free = shutil.disk_usage(run_dir).free
    if free < needed:
        raise TrainingError(
            f"run_dir '{run_dir}': {free / 2**20:.1f} MB are free on this disk, the run needs "
            f"about {needed / 2**20:.1f} MB; free some space or choose another one with "
            "--set run_dir=..."
        )


def check_resumable(
    config: TrainConfig, content: dict[str, Any], fingerprint: dict[str, str], world_size: int
) -> None:
    """Compare configuration and data with those of the checkpoint.

    Raises:
        TrainingError: going on would mix two runs.
    """
    old, new = flatten(content["config"]), flatten(config.model_dump())
    fatal, notable = [], []
    for key in sorted(old.keys() | new.keys()):
        before, now = old.get(key), new.get(key)
        if before == now:
            continue
        change = f"{key} was {before!r} and is {now!r}"
        if key.startswith(FIXED_KEYS):
            fatal.append(change)
        elif not key.startswith(FREE_KEYS):
            notable.append(change)
    for name in ("train", "valid"):
        if content["fingerprint"].get(name) != fingerprint.get(name):
            fatal.append(
                f"the {name} structures changed (fingerprint was "
                f"{content['fingerprint'].get(name)}, is {fingerprint.get(name)})"
            )
    if content["world_size"] != world_size and content["progress"]["batch"] > 0:
        fatal.append(f"number of processes was {content['world_size']} and is {world_size}")
    if fatal:
        raise TrainingError(
            f"run_dir '{config.run_dir}': cannot resume: {'; '.join(fatal)}; undo the change or "
            "start a new run with --set run_dir=..."
        )
    for change in notable:
        logger.warning("resuming with a changed configuration: %s", change)


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries with dots in the keys.

    >>> flatten({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def make_model(
    config: TrainConfig,
    datasets: Datasets,
    content: dict[str, Any] | None,
    device: torch.device,
    dtype: torch.dtype,
) -> CartesianMoments:
    """The model of a checkpoint, or a new one with scales from the training data."""
    if content is not None:
        model = build_model(content["architecture"], content["model"])
        set_dtype(model, dtype)
        model.load_state_dict(content["state"])
        return model.to(device)
    train = datasets.train
    structures = train.structures
    scale = force_rms(structures)
    model = CartesianMoments(
        config.model_shape(),
        datasets.atomic_numbers,
        average_num_neighbors=max(average_num_neighbors(train), 1.0),
        reference_energies=reference_energies(structures, datasets.atomic_numbers).tolist(),
        energy_scale=scale if scale > 0 else 1.0,
    )
    if model.use_zbl and config.model.get("zbl_reach") != "covalent":
        model.zbl.end_before(torch.from_numpy(shortest_distances(train)))
    set_dtype(model, dtype)
    model.to(device)
    measure_scales(model, datasets, config.seed, device, dtype)
    return model


@torch.no_grad()
def measure_scales(
    model: CartesianMoments,
    datasets: Datasets,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Set the scales of the invariants on a sample of training structures."""
    train = datasets.train
    chosen: list[int] = []
    atoms = 0
    for index in np.random.default_rng(seed).permutation(len(train)).tolist():
        size = int(train.num_atoms[index])
        if atoms > 0 and atoms + size > MEASURED_ATOMS:
            break
        chosen.append(index)
        atoms += size
    if atoms < 2:
        return
    batch = collate([train[k] for k in chosen]).to(device, dtype)
    model.run(batch.edge_vectors(), batch.edge_index, batch.types, True)


def configure_gpu(deterministic: bool) -> None:
    """Full float32 precision, and the same sums from run to run."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Only for finding reads of memory that was never written.
        deterministic_options.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]


@contextlib.contextmanager
def caught_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Within the context the first Ctrl-C or SIGTERM calls ``stop``; a second one acts as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: Any) -> None:
        stop()
        for each, handler in kept.items():
            signal.signal(each, handler)

    for number in kept:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
