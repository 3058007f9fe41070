"""Reading: labels, units, signs, missing labels, and the message for each kind of bad file."""

import lzma
import os
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write

from camlip.data import (
    DataError,
    LabelKeys,
    check_units,
    fingerprint,
    read_structures,
    structure_from_atoms,
)

VOIGT = np.array([0.01, 0.02, 0.03, 0.004, 0.005, 0.006])
STRESS = np.array([[0.01, 0.006, 0.005], [0.006, 0.02, 0.004], [0.005, 0.004, 0.03]])


def silicon(energy=-10.8, seed=0, size=2):
    atoms = bulk("Si", cubic=True).repeat((size, 1, 1))
    atoms.rattle(0.1, seed=seed)
    atoms.info["REF_energy"] = energy
    atoms.info["REF_stress"] = VOIGT
    atoms.arrays["REF_forces"] = np.random.default_rng(seed).normal(size=(len(atoms), 3))
    return atoms


def test_extended_xyz_round_trip(tmp_path):
    frames = [silicon(seed=k, energy=-10.0 - k) for k in range(3)]
    write(tmp_path / "si.xyz", frames)
    structures = read_structures(tmp_path / "si.xyz")
    assert [s.energy for s in structures] == [-10.0, -11.0, -12.0]
    for k, (s, atoms) in enumerate(zip(structures, frames, strict=True)):
        # The format has 8 decimals.
        np.testing.assert_allclose(s.positions, atoms.positions, atol=1e-8)
        np.testing.assert_allclose(s.forces, atoms.arrays["REF_forces"], atol=1e-8)
        np.testing.assert_allclose(s.stress, STRESS, rtol=1e-12)
        np.testing.assert_allclose(s.cell, atoms.cell.array)
        assert s.pbc.all()
        assert s.volume == pytest.approx(atoms.get_volume())
        assert s.source == f"{tmp_path / 'si.xyz'}#{k}"
        assert s.positions.dtype == np.float64


def test_to_atoms_and_back_is_the_same_structure():
    first = structure_from_atoms(silicon())
    second = structure_from_atoms(first.to_atoms())
    assert fingerprint([first]) == fingerprint([second])


def test_compressed_files_are_read_in_one_pass(tmp_path):
    write(tmp_path / "si.xyz", [silicon(seed=k) for k in range(200)])
    with lzma.open(tmp_path / "si.xyz.xz", "wb") as packed:
        packed.write((tmp_path / "si.xyz").read_bytes())
    plain = read_structures(tmp_path / "si.xyz")
    assert fingerprint(read_structures(tmp_path / "si.xyz.xz")) == fingerprint(plain)
    assert read_structures(f"{tmp_path}/si.xyz.xz@7")[0].source.endswith("si.xyz.xz@7#7")


@pytest.mark.parametrize(
    ("index", "expected"),
    [(":3", [0, 1, 2]), ("2", [2]), ("-2:", [8, 9]), ("1::4", [1, 5, 9]), ("-1", [9])],
)
def test_index_syntax_keeps_the_frame_numbers_of_the_file(tmp_path, index, expected):
    write(tmp_path / "si.extxyz", [silicon(energy=float(-k - 1)) for k in range(10)])
    structures = read_structures(f"{tmp_path}/si.extxyz@{index}")
    assert [s.energy for s in structures] == [-k - 1.0 for k in expected]
    assert [int(s.source.rsplit("#")[1]) for s in structures] == expected


def test_several_files_in_order(tmp_path):
    write(tmp_path / "a.xyz", [silicon(energy=-1.0)])
    write(tmp_path / "b.traj", [silicon(energy=-2.0), silicon(energy=-3.0)])
    structures = read_structures([tmp_path / "a.xyz", f"{tmp_path}/b.traj"])
    assert [s.energy for s in structures] == [-1.0, -2.0, -3.0]


