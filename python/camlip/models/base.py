"""What every architecture offers, and energies, forces and virials derived from it."""

# Submodules of nn.Module are "Tensor | Module" to a type checker.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Potential(Protocol):
    """Contract of an architecture: atomic interaction energies from edge vectors.

    ``forward(edge_vectors, edge_index, types)`` returns the interaction energy of each atom, shape
    (N,), a smooth function of the edge vectors.  Everything else is derived by :func:`evaluate`.
    """

    atomic_numbers: list[int]
    num_types: int
    cutoff: float
    reference_energies: Tensor

    def __call__(self, edge_vectors: Tensor, edge_index: Tensor, types: Tensor) -> Tensor:
        """Interaction energies of the atoms, shape (N,)."""
        ...

    def describe(self) -> dict[str, Any]:
        """Arguments that rebuild the model."""
        ...


def evaluate(
    model: nn.Module,
    batch: Any,
    forces: bool = True,
    training: bool = False,
) -> dict[str, Tensor]:
    """Energies, forces and virials of a batch of structures.

    Args:
        model: an architecture (:class:`Potential`).
        batch: :class:`camlip.data.Batch`.
        forces: also forces and virials.
        training: keep the graph, so that a loss of forces can be differentiated.

    Returns:
        ``interaction_energy`` (S,) eV in the model's dtype, without reference energies;
        ``energy`` (S,) float64 eV; ``atomic_energies`` (N,) float64 eV with reference energies;
        and with ``forces``: ``forces`` (N, 3) eV/A, ``virial`` (S, 3, 3) eV.
    """
    with torch.set_grad_enabled(forces or training):
        edge_vectors = batch.edge_vectors(batch.positions, batch.cells).detach()
        if forces:
            edge_vectors.requires_grad_(True)
        interaction = model(edge_vectors, batch.edge_index, batch.types)
        num_structures = batch.num_atoms.shape[0]
        interaction_energy = interaction.new_zeros(num_structures).index_add(
            0, batch.structure_index, interaction
        )
        with torch.no_grad():
            atomic = model.reference_energies[batch.types] + interaction.double()
            energy = atomic.new_zeros(num_structures).index_add(0, batch.structure_index, atomic)
        results = {
            "interaction_energy": interaction_energy,
            "energy": energy,
            "atomic_energies": atomic,
        }
        if forces:
            (gradient,) = (
                torch.autograd.grad(
                    interaction.sum(), edge_vectors, create_graph=training, allow_unused=True
                )
                if interaction.requires_grad
                else (torch.zeros_like(edge_vectors),)
            )
            if gradient is None:
                gradient = torch.zeros_like(edge_vectors)
            centers, neighbors = batch.edge_index[0], batch.edge_index[1]
            results["forces"] = (
                torch.zeros_like(batch.positions)
                .index_add(0, centers, gradient)
                .index_add(0, neighbors, -gradient)
            )
            outer = -(edge_vectors.detach()[:, :, None] * gradient[:, None, :])
            results["virial"] = outer.new_zeros(num_structures, 3, 3).index_add(
                0, batch.structure_index[centers], outer
            )
    return results
