"""The demo: train on the bundled water set, export one file, run it in its hosts, report.

Run by ``make demo``.  Leaves demo/model.pt, demo/results.json and demo/report.html.
"""

import argparse
import base64
import io
import json
import lzma
import os
import subprocess
import sys
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
from ase import Atoms
from ase.io import read, write

mpl.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
WATER = ROOT / "examples" / "water"
BIN = Path(sys.executable).parent
TEMPERATURE = 330  # K
OXYGEN_TYPE = 2


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def call(*arguments: object, **options: object) -> None:
    """Run a command of the environment, its output on the terminal; a failure ends the demo."""
    command = [str(argument) for argument in arguments]
    print("$", " ".join(Path(c).name if c.startswith("/") else c for c in command), flush=True)
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    environment["OMP_NUM_THREADS"] = str(options.pop("threads", 1))
    subprocess.run(command, check=True, env=environment, **options)  # type: ignore[call-overload]


def train(folder: Path, minutes: float) -> tuple[Path, float]:
    """Train for a fixed time; returns the best checkpoint and the seconds it took."""
    start = time.perf_counter()
    call(
        BIN / "camlip", "train", WATER / "train.yaml",
        "--set", f"run_dir={folder / 'training'}",
        "--set", f"train.max_minutes={minutes}",
        "--set", f"data.train={WATER / 'train.xyz.xz'}",
        "--set", f"data.test={WATER / 'test.xyz.xz'}",
        threads=os.cpu_count() or 1,
    )  # fmt: skip
    return folder / "training" / "best.ckpt", time.perf_counter() - start


