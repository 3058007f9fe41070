"""The kernel of the platform CUDA in OpenMM's own CUDA platform, over stand-in driver libraries.

Needs the wheel of openmm-cuda-13 without its dependencies, which `make` fetches to
build/openmm-cuda (2 MB), and a C++ compiler.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

import openmm
import pytest

import camlip

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
