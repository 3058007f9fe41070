"""`camlip data`: what it finds, what it would drop, and its outputs."""

import argparse
import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.units import GPa

from camlip.data import DataError, StoredDataset, Structure, read_structures, report
from camlip.data.analysis import analyze


def copper(k, amplitude=0.1):
    """Labels of a real potential, so that nothing about them is odd."""
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell * (0.98 + 0.002 * k), scale_atoms=True)
    atoms.rattle(amplitude, seed=k)
    atoms.calc = EMT()
    atoms.info["REF_energy"] = atoms.get_potential_energy()
    atoms.info["REF_stress"] = atoms.get_stress()
    atoms.arrays["REF_forces"] = atoms.get_forces()
    atoms.calc = None
    return atoms


@pytest.fixture
def frames():
    return [copper(k) for k in range(30)]


def run(tmp_path, frames, *options):
    ase.io.write(tmp_path / "cu.xyz", frames)
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    return report.run(parser.parse_args([str(tmp_path / "cu.xyz"), *map(str, options)]))


def found(tmp_path, capsys, frames):
    """Kinds of findings with their frames, and the frames to drop."""
    assert run(tmp_path, frames, "--json", "-") == 0
    data = json.loads(capsys.readouterr().out)
    kinds = {}
    for finding in data["all_findings"]:
        kinds.setdefault(finding["kind"], []).append(finding["index"])
    return kinds, [int(source.rsplit("#")[1]) for source in data["drop"]], data


def test_clean_data_has_no_findings(tmp_path, capsys, frames):
    kinds, drop, data = found(tmp_path, capsys, frames)
    assert kinds == {}
    assert drop == []
    assert data["warnings"] == []
    assert data["structures"] == 30
    assert data["elements"] == {"Cu": {"atoms": 120, "structures": 30}}
    assert data["pbc"] == {"TTT": 30}
    energies = [f.info["REF_energy"] / 4 for f in frames]
    assert data["labels"]["energy"]["per_atom"]["max"] == pytest.approx(max(energies))
    forces = np.concatenate([f.arrays["REF_forces"] for f in frames])
    rms = data["labels"]["forces"]["component_rms"]
    assert rms == pytest.approx(np.sqrt(np.mean(forces**2)), rel=1e-5)
    shortest = [f.get_all_distances(mic=True)[np.triu_indices(4, 1)].min() for f in frames]
    assert data["closest_pairs"]["Cu-Cu"]["distance"] == pytest.approx(min(shortest), abs=1e-3)


def test_duplicates(tmp_path, capsys, frames):
    moved = frames[4].copy()
    moved.positions += 0.7
    other = frames[5].copy()
    other.info["REF_energy"] += 1.0
    kinds, drop, _ = found(tmp_path, capsys, [*frames, moved, other])
    assert kinds == {"duplicate": [30], "conflicting duplicate": [31]}
    assert drop == [30, 31]


def test_net_force(tmp_path, capsys, frames):
    frames[2].arrays["REF_forces"] += [0.05, 0, 0]
    frames[3].arrays["REF_forces"] += [0, 0, 0.5]
    kinds, drop, _ = found(tmp_path, capsys, frames)
    assert kinds == {"net force": [2, 3]}
    assert drop == [3]


def test_absurd_labels(tmp_path, capsys, frames):
    frames[6].info["REF_energy"] -= 4000.0
    frames[7].info["REF_energy"] += 16.0
    for k, size in ((8, 500.0), (9, 60.0)):
        frames[k].arrays["REF_forces"][:] = [[size, 0, 0], [-size, 0, 0], [0, 0, 0], [0, 0, 0]]
    frames[10].info["REF_stress"] = np.full(6, 3.0)
    kinds, drop, _ = found(tmp_path, capsys, frames)
    assert kinds == {
        "energy outlier": [6, 7],
        "force outlier": [9],
        "large force": [8],
        "large stress": [10],
    }
    assert drop == [6, 8]


def test_atoms_on_top_of_each_other(tmp_path, capsys, frames):
    frames[0].positions[1] = frames[0].positions[0] + [0.3, 0, 0]
    kinds, drop, _ = found(tmp_path, capsys, frames)
    assert kinds == {"close pair": [0]}
    assert drop == [0]


def test_structures_without_labels(tmp_path, capsys, frames):
    frames[1].info = {}
    del frames[1].arrays["REF_forces"]
    kinds, drop, _ = found(tmp_path, capsys, frames)
    assert kinds == {"no label": [1]}
    assert drop == [1]


@pytest.mark.parametrize(
    ("factor", "message"),
    [(1 / GPa, "stress_unit: GPa"), (10 / GPa, "stress_unit: kbar"), (-1.0, "sign reversed")],
)
def test_stress_in_other_units_or_sign(tmp_path, capsys, frames, factor, message):
    for atoms in frames:
        atoms.info["REF_stress"] = factor * atoms.info["REF_stress"]
    _, _, data = found(tmp_path, capsys, frames)
    assert any(message in w for w in data["warnings"])


