"""Training steps of MACE (mace-torch), random weights: how many atoms a second.

Energies and forces, AdamW, float32: the step of mace-torch itself.  Runs in the environment of the
peer `mace` and prints one line of JSON at the end: ``atoms_per_second`` and what it was measured
on.  Time is processor time with one thread, else wall time.

Example:
    python mace_training_worker.py batch.xyz --batch-size 4 --threads 1
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import time
import warnings

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
warnings.simplefilter("ignore")

import ase.io  # noqa: E402
import torch  # noqa: E402
from mace import data, modules, tools  # noqa: E402
from mace.tools import torch_geometric  # noqa: E402
from mace.tools.train import take_step  # noqa: E402
from mace_worker import random_mace  # noqa: E402

KEYS = data.KeySpecification({"energy": "REF_energy"}, {"forces": "REF_forces"})
CPU = torch.device("cpu")
OUTPUTS = {"forces": True, "virials": False, "stress": False}
WARM_UP = 2


def batches(file, size, cutoff):
    """All frames of an extended XYZ file in batches, and the elements in them."""
    frames = ase.io.read(file, ":", format="extxyz")
    for number, atoms in enumerate(frames):
        if "REF_energy" not in atoms.info or "REF_forces" not in atoms.arrays:
            raise SystemExit(f"'{file}': frame {number} has no REF_energy or no REF_forces")
    elements = sorted({int(z) for atoms in frames for z in atoms.numbers})
    table = tools.AtomicNumberTable(elements)
    loader = torch_geometric.dataloader.DataLoader(
        [
            data.AtomicData.from_config(data.config_from_atoms(atoms, KEYS), table, cutoff)
            for atoms in frames
        ],
        batch_size=size or len(frames),
        shuffle=False,
    )
    return list(loader), elements


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", help="extended XYZ with REF_energy and REF_forces")
    parser.add_argument("--batch-size", type=int, default=0, help="structures; 0: the whole file")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10, help=f"measured, after {WARM_UP}")
    parser.add_argument("--cutoff", type=float, default=5.0, help="Angstrom")
    parser.add_argument("--channels", type=int, default=128, help="scalar channels, two layers")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_default_dtype(torch.float32)
    loaded, elements = batches(arguments.file, arguments.batch_size, arguments.cutoff)
    model = random_mace(elements, arguments.cutoff, f"{arguments.channels}x0e")
    loss = modules.WeightedEnergyForcesLoss(energy_weight=1.0, forces_weight=100.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-6)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    rates, losses = [], []
    for step in range(WARM_UP + arguments.steps):
        batch = loaded[step % len(loaded)]
        start = clock()
        value, _ = take_step(model, loss, batch, optimizer, None, OUTPUTS, 10.0, CPU)
        rates.append(batch.num_nodes / (clock() - start))
        losses.append(float(value))
    found = {
        "atoms_per_second": statistics.median(rates[WARM_UP:]),
        "clock": clock.__name__,
        "version": f"mace-torch {importlib.metadata.version('mace-torch')}, "
        f"torch {torch.__version__}",
        "threads": arguments.threads,
        "steps": arguments.steps,
        "atoms_per_batch": [int(batch.num_nodes) for batch in loaded],
        "edges_per_batch": [int(batch.edge_index.shape[1]) for batch in loaded],
        "parameters": sum(p.numel() for p in model.parameters()),
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
