"""The data sets of a run: reading, splitting, neighbor lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from camlip.data import (
    AnyDataset,
    Batch,
    DataError,
    Dataset,
    StoredDataset,
    Structure,
    Subset,
    collate,
    fingerprint,
    load_split,
    read_structures,
    split_indices,
)
from camlip.train.schema import TrainConfig

Content = list[Structure] | Path
Extend = Callable[[Content, list[int]], tuple[Content, list[int]]]


@dataclass(frozen=True)
class Datasets:
    """Training, validation and test structures with neighbor lists.

    Attributes:
        train: to learn from.
        valid: to choose the best model by.
        test: looked at once, at the end; may be missing.
        atomic_numbers: elements of all of them, ascending.
        prepared: what a backend made of them, for the next run on the same data.
    """

    train: AnyDataset
    valid: AnyDataset
    test: AnyDataset | None
    atomic_numbers: list[int]
    prepared: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)

    def fingerprints(self) -> dict[str, str]:
        """Fingerprint of each set, by ``train``, ``valid`` and ``test``."""
        return {
            name: str(getattr(dataset, "fingerprint", None) or fingerprint(dataset.structures))
            for name, dataset in self.items()
        }

    def items(self) -> Iterator[tuple[str, AnyDataset]]:
        """Names and data sets."""
        yield "train", self.train
        yield "valid", self.valid
        if self.test is not None:
            yield "test", self.test


def load_datasets(
    config: TrainConfig, progress: bool | None = None, extend: Extend | None = None
) -> Datasets:
    """Read what ``data`` names, split it, build neighbor lists.

    Files that end in ``.lmdb`` were prepared by ``camlip data --prepare`` and stay on disk.
    ``extend`` may add structures to the training set, and elements.

    Raises:
        DataError: files, labels or the split cannot be used.
    """
    data = config.data
    keys = data.label_keys()
    cutoff = config.model_shape().cutoff
    sets: dict[str, list[Structure] | Path] = {
        "train": stored_path(data.train) or [],
        "valid": stored_path(data.valid) or [],
        "test": stored_path(data.test) or [],
    }
    if not isinstance(sets["train"], Path):
        if data.valid and isinstance(sets["valid"], Path):
            sets["train"] = read_structures(data.train, keys)
        else:
            sets["train"], sets["valid"] = load_split(
                data.train, data.valid or None, keys, data.split, data.valid_fraction, config.seed
            )
    elif data.valid and not isinstance(sets["valid"], Path):
        sets["valid"] = read_structures(data.valid, keys)
    if data.test and not isinstance(sets["test"], Path):
        sets["test"] = read_structures(data.test, keys)
    numbers = sorted({z for content in sets.values() for z in elements(content)})
    if extend is not None:
        sets["train"], numbers = extend(sets["train"], numbers)

    def build(content: list[Structure] | Path) -> AnyDataset:
        if isinstance(content, Path):
            return StoredDataset(content, numbers, cutoff)
        return Dataset(content, numbers, cutoff, progress=progress)

    train = build(sets["train"])
    if isinstance(sets["train"], Path) and not data.valid:
        kept, held_out = split_indices(
            train.structures, data.split, data.valid_fraction, config.seed
        )
        valid: AnyDataset = Subset(train, held_out)
        train = Subset(train, kept)
    else:
        valid = build(sets["valid"])
    return Datasets(train, valid, build(sets["test"]) if sets["test"] else None, numbers)


def stored_path(files: list[str]) -> Path | None:
    """The prepared data set that a list of files is, or None if they are ordinary files."""
    stored = [f for f in files if f.endswith(".lmdb")]
    if stored and len(files) > 1:
        raise DataError(
            f"data: {', '.join(files)}: a prepared data set must be the only file of its kind; "
            "prepare them together with `camlip data FILE FILE --prepare`"
        )
    return Path(stored[0]) if stored else None


def elements(content: list[Structure] | Path) -> set[int]:
    """Atomic numbers in a data set."""
    if isinstance(content, Path):
        return set(StoredDataset(content).atomic_numbers)
    return {int(z) for s in content for z in np.unique(s.atomic_numbers)}


def batches(
    dataset: AnyDataset,
    index_lists: Sequence[list[int]],
    device: torch.device,
    dtype: torch.dtype,
    workers: int = 0,
) -> Iterator[Batch]:
    """Batches of the given structures, one after the other."""
    if workers == 0:
        for indices in index_lists:
            yield collate([dataset[k] for k in indices]).to(device, dtype)
        return
    loader = DataLoader(
        dataset,  # type: ignore[arg-type]
        batch_sampler=index_lists,  # type: ignore[arg-type]
        collate_fn=collate,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        # A generator of its own, so that workers do not change the numbers of the run.
        generator=torch.Generator(),
    )
    for batch in loader:
        yield batch.to(device, dtype)
