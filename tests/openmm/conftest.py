"""Structures and Contexts for the OpenMM tests."""

import importlib.util
import os
from pathlib import Path

import pytest

# Of the CPU platform where a test does not say it.
os.environ.setdefault("OPENMM_CPU_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.openmm)
            item.add_marker(pytest.mark.skipif(not INSTALLED, reason="openmm is not installed"))


# The folder of these tests is a namespace package of the same name.
_spec = importlib.util.find_spec("openmm")
INSTALLED = _spec is not None and _spec.origin is not None
if not INSTALLED:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def model(random_model) -> Path:
    """Si and O, one layer of messages, a cutoff that makes small boxes small."""
    return random_model("small", "Si,O", cutoff=5.0)


@pytest.fixture(scope="session")
def water_model(random_model) -> Path:
    return random_model("small", "O,H", cutoff=4.0)


@pytest.fixture(params=["Reference", "CPU", "generic path"])
def platform(request, monkeypatch) -> str:
    """Our kernel on two platforms, and OpenMM's kernel, which serves all other platforms."""
    if request.param == "generic path":
        monkeypatch.setenv("CAMLIP_OPENMM_GENERIC", "1")
        return "CPU"
    return request.param
