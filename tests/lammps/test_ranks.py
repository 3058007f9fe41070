"""The same numbers on 1, 2, 4 and 7 ranks, with every number that LAMMPS can ask for."""

from dataclasses import dataclass

import numpy as np
import pytest

import lammps_driver as driver

RANKS = (2, 4, 7)

MOVE = """
velocity all create 600 4711 loop all mom yes
fix integrate all nve
neigh_modify every 2 delay 0 check yes
run 12 post no
run 0 post no
"""
STILL = "run 0 post no"


@dataclass(frozen=True)
class Case:
    preset: str  # small: one layer, no exchange; medium: two layers
    structure: str
    engine: str = "cpu"
    before: str = ""  # commands before the box
    setup: str = ""  # commands after pair_coeff
    after: str = STILL  # what runs
    seven: bool = False  # also on seven ranks, which share two cores at best


CASES = {
    "bulk": Case("medium", "bulk", seven=True),
    # a handful of atoms in one corner: most ranks own nothing
    "cluster": Case("medium", "cluster", before="boundary f s m", seven=True),
    "local cluster": Case("small", "cluster", before="boundary f s m", seven=True),
    "tiled": Case(
        "medium",
        "slab",
        "reference",
        before="boundary p p f\ncomm_style tiled",
        setup="balance 0.9 rcb\nfix balance all balance 3 0.9 rcb",
        after=MOVE,
        seven=True,
    ),
    "moving": Case("medium", "bulk", before="atom_modify sort 1 3.0", after=MOVE),
    "local moving": Case("small", "bulk", after=MOVE),
    "triclinic": Case("medium", "triclinic", "reference"),
    "tiny": Case("medium", "tiny", "reference"),
    "slab": Case("medium", "slab", "reference", before="boundary p p f"),
    "grid": Case("medium", "bulk", "reference", before="processors * 1 1"),
}


def cases_of(ranks: int) -> list[str]:
    return [name for name, case in CASES.items() if ranks < 7 or case.seven]


@pytest.fixture(scope="module")
def states(structures, random_model, tmp_path_factory):
    """States by number of ranks and by case: all cases run in one process per number."""
    folder = tmp_path_factory.mktemp("ranks")
    for name, atoms in structures.items():
        driver.write_data(folder / f"{name}.data", atoms)
    results = {}
    for ranks in (1, *RANKS):
        decks = []
        for name in cases_of(ranks):
            case = CASES[name]
            decks.append(
                driver.deck(
                    name.replace(" ", "-"),
                    folder / f"{case.structure}.data",
                    random_model(case.preset),
                    style=f"engine {case.engine} precision double",
                    before=case.before,
                    setup=case.setup,
                    after=case.after,
                )
            )
        own = folder / str(ranks)
        own.mkdir()
        stdout = driver.run("\nclear\n".join(decks), own, ranks=ranks, timeout=300)
        results[ranks] = {
            name: driver.State.read(name.replace(" ", "-"), stdout, own) for name in cases_of(ranks)
        }
    return results


@pytest.mark.parametrize(
    ("case", "ranks"), [(case, ranks) for ranks in RANKS for case in cases_of(ranks)]
)
def test_ranks_agree(states, case, ranks):
    driver.assert_same(states[ranks][case], states[1][case], tolerance=1e-9)


@pytest.mark.usefixtures("every_simd")
@pytest.mark.parametrize("name", ["moving", "local moving"])
def test_two_ranks_of_every_instruction_set(states, structures, random_model, tmp_path, name):
    case = CASES[name]
    data = driver.write_data(tmp_path / "bulk.data", structures[case.structure])
    style = "engine cpu precision double"
    deck = driver.deck(
        "state", data, random_model(case.preset), style=style, before=case.before, after=case.after
    )
    state = driver.State.read("state", driver.run(deck, tmp_path, ranks=2), tmp_path)
    driver.assert_same(state, states[1][name], tolerance=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_sums_are_consistent(states, case):
    state = states[1][case]
    # a tolerance of 1e-9 says something only if the numbers are large beside it
    assert np.abs(state.forces).max() > 1e-2
    assert np.abs(state.virial).max() > 1e-2
    np.testing.assert_allclose(state.energies.sum(), state.energy, rtol=0, atol=1e-9)
    np.testing.assert_allclose(state.forces.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(state.centroid_virials.sum(axis=0), state.virial, atol=1e-6)
    np.testing.assert_allclose(state.atomic_virials.sum(axis=0), state.virial, atol=1e-6)
