"""``camlip evaluate``: errors of a model on labelled structures, or its physics."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from camlip.data import add_label_key_arguments, label_keys_from_args, read_structures
from camlip.errors import ArgumentError
from camlip.physics.command import add_arguments as add_physics_arguments
from camlip.train.evaluation import (
    CommitteePredictor,
    evaluate_dataset,
    format_table,
    load_predictor,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``camlip evaluate``."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="exported model (.pt), checkpoint (.ckpt), or the run directory of a committee",
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="*", help="structures with labels: anything that ASE reads"
    )
    add_label_key_arguments(parser)
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="write the errors as JSON, in eV and Angstrom; '-' prints it instead of the table",
    )
    parser.add_argument("--plot", metavar="FILE.png", help="draw parity plots")
    parser.add_argument("--outliers", type=int, default=0, metavar="N", help="list the worst N")
    parser.add_argument(
        "--batch", type=int, default=1000, metavar="N", help="atoms at once, for a checkpoint"
    )
    parser.add_argument("--precision", choices=("mixed", "double"), default="mixed")
    parser.add_argument("--threads", type=int, help="of the engine or of PyTorch")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--which", choices=("ema", "raw"), default="ema", help="weights of a checkpoint"
    )
    add_physics_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate; returns the exit status."""
    if not Path(args.model).exists():
        raise FileNotFoundError(2, "no such file, expected a model or a checkpoint", args.model)
    if args.physics:
        from camlip.physics.command import run as run_physics

        return run_physics(args)
    if not args.files:
        raise ArgumentError("arguments: no FILE with labelled structures, and no --physics")
    predictor = load_predictor(
        args.model,
        precision=args.precision,
        threads=args.threads,
        device=args.device,
        atoms_per_batch=args.batch,
        which=args.which,
    )
    structures = read_structures(args.files, label_keys_from_args(args))
    evaluation = evaluate_dataset(predictor, structures)
    table = evaluation.table()
    text = json.dumps(table, indent=2)
    if args.json == "-":
        print(text)
    else:
        print(format_table(table, Path(args.model).name))
        if isinstance(predictor, CommitteePredictor):
            print(predictor.summary())
        if args.json:
            Path(args.json).write_text(text + "\n", encoding="utf-8")
    if args.outliers > 0 and args.json != "-":
        print("\nlargest errors (eV/atom, eV/A)")
        for row in evaluation.outliers(args.outliers):
            print(
                f"  {row['source']} {row['formula']} [{row['config_type']}]: "
                f"energy {_number(row['energy_per_atom_error'])}, "
                f"forces RMSE {_number(row['forces_rmse'])}, max {_number(row['forces_max'])}"
            )
    if args.plot:
        from camlip.train.plots import parity_plot

        Path(args.plot).write_bytes(parity_plot({"": evaluation}))
        print(f"wrote {args.plot}", file=sys.stderr)
    return 0


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
