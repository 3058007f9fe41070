"""A system cut into domains within one process: what MPI ranks do, for tests and checks.

Each domain has its own engine and thread; halo exchanges copy rows between their arrays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from camlip.engine import PROPERTIES, Engine, Neighbors, Results

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Domain:
    """Owned atoms, ghosts and neighbor list of one domain.

    Attributes:
        owned: atoms of the system, (N_d,).
        home: atom of the system that each local row is or images, (N_d + G_d,).
        positions: (N_d + G_d, 3).
        offsets: (N_d + 1,).
        indices: local rows.
    """

    owned: Ints
    home: Ints
    positions: NDArray[np.float64]
    offsets: Ints
    indices: Ints


def split(atoms: Atoms, cutoff: float, domain_of_atom: Ints, num_domains: int) -> list[Domain]:
    """Cut a system into domains, each with the ghosts within the cutoff and no more.

    Args:
        atoms: the whole system.
        cutoff: of the model, Angstrom.
        domain_of_atom: 0 to ``num_domains - 1``, shape (N,); a domain may stay empty.
        num_domains: how many.
    """
    cell = atoms.cell.array if atoms.pbc.any() else None
    whole = Neighbors(cutoff).update(atoms.positions, cell, atoms.pbc.tolist())
    home_of_row = np.concatenate([np.arange(len(atoms)), whole.ghost_owner])
    domains = []
    for domain in range(num_domains):
        owned = np.flatnonzero(domain_of_atom == domain)
        lists = [whole.indices[whole.offsets[i] : whole.offsets[i + 1]] for i in owned]
        rows = np.concatenate([*lists, np.zeros(0, dtype=np.int32)]).astype(np.int64)
        local = np.concatenate([owned, np.setdiff1d(rows, owned)])
        place = np.full(len(home_of_row), -1)
        place[local] = np.arange(len(local))
        offsets = np.cumsum([0, *[len(x) for x in lists]])
        domains.append(
            Domain(owned, home_of_row[local], whole.positions[local], offsets, place[rows])
        )
    return domains


def slices(atoms: Atoms, num_domains: int, axis: int = 0) -> Ints:
    """Domain of each atom when the cell is cut into equal slices; some may be empty."""
    rank = atoms.cell.rank
    if rank == 3:
        fraction = atoms.get_scaled_positions(wrap=True)[:, axis]
    else:
        x = atoms.positions[:, axis]
        fraction = (x - x.min(initial=0.0)) / max(float(np.ptp(x)) if len(x) else 0.0, 1e-9)
    return np.minimum((fraction * num_domains).astype(np.int64), num_domains - 1)


def compute_domains(
    make_engine: Callable[[], Engine],
    atoms: Atoms,
    domain_of_atom: Ints,
    num_domains: int,
    properties: Sequence[str] = PROPERTIES,
) -> Results:
    """Results of the whole system from its domains.

    Args:
        make_engine: called once for each domain.
        atoms: the whole system.
        domain_of_atom: see :func:`split`.
        num_domains: one thread is started for each.
        properties: as in :meth:`camlip.engine.Engine.compute`.

    Raises:
        Exception: what any of the engines raised.
    """
    engines = [make_engine() for _ in range(num_domains)]
    domains = split(atoms, engines[0].model.cutoff, domain_of_atom, num_domains)
    halo = _Halo(domains)
    parts: list[Results] = [{} for _ in domains]
    errors: list[BaseException] = []

    def work(rank: int) -> None:
        domain, engine = domains[rank], engines[rank]
        try:
            parts[rank] = engine.compute(
                domain.positions,
                engine.model.types(atoms.numbers[domain.home]),
                len(domain.owned),
                domain.offsets,
                domain.indices,
                lambda features: halo.forward(rank, features),
                lambda features: halo.reverse(rank, features),
                properties,
            )
        except BaseException as error:  # raised again in the calling thread
            errors.append(error)
            halo.barrier.abort()

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(num_domains)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise next(
            (e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0]
        )
    return _assemble(domains, parts, len(atoms), properties)


class _Halo:
    """Halo exchange between threads; every method is collective."""

    def __init__(self, domains: Sequence[Domain]) -> None:
        self.barrier = threading.Barrier(len(domains), timeout=120.0)
        self.features: list[NDArray[np.float64]] = [np.zeros((0, 0)) for _ in domains]
        self.domains = domains
        owner = {int(a): (d, i) for d, x in enumerate(domains) for i, a in enumerate(x.owned)}
        # (domain, row) of the atom that each ghost images.
        self.source = [
            np.array([owner[int(a)] for a in x.home[len(x.owned) :]], dtype=np.int64).reshape(-1, 2)
            for x in domains
        ]

    def forward(self, rank: int, features: NDArray[np.float64]) -> None:
        """Copy the rows of owned atoms to their ghosts."""
        self.features[rank] = features
        self.barrier.wait()
        first = len(self.domains[rank].owned)
        for ghost, (other, row) in enumerate(self.source[rank]):
            features[first + ghost] = self.features[other][row]
        self.barrier.wait()

    def reverse(self, rank: int, features: NDArray[np.float64]) -> None:
        """Add the rows of ghosts to the atoms that they image."""
        self.features[rank] = features
        self.barrier.wait()
        for other, source in enumerate(self.source):
            mine = source[:, 0] == rank
            ghosts = self.features[other][len(self.domains[other].owned) :]
            np.add.at(features, source[mine, 1], ghosts[mine])
        self.barrier.wait()


def _assemble(
    domains: Sequence[Domain], parts: Sequence[Results], num_atoms: int, properties: Sequence[str]
) -> Results:
    total: Results = {}
    for name in properties:
        if name in ("energy", "virial"):
            total[name] = np.sum([part[name] for part in parts], axis=0)
            continue
        shape = parts[0][name].shape[1:]
        total[name] = np.zeros((num_atoms, *shape))
        for domain, part in zip(domains, parts, strict=True):
            rows = domain.owned if name == "atomic_energies" else domain.home
            np.add.at(total[name], rows, part[name])
    return total
