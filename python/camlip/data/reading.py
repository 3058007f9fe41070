"""Structures and labels from any file that ASE reads."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import logging
import lzma
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import ase
import ase.io
import numpy as np
from ase.io.formats import UnknownFileTypeError, filetype, parse_filename, string2index

from camlip.data.keys import (
    ENERGY_UNITS,
    LENGTH_UNITS,
    STRESS_UNITS,
    VIRIAL_SIGNS,
    LabelKeys,
    did_you_mean,
)
from camlip.data.structure import DataError, FloatArray, Structure

logger = logging.getLogger("camlip.data")

PathLike = str | os.PathLike[str]
_OPENERS = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
# Root mean square above which a stress label cannot be in eV/A^3: 0.3 eV/A^3 is 48 GPa.
STRESS_RMS_LIMIT = 0.3


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
    for frame, atoms in _iter_atoms(path):
        structure = structure_from_atoms(atoms, keys, f"{path}#{frame}", counts)
        seen.update(_label_names(atoms))
        yield structure
    _report_labels(str(path), keys, counts, seen, require_labels)


def structure_from_atoms(
    atoms: ase.Atoms,
    keys: LabelKeys | None = None,
    source: str = "atoms",
    counts: Counter[str] | None = None,
) -> Structure:
    """Convert one frame, check it and bring it to eV and Angstrom.

    Args:
        atoms: frame as ASE returns it.
        keys: names and units of the labels.
        source: ``"file#frame"``, used in messages.
        counts: incremented with what was found (``frames``, ``energy``, ``forces`` ...).

    Returns:
        The structure.

    Raises:
        DataError: naming ``source``, for anything that cannot be trained on.

    >>> structure_from_atoms(ase.Atoms("H", info={"REF_energy": -13.6})).energy
    -13.6
    """
    keys = keys or LabelKeys()
    counts = Counter() if counts is None else counts
    where = " frame ".join(source.rsplit("#", 1))
    n = len(atoms)
    length = LENGTH_UNITS[keys.length_unit]
    energy_unit = ENERGY_UNITS[keys.energy_unit]
    positions = np.array(atoms.positions, dtype=np.float64) * length
    cell = np.array(atoms.cell.array, dtype=np.float64) * length
    pbc = np.array(atoms.pbc, dtype=bool)
    _check_geometry(where, positions, np.asarray(atoms.numbers), cell, pbc)
    volume = float(abs(np.linalg.det(cell))) if pbc.all() else 0.0

    label = _Lookup(atoms, keys, where)
    energy = _scalar(where, keys.energy, label("energy"))
    if keys.energy_per_atom and (value := label("energy_per_atom")) is not None:
        energy = n * cast(float, _scalar(where, keys.energy_per_atom, value))
    forces = _forces(where, keys.forces, label("forces"), n)
    stress = _tensor(where, keys.stress, label("stress"))
    if stress is not None:
        stress = stress * STRESS_UNITS[keys.stress_unit]
    if keys.virial and (value := label("virial")) is not None:
        virial = cast(FloatArray, _tensor(where, keys.virial, value)) * energy_unit
        if volume == 0.0:
            raise DataError(
                f"{where}: virial {keys.virial!r} needs a cell that is periodic in three "
                f"directions, pbc is {pbc.tolist()}; remove the virial of this frame"
            )
        stress = VIRIAL_SIGNS[keys.virial_convention] * virial / volume
    if stress is not None and volume == 0.0:
        # Isolated atoms and molecules come with a zero stress from many codes.
        counts["stress without volume"] += 1
        stress = None

    counts["frames"] += 1
    counts["calculator"] += label.used_calculator
    counts["energy"] += energy is not None
    counts["forces"] += forces is not None
    counts["stress"] += stress is not None
    weight = atoms.info.get(keys.weight, 1.0)
    return Structure(
        positions=positions,
        atomic_numbers=np.array(atoms.numbers, dtype=np.int64),
        cell=cell,
        pbc=pbc,
        energy=None if energy is None else energy * energy_unit,
        forces=None if forces is None else forces * (energy_unit / length),
        stress=stress,
        config_type=str(atoms.info.get(keys.config_type, "default")),
        weight=_weight(where, keys.weight, weight),
        source=source,
    )


def check_units(structures: Iterable[Structure]) -> list[str]:
    """Look for labels whose size shows that the unit is another one.

    Args:
        structures: a data set.

    Returns:
        One sentence per suspicion, empty when all looks right.

    >>> cell = 4.0 * np.eye(3)
    >>> check_units([Structure(np.zeros((1, 3)), np.array([14]), cell, np.ones(3, bool),
    ...                        stress=12.3 * np.eye(3), source="train.xyz#0")])[0]
    'stress labels of train.xyz: root mean square 7.1 eV/A^3, expected below 0.3; are they in \
GPa? set data.keys.stress_unit: GPa'
    """
    stress: dict[str, list[FloatArray]] = {}
    forces: dict[str, list[FloatArray]] = {}
    for s in structures:
        name = s.source.rsplit("#", 1)[0] or "the data"
        if s.stress is not None:
            stress.setdefault(name, []).append(s.stress)
        if s.forces is not None and s.num_atoms > 1:
            forces.setdefault(name, []).append(s.forces[np.isfinite(s.forces).all(axis=1)])
    messages = []
    for name, values in stress.items():
        rms = float(np.sqrt(np.mean(np.square(np.stack(values)))))
        if rms > STRESS_RMS_LIMIT:
            unit = "kbar" if rms > 20.0 else "GPa"
            messages.append(
                f"stress labels of {name}: root mean square {rms:.3g} eV/A^3, expected below "
                f"{STRESS_RMS_LIMIT}; are they in {unit}? set data.keys.stress_unit: {unit}"
            )
    for name, values in forces.items():
        joined = np.concatenate(values)
        # The median is not moved by a few exploded frames, which `camlip data` reports.
        typical = float(np.median(np.abs(joined))) if joined.size else 0.0
        if typical > 15.0:
            messages.append(
                f"force labels of {name}: median size {typical:.3g} eV/A, expected below 15; are "
                "they in kcal/mol/A? set data.keys.energy_unit: kcal/mol"
            )
    return messages


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


def _iter_atoms(path: PathLike) -> Iterator[tuple[int, ase.Atoms]]:
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
    filename, index = parse_filename(text, slice(None))
    if isinstance(index, str):
        index = string2index(index)
    if isinstance(index, int):
        index = slice(index, index + 1 if index != -1 else None)
    return str(filename), index


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
            yield from cast(
                Iterator[ase.Atoms], ase.io.iread(stream, index=index, format="extxyz")
            )


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


class _Lookup:
    """Finds a label of one frame by the names in the keys."""

    def __init__(self, atoms: ase.Atoms, keys: LabelKeys, where: str) -> None:
        self.atoms, self.keys, self.where = atoms, keys, where
        self.results: dict[str, Any] = dict(atoms.calc.results) if atoms.calc is not None else {}
        defaults = [n for n in ("energy", "forces", "stress") if keys.is_default(n)]
        # All or nothing within a frame: labels of two levels of theory must not mix.
        self.fall_back = not any(
            getattr(keys, n) in atoms.info or getattr(keys, n) in atoms.arrays for n in defaults
        ) and not (keys.energy_per_atom or keys.virial)
        self.used_calculator = False

    def __call__(self, label: str) -> Any:
        key = getattr(self.keys, label)
        for place in (self.atoms.info, self.atoms.arrays):
            if key in place:
                return place[key]
        if not self.keys.is_default(label):
            return self.results.get(key)
        if self.fall_back and label in self.results:
            self.used_calculator = True
            return self.results[label]
        return None


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


def _check_geometry(
    where: str, positions: FloatArray, numbers: Any, cell: FloatArray, pbc: Any
) -> None:
    if len(positions) == 0:
        raise DataError(f"{where}: no atoms in it, expected at least one")
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if bad.size:
        raise DataError(f"{where}: position of atom {bad[0]} is {positions[bad[0]].tolist()}")
    if not np.isfinite(cell).all():
        raise DataError(f"{where}: cell is {cell.tolist()}, expected finite numbers")
    unknown = np.flatnonzero((numbers < 1) | (numbers > 118))
    if unknown.size:
        raise DataError(
            f"{where}: atom {unknown[0]} has atomic number {numbers[unknown[0]]}, expected 1 to 118"
        )
    if pbc.any():
        rows = cell[pbc]
        # The Gram determinant is the squared length, area or volume that the periods span.
        if np.linalg.det(rows @ rows.T) <= 1e-12:
            raise DataError(
                f"{where}: periodic along {pbc.tolist()} but the lattice vectors {rows.tolist()} "
                "span nothing; give a Lattice or set pbc to F"
            )


def _numbers(where: str, key: str, value: Any) -> FloatArray:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"{where}: label {key!r} is {str(value)[:40]!r}, expected numbers"
        ) from None


def _scalar(where: str, key: str, value: Any) -> float | None:
    if value is None:
        return None
    array = _numbers(where, key, value)
    if array.size != 1:
        raise DataError(f"{where}: label {key!r} has shape {array.shape}, expected one number")
    if not np.isfinite(array).all():
        raise DataError(
            f"{where}: label {key!r} is {array.item()}, expected a finite number; leave the key "
            "out when the label is missing"
        )
    return float(array.item())


def _weight(where: str, key: str, value: Any) -> float:
    weight = cast(float, _scalar(where, key, value))
    if weight < 0:
        raise DataError(f"{where}: weight {key!r} is {weight:g}, expected 0 or more")
    return weight


def _forces(where: str, key: str, value: Any, n: int) -> FloatArray | None:
    if value is None:
        return None
    forces = _numbers(where, key, value)
    if forces.shape != (n, 3):
        raise DataError(f"{where}: forces {key!r} have shape {forces.shape}, expected ({n}, 3)")
    masked = np.isnan(forces).all(axis=1)
    bad = np.flatnonzero(~np.isfinite(forces).all(axis=1) & ~masked)
    if bad.size:
        raise DataError(
            f"{where}: force {key!r} on atom {bad[0]} is {forces[bad[0]].tolist()}, expected three "
            "finite numbers (or three NaN for an atom without a label)"
        )
    if masked.all():
        raise DataError(
            f"{where}: all forces {key!r} are NaN; leave the key out when the label is missing"
        )
    return forces


def _tensor(where: str, key: str, value: Any) -> FloatArray | None:
    if value is None:
        return None
    array = _numbers(where, key, value)
    if array.size == 6:
        xx, yy, zz, yz, xz, xy = array.ravel()
        array = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    elif array.size == 9:
        array = array.reshape(3, 3)
    else:
        raise DataError(f"{where}: label {key!r} has shape {array.shape}, expected 6, 9 or (3, 3)")
    if not np.isfinite(array).all():
        raise DataError(
            f"{where}: label {key!r} is {array.tolist()}, expected finite numbers; leave the key "
            "out when the label is missing"
        )
    asymmetry = float(np.abs(array - array.T).max())
    if asymmetry > 0.05 * float(np.abs(array).max()) + 1e-6:
        raise DataError(
            f"{where}: label {key!r} is not symmetric (largest difference {asymmetry:.3g} of "
            f"{np.abs(array).max():.3g}); is the order of its components right?"
        )
    return 0.5 * (array + array.T)
