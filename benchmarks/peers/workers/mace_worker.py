"""A MACE model with random weights through its ASE calculator."""

import importlib.metadata
import os
import warnings

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from ase import Atoms  # noqa: E402
from ase_calls import calls  # noqa: E402
from e3nn import o3  # noqa: E402
from mace import modules  # noqa: E402
from mace.calculators import MACECalculator  # noqa: E402
from protocol import serve  # noqa: E402


def random_mace(elements, cutoff, irreps):
    """Two interactions; readouts and sizes of the published models."""
    torch.manual_seed(1)
    count = len(elements)
    return modules.ScaleShiftMACE(
        r_max=cutoff,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        num_interactions=2,
        num_elements=count,
        hidden_irreps=o3.Irreps(irreps),
        MLP_irreps=o3.Irreps("16x0e"),
        gate=torch.nn.functional.silu,
        atomic_energies=np.zeros(count),
        avg_num_neighbors=50.0,
        atomic_numbers=elements,
        correlation=3,
        radial_type="bessel",
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )


def prepare(job):
    """Make the model and compute once."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    atoms = Atoms(**job["structure"])
    elements = sorted(set(atoms.numbers.tolist()))
    device = job.get("device", "cpu")
    model = random_mace(elements, job["cutoff"], job.get("irreps", f"{job['channels']}x0e"))
    atoms.calc = MACECalculator(
        models=[model.to(device)],
        device=device,
        default_dtype="float32",
        enable_cueq=job.get("cueq", False),
    )
    step, energy = calls(atoms, job)
    facts = {
        "version": f"mace-torch {importlib.metadata.version('mace-torch')}, torch "
        f"{torch.__version__}",
        "energy": energy,
    }
    return step, facts


if __name__ == "__main__":
    serve(prepare)
