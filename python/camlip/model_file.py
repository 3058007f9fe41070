"""The model file: a safetensors block, alone or inside a TorchScript archive.

Format: docs/model_file.md.  Writing is own code and not the ``safetensors`` package because that
package stores the metadata in random order: the same model shall give the same bytes.  Reading
here serves tools (``camlip info``); the engine has its own, stricter reader.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camlip.errors import ModelFileError

FORMAT = "camlip"
FORMAT_VERSION = 1
ENTRY = "model.safetensors"
JSON_KEYS = ("config", "atomic_numbers", "units", "required", "training")

_DTYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_MAX_HEADER = 100 << 20


def write_block(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Safetensors bytes of some tensors; the key ``sha256`` is added to the metadata.

    Args:
        tensors: float32 or float64 arrays by name, in the order in which they are stored.
        metadata: text by key.

    Raises:
        ValueError: for an array of another type, or with a number that is not finite.

    >>> block = write_block({"a": np.ones(2, np.float32)}, {"format": "camlip"})
    >>> struct.unpack("<Q", block[:8])[0] == len(block) - 8 - 8
    True
    """
    header: dict[str, Any] = {}
    chunks: list[bytes] = []
    offset = 0
    for name, array in tensors.items():
        code = next((c for c, dtype in _DTYPES.items() if dtype == array.dtype), None)
        if code is None:
            raise ValueError(f"tensor '{name}': dtype {array.dtype}, expected float32 or float64")
        if not np.isfinite(array).all():
            raise ValueError(f"tensor '{name}': it contains NaN or infinity; the model is broken")
        data = np.ascontiguousarray(array, dtype=_DTYPES[code]).tobytes()
        end = offset + len(data)
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [offset, end]}
        chunks.append(data)
        offset = end
    body = b"".join(chunks)
    digest = hashlib.sha256(body).hexdigest()
    text = json.dumps({"__metadata__": {**metadata, "sha256": digest}, **header}, allow_nan=False)
    encoded = text.encode()
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded + body


@dataclass(frozen=True)
class ModelFile:
    """Contents of a model file without the numbers.

    Attributes:
        path: the file.
        container: ``torchscript`` or ``safetensors``.
        size: bytes of the file.
        metadata: docs/model_file.md, JSON values decoded.
        tensors: shape and dtype (``F32``, ``F64``) by name.
        block: the safetensors bytes.
    """

    path: Path
    container: str
    size: int
    metadata: dict[str, Any]
    tensors: dict[str, tuple[tuple[int, ...], str]]
    block: bytes

    @property
    def num_parameters(self) -> int:
        """Numbers in all tensors."""
        return sum(math.prod(shape) for shape, _ in self.tensors.values())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The tensors, read-only views of the block."""
        size = struct.unpack_from("<Q", self.block)[0]
        arrays, offset = {}, 8 + size
        for name, (shape, code) in self.tensors.items():
            count = math.prod(shape)
            flat = np.frombuffer(self.block, _DTYPES[code], count, offset)
            arrays[name] = flat.reshape(shape)
            offset += flat.nbytes
        return arrays


def read(path: str | os.PathLike[str]) -> ModelFile:
    """Read the metadata and the list of tensors of a model file.

    Args:
        path: either form of the file.

    Raises:
        ModelFileError: if it is not a model file, is damaged, or is of another format version.
        OSError: if it cannot be opened.
    """
    path = Path(path)
    data = path.read_bytes()
    archive = data[:4] == b"PK\x03\x04"
    block = _entry(path) if archive else data
    where = f"model file '{path}'"
    size = struct.unpack_from("<Q", block)[0] if len(block) >= 8 else 0
    if not 2 <= size <= min(_MAX_HEADER, len(block) - 8):
        raise ModelFileError(
            f"{where}: it is neither a TorchScript archive nor a safetensors block, or it is "
            "truncated; expected a file written by camlip.export"
        )
    try:
        header = json.loads(block[8 : 8 + size])
        raw = dict(header.pop("__metadata__"))
        spans = sorted(
            (*item["data_offsets"], name, tuple(item["shape"]), item["dtype"])
            for name, item in header.items()
        )
        tensors = {name: (shape, dtype) for _, _, name, shape, dtype in spans}
        metadata = {k: json.loads(v) if k in JSON_KEYS else v for k, v in raw.items()}
        sizes = [math.prod(s) * _DTYPES[d].itemsize for s, d in tensors.values()]
        ends = [0, *np.cumsum(sizes).tolist()]
        covered = [(a, b) for a, b, *_ in spans] == list(itertools.pairwise(ends))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{where}: its header is damaged ({error!r})") from error
    if metadata.get("format") != FORMAT:
        raise ModelFileError(
            f"{where}: metadata 'format' is {metadata.get('format')!r}, expected '{FORMAT}'"
        )
    if metadata.get("format_version") != str(FORMAT_VERSION):
        raise ModelFileError(
            f"{where}: format version {metadata.get('format_version')}, this camlip reads version "
            f"{FORMAT_VERSION}; export the model again or update camlip"
        )
    body = block[8 + size :]
    if not covered or len(body) != ends[-1]:
        raise ModelFileError(f"{where}: {len(body)} bytes of tensors, expected {ends[-1]}")
    if hashlib.sha256(body).hexdigest() != metadata.get("sha256"):
        raise ModelFileError(f"{where}: checksum mismatch, the file is damaged; copy it again")
    container = "torchscript" if archive else "safetensors"
    return ModelFile(path, container, len(data), metadata, tensors, block)


def _entry(path: Path) -> bytes:
    """The safetensors block of an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith(f"/extra/{ENTRY}")]
            if len(names) == 1:
                return archive.read(names[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelFileError(
            f"model file '{path}': the archive is damaged ({error}); copy or export it again"
        ) from error
    raise ModelFileError(
        f"model file '{path}': archive has no entry 'extra/{ENTRY}'; is this a checkpoint rather "
        "than an exported model?  python -m camlip.export makes one from the other"
    )