@pytest.mark.parametrize("excess", [0.0, 0.015])
def test_stress_that_is_not_the_derivative_of_the_energy(tmp_path, capsys, excess):
    """As of plane waves with a fixed cutoff; forces between the atoms do not matter."""
    frames = []
    for k in range(8):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, seed=1)
        strain = 0.006 * k * np.array([[1.0, 0.2, 0.0], [0.2, 0.3, 0.0], [0.0, 0.0, -0.1]])
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.info["REF_stress"] = atoms.get_stress() + excess * np.array([1, 1, 1, 0, 0, 0])
        atoms.arrays["REF_forces"] = atoms.get_forces()
        atoms.calc = None
        frames.append(atoms)
    warnings = found(tmp_path, capsys, frames)[2]["warnings"]
    if excess:
        (warning,) = warnings
        value = float(warning.split("energies by ")[1].split()[0])
        assert value == pytest.approx(excess, rel=0.03)
        assert "loss.stress=0" in warning
    else:
        assert warnings == []


def test_zeros_that_were_not_computed(tmp_path, capsys, frames):
    for atoms in frames[:10]:
        atoms.arrays["REF_forces"][:] = 0.0
        atoms.info["REF_stress"] = np.zeros(6)
    _, _, data = found(tmp_path, capsys, frames)
    assert "forces of 10 structures are exactly zero" in data["warnings"][0]
    assert "stress of 10 structures is exactly zero" in data["warnings"][1]


def test_several_elements_and_isolated_atoms():
    energies = {1: -13.6, 8: -432.0}
    rng = np.random.default_rng(0)
    structures = [Structure(np.zeros((1, 3)), np.array([z]), energy=e) for z, e in energies.items()]
    for name in ("H2O", "H2", "O2", "H2O2") * 5:
        atoms = molecule(name)
        atoms.rattle(0.02, rng=rng)
        energy = sum(energies[z] for z in atoms.numbers) - 2.0 * len(atoms)
        structures.append(Structure(atoms.positions, atoms.numbers, energy=energy))
    broken = structures[10].replace(energy=structures[10].energy + 300.0)
    structures[10] = broken
    result = analyze(structures)
    assert result.summary["isolated_atoms"] == {"H": -13.6, "O": -432.0}
    assert [(f.kind, f.index) for f in result.findings] == [("energy outlier", 10)]
    assert set(result.summary["closest_pairs"]) == {"H-H", "H-O", "O-O"}


def test_no_fit_to_the_composition_with_too_few_structures(tmp_path, capsys, frames):
    run(tmp_path, frames[:1])
    out = capsys.readouterr().out
    assert "energy (eV/atom)" in out
    assert "minus composition" not in out


def test_outputs(tmp_path, capsys, frames):
    frames[0].arrays["REF_forces"][:] = [[500.0, 0, 0], [-500.0, 0, 0], [0, 0, 0], [0, 0, 0]]
    for k, atoms in enumerate(frames):
        atoms.info["number"] = k
    outputs = {n: tmp_path / n for n in ("report.json", "plot.png", "clean.xyz")}
    status = run(
        tmp_path,
        frames,
        *("--json", outputs["report.json"], "--plot", outputs["plot.png"]),
        *("--drop", outputs["clean.xyz"]),
    )
    assert status == 0
    out, err = capsys.readouterr()
    assert "30 structures, 120 atoms" in out
    assert "large force: 1 structures, 1 to drop" in out
    assert "500.0 eV/A on atom 0" in out
    assert "29 of 30 structures" in err
    assert json.loads(outputs["report.json"].read_text())["findings"] == {
        "large force": {"structures": 1, "drop": 1}
    }
    assert outputs["plot.png"].read_bytes().startswith(b"\x89PNG")
    clean = read_structures(outputs["clean.xyz"])
    assert [s.energy for s in clean] == [f.info["REF_energy"] for f in frames[1:]]
    # Keys that are no labels are kept too.
    assert [a.info["number"] for a in ase.io.read(outputs["clean.xyz"], ":")] == list(range(1, 30))
    assert not list(tmp_path.glob("*.partial"))


def test_nothing_left_to_write(tmp_path, frames):
    frames[0].info = {}
    del frames[0].arrays["REF_forces"]
    with pytest.raises(DataError, match="no structure is left to write"):
        run(tmp_path, frames[:1], "--drop", tmp_path / "clean.xyz")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["cu.xyz"]


def test_keys_on_the_command_line(tmp_path, capsys, frames):
    for atoms in frames:
        atoms.info["dft"] = atoms.info.pop("REF_energy")
    run(tmp_path, frames, "--keys", "energy=dft", "stress_unit=GPa")
    assert "energy (eV/atom)" in capsys.readouterr().out
    with pytest.raises(DataError, match="'enrgy' is not a label; did you mean 'energy'"):
        run(tmp_path, frames, "--keys", "enrgy=dft")
    with pytest.raises(DataError, match="expected NAME=VALUE, got 'dft'"):
        run(tmp_path, frames, "--keys", "dft")


def test_prepare_on_the_command_line(tmp_path, capsys, frames):
    run(tmp_path, frames, "--prepare", tmp_path / "cu.lmdb", "--cutoff", "4.5")
    assert "30 structures, 120 atoms, cutoff 4.5 A" in capsys.readouterr().out
    assert len(StoredDataset(tmp_path / "cu.lmdb", [29], 4.5)) == 30
    with pytest.raises(DataError, match="give the --cutoff"):
        run(tmp_path, frames, "--prepare", tmp_path / "other.lmdb")
