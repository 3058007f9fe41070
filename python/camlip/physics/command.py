"""``camlip evaluate MODEL --physics``."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from camlip._files import replacing
from camlip.errors import ArgumentError
from camlip.physics.common import Settings, Source
from camlip.physics.parts import PARTS, State, parse_parts, run_parts, settings_of
from camlip.physics.reference import Published, engine_source, model_digest, parse_reference
from camlip.physics.report import markdown
from camlip.physics.sample import load_sample

FAST: dict[str, Any] = {"picoseconds": 2.0, "size": 8.0, "fmax": 5e-3}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``--physics``."""
    group = parser.add_argument_group(
        "physics",
        "properties instead of errors; FILE is the structure to look at, or bulk:Si, "
        "bulk:NaCl:rocksalt:5.64, molecule:H2O; default: the crystal of the model's only element",
    )
    group.add_argument("--physics", action="store_true", help="compute physical properties")
    group.add_argument("--parts", default=",".join(PARTS), help="some of %(default)s")
    group.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="NAME",
        help="compare with a calculator (tblite:GFN1-xTB, emt, module:Class, a model) or with the "
        "values of a .yaml or .json file; can be repeated",
    )
    group.add_argument(
        "--as-given",
        action="store_true",
        help="do not change to the conventional cell (for references without k points)",
    )
    group.add_argument("--output", default="physics", metavar="FOLDER", help="default: %(default)s")
    group.add_argument("--resume", action="store_true", help="go on with the results in FOLDER")
    group.add_argument("--temperature", type=float, default=300.0, metavar="K", help="of dynamics")
    group.add_argument("--picoseconds", type=float, metavar="PS", help="of dynamics (default: 10)")
    group.add_argument("--timestep", type=float, metavar="FS", help="default: 1, with H 0.5")
    group.add_argument("--size", type=float, metavar="A", help="of supercells (default: 10)")
    group.add_argument(
        "--minutes", type=float, default=10.0, help="most time for the dynamics of a reference"
    )
    group.add_argument("--seed", type=int, default=0, help="of velocities")
    group.add_argument(
        "--fast", action="store_true", help=", ".join(f"{k} {v:g}" for k, v in FAST.items())
    )


def settings_from(args: argparse.Namespace) -> Settings:
    """Settings as the options say."""
    changes = dict(FAST) if args.fast else {}
    for name in ("picoseconds", "size"):
        if getattr(args, name) is not None:
            changes[name] = getattr(args, name)
    return Settings(
        temperature=args.temperature,
        timestep=args.timestep,
        minutes=args.minutes,
        seed=args.seed,
        **changes,
    )


def run(args: argparse.Namespace) -> int:
    """Compute the parts; returns the exit status: 1 if a part of the model failed."""
    if len(args.files) > 1:
        raise ArgumentError(f"--physics: {len(args.files)} files, expected one structure")
    names, settings = parse_parts(args.parts), settings_from(args)
    references: list[Source] = []
    published: list[Published] = []
    for text in args.reference:
        found = parse_reference(text)
        if isinstance(found, Source):
            references.append(found)
        else:
            published += found
    with ExitStack() as stack:
        path = _engine_file(str(args.model), stack)
        source = replace(engine_source(path, threads=args.threads), name=Path(args.model).stem)
        sources = [source, *references]
        titles = [s.name for s in sources] + [c.name for c in published]
        if len(set(titles)) < len(titles):
            raise ArgumentError(
                f"--reference: columns {', '.join(titles)}, expected distinct names"
            )
        sample = load_sample(
            args.files[0] if args.files else None, source.elements or [], not args.as_given
        )
        folder = Path(args.output)
        folder.mkdir(parents=True, exist_ok=True)
        keys = settings_of(settings, sample, sources, model_digest(path))
        state = State(folder / "physics.json", keys, args.resume)
        content = run_parts(names, sample, sources, settings, state)
    from camlip.physics.picture import draw

    (folder / "physics.png").write_bytes(
        draw(content, published, f"{source.name}, {sample.description}")
    )
    text = markdown(content, published, source.name, sample.description, "physics.png")
    with replacing(folder / "physics.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)
    print(f"wrote {folder / 'physics.md'}, physics.json and physics.png")
    failed = [n for n in names if content["parts"][n][source.name]["status"] == "failed"]
    return 1 if failed else 0


def _engine_file(model: str, stack: ExitStack) -> str:
    """A file that the engine reads; checkpoints are exported for the time being."""
    from camlip.train.evaluation import is_checkpoint_file

    if not is_checkpoint_file(model):
        return model
    from camlip.export import export
    from camlip.train.checkpoint import load_checkpoint

    folder = stack.enter_context(tempfile.TemporaryDirectory())
    target = Path(folder) / "model.safetensors"
    export(load_checkpoint(model)[0], target, file_format="safetensors")
    return str(target)
