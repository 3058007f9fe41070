"""What a user reads after a mistake, and that nothing hangs."""

import time

import pytest

import lammps_driver as driver

HEAD = "units metal\nread_data bulk.data\n"
STYLE = HEAD + "pair_style mlip\n"
GOOD = STYLE + "pair_coeff * * model.pt Si O\n"

# deck -> what the message must say
MISTAKES = {
    "pair_coeff first": (
        HEAD + "pair_coeff * * model.pt Si O\n",
        "Pair_coeff command without a pair style",
    ),
    "too few elements": (
        STYLE + "pair_coeff * * model.pt Si\n",
        "pair_coeff for mlip: found 1 element names, expected 2",
    ),
    "too many elements": (
        STYLE + "pair_coeff * * model.pt Si O H\n",
        "pair_coeff for mlip: found 3 element names, expected 2",
    ),
    "unknown element": (
        STYLE + "pair_coeff * * model.pt Si Cl\n",
        "model 'model.pt' has no element 'Cl'; it knows O, Si",
    ),
    "only NULL": (STYLE + "pair_coeff * * model.pt NULL NULL\n", "every atom type is NULL"),
    "NULL without hybrid": (
        STYLE + "pair_coeff * * model.pt Si NULL\n",
        "1 of 2 atom types are NULL, but no other pair style takes them",
    ),
    "missing file": (
        STYLE + "pair_coeff * * absent.pt Si O\n",
        "cannot read model file 'absent.pt': No such file or directory",
    ),
    "no such pretrained model": (
        STYLE + "pair_coeff * * camlip:silicn Si O\n",
        "model 'camlip:silicn': there is no such model",
    ),
    "not a model": (STYLE + "pair_coeff * * bulk.data Si O\n", "model file 'bulk.data'"),
    "truncated": (STYLE + "pair_coeff * * truncated.pt Si O\n", "model file 'truncated.pt'"),
    "keyword": (HEAD + "pair_style mlip speed 3\n", "unknown keyword 'speed', expected engine"),
    "no value": (HEAD + "pair_style mlip threads\n", "keyword 'threads' has no value"),
    "threads 0": (HEAD + "pair_style mlip threads 0\n", "threads is 0, expected 1 or more"),
    "precision": (
        HEAD + "pair_style mlip precision half\n",
        "precision is 'half', expected mixed or double",
    ),
    "engine": (
        HEAD + "pair_style mlip engine warp\npair_coeff * * model.pt Si O\n",
        "pair_style mlip: ",
    ),
    "engine cuda, device 9999": (
        HEAD + "pair_style mlip engine cuda:9999\npair_coeff * * model.pt Si O\n",
        "pair_style mlip: backend 'cuda': ",
    ),
    "units": ("units lj\nread_data bulk.data\npair_style mlip\n", "units are 'lj', expected metal"),
    "newton off": ("newton off\n" + GOOD + "run 0\n", "newton is off for pairs, expected on"),
    "no pair_coeff": (STYLE + "run 0\n", "All pair coeffs are not set"),
    "restart": (
        GOOD + "write_restart r.bin\nclear\nread_restart r.bin\nrun 0\n",
        "Must re-specify non-restarted pair style (mlip) after read_restart",
    ),
}


@pytest.fixture
def folder(structures, random_model, tmp_path):
    driver.write_data(tmp_path / "bulk.data", structures["bulk"])
    content = random_model("medium").read_bytes()
    (tmp_path / "model.pt").write_bytes(content)
    (tmp_path / "truncated.pt").write_bytes(content[: len(content) // 2])
    return tmp_path


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_explained(folder, mistake):
    deck, message = MISTAKES[mistake]
    done = driver.run_raw(deck, folder)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "ERROR" in output
    assert message in output
    assert "Segmentation" not in output


@pytest.mark.parametrize("mistake", ["missing file", "unknown element", "truncated"])
def test_a_mistake_is_one_error_on_all_ranks(folder, mistake):
    deck, message = MISTAKES[mistake]
    done = driver.run_raw(deck, folder, ranks=3)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert output.count("ERROR") == 1
    assert message in output


def test_swapped_elements_are_noticed_by_their_masses(folder):
    swapped = driver.run(STYLE + "pair_coeff * * model.pt O Si\nrun 0\n", folder)
    assert "type 1 has mass 28.0" in swapped
    assert "is the order of the elements right?" in swapped
    assert "order of the elements" not in driver.run(GOOD + "run 0\n", folder)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_position_that_is_not_finite_stops_the_run(folder, ranks):
    # LAMMPS looks at positions only when it builds a list, so the engine must.
    deck = (
        GOOD
        + "neigh_modify every 1000 delay 1000 check no\nfix integrate all nve\n"
        + "group one id 5\nrun 0\nvelocity one set 1e308 0 0\ntimestep 1e9\nrun 3\n"
    )
    start = time.monotonic()
    done = driver.run_raw(deck, folder, ranks=ranks, timeout=60)
    assert done.returncode != 0
    assert "pair_style mlip" in done.stdout + done.stderr
    assert time.monotonic() - start < 30


def test_bonds_that_hide_neighbors_are_an_error(folder, random_model):
    water = """LAMMPS data file

3 atoms
2 bonds
2 atom types
1 bond types

0 20 xlo xhi
0 20 ylo yhi
0 20 zlo zhi

Masses

1 28.085
2 15.999

Atoms # full

1 1 1 0.0 10.0 10.0 10.0
2 1 2 0.0 11.5 10.0 10.0
3 1 2 0.0 10.0 11.5 10.0

Bonds

1 1 1 2
2 1 1 3
"""
    (folder / "bonds.data").write_text(water)
    deck = """
units metal
atom_style full
bond_style zero
read_data bonds.data
bond_coeff *
{special}
pair_style mlip
pair_coeff * * model.pt Si O
run 0 post no
print "ENERGY $(pe)"
"""
    done = driver.run_raw(deck.format(special=""), folder)
    assert done.returncode != 0
    assert "special_bonds takes bonded atoms out of the neighbor list" in done.stdout
    driver.run(deck.format(special="special_bonds lj/coul 1.0 1.0 1.0"), folder)


def test_the_log_says_what_runs(folder):
    stdout = driver.run(GOOD + "run 0\nrun 0\n", folder)
    assert stdout.count("pair_style mlip: model 'model.pt'") == 1
    assert "type 1 -> Si" in stdout
    assert "type 2 -> O" in stdout
    assert "cutoff 5 Angstrom, 2 layers" in stdout
    assert "1 thread per MPI rank" in stdout
    assert "training: random weights, not trained" in stdout