def evaluate(model: Path) -> dict:
    output = subprocess.run(
        [BIN / "camlip", "evaluate", model, WATER / "test.xyz.xz", "--json", "-"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return json.loads(output)


def ase_results(model: Path, atoms: Atoms) -> dict:
    from camlip import MLIPCalculator

    atoms = atoms.copy()
    atoms.calc = MLIPCalculator(model, precision="double")
    return {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(),
    }


def openmm_results(model: Path, atoms: Atoms) -> dict:
    """Energy and forces from OpenMM, which has no stress of its own; {} without OpenMM."""
    from camlip.openmm_check import OpenMMMissing, reduced, run_openmm

    turned = reduced(atoms)
    if not np.allclose(turned.cell.array, atoms.cell.array):
        raise RuntimeError("the box of the demo's structure is not one that OpenMM takes")
    try:
        return run_openmm(model, atoms)
    except OpenMMMissing as error:
        print(f"left out: {error}")
        return {}


def frames(name: str) -> list[Atoms]:
    """Frames of a bundled file, unpacked first: ASE seeks, which is slow in a compressed file."""
    return read(io.StringIO(lzma.open(WATER / name, "rt").read()), ":", format="extxyz")


def liquid_frames(*names: str) -> list[Atoms]:
    """Periodic frames of the given files at the temperature of the run."""
    return [
        frame
        for name in names
        for frame in frames(name)
        if str(TEMPERATURE) in str(frame.info.get("config_type", "")) and frame.pbc.all()
    ]


def write_lammps(atoms: Atoms, path: Path) -> None:
    write(path, atoms, format="lammps-data", specorder=["H", "O"], masses=True, units="metal")


def lammps(deck: str, folder: Path, ranks: int) -> str:
    """Run a deck in ``folder`` and return its log."""
    (folder / "in.lammps").write_text(deck)
    command = [BIN / "lmp", "-in", "in.lammps", "-log", "log.lammps", "-screen", "none"]
    if ranks > 1:
        command = [BIN / "mpiexec", "-n", str(ranks), *command]
    call(*command, cwd=folder)
    return (folder / "log.lammps").read_text()


HEADER = """units metal
atom_style atomic
atom_modify map yes
newton on
read_data {data}
pair_style mlip precision {precision}
pair_coeff * * {model} H O
neighbor 1.0 bin
neigh_modify every 1 delay 0 check yes
"""


def lammps_results(model: Path, atoms: Atoms, folder: Path, ranks: int) -> dict:
    """Energy and forces of one structure from LAMMPS on a number of ranks."""
    folder.mkdir(parents=True, exist_ok=True)
    write_lammps(atoms, folder / "atoms.data")
    deck = HEADER.format(data="atoms.data", precision="double", model=model) + (
        "thermo_style custom step pe pxx pyy pzz pxy pxz pyz\n"
        "thermo_modify format float %.12g\n"
        "dump 1 all custom 1 forces.dump id fx fy fz\n"
        'dump_modify 1 sort id format float "%.12g"\n'
        "run 0\n"
    )
    log = lammps(deck, folder, ranks)
    lines = log.splitlines()
    row = lines[next(i for i, line in enumerate(lines) if line.split()[:1] == ["Step"]) + 1]
    values = [float(x) for x in row.split()]
    forces = np.loadtxt((folder / "forces.dump").read_text().splitlines()[9:])[:, 1:]
    bar = 1.602176634e6  # eV/A^3 in bar
    pxx, pyy, pzz, pxy, pxz, pyz = values[2:8]
    stress = -np.array([pxx, pyy, pzz, pyz, pxz, pxy]) / bar
    return {"energy": values[1], "forces": forces, "stress": stress}


def thermo(log: str) -> tuple[list[str], np.ndarray]:
    """Columns and rows of the last thermo table of a log."""
    header: list[str] = []
    rows: list[list[float]] = []
    inside = False
    for line in log.splitlines():
        words = line.split()
        if words[:1] == ["Step"]:
            header, rows, inside = words, [], True
        elif line.startswith("Loop time"):
            inside = False
        elif inside and len(words) == len(header):
            rows.append([float(x) for x in words])
    return header, np.array(rows)


def loop_time(log: str) -> float:
    """Seconds of the last run of a log."""
    lines = [line for line in log.splitlines() if line.startswith("Loop time of")]
    return float(lines[-1].split()[3])


def drift(model: Path, atoms: Atoms, folder: Path, ranks: int, picoseconds: float) -> dict:
    """Energy drift of 64 molecules at constant energy, after a short equilibration."""
    folder.mkdir(parents=True, exist_ok=True)
    write_lammps(atoms.repeat((2, 1, 1)), folder / "atoms.data")
    steps = int(picoseconds / 0.00025)
    deck = HEADER.format(data="atoms.data", precision="mixed", model=model) + (
        f"velocity all create {TEMPERATURE} 4711\n"
        "timestep 0.00025\n"
        f"fix nvt all langevin {TEMPERATURE} {TEMPERATURE} 0.05 815\n"
        "fix nve all nve\nrun 2000\nunfix nvt\n"
        "thermo 20\nthermo_style custom step temp etotal\n"
        "thermo_modify format float %.10g\n"
        f"run {steps}\n"
    )
    log = lammps(deck, folder, ranks)
    _, rows = thermo(log)
    times = (rows[:, 0] - rows[0, 0]) * 0.00025
    per_atom = rows[:, 2] / (2 * len(atoms))
    slope = np.polyfit(times, per_atom, 1)[0]
    return {"drift": abs(slope), "times": times, "energies": per_atom}


def liquid(model: Path, atoms: Atoms, folder: Path, ranks: int, picoseconds: float) -> dict:
    """512 molecules at 330 K: stability, speed and the oxygen-oxygen distribution."""
    folder.mkdir(parents=True, exist_ok=True)
    box = atoms.repeat((4, 2, 2))
    write_lammps(box, folder / "atoms.data")
    steps = int(picoseconds / 0.0005)
    deck = HEADER.format(data="atoms.data", precision="mixed", model=model) + (
        f"velocity all create {TEMPERATURE} 4712\n"
        "timestep 0.0005\n"
        f"fix nvt all langevin {TEMPERATURE} {TEMPERATURE} 0.1 816\n"
        "fix nve all nve\n"
        "comm_modify cutoff 9.0\n"
        f"compute rdf all rdf 140 {OXYGEN_TYPE} {OXYGEN_TYPE} cutoff 7.0\n"
        f"fix rdf all ave/time 20 {int(0.7 * steps) // 20} {steps} c_rdf[*] "
        "file rdf.dat mode vector\n"
        "thermo 100\nthermo_style custom step temp pe press\n"
        f"run {steps}\n"
    )
    log = lammps(deck, folder, ranks)
    _, rows = thermo(log)
    data = np.loadtxt((folder / "rdf.dat").read_text().splitlines()[4:])
    seconds = loop_time(log)
    half = rows[len(rows) // 3 :]
    return {
        "atoms": len(box),
        "ranks": ranks,
        "picoseconds": picoseconds,
        "temperature": float(half[:, 1].mean()),
        "largest_temperature": float(rows[:, 1].max()),
        "microseconds_per_atom_step": 1e6 * seconds / steps / len(box),
        "r": data[:, 1],
        "g": data[:, 2],
    }


def reference_distribution() -> np.ndarray:
    """Rows of distance, g(r) and its error of the reference method, from its own dynamics."""
    rows = np.loadtxt(WATER / "oo_distribution.csv", delimiter=",")
    return rows[rows[:, 0] > 2.0]


def picture(figure: plt.Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    return base64.b64encode(buffer.getvalue()).decode()


def plots(folder: Path, moving: dict, constant: dict) -> list[tuple[str, str]]:
    """(title, PNG in base64) of every plot of the report."""
    figures = []
    r, g, error = reference_distribution().T
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.errorbar(r, g, error, fmt="k.", label="GFN1-xTB, 32 molecules, 3 ps")
    axes.plot(moving["r"], moving["g"], label="camlip, 512 molecules, LAMMPS")
    axes.set(xlabel="O-O distance (Å)", ylabel="g(r)", xlim=(2, 7))
    axes.legend()
    figures.append((f"Oxygen-oxygen distribution at {TEMPERATURE} K", picture(figure)))
    figure, axes = plt.subplots(figsize=(6, 3))
    axes.plot(constant["times"], 1e3 * (constant["energies"] - constant["energies"][0]))
    axes.set(xlabel="time (ps)", ylabel="energy change (meV/atom)")
    figures.append(("Total energy at constant energy, 64 molecules, 0.25 fs", picture(figure)))
    for image in sorted((folder / "training").rglob("*.png")):
        title = image.stem.replace("_", " ").capitalize()
        figures.append((title, base64.b64encode(image.read_bytes()).decode()))
    return figures


def report(path: Path, rows: list[tuple[str, str]], figures: list[tuple[str, str]]) -> None:
    table = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in rows)
    images = "".join(
        f'<h2>{title}</h2><img alt="{title}" src="data:image/png;base64,{data}">'
        for title, data in figures
    )
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>camlip demo</title>"
        "<style>body{font:16px sans-serif;max-width:50em;margin:2em auto}"
        "td{padding:.2em 1em;border-bottom:1px solid #ccc}img{max-width:100%}</style>"
        f"<h1>camlip demo: liquid water</h1><table>{table}</table>{images}</html>"
    )


def table(errors: dict, agreement: dict, constant: dict, moving: dict) -> list[tuple[str, str]]:
    """Rows of the table of results."""
    energy, forces = errors["energy_per_atom"], errors["forces"]
    rows = [
        ("test configurations", str(errors["configurations"])),
        (
            "energy error, MAE / RMSE",
            f"{1e3 * energy['mae']:.2f} / {1e3 * energy['rmse']:.2f} meV/atom",
        ),
        (
            "force error, MAE / RMSE",
            f"{1e3 * forces['mae']:.1f} / {1e3 * forces['rmse']:.1f} meV/Å",
        ),
    ]
    for name, difference in agreement.items():
        rows.append(
            (
                f"{name} against ASE",
                f"energy {difference['energy']:.1e} eV, forces {difference['forces']:.1e} eV/Å"
                + (f", stress {difference['stress']:.1e} eV/Å³" if "stress" in difference else ""),
            )
        )
    return [
        *rows,
        ("energy drift, 64 molecules, 0.25 fs", f"{1e3 * constant['drift']:.4f} meV/atom/ps"),
        (
            f"{moving['atoms']} atoms at {TEMPERATURE} K for {moving['picoseconds']:g} ps",
            f"mean {moving['temperature']:.0f} K, highest {moving['largest_temperature']:.0f} K",
        ),
        (
            f"speed in LAMMPS, {moving['ranks']} ranks",
            f"{moving['microseconds_per_atom_step']:.1f} µs per atom and step",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "demo")
    parser.add_argument("--minutes", type=float, default=3.0, help="time to train")
    parser.add_argument("--picoseconds", type=float, default=10.0, help="length of the liquid run")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()

    say(f"training on {WATER.relative_to(ROOT)} for {arguments.minutes:g} minutes")
    checkpoint, training_seconds = train(folder, arguments.minutes)
    say("export to one file")
    model = folder / "model.pt"
    call(BIN / "python", "-m", "camlip.export", checkpoint, "-o", model)
    say("evaluation on the test set, with the exported model")
    errors = evaluate(model)

    say("the same structure in ASE and in LAMMPS on 1 and 2 ranks")
    structure = liquid_frames("test.xyz.xz")[0]
    ase = ase_results(model, structure)
    hosts = {
        ranks: lammps_results(model, structure, folder / f"lammps_{ranks}", ranks)
        for ranks in (1, 2)
    }
    agreement = {
        f"LAMMPS, {ranks} rank{'s' * (ranks > 1)}": {
            "energy": abs(host["energy"] - ase["energy"]),
            "forces": float(np.abs(host["forces"] - ase["forces"]).max()),
            "stress": float(np.abs(host["stress"] - ase["stress"]).max()),
        }
        for ranks, host in hosts.items()
    }
    say("the same structure in OpenMM")
    found = openmm_results(model, structure)
    if found:
        agreement["OpenMM"] = {
            "energy": abs(float(found["energy"]) - ase["energy"]),
            "forces": float(np.abs(found["forces"] - ase["forces"]).max()),
        }

    cores = os.cpu_count() or 1
    ranks = 2 if cores >= 2 else 1
    say("energy drift at constant energy")
    constant = drift(model, structure, folder / "drift", ranks, 2.0)
    say(f"512 molecules, {arguments.picoseconds:g} ps at {TEMPERATURE} K on {ranks} ranks")
    moving = liquid(model, structure, folder / "liquid", ranks, arguments.picoseconds)

    rows = table(errors, agreement, constant, moving)
    rows.insert(0, ("training", f"{training_seconds / 60:.1f} minutes"))
    rows.append(("all of it", f"{(time.perf_counter() - start) / 60:.1f} minutes"))
    report(folder / "report.html", rows, plots(folder, moving, constant))
    numbers = {
        "test_errors": errors,
        "agreement": agreement,
        "drift_eV_per_atom_ps": constant["drift"],
        "liquid": {key: value for key, value in moving.items() if key not in ("r", "g")},
        "training_seconds": training_seconds,
        "seconds": time.perf_counter() - start,
    }
    (folder / "results.json").write_text(json.dumps(numbers, indent=2))

    width = max(len(name) for name, _ in rows)
    say("results")
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    print(f"\nreport: {folder / 'report.html'}")


if __name__ == "__main__":
    main()