def test_calculator_labels_are_used_when_there_are_no_ref_keys(tmp_path, caplog):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.calc = EMT()
    energy, forces, stress = (
        atoms.get_potential_energy(),
        atoms.get_forces(),
        atoms.get_stress(voigt=False),
    )
    write(tmp_path / "cu.xyz", [atoms] * 3)
    structures = read_structures(tmp_path / "cu.xyz")
    assert structures[0].energy == pytest.approx(energy)
    np.testing.assert_allclose(structures[0].forces, forces, atol=1e-8)
    np.testing.assert_allclose(structures[0].stress, stress, atol=1e-8)
    said = [r for r in caplog.records if "3 of 3 frames have no REF_ keys" in r.getMessage()]
    assert len(said) == 1


def test_ase_database_with_a_selection(tmp_path):
    with connect(tmp_path / "cu.db") as database:
        for k in range(3):
            atoms = bulk("Cu", cubic=True).repeat((1, 1, k + 1))
            atoms.calc = EMT()
            atoms.get_forces()
            database.write(atoms)
    assert [s.num_atoms for s in read_structures(tmp_path / "cu.db")] == [4, 8, 12]
    selected = read_structures(f"{tmp_path}/cu.db@natoms>4")
    assert [s.num_atoms for s in selected] == [8, 12]
    assert all(s.energy is not None and s.forces is not None for s in selected)


def test_calculator_labels_never_mix_with_ref_labels():
    atoms = silicon()
    del atoms.arrays["REF_forces"]
    atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=np.ones((len(atoms), 3)))
    structure = structure_from_atoms(atoms)
    assert structure.energy == -10.8
    assert structure.forces is None


def test_named_keys_reach_the_calculator_results():
    atoms = bulk("Si")
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, free_energy=-2.0)
    assert structure_from_atoms(atoms, LabelKeys(energy="free_energy")).energy == -2.0


@pytest.mark.parametrize("stress", [VOIGT, STRESS.ravel(), STRESS], ids=["6", "9", "3x3"])
def test_stress_shapes(stress):
    atoms = silicon()
    atoms.info["REF_stress"] = stress
    np.testing.assert_allclose(structure_from_atoms(atoms).stress, STRESS)


def test_signs_and_units_of_stress_and_virial():
    """EMT's stress, given as GPa, kbar or a virial of either sign, is the same label."""
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.calc = EMT()
    stress = atoms.get_stress(voigt=False)
    forces = atoms.get_forces()
    volume = atoms.get_volume()
    # The definition of the sign: strain derivative of the energy.
    strained, energies = atoms.copy(), []
    for strain in (-1e-5, 1e-5):
        trial = strained.copy()
        trial.set_cell(trial.cell @ np.diag([1 + strain, 1, 1]), scale_atoms=True)
        trial.calc = EMT()
        energies.append(trial.get_potential_energy())
    assert stress[0, 0] * volume == pytest.approx((energies[1] - energies[0]) / 2e-5, rel=1e-4)
    plain = atoms.copy()
    plain.arrays["REF_forces"] = forces
    for value, keys in (
        (stress / ase.units.GPa, LabelKeys(stress_unit="GPa")),
        (stress / ase.units.GPa * 10, LabelKeys(stress_unit="kbar")),
        (-stress * volume, LabelKeys(virial="label")),
        (stress * volume, LabelKeys(virial="label", virial_convention="negative")),
    ):
        plain.info = {keys.virial or "REF_stress": value}
        np.testing.assert_allclose(structure_from_atoms(plain, keys).stress, stress, rtol=1e-10)


def test_energy_per_atom_and_units():
    atoms = molecule("H2O")
    atoms.info["e"] = -0.5
    atoms.arrays["f"] = np.ones((3, 3))
    keys = LabelKeys(energy_per_atom="e", forces="f", energy_unit="Hartree", length_unit="Bohr")
    structure = structure_from_atoms(atoms, keys)
    assert structure.energy == pytest.approx(-1.5 * 27.211386, rel=1e-6)
    assert structure.forces[0, 0] == pytest.approx(51.42207, rel=1e-6)
    np.testing.assert_allclose(structure.positions, atoms.positions * 0.529177, rtol=1e-6)


def test_missing_labels_are_none_and_nan_rows_mask_atoms():
    atoms = molecule("H2O")
    atoms.arrays["REF_forces"] = np.array([[1.0, 2, 3], [np.nan] * 3, [4, 5, 6]])
    structure = structure_from_atoms(atoms)
    assert structure.energy is None
    assert structure.stress is None
    assert np.isnan(structure.forces).any(axis=1).tolist() == [False, True, False]


