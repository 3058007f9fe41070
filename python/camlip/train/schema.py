"""What a training configuration may contain: sections, keys, types, ranges, defaults."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import (
    Field,
    create_model,
    field_validator,
    model_validator,
)

from camlip.data import LabelKeys
from camlip.models import CartesianMomentsConfig, preset
from camlip.train.finetune.schema import FinetuneConfig
from camlip.train.section import Count, Files, Fraction, NonNegative, Positive, Section

_LABEL_TYPES: dict[str, Any] = get_type_hints(LabelKeys)
_SHAPE_TYPES: dict[str, Any] = get_type_hints(CartesianMomentsConfig)

_KEY_FIELDS: dict[str, Any] = {
    f.name: (_LABEL_TYPES[f.name], f.default) for f in dataclasses.fields(LabelKeys)
}
_SHAPE_FIELDS: dict[str, Any] = {name: (hint | None, None) for name, hint in _SHAPE_TYPES.items()}

# Names and units of the labels, as in camlip.data.LabelKeys.
KeysConfig = create_model("KeysConfig", __base__=Section, **_KEY_FIELDS)

# A preset and changes to it; the fields are those of camlip.models.CartesianMomentsConfig.
# zbl_reach: where the repulsion of a new model ends, `data` (default): before the distances of the
# training data; `covalent`: at the sum of covalent radii.  The model itself only has the radii.
ModelConfig = create_model(
    "ModelConfig",
    __base__=Section,
    preset=(Literal["small", "medium", "large"], "medium"),
    zbl_reach=(Literal["data", "covalent"] | None, None),
    **_SHAPE_FIELDS,
)


class DataConfig(Section):
    """Which structures.

    Attributes:
        train: file or files of training structures, or a stored data set.
        valid: the same for validation; default: split off from ``train``.
        test: evaluated once, after training.
        valid_fraction: share of ``train`` that validates when ``valid`` is not given.
        split: ``random``; ``config_type``: the same share of each configuration type; ``forces``:
            of small and large forces in proportion (:func:`camlip.data.split`).
        keys: label names and units.
    """

    train: Files = Field(min_length=1)
    valid: Files = Field(default_factory=list)
    test: Files = Field(default_factory=list)
    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    split: Literal["random", "config_type", "forces"] = "config_type"
    keys: Any = Field(default_factory=dict, validate_default=True)

    @field_validator("train", "valid", "test", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if value is None:
            return []
        return [value] if isinstance(value, str) else value

    @field_validator("keys")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        parsed = KeysConfig.model_validate(value or {}).model_dump()
        LabelKeys(**parsed)
        return parsed

    def label_keys(self) -> LabelKeys:
        """The same as the data module wants it."""
        return LabelKeys(**self.keys)


class LossConfig(Section):
    """Weights of the errors; see :class:`camlip.train.loss.Loss`.

    Attributes:
        energy: weight of energies per atom.
        forces: weight of force components.
        stress: weight of stress components.
        kind: ``huber`` or ``mse``.
        energy_delta: eV per atom, where Huber turns from square to linear.
        forces_delta: eV/Angstrom.
        stress_delta: eV/Angstrom^3.
    """

    energy: NonNegative = 5.0
    forces: NonNegative = 10.0
    stress: NonNegative = 50.0
    kind: Literal["huber", "mse"] = "huber"
    energy_delta: Positive = 0.01
    forces_delta: Positive = 0.05
    stress_delta: Positive = 0.01

    @model_validator(mode="after")
    def _something_to_do(self) -> LossConfig:
        if self.energy == self.forces == self.stress == 0:
            raise ValueError("all weights are 0, expected at least one that is positive")
        return self


class StageTwoConfig(Section):
    """Last part of the run, with more weight on energies.

    Attributes:
        start: fraction of the run after which it begins; 1 leaves it out.
        energy_factor: multiplies the weight of the energies.
        lr_factor: multiplies the learning rate.
    """

    start: Fraction = 0.75
    energy_factor: Positive = 20.0
    lr_factor: Positive = 0.3


class OptimizationConfig(Section):
    """How to train.

    Attributes:
        epochs: passes over the data; default 200, without a limit when ``max_minutes`` is given.
        max_minutes: length of the run by ``clock``; the schedule stretches over it.
        clock: ``wall``, or ``processor``: processor time of the process, which other work on the
            machine does not shorten.
        atoms_per_batch: close a batch before it has more atoms; default 256.
        structures_per_batch: close a batch at so many structures, instead or as well.
        lr: highest learning rate.
        weight_decay: of matrices (not of biases, embeddings and path weights).
        optimizer: ``soap`` or ``adamw`` (docs/training.md).
        amsgrad: the AMSGrad variant of AdamW.
        schedule: ``cosine``, ``plateau`` (of the validation loss) or ``constant``.
        warmup: fraction of the run with a rising learning rate.
        final_lr_factor: learning rate at the end of ``cosine``, and smallest of ``plateau``,
            as a fraction of ``lr``.
        plateau_factor: ``plateau`` multiplies the learning rate by this ...
        plateau_patience: ... after so many validations without improvement.
        ema: decay of the averaged weights, which are validated and exported; 0 for none.
        clip: largest norm of the gradient; 0 for no limit.
        patience: stop after so many validations without improvement; 0 for never.
        validate_every: epochs.
        stage_two: second stage.
        backend: ``engine`` (its kernels, on the CPU), ``torch``, or ``auto``: the engine where it
            can train the model, which is several times faster (docs/training.md).
        dtype: ``float32`` or ``float64``; the engine computes in ``mixed`` or ``double``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        deterministic: the same numbers on a GPU from run to run, at some cost in speed; on the
            CPU they always are.
        threads: of PyTorch and of the engine; default: what PyTorch chooses.
        workers: processes that prepare batches for PyTorch; 0 does it in between.
        checkpoint_every_minutes: how much of the run a crash may cost.
        committee: train so many members, with the seeds ``seed``, ``seed + 1`` ...; lengths of the
            run are those of a member.
    """

    epochs: Count | None = None
    max_minutes: Positive | None = None
    clock: Literal["wall", "processor"] = "wall"
    atoms_per_batch: Count | None = None
    structures_per_batch: Count | None = None
    lr: Positive = 5e-3
    weight_decay: NonNegative = 1e-6
    optimizer: Literal["soap", "adamw"] = "soap"
    amsgrad: bool = True
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.02
    final_lr_factor: Annotated[float, Field(gt=0, le=1)] = 1e-3
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    plateau_patience: Count = 20
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    clip: NonNegative = 10.0
    patience: Annotated[int, Field(ge=0)] = 0
    validate_every: Count = 1
    stage_two: StageTwoConfig = StageTwoConfig()
    backend: Literal["auto", "engine", "torch"] = "auto"
    dtype: Literal["float32", "float64"] = "float32"
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    deterministic: bool = True
    threads: Count | None = None
    workers: Annotated[int, Field(ge=0)] = 0
    checkpoint_every_minutes: NonNegative = 1.0
    committee: Count = 1

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: Any) -> Any:
        if isinstance(values, dict):
            values = dict(values)
            if values.get("epochs") is None and values.get("max_minutes") is None:
                values["epochs"] = 200
            if values.get("atoms_per_batch") is None and values.get("structures_per_batch") is None:
                values["atoms_per_batch"] = 256
        return values


class LogConfig(Section):
    """What to leave in the run directory besides checkpoints.

    Attributes:
        csv: ``log.csv``, one line per validation.
        tensorboard: event files in ``tensorboard/``.
        plots: learning curves and parity plots as PNG.
        report: ``report.html``, everything in one file.
        progress: progress bar on the terminal.
    """

    csv: bool = True
    tensorboard: bool = True
    plots: bool = True
    report: bool = True
    progress: bool = True


class TrainConfig(Section):
    """The whole file.

    Attributes:
        run_dir: directory of the checkpoints and logs.
        seed: of the initial weights, the split and the order of the structures.
        data: which structures.
        model: shape of the model.
        loss: what to minimize.
        train: how.
        log: what to write about it.
        finetune: what to begin with, for `camlip finetune`.
    """

    run_dir: str = Field(min_length=1)
    seed: Annotated[int, Field(ge=0)] = 0
    data: DataConfig
    model: Any = Field(default_factory=dict, validate_default=True)
    loss: LossConfig = LossConfig()
    train: OptimizationConfig = Field(default_factory=lambda: OptimizationConfig.model_validate({}))
    log: LogConfig = LogConfig()
    finetune: FinetuneConfig | None = None

    @field_validator("model")
    @classmethod
    def _known_fields(cls, value: Any) -> Any:
        parsed = ModelConfig.model_validate(value or {}).model_dump(exclude_none=True)
        _shape(parsed)
        return parsed

    def model_shape(self) -> CartesianMomentsConfig:
        """Shape of the model: the preset with its changes."""
        return _shape(self.model)


def _shape(model: dict[str, Any]) -> CartesianMomentsConfig:
    """What a section ``model`` says of the shape."""
    changes = {k: v for k, v in model.items() if k not in ("preset", "zbl_reach")}
    return preset(model["preset"], **changes)
