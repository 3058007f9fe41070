"""Properties against analytic ones: fcc with springs between nearest neighbors, and other toys."""

import json

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential
from ase.io import write

from camlip.cli import main
from camlip.physics import crystal, defects, dimers, dynamics, vibrations
from camlip.physics.common import Settings, Skip, Source
from camlip.physics.dimers import holes
from camlip.physics.parts import parse_parts, run_part
from camlip.physics.reference import Published, parse_reference
from camlip.physics.sample import load_sample, make_sample

DEPTH, LENGTH, WIDTH = 0.2, 2.5, 5.0
SPRING = 2 * DEPTH * (WIDTH / LENGTH) ** 2
"""Second derivative of the Morse energy at its minimum, eV/A^2."""
CONSTANT = LENGTH * np.sqrt(2)
QUICK = Settings(size=7.0, picoseconds=0.3, volume_range=0.01, strain=0.001, fmax=1e-4)


def springs(precise=True):
    # The second shell of fcc is at sqrt(2): outside.
    return MorsePotential(epsilon=DEPTH, r0=LENGTH, rho0=WIDTH, rcut1=1.15, rcut2=1.3)


@pytest.fixture(scope="module")
def toy():
    """Copper by its mass only; the primitive cell, a little off its lattice constant."""
    sample = make_sample(bulk("Cu", "fcc", a=1.01 * CONSTANT))
    assert sample.cell is not None
    assert len(sample.cell) == 4
    assert sample.cubic
    return sample, Source("springs", springs)


def value(result, name):
    return result.values[name]["value"]


def test_equation_of_state_and_elastic_constants_of_springs(toy):
    # fcc with central springs k between nearest neighbors: C11 = 2 k / a, C12 = C44 = k / a.
    found = crystal.elastic(*toy, QUICK, False)
    unit = SPRING / CONSTANT / units.GPa
    assert value(found, "C11") == pytest.approx(2 * unit, rel=1e-3)
    assert value(found, "C12") == pytest.approx(unit, rel=1e-3)
    assert value(found, "C44") == pytest.approx(unit, rel=1e-3)
    assert found.warnings == []
    state = crystal.eos(*toy, QUICK, False)
    assert value(state, "a") == pytest.approx(CONSTANT, rel=1e-5)
    assert value(state, "B0") == pytest.approx(4 / 3 * unit, rel=0.01)
    assert value(state, "B0") == pytest.approx(value(found, "B"), rel=0.01)


def test_phonons_of_springs(toy):
    pytest.importorskip("phonopy")
    found = vibrations.phonons(*toy, QUICK, False)
    mass = toy[0].cell.get_masses()[0]
    # Zone boundary of fcc springs: transverse 4 k / m, longitudinal 8 k / m.
    terahertz = np.sqrt(SPRING / mass) / (2 * np.pi) * units.fs * 1e3
    assert value(found, "X 1") == pytest.approx(2 * terahertz, rel=2e-3)
    assert value(found, "X 2") == pytest.approx(np.sqrt(8) * terahertz, rel=2e-3)
    assert "Γ 1" not in found.values
    assert abs(value(found, "lowest")) < 0.01
    assert found.warnings == []
    # Dulong and Petit, nearly.
    assert 0.9 * 3 * 8.314 < value(found, "Cv") < 3 * 8.314


def test_vacancy_and_surfaces_of_springs_are_broken_bonds(toy):
    vacancy = defects.vacancy(*toy, QUICK, False)
    # Twelve bonds are lost, six come back with the atom in the bulk.
    assert value(vacancy, "unrelaxed") == pytest.approx(6 * DEPTH, rel=1e-4)
    assert value(vacancy, "relaxed") <= value(vacancy, "unrelaxed") + 1e-5
    settings = Settings(surfaces=((1, 0, 0), (1, 1, 1)), thickness=8.0, fmax=1e-3)
    surface = defects.surface(*toy, settings, False)
    unit = units.J / units.m**2
    assert value(surface, "(100) unrelaxed") == pytest.approx(
        2 * DEPTH / LENGTH**2 / unit, rel=1e-3
    )
    area = np.sqrt(3) / 2 * LENGTH**2
    assert value(surface, "(111) unrelaxed") == pytest.approx(1.5 * DEPTH / area / unit, rel=1e-3)


