"""LAMMPS commands that move atoms, boxes, types and ranks: afterwards nothing may be stale.

Most tests end the same way: what the pair style says at the end of a run must be what a fresh
LAMMPS says of the same configuration.
"""

import numpy as np
import pytest
from ase.build import bulk

import lammps_driver as driver


@pytest.fixture
def model(random_model):
    return random_model("medium")


@pytest.fixture
def check_nothing_is_stale(structures, model, tmp_path):
    """Runs commands, saves the final configuration and evaluates it again from scratch."""

    def check(commands: str, structure: str = "bulk", ranks: int = 1, before: str = "") -> str:
        data = driver.write_data(tmp_path / "start.data", structures[structure])
        # The report comes first: write_data moves atoms between ranks, but not their forces.
        deck = driver.deck("end", data, model, before=before, after=commands)
        deck += "write_data end.data nocoeff nofix\n"
        stdout = driver.run(deck, tmp_path, ranks=ranks)
        fresh = driver.deck("fresh", tmp_path / "end.data", model, before=before)
        stdout_fresh = driver.run(fresh, tmp_path)
        end = driver.State.read("end", stdout, tmp_path)
        expected = driver.State.read("fresh", stdout_fresh, tmp_path)
        # write_data keeps 16 digits, and an atom may come back on the other side of the box
        driver.assert_same(end, expected, tolerance=1e-8)
        return stdout

    return check


MOVES = "velocity all create 800 17 loop all\nneigh_modify every 1 delay 0 check yes\n"

RUNS = {
    "nve": MOVES + "fix i all nve\nrun 20",
    "several runs": MOVES + "fix i all nve\nrun 7\nrun 0\nrun 7 pre no\nrun 3",
    "npt": MOVES + "fix i all npt temp 500 500 0.05 aniso 0 0 0.5\nrun 20",
    "npt triclinic": MOVES + "fix i all npt temp 500 500 0.05 tri 0 0 0.5\nrun 20",
    "deform": MOVES
    + "fix i all nve\nfix d all deform 1 x scale 1.05 xy delta 0.3 flip no\nrun 20\n"
    + "unfix d\nrun 0",
    "change_box": MOVES
    + "fix i all nve\nrun 5\nchange_box all x scale 1.03 y scale 0.98 remap\nrun 5",
    "minimize": "min_style cg\nminimize 0 1e-6 30 60",
    "box/relax": "fix b all box/relax iso 0.0 vmax 0.005\nminimize 0 1e-6 15 30",
    "lost and added": MOVES
    + "fix i all nve\nrun 3\ngroup few id 2 5\ndelete_atoms group few compress yes\nrun 3\n"
    + "create_atoms 1 single 1.3 1.2 1.1\nminimize 0 1e-6 20 40\nrun 3",
    "sort": MOVES + "fix i all nve\nrun 12",
    "group swap of types": MOVES
    + "fix i all nve\nfix s all atom/swap 2 5 4711 2000 types 1 2\nrun 9",
    "set type": MOVES + "fix i all nve\nrun 3\nset atom 3 type 2\nset atom 4 type 1\nrun 3",
    "rare lists": MOVES + "neighbor 2.0 bin\nneigh_modify every 5 delay 10\nfix i all nve\nrun 30",
}
BEFORE = {"sort": "atom_modify sort 2 2.5", "lost and added": "atom_modify map yes"}


@pytest.mark.parametrize("name", RUNS)
def test_nothing_is_stale_after(check_nothing_is_stale, name):
    structure = "triclinic" if name in ("npt triclinic", "deform") else "bulk"
    check_nothing_is_stale(RUNS[name], structure, before=BEFORE.get(name, ""))


@pytest.mark.parametrize("name", ["npt", "lost and added", "group swap of types", "change_box"])
def test_nothing_is_stale_on_two_ranks(check_nothing_is_stale, name):
    check_nothing_is_stale(RUNS[name], ranks=2, before=BEFORE.get(name, ""))


def test_gcmc(structures, model, tmp_path):
    """fix gcmc inserts and deletes, and trusts the energy of the whole system each time."""
    data = driver.write_data(tmp_path / "start.data", structures["silicon"])
    deck = driver.deck(
        "end",
        data,
        model,
        before="atom_modify map yes",
        after="""
fix integrate all nve
fix insert all gcmc 2 10 5 2 29494 6000 5.0 0.05 full_energy overlap_cutoff 1.2
run 20
write_data end.data nocoeff nofix""",
    )
    stdout = driver.run(deck, tmp_path)
    end = driver.State.read("end", stdout, tmp_path)
    stdout = driver.run(driver.deck("fresh", tmp_path / "end.data", model), tmp_path)
    fresh = driver.State.read("fresh", stdout, tmp_path)
    assert end.energy == pytest.approx(fresh.energy, abs=1e-8)
    assert len(end.forces) == len(fresh.forces)


