"""What depends on the processor compiles for aarch64, too: no instruction set of x86 leaks."""

import json
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLCHAIN = ROOT / "scripts" / "aarch64-linux-gnu.cmake"
# cmake of PyPI lies beside the interpreter
CMAKE = shutil.which("cmake", path=sysconfig.get_path("scripts")) or shutil.which("cmake")


@pytest.mark.skipif(CMAKE is None, reason="cmake is missing")
@pytest.mark.skipif(
    shutil.which("aarch64-linux-gnu-g++") is None,
    reason="no compiler for aarch64, on Debian g++-aarch64-linux-gnu",
)
def test_the_kernels_compile_for_aarch64(tmp_path):
    assert CMAKE is not None
    off = [f"-DCAMLIP_{name}=OFF" for name in ("PYTHON", "LAMMPS", "OPENMM")]
    configure = [CMAKE, "-S", ROOT, "-B", tmp_path, f"-DCMAKE_TOOLCHAIN_FILE={TOOLCHAIN}", *off]
    configure += ["-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DCAMLIP_WERROR=ON"]
    configure += ["-G", "Unix Makefiles"]
    run = subprocess.run(configure, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr

    names = set()
    for entry in json.loads((tmp_path / "compile_commands.json").read_text()):
        source = Path(entry["file"])
        if source.parent.name not in ("cpu", "neighbors"):
            continue
        names.add(source.name)
        command = shlex.split(entry["command"])
        at = command.index("-o")
        command = [*command[:at], *command[at + 2 :], "-fsyntax-only"]
        run = subprocess.run(
            command, cwd=entry["directory"], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, f"{source}:\n{run.stderr}"
    assert {"kernels_baseline.cpp", "dispatch.cpp"} < names
    assert not [name for name in names if "avx" in name]