class Volumetric(Calculator):
    """E = N k (v - v0)^2 / 2 and nothing else."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012
    stiffness, volume = 0.01, 20.0

    def calculate(self, atoms=None, properties=None, system_changes=()):
        super().calculate(atoms, properties, system_changes)
        number = len(self.atoms)
        change = self.atoms.get_volume() / number - self.volume
        pull = self.stiffness * change
        self.results = {
            "energy": 0.5 * number * self.stiffness * change**2,
            "forces": np.zeros((number, 3)),
            "stress": np.array([pull] * 3 + [0.0] * 3),
        }


def test_equation_of_state_of_a_parabola():
    sample = make_sample(bulk("Si"))
    found = crystal.eos(sample, Source("parabola", lambda _: Volumetric()), QUICK, False)
    assert value(found, "V0") == pytest.approx(20.0, rel=1e-6)
    # B = V d2E/dV2.
    assert value(found, "B0") == pytest.approx(20.0 * 0.01 / units.GPa, rel=1e-3)


def test_elastic_constants_see_the_relaxation_of_the_atoms():
    """Long-range pair forces at zero pressure: Cauchy's C12 = C44; hcp is not cubic."""
    source = Source("lj", lambda _: LennardJones(sigma=2.5, epsilon=0.1, rc=6.0, smooth=True))
    found = crystal.elastic(make_sample(bulk("Ar", "fcc", a=3.9)), source, QUICK, False)
    assert value(found, "C12") == pytest.approx(value(found, "C44"), rel=2e-3)
    settings = Settings(strain=0.001, fmax=1e-5)
    hexagonal = crystal.elastic(make_sample(bulk("Mg", "hcp", a=2.75)), source, settings, False)
    c11, c12, c66 = (value(hexagonal, n) for n in ("C11", "C12", "C66"))
    assert c66 == pytest.approx(0.5 * (c11 - c12), rel=0.01)
    assert value(hexagonal, "C11") == pytest.approx(value(hexagonal, "C22"), rel=0.01)


def test_vibration_of_a_diatomic_molecule():
    sample = make_sample(Atoms("N2", [[0, 0, 0], [0, 0, 2.6]]))
    found = vibrations.phonons(sample, Source("morse", springs), Settings(fmax=1e-5), False)
    reduced = sample.atoms.get_masses()[0] / 2
    expected = units._hbar * np.sqrt(SPRING / reduced / units._e**-1 / units._amu * 1e20) / units._e
    assert list(found.values) == ["mode 1"]
    assert value(found, "mode 1") == pytest.approx(expected / units.invcm, rel=2e-3)


