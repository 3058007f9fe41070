"""An Allegro model with random weights, compiled ahead of time by AOTInductor for its calculator.

Usage: python prepare_allegro.py MODEL.nequip.pt2 < job.json
"""

import json
import sys
import warnings

warnings.simplefilter("ignore")

from allegro.model import AllegroModel  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.data import chemical_symbols  # noqa: E402
from nequip.data import AtomicDataDict, from_ase  # noqa: E402
from nequip.data.transforms import (  # noqa: E402
    ChemicalSpeciesToAtomTypeMapper,
    NeighborListTransform,
)
from nequip.scripts._compile_utils import COMPILE_TARGET_DICT  # noqa: E402
from nequip.utils.aot import aot_export_model  # noqa: E402
from nequip.utils.global_state import get_latest_global_state, set_global_state  # noqa: E402
from torch.export import Dim  # noqa: E402


def random_allegro(elements, cutoff, neighbors, job):
    """The sizes of the job; everything else as in the tutorial of Allegro."""
    features = job["features"]
    return AllegroModel(
        seed=1,
        model_dtype="float32",
        type_names=elements,
        r_max=cutoff,
        radial_chemical_embed={
            "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
            "num_bessels": 8,
            "bessel_trainable": False,
            "polynomial_cutoff_p": 6,
        },
        radial_chemical_embed_dim=features,
        scalar_embed_mlp_hidden_layers_width=features,
        l_max=job["l_max"],
        num_layers=job["layers"],
        num_scalar_features=features,
        num_tensor_features=features,
        allegro_mlp_hidden_layers_width=features,
        readout_mlp_hidden_layers_width=features,
        avg_num_neighbors=neighbors,
        per_type_energy_scales=1.0,
        per_type_energy_shifts=0.0,
    )


def main():
    """Make the model and compile it."""
    job = json.load(sys.stdin)
    set_global_state(allow_tf32=False)
    atoms = Atoms(**job["structure"])
    if not atoms.pbc.any():  # the calculator's target has stress, compared after compilation
        atoms.center(vacuum=10.0)
        atoms.pbc = True
    elements = [chemical_symbols[z] for z in sorted(set(atoms.numbers.tolist()))]
    data = from_ase(atoms)
    for transform in (
        ChemicalSpeciesToAtomTypeMapper(elements),
        NeighborListTransform(r_max=job["cutoff"]),
    ):
        data = transform(data)
    edges = data[AtomicDataDict.EDGE_INDEX_KEY].shape[1]
    model = random_allegro(elements, job["cutoff"], edges / len(atoms), job)
    target = COMPILE_TARGET_DICT["ase"]
    limits = {
        "graph": Dim.STATIC,
        "node": Dim("num_nodes", min=2),
        "edge": Dim("num_edges", min=2),
    }
    metadata = model.metadata | get_latest_global_state(only_metadata_related=True)
    metadata = {k: str(int(v)) if isinstance(v, bool) else v for k, v in metadata.items()}
    aot_export_model(
        model=model,
        device="cpu",
        input_fields=target["input"],
        output_fields=target["output"],
        data=target["data_settings"](data),
        batch_map=limits,
        output_path=sys.argv[1],
        inductor_configs={"aot_inductor.metadata": metadata},
    )


if __name__ == "__main__":
    main()
