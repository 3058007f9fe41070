"""Training and validation sets: given files, at random, or in proportion."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from camlip.data.energies import is_isolated_atom
from camlip.data.keys import LabelKeys, did_you_mean
from camlip.data.reading import PathLike, read_structures, structure_digest
from camlip.data.structure import DataError, Structure

logger = logging.getLogger("camlip.data")

SplitMode = Literal["random", "config_type", "forces"]
_MODES = ("random", "config_type", "forces")


def split(
    structures: Sequence[Structure],
    mode: SplitMode = "random",
    fraction: float = 0.1,
    seed: int = 0,
) -> tuple[list[Structure], list[Structure]]:
    """Set some structures aside for validation.

    Isolated atoms always stay in the training set, where the reference energies come from.

    Args:
        structures: a data set.
        mode: ``"random"``; ``"config_type"`` for the same fraction of every configuration type;
            ``"forces"`` for one of every ``1 / fraction`` structures in the order of their mean
            squared forces, so that the few with large forces are there in proportion.
        fraction: of the structures that go into the validation set, at least one.
        seed: the same seed gives the same split.

    Returns:
        Training and validation structures, both in the given order.

    Raises:
        DataError: for an unknown mode, a fraction outside (0, 1), or fewer than two structures.

    >>> data = [Structure(np.zeros((2, 3)), np.array([1, 1]), energy=float(k)) for k in range(10)]
    >>> train, valid = split(data, fraction=0.2, seed=1)
    >>> len(train), len(valid)
    (8, 2)
    """
    train, valid = split_indices(structures, mode, fraction, seed)
    return [structures[k] for k in train], [structures[k] for k in valid]


def split_indices(
    structures: Iterable[Structure],
    mode: SplitMode = "random",
    fraction: float = 0.1,
    seed: int = 0,
) -> tuple[list[int], list[int]]:
    """Do as :func:`split`, with positions for :class:`camlip.data.Subset`.

    It goes through the structures once and keeps none, for those of a ``StoredDataset``.
    """
    if mode not in _MODES:
        raise DataError(
            f"split: mode {mode!r} is not known; {did_you_mean(mode, _MODES)}"
            f"choices: {', '.join(_MODES)}"
        )
    if not 0.0 < fraction < 1.0:
        raise DataError(f"split: fraction is {fraction}, expected between 0 and 1")
    groups: dict[str, list[int]] = {}
    sizes: dict[int, float] = {}
    count = 0
    for k, s in enumerate(structures):
        count += 1
        if not is_isolated_atom(s):
            groups.setdefault(s.config_type if mode == "config_type" else "", []).append(k)
            if mode == "forces":
                sizes[k] = _mean_squared_force(s)
    total = sum(len(g) for g in groups.values())
    if total < 2:
        raise DataError(
            f"split: {total} structures that are not isolated atoms, expected at least 2; give "
            "validation files instead"
        )
    rng = np.random.default_rng(seed)
    if mode == "forces":
        chosen = _one_of_every_stratum(sizes, max(1, min(round(fraction * total), total - 1)), rng)
        return [k for k in range(count) if k not in chosen], sorted(chosen)
    valid: set[int] = set()
    # Largest remainders: each group gets its share and the total is right.
    names = sorted(groups)
    shares = np.array([fraction * len(groups[name]) for name in names])
    numbers = np.floor(shares).astype(int)
    target = max(1, round(fraction * total))
    order = np.argsort(-(shares - numbers), kind="stable")
    numbers[order[: max(0, target - int(numbers.sum()))]] += 1
    for name, number in zip(names, numbers, strict=True):
        members = groups[name]
        # A group keeps one structure for training.
        number = min(int(number), len(members) - 1)
        valid.update(members[k] for k in rng.permutation(len(members))[:number])
    return [k for k in range(count) if k not in valid], sorted(valid)


def _mean_squared_force(structure: Structure) -> float:
    """Of the atoms that have a label; 0 where none has."""
    if structure.forces is None:
        return 0.0
    known = structure.forces[np.isfinite(structure.forces)]
    return float(np.mean(np.square(known))) if known.size else 0.0


def _one_of_every_stratum(
    sizes: dict[int, float], number: int, rng: np.random.Generator
) -> set[int]:
    """Keys, one from each of ``number`` equal parts of them in the order of their values."""
    ordered = sorted(sizes, key=lambda k: (sizes[k], k))
    # Parts of k and of k + 1 alternate: with the longer ones first, as array_split has them, a
    # large fraction would leave only the smallest values.
    bounds = np.linspace(0, len(ordered), number + 1).round().astype(int)[1:-1]
    return {int(rng.choice(part)) for part in np.split(np.array(ordered), bounds)}


def load_split(
    train: PathLike | Sequence[PathLike],
    valid: PathLike | Sequence[PathLike] | None = None,
    keys: LabelKeys | None = None,
    mode: SplitMode = "random",
    fraction: float = 0.1,
    seed: int = 0,
) -> tuple[list[Structure], list[Structure]]:
    """Read a training and a validation set; without validation files, split the training files.

    Structures of the validation files that are in the training files too are reported by a
    warning in the log, since the validation errors would be too small.

    Args:
        train: training files, as for :func:`camlip.data.read_structures`.
        valid: validation files.
        keys: names and units of the labels.
        mode: see :func:`split`, as ``fraction`` and ``seed``; used without validation files.
        fraction: part of the training files set aside.
        seed: of the split.

    Returns:
        Training and validation structures.
    """
    structures = read_structures(train, keys)
    if not valid:
        return split(structures, mode, fraction, seed)
    held_out = read_structures(valid, keys)
    digests = {structure_digest(s) for s in structures if not is_isolated_atom(s)}
    shared = [s for s in held_out if structure_digest(s) in digests]
    if shared:
        logger.warning(
            "%d of %d validation structures are in the training files as well (first: %s); their "
            "errors will look too small",
            len(shared),
            len(held_out),
            shared[0].source,
        )
    return structures, held_out