def test_box_relax_reaches_the_pressure(random_model, tmp_path):
    """The minimizer believes the virial: at the end the pressure is the one asked for.

    A model with random weights binds nothing, so Lennard-Jones holds the crystal together.
    """
    crystal = bulk("Si", "fcc", a=3.4, cubic=True) * 2
    crystal.rattle(0.05, seed=1)
    data = driver.write_data(tmp_path / "a.data", crystal)
    deck = f"""
units metal
read_data {data}
pair_style hybrid/overlay mlip precision double lj/cut 5.0
pair_coeff * * mlip {random_model("small")} Si O
pair_coeff * * lj/cut 2.0 2.14
fix relax all box/relax aniso 2000.0 vmax 0.01
min_modify line quadratic
minimize 0 1e-8 400 2000
unfix relax
thermo_style custom step pe press pxx pyy pzz
run 0
print "PRESSURE $(pxx) $(pyy) $(pzz)"
"""
    pressures = driver.run(deck, tmp_path).split("PRESSURE")[-1].split()[:3]
    assert [float(p) for p in pressures] == pytest.approx([2000.0] * 3, abs=50.0)


def test_minimize_lowers_energy_and_forces(structures, model, tmp_path):
    data = driver.write_data(tmp_path / "a.data", structures["silicon"])
    deck = driver.deck("start", data, model) + driver.deck(
        "end", data, model, after="minimize 0 1e-4 200 400"
    ).replace("\nunits", "\nclear\nunits", 1)
    stdout = driver.run(deck, tmp_path)
    start, end = (driver.State.read(name, stdout, tmp_path) for name in ("start", "end"))
    assert end.energy < start.energy
    assert np.abs(end.forces).max() < 0.1 * np.abs(start.forces).max()


def test_nve_conserves_the_energy(structures, random_model, tmp_path):
    """A wrong force or a stale list shows as drift; 0.2 fs because random models are stiff."""
    data = driver.write_data(tmp_path / "a.data", structures["silicon"])
    deck = driver.deck(
        "a",
        data,
        random_model("small"),
        after="""
velocity all create 300 12 loop all
timestep 0.0002
fix integrate all nve
thermo 20
thermo_style custom step etotal ke c_virial[1]
thermo_modify format float %.12g
run 400
thermo_style custom step pe c_virial[1] c_sums[*]
run 0 post no""",
    )
    lines = driver.run(deck, tmp_path).splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:2] == ["Step", "TotEng"])
    table = []
    for line in lines[start + 1 :]:
        if line.startswith("Loop"):
            break
        table.append([float(word) for word in line.split()])
    total, kinetic = np.array(table)[:, 1:3].T
    assert np.ptp(kinetic) > 1e-3
    assert np.ptp(total) < 0.02 * np.ptp(kinetic)


def test_excluded_pairs_are_not_seen(structures, model, tmp_path):
    """Without the pairs of types 1 and 2 the system is two systems."""
    atoms = structures["bulk"]
    decks = [
        driver.deck(
            "both",
            driver.write_data(tmp_path / "both.data", atoms),
            model,
            setup="neigh_modify exclude type 1 2",
        )
    ]
    for symbol in driver.ELEMENTS:
        part = atoms[[s == symbol for s in atoms.symbols]]
        data = driver.write_data(tmp_path / f"{symbol}.data", part)
        decks.append(driver.deck(symbol, data, model))
    stdout = driver.run("\nclear\n".join(decks), tmp_path)
    both, *parts = (
        driver.State.read(name, stdout, tmp_path) for name in ("both", *driver.ELEMENTS)
    )
    assert both.energy == pytest.approx(sum(p.energy for p in parts), abs=1e-9)
    for symbol, part in zip(driver.ELEMENTS, parts, strict=True):
        mine = [s == symbol for s in atoms.symbols]
        np.testing.assert_allclose(both.forces[mine], part.forces, rtol=0, atol=1e-9)


