"""Who may include or import whom.  The rule is drawn in the README; this file enforces it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "camlip"
CPP_SUFFIXES = {".c", ".h", ".cpp", ".hpp", ".cu", ".cuh"}
C_STANDARD_HEADERS = {"stddef.h", "stdint.h"}


def includes(path: Path) -> list[tuple[str, str]]:
    """The (bracket, name) of every include of a file: ('<', 'vector'), ('"', 'model.hpp')."""
    return re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', path.read_text(), re.M)


def cpp_files(folder: str) -> list[Path]:
    return sorted(p for p in (ROOT / folder).rglob("*") if p.suffix in CPP_SUFFIXES)


def imports(path: Path, *, module_level_only: bool = False) -> set[str]:
    """Dotted names that a Python file imports, relative imports resolved to ``camlip...``."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if module_level_only else ast.walk(tree)
    names: set[str] = set()
    package = ("camlip", *path.relative_to(PACKAGE).parts[:-1])
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def python_files(folder: str = "") -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


def reaches(names: set[str], *targets: str) -> set[str]:
    return {n for n in names if any(n == t or n.startswith(t + ".") for t in targets)}


def test_the_api_header_needs_nothing_but_the_c_standard_library():
    found = includes(ROOT / "csrc" / "include" / "camlip.h")
    assert {name for _, name in found} <= C_STANDARD_HEADERS


@pytest.mark.parametrize("folder", ["csrc"])
def test_the_engine_includes_only_itself_and_the_standard_library(folder):
    own = {p.name for p in cpp_files("csrc")}
    # sys/mman.h: huge pages for the arena of the backend cpu; dlfcn.h: the backend cuda.
    intrinsics = {"immintrin.h", "omp.h", "cpuid.h", "sys/mman.h", "dlfcn.h"}
    for path in cpp_files(folder):
        for bracket, name in includes(path):
            if bracket == '"':
                assert Path(name).name in own, f"{path.name} includes {name}"
            else:
                standard = "/" not in name and "." not in name
                assert standard or name in C_STANDARD_HEADERS | intrinsics, f"{path}: {name}"


def test_plugins_see_the_engine_through_camlip_h_only():
    internal = {p.name for p in cpp_files("csrc")} - {"camlip.h"}
    for folder in ("lammps_plugin", "openmm_plugin"):
        for path in cpp_files(folder):
            used = {Path(name).name for _, name in includes(path)}
            assert not used & internal, f"{path.name} includes {used & internal}"
    binding = PACKAGE / "_engine.cpp"
    assert not {Path(name).name for _, name in includes(binding)} & internal


def test_model_files_do_not_know_architectures_and_architectures_do_not_know_backends():
    for path in sorted((ROOT / "csrc").glob("model_file.*")):
        assert not [n for _, n in includes(path) if "architectures/" in n or "model.hpp" in n]
    for path in cpp_files("csrc/architectures"):
        assert not [n for _, n in includes(path) if "cpu/" in n or "reference/" in n]


def test_mpi_and_cuda_stay_in_their_folders():
    for path in cpp_files("csrc") + cpp_files("cuda"):
        assert "mpi.h" not in {name for _, name in includes(path)}, path
    others = [p for p in cpp_files("openmm_plugin") if p.parent.name != "cuda"]
    for path in cpp_files("csrc") + cpp_files("lammps_plugin") + others:
        names = {n for _, n in includes(path)} - {"cuda_library.hpp"}  # opens the one of cuda/
        assert not [n for n in names if n.startswith("cuda")], path


def test_nn_imports_torch_and_nothing_of_the_package_but_itself():
    for path in python_files("nn"):
        names = imports(path)
        assert not reaches(names, "camlip") - reaches(names, "camlip.nn"), path


def test_training_reaches_the_engine_through_one_module():
    """``train/engine.py``, imported when asked; ``camlip evaluate`` takes exported models too."""
    for folder in ("nn", "models", "train", "data"):
        for path in python_files(folder):
            if path == PACKAGE / "train" / "engine.py":
                continue
            lazy_allowed = path.name == "evaluation.py"
            names = imports(path, module_level_only=lazy_allowed)
            assert not reaches(names, "camlip._engine", "camlip.engine"), path
            always = imports(path, module_level_only=True)
            # The backend is imported where it is chosen.
            if path.name != "engine_backend.py":
                assert not reaches(always, "camlip.train.engine", "camlip.train.engine_backend"), (
                    path
                )


def test_engine_and_calculator_do_not_need_torch():
    names = (
        "engine.py",
        "calculator.py",
        "__init__.py",
        "lammps/__init__.py",
        "openmmml_potential.py",
        "openmmml_impl.py",
    )
    for name in (*names, "openmm/__init__.py", "openmm/force.py"):
        names = imports(PACKAGE / name, module_level_only=True)
        forbidden = ("torch", "camlip.nn", "camlip.models", "camlip.train", "camlip.data")
        assert not reaches(names, *forbidden), name


def test_every_cpp_file_names_its_license():
    for folder, license_name in (
        ("csrc", "MIT"),
        ("cuda", "MIT"),
        ("tests", "MIT"),
        ("openmm_plugin", "MIT"),
        ("lammps_plugin", "GPL-2.0-only"),
    ):
        for path in cpp_files(folder):
            head = path.read_text()[:200]
            assert f"SPDX-License-Identifier: {license_name}" in head, path


def test_test_files_have_names_of_their_own():
    """Two of one name in different folders stop pytest when both are collected, not before."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))
