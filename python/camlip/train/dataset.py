"""The data sets of a run: reading, splitting, neighbor lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader

from camlip.data import (
    AnyDataset,
    Batch,
    DataError,
    Dataset,
    Structure,
    collate,
    fingerprint,
    read_structures,
)
from camlip.train.config import TrainConfig


@dataclass(frozen=True)
class Datasets:
    """Training, validation and test structures with neighbor lists.

    Attributes:
        train: to learn from.
        valid: to choose the best model by.
        test: looked at once, at the end; may be missing.
        atomic_numbers: elements of all of them, ascending.
    """

    train: AnyDataset
    valid: AnyDataset
    test: AnyDataset | None
    atomic_numbers: list[int]

    def fingerprints(self) -> dict[str, str]:
        """Fingerprint of each set, by ``train``, ``valid`` and ``test``."""
        return {name: fingerprint(dataset.structures) for name, dataset in self.items()}

    def items(self) -> Iterator[tuple[str, AnyDataset]]:
        """Names and data sets."""
        yield "train", self.train
        yield "valid", self.valid
        if self.test is not None:
            yield "test", self.test


def load_datasets(config: TrainConfig, progress: bool | None = None) -> Datasets:
    """Read what ``data`` names, split it, build neighbor lists.

    Raises:
        DataError: files, labels or the split cannot be used.
    """
    data = config.data
    keys = data.label_keys()
    train = read_structures(data.train, keys)
    if data.valid:
        valid = read_structures(data.valid, keys)
    else:
        train, valid = split_off(train, data.valid_fraction, data.split, config.seed)
    test = read_structures(data.test, keys) if data.test else []
    numbers = sorted({int(z) for s in [*train, *valid, *test] for z in s.atomic_numbers})
    cutoff = config.model_shape().cutoff

    def build(structures: list[Structure]) -> Dataset:
        return Dataset(structures, numbers, cutoff, progress=progress)

    return Datasets(build(train), build(valid), build(test) if test else None, numbers)


def split_off(
    structures: list[Structure], fraction: float, kind: str, seed: int
) -> tuple[list[Structure], list[Structure]]:
    """Training and validation structures, each in the order of the file.

    Args:
        structures: at least two.
        fraction: share of the validation structures.
        kind: ``random``, or ``config_type`` for the same share of each type.
        seed: of the choice.

    Raises:
        DataError: fewer than two structures.
    """
    if len(structures) < 2:
        raise DataError(
            f"data.train: {len(structures)} structure, expected at least 2 to split off some for "
            "validation; name a file in data.valid"
        )
    random = np.random.default_rng(seed)
    order = random.permutation(len(structures))
    if kind == "config_type":
        # Ranks within each type, spread over 0 to 1, so that a share of the order is one of each.
        types = np.array([s.config_type for s in structures])
        place = np.empty(len(structures))
        for name in np.unique(types):
            members = order[types[order] == name]
            place[members] = (np.arange(len(members)) + random.random()) / len(members)
        order = np.argsort(place, kind="stable")
    number = min(max(round(fraction * len(structures)), 1), len(structures) - 1)
    chosen = set(order[:number].tolist())
    return (
        [s for k, s in enumerate(structures) if k not in chosen],
        [s for k, s in enumerate(structures) if k in chosen],
    )


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


