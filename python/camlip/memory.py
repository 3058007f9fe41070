"""What a device needs for a system, told and checked before the first step.

>>> from camlip.memory import check_memory                               # doctest: +SKIP
>>> check_memory(engine, atoms).needed_bytes                             # doctest: +SKIP
71303168
"""

from __future__ import annotations

import logging
import math

from ase import Atoms

from camlip.engine import Engine, MemoryEstimate
from camlip.errors import BackendError

DEFAULT_SKIN = 0.5
"""Of the engine's neighbor list, Angstrom."""

logger = logging.getLogger("camlip.memory")


def check_memory(engine: Engine, atoms: Atoms, skin: float | None = None) -> MemoryEstimate | None:
    """Estimate, log at level INFO, and compare with what the device has left.

    The number of neighbors is that of a cell which is evenly full, or of training where the
    system is not periodic in three directions.

    Args:
        engine: of any backend.
        atoms: the system; only its size, cell and pbc count.
        skin: of the engine, default: the engine's.

    Returns:
        The estimate for forces; None for a backend of the processor.

    Raises:
        BackendError: if even the smallest workspace does not fit.
    """
    neighbors = 0.0
    volume = atoms.cell.volume if atoms.pbc.all() else 0.0
    if volume > 0.0:
        radius = engine.model.cutoff + (DEFAULT_SKIN if skin is None else skin)
        neighbors = 4.0 / 3.0 * math.pi * radius**3 * len(atoms) / volume
    found = engine.estimate_memory(len(atoms), 0, bool(atoms.pbc.any()), neighbors)
    if not found.available_bytes:
        return None
    left = gigabytes(found.available_bytes)
    if found.least_bytes > found.available_bytes:
        raise BackendError(
            f"backend '{engine.info.backend}': {len(atoms)} atoms need about "
            f"{gigabytes(found.least_bytes)} of memory on a device, it has {left} left; use a "
            "larger device, a smaller system or a smaller skin"
        )
    logger.info(
        "memory: about %s of a device, which has %s left, for %d atoms",
        *(gigabytes(found.needed_bytes), left, len(atoms)),
    )
    return found


def gigabytes(count: float) -> str:
    """Bytes for a message.

    >>> gigabytes(1073741824)
    '1.07 GB'
    """
    return f"{1e-9 * count:.3g} GB"