HYBRID = {
    "overlay": "pair_style hybrid/overlay mlip precision double lj/cut 4.0",
    "hybrid": "pair_style hybrid mlip precision double lj/cut 4.0",
}


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("kind", HYBRID)
def test_hybrid_with_a_type_of_another_style(structures, model, tmp_path, kind, ranks):
    """Si and O by the model, Ar (NULL) by Lennard-Jones: energies and forces simply add."""
    elements = ("Si", "O", "Ar")
    atoms = structures["bulk"].copy()
    atoms.numbers[::5] = 18
    argon = atoms.numbers == 18
    data = driver.write_data(tmp_path / "all.data", atoms, elements)
    head = f"units metal\nread_data {data}\n{HYBRID[kind]}\n"
    pairs = "".join(f"pair_coeff {i} 3 lj/cut 0.01 2.0\n" for i in (1, 2, 3))
    coefficients = f"pair_coeff * * mlip {model} Si O NULL\n{pairs}"
    tail = f"{driver.COMPUTES}\nrun 0\n{driver.REPORT.format(name='all')}"
    lj = f"clear\nunits metal\nread_data {data}\npair_style lj/cut 4.0\n"
    lj += "pair_coeff * * 0 2.0\n" + pairs.replace("lj/cut ", "")
    lj += (
        tail.replace("name", "lj").replace("RESULT all", "RESULT lj").replace("all.dump", "lj.dump")
    )
    rest = driver.write_data(tmp_path / "rest.data", atoms[~argon], elements)
    alone = "clear\n" + driver.deck("alone", rest, model, elements="Si O O")
    stdout = driver.run(head + coefficients + tail + lj + alone, tmp_path, ranks=ranks)
    total, lj_state, mlip = (
        driver.State.read(name, stdout, tmp_path) for name in ("all", "lj", "alone")
    )
    assert total.energy == pytest.approx(lj_state.energy + mlip.energy, abs=1e-9)
    expected = lj_state.forces.copy()
    expected[~argon] += mlip.forces
    np.testing.assert_allclose(total.forces, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(total.virial, lj_state.virial + mlip.virial, rtol=0, atol=1e-7)


def test_two_models_at_once(structures, random_model, tmp_path):
    """hybrid/overlay of two models is their sum: nothing is shared between two pair styles."""
    data = driver.write_data(tmp_path / "a.data", structures["triclinic"])
    one, two = random_model("medium"), random_model("small")
    both = f"""
units metal
read_data {data}
pair_style hybrid/overlay mlip precision double mlip precision double
pair_coeff * * mlip 1 {one} Si O
pair_coeff * * mlip 2 {two} Si O
{driver.COMPUTES}
run 0
{driver.REPORT.format(name="both")}
"""
    singles = [driver.deck(name, data, m) for name, m in (("one", one), ("two", two))]
    stdout = driver.run("\nclear\n".join([both, *singles]), tmp_path)
    a, b, c = (driver.State.read(name, stdout, tmp_path) for name in ("both", "one", "two"))
    assert a.energy == pytest.approx(b.energy + c.energy, abs=1e-9)
    np.testing.assert_allclose(a.forces, b.forces + c.forces, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        a.centroid_virials, b.centroid_virials + c.centroid_virials, rtol=0, atol=1e-8
    )


def test_restart_continues_with_the_same_numbers(structures, model, tmp_path):
    data = driver.write_data(tmp_path / "a.data", structures["bulk"])
    style = f"pair_style mlip precision double\npair_coeff * * {model} Si O\n"
    integrate = "fix integrate all nve\nneigh_modify every 1 delay 0 check yes\n"
    whole = driver.deck(
        "whole", data, model, after=f"{MOVES}{integrate}run 5\nwrite_restart r.bin\nrun 5"
    )
    resumed = (
        f"read_restart r.bin\n{style}{driver.COMPUTES}{integrate}run 5\n"
        f"{driver.REPORT.format(name='resumed')}"
    )
    stdout = driver.run(f"{whole}\nclear\n{resumed}", tmp_path)
    states = [driver.State.read(name, stdout, tmp_path) for name in ("whole", "resumed")]
    driver.assert_same(*states, tolerance=1e-9)


def test_pair_style_and_pair_coeff_can_be_given_again(structures, random_model, tmp_path):
    data = driver.write_data(tmp_path / "a.data", structures["bulk"])
    one, two = random_model("medium"), random_model("medium", seed=1)
    again = driver.deck(
        "again",
        data,
        one,
        after=f"run 0\npair_style mlip engine reference\npair_coeff * * {two} Si O\n"
        "run 0\npair_style mlip precision double\nrun 0",
    )
    stdout = driver.run(again + "\nclear\n" + driver.deck("two", data, two), tmp_path)
    states = [driver.State.read(name, stdout, tmp_path) for name in ("again", "two")]
    driver.assert_same(*states, tolerance=1e-9)


def test_memory_does_not_grow(structures, model, tmp_path):
    """A new list every step; the resident set after 50 steps is the one after 400.

    The atoms stay where they are (tiny time step): random forces would tear the system apart.
    """
    data = driver.write_data(tmp_path / "a.data", structures["bulk"])
    deck = driver.deck(
        "a",
        data,
        model,
        after="""
neigh_modify every 1 delay 0 check no
timestep 1e-6
fix integrate all nve
run 50 post no
info memory
run 350 post no
info memory""",
    )
    stdout = driver.run(deck, tmp_path)
    lines = [line for line in stdout.splitlines() if "Maximum resident set" in line]
    first, last = (float(line.split(":")[1].split()[0]) for line in lines)
    assert last - first < 4.0  # MByte
