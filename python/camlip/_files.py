"""Files that are either complete or not there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its name when the block ends without error.

    The data reach the disk before the name does, so that after a crash or ``kill -9`` at any
    moment ``path`` is the old file or the new one.  What such an end may leave behind is a hidden
    file ``.NAME.*.tmp``.

    Args:
        path: the file to write or replace.

    Yields:
        The temporary file, empty; on an exception it is removed and ``path`` is left alone.

    Raises:
        OSError: if the directory cannot be written.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as file:
    ...         _ = file.write_text("all of it")
    ...     sorted(os.listdir(folder))
    ['a.txt']
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"output '{path}': is a directory, expected a file name")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"output '{path}': directory '{path.parent}' does not exist")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only the owner can read; ordinary files follow the umask.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
