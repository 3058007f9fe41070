"""Structures and labels from any file that ASE reads."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import ase
import numpy as np

from camlip.data.frames import iter_frames
from camlip.data.keys import LabelKeys, did_you_mean
from camlip.data.labels import structure_from_atoms
from camlip.data.structure import DataError, Structure

logger = logging.getLogger("camlip.data")

PathLike = str | os.PathLike[str]


def read_structures(
    path_or_paths: PathLike | Sequence[PathLike],
    keys: LabelKeys | None = None,
    *,
    require_labels: bool = True,
) -> list[Structure]:
    """Read all frames of one or several files.

    Args:
        path_or_paths: anything ASE reads, also compressed (``.xz``, ``.gz``, ``.bz2``), with an
            optional index in ASE's syntax: ``"train.xyz@:100"``.
        keys: names and units of the labels; default :class:`LabelKeys`.
        require_labels: whether a file without a single label is an error.

    Returns:
        Structures in eV and Angstrom, in the order of the files and frames.

    Raises:
        DataError: for a missing or empty file, a malformed frame, a label with the wrong shape
            or NaN, or a file in which the keys name nothing.

    >>> from ase.build import bulk
    >>> import tempfile
    >>> atoms = bulk("Si")
    >>> atoms.info["REF_energy"] = -10.8
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     atoms.write(f"{folder}/si.xyz")
    ...     structures = read_structures(f"{folder}/si.xyz")
    >>> structures[0].energy, structures[0].forces
    (-10.8, None)
    """
    paths = [path_or_paths] if isinstance(path_or_paths, (str, os.PathLike)) else path_or_paths
    return [s for path in paths for s in iter_structures(path, keys, require_labels=require_labels)]


def iter_structures(
    path: PathLike, keys: LabelKeys | None = None, *, require_labels: bool = True
) -> Iterator[Structure]:
    """Read one file frame by frame, for data sets that do not fit into memory.

    Arguments and errors are those of :func:`read_structures`; the errors about keys that name
    nothing in the whole file come after the last frame.
    """
    keys = keys or LabelKeys()
    counts: Counter[str] = Counter()
    seen: set[str] = set()
    for frame, atoms in iter_frames(path):
        structure = structure_from_atoms(atoms, keys, f"{path}#{frame}", counts)
        seen.update(_label_names(atoms))
        yield structure
    _report_labels(str(path), keys, counts, seen, require_labels)


def structure_digest(structure: Structure) -> bytes:
    """SHA-256 of geometry and labels of one structure; the source and the group do not count."""
    digest = hashlib.sha256()
    for name in ("atomic_numbers", "positions", "cell", "pbc", "energy", "forces", "stress"):
        value = getattr(structure, name)
        digest.update(name.encode())
        if value is not None:
            # -0.0 and 0.0 are the same label
            array = np.asarray(value) + (0.0 if name not in ("atomic_numbers", "pbc") else 0)
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def fingerprint(structures: Iterable[Structure]) -> str:
    """Short name of the content of a data set, the same for any order of the structures.

    Args:
        structures: a data set.

    Returns:
        First 16 hexadecimal digits of a SHA-256.

    >>> len(fingerprint([Structure(np.zeros((1, 3)), np.array([14]))]))
    16
    """
    return combine_digests(structure_digest(s) for s in structures)


def combine_digests(digests: Iterable[bytes]) -> str:
    """Fingerprint of a data set from the digests of its structures."""
    total = hashlib.sha256()
    for digest in sorted(digests):
        total.update(digest)
    return total.hexdigest()[:16]


def _label_names(atoms: ase.Atoms) -> set[str]:
    results = atoms.calc.results if atoms.calc is not None else {}
    return ({str(k) for k in atoms.info} | set(atoms.arrays) | set(results)) - {
        "numbers",
        "positions",
    }


def _report_labels(
    path: str, keys: LabelKeys, counts: Counter[str], seen: set[str], require: bool
) -> None:
    """Say once per file what was found where, or stop when the keys name nothing."""
    there = ", ".join(f"'{k}'" for k in sorted(seen)) or "nothing"
    for label in ("energy", "energy_per_atom", "forces", "stress", "virial"):
        key = getattr(keys, label)
        if key is not None and not keys.is_default(label) and key not in seen:
            raise DataError(
                f"{path}: no frame has {label} key {key!r}; {did_you_mean(key, seen)}"
                f"keys in the file: {there}"
            )
    if require and counts["energy"] + counts["forces"] + counts["stress"] == 0:
        # Say which default was closest, most files differ by their prefix only.
        close = did_you_mean(keys.energy, seen) or did_you_mean("energy", seen)
        raise DataError(
            f"{path}: no frame has energy {keys.energy!r}, forces {keys.forces!r} or stress "
            f"{keys.stress!r}; {close}keys in the file: {there}; name them with data.keys or "
            "--keys energy=..."
        )
    if counts["calculator"]:
        logger.warning(
            "%s: %d of %d frames have no REF_ keys; used energy, forces and stress as read by ASE",
            path,
            counts["calculator"],
            counts["frames"],
        )
    for label in ("energy", "forces"):
        if require and counts[label] == 0 and keys.is_default(label):
            similar = sorted(k for k in seen if label.rstrip("s") in k.lower())
            if similar:
                logger.warning(
                    "%s: no frame has %s %r; similar keys there: %s; name it with --keys %s=...",
                    path,
                    label,
                    getattr(keys, label),
                    ", ".join(similar),
                    label,
                )
    if counts["stress without volume"]:
        logger.warning(
            "%s: stress of %d frames ignored, they are not periodic in three directions",
            path,
            counts["stress without volume"],
        )
