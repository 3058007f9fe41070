"""A MACE model with random weights in the format of symmetrix-xl.

Usage: python prepare_symmetrix.py MODEL.json < job.json
"""

import json
import sys
from pathlib import Path

import torch
from ase import Atoms
from mace_worker import random_mace
from symmetrix.extract_mace_data import extract_mace_data


def main():
    """Make the model and convert it."""
    job = json.load(sys.stdin)
    path = Path(sys.argv[1])
    elements = sorted(set(Atoms(**job["structure"]).numbers.tolist()))
    torch.set_default_dtype(torch.float64)
    model = path.with_suffix(".model")
    torch.save(random_mace(elements, job["cutoff"], f"{job['channels']}x0e"), model)
    path.write_text(json.dumps(extract_mace_data(str(model))))


if __name__ == "__main__":
    main()
