"""From a trained model to the model file, checked before it gets its name.

``python -m camlip.export CHECKPOINT -o model.pt`` or ``camlip export``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers as number_of_symbol

import camlip
from camlip._files import replacing
from camlip.engine import Model
from camlip.model_file import FORMAT, FORMAT_VERSION, write_block
from camlip.models import CartesianMoments, CartesianMomentsConfig
from camlip.parity import (
    DOUBLE,
    FLOAT32,
    Difference,
    Evaluator,
    check_engines,
    compare,
    compare_engines,
    table_errors,
    torch_evaluator,
)
from camlip.random_model import random_model
from camlip.structures import sample_structures
from camlip.torchscript import ExportedModel, archive_bytes

FORMATS = ("torchscript", "safetensors")
DTYPES = {"float64": torch.float64, "float32": torch.float32}


class ExportError(ValueError):
    """A model cannot be exported; nothing was written."""


@dataclass(frozen=True)
class ExportReport:
    """What was written and how well the implementations agree.

    Attributes:
        path: the model file.
        size: bytes.
        radial_table_error: of the engine's tables by precision, relative.
        differences: to the checkpoint in float64, as measured on the file.
    """

    path: Path
    size: int
    radial_table_error: dict[str, float]
    differences: list[Difference]

    def __str__(self) -> str:
        """A few lines for people."""
        lines = [f"{self.path}: {self.size / 1024:.0f} kB"]
        lines += [f"  {difference}" for difference in self.differences]
        if self.radial_table_error:
            errors = ", ".join(f"{v:.1e} ({k})" for k, v in self.radial_table_error.items())
            lines.append(f"  radial tables, relative error: {errors}")
        return "\n".join(lines)


def engine_block(model: CartesianMoments, training: dict[str, Any]) -> bytes:
    """The safetensors block of a model (docs/model_file.md).

    Args:
        model: in the precision in which the weights shall be stored.
        training: free facts about the training, JSON.
    """
    described = model.describe()
    config = described["config"] | {"average_num_neighbors": described["average_num_neighbors"]}
    tensors = {name: tensor.cpu().numpy() for name, tensor in model.engine_tensors().items()}
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "architecture": "cartesian_moments",
        "config": json.dumps(config),
        "atomic_numbers": json.dumps(described["atomic_numbers"]),
        "cutoff": repr(float(model.cutoff)),
        "units": json.dumps({"energy": "eV", "length": "Ang"}),
        "required": "[]",
        "created_by": f"camlip {camlip.__version__}",
        "training": json.dumps(training, sort_keys=True),
    }
    return write_block(dict(sorted(tensors.items())), metadata)


def export(
    model: CartesianMoments,
    path: str | Path,
    *,
    file_format: str = "torchscript",
    dtype: str = "float64",
    training: dict[str, Any] | None = None,
) -> ExportReport:
    """Write the model file and compare it with the model.

    The file is written under a temporary name, read again, and compared on a few random
    structures with the model in float64: the engine, every backend, and TorchScript.  Only then
    it gets its name; after a failure or a ``kill -9`` the name is what it was before.

    Args:
        model: is not changed.
        path: the file to write.
        file_format: ``torchscript`` (an archive for ``torch.jit.load`` and for the engine) or
            ``safetensors`` (for the engine alone).
        dtype: precision of the TorchScript module, ``float64`` or ``float32``.  Weights for the
            engine are stored as they are.
        training: facts for the metadata: level of theory, fingerprint of the data, errors.

    Raises:
        ExportError: if the implementations disagree, or for a wrong argument.
        OSError: if the file cannot be written.
    """
    if file_format not in FORMATS:
        raise ExportError(f"format: '{file_format}', expected {' or '.join(FORMATS)}")
    if dtype not in DTYPES:
        raise ExportError(f"dtype: '{dtype}', expected {' or '.join(DTYPES)}")
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ExportError(f"model: '{name}' contains NaN or infinity; did training diverge?")
    path = Path(path)
    model = deepcopy(model).cpu().eval()
    structures = sample_structures(model.atomic_numbers)
    expected = _remembered(torch_evaluator(ExportedModel(deepcopy(model).double()), model.cutoff))

    facts = dict(training or {})
    draft = Model.from_bytes(engine_block(model, facts), str(path))
    engines = check_engines(draft, ("double", "mixed"))
    values, derivatives = table_errors(engines)
    differences = compare_engines(engines, structures.values(), expected)
    _refuse_failed(path, differences)
    facts |= {
        "radial_table_error": values,
        "radial_table_derivative_error": derivatives,
        "differences": {d.name: {"energy": d.energy, "forces": d.forces} for d in differences},
    }
    block = engine_block(model, facts)
    with replacing(path) as temporary:
        if file_format == "safetensors":
            temporary.write_bytes(block)
        else:
            temporary.write_bytes(archive_bytes(deepcopy(model).to(DTYPES[dtype]), block))
        # The same tensors by their checksum: tables in double, which take long, need no repeat.
        written = check_engines(Model(temporary), ("mixed",))
        _refuse_failed(path, compare_engines(written, structures.values(), expected))
        if file_format == "torchscript":
            scripted = torch.jit.load(str(temporary))
            differences.append(
                compare(
                    f"TorchScript {dtype}",
                    structures.values(),
                    expected,
                    torch_evaluator(scripted, model.cutoff),
                    DOUBLE if dtype == "float64" else FLOAT32,
                )
            )
            _refuse_failed(path, differences)
        size = temporary.stat().st_size
    return ExportReport(path, size, values, differences)


def _refuse_failed(path: Path, differences: list[Difference]) -> None:
    failed = [str(difference) for difference in differences if not difference.passed]
    if failed:
        raise ExportError(
            f"output '{path}': the exported model differs from the checkpoint in float64, nothing "
            "was written\n" + "\n".join(failed)
        )


def _remembered(evaluate: Evaluator) -> Evaluator:
    """The same evaluator, which works once for each structure."""
    known: dict[int, Any] = {}

    def lookup(atoms: Any) -> Any:
        if id(atoms) not in known:
            known[id(atoms)] = evaluate(atoms)
        return known[id(atoms)]

    return lookup


def parse_elements(text: str) -> list[int]:
    """Atomic numbers of a comma-separated list of symbols.

    Raises:
        ExportError: for something that is not a symbol.

    >>> parse_elements("Si,O")
    [14, 8]
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if number_of_symbol.get(name, 0) < 1]
    if unknown or not names:
        raise ExportError(
            f"--elements: '{','.join(unknown) or text}' is not a list of element symbols; "
            "expected for example Si,O"
        )
    return [number_of_symbol[name] for name in names]


