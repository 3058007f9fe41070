"""Configuration of a training run: one YAML file, checked before anything else happens."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from camlip.train.finetune.schema import FinetuneConfig, LoraConfig
from camlip.train.schema import (
    DataConfig,
    KeysConfig,
    LogConfig,
    LossConfig,
    ModelConfig,
    OptimizationConfig,
    StageTwoConfig,
    TrainConfig,
)


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the key."""


SECTIONS: dict[str, type[BaseModel]] = {
    "": TrainConfig,
    "data": DataConfig,
    "data.keys": KeysConfig,
    "model": ModelConfig,
    "loss": LossConfig,
    "train": OptimizationConfig,
    "train.stage_two": StageTwoConfig,
    "log": LogConfig,
    "finetune": FinetuneConfig,
    "finetune.lora": LoraConfig,
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
    return parse_config(load_values(path, changes), Path(path).name)


def load_values(
    path: str | os.PathLike[str], changes: list[str] | tuple[str, ...] = ()
) -> dict[str, Any]:
    """Content of a file with changes, not yet checked; as :func:`load_config`."""
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
    return values


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
    nested: Any = problem.get("ctx", {}).get("error")
    # Sections that are checked in a validator of their own report through ctx.
    if isinstance(nested, ValidationError):
        inner: dict[str, Any] = dict(nested.errors()[0])
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
