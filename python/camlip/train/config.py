"""Configuration of a training run: one YAML file, checked before anything else happens."""

from __future__ import annotations

import dataclasses
import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from camlip.data import LabelKeys
from camlip.models import CartesianMomentsConfig, preset

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Files = list[str]


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the key."""


class Section(BaseModel):
    """Part of the file: no unknown keys, no silent conversion of text to numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


_LABEL_TYPES: dict[str, Any] = get_type_hints(LabelKeys)
_SHAPE_TYPES: dict[str, Any] = get_type_hints(CartesianMomentsConfig)

KeysConfig = create_model(
    "KeysConfig",
    __base__=Section,
    __doc__="Names and units of the labels; see :class:`camlip.data.LabelKeys`.",
    **{f.name: (_LABEL_TYPES[f.name], f.default) for f in dataclasses.fields(LabelKeys)},
)


class DataConfig(Section):
    """Which structures.

    Attributes:
        train: file or files of training structures, or a stored data set.
        valid: the same for validation; default: split off from ``train``.
        test: evaluated once, after training.
        valid_fraction: share of ``train`` that validates when ``valid`` is not given.
        split: ``random``, or ``config_type``: the same share of each configuration type.
        keys: label names and units.
    """

    train: Files = Field(min_length=1)
    valid: Files = []
    test: Files = []
    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    split: Literal["random", "config_type"] = "config_type"
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


ModelConfig = create_model(
    "ModelConfig",
    __base__=Section,
    __doc__="A preset and changes to it; see :class:`camlip.models.CartesianMomentsConfig`.",
    preset=(Literal["small", "medium", "large"], "medium"),
    **{name: (hint | None, None) for name, hint in _SHAPE_TYPES.items()},
)


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
        max_minutes: wall-clock length of the run; the schedule stretches over it.
        atoms_per_batch: close a batch before it has more atoms; default 256.
        structures_per_batch: close a batch at so many structures, instead or as well.
        lr: highest learning rate.
        weight_decay: of matrices (not of biases, embeddings and path weights).
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
        dtype: ``float32`` or ``float64``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        deterministic: the same numbers on a GPU from run to run, at some cost in speed; on the
            CPU they always are.
        threads: of PyTorch; default: what PyTorch chooses.
        workers: processes that prepare batches; 0 does it in between.
        checkpoint_every_minutes: how much of the run a crash may cost.
    """

    epochs: Count | None = None
    max_minutes: Positive | None = None
    atoms_per_batch: Count | None = None
    structures_per_batch: Count | None = None
    lr: Positive = 5e-3
    weight_decay: NonNegative = 1e-6
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
    dtype: Literal["float32", "float64"] = "float32"
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    deterministic: bool = True
    threads: Count | None = None
    workers: Annotated[int, Field(ge=0)] = 0
    checkpoint_every_minutes: NonNegative = 1.0

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
    """

    run_dir: str = Field(min_length=1)
    seed: Annotated[int, Field(ge=0)] = 0
    data: DataConfig
    model: Any = Field(default_factory=dict, validate_default=True)
    loss: LossConfig = LossConfig()
    train: OptimizationConfig = Field(default_factory=lambda: OptimizationConfig.model_validate({}))
    log: LogConfig = LogConfig()

    @field_validator("model")
    @classmethod
    def _known_fields(cls, value: Any) -> Any:
        parsed = ModelConfig.model_validate(value or {}).model_dump(exclude_none=True)
        preset(parsed["preset"], **{k: v for k, v in parsed.items() if k != "preset"})
        return parsed

    def model_shape(self) -> CartesianMomentsConfig:
        """Shape of the model: the preset with its changes."""
        changes = dict(self.model)
        return preset(changes.pop("preset"), **changes)


SECTIONS: dict[str, type[BaseModel]] = {
    "": TrainConfig,
    "data": DataConfig,
    "data.keys": KeysConfig,
    "model": ModelConfig,
    "loss": LossConfig,
    "train": OptimizationConfig,
    "train.stage_two": StageTwoConfig,
    "log": LogConfig,
}


