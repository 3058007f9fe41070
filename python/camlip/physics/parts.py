"""The parts, and a run through them that keeps what is done."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from camlip._files import replacing
from camlip.errors import ArgumentError
from camlip.physics import crystal, defects, dimers, dynamics, vibrations
from camlip.physics.common import Result, Sample, Settings, Skip, Source

Part = Callable[[Sample, Source, Settings, bool], Result]

PARTS: dict[str, tuple[str, Part]] = {
    "eos": ("equation of state", crystal.eos),
    "elastic": ("elastic constants", crystal.elastic),
    "phonons": ("phonons", vibrations.phonons),
    "vacancy": ("vacancy", defects.vacancy),
    "surface": ("surfaces", defects.surface),
    "dimers": ("two atoms in vacuum", dimers.dimers),
    "nve": ("energy drift", dynamics.nve),
    "rdf": ("radial distribution", dynamics.rdf),
    "diffusion": ("diffusion", dynamics.diffusion),
}


def parse_parts(text: str) -> list[str]:
    """Names of parts from a comma-separated list, in their usual order.

    Raises:
        ArgumentError: for a part that there is not.

    >>> parse_parts("dimers,eos")
    ['eos', 'dimers']
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in PARTS]
    if unknown or not names:
        raise ArgumentError(
            f"--parts: '{','.join(unknown) or text}', expected some of {','.join(PARTS)}"
        )
    return [name for name in PARTS if name in names]


class State:
    """What is done, in a file, so that a run that was killed goes on.

    Args:
        path: JSON file.
        settings: texts and numbers that decide the results; other ones begin anew.
        resume: keep what the file has.
    """

    def __init__(self, path: Path, settings: dict[str, Any], resume: bool) -> None:
        self.path = path
        self.content: dict[str, Any] = {"settings": settings, "parts": {}}
        if not path.exists():
            return
        if not resume:
            raise ArgumentError(
                f"output '{path}': the file exists; go on with --resume, or choose another --output"
            )
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            same = found["settings"] == json.loads(json.dumps(settings))
            parts = dict(found["parts"])
        except (ValueError, KeyError, TypeError) as error:
            raise ArgumentError(
                f"output '{path}': not a file of camlip evaluate --physics; choose another --output"
            ) from error
        if not same:
            raise ArgumentError(
                f"output '{path}': it was made with other settings or another model; choose "
                "another --output, or remove it"
            )
        self.content["parts"] = parts

    def get(self, part: str, source: str) -> dict[str, Any] | None:
        """A result that need not be computed again; failures are tried again."""
        known = self.content["parts"].get(part, {}).get(source)
        return known if known and known["status"] != "failed" else None

    def put(self, part: str, source: str, result: dict[str, Any]) -> None:
        """Keep a result in the file."""
        self.content["parts"].setdefault(part, {})[source] = result
        with replacing(self.path) as temporary:
            temporary.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")


def run_parts(
    names: Sequence[str],
    sample: Sample,
    sources: Sequence[Source],
    settings: Settings,
    state: State,
    show: bool = True,
) -> dict[str, Any]:
    """Compute what is missing.

    Args:
        names: of the parts.
        sample: the structure.
        sources: the model first, references after it.
        settings: of all parts.
        state: what is done, extended after every part.
        show: progress on the terminal.

    Returns:
        ``settings`` and ``parts``: results by part and source.
    """
    for name in names:
        for source in sources:
            if state.get(name, source.name) is None:
                if show:
                    print(f"{PARTS[name][0]}: {source.name} ...", file=sys.stderr, flush=True)
                state.put(name, source.name, run_part(name, sample, source, settings, show))
    return state.content


def run_part(
    name: str, sample: Sample, source: Source, settings: Settings, show: bool = False
) -> dict[str, Any]:
    """One part; what goes wrong becomes its status and reason."""
    began = time.monotonic()
    try:
        missing = set(sample.atoms.numbers.tolist()) - set(
            source.elements if source.elements is not None else sample.atoms.numbers.tolist()
        )
        if missing:
            raise Skip(f"{source.name} has no element with atomic number {sorted(missing)}")
        result = PARTS[name][1](sample, source, settings, show)
    except Skip as reason:
        result = Result(status="skipped", reason=str(reason))
    except Exception as error:  # any calculator: the other parts go on, the table says why
        result = Result(status="failed", reason=f"{type(error).__name__}: {error}")
    result.seconds = round(time.monotonic() - began, 2)
    return result.plain()


def settings_of(
    settings: Settings, sample: Sample, sources: Sequence[Source], model: str
) -> dict[str, Any]:
    """What must be the same for results to be used again."""
    atoms = sample.atoms
    return {
        **asdict(settings),
        "model": model,
        "sample": sample.description,
        "structure": [
            atoms.numbers.tolist(),
            atoms.positions.round(8).tolist(),
            atoms.cell.array.round(8).tolist(),
        ],
        "sources": [s.name for s in sources],
    }
