"""Data sets larger than memory: structures and neighbor lists in one LMDB file."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import torch.utils.data
from numpy.typing import NDArray
from tqdm import tqdm

from camlip.data.batch import Item
from camlip.data.dataset import LazyStructures, pack_neighbors, to_types, type_lookup
from camlip.data.keys import LabelKeys
from camlip.data.reading import PathLike, combine_digests, iter_structures, structure_digest
from camlip.data.structure import DataError, Structure, symbols

FORMAT = "camlip-data"
VERSION = 1
FIRST_MAP_SIZE = 1 << 26
_ARRAYS = ("positions", "atomic_numbers", "cell", "pbc", "forces", "stress")
_NEIGHBORS = ("counts", "neighbors", "shifts")
_CHUNK = 256

# LMDB allows one handle for a file and process, and none may live across a fork: all are closed
# before one and open again when needed.
_OPEN: dict[str, tuple[tuple[int, int], lmdb.Environment]] = {}


def prepare(
    paths: PathLike | Sequence[PathLike],
    output: PathLike,
    cutoff: float,
    *,
    keys: LabelKeys | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Read files frame by frame and store structures with neighbor lists.

    The result appears under its name only when it is complete: an interrupted run leaves
    ``output.partial``, which the next run replaces.

    Args:
        paths: as for :func:`camlip.data.read_structures`.
        output: file to write, by custom ``*.lmdb``.
        cutoff: Angstrom; a model with another cutoff needs its own file.
        keys: names and units of the labels.
        overwrite: replace an existing file.
        progress: show a progress bar.

    Returns:
        The stored header: counts, elements, label keys, fingerprint.

    Raises:
        DataError: if ``output`` exists, or for anything wrong with the input.
    """
    target = Path(output)
    if target.exists() and not overwrite:
        raise DataError(f"prepared data '{target}': the file exists; remove it or use --overwrite")
    if target.is_dir():
        raise DataError(f"prepared data '{target}': is a folder, expected the name of a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    files = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    keys = keys or LabelKeys()
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    num_atoms: list[int] = []
    num_edges: list[int] = []
    digests: list[bytes] = []
    elements: Counter[int] = Counter()
    labels: Counter[str] = Counter()
    environment = lmdb.open(
        str(partial), subdir=False, lock=False, sync=False, map_size=FIRST_MAP_SIZE
    )
    try:
        records: list[tuple[bytes, bytes]] = []
        frames = (s for file in files for s in iter_structures(file, keys))
        # disable=None: no bar where the output is not a terminal.
        title, disable = f"preparing {target.name}", None if progress else True
        bar = tqdm(frames, title, unit=" structures", disable=disable)
        for index, s in enumerate(bar):
            neighbors = pack_neighbors(s, index, cutoff)
            num_atoms.append(s.num_atoms)
            num_edges.append(len(neighbors[1]))
            digests.append(structure_digest(s))
            elements.update(set(s.atomic_numbers.tolist()))
            labels.update(n for n in ("energy", "forces", "stress") if getattr(s, n) is not None)
            records.append((_key(index), _encode(s, neighbors)))
            if len(records) == _CHUNK:
                _write(environment, records)
                records = []
        header = {
            "format": FORMAT,
            "version": VERSION,
            "cutoff": float(cutoff),
            "structures": len(num_atoms),
            "atoms": sum(num_atoms),
            "atomic_numbers": sorted(elements),
            "labels": dict(labels),
            "keys": dataclasses.asdict(keys),
            "sources": [str(f) for f in files],
            "fingerprint": combine_digests(digests),
        }
        records.append((b"num_atoms", np.array(num_atoms, dtype="<i8").tobytes()))
        records.append((b"num_edges", np.array(num_edges, dtype="<i8").tobytes()))
        records.append((b"header", json.dumps(header).encode()))
        _write(environment, records)
        environment.sync(True)
    except BaseException:
        environment.close()
        partial.unlink(missing_ok=True)
        raise
    environment.close()
    os.replace(partial, target)
    return header


class StoredDataset(torch.utils.data.Dataset[Item]):
    """A file made by :func:`prepare`, with the interface of :class:`camlip.data.Dataset`.

    The file is opened where it is read, so that each worker of a ``DataLoader`` has its own handle.

    Args:
        path: the prepared file.
        atomic_numbers: elements of the model; default: those in the file, ascending.
        cutoff: Angstrom, must be the one the file was prepared with; default: that one.

    Attributes:
        header: what :func:`prepare` returned.
        fingerprint: of the content, as :func:`camlip.data.fingerprint`.

    Raises:
        DataError: for a file that is not a prepared data set of this version, another cutoff, or
            an element outside ``atomic_numbers``.
    """

    def __init__(
        self,
        path: PathLike,
        atomic_numbers: Sequence[int] | None = None,
        cutoff: float | None = None,
    ) -> None:
        """Read and check the header."""
        self.path = str(Path(path).resolve())
        self.header = self._read_header(path)
        stored = [int(z) for z in self.header["atomic_numbers"]]
        self.atomic_numbers = tuple(int(z) for z in (atomic_numbers or stored))
        self.cutoff = float(self.header["cutoff"])
        if cutoff is not None and abs(cutoff - self.cutoff) > 1e-9:
            raise DataError(
                f"prepared data '{path}': made for cutoff {self.cutoff:g} A, the model has "
                f"{cutoff:g} A; prepare it again with --cutoff {cutoff:g}"
            )
        self._lookup = type_lookup(self.atomic_numbers)
        unknown = [z for z in stored if self._lookup[z] < 0]
        if unknown:
            raise DataError(
                f"prepared data '{path}': element {symbols(unknown)} is not among those of the "
                f"model: {symbols(self.atomic_numbers)}"
            )
        self.num_atoms = np.frombuffer(self._get(b"num_atoms"), dtype="<i8")
        self.num_edges = np.frombuffer(self._get(b"num_edges"), dtype="<i8")
        self.fingerprint = str(self.header["fingerprint"])

    @property
    def structures(self) -> Sequence[Structure]:
        """Structures without neighbor lists, read from disk one at a time."""
        return LazyStructures(lambda k: self[k].structure, len(self))

    def __len__(self) -> int:
        """Return the number of structures."""
        return int(self.header["structures"])

    def __getitem__(self, index: int) -> Item:
        """Return one structure with its neighbor list, for :func:`camlip.data.collate`."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"structure {index} of {len(self)}")
        index %= len(self)
        structure, arrays = _decode(self._get(_key(index)))
        types = to_types(structure, index, self._lookup, self.atomic_numbers)
        return Item(structure, types, *(arrays[n] for n in _NEIGHBORS), index=index)

    def close(self) -> None:
        """Close the file; it opens again when needed."""
        _, environment = _OPEN.pop(self.path, (None, None))
        if environment is not None:
            environment.close()

    def _read_header(self, path: PathLike) -> dict[str, Any]:
        advice = "was it written by `camlip data FILE --prepare`?"
        if not Path(path).is_file():
            raise DataError(f"prepared data '{path}': no such file; {advice}")
        try:
            header = json.loads(self._get(b"header"))
        except (lmdb.Error, ValueError, KeyError) as error:
            raise DataError(f"prepared data '{path}': cannot read it: {error}; {advice}") from error
        if header.get("format") != FORMAT or header.get("version") != VERSION:
            raise DataError(
                f"prepared data '{path}': format {header.get('format')!r} version "
                f"{header.get('version')!r}, expected {FORMAT!r} version {VERSION}; prepare it "
                "again with this version of camlip"
            )
        return header

    def _get(self, key: bytes) -> bytes:
        with _environment(self.path).begin() as transaction:
            value = transaction.get(key)
        if value is None:
            raise KeyError(f"no record {key!r} in it")
        return value


def _environment(path: str) -> lmdb.Environment:
    stat = os.stat(path)
    identity = (stat.st_dev, stat.st_ino)
    known = _OPEN.get(path)
    if known is None or known[0] != identity:
        if known is not None:
            # The file was prepared again.
            known[1].close()
        environment = lmdb.open(path, subdir=False, readonly=True, lock=False, readahead=False)
        _OPEN[path] = known = (identity, environment)
    return known[1]


def _close_all() -> None:
    while _OPEN:
        _, (_, environment) = _OPEN.popitem()
        environment.close()


os.register_at_fork(before=_close_all)


def _key(index: int) -> bytes:
    return struct.pack(">Q", index)


def _encode(s: Structure, neighbors: tuple[NDArray[Any], ...]) -> bytes:
    """Length of the JSON, the JSON with names, types and shapes, the raw arrays."""
    arrays = {n: getattr(s, n) for n in _ARRAYS if getattr(s, n) is not None}
    arrays |= dict(zip(_NEIGHBORS, neighbors, strict=True))
    head = {
        "arrays": [[n, a.dtype.newbyteorder("<").str, a.shape] for n, a in arrays.items()],
        "energy": s.energy,
        "config_type": s.config_type,
        "weight": s.weight,
        "source": s.source,
    }
    text = json.dumps(head).encode()
    raw = [a.astype(a.dtype.newbyteorder("<"), copy=False).tobytes() for a in arrays.values()]
    return b"".join([struct.pack("<I", len(text)), text, *raw])


def _decode(record: bytes) -> tuple[Structure, dict[str, NDArray[Any]]]:
    (length,) = struct.unpack_from("<I", record)
    head = json.loads(record[4 : 4 + length])
    arrays: dict[str, NDArray[Any]] = {}
    offset = 4 + length
    for name, dtype, shape in head.pop("arrays"):
        count = int(np.prod(shape))
        values = np.frombuffer(record, dtype=dtype, count=count, offset=offset)
        arrays[name] = values.reshape(shape)
        offset += values.nbytes
    fields = {n: arrays.pop(n) for n in _ARRAYS if n in arrays}
    return Structure(**fields, **head), arrays


def _write(environment: lmdb.Environment, records: list[tuple[bytes, bytes]]) -> None:
    while True:
        with contextlib.suppress(lmdb.MapFullError):
            with environment.begin(write=True) as transaction:
                for key, value in records:
                    transaction.put(key, value)
            return
        environment.set_mapsize(2 * environment.info()["map_size"])
