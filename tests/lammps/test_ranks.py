"""The same numbers on 1, 2, 4 and 7 ranks, with every number that LAMMPS can ask for."""

import numpy as np
import pytest

import lammps_driver as driver

PRESETS = ("small", "medium")
RANKS = (2, 4, 7)
# Seven ranks share two cores at best: the cases that differ most from each other.
SEVEN = ("bulk", "cluster", "tiled", "sorted")

# name -> (structure, commands before the box, commands after pair_coeff, what runs)
MOVE = """
velocity all create 600 4711 loop all mom yes
fix integrate all nve
neigh_modify every 2 delay 0 check yes
run 12 post no
run 0 post no
"""
CASES = {
    "bulk": ("bulk", "", "", "run 0 post no"),
    "triclinic": ("triclinic", "", "", "run 0 post no"),
    "tiny": ("tiny", "", "", "run 0 post no"),
    "slab": ("slab", "boundary p p f", "", "run 0 post no"),
    # a handful of atoms in one corner: most ranks own nothing
    "cluster": ("cluster", "boundary f s m", "", "run 0 post no"),
    "tiled": (
        "slab",
        "boundary p p f\ncomm_style tiled",
        "balance 0.9 rcb\nfix balance all balance 3 0.9 rcb",
        MOVE,
    ),
    "moving": ("bulk", "", "", MOVE),
    "grid": ("bulk", "processors * 1 1", "", "run 0 post no"),
    "sorted": ("bulk", "atom_modify sort 1 3.0", "", MOVE),
}


def cases_of(ranks: int) -> tuple[str, ...]:
    return SEVEN if ranks == 7 else tuple(CASES)


@pytest.fixture(scope="module")
def states(structures, random_model, tmp_path_factory):
    """States by number of ranks and by (preset, case): all cases run in one process per number."""
    folder = tmp_path_factory.mktemp("ranks")
    for name, atoms in structures.items():
        driver.write_data(folder / f"{name}.data", atoms)
    results = {}
    for ranks in (1, *RANKS):
        decks = {}
        for case in cases_of(ranks):
            structure, before, setup, after = CASES[case]
            for preset in PRESETS:
                decks[preset, case] = driver.deck(
                    f"{preset}-{case}",
                    folder / f"{structure}.data",
                    random_model(preset),
                    before=before,
                    setup=setup,
                    after=after,
                )
        own = folder / str(ranks)
        own.mkdir()
        stdout = driver.run("\nclear\n".join(decks.values()), own, ranks=ranks, timeout=300)
        results[ranks] = {key: driver.State.read("-".join(key), stdout, own) for key in decks}
    return results


@pytest.mark.parametrize(
    ("case", "ranks"), [(case, ranks) for ranks in RANKS for case in cases_of(ranks)]
)
@pytest.mark.parametrize("preset", PRESETS)
def test_ranks_agree(states, preset, case, ranks):
    driver.assert_same(states[ranks][preset, case], states[1][preset, case], tolerance=1e-9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("preset", PRESETS)
def test_sums_are_consistent(states, preset, case):
    state = states[1][preset, case]
    assert np.abs(state.forces).max() > 1e-3
    np.testing.assert_allclose(state.energies.sum(), state.energy, rtol=0, atol=1e-9)
    np.testing.assert_allclose(state.forces.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(state.centroid_virials.sum(axis=0), state.virial, atol=1e-6)
    np.testing.assert_allclose(state.atomic_virials.sum(axis=0), state.virial, atol=1e-6)


def test_cases_are_not_trivial(states):
    """A tolerance of 1e-9 says something only if the numbers are large beside it."""
    for case in CASES:
        assert np.abs(states[1]["medium", case].virial).max() > 1e-2, case
