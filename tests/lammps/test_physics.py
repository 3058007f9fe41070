"""Energies, forces and virials of LAMMPS against the Python engine, derivatives and definitions."""

import numpy as np
import pytest

import lammps_driver as driver

PRESETS = ("small", "medium")


@pytest.fixture
def evaluate(random_model, tmp_path):
    """``evaluate(atoms, preset, ...)``: LAMMPS' State of one configuration."""

    def run(atoms, preset="medium", *, name="state", ranks=1, **options):
        data = driver.write_data(tmp_path / f"{name}.data", atoms)
        boundary = "boundary " + " ".join("p" if p else "f" for p in atoms.pbc)
        options.setdefault("before", boundary)
        deck = driver.deck(name, data, random_model(preset), **options)
        return driver.State.read(name, driver.run(deck, tmp_path, ranks=ranks), tmp_path)

    return run


@pytest.mark.parametrize("name", ["bulk", "triclinic", "tiny", "slab", "cluster", "far_apart"])
@pytest.mark.parametrize("preset", PRESETS)
def test_lammps_equals_the_calculator(structures, evaluate, random_model, preset, name):
    from camlip import MLIPCalculator

    atoms = structures[name].copy()
    state = evaluate(atoms, preset)
    atoms.calc = MLIPCalculator(random_model(preset), precision="double")
    np.testing.assert_allclose(state.energy, atoms.get_potential_energy(), rtol=0, atol=1e-8)
    np.testing.assert_allclose(state.energies, atoms.get_potential_energies(), rtol=0, atol=1e-8)
    np.testing.assert_allclose(state.forces, atoms.get_forces(), rtol=0, atol=1e-8)
    if atoms.pbc.all():
        stress = atoms.get_stress(voigt=False)
        np.testing.assert_allclose(state.virial, -stress * atoms.get_volume(), rtol=0, atol=1e-7)


@pytest.mark.usefixtures("every_simd")
@pytest.mark.parametrize("name", ["triclinic", "tiny"])
@pytest.mark.parametrize("preset", PRESETS)
def test_virial_is_the_strain_derivative(structures, random_model, tmp_path, preset, name):
    """W_ab = -dE/d(strain_ab), r' = r (1 + strain); lower-triangular strain keeps LAMMPS' cell."""
    step = 1e-4
    atoms = structures[name]
    data = driver.write_data(tmp_path / "rest.data", atoms)
    commands = [f"run 0 post no\n{driver.REPORT.format(name='rest')}"]
    weights = {-2: 1 / 12, -1: -8 / 12, 1: 8 / 12, 2: -1 / 12}
    components = [(a, b) for a in range(3) for b in range(a + 1)]
    for a, b in components:
        for k in weights:
            strain = np.eye(3)
            strain[a, b] += k * step
            cell = atoms.cell @ strain
            shape = {"xy": cell[1, 0], "xz": cell[2, 0], "yz": cell[2, 1]}
            change = "".join(f" {k} final {v:.17g}" for k, v in shape.items())
            change += "".join(
                f" {k} final 0 {v:.17g}" for k, v in zip("xyz", np.diag(cell), strict=True)
            )
            commands.append(f"change_box all{change} remap units box\nrun 0 post no")
            commands.append(f'print "ENERGY {a}{b}{k} $(pe:%.17g)"')
    deck = driver.deck("last", data, random_model(preset), after="\n".join(commands))
    stdout = driver.run(deck, tmp_path)
    energies = dict(line.split()[1:] for line in stdout.splitlines() if line[:6] == "ENERGY")
    virial = driver.State.read("rest", stdout, tmp_path).virial
    scale = max(1.0, np.abs(virial).max())
    for a, b in components:
        slope = sum(w * float(energies[f"{a}{b}{k}"]) for k, w in weights.items()) / step
        np.testing.assert_allclose(virial[a, b], -slope, rtol=0, atol=2e-7 * scale)


@pytest.mark.usefixtures("every_simd")
@pytest.mark.parametrize("ranks", [1, 2])
def test_forces_are_derivatives(structures, random_model, tmp_path, ranks):
    """``fix numdiff`` moves every atom and calls the pair style again, all within one step."""
    data = driver.write_data(tmp_path / "a.data", structures["triclinic"])
    after = """
fix difference all numdiff 1 1e-4
variable dx atom abs(f_difference[1]-fx)
variable dy atom abs(f_difference[2]-fy)
variable dz atom abs(f_difference[3]-fz)
variable largest atom abs(fx)
compute worst all reduce max v_dx v_dy v_dz v_largest
thermo_style custom step pe c_virial[1] c_worst[*]
run 0
print "WORST $(c_worst[1]) $(c_worst[2]) $(c_worst[3]) $(c_worst[4])"
"""
    clean = driver.deck("clean", data, random_model("medium"))
    deck = driver.deck("a", data, random_model("medium"), before="atom_modify map yes", after=after)
    stdout = driver.run(deck + "\nclear\n" + clean, tmp_path, ranks=ranks)
    *worst, largest = (float(w) for w in stdout.split("WORST")[-1].split()[:4])
    assert max(worst) < 1e-5 * max(1.0, largest)
    untouched, expected = (driver.State.read(n, stdout, tmp_path) for n in ("a", "clean"))
    driver.assert_same(untouched, expected, tolerance=1e-9)


