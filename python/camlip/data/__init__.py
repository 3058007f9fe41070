"""Data: structures with labels, neighbor lists, batches, splits and stored data sets."""

from camlip.data.batch import Batch, BatchSampler, Item, collate
from camlip.data.checks import check_units
from camlip.data.dataset import (
    AnyDataset,
    Dataset,
    Subset,
    average_num_neighbors,
    shortest_distances,
)
from camlip.data.energies import force_rms, is_isolated_atom, reference_energies
from camlip.data.keys import LabelKeys, add_label_key_arguments, label_keys_from_args
from camlip.data.labels import structure_from_atoms
from camlip.data.neighbors import neighbor_list
from camlip.data.reading import fingerprint, iter_structures, read_structures
from camlip.data.splits import load_split, split, split_indices
from camlip.data.store import StoredDataset, prepare
from camlip.data.structure import DataError, Structure

__all__ = [
    "AnyDataset",
    "Batch",
    "BatchSampler",
    "DataError",
    "Dataset",
    "Item",
    "LabelKeys",
    "StoredDataset",
    "Structure",
    "Subset",
    "add_label_key_arguments",
    "average_num_neighbors",
    "check_units",
    "collate",
    "fingerprint",
    "force_rms",
    "is_isolated_atom",
    "iter_structures",
    "label_keys_from_args",
    "load_split",
    "neighbor_list",
    "prepare",
    "read_structures",
    "reference_energies",
    "shortest_distances",
    "split",
    "split_indices",
    "structure_from_atoms",
]