def test_stress_of_a_molecule_is_dropped():
    atoms = molecule("H2O")
    atoms.info.update(REF_energy=-1.0, REF_stress=np.zeros(6))
    assert structure_from_atoms(atoms).stress is None


def test_config_type_and_weight():
    atoms = silicon()
    atoms.info.update(group="liquid", weight=2.5)
    structure = structure_from_atoms(atoms, LabelKeys(config_type="group"))
    assert (structure.config_type, structure.weight) == ("liquid", 2.5)
    assert structure_from_atoms(silicon()).config_type == "default"


def edited(**changes):
    atoms = silicon()
    for key, value in changes.items():
        if key.startswith("REF_forces"):
            atoms.arrays[key] = value
        else:
            atoms.info[key] = value
    return atoms


FORCES = np.zeros((16, 3))


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (edited(REF_energy=np.nan), "'REF_energy' is nan, expected a finite number"),
        (edited(REF_energy="failed"), "'REF_energy' is 'failed', expected numbers"),
        (edited(REF_energy=[1.0, 2.0]), r"shape \(2,\), expected one number"),
        (edited(REF_forces=FORCES + np.nan), "all forces 'REF_forces' are NaN"),
        (edited(REF_forces=FORCES + np.inf), r"on atom 0 is \[inf, inf, inf\]"),
        (edited(REF_forces=FORCES[:, :2]), r"shape \(16, 2\), expected \(16, 3\)"),
        (edited(REF_stress=np.ones(5)), r"shape \(5,\), expected 6, 9 or \(3, 3\)"),
        (edited(REF_stress=np.full(6, np.inf)), "expected finite numbers"),
        (edited(REF_stress=np.arange(9.0)), "is not symmetric"),
        (edited(weight=-1.0), "weight 'weight' is -1, expected 0 or more"),
        (ase.Atoms(), "no atoms in it"),
        (ase.Atoms("XH", [[0, 0, 0], [0, 0, 1]]), "atom 0 has atomic number 0"),
        (ase.Atoms("H", [[np.nan, 0, 0]]), "position of atom 0 is"),
        (ase.Atoms("H", pbc=True), "span nothing; give a Lattice or set pbc"),
    ],
)
def test_bad_frames_are_named(atoms, message):
    with pytest.raises(DataError, match=message) as error:
        structure_from_atoms(atoms, source="train.xyz#17")
    assert str(error.value).startswith("train.xyz frame 17: ")


def test_virial_without_volume():
    atoms = molecule("H2O")
    atoms.info["virial"] = np.eye(3)
    with pytest.raises(DataError, match="virial 'virial' needs a cell"):
        structure_from_atoms(atoms, LabelKeys(virial="virial"))


def frame_text(energy="-1.0"):
    return f'2\nProperties=species:S:1:pos:R:3 REF_energy={energy} pbc="F F F"\nH 0 0 0\nH 0 0 1\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data file '.*bad.xyz': the file is empty"),
        ("\n\n", "no frame in it, expected at least one"),
        (frame_text() + "H 0 0 1\n", "frame 1: line 5 is 'H 0 0 1', expected the number of atoms"),
        (frame_text() * 3 + frame_text()[:-8], "frame 3: the file ends after 1 of 2 atoms"),
        (frame_text() + "\n" + frame_text(), "blank line 5 after frame 0, but more text"),
        (frame_text() + frame_text().replace("0 0 1", "0 0 x"), "bad.xyz frame 1: ASE cannot"),
        (frame_text() + frame_text("nan"), "bad.xyz frame 1: label 'REF_energy' is nan"),
    ],
)
def test_malformed_files_are_named_with_the_frame(tmp_path, text, message):
    (tmp_path / "bad.xyz").write_text(text)
    with pytest.raises(DataError, match=message):
        read_structures(tmp_path / "bad.xyz")


def test_missing_file_says_where_it_looked():
    with pytest.raises(DataError, match=r"'nowhere.xyz': no such file \(looked in"):
        read_structures("nowhere.xyz")


