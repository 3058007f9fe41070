"""What the section ``finetune`` of a configuration may contain."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from camlip.data import LabelKeys
from camlip.train.section import Count, Files, Positive, Section

GROUPS = ("radial", "embeddings", "moments", "contraction", "hidden", "messages", "readout")
"""Parts of a model that can be frozen by name; see :mod:`camlip.train.finetune.parts`."""


class LoraConfig(Section):
    """Low-rank updates of the weight matrices; everything else stays as it is.

    Attributes:
        rank: of the updates; a matrix that is not larger is trained itself.
        alpha: the update is multiplied by ``alpha / rank``; default: by 1.
        also: parts that are trained in full besides.
    """

    rank: Count = 4
    alpha: Positive | None = None
    also: list[str] = Field(default_factory=list)

    @property
    def scale(self) -> float:
        """Factor of the update."""
        return 1.0 if self.alpha is None else self.alpha / self.rank


class ReplayConfig(Section):
    """Older data that the model shall not forget, or data of another level of theory.

    Attributes:
        data: file or files.
        fraction: structures per new structure in each epoch, drawn anew in every epoch.
        weight: factor in the loss.
        head: name of a readout of its own, for labels of another level of theory; default: the
            readout of the new data, with energies relative to the starting model's references.
        reference_energies: of that head: ``keep`` those of the starting model, or ``refit``.
        keys: label names and units.
    """

    data: Files = Field(min_length=1)
    fraction: Positive = 1.0
    weight: Positive = 1.0
    head: str | None = None
    reference_energies: Literal["keep", "refit"] = "keep"
    keys: dict[str, Any] = Field(default_factory=dict)

    @field_validator("data", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("keys")
    @classmethod
    def _known_keys(cls, value: dict[str, Any]) -> dict[str, Any]:
        label_keys(value)
        return value

    @model_validator(mode="after")
    def _refit_needs_a_head(self) -> ReplayConfig:
        if self.reference_energies == "refit" and self.head is None:
            raise ValueError(
                "reference_energies: 'refit' needs a head of its own, expected head: NAME"
            )
        return self


class FinetuneConfig(Section):
    """What to begin with and what of it may change.

    Attributes:
        start: checkpoint, exported model (TorchScript), or ``camlip:NAME``.
        head: name of the level of theory of ``data.train``.
        reference_energies: ``refit`` them to the new data, ``keep`` them, or give them in eV.
        new_elements: ``refuse`` or ``add`` elements that the starting model does not know.
        freeze: parts that stay as they are: names of groups or patterns of parameters.
        lora: train low-rank updates instead of the matrices.
        replay: older data, or data of other levels of theory.
        old_test: structures on which the forgetting is measured.
        old_keys: label names and units of ``old_test``.
    """

    start: str = Field(min_length=1)
    head: str = "default"
    reference_energies: Literal["refit", "keep"] | dict[str, float] = "refit"
    new_elements: Literal["refuse", "add"] = "refuse"
    freeze: list[str] = Field(default_factory=list)
    lora: LoraConfig | None = None
    replay: list[ReplayConfig] = Field(default_factory=list)
    old_test: Files = Field(default_factory=list)
    old_keys: dict[str, Any] = Field(default_factory=dict)

    @field_validator("old_test", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value or []

    @field_validator("replay", mode="before")
    @classmethod
    def _one_or_many_replays(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value or []

    @field_validator("freeze", mode="before")
    @classmethod
    def _one_or_many_parts(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value or []

    @field_validator("old_keys")
    @classmethod
    def _known_keys(cls, value: dict[str, Any]) -> dict[str, Any]:
        label_keys(value)
        return value

    def heads(self) -> list[str]:
        """Names of the readouts, that of the new data first."""
        others = [r.head for r in self.replay if r.head is not None]
        return list(dict.fromkeys([self.head, *others]))


def label_keys(values: dict[str, Any]) -> LabelKeys:
    """Label keys of a section.

    Raises:
        ValueError: for a key that there is not.
    """
    known = LabelKeys.__dataclass_fields__
    unknown = [name for name in values if name not in known]
    if unknown:
        raise ValueError(f"unknown key '{unknown[0]}', expected some of {', '.join(known)}")
    return LabelKeys(**values)
