"""A compiled Allegro model through the ASE calculator of nequip."""

import importlib.metadata
import warnings

warnings.simplefilter("ignore")

import torch  # noqa: E402
from ase import Atoms  # noqa: E402
from ase_calls import calls  # noqa: E402
from nequip.integrations.ase import NequIPCalculator  # noqa: E402
from protocol import serve  # noqa: E402


def prepare(job):
    """Load the model and compute once."""
    torch.set_num_threads(1)
    atoms = Atoms(**job["structure"])
    atoms.calc = NequIPCalculator.from_compiled_model(
        job["model"], device="cpu", chemical_species_to_atom_type_map=True
    )
    step, energy = calls(atoms, job)
    versions = (
        f"{name} {importlib.metadata.version(name)}" for name in ("nequip", "nequip-allegro")
    )
    return step, {
        "version": f"{', '.join(versions)}, torch {torch.__version__}",
        "energy": energy,
    }


if __name__ == "__main__":
    serve(prepare)
