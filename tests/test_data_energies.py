"""Reference energies and the scale of the forces."""

import numpy as np
import pytest

from camlip.data import Structure, force_rms, is_isolated_atom, reference_energies

TRUE = {1: -13.6, 8: -2041.9, 14: -108.2}


def atom(z, energy=None, **more):
    return Structure(np.zeros((1, 3)), np.array([z]), energy=energy, **more)


def compound(*numbers, binding=0.0):
    n = len(numbers)
    positions = np.arange(3.0 * n).reshape(n, 3)
    energy = sum(TRUE[z] for z in numbers) + binding
    return Structure(positions, np.array(numbers), energy=energy)


def test_isolated_atoms_win():
    data = [atom(8, TRUE[8]), atom(1, TRUE[1]), compound(1, 1, 8, binding=-9.0)]
    np.testing.assert_allclose(reference_energies(data, [1, 8]), [TRUE[1], TRUE[8]])
    np.testing.assert_allclose(reference_energies(data, [8, 1]), [TRUE[8], TRUE[1]])


def test_regression_recovers_additive_energies():
    data = [compound(1, 1, 8), compound(14, 8, 8), compound(1, 1, 1, 1, 14), compound(14, 14)]
    expected = [TRUE[1], TRUE[8], TRUE[14]]
    np.testing.assert_allclose(reference_energies(data, [1, 8, 14]), expected, atol=1e-3)


def test_missing_elements_are_fitted_to_the_rest():
    data = [atom(8, TRUE[8]), compound(1, 1, 8, binding=-9.0)]
    np.testing.assert_allclose(reference_energies(data, [1, 8]), [TRUE[1] - 4.5, TRUE[8]])


def test_undetermined_composition_gives_equal_energies_that_fit():
    """In pure water nothing tells O from H: both get the mean energy per atom."""
    data = [compound(1, 1, 8, binding=-9.0), compound(*[1, 1, 8] * 4, binding=-40.0)]
    result = reference_energies(data, [1, 8])
    assert result[0] == pytest.approx(result[1], rel=1e-6)
    assert 2 * result[0] + result[1] == pytest.approx(2 * TRUE[1] + TRUE[8] - 9.5, abs=1e-3)


def test_element_without_data_and_data_without_energy(caplog):
    result = reference_energies(
        [compound(1, 1, 8), Structure(np.eye(3)[:1], np.array([1]))], [1, 8, 79]
    )
    assert result[2] == 0.0
    assert "no energy label contains element Au" in caplog.text
    assert reference_energies([], [1]).tolist() == [0.0]


def test_what_counts_as_isolated():
    periodic = np.ones(3, dtype=bool)
    assert is_isolated_atom(atom(1))
    assert is_isolated_atom(atom(1, cell=20.0 * np.eye(3), pbc=periodic))
    assert not is_isolated_atom(atom(1, cell=3.0 * np.eye(3), pbc=periodic))
    box = atom(1, cell=8.0 * np.eye(3), pbc=periodic, config_type="IsolatedAtom")
    assert is_isolated_atom(box)
    assert not is_isolated_atom(compound(1, 1))


def test_isolated_atoms_that_disagree_are_reported(caplog):
    assert reference_energies([atom(1, -13.0), atom(1, -14.0)], [1]).tolist() == [-13.5]
    assert "isolated H atoms have energies from -14.0000 to -13.0000" in caplog.text


def test_force_rms_skips_masked_and_isolated_atoms():
    forces = np.array([[1.0, -2.0, 2.0], [np.nan] * 3])
    data = [compound(1, 1).replace(forces=forces), atom(1).replace(forces=np.zeros((1, 3)))]
    assert force_rms(data) == pytest.approx(np.sqrt(3.0))
    assert force_rms([]) == 0.0