@pytest.mark.parametrize("preset", PRESETS)
def test_units_real_is_metal_in_other_words(structures, random_model, tmp_path, preset):
    data = driver.write_data(tmp_path / "a.data", structures["triclinic"])
    metal = driver.deck("m", data, random_model(preset))
    real = driver.deck("r", data, random_model(preset)).replace("units metal", "units real")
    stdout = driver.run(metal + "\nclear\n" + real, tmp_path)
    m, r = (driver.State.read(name, stdout, tmp_path) for name in "mr")
    kcal = 23.060549  # per eV, LAMMPS' own number
    assert r.energy == pytest.approx(kcal * m.energy, rel=1e-12)
    np.testing.assert_allclose(r.forces, kcal * m.forces, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(r.energies, kcal * m.energies, rtol=1e-12, atol=1e-12)
    # bar against atm, and LAMMPS' constants of six digits
    np.testing.assert_allclose(
        r.centroid_virials * 1.01325, m.centroid_virials, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_mixed_precision_is_close_to_double(structures, evaluate, preset):
    double = evaluate(structures["bulk"], preset, name="double")
    mixed = evaluate(structures["bulk"], preset, name="mixed", style="precision mixed")
    assert mixed.energy == pytest.approx(double.energy, abs=1e-6 * len(double.forces))
    largest = np.abs(double.forces).max()
    np.testing.assert_allclose(mixed.forces, double.forces, rtol=0, atol=1e-5 * largest)


@pytest.mark.usefixtures("every_simd")
def test_engines_agree(structures, evaluate):
    cpu = evaluate(structures["triclinic"], name="cpu", style="engine cpu precision double")
    reference = evaluate(structures["triclinic"], name="ref", style="engine reference")
    driver.assert_same(cpu, reference, tolerance=1e-7)


def test_threads_agree(structures, evaluate):
    one = evaluate(structures["bulk"], name="one")
    two = evaluate(structures["bulk"], name="two", style="precision double threads 2")
    driver.assert_same(one, two, tolerance=1e-9)


@pytest.mark.parametrize("preset", PRESETS)
def test_isolated_atoms_keep_their_energy(structures, evaluate, preset):
    """Two atoms out of reach of each other: the sum of two atoms alone, and no forces."""
    pair = structures["far_apart"]
    together = evaluate(pair, preset, name="pair")
    alone = [evaluate(pair[[i]], preset, name=f"alone{i}").energy for i in range(2)]
    np.testing.assert_allclose(together.energies, alone, rtol=0, atol=1e-10)
    np.testing.assert_allclose(together.forces, 0, atol=1e-12)


@pytest.mark.usefixtures("every_simd")
def test_centroid_virial_is_its_definition(structures, evaluate, random_model):
    """W^j = -sum_i r_ij (x) dU_i/dr_j, with dU_i/dr_j by finite differences: a local model."""
    from camlip import MLIPCalculator

    atoms = structures["cluster"].copy()
    state = evaluate(atoms, "small")
    atoms.calc = MLIPCalculator(random_model("small"), precision="double")
    step, n = 1e-4, len(atoms)
    slopes = np.zeros((n, n, 3))  # dU_i / dr_jb at [i, j, b]
    for j in range(n):
        for b in range(3):
            for sign in (1, -1):
                moved = atoms.copy()
                moved.calc = atoms.calc
                moved.positions[j, b] += sign * step
                slopes[:, j, b] += sign * moved.get_potential_energies() / (2 * step)
    r = atoms.positions[None] - atoms.positions[:, None]  # r_ij at [i, j]
    expected = -np.einsum("ija,ijb->jab", r, slopes)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(state.centroid_virials, expected, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("preset", PRESETS)
def test_heat_flux_is_made_of_the_centroid_virial(structures, random_model, tmp_path, preset):
    """J V = sum_i (K_i + U_i) v_i + sum_j W^j v_j (r first index, force second)."""
    data = driver.write_data(tmp_path / "a.data", structures["triclinic"])
    deck = driver.deck(
        "a",
        data,
        random_model(preset),
        after="""
velocity all create 900 99 loop all
compute kinetic all ke/atom
compute flux all heat/flux kinetic energies nine
thermo_style custom step pe c_virial[1] c_flux[*]
run 0
print "FLUX $(c_flux[4]:%.17g) $(c_flux[5]:%.17g) $(c_flux[6]:%.17g) $(c_flux[1]:%.17g)"
write_dump all custom v.dump id vx vy vz c_kinetic modify sort id format float %.17g""",
    )
    stdout = driver.run(deck, tmp_path)
    convective_x, _, _, total_x = (float(w) for w in stdout.split("FLUX")[-1].split()[:4])
    state = driver.State.read("a", stdout, tmp_path)
    v = np.loadtxt(tmp_path / "v.dump", skiprows=9)
    velocities, kinetic = v[:, 1:4], v[:, 4]
    convective = ((kinetic + state.energies)[:, None] * velocities).sum(axis=0)
    virial = np.einsum("jab,jb->a", state.centroid_virials, velocities)
    assert convective_x == pytest.approx(convective[0], rel=1e-9)
    # LAMMPS converts the stress with a constant of its own
    assert total_x - convective_x == pytest.approx(virial[0], rel=1e-5)