class Pair(Calculator):
    """Two atoms with an energy by their distance."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, energy):
        super().__init__()
        self.energy = energy

    def calculate(self, atoms=None, properties=None, system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": self.energy(self.atoms.get_distance(0, 1))}


def judge(energy):
    sample = make_sample(Atoms("Si2", [[0, 0, 0], [0, 0, 2.0]]))
    return dimers.dimers(sample, Source("pair", lambda _: Pair(energy)), Settings(), False)


def test_a_hole_in_a_dimer_curve_is_told():
    good = judge(lambda r: 40 * np.exp(-2 * r) * 14 / r - 3 * np.exp(-((r - 2.4) ** 2)))
    assert value(good, "Si-Si repulsive") == 1
    assert good.warnings == []
    # Buckingham's exp - r^-6 falls to minus infinity at short distances.
    bad = judge(lambda r: 2000 * np.exp(-3 * r) - 60 / r**6)
    assert value(bad, "Si-Si repulsive") == 0
    assert any("ATTRACTIVE from 0.30 to" in text for text in bad.warnings)
    assert value(bad, "Si-Si well at") > 2.0
    # Without a barrier the atoms fall onto each other.
    worse = judge(lambda r: -10 / r)
    assert any("far below the sum of covalent radii" in text for text in worse.warnings)

    def gives_up(r):
        if r < 0.7:
            raise RuntimeError("no convergence")
        return 1 / r

    assert any("not computed at 20 distances" in text for text in judge(gives_up).warnings)
    assert holes(np.arange(3.0), np.array([3.0, 2.0, 1.0])) == []


def test_dynamics_of_springs(toy):
    settings = Settings(size=7.0, picoseconds=0.5, temperature=100.0, timestep=2.0)
    drift = dynamics.nve(*toy, settings, False)
    assert abs(value(drift, "drift")) < 500
    assert 40 < value(drift, "temperature") < 200
    distribution = dynamics.rdf(*toy, settings, False)
    assert value(distribution, "Cu-Cu peak at") == pytest.approx(LENGTH, rel=0.03)
    diffusion = dynamics.diffusion(*toy, settings, False)
    assert "no more than noise" in diffusion.warnings[0]


def test_parts_that_do_not_apply_say_why(toy):
    molecule = load_sample("molecule:H2O", [1, 8])
    for name in ("eos", "elastic", "vacancy", "surface", "rdf", "diffusion"):
        result = run_part(name, molecule, Source("springs", springs), QUICK)
        assert result["status"] == "skipped"
        assert "molecule" in result["reason"] or "not periodic" in result["reason"]
    liquid = make_sample(
        Atoms("Ar64", np.random.default_rng(0).random((64, 3)) * 15, cell=[15] * 3, pbc=True)
    )
    assert "no symmetry" in run_part("elastic", liquid, toy[1], QUICK)["reason"]
    compound = make_sample(bulk("NaCl", "rocksalt", a=5.6))
    with pytest.raises(Skip, match="chemical potentials"):
        defects.vacancy(compound, Source("parabola", lambda _: Volumetric()), QUICK, False)
    slow = Source("springs", springs, is_model=False)
    long = Settings(size=7.0, minutes=1e-6)
    assert "more than --minutes" in run_part("nve", toy[0], slow, long)["reason"]

    def broken(precise):
        raise RuntimeError("no license")

    failed = run_part("eos", load_sample("bulk:Ag", [47]), Source("x", broken), QUICK)
    assert (failed["status"], failed["reason"]) == ("failed", "RuntimeError: no license")


def test_the_command_compares_and_resumes(tmp_path, capsys):
    values = tmp_path / "published.yaml"
    values.write_text("{name: PBE, source: a paper, values: {eos.a: 5.469, elastic.C11: 153}}")
    write(tmp_path / "si.cif", bulk("Si", a=5.5))
    command = ["evaluate", "camlip:silicon", str(tmp_path / "si.cif"), "--physics", "--fast"]
    command += ["--reference", str(values), "--output", str(tmp_path / "out"), "--threads", "1"]
    assert main([*command, "--parts", "eos,dimers"]) == 0
    text = (tmp_path / "out" / "physics.md").read_text()
    assert "| lattice constant a | Å | 5.467 | 5.469 |" in text
    assert "a paper" in text
    assert (tmp_path / "out" / "physics.png").read_bytes()[:4] == b"\x89PNG"
    content = json.loads((tmp_path / "out" / "physics.json").read_text())
    known = content["parts"]["eos"]["silicon"]
    assert content["parts"]["dimers"]["silicon"]["values"]["Si-Si repulsive"]["value"] == 1

    assert main([*command, "--parts", "eos"]) == 2
    assert "go on with --resume" in capsys.readouterr().err
    assert main([*command, "--parts", "eos,elastic", "--resume"]) == 0
    content = json.loads((tmp_path / "out" / "physics.json").read_text())
    assert content["parts"]["eos"]["silicon"] == known  # not computed again: the same seconds
    assert 140 < content["parts"]["elastic"]["silicon"]["values"]["C11"]["value"] < 165
    assert main([*command, "--resume", "--temperature", "500"]) == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parts", "eos,ghost"], "--parts: 'ghost', expected some of eos,elastic"),
        (["--reference", "nothing"], "--reference: 'nothing' is no file"),
        (["molecule:H2O"], "the model has no element H, O; it knows Si"),
        (["bulk:Xx"], "structure 'bulk:Xx': ASE cannot make it"),
        (["missing.xyz"], "missing.xyz: no such file"),
        (["--size", "0"], "size: 0.0, expected more than 0"),
    ],
)
def test_mistakes(arguments, message, capsys, tmp_path):
    command = ["evaluate", "camlip:silicon", "--physics", "--output", str(tmp_path / "o")]
    assert (
        main(
            [
                *command[:2],
                *[a for a in arguments if ":" in a or ".xyz" in a],
                *command[2:],
                *[a for a in arguments if ":" not in a and ".xyz" not in a],
            ]
        )
        == 2
    )
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_references(tmp_path):
    assert parse_parts("rdf,eos") == ["eos", "rdf"]
    emt = parse_reference("emt")
    assert isinstance(emt, Source)
    assert not emt.is_model
    assert emt.make(True).name == "emt"
    other = parse_reference("camlip:silicon")
    assert isinstance(other, Source)
    assert other.elements == [14]
    (tmp_path / "a.yaml").write_text("{values: {eos.a: five}}")
    with pytest.raises(ValueError, match=r"found eos\.a: 'five', expected a number"):
        parse_reference(str(tmp_path / "a.yaml"))
    (tmp_path / "b.json").write_text('[{"values": {"eos.a": {"value": 5.4, "note": "295 K"}}}]')
    assert parse_reference(str(tmp_path / "b.json")) == [
        Published("b", "", {"eos.a": 5.4}, {"eos.a": "295 K"})
    ]
