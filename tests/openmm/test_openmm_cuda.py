"""The kernel of the platform CUDA in OpenMM's own CUDA platform, over stand-in driver libraries.

Needs the wheel of openmm-cuda-13 without its dependencies, which `make` fetches to
build/openmm-cuda (2 MB), and a C++ compiler.  The second half also takes the engine's emulated
device (`make test-cpp`) and compiles the plugin for the host: positions and forces then go through
OpenMM's arrays as they would on a device.
"""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import openmm
import pytest

import camlip
from camlip.openmm import MLIPForce
from openmm_tools import (
    context_of,
    disordered,
    make_context,
    make_force,
    make_system,
    results,
    structures,
)

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = Path(camlip.__file__).parent / "openmm" / "libCamlipOpenMMCUDA.so"
WHEELS = ROOT / "build" / "openmm-cuda"
STAND_INS = {
    "libcuda.so.1": None,
    "libnvrtc.so.13": "libnvrtc.so.13",
    "libcufft.so.12": "libcufft.so.12",
}

# Run with the platform's library and a model: OpenMM loads the former as if it had found it.
SCRIPT = """
import sys
import openmm
openmm.Platform.loadPluginLibrary(sys.argv[1])
from camlip.openmm import MLIPForce
platform = openmm.Platform.getPlatformByName("CUDA")
print("kernel", platform.supportsKernels(["CalcMLIPForce"]))

def context(**options):
    system = openmm.System()
    for _ in range(3):
        system.addParticle(16)
    force = MLIPForce(sys.argv[2], elements=["Si", "O", "O"], periodic=False, **options)
    system.addForce(force)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform,
                             {"Precision": sys.argv[3]})
    context.setPositions([openmm.Vec3(0.16 * i, 0.02 * i * i, 0) for i in range(3)])
    return force, context

for options in ({}, {"backend": "reference"}):
    force, made = context(**options)
    print("engine", force.getEngine(made))
    total = made.getState(energy=True).getPotentialEnergy()._value
    print("energy", abs(total / sum(force.getAtomicEnergies(made)._value) - 1) < 1e-6)
try:
    context(backend="cuda")
except openmm.OpenMMException as error:
    print("error", error)
"""


@pytest.fixture(scope="session")
def cuda_platform(tmp_path_factory) -> tuple[Path, Path]:
    """OpenMM's library for CUDA, and a folder of stand-ins for what it needs."""
    version = openmm.version.short_version
    wheels = sorted(WHEELS.glob(f"openmm_cuda_13-{version}-*.whl"))
    if not PLUGIN.exists():
        pytest.skip("camlip was built without nvcc")
    if not wheels:
        pytest.skip(
            f"no wheel of openmm-cuda-13 {version} in build/openmm-cuda; see make openmm-cuda"
        )
    folder = tmp_path_factory.mktemp("cuda")
    with zipfile.ZipFile(wheels[0]) as wheel:
        library = wheel.extract("OpenMM.libs/lib/plugins/libOpenMMCUDA.so", folder)
    source, compiled = Path(__file__).parent / "stand_ins" / "driver.cpp", folder / "driver.o"
    subprocess.run(["g++", "-O1", "-fPIC", "-c", "-o", compiled, source], check=True)
    for name, version in STAND_INS.items():
        command = ["g++", "-shared", "-o", folder / name, compiled, f"-Wl,-soname,{name}"]
        if version:
            script = folder / f"{name}.map"
            script.write_text(version + " { *; };\n")
            command.append(f"-Wl,--version-script={script}")
        subprocess.run(command, check=True)
    return Path(library), folder


