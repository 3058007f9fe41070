"""The files that ``camlip relax`` appends to, and what ``--resume`` keeps of them.

A frame carries the index of its input structure, a hash of it, and the settings, so that a run that
was killed goes on where it was and never mixes two relaxations in one file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import ase.io
from ase import Atoms

from camlip.errors import ArgumentError
from camlip.label_output import complete_size, drop_partial_frame, lock

INDEX_KEY = "relax_index"
SOURCE_KEY = "relax_source"
SETTINGS_KEY = "relax_settings"
STRUCTURE_KEY = "structure"
"""Of a frame of the trajectory: the index of its structure."""


def digest(*parts: bytes) -> str:
    """A short name of some bytes, which no reader takes for a number.

    >>> digest(b"a")
    'sha256:ca978112ca1bbdca'
    """
    return "sha256:" + hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def source_name(atoms: Atoms) -> str:
    """A short name of what a relaxation starts from, the same whenever the file is read again."""
    return digest(
        atoms.numbers.astype("<i8").tobytes(),
        atoms.positions.astype("<f8").tobytes(),
        atoms.cell.array.astype("<f8").tobytes(),
        atoms.pbc.tobytes(),
    )


class RelaxOutput:
    """Output file and trajectory of one run.

    Use :meth:`opened`.

    Attributes:
        finished: whether each structure that the file held converged, by index.
    """

    def __init__(self, names: Sequence[str], settings: str) -> None:
        self.finished: dict[int, bool] = {}
        self._names, self._settings = names, settings
        self._output: TextIO
        self._trajectory: TextIO | None = None

    @classmethod
    @contextlib.contextmanager
    def opened(
        cls,
        output: Path,
        trajectory: Path | None,
        structures: Sequence[Atoms],
        settings: str,
        resume: bool,
    ) -> Iterator[RelaxOutput]:
        """Open or go on with the files; those that are still empty after an error are removed.

        Args:
            output: extended XYZ file for relaxed structures.
            trajectory: the same for the steps.
            structures: of the input, before they are relaxed.
            settings: what the results depend on beside the structures, in one line.
            resume: keep the structures that ``output`` holds.

        Raises:
            ArgumentError: if a file exists and ``resume`` is not set, or it holds anything else.
            LabelError: if another process writes to it, or it is no file of frames.
            OSError: if it cannot be written.
        """
        self = cls([source_name(atoms) for atoms in structures], settings)
        paths = [path for path in (output, trajectory) if path is not None]
        for path in paths:
            if path.is_dir():
                raise ArgumentError(f"output '{path}': is a directory, expected a file name")
            if path.exists() and path.stat().st_size and not resume:
                raise ArgumentError(
                    f"output '{path}': the file exists; add --resume to go on with it, or choose "
                    "another name"
                )
        try:
            with contextlib.ExitStack() as stack:
                self._output = stack.enter_context(output.open("a", encoding="utf-8"))
                lock(self._output)
                drop_partial_frame(output)
                self._find_finished(output)
                if trajectory is not None:
                    self._trajectory = stack.enter_context(trajectory.open("a", encoding="utf-8"))
                    lock(self._trajectory)
                    self._drop_unfinished(trajectory)
                yield self
        except BaseException:
            for path in paths:
                with contextlib.suppress(OSError):
                    if path.stat().st_size == 0:
                        path.unlink()
            raise

    def add_step(self, frame: Atoms) -> None:
        """Append a step to the trajectory, if there is one."""
        if self._trajectory is not None:
            self._trajectory.write(_text(frame))

    def add(self, index: int, frame: Atoms) -> None:
        """Append a structure that is finished; it is on the disk when this returns."""
        frame.info[INDEX_KEY] = index
        frame.info[SOURCE_KEY] = self._names[index]
        frame.info[SETTINGS_KEY] = self._settings
        if self._trajectory is not None:
            # Before the structure counts as finished.
            self._trajectory.flush()
            os.fsync(self._trajectory.fileno())
        self._output.write(_text(frame))
        self._output.flush()
        os.fsync(self._output.fileno())

    def _find_finished(self, path: Path) -> None:
        if path.stat().st_size == 0:
            return
        for n, frame in enumerate(ase.io.iread(path, ":", format="extxyz")):
            index = frame.info.get(INDEX_KEY)
            start = f"output '{path}': frame {n}"
            if index is None:
                raise ArgumentError(
                    f"{start} has no '{INDEX_KEY}', expected a file of camlip relax; choose "
                    "another output file"
                )
            known = self._names[index] if 0 <= index < len(self._names) else None
            if known is None or frame.info.get(SOURCE_KEY) != known:
                raise ArgumentError(
                    f"{start} is not structure {index} of the input; it was made from another "
                    "file, choose another output file"
                )
            if frame.info.get(SETTINGS_KEY) != self._settings:
                raise ArgumentError(
                    f"{start} was relaxed with '{frame.info.get(SETTINGS_KEY)}', not with "
                    f"'{self._settings}'; choose another output file"
                )
            self.finished[int(index)] = bool(frame.info.get("relax_converged"))

    def _drop_unfinished(self, path: Path) -> None:
        """Cut the trajectory off where a structure begins that is not finished."""
        pattern = re.compile(rf"\b{STRUCTURE_KEY}=(\d+)".encode())

        def kept(comment: bytes) -> bool:
            found = pattern.search(comment)
            return found is not None and int(found[1]) in self.finished

        os.truncate(path, complete_size(path, kept))


def _text(frame: Atoms) -> str:
    buffer = io.StringIO()
    ase.io.write(buffer, frame, format="extxyz")
    return buffer.getvalue()