def test_index_that_is_none(tmp_path):
    write(tmp_path / "si.xyz", silicon())
    with pytest.raises(DataError, match="index 'first' is not a number or slice"):
        read_structures(f"{tmp_path}/si.xyz@first")
    with pytest.raises(DataError, match="no frame in it"):
        read_structures(f"{tmp_path}/si.xyz@5")


def test_unknown_file_type(tmp_path):
    (tmp_path / "notes.qqq").write_text("hello")
    with pytest.raises(DataError, match="ASE does not know this file type"):
        read_structures(tmp_path / "notes.qqq")


def test_damaged_archive(tmp_path):
    (tmp_path / "a.xyz.xz").write_bytes(lzma.compress(frame_text().encode() * 100)[:-20])
    with pytest.raises(DataError, match="cannot unpack it"):
        read_structures(tmp_path / "a.xyz.xz")


def test_wrong_keys_name_those_that_are_there(tmp_path):
    atoms = silicon()
    atoms.info = {"dft_energy": -1.0}
    atoms.arrays["dft_forces"] = atoms.arrays.pop("REF_forces")
    write(tmp_path / "si.xyz", atoms)
    with pytest.raises(DataError) as error:
        read_structures(tmp_path / "si.xyz")
    assert "no frame has energy 'REF_energy'" in str(error.value)
    assert "did you mean 'dft_energy'?" in str(error.value)
    assert "'dft_energy', 'dft_forces'" in str(error.value)
    with pytest.raises(DataError, match="no frame has energy key 'dft_enrgy'; did you mean"):
        read_structures(tmp_path / "si.xyz", LabelKeys(energy="dft_enrgy"))
    keys = LabelKeys(energy="dft_energy", forces="dft_forces")
    assert read_structures(tmp_path / "si.xyz", keys)[0].forces is not None
    assert read_structures(tmp_path / "si.xyz", require_labels=False)[0].energy is None


def test_forces_under_another_name_are_pointed_out(tmp_path, caplog):
    atoms = silicon()
    atoms.arrays["DFT_force"] = atoms.arrays.pop("REF_forces")
    write(tmp_path / "si.xyz", atoms)
    read_structures(tmp_path / "si.xyz")
    assert "similar keys there: DFT_force" in caplog.text


def test_unknown_unit_suggests_the_nearest():
    with pytest.raises(DataError, match="'ev' is not known; did you mean 'eV'"):
        LabelKeys(energy_unit="ev")


def pressure_series(factor):
    """Copper between 90 and 110 % of its volume with EMT's stress times a factor."""
    structures = []
    for k, scale in enumerate(np.linspace(0.967, 1.033, 25)):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell * scale, scale_atoms=True)
        atoms.calc = EMT()
        stress = atoms.get_stress(voigt=False)
        atoms.calc = None
        atoms.info.update(REF_stress=factor * stress)
        structures.append(structure_from_atoms(atoms, source=f"cu.xyz#{k}"))
    return structures


def test_units_and_sign_of_stress_are_checked():
    assert check_units(pressure_series(1.0)) == []
    gpa = check_units(pressure_series(1 / ase.units.GPa))
    assert len(gpa) == 1
    assert "set data.keys.stress_unit: GPa" in gpa[0]
    assert "stress_unit: kbar" in check_units(pressure_series(10 / ase.units.GPa))[0]
    assert "is the sign reversed" in check_units(pressure_series(-1.0))[0]


def test_fingerprint_depends_on_content_not_on_order_or_name():
    a, b = structure_from_atoms(silicon(seed=1)), structure_from_atoms(silicon(seed=2))
    assert fingerprint([a, b]) == fingerprint([b, a.replace(source="elsewhere#3")])
    assert fingerprint([a, b]) != fingerprint([a, b.replace(energy=-10.80001)])
    assert fingerprint([a, b]) != fingerprint([a, b, b])
    assert fingerprint([a]) != fingerprint([a.replace(forces=None)])


def shared_data():
    return Path(os.environ.get("CAMLIP_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.mark.skipif(not shared_data().is_dir(), reason="no data: set CAMLIP_DATA")
def test_public_excerpts_are_read_without_options():
    files = sorted((shared_data() / "smoke").glob("*.xyz"))
    assert files
    for file in files:
        structures = read_structures(file)
        assert all(s.energy is not None for s in structures)
        assert check_units(structures) == []
