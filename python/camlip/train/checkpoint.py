"""Checkpoints: everything a run needs to go on, written so that a crash leaves the old file."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

import camlip
from camlip.models import ARCHITECTURES, CartesianMoments

FORMAT = "camlip-checkpoint"
FORMAT_VERSION = 1
METADATA = ("config", "errors", "fingerprint", "version", "progress", "history", "architecture")


class CheckpointError(ValueError):
    """A file is no usable checkpoint; the message says what it is and what to do."""


def save_checkpoint(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write a checkpoint; after a crash at any moment the old file or the new one is there.

    Args:
        path: file to replace.
        content: tensors, numbers, strings, lists and dictionaries of them.

    Raises:
        OSError: the file cannot be written; an older one is left as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": camlip.__version__,
        **content,
    }
    # In memory first: torch's own writer hides a full disk behind an error of its own.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    try:
        with partial.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make a rename in this directory survive a power failure, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Content of a checkpoint as :func:`save_checkpoint` got it.

    Nothing but tensors and plain data is unpickled.

    Raises:
        CheckpointError: the file does not exist, is damaged, or is something else.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"checkpoint '{path}': no such file, expected one that train wrote")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"checkpoint '{path}': cannot be read ({first}); expected a file that `camlip train` "
            "wrote, such as best.ckpt"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(
            f"checkpoint '{path}': not a checkpoint of camlip; expected a file that `camlip train` "
            "wrote, such as best.ckpt"
        )
    if content["format_version"] != FORMAT_VERSION:
        raise CheckpointError(
            f"checkpoint '{path}': format version {content['format_version']}, this camlip "
            f"({camlip.__version__}) reads {FORMAT_VERSION}; the file was written by camlip "
            f"{content.get('version')}"
        )
    return content


def build_model(architecture: str, description: dict[str, Any]) -> CartesianMoments:
    """Model of the shape that ``describe()`` told, with fresh weights."""
    if architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"architecture '{architecture}' is not known, expected {', '.join(ARCHITECTURES)}"
        )
    model_class, config_class = ARCHITECTURES[architecture]
    arguments = dict(description)
    return model_class(config_class(**arguments.pop("config")), **arguments)


def load_checkpoint(
    path: str | os.PathLike[str], which: str = "ema", head: str | None = None
) -> tuple[CartesianMoments, dict[str, Any]]:
    """Model of a checkpoint and what is known about it.

    Args:
        path: ``best.ckpt`` or ``last.ckpt`` of a run.
        which: ``"ema"`` for the averaged weights, which validation and selection used, or
            ``"raw"`` for the optimizer's.
        head: level of theory of a fine-tuned model that has several; default that of the new data.

    Returns:
        The model in evaluation mode, in the precision of the training, on the CPU; and a
        dictionary with ``config``, ``errors`` (of train, valid and test; empty until training
        ended), ``fingerprint`` (of the data sets), ``version``, ``progress``, ``history`` and
        ``architecture``.

    Raises:
        CheckpointError: the file is damaged or is something else.
        ValueError: ``which`` is neither.
    """
    if which not in ("ema", "raw"):
        raise ValueError(f"load_checkpoint: which is {which!r}, expected 'ema' or 'raw'")
    content = read_checkpoint(path)
    state = dict(content["state"])
    if which == "ema":
        state.update(content["ema"])
    metadata = {key: content.get(key) for key in METADATA}
    if content.get("finetune"):
        from camlip.train.finetune.run import finetuned_model

        return finetuned_model(content, state, head).eval(), metadata
    if head is not None:
        raise ValueError(f"load_checkpoint: head is {head!r}, but '{path}' has no heads")
    model = build_model(content["architecture"], content["model"])
    dtype = state["mixing"].dtype
    set_dtype(model, dtype)
    model.load_state_dict(state)
    model.eval()
    return model, metadata


def set_dtype(model: nn.Module, dtype: torch.dtype) -> None:
    """Bring parameters and scales to ``dtype``; float64 buffers (energies, tables) stay so."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_floating_point() and buffer.dtype != torch.float64:
                setattr(module, name, buffer.to(dtype))
