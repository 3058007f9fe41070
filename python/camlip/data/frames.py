"""Frames of a file through ASE, with errors that name the file and the frame."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import ase
import ase.io
from ase.io.formats import UnknownFileTypeError, filetype
from ase.utils import string2index

from camlip.data.structure import DataError

_OPENERS = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}


def iter_frames(path: str | os.PathLike[str]) -> Iterator[tuple[int, ase.Atoms]]:
    """Yield (frame number in the file, frame), with ASE's errors turned into ours."""
    text = os.fspath(path)
    filename, index = _split_index(text)
    file = Path(filename)
    if not file.exists():
        raise DataError(f"data file '{filename}': no such file (looked in '{Path.cwd()}')")
    if file.is_file() and file.stat().st_size == 0:
        raise DataError(f"data file '{filename}': the file is empty")
    start, step, keep = 0, 1, None
    if isinstance(index, slice):
        start, step = index.start or 0, index.step or 1
        if start < 0 or step < 0 or (index.stop or 0) < 0:
            # Numbering from the end needs the number of frames first.
            keep, index, start, step = index, slice(None), 0, 1
    frames = _checked(text, _open_frames(file, index), start, step)
    if keep is not None:
        frames = iter(list(frames)[keep])
    number = None
    for number, atoms in frames:
        yield number, atoms
    if number is None:
        raise DataError(f"data file '{text}': no frame in it, expected at least one")


def _checked(
    text: str, frames: Iterator[ase.Atoms], start: int, step: int
) -> Iterator[tuple[int, ase.Atoms]]:
    number = start
    while True:
        try:
            atoms = next(frames)
        except StopIteration:
            return
        except DataError:
            raise
        except UnknownFileTypeError as error:
            raise DataError(
                f"data file '{text}': ASE does not know this file type ({error}); convert it to "
                "extended XYZ"
            ) from error
        except Exception as error:
            raise DataError(
                f"{text} frame {number}: ASE cannot read it: {error or type(error).__name__}"
            ) from error
        yield number, atoms
        number += step


def _split_index(text: str) -> tuple[str, Any]:
    """Split 'file@index' as ASE does; a file whose name contains '@' wins."""
    if Path(text).exists():
        return text, slice(None)
    filename, at, word = text.rpartition("@")
    if not at:
        return text, slice(None)
    index = string2index(word)
    # An ASE database takes a selection such as '@natoms>3' as well.
    if isinstance(index, str) and not filename.endswith((".db", ".json")):
        raise DataError(
            f"data file '{text}': index {word!r} is not a number or slice, expected for example "
            "'@:100' or '@0'"
        )
    if isinstance(index, int):
        index = slice(index, index + 1 if index != -1 else None)
    return filename, index


def _open_frames(file: Path, index: Any) -> Iterator[ase.Atoms]:
    """Iterate over frames; compressed files are unpacked first.

    ASE seeks in the file, and each seek in an .xz file starts again at its beginning: 2,000
    frames took 200 s that way, 0.4 s unpacked.
    """
    with contextlib.ExitStack() as stack:
        opener = _OPENERS.get(file.suffix)
        if opener is not None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="camlip-")))
            plain = folder / file.stem
            try:
                with opener(file, "rb") as packed, plain.open("wb") as unpacked:
                    shutil.copyfileobj(cast(Any, packed), unpacked)
            except (OSError, EOFError, lzma.LZMAError) as error:
                raise DataError(f"data file '{file}': cannot unpack it: {error}") from error
            file = plain
        if file.is_file() and file.stat().st_size == 0:
            raise DataError(f"data file '{file.name}': the file is empty")
        if file.is_dir() or filetype(str(file)) != "extxyz":
            yield from cast(Iterator[ase.Atoms], ase.io.iread(str(file), index=index))
            return
        with file.open() as stream:
            _check_frames(stream)
            yield from cast(Iterator[ase.Atoms], ase.io.iread(stream, index=index, format="extxyz"))


def _check_frames(stream: Any) -> None:
    """Name the frame at which an XYZ file goes wrong.

    ASE stops silently at a blank line, and reports a bad count without saying where.
    """
    number = line_number = 0
    blank = 0
    while line := stream.readline():
        line_number += 1
        if not line.strip():
            blank = blank or line_number
            continue
        if line.lstrip().startswith("VEC"):
            continue
        if blank:
            raise DataError(
                f"{stream.name}: blank line {blank} after frame {number - 1}, but more text "
                f"follows at line {line_number}; remove the blank line"
            )
        try:
            atoms = int(line)
        except ValueError:
            raise DataError(
                f"{stream.name} frame {number}: line {line_number} is {line.strip()[:40]!r}, "
                "expected the number of atoms"
            ) from None
        for row in range(atoms + 1):
            if not stream.readline():
                raise DataError(
                    f"{stream.name} frame {number}: the file ends after {max(row - 1, 0)} of "
                    f"{atoms} atoms; is it cut off?"
                )
        line_number += atoms + 1
        number += 1
    stream.seek(0)
