"""How LAMMPS finds the plugin, and what happens when the two do not fit."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import lammps_driver as driver

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(structures, random_model, tmp_path):
    driver.write_data(tmp_path / "bulk.data", structures["bulk"])
    shutil.copy(random_model("small"), tmp_path / "model.pt")
    return tmp_path


DECK = """
units metal
atom_modify map yes
read_data bulk.data
pair_style mlip precision double
pair_coeff * * model.pt Si O
run 0
print "ENERGY $(pe:%.14g)"
"""


def energy(stdout: str) -> float:
    return float(stdout.split("ENERGY")[-1].split()[0])


def test_lmp_of_the_wheel_finds_the_plugin_by_itself(folder):
    if not driver.installed_with_entry_point():
        pytest.skip("camlip runs from the source tree; the entry point comes with pip install")
    lmp = shutil.which("lmp", path=sysconfig.get_path("scripts"))
    assert lmp
    (folder / "in.deck").write_text(DECK)
    clean = {k: v for k, v in os.environ.items() if k != "LAMMPS_PLUGIN_PATH"}
    done = subprocess.run(
        [lmp, "-in", "in.deck", "-log", "none"],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert energy(done.stdout) == pytest.approx(energy(driver.run(DECK, folder)), abs=1e-9)


def test_the_entry_point_imports_nothing_heavy():
    script = "import camlip.lammps, sys; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"torch", "ase", "numpy", "scipy"} & set(done.stdout.split())


def test_python_module(folder):
    script = f"""
from lammps import lammps
lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
lmp.commands_string('''{DECK}''')
energy = lmp.get_thermo("pe")
forces = lmp.numpy.extract_atom("f")
lmp.scatter_atoms("x", 1, 3, lmp.gather_atoms("x", 1, 3))
lmp.command("run 0")
assert abs(lmp.get_thermo("pe") - energy) < 1e-10
assert abs(forces[: lmp.extract_global("nlocal")]).max() > 1e-3
print("ENERGY", repr(energy))
lmp.close()
"""
    found = energy(driver.run_python(script, folder))
    assert found == pytest.approx(energy(driver.run(DECK, folder)), abs=1e-9)


def build_plugin(folder: Path, source_tree: Path) -> Path:
    """Builds the plugin alone, as a user with another LAMMPS does."""
    bin_directory = sysconfig.get_path("scripts")
    path = f"{bin_directory}{os.pathsep}{os.environ['PATH']}"
    cmake, mpicxx = shutil.which("cmake", path=path), shutil.which("mpicxx", path=bin_directory)
    if not (cmake and mpicxx and shutil.which("c++")):
        pytest.skip("needs cmake, a C++ compiler and the MPI of the lammps wheel")
    configure = [cmake, "-S", str(ROOT / "lammps_plugin"), "-B", str(folder)]
    options = {
        "LAMMPS_SOURCE_DIR": source_tree,
        "MPI_CXX_COMPILER": mpicxx,
        "Python_EXECUTABLE": sys.executable,
        "CMAKE_BUILD_TYPE": "Debug",
    }
    configure += [f"-D{name}={value}" for name, value in options.items()]
    for step in (configure, [cmake, "--build", str(folder), "-j", "2"]):
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "mlipplugin.so"


def source_tree(folder: Path, version: str) -> Path:
    """Something like the source tree of a LAMMPS: its headers and version.h."""
    headers = driver.lammps_package()
    assert headers
    shutil.copytree(headers / "include" / "lammps", folder / "src")
    (folder / "src" / "version.h").write_text(f'#define LAMMPS_VERSION "{version}"\n')
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("version", "fits"), [("22 Jul 2025", True), ("2 Aug 2023", False)])
def test_plugin_for_your_own_lammps(folder, tmp_path_factory, version, fits):
    tree = source_tree(tmp_path_factory.mktemp("tree") / "lammps", version)
    plugin = build_plugin(tmp_path_factory.mktemp("build"), tree)
    deck = f"plugin unload pair mlip\nplugin load {plugin}\n{DECK}"
    done = driver.run_raw(deck, folder)
    if fits:
        assert done.returncode == 0, done.stdout + done.stderr
        assert energy(done.stdout) == pytest.approx(energy(driver.run(DECK, folder)), abs=1e-9)
    else:
        assert done.returncode != 0
        message = (
            "the plugin was built for LAMMPS 2 Aug 2023 (20230802), but this LAMMPS is version"
        )
        assert f"{message} 20250722" in done.stdout
