"""The architecture ``cartesian_moments``: narrow edges, wide atoms (docs/derivations.md)."""

# Submodules of nn.Module are "Tensor | Module" to a type checker.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from camlip.nn.contraction import Contraction
from camlip.nn.messages import MessageMoments, Messages
from camlip.nn.moments import edge_slots, moments
from camlip.nn.radial import RadialNetwork
from camlip.nn.readout import Invariants, Readout
from camlip.nn.stf import MAX_RANK, stf_basis
from camlip.nn.zbl import ZBL


@dataclass(frozen=True)
class CartesianMomentsConfig:
    """Everything that fixes the shape of a model, besides its elements.

    Attributes:
        cutoff: Angstrom.
        num_layers: 1 is strictly local, each further layer is one message-passing step.
        max_rank: L, largest rank of the moments, 0 to 3.
        message_rank: Lm, largest rank of the message moments, at most ``max_rank``.
        num_channels: C.
        num_radial: K, radial functions of layer 1.
        num_message_radial: Kr, radial functions of the layers above.
        num_message_scalars: P0.
        num_message_vectors: P1.
        num_hidden: H.
        num_bessel: Bessel functions that enter the radial network.
        radial_width: hidden width of the radial network.
        zbl: add the ZBL repulsion at short distances.
        per_element_products: product weights differ between elements (up to ten elements).
    """

    cutoff: float = 5.0
    num_layers: int = 2
    max_rank: int = 3
    message_rank: int = 2
    num_channels: int = 64
    num_radial: int = 16
    num_message_radial: int = 8
    num_message_scalars: int = 8
    num_message_vectors: int = 4
    num_hidden: int = 64
    num_bessel: int = 8
    radial_width: int = 64
    zbl: bool = True
    per_element_products: bool = True

    def __post_init__(self) -> None:
        """Check every value against its range."""
        limits = {
            "cutoff": (0.5, 50.0),
            "num_layers": (1, 8),
            "max_rank": (0, MAX_RANK),
            "num_channels": (1, 4096),
            "num_radial": (1, 256),
            "num_message_radial": (1, 256),
            "num_message_scalars": (1, 256),
            "num_message_vectors": (1, 256),
            "num_hidden": (1, 4096),
            "num_bessel": (1, 64),
            "radial_width": (1, 1024),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"model.{name}: value {value}, expected {low} to {high}")
        if self.num_layers > 1 and not 1 <= self.message_rank <= self.max_rank:
            raise ValueError(
                f"model.message_rank: value {self.message_rank}, expected 1 to max_rank "
                f"= {self.max_rank} for a model of {self.num_layers} layers"
            )

    @property
    def exchange_width(self) -> int:
        """Numbers that an atom sends per message-passing step, 0 for a local model."""
        if self.num_layers == 1:
            return 0
        return self.num_message_scalars + 3 * self.num_message_vectors


_PRESETS = {
    "small": CartesianMomentsConfig(num_layers=1, num_channels=32),
    "medium": CartesianMomentsConfig(),
    "large": CartesianMomentsConfig(
        message_rank=3,
        num_channels=128,
        num_radial=32,
        num_message_radial=8,
        num_message_scalars=16,
        num_message_vectors=8,
        num_hidden=128,
    ),
}


def preset(name: str, **changes: Any) -> CartesianMomentsConfig:
    """A named configuration, with changes.

    Args:
        name: ``small`` (strictly local), ``medium`` or ``large`` (one message-passing step).
        **changes: fields of :class:`CartesianMomentsConfig` to override.

    Raises:
        ValueError: unknown preset or a value out of range.

    >>> preset("small", cutoff=6.0).cutoff
    6.0
    """
    if name not in _PRESETS:
        raise ValueError(f"model.preset: unknown preset '{name}', expected {', '.join(_PRESETS)}")
    return replace(_PRESETS[name], **changes)


