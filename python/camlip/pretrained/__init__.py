"""Models that come with camlip; ``camlip models``.

Each is a file ``NAME.pt``, or ``NAME.safetensors`` where TorchScript would make it larger than
2 MB, with its card ``NAME.md``.

They are found wherever a model file is asked for: ``pair_coeff * * camlip:silicon Si``,
``MLIPCalculator("silicon")``, ``MLIPForce("camlip:silicon", topology)``, ``camlip info silicon``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from camlip.engine import Model, symbols
from camlip.errors import ArgumentError

_FOLDER = Path(__file__).parent
_SUFFIXES = (".pt", ".safetensors")


def names() -> list[str]:
    """Names of the models.

    >>> "silicon" in names()
    True
    """
    return sorted(path.stem for path in _FOLDER.iterdir() if path.suffix in _SUFFIXES)


def card(name: str) -> str:
    """Data, license, errors and range of validity of a model, as Markdown.

    Raises:
        ArgumentError: there is no such model.

    >>> card("silicon").splitlines()[0]
    '# silicon'
    """
    path = _FOLDER / f"{name}.md"
    if name not in names():
        raise ArgumentError(f"models: there is no '{name}', expected one of {', '.join(names())}")
    return path.read_text()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``camlip models``."""
    parser.add_argument("name", nargs="?", help="show the card of this model")


def run(args: argparse.Namespace) -> int:
    """Print the list of models, or a card."""
    if args.name:
        print(card(args.name.removeprefix("camlip:")), end="")
        return 0
    for name in names():
        model = Model(f"camlip:{name}")
        summary = card(name).splitlines()[2]
        print(f"{name:<10} {symbols(model.atomic_numbers):<12} {summary}")
    print("\ncamlip models NAME shows the card; use them as pair_coeff * * camlip:NAME ELEMENTS,")
    print('MLIPCalculator("NAME") or MLIPForce("camlip:NAME", topology)')
    return 0
