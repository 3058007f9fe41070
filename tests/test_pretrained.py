"""Models that come with the package: found by name in every host, small, sane."""

import argparse
import itertools
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii
from ase.eos import EquationOfState
from ase.units import GPa

from camlip import MLIPCalculator, pretrained
from camlip.cli import main
from camlip.engine import Engine, Model, model_path
from camlip.errors import ArgumentError, ModelFileError

# PBE: lattice constant in Angstrom, bulk modulus in GPa (materials of the mlearn sets).
CRYSTALS = {"silicon": ("Si", "diamond", 5.469, 89.0), "copper": ("Cu", "fcc", 3.634, 138.0)}


@pytest.mark.parametrize("name", pretrained.names())
def test_a_model_is_small_and_has_a_card(name):
    assert Path(model_path(f"camlip:{name}")).stat().st_size < 2e6
    text = pretrained.card(name)
    for what in ("| data |", "| license of the data |", "| level of theory |", "RMSE", "Range:"):
        assert what in text
    assert "Not in the data:" in text


@pytest.mark.parametrize("name", sorted(set(CRYSTALS) & set(pretrained.names())))
def test_crystals_are_those_of_the_reference_method(name):
    element, structure, constant, modulus = CRYSTALS[name]
    calculator = MLIPCalculator(name, precision="double", threads=1)
    volumes, energies = [], []
    for scale in np.linspace(0.98, 1.02, 9):
        atoms = bulk(element, structure, a=constant * scale)
        atoms.calc = calculator
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    volume, _, found = EquationOfState(volumes, energies).fit()
    cells = 4 if structure in ("diamond", "fcc") else 2
    assert (cells * volume) ** (1 / 3) == pytest.approx(constant, rel=0.005)
    assert found / GPa == pytest.approx(modulus, rel=0.15)


@pytest.mark.parametrize("name", sorted(set(CRYSTALS) & set(pretrained.names())))
def test_crystals_are_stable(name):
    """No displacement of the atoms of 2 x 2 x 2 cells (X and L among them) lowers the energy."""
    element, structure, constant, _ = CRYSTALS[name]
    atoms = bulk(element, structure, a=constant).repeat(2)
    atoms.calc = MLIPCalculator(name, precision="double", threads=1)
    step, size = 0.01, 3 * len(atoms)
    hessian = np.zeros((size, size))
    for n in range(size):
        for sign in (1, -1):
            atoms.positions.reshape(-1)[n] += sign * step
            hessian[n] -= sign * atoms.get_forces().ravel() / (2 * step)
            atoms.positions.reshape(-1)[n] -= sign * step
    values = np.linalg.eigvalsh((hessian + hessian.T) / 2)
    # Three translations; then the softest mode, eV/Angstrom^2.
    assert values[:3] == pytest.approx(np.zeros(3), abs=1e-4)
    assert values[3] > 0.5


@pytest.mark.parametrize("name", pretrained.names())
def test_atoms_that_meet_repel_each_other(name):
    numbers = Model(f"camlip:{name}").atomic_numbers
    calculator = MLIPCalculator(name, threads=1)
    for a, b in itertools.combinations_with_replacement(numbers, 2):
        bond = covalent_radii[a] + covalent_radii[b]
        energies = []
        for distance in bond * np.array([0.54, 0.4, 0.27, 0.135]):
            pair = Atoms([a, b], [[0, 0, 0], [0, 0, distance]])
            pair.calc = calculator
            energies.append(pair.get_potential_energy())
        assert (np.diff(energies) > 5.0).all(), (a, b, energies)


def test_names_and_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = model_path("camlip:silicon")
    assert model_path("silicon") == shipped
    assert model_path("silicon.pt") == "silicon.pt"
    assert model_path(tmp_path / "silicon") == str(tmp_path / "silicon")
    # The user's own file comes first, unless it is said that camlip's is meant.
    (tmp_path / "silicon").write_text("mine")
    assert model_path("silicon") == "silicon"
    assert model_path("camlip:silicon") == shipped
    with pytest.raises(ModelFileError, match=r"'camlip:silicn': there is no such model.*silicon"):
        Engine(Model("camlip:silicn"))


def test_a_misspelt_name_is_recognized(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match=r"'silicn': neither a file.*camlip models.*'silicon'"):
        MLIPCalculator("silicn")
    with pytest.raises(ModelFileError, match=r"'xyzzy'.*camlip models'; there are .*silicon"):
        MLIPCalculator("xyzzy")


def test_command(capsys):
    assert main(["models"]) == 0
    assert "silicon    Si" in capsys.readouterr().out
    assert main(["models", "camlip:silicon"]) == 0
    assert capsys.readouterr().out == pretrained.card("silicon")
    assert main(["info", "silicon"]) == 0
    assert "elements             Si" in capsys.readouterr().out
    with pytest.raises(ArgumentError, match="there is no 'gold', expected one of"):
        pretrained.run(argparse.Namespace(name="gold"))
