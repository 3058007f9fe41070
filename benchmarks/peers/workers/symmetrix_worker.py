"""A MACE model through the ASE calculator of symmetrix-xl, which compiles kernels for the model.

``SYMMETRIX_BACKEND`` and ``SYMMETRIX_JIT_CACHE`` come from the environment.
"""

import importlib.metadata
import os

from ase import Atoms
from ase_calls import calls
from protocol import serve
from symmetrix import Symmetrix


def prepare(job):
    """Load the model, compile what is not in the cache, and compute once."""
    atoms = Atoms(**job["structure"])
    atoms.calc = Symmetrix(
        job["model"],
        dtype="float32",
        execution_profile="speed",
        neighbor_skin=job["skin"],
    )
    step, energy = calls(atoms, job)
    return step, {
        "version": f"symmetrix-xl {importlib.metadata.version('symmetrix-xl')}",
        "backend": os.environ.get("SYMMETRIX_BACKEND"),
        "compiled": atoms.calc.jit_status,
        "energy": energy,
    }


if __name__ == "__main__":
    serve(prepare)
