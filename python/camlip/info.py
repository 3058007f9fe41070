"""``camlip info``: what a model file contains."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from camlip import model_file
from camlip.engine import Model, symbols
from camlip.parity import check_engines, table_errors


def describe(path: str | Path) -> dict[str, Any]:
    """Everything about a model file, ready for JSON.

    The engine reads the file, too, so that what is described here also runs.

    Args:
        path: a model file.

    Raises:
        ModelFileError: if it is not a valid model.
        OSError: if it cannot be opened.
    """
    file = model_file.read(path)
    model = Model(path)
    values, derivatives = table_errors(check_engines(model, ("mixed",)))
    metadata = dict(file.metadata)
    config = metadata.pop("config")
    return {
        "file": str(path),
        "container": file.container,
        "size": file.size,
        "elements": symbols(model.atomic_numbers).split(", "),
        "cutoff": model.cutoff,
        "num_layers": model.num_layers,
        "range": model.cutoff * model.num_layers,
        "exchange_width": model.exchange_width,
        "num_parameters": file.num_parameters,
        "reference_energies": file.arrays()["reference_energies"].tolist(),
        "radial_table_error": values,
        "radial_table_derivative_error": derivatives,
        "config": config,
        "training": metadata.pop("training", {}),
        "metadata": metadata,
        "tensors": {name: {"shape": list(s), "dtype": d} for name, (s, d) in file.tensors.items()},
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``camlip info``."""
    parser.add_argument("model", help="model file")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.add_argument("--tensors", action="store_true", help="list the tensors, too")


def run(args: argparse.Namespace) -> int:
    """Run ``camlip info``."""
    found = describe(args.model)
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    layers = found["num_layers"]
    kind = "strictly local" if layers == 1 else f"{layers - 1} message-passing step(s)"
    references = zip(found["elements"], found["reference_energies"], strict=True)
    rows = {
        "file": f"{found['file']} ({found['container']}, {found['size'] / 1024:.0f} kB)",
        "architecture": found["metadata"].get("architecture"),
        "created by": found["metadata"].get("created_by"),
        "format version": found["metadata"].get("format_version"),
        "elements": ", ".join(found["elements"]),
        "cutoff": f"{found['cutoff']:g} A",
        "layers": f"{layers} ({kind}; an atom sees others up to {found['range']:g} A away)",
        "parameters": str(found["num_parameters"]),
        "units": ", ".join(f"{k} {v}" for k, v in found["metadata"].get("units", {}).items()),
        "reference energies": ", ".join(f"{s} {e:.6g}" for s, e in references) + " eV",
        "radial tables": ", ".join(f"{v:.1e} ({k})" for k, v in found["radial_table_error"].items())
        + " relative error",
        "sha256": found["metadata"].get("sha256"),
    }
    for name, value in rows.items():
        print(f"{name:<20} {value}")
    for title in ("training", "config"):
        print(f"\n{title}")
        for name, value in flatten(found[title]):
            print(f"  {name:<34} {value}")
    if args.tensors:
        print("\ntensors")
        for name, tensor in found["tensors"].items():
            print(f"  {name:<34} {tensor['dtype']} {tuple(tensor['shape'])}")
    return 0


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and texts of nested values.

    >>> list(flatten({"test": {"mae": 0.00312345678}, "seed": 1}))
    [('test.mae', '0.00312346'), ('seed', '1')]
    """
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", f"{value:.6g}" if isinstance(value, float) else str(value)
