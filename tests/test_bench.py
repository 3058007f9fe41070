"""``camlip bench``: systems, what is timed, and what is printed; never how long it took."""

import json
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write

from camlip import cli
from camlip.bench import Case, Timing, cpu_name, measure
from camlip.bench_command import efficiency, table
from camlip.bench_systems import Motion, make_system, repeats
from camlip.engine import Engine, Neighbors
from camlip.errors import ArgumentError, BackendError
from camlip.lammps_check import LammpsMissing, find_lmp
from model_zoo import zoo


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "si.safetensors"
    path.write_bytes(zoo("small-Si").block)
    return path


def shortest(atoms):
    distances = atoms.get_all_distances(mic=True)
    return distances[np.triu_indices(len(atoms), 1)].min()


@pytest.mark.parametrize(
    ("name", "elements", "composition"),
    [
        (None, [14], {"Si"}),
        (None, [29], {"Cu"}),
        (None, [12], {"Mg"}),  # hexagonal: a random mixture of one
        (None, [1, 8], {"H", "O"}),
        (None, [6, 8, 14], {"C", "O", "Si"}),
        ("si", [8, 14], {"Si"}),
        ("water", [1, 6, 8], {"H", "O"}),
    ],
)
def test_systems_suit_the_elements(name, elements, composition):
    for size in (200, 1500):
        atoms = make_system(name, elements, size)
        assert set(atoms.get_chemical_symbols()) == composition
        assert atoms.pbc.all()
        assert 0.6 * size <= len(atoms) <= 1.5 * size
        assert atoms.cell.lengths().max() < 2.1 * atoms.cell.lengths().min()
    assert shortest(make_system(name, elements, 200)) > 0.7


def test_water_is_liquid_water():
    atoms = make_system("water", [1, 8], 600)
    density = atoms.get_masses().sum() * 1.66054 / atoms.get_volume()  # g/cm^3
    assert abs(density - 1.0) < 0.01
    oxygen = atoms.numbers == 8
    distances = atoms.get_all_distances(mic=True)[oxygen][:, ~oxygen]
    np.testing.assert_array_equal((distances < 1.3).sum(axis=1), 2)


def test_a_file_is_repeated_and_a_molecule_is_not(tmp_path):
    write(tmp_path / "cell.xyz", bulk("Si", cubic=True))
    atoms = make_system(str(tmp_path / "cell.xyz"), [14], 512)
    assert len(atoms) == 512
    np.testing.assert_allclose(atoms.cell.lengths(), 4 * 5.43)
    write(tmp_path / "molecule.xyz", molecule("H2O"))
    assert len(make_system(str(tmp_path / "molecule.xyz"), [1, 8], 512)) == 3


def test_systems_that_cannot_be_made(tmp_path):
    with pytest.raises(ArgumentError, match="system 'water': the model has no H, O; it knows Si"):
        make_system("water", [14], 100)
    with pytest.raises(ArgumentError, match=r"system 'none\.xyz': no such file"):
        make_system("none.xyz", [14], 100)
    with pytest.raises(ArgumentError, match="size: 0 atoms"):
        make_system("si", [14], 0)
    write(tmp_path / "empty.xyz", Atoms())
    with pytest.raises(ArgumentError, match="it has no atoms"):
        make_system(str(tmp_path / "empty.xyz"), [14], 10)


def test_a_unit_is_repeated_towards_a_cube():
    assert repeats(np.array([3.0, 6.0, 12.0]), 1, 64) == (8, 4, 2)
    assert repeats(np.array([30.0, 30.0, 30.0]), 1000, 10) == (1, 1, 1)


def test_atoms_move_as_in_dynamics():
    atoms = make_system("si", [14], 1000)
    motion = Motion(atoms)
    steps = np.diff([motion.next() for _ in range(20)], axis=0)
    # 300 K: sqrt(3 k T / m) over 1 fs.
    speed = np.sqrt(np.square(steps).sum(axis=2).mean())
    assert abs(speed - 0.00516) < 2e-4
    np.testing.assert_allclose(motion.at(2 * motion.TURN), atoms.positions)
    assert Motion(make_system("water", [1, 8], 100)).time_step_fs == 0.5


def test_lists_are_made_as_often_as_the_engine_makes_them():
    atoms = make_system("si", [14], 200)
    motion = Motion(atoms)
    for skin in (0.3, 0.5):
        neighbors = Neighbors(4.0, skin)
        first = neighbors.update(atoms.positions, atoms.cell.array, True).revision
        for step in range(1, 2 * motion.TURN + 1):
            last = neighbors.update(motion.at(step), atoms.cell.array, True).revision
        assert motion.list_interval(skin) == 2 * motion.TURN / (last - first)
    assert motion.list_interval(100.0) == np.inf


def timing(threads, seconds, ranks=1, atoms=1000):
    return Timing("lammps", atoms, "cpu", "mixed", "avx2", threads, ranks, 9, seconds, 0.1, None, 8)


def test_efficiency_compares_with_one_core():
    timings = [timing(1, 4e-6), timing(2, 2.5e-6), timing(2, 1e-6, ranks=2), timing(2, 1e-6, 1, 50)]
    found = [efficiency(t, timings) for t in timings]
    assert found[:3] == pytest.approx([1.0, 0.8, 1.0])
    assert found[3] is None
    lines = table(timings).splitlines()
    assert lines[1].split()[7:10] == ["4.000", "2.5e+05", "100"]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("host", ["engine", "ase"])
