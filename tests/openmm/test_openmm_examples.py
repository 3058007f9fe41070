"""Every example in examples/openmm runs, at small length."""

import io
import lzma
import os
import subprocess
import sys
from pathlib import Path

import openmm
import pytest
from ase.io import read

from camlip.openmm import MLIPForce

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "openmm"


def run(script: str, folder: Path, *arguments: object) -> str:
    # A checkout on PYTHONPATH is not installed: its entry point comes from this folder.
    entry = folder / "site" / "camlip_checkout-0.dist-info"
    entry.mkdir(parents=True)
    (entry / "METADATA").write_text("Metadata-Version: 2.1\nName: camlip-checkout\nVersion: 0\n")
    line = "camlip = camlip.openmmml_potential:CamlipPotentialImplFactory"
    assert line.replace("= ", '= "') + '"' in (ROOT / "pyproject.toml").read_text()
    (entry / "entry_points.txt").write_text(f"[openmmml.potentials]\n{line}\n")
    paths = [os.environ.get("PYTHONPATH", ""), str(entry.parent)]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_names_every_file():
    readme = (EXAMPLES / "README.md").read_text()
    for path in EXAMPLES.iterdir():
        assert path.name == "README.md" or f"`{path.name}`" in readme, path.name


def test_water_at_constant_pressure(water_model, tmp_path):
    options = ["--molecules", 24, "--steps", 20, "--interval", 5, "--time-step", 0.1]
    stdout = run("water_npt.py", tmp_path, water_model, *options)
    assert stdout.startswith("density ")
    assert (tmp_path / "water_npt.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("ensemble", [[], ["--nve"]])
def test_a_solvated_molecule(random_model, tmp_path, ensemble):
    pytest.importorskip("openmmml", reason="openmmml is not installed")
    model = random_model("small", "H,C,N,O", cutoff=4.0)
    options = ["--steps", 20, "--interval", 10, "--padding", 0.6, "--time-step", 0.1]
    stdout = run("mixed_alanine.py", tmp_path, model, *options, *ensemble)
    assert "22 of " in stdout
    system = openmm.XmlSerializer.deserialize((tmp_path / "mixed_alanine.xml").read_text())
    (force,) = (f for f in system.getForces() if MLIPForce.isinstance(f))
    assert len(MLIPForce.cast(force).getParticles()) == 22
    assert (tmp_path / "mixed_alanine.dcd").stat().st_size > 0


def test_the_bundled_set_is_what_the_readme_says():
    for name, frames in (("train", 360), ("test", 45)):
        # Unpacked first: ASE seeks, which is slow in a compressed file.
        text = lzma.decompress((EXAMPLES / f"{name}.xyz.xz").read_bytes()).decode()
        images = read(io.StringIO(text), ":", format="extxyz")
        assert len(images) == frames
        assert {len(atoms) for atoms in images} == {22}
        assert all("REF_energy" in atoms.info for atoms in images)
