"""The model as a TorchScript module of its own: positions in, energies and forces out."""

from io import BytesIO

import torch
from torch import Tensor, nn

from camlip.model_file import ENTRY


class ExportedModel(nn.Module):
    r"""What ``torch.jit.load("model.pt")`` returns; needs torch and no other package.

    The precision is that of the parameters: float64 as exported by default, float32 after
    ``.float()``.  Positions and shifts may be float32 or float64 and are subtracted as they are.

    ``forward(positions, atomic_numbers, edge_index, edge_shifts)``

    * ``positions``: (N, 3) Angstrom.
    * ``atomic_numbers``: (N,) int64; an element that the model does not know is an error.
    * ``edge_index``: (2, E) int64, centers i and neighbors j of a full neighbor list, in any
      order; pairs beyond the cutoff are allowed and add nothing.
    * ``edge_shifts``: (E, 3) Angstrom, the lattice translation of each edge (not whole numbers):
      :math:`r_{ij} = r_j - r_i + \text{shift}`.

    It returns a dictionary: ``energy`` () eV and ``atomic_energies`` (N,) eV, float64, reference
    energies included; ``forces`` (N, 3) eV/A and ``virial`` (3, 3) eV with
    :math:`W_{ab} = \sum_i r_{ia} F_{ib}`, in the precision of the parameters.  Results carry no
    gradient.

    Args:
        model: a model of ``camlip.models``; its parameters stop requiring gradients.
    """

    type_of_number: Tensor
    precision: Tensor
    # TorchScript reads these annotations: no `from __future__ import annotations` here.
    cutoff: float
    atomic_numbers: list[int]
    reference_energies: list[float]

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        self.cutoff = model.cutoff  # type: ignore[assignment]
        self.atomic_numbers = model.atomic_numbers  # type: ignore[assignment]
        # Numbers and not a buffer: .float() must not round energies of thousands of eV.
        self.reference_energies = model.reference_energies.tolist()  # type: ignore[operator, union-attr]
        types = torch.full((256,), -1)
        for index, number in enumerate(self.atomic_numbers):
            types[number] = index
        self.register_buffer("type_of_number", types)
        # Empty; takes the type of the parameters in .float() and .double().
        self.register_buffer("precision", torch.zeros(0, dtype=next(model.parameters()).dtype))

    def forward(
        self, positions: Tensor, atomic_numbers: Tensor, edge_index: Tensor, edge_shifts: Tensor
    ) -> dict[str, Tensor]:
        """Energies, forces and virial; see the class."""
        num_atoms = atomic_numbers.shape[0]
        dtype = self.precision.dtype
        device = positions.device
        types = self.type_of_number.index_select(0, atomic_numbers.clamp(0, 255))
        if bool((types < 0).any()):
            unknown = atomic_numbers[types < 0]
            raise ValueError(
                f"atomic_numbers: the model has no element {int(unknown[0])}, "
                f"it knows {self.atomic_numbers}"
            )
        centers = edge_index[0]
        neighbors = edge_index[1]
        if bool((centers[1:] < centers[:-1]).any()):
            order = torch.argsort(centers, stable=True)
            centers, neighbors, edge_shifts = centers[order], neighbors[order], edge_shifts[order]
        vectors = (positions[neighbors] - positions[centers] + edge_shifts).detach().to(dtype)
        atomic = torch.zeros(num_atoms, dtype=torch.float64, device=device)
        forces = torch.zeros(num_atoms, 3, dtype=dtype, device=device)
        gradient = torch.zeros_like(vectors)
        if num_atoms > 0:
            # TorchScript's torch.tensor(list) rounds to float32 on the way to float64.
            reference = torch.zeros(
                len(self.reference_energies), dtype=torch.float64, device=device
            )
            for index, energy in enumerate(self.reference_energies):
                reference[index].fill_(energy)
            grad_mode = torch.is_grad_enabled()
            torch.set_grad_enabled(True)
            vectors.requires_grad_(True)
            edges = torch.stack([centers, neighbors])
            interaction = self.model(vectors, edges, types)
            found = torch.autograd.grad([interaction.sum()], [vectors], allow_unused=True)[0]
            torch.set_grad_enabled(grad_mode)
            if found is not None:
                gradient = found
            vectors = vectors.detach()
            atomic = reference[types] + interaction.detach().to(torch.float64)
            forces = forces.index_add(0, centers, gradient).index_add(0, neighbors, -gradient)
        return {
            "energy": atomic.sum(),
            "atomic_energies": atomic,
            "forces": forces,
            "virial": -torch.matmul(vectors.transpose(0, 1), gradient),
        }


def archive_bytes(model: nn.Module, block: bytes) -> bytes:
    """The TorchScript archive of a model, with the safetensors block as an extra entry.

    Args:
        model: of ``camlip.models``, in the precision that the archive shall have.
        block: from :func:`camlip.model_file.write_block`.
    """
    scripted = torch.jit.script(ExportedModel(model).eval())
    buffer = BytesIO()
    # A buffer and not a file name, which would become the name of the folder in the archive.
    torch.jit.save(scripted, buffer, _extra_files={ENTRY: block})
    return buffer.getvalue()