def test_a_case_is_measured(file, host):
    found = measure(file, Case(host, 100, engine="cpu", precision="double"), seconds=0.02)
    assert (found.host, found.engine, found.precision) == (host, "cpu", "double")
    assert (found.num_atoms, found.ranks, found.threads) == (96, 1, 1)
    info = zoo("small-Si").engine("cpu", "double").info
    assert found.simd == info.simd
    assert 1e-8 < found.time_per_atom < 1e-2
    assert found.atom_steps_per_second == pytest.approx(1 / found.time_per_atom)
    assert 0 <= found.list_fraction < 1
    assert found.steps >= 8
    assert found.memory_per_atom > 100


def test_the_time_is_that_of_the_engine(file):
    """As a plain loop finds it; within a factor, as other programs run here, too."""
    import time

    atoms = make_system("si", [14], 300)
    engine = Engine(zoo("small-Si").model, "reference", "double", threads=1)
    types = np.zeros(len(atoms), dtype=np.int32)
    spent = []
    for _ in range(3):
        begin = time.perf_counter()
        engine.compute_system(atoms.positions, types, atoms.cell.array, True, ["forces"])
        spent.append(time.perf_counter() - begin)
    case = Case("engine", 300, "si", engine="reference", precision="double")
    found = measure(file, case, seconds=0.05)
    assert 0.1 < found.time_per_atom * len(atoms) / min(spent) < 20


def test_a_molecule_is_measured(file, tmp_path):
    write(tmp_path / "cluster.xyz", Atoms("Si3", [[0, 0, 0], [0, 0, 2.4], [0, 2.4, 0]]))
    found = measure(file, Case("engine", 100, str(tmp_path / "cluster.xyz")), seconds=0.02)
    assert found.num_atoms == 3
    with pytest.raises(ArgumentError, match="not periodic in three directions"):
        measure(file, Case("lammps", 100, str(tmp_path / "cluster.xyz")))


def test_the_command_prints_and_writes(file, tmp_path, capsys):
    out, picture = tmp_path / "bench.json", tmp_path / "bench.png"
    options = ["--sizes", "20,60,61", "--precision", "mixed,double", "--seconds", "0.02"]
    assert cli.main(["bench", str(file), *options, "--json", str(out), "--plot", str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(cpu_name())
    assert lines[1].split()[0] == "host"
    assert len(lines) == 2 + 4  # 60 and 61 atoms are the same system
    found = json.loads(out.read_text())
    assert found["cpu"] == cpu_name()
    assert found["elements"] == ["Si"]
    assert [(t["num_atoms"], t["precision"]) for t in found["timings"]] == [
        (16, "mixed"),
        (64, "mixed"),
        (16, "double"),
        (64, "double"),
    ]
    for t in found["timings"]:
        assert t["us_per_atom_step"] * t["atom_steps_per_second"] == pytest.approx(1e6)
        assert t["efficiency"] == 1.0
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--host", "gpu"], "host: 'gpu', expected engine, ase, lammps"),
        (["--ranks", "1,2"], "ranks: 1,2 with host engine, expected host lammps alone"),
        (["--simd", "avx2", "--host", "ase"], "simd: 'avx2' with host ase"),
        (["--seconds", "0"], "seconds: 0, expected a positive number"),
        (["--plot", "a.gif"], "plot 'a.gif': expected a name ending in .png"),
        (["--system", "water"], "system 'water': the model has no H, O"),
        (["--engine", "gpu"], "gpu"),
        (["--host", "lammps", "--lmp", "no-lmp"], "lammps: no executable 'no-lmp'"),
    ],
)
def test_mistakes_are_told(file, capsys, options, text):
    assert cli.main(["bench", str(file), *options]) == 2
    assert text in capsys.readouterr().err


def test_sizes_are_whole_numbers(file, capsys):
    with pytest.raises(SystemExit):
        cli.main(["bench", str(file), "--sizes", "1,none"])
    assert "'1,none', expected whole numbers as in 1,2" in capsys.readouterr().err


@pytest.mark.lammps
def test_lammps_is_measured(file):
    try:
        executable = find_lmp()
    except LammpsMissing as missing:
        pytest.skip(str(missing))
    version = subprocess.run([executable, "-h"], capture_output=True, text=True, check=False)
    if "PLUGIN" not in version.stdout:
        pytest.skip(f"{executable} has no package PLUGIN")
    try:
        found = measure(file, Case("lammps", 100, ranks=2), seconds=0.05)
    except BackendError as missing:
        pytest.skip(str(missing))
    assert (found.host, found.num_atoms, found.ranks, found.threads) == ("lammps", 96, 2, 1)
    assert (found.engine, found.simd) == ("cpu", zoo("small-Si").engine("cpu").info.simd)
    assert 1e-8 < found.time_per_atom < 1e-1
    assert 0 <= found.list_fraction < 1
    assert found.steps >= 15


def test_nothing_here_needs_torch(file):
    script = (
        "import sys; from camlip import cli; "
        f"assert cli.main(['bench', {str(file)!r}, '--sizes', '20', '--seconds', '0.01']) == 0; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
