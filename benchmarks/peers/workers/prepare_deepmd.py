"""A DeePMD model of water, se_e2_a with the settings of its water example: train, freeze, compress.

A few steps of training with made-up labels: time does not depend on the weights.
Usage: python prepare_deepmd.py FOLDER/compressed.pb < job.json
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np


def settings(cutoff, precision):
    """The example input, shorter."""
    return {
        "model": {
            "type_map": ["H", "O"],
            "descriptor": {
                "type": "se_e2_a",
                "sel": [92, 46],
                "rcut_smth": 0.5,
                "rcut": cutoff,
                "neuron": [25, 50, 100],
                "axis_neuron": 16,
                "resnet_dt": False,
                "type_one_side": True,
                "precision": precision,
                "seed": 1,
            },
            "fitting_net": {
                "neuron": [240, 240, 240],
                "resnet_dt": True,
                "precision": precision,
                "seed": 1,
            },
        },
        "learning_rate": {
            "type": "exp",
            "start_lr": 1e-3,
            "stop_lr": 1e-5,
            "decay_steps": 5,
        },
        "loss": {"type": "ener", "start_pref_e": 1, "limit_pref_e": 1},
        "training": {
            "training_data": {"systems": ["data"], "batch_size": 1},
            "numb_steps": 10,
            "disp_freq": 5,
            "save_freq": 10,
            "seed": 1,
        },
    }


def write_data(folder, structure):
    """One system with four frames of energies and forces of no meaning."""
    rng = np.random.default_rng(0)
    frames, count = 4, len(structure["numbers"])
    positions = np.array(structure["positions"]).reshape(1, -1)
    data = folder / "data" / "set.000"
    data.mkdir(parents=True, exist_ok=True)
    np.save(data / "coord.npy", positions + rng.normal(scale=0.05, size=(frames, 3 * count)))
    np.save(data / "box.npy", np.tile(np.array(structure["cell"]).ravel(), (frames, 1)))
    np.save(data / "force.npy", rng.normal(scale=0.1, size=(frames, 3 * count)))
    np.save(data / "energy.npy", rng.normal(size=frames))
    elements = [1, 8]
    types = [elements.index(z) for z in structure["numbers"]]
    (folder / "data" / "type.raw").write_text("\n".join(map(str, types)) + "\n")
    (folder / "data" / "type_map.raw").write_text("H\nO\n")


def main():
    """Make compressed.pb, and all else in its folder."""
    folder = Path(sys.argv[1]).parent
    job = json.load(sys.stdin)
    write_data(folder, job["structure"])
    (folder / "input.json").write_text(json.dumps(settings(job["cutoff"], job["precision"])))
    dp = str(Path(sys.executable).with_name("dp"))
    for command in (
        ["train", "input.json"],
        ["freeze", "-o", "frozen.pb"],
        ["compress", "-i", "frozen.pb", "-o", "compressed.pb"],
    ):
        subprocess.run([dp, *command], cwd=folder, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