def parse_change(text: str) -> tuple[str, Any]:
    """A field of the configuration and its value from ``KEY=VALUE``.

    Raises:
        ExportError: for an unknown field or a value of another type.

    >>> parse_change("num_layers=2")
    ('num_layers', 2)
    """
    fields = CartesianMomentsConfig.__dataclass_fields__
    name, separator, value = text.partition("=")
    if not separator or name not in fields:
        raise ExportError(f"--set: '{text}', expected KEY=VALUE with KEY of {', '.join(fields)}")
    kind = type(fields[name].default)
    parse: Callable[[str], Any] = {"true": True, "false": False}.__getitem__
    try:
        return name, (parse if kind is bool else kind)(value)
    except (KeyError, ValueError) as error:
        raise ExportError(f"--set: '{text}', expected a value of type {kind.__name__}") from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``camlip export``."""
    parser.add_argument("checkpoint", nargs="?", help="written by camlip train, e.g. best.ckpt")
    parser.add_argument("-o", "--output", required=True, help="model file to write, e.g. model.pt")
    parser.add_argument(
        "--format", choices=FORMATS, default="torchscript", help="default: %(default)s"
    )
    parser.add_argument(
        "--dtype",
        choices=tuple(DTYPES),
        default="float64",
        help="precision of the TorchScript module (default: %(default)s)",
    )
    parser.add_argument("--head", metavar="NAME", help="of a fine-tuned model that has several")
    parser.add_argument("--level-of-theory", metavar="TEXT", help="for the metadata")
    group = parser.add_argument_group("instead of a checkpoint")
    group.add_argument("--random", metavar="PRESET", help="random weights: small, medium or large")
    group.add_argument("--elements", metavar="SYMBOLS", help="of the random model, e.g. Si,O")
    group.add_argument("--cutoff", type=float, help="of the random model, Angstrom")
    group.add_argument("--seed", type=int, default=0, help="of the random model")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="field of the random model's configuration, can be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Run ``camlip export``."""
    training: dict[str, Any]
    if args.random is not None:
        if args.checkpoint is not None:
            raise ExportError("arguments: both a checkpoint and --random, expected one of them")
        if args.elements is None:
            raise ExportError("arguments: --random needs --elements, for example Si,O")
        changes = dict(parse_change(text) for text in args.set)
        if args.cutoff is not None:
            changes["cutoff"] = args.cutoff
        model = random_model(args.random, parse_elements(args.elements), args.seed, changes)
        training = {"random": {"preset": args.random, "seed": args.seed}}
    else:
        if args.checkpoint is None:
            raise ExportError("arguments: neither a checkpoint nor --random is given")
        if args.elements is not None or args.cutoff is not None or args.set:
            raise ExportError("arguments: --elements, --cutoff and --set go with --random only")
        from camlip.train.checkpoint import load_checkpoint

        model, known = load_checkpoint(args.checkpoint, head=args.head)
        training = {key: known.get(key) for key in ("fingerprint", "errors", "version")}
    if args.level_of_theory is not None:
        training = training | {"level_of_theory": args.level_of_theory}
    report = export(
        model, args.output, file_format=args.format, dtype=args.dtype, training=training
    )
    print(report)
    return 0


if __name__ == "__main__":
    from camlip.cli import main

    sys.exit(main(["export", *sys.argv[1:]]))
