"""Who the model is compared with: calculators, other models, published values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from camlip.engine import Model, model_path
from camlip.errors import ArgumentError
from camlip.label import CALCULATORS, CalculatorSpec, parse_option
from camlip.physics.common import Source
from camlip.physics.parts import PARTS


@dataclass(frozen=True)
class Published:
    """Values that somebody else found.

    Attributes:
        name: of the column.
        source: where they are from.
        values: by ``part.name``, as ``elastic.C11``.
        notes: by the same, what else is to be said.
    """

    name: str
    source: str
    values: Mapping[str, float]
    notes: Mapping[str, str]


def engine_source(path: str, name: str | None = None, threads: int | None = None) -> Source:
    """A camlip model: in double for static properties, mixed for dynamics."""
    from camlip.calculator import MLIPCalculator

    return Source(
        name or Path(path).stem,
        lambda precise: MLIPCalculator(
            path, precision="double" if precise else "mixed", threads=threads
        ),
        [int(z) for z in Model(path).atomic_numbers],
    )


def model_digest(path: str) -> str:
    """A short name of the content of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def parse_reference(text: str) -> Source | list[Published]:
    """What ``--reference`` names.

    Args:
        text: ``tblite:GFN1-xTB``, ``emt``, ``module:Class``, with ``,key=value`` for options of the
            calculator; a model file or ``camlip:NAME``; or a ``.yaml`` or ``.json`` file of values.

    Raises:
        ArgumentError: it is none of them.
    """
    if text.endswith((".yaml", ".yml", ".json")):
        return read_published(text)
    first, *rest = text.split(",")
    if first.startswith("camlip:") or Path(first).is_file():
        source = engine_source(model_path(first), first.removeprefix("camlip:"))
        source.is_model = False
        return source
    options = dict(parse_option(option) for option in rest)
    name, _, method = first.partition(":")
    if name in CALCULATORS:
        if method:
            options["method"] = method
        spec = CalculatorSpec(name, options)
    elif ":" in first:
        spec = CalculatorSpec(first, options)
    else:
        raise ArgumentError(
            f"--reference: '{text}' is no file, expected tblite:GFN1-xTB, "
            f"{', '.join(CALCULATORS)}, module:Class, a model, or values in a .yaml or .json file"
        )
    spec.build()
    return Source(method or first.rpartition(":")[2], lambda _: spec.build(), None, False)


def read_published(path: str) -> list[Published]:
    """Columns of a file of values: a list of, or one, ``name``, ``source`` and ``values``.

    Raises:
        ArgumentError: it cannot be used.
        OSError: it cannot be read.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        content = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ArgumentError(f"--reference '{path}': {' '.join(str(error).split())}") from error
    columns = content if isinstance(content, list) else [content]
    return [_column(path, column) for column in columns]


def _column(path: str, column: Any) -> Published:
    if not isinstance(column, dict) or not isinstance(column.get("values"), dict):
        raise ArgumentError(
            f"--reference '{path}': expected name, source and values, as in "
            "{name: PBE, source: ..., values: {elastic.C11: 153.0}}"
        )
    values: dict[str, float] = {}
    notes: dict[str, str] = {}
    for key, entry in column["values"].items():
        value = entry.get("value") if isinstance(entry, dict) else entry
        part = str(key).partition(".")[0]
        if part not in PARTS or isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ArgumentError(
                f"--reference '{path}': found {key}: {entry!r}, expected a number for a key "
                f"PART.NAME, with PART of {', '.join(PARTS)}"
            )
        values[str(key)] = float(value)
        if isinstance(entry, dict) and entry.get("note"):
            notes[str(key)] = str(entry["note"])
    name = str(column.get("name") or Path(path).stem)
    return Published(name, str(column.get("source", "")), values, notes)
