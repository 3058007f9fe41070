"""Fixtures for all tests.  Nothing heavy is imported here: a C++ or LAMMPS test needs no torch."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Two cores and several processes: one thread each unless a test asks for more.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# Tests say when they want a device; "auto" is the processor.
os.environ.setdefault("CAMLIP_BACKEND", "cpu")

ROOT = Path(__file__).resolve().parent.parent

ModelFactory = Callable[..., Path]


@pytest.fixture(scope="session")
def instruction_sets(random_model: "ModelFactory") -> list[str]:
    """Those of the backend ``cpu`` on this processor."""
    from camlip.engine import Model, simd_paths

    return simd_paths(Model(random_model()))


@pytest.fixture(params=["avx512", "avx2", "baseline"])
def every_simd(request, instruction_sets, monkeypatch: pytest.MonkeyPatch) -> str:
    """A test that asks for it runs with each instruction set, in whatever host it starts."""
    if request.param not in instruction_sets:
        pytest.skip(f"{request.param} is not an instruction set of this processor")
    monkeypatch.setenv("CAMLIP_SIMD", request.param)
    return request.param


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> ModelFactory:
    """Model files with random weights: ``random_model("small", "Si,O", cutoff=5.0, seed=0)``.

    Each is written once per session, by the documented command line.
    """
    folder = tmp_path_factory.mktemp("models")

    def make(
        preset: str = "small", elements: str = "Si,O", cutoff: float = 5.0, seed: int = 0
    ) -> Path:
        path = folder / f"{preset}-{elements.replace(',', '')}-{cutoff}-{seed}.pt"
        if not path.exists():
            options = ["--random", preset, "--elements", elements, "--cutoff", str(cutoff)]
            command = [sys.executable, "-m", "camlip.export", *options, "--seed", str(seed)]
            run = subprocess.run(
                [*command, "-o", str(path)], capture_output=True, text=True, check=False
            )
            assert run.returncode == 0, run.stdout + run.stderr
        return path

    return make
