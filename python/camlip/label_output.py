"""The files that ``camlip label`` and ``camlip relax`` append to.

Frames, recovery after a kill, and matching to the input.

A frame is written in one piece and ends in a newline, so that a half-written one can be told from a
complete one.  Each frame carries the index of its input structure and the calculator.
"""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from ase import Atoms
from ase.io import iread, write

INDEX_KEY = "source_index"
METHOD_KEY = "REF_calculator"


class LabelError(ValueError):
    """A structure, a file or an option that labelling cannot use."""


def lock(file: TextIO) -> None:
    """Keep other processes from writing to an open file until it is closed.

    Raises:
        LabelError: if another process holds the lock.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise LabelError(
            f"output '{file.name}': another process is writing to it; wait for it to end, or "
            "choose another output file"
        ) from error


def complete_size(path: Path, kept: Callable[[bytes], bool] = lambda comment: True) -> int:
    """Bytes of ``path`` up to the end of its last complete frame.

    Args:
        path: an extended XYZ file.
        kept: told the comment line of a frame: False for the first one that is not wanted.

    A frame is an atom count, a comment line and as many lines as the count says, each ended by a
    newline; it is written in that order, so a frame whose last newline exists is complete.

    Raises:
        LabelError: if a line that must be an atom count is something else.
    """
    end = 0
    with path.open("rb") as file:
        line_number = 1
        while (head := file.readline()).endswith(b"\n"):
            try:
                count = int(head)
            except ValueError as error:
                raise LabelError(
                    f"output '{path}': line {line_number} is {head[:40]!r}, expected an atom "
                    "count; was this file written by camlip?"
                ) from error
            lines = [file.readline() for _ in range(count + 1)]
            if not lines[-1].endswith(b"\n") or not kept(lines[0]):
                break
            end = file.tell()
            line_number += count + 2
    return end


def drop_partial_frame(path: Path) -> int:
    """Cut a half-written last frame off ``path``; returns the number of bytes dropped."""
    end = complete_size(path)
    dropped = path.stat().st_size - end
    if dropped:
        os.truncate(path, end)
    return dropped


def already_labelled(path: Path, structures: Sequence[Atoms], method: str) -> set[int]:
    """Indices of ``structures`` that the output file ``path`` already holds.

    Args:
        path: file without a half-written frame.
        structures: all input structures.
        method: the calculator and its options, as stored under `METHOD_KEY`.

    Raises:
        LabelError: if it holds labels of other structures or of another calculator.
    """
    if path.stat().st_size == 0:
        return set()
    done: set[int] = set()
    for n, frame in enumerate(iread(path, ":", format="extxyz")):
        index = frame.info.get(INDEX_KEY)
        if index is None:
            raise LabelError(
                f"output '{path}': frame {n} has no '{INDEX_KEY}', so it cannot be matched with "
                "the input; choose another output file"
            )
        same = 0 <= index < len(structures) and same_structure(frame, structures[index])
        if not same:
            raise LabelError(
                f"output '{path}': frame {n} is not structure {index} of the input; it was made "
                "from another file, choose another output file"
            )
        if frame.info.get(METHOD_KEY) != method:
            raise LabelError(
                f"output '{path}': frame {n} was labelled with "
                f"'{frame.info.get(METHOD_KEY)}', not with '{method}'; choose another output file"
            )
        done.add(int(index))
    return done


def same_structure(a: Atoms, b: Atoms) -> bool:
    """Whether two structures agree to the digits that extended XYZ stores."""
    return bool(
        len(a) == len(b)
        and (a.numbers == b.numbers).all()
        and (a.pbc == b.pbc).all()
        and np.allclose(a.positions, b.positions, rtol=0, atol=1e-6)
        and np.allclose(a.cell.array, b.cell.array, rtol=0, atol=1e-6)
    )


def frame_text(atoms: Atoms) -> str:
    """One extended XYZ frame; matrices are written as 9 numbers, which any reader understands."""
    flat = atoms.copy()
    flat.info = {k: v.ravel() if np.shape(v) == (3, 3) else v for k, v in atoms.info.items()}
    buffer = io.StringIO()
    write(buffer, flat, format="extxyz")
    return buffer.getvalue()