class AtomBlock(nn.Module):
    """From moments to hidden features and energies of the atoms; one for each layer."""

    def __init__(self, config: CartesianMomentsConfig, num_types: int) -> None:
        super().__init__()
        per_element = config.per_element_products and num_types <= 10
        self.contraction = Contraction(config.max_rank, config.num_channels, num_types, per_element)
        self.hidden = Invariants(config.max_rank, config.num_channels, config.num_hidden, num_types)
        self.readout = Readout(config.num_hidden)

    def forward(self, moments: Tensor, types: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Energies (N,), hidden features (N, H) and contracted moments ((L+1)^2, N, C)."""
        contracted = self.contraction(moments, types)
        hidden = self.hidden(moments, contracted, types)
        return self.readout(hidden), hidden, contracted


class MessageLayer(nn.Module):
    """One message-passing step and the atom block that follows it."""

    def __init__(
        self, config: CartesianMomentsConfig, num_types: int, average_num_neighbors: float
    ) -> None:
        super().__init__()
        self.messages = Messages(
            config.num_hidden,
            config.num_channels,
            config.num_message_scalars,
            config.num_message_vectors,
        )
        self.radial = RadialNetwork(
            num_types,
            config.num_message_radial,
            config.cutoff,
            config.num_bessel,
            config.radial_width,
            average_num_neighbors=average_num_neighbors,
        )
        self.moments = MessageMoments(
            config.max_rank,
            config.message_rank,
            config.num_channels,
            config.num_message_radial,
            config.num_message_scalars,
            config.num_message_vectors,
        )
        self.block = AtomBlock(config, num_types)


def _radial_tensors(prefix: str, radial: RadialNetwork, detach: bool) -> dict[str, Tensor]:
    exact = deepcopy(radial).double() if detach else radial
    return {
        f"{prefix}.bessel_weight": radial.bessel_weight,
        f"{prefix}.pair_bias": exact.pair_bias(),
        f"{prefix}.hidden_weight": radial.hidden_weight,
        f"{prefix}.hidden_bias": radial.hidden_bias,
        f"{prefix}.output_weight": radial.output_weight,
    }


def _block_tensors(index: int, block: AtomBlock) -> dict[str, Tensor]:
    contraction = block.contraction
    tensors = {
        f"contraction.{index}.mixing": contraction.mixing,
        f"contraction.{index}.skip": contraction.skip,
        f"hidden.{index}.scale": block.hidden.scale,
        f"hidden.{index}.weight": block.hidden.weight,
        f"hidden.{index}.bias": block.hidden.bias,
        f"readout.{index}.weight": block.readout.weight,
        f"readout.{index}.bias": block.readout.bias,
        f"readout.{index}.output": block.readout.output,
    }
    if contraction.num_paths:
        num_types = block.hidden.bias.shape[0]
        tensors[f"contraction.{index}.weight"] = contraction.weight.expand(num_types, -1, -1)
    return tensors


class CartesianMoments(nn.Module):
    """Energies of atoms from the vectors to their neighbors.

    Args:
        config: shape of the model.
        atomic_numbers: elements in the order of the model's types, ascending.
        average_num_neighbors: of the training data; a constant of the model.
        reference_energies: energy of each element on its own, eV, shape (T,).
        energy_scale: unit of the network's output in eV; the root mean square force is a good one.
    """

    reference_energies: Tensor
    energy_scale: Tensor

    def __init__(
        self,
        config: CartesianMomentsConfig,
        atomic_numbers: Sequence[int],
        average_num_neighbors: float = 30.0,
        reference_energies: Sequence[float] | None = None,
        energy_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.config = config
        self.atomic_numbers = [int(z) for z in atomic_numbers]
        if sorted(set(self.atomic_numbers)) != self.atomic_numbers:
            raise ValueError(
                f"atomic_numbers: {self.atomic_numbers}, expected ascending and distinct numbers"
            )
        self.num_types = len(self.atomic_numbers)
        self.num_layers = config.num_layers
        self.max_rank = config.max_rank
        self.cutoff = config.cutoff
        self.average_num_neighbors = float(average_num_neighbors)
        self.radial = RadialNetwork(
            self.num_types,
            config.num_radial,
            config.cutoff,
            config.num_bessel,
            config.radial_width,
            average_num_neighbors=average_num_neighbors,
        )
        self.mixing = nn.Parameter(
            torch.randn(config.max_rank + 1, config.num_radial, config.num_channels)
            / config.num_radial**0.5
        )
        self.block = AtomBlock(config, self.num_types)
        self.layers = nn.ModuleList(
            MessageLayer(config, self.num_types, average_num_neighbors)
            for _ in range(config.num_layers - 1)
        )
        self.use_zbl = config.zbl
        self.zbl = ZBL(self.atomic_numbers, config.cutoff)
        if reference_energies is None:
            reference_energies = [0.0] * self.num_types
        self.register_buffer(
            "reference_energies",
            torch.as_tensor(reference_energies, dtype=torch.float64).clone(),
        )
        self.register_buffer("energy_scale", torch.tensor(energy_scale, dtype=torch.float64))

    def describe(self) -> dict[str, Any]:
        """Arguments that rebuild a model of this shape, as plain numbers for JSON."""
        return {
            "config": asdict(self.config),
            "atomic_numbers": self.atomic_numbers,
            "average_num_neighbors": self.average_num_neighbors,
        }

    @torch.jit.unused
    def engine_tensors(self, detach: bool = True) -> dict[str, Tensor]:
        """Parameters by their names in the model file (docs/model_file.md).

        Only linear maps of embeddings are folded, in float64, so that the engine's float64 result
        is this module's to rounding.

        Args:
            detach: without the graph; else in the model's precision with the graph, for training.
        """
        tensors: dict[str, Tensor] = {
            "reference_energies": self.reference_energies,
            "energy_scale": self.energy_scale.reshape(1),
            "mixing.0": self.mixing,
        }
        if self.use_zbl:
            tensors["zbl.radii"] = self.zbl.radii.double()
        blocks = [(self.radial, self.block)] + [(x.radial, x.block) for x in self.layers]  # type: ignore[union-attr]
        for index, (radial, block) in enumerate(blocks):
            tensors |= _radial_tensors(f"radial.{index}", radial, detach)
            tensors |= _block_tensors(index, block)
        for index, layer in enumerate(self.layers):
            tensors[f"message.{index}.weight"] = layer.messages.weight  # type: ignore[union-attr]
            tensors[f"message.{index}.vector"] = layer.messages.vector  # type: ignore[union-attr]
            tensors[f"mixing.{index + 1}"] = layer.moments.mixing  # type: ignore[union-attr]
            tensors[f"transverse_mixing.{index + 1}"] = layer.moments.transverse_mixing  # type: ignore[union-attr]
            tensors[f"skip.{index + 1}"] = layer.moments.skip  # type: ignore[union-attr]
        if not detach:
            return tensors
        return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}

    def forward(self, edge_vectors: Tensor, edge_index: Tensor, types: Tensor) -> Tensor:
        """Interaction energy of each atom, without the reference energy of its element.

        Args:
            edge_vectors: ``r_j - r_i`` in Angstrom, shape (E, 3); longer than the cutoff is
                allowed and adds nothing, zero length is not.
            edge_index: centers i (ascending) and neighbors j, int64, shape (2, E).
            types: type of each atom, int64, shape (N,).

        Returns:
            Shape (N,), eV, dtype of ``edge_vectors``.
        """
        return self.run(edge_vectors, edge_index, types, False)

    def run(self, edge_vectors: Tensor, edge_index: Tensor, types: Tensor, measure: bool) -> Tensor:
        """As :meth:`forward`; with ``measure`` the scales of the invariants are set on the way."""
        centers = edge_index[0]
        neighbors = edge_index[1]
        num_atoms = types.shape[0]
        distances = torch.linalg.vector_norm(edge_vectors, dim=1)
        directions = edge_vectors / distances[:, None]
        basis = stf_basis(directions, self.max_rank)
        center_types = types[centers]
        neighbor_types = types[neighbors]
        pair_types = center_types * self.num_types + neighbor_types
        slots, width = edge_slots(centers, num_atoms)

        summed = moments(basis, self.radial(distances, pair_types), slots, num_atoms, width)
        mixed: list[Tensor] = []
        for rank in range(self.max_rank + 1):
            rows = summed[rank * rank : (rank + 1) * (rank + 1)]
            mixed.append(torch.matmul(rows, self.mixing[rank]))
        atom_moments = torch.cat(mixed)
        if measure:
            self.block.hidden.measure(atom_moments, self.block.contraction(atom_moments, types))
        energies, hidden, contracted = self.block(atom_moments, types)
        for layer in self.layers:
            atom_moments = layer.moments(
                atom_moments,
                layer.messages(hidden, contracted),
                layer.radial(distances, pair_types),
                basis,
                directions,
                neighbors,
                slots,
                width,
            )
            if measure:
                layer.block.hidden.measure(
                    atom_moments, layer.block.contraction(atom_moments, types)
                )
            more, hidden, contracted = layer.block(atom_moments, types)
            energies = energies + more
        energies = energies * self.energy_scale.to(energies.dtype)
        if self.use_zbl:
            pair = self.zbl(distances, center_types, neighbor_types)
            energies = energies + torch.zeros_like(energies).index_add(0, centers, pair)
        return energies
