"""What fine-tuning adds to a run: the starting model, levels of theory, the forgetting."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray
from torch import Tensor

from camlip.data import AnyDataset, Batch, BatchSampler, DataError, Structure, Subset
from camlip.data import read_structures as read_labelled
from camlip.data.structure import symbols
from camlip.models import CartesianMoments
from camlip.train.checkpoint import build_model
from camlip.train.dataset import Content, Datasets
from camlip.train.finetune.levels import LevelSampler, refitted_energies
from camlip.train.finetune.parts import build_parts, choose_head, merged
from camlip.train.finetune.schema import FinetuneConfig, LoraConfig, label_keys
from camlip.train.finetune.start import digest, load_start, start_path, to_dtype, with_elements
from camlip.train.schema import TrainConfig
from camlip.train.setup import TrainingError


class FineTuning:
    """The part of a run that knows where its model comes from.

    Args:
        config: with the section ``finetune``.
        content: of the checkpoint to go on from.

    Attributes:
        start: starting model, with the elements that were added to it.
        energies: reference energies of each group of structures, the new data first.

    Raises:
        TrainingError: the starting model cannot be used, or is another one than before.
    """

    def __init__(self, config: TrainConfig, content: dict[str, Any] | None) -> None:
        assert config.finetune is not None
        self.options: FinetuneConfig = config.finetune
        self.seed = config.seed
        path = start_path(self.options.start)
        self.digest = digest(path)
        known = None if content is None else content.get("finetune")
        if known is not None and known["start"] != self.digest:
            raise TrainingError(
                f"finetune.start: '{path}' is another file than at the beginning of the run "
                f"(digest was {known['start']}, is {self.digest}); restore it, or start a new run "
                "with --set run_dir=..."
            )
        self.start: CartesianMoments = load_start(self.options.start)
        self.heads = self.options.heads()
        replays = self.options.replay
        self.head_of_group = [0, *(self.heads.index(r.head) if r.head else 0 for r in replays)]
        self.energies: list[Tensor] = []
        self.groups: NDArray[np.int64] | None = None
        self.replayed: list[Structure] = []

    # ---- data ----------------------------------------------------------------------------

    def extend(self, content: Content, numbers: list[int]) -> tuple[Content, list[int]]:
        """Add replayed structures to the training set; elements of the model to those of the data.

        Raises:
            DataError: there are elements that the model does not know, and none may be added.
        """
        if self.options.replay:
            if isinstance(content, Path):
                raise DataError(
                    f"finetune.replay: data.train is a prepared data set, '{content}'; expected "
                    "the files that it was made of"
                )
            content = list(content)
            groups = [0] * len(content)
            for group, replay in enumerate(self.options.replay, start=1):
                found = read_labelled(replay.data, label_keys(replay.keys))
                self.replayed += found
                content += [s.replace(weight=s.weight * replay.weight) for s in found]
                groups += [group] * len(found)
            self.groups = np.array(groups)
        found_numbers = {int(z) for s in self.replayed for z in np.unique(s.atomic_numbers)}
        old = self.start.atomic_numbers
        new = sorted((set(numbers) | found_numbers) - set(old))
        if new and self.options.new_elements == "refuse":
            raise DataError(
                f"finetune.start: the model knows {symbols(old)}, the data have {symbols(new)} "
                "besides; remove these structures, or set finetune.new_elements: add (each begins "
                "as a copy of the known element that is most like it)"
            )
        return content, sorted({*old, *new})

    def own(self, datasets: Datasets) -> Datasets:
        """The data sets without what is replayed."""
        if self.groups is None:
            return datasets
        train = Subset(datasets.train, np.flatnonzero(self.groups == 0).tolist())
        return Datasets(train, datasets.valid, datasets.test, datasets.atomic_numbers)

    def sampler(self, dataset: AnyDataset, **options: Any) -> BatchSampler:
        """Batches of the training set."""
        if self.groups is None:
            return BatchSampler(dataset, **options)
        options.pop("shuffle")
        fractions = [1.0, *(replay.fraction for replay in self.options.replay)]
        return LevelSampler(dataset, self.groups, fractions, **options)

    # ---- model ---------------------------------------------------------------------------

    def make_model(
        self,
        datasets: Datasets,
        content: dict[str, Any] | None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> CartesianMoments:
        """The starting model with what may change of it, or that of a checkpoint."""
        if datasets.atomic_numbers != self.start.atomic_numbers:
            self.start = with_elements(self.start, datasets.atomic_numbers)
        to_dtype(self.start, dtype)
        model = build_parts(
            deepcopy(self.start), len(self.heads), self.options.lora, self.options.freeze
        )
        if content is not None:
            model.load_state_dict(content["state"])
            rows = content["finetune"]["energies"]
            self.energies = [torch.tensor(row, dtype=torch.float64) for row in rows]
        else:
            self.energies = self._fit_energies(datasets.train)
        self.enter(model, None)
        return model.to(device)

    def _fit_energies(self, train: AnyDataset) -> list[Tensor]:
        old = self.start.reference_energies
        members = np.arange(len(train))
        groups = self.groups if self.groups is not None else np.zeros(len(train), dtype=np.int64)
        wanted: Any = self.options.reference_energies
        rows = []
        for group, how in enumerate([wanted, *(r.reference_energies for r in self.options.replay)]):
            chosen = members[groups == group].tolist()
            if how == "refit":
                rows.append(refitted_energies(self.start, train, chosen, self.seed))
            else:
                rows.append(old.clone())
        if isinstance(wanted, dict):
            for symbol, value in wanted.items():
                numbers = self.start.atomic_numbers
                if symbol not in chemical_symbols or chemical_symbols.index(symbol) not in numbers:
                    raise TrainingError(
                        f"finetune.reference_energies: found '{symbol}', expected elements of "
                        f"{symbols(numbers)}"
                    )
                rows[0][numbers.index(chemical_symbols.index(symbol))] = value
        return rows

    def enter(self, model: CartesianMoments, batch: Batch | None) -> None:
        """Make the level of theory of a batch, or of the new data, that of the model."""
        group = 0
        if batch is not None and self.groups is not None:
            group = int(self.groups[int(batch.dataset_index[0])])
        choose_head(model, self.head_of_group[group])
        model.reference_energies.copy_(self.energies[group])

    # ---- afterwards ----------------------------------------------------------------------

    def head_energies(self) -> list[Tensor]:
        """Reference energies of each head: those of the first group that it belongs to."""
        return [self.energies[self.head_of_group.index(k)] for k in range(len(self.heads))]

    def content(self) -> dict[str, Any]:
        """What a checkpoint needs to know."""
        lora = self.options.lora
        return {
            "start": self.digest,
            "heads": self.heads,
            "head_energies": [row.tolist() for row in self.head_energies()],
            "energies": [row.tolist() for row in self.energies],
            "lora": None if lora is None else lora.model_dump(),
        }

    def old_group(self) -> int:
        """Group of the level of theory of the starting model: that of the first own head."""
        return next((g for g, head in enumerate(self.head_of_group) if head > 0), 0)

    def describe(self, model: CartesianMoments) -> str:
        """A few lines for the terminal."""
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        every = sum(p.numel() for p in merged(model).parameters())
        lines = [
            f"fine-tuning: from {self.options.start}, {trained} parameters are trained, the model "
            f"has {every}"
        ]
        shift = self.energies[0] - self.start.reference_energies
        shifts = ", ".join(
            f"{chemical_symbols[z]} {value:+.4f}"
            for z, value in zip(self.start.atomic_numbers, shift.tolist(), strict=True)
        )
        lines.append(f"shift of the reference energies (eV): {shifts}")
        if self.groups is not None:
            sizes = np.bincount(self.groups).tolist()
            lines += [
                f"replay: {sizes[k]} structures of {', '.join(r.data)}, {r.fraction:g} per new one "
                f"and epoch, weight {r.weight:g}, head '{r.head or self.heads[0]}'"
                for k, r in enumerate(self.options.replay, start=1)
            ]
        return "\n".join(lines)


def finetuned_model(
    content: dict[str, Any], state: dict[str, Tensor], head: str | None
) -> CartesianMoments:
    """The plain model of a checkpoint of a fine-tuning: updates merged, one head.

    Args:
        content: of the checkpoint.
        state: weights to take.
        head: its name, default that of the new data.

    Raises:
        TrainingError: there is no such head.
    """
    tuning = content["finetune"]
    heads: Sequence[str] = tuning["heads"]
    if head is not None and head not in heads:
        raise TrainingError(f"head: '{head}', expected one of {', '.join(heads)}")
    index = 0 if head is None else heads.index(head)
    model = build_model(content["architecture"], content["model"])
    to_dtype(model, next(t for name, t in state.items() if "mixing" in name).dtype)
    lora = None if tuning["lora"] is None else LoraConfig.model_validate(tuning["lora"])
    build_parts(model, len(heads), lora, [])
    model.load_state_dict(state)
    plain = merged(model, index)
    energies = torch.tensor(tuning["head_energies"][index], dtype=torch.float64)
    plain.reference_energies.copy_(energies)
    return plain