def known_keys() -> list[str]:
    """All keys that the file may have, with dots.

    >>> "train.stage_two.start" in known_keys()
    True
    """
    keys = []
    for section, model in SECTIONS.items():
        names = [f"{section}.{name}" if section else name for name in model.model_fields]
        keys += [name for name in names if name not in SECTIONS]
    return keys


def load_config(
    path: str | os.PathLike[str], changes: list[str] | tuple[str, ...] = ()
) -> TrainConfig:
    """Read and check a configuration.

    Args:
        path: YAML file.
        changes: ``KEY=VALUE``, such as ``"train.epochs=50"``; values are YAML.

    Raises:
        ConfigError: naming the file, the key, the value and what was expected.
    """
    name = Path(path).name
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{name}: expected sections such as 'data:', found {values!r}")
    for change in changes:
        apply_change(values, change)
    return parse_config(values, name)


def apply_change(values: dict[str, Any], change: str) -> None:
    """Apply ``KEY=VALUE`` to the content of a file, in place.

    >>> values = {"train": {"epochs": 10}}
    >>> apply_change(values, "train.epochs=50"); apply_change(values, "data.train=[a.xyz, b.xyz]")
    >>> values
    {'train': {'epochs': 50}, 'data': {'train': ['a.xyz', 'b.xyz']}}
    """
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set: found {change!r}, expected KEY=VALUE, as in train.epochs=50")
    try:
        value = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        value = text
    section = values
    *parents, last = key.split(".")
    for parent in parents:
        if section.get(parent) is None:
            section[parent] = {}
        section = section[parent]
        if not isinstance(section, dict):
            raise ConfigError(f"--set {key}: {parent!r} is a value, not a section")
    section[last] = value


def parse_config(values: dict[str, Any], name: str = "config") -> TrainConfig:
    """Check the content of a configuration.

    Args:
        values: nested dictionaries, as YAML gives them.
        name: of the file, for messages.

    Raises:
        ConfigError: with one line for each problem.
    """
    try:
        return TrainConfig.model_validate(_numbers(values))
    except ValidationError as error:
        lines = [_explain(dict(problem), values) for problem in error.errors()]
        raise ConfigError("\n".join(f"{name}: {line}" for line in lines)) from None


def _numbers(value: Any) -> Any:
    """Turn text such as ``1e-3`` (text in YAML 1.1) into numbers; files stay text."""
    if isinstance(value, dict):
        return {k: v if k in ("data", "run_dir") else _numbers(v) for k, v in value.items()}
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _explain(problem: dict[str, Any], values: dict[str, Any]) -> str:
    location = list(problem["loc"])
    message = problem["msg"]
    nested = problem.get("ctx", {}).get("error")
    # Sections that are checked in a validator of their own report through ctx.
    if isinstance(nested, ValidationError):
        inner = dict(nested.errors()[0])
        inner["loc"] = (*location, *inner["loc"])
        return _explain(inner, values)
    key = ".".join(str(part) for part in location if not isinstance(part, int))
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'{nearest_key(key)}"
    if problem["type"] == "missing":
        return f"key '{key}' is missing, expected a value"
    if nested is not None:
        text = str(nested)
        return text if text.startswith((f"{key}.", "label keys")) else f"{key}: {text}"
    expected = message[0].lower() + message[1:]
    expected = expected.removeprefix("input should be ").removeprefix("value error, ")
    return f"key '{key}': found {problem.get('input')!r}, expected {expected}"


def nearest_key(key: str) -> str:
    """Suggestion for an unknown key.

    >>> nearest_key("train.epoch")
    "; did you mean 'train.epochs'?"
    """
    keys = known_keys() + [section for section in SECTIONS if section]
    section, _, last = key.rpartition(".")
    model = SECTIONS.get(section)
    if model is not None:
        close = difflib.get_close_matches(last, model.model_fields, n=1, cutoff=0.6)
        if close:
            return f"; did you mean '{section + '.' if section else ''}{close[0]}'?"
    # The key may be right and the section wrong.
    same = [k for k in keys if k.rpartition(".")[2] == last]
    close = same or difflib.get_close_matches(key, keys, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    if model is not None:
        return f"; expected one of {', '.join(model.model_fields)}"
    return ""