@pytest.mark.parametrize("precision", ["single", "mixed", "double"])
def test_openmm_takes_the_kernel_and_the_host_steps_in_without_a_device(
    cuda_platform, model, precision
):
    library, folder = cuda_platform
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, library, model, precision],
        env={"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "kernel True"
    assert lines[1:5] == ["engine cpu", "energy True", "engine reference", "energy True"]
    assert lines[5].startswith("error MLIPForce: backend 'cuda': no CUDA device (")
    # Said once, for the Context that would have used the device.
    assert done.stderr.startswith("MLIPForce: backend 'cuda': no CUDA device (")
    assert done.stderr.endswith("; platform CUDA: the model runs on the host\n")
    assert done.stderr.count("\n") == 1


EMULATED = ROOT / "build" / "cpp" / "tests" / "cpp" / "emulated" / "libcamlip_cuda.so"
# A System of each file, evaluated twice or more at the positions that follow.
EMULATED_SCRIPT = """
import json, sys
import numpy as np
import openmm
from openmm import unit
openmm.Platform.loadPluginLibrary(sys.argv[1])
from camlip.openmm import MLIPForce, KJ_PER_MOL_PER_EV, NM_PER_ANGSTROM
openmm.Platform.loadPluginLibrary(sys.argv[2])
platform = openmm.Platform.getPlatformByName("CUDA")
job = json.load(sys.stdin)
system = openmm.XmlSerializer.deserialize(job["system"])
force = MLIPForce.cast(next(f for f in system.getForces() if MLIPForce.isinstance(f)))
context = openmm.Context(
    system, openmm.VerletIntegrator(0.001), platform, {"Precision": job["precision"]}
)
answer = {"engine": force.getEngine(context), "energies": [], "forces": [], "atoms": []}
for positions, scale in zip(job["positions"], job["scales"]):
    context.setPositions(np.array(positions) * NM_PER_ANGSTROM)
    if "scale" in context.getParameters():
        context.setParameter("scale", scale)
    state = context.getState(forces=True, groups={0})
    energy = context.getState(energy=True, groups={0}).getPotentialEnergy()
    forces = state.getForces(asNumpy=True)
    forces = forces.value_in_unit(unit.kilojoules_per_mole / unit.nanometer)
    answer["energies"].append(energy.value_in_unit(unit.kilojoules_per_mole) / KJ_PER_MOL_PER_EV)
    answer["forces"].append((forces / KJ_PER_MOL_PER_EV * NM_PER_ANGSTROM).tolist())
    energies = force.getAtomicEnergies(context).value_in_unit(unit.kilojoules_per_mole)
    answer["atoms"].append((energies / KJ_PER_MOL_PER_EV).tolist())
print(json.dumps(answer))
"""


@pytest.fixture(scope="session")
def emulated(cuda_platform, tmp_path_factory):
    """Runs a System on OpenMM's CUDA platform with everything of ours on the host."""
    homes = [Path(shutil.which("nvcc") or "").resolve().parent.parent, Path("/usr/local/cuda")]
    headers = next((h / "include" for h in homes if (h / "include" / "cuda.h").exists()), None)
    if not EMULATED.exists():
        pytest.skip("the emulated device is not built: make test-cpp")
    if headers is None:
        pytest.skip("the headers of CUDA are missing")
    library, stand_ins = cuda_platform
    folder = tmp_path_factory.mktemp("emulated")
    package = Path(camlip.__file__).parent
    (folder / "libcamlip.so").symlink_to(package / "lib" / "libcamlip.so")
    (folder / "libcamlip_cuda.so").symlink_to(EMULATED)
    plugin, source = folder / "libEmulated.so", ROOT / "openmm_plugin" / "cuda"
    own = Path(__file__).parent / "stand_ins"
    root = Path(openmm.version.openmm_library_path)
    command = ["g++", "-std=c++17", "-O1", "-fPIC", "-shared", "-U_FORTIFY_SOURCE", "-o", plugin]
    command += ["-x", "c++", source / "arrays.cu", source / "kernel.cpp", "-x", "none", f"-I{own}"]
    command += [f"-I{ROOT / path}" for path in ("openmm_plugin/cuda", "cuda", "tests/cpp")]
    command += [f"-I{ROOT / 'csrc/include'}", "-isystem", root.parent / "include"]
    command += ["-isystem", headers, f"-L{package / 'openmm'}", "-lCamlipOpenMM"]
    command += [f"-L{root}", "-lOpenMM", f"-L{package / 'lib'}", "-lcamlip"]
    command += ["-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined", library]
    subprocess.run([str(word) for word in command], check=True)

    def run(system, precision, positions, scales=None):
        job = {
            "system": openmm.XmlSerializer.serialize(system),
            "precision": precision,
            "positions": [np.asarray(p).tolist() for p in positions],
            "scales": scales or [1.0] * len(positions),
        }
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", EMULATED_SCRIPT, library, plugin],
            input=json.dumps(job),
            env={
                "LD_LIBRARY_PATH": f"{folder}:{stand_ins}",
                "PYTHONPATH": ":".join(sys.path),
                "PATH": "/usr/bin",
                "CAMLIP_EMULATED_IMMEDIATE": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout.splitlines()[-1])
        assert answer["engine"] == "cuda"
        return [
            (energy, np.array(forces), np.array(atoms))
            for energy, forces, atoms in zip(
                answer["energies"], answer["forces"], answer["atoms"], strict=True
            )
        ]

    return run


ON_DEVICE = {"precision": "double", "backend": "auto"}


def check(found, expected, limit):
    energy, forces, atoms = found
    exact, exact_forces = expected
    assert energy == pytest.approx(exact, abs=limit * len(atoms))
    assert np.sum(atoms) == pytest.approx(energy, rel=1e-7)
    scale = np.abs(exact_forces).max()
    np.testing.assert_allclose(forces, exact_forces, rtol=0, atol=20 * limit * scale)


# Float positions of nm have 1e-7 of their size.
LIMITS = {"single": 1e-4, "mixed": 1e-9, "double": 1e-9}
CASES = [(name, "mixed") for name in structures()]
CASES += [(name, other) for name in ("triclinic", "not periodic") for other in ("single", "double")]


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_numbers_are_those_of_reference(emulated, model, name, precision):
    limit = LIMITS[precision]
    atoms = structures()[name]
    system = make_system(atoms)
    system.addForce(make_force(model, atoms, **ON_DEVICE))
    exact = results(context_of(model, atoms, "Reference"))
    # The first step, a recorded one, replayed ones; and atoms that jump.
    moved = atoms.copy()
    moved.positions += np.random.default_rng(4).uniform(-0.3, 0.3, atoms.positions.shape)
    found = emulated(system, precision, [atoms.positions] * 3 + [moved.positions])
    for each in found[:3]:
        check(each, exact, limit)
    check(found[3], results(context_of(model, moved, "Reference")), limit)


@pytest.mark.parametrize("periodic", [True, False])
def test_a_part_of_a_system_whose_atoms_openmm_sorts_and_wraps(emulated, model, periodic):
    atoms = disordered((6, 6, 6), spacing=3.0, tilt=0.2)
    rng = np.random.default_rng(6)
    atoms.positions += np.repeat(rng.integers(-2, 3, (8, 3)), 27, axis=0) @ atoms.cell.array
    part = np.sort(rng.choice(27, 20, replace=False)).tolist()  # close together, outside the box
    system = make_system(atoms, mass=30.0)
    symbols = [int(atoms.numbers[i]) for i in part]
    force = MLIPForce(model, elements=symbols, particles=part, periodic=periodic, **ON_DEVICE)
    system.addForce(force)
    others = openmm.NonbondedForce()
    others.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    others.setCutoffDistance(0.7)
    others.setForceGroup(1)
    for _ in atoms:
        others.addParticle(0.0, 0.22, 0.2)
    system.addForce(others)
    found = emulated(system, "mixed", [atoms.positions] * 2)
    exact = results(make_context(system, atoms.positions, "Reference"), groups={0})
    for each in found:
        check(each, exact, 1e-7)


def test_the_scale_parameter(emulated, model):
    atoms = disordered((2, 2, 2))
    system = make_system(atoms)
    system.addForce(make_force(model, atoms, **ON_DEVICE, scaleParameter="scale"))
    exact, exact_forces = results(context_of(model, atoms, "Reference"))
    scales = [1.0, 0.25, 0.0]
    found = emulated(system, "mixed", [atoms.positions] * 3, scales)
    for scale, (energy, forces, atomic) in zip(scales, found, strict=True):
        assert energy == pytest.approx(scale * exact, abs=1e-8)
        np.testing.assert_allclose(forces, scale * exact_forces, rtol=0, atol=1e-7)
        assert np.sum(atomic) == pytest.approx(exact, rel=1e-9)
