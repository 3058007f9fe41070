"""Message passing with narrow edges: few scalars and vectors travel, atoms do the widening."""

import math

import torch
from torch import Tensor, nn

from camlip.nn.contraction import coupling
from camlip.nn.moments import pad_edges


class Messages(nn.Module):
    r"""What an atom sends to its neighbors: P0 scalars and P1 vectors.

    .. math:: m = \mathrm{SiLU}(h) W_m, \qquad h^0 = m_{:P_0}, \qquad
              h^1_p = m_{P_0 + p} \sum_c \Gamma_{cp} D^1_c

    Args:
        num_hidden: H.
        num_channels: C.
        num_scalars: P0.
        num_vectors: P1.

    Source: docs/derivations.md, eq. (9).
    """

    def __init__(
        self, num_hidden: int, num_channels: int, num_scalars: int, num_vectors: int
    ) -> None:
        super().__init__()
        self.num_scalars = num_scalars
        self.weight = nn.Parameter(
            torch.randn(num_hidden, num_scalars + num_vectors) / math.sqrt(num_hidden)
        )
        self.vector = nn.Parameter(torch.randn(num_channels, num_vectors) / math.sqrt(num_channels))

    def forward(self, hidden: Tensor, contracted: Tensor) -> Tensor:
        """Node features (N, P0 + 3 P1): scalars, then vectors: x of all p, y of all p, z of all p.

        Args:
            hidden: h of the atom block, shape (N, H).
            contracted: D of the atom block, shape ((L+1)^2, N, C), L >= 1.
        """
        gates = torch.matmul(nn.functional.silu(hidden), self.weight)
        vectors = torch.matmul(contracted[1:4], self.vector) * gates[:, self.num_scalars :]
        return torch.cat([gates[:, : self.num_scalars], vectors[0], vectors[1], vectors[2]], dim=1)


class MessageMoments(nn.Module):
    r"""Moments of layer 2 and above: sums over the neighbors' messages, mixed to C channels.

    With :math:`s_e = (h^0_j ; h^1_j \cdot u_e)` of length Q = P0 + P1:

    .. math:: M^l_{(kq)m} &= \sum_e g_{ek} s_{eq} Y_m(u_e), \quad l \le L_m \\
              T^1_{(kp)} &= \sum_e g_{ek} h^1_{jp}, \qquad
              T^2_{(kp)} = \sum_e g_{ek} K^{112}(h^1_{jp}, u_e) \\
              A^l &= U^l [M^l ; T^l] + \omega^l \odot A^l_{\text{previous}}

    Args:
        max_rank: L.
        message_rank: Lm, at most L.
        num_channels: C.
        num_radial: number of radial functions Kr of this layer.
        num_scalars: P0.
        num_vectors: P1.

    Source: docs/derivations.md, eqs. (10) to (13).
    """

    couple_112: Tensor

    def __init__(
        self,
        max_rank: int,
        message_rank: int,
        num_channels: int,
        num_radial: int,
        num_scalars: int,
        num_vectors: int,
    ) -> None:
        super().__init__()
        self.max_rank = max_rank
        self.message_rank = message_rank
        self.num_radial = num_radial
        self.num_scalars = num_scalars
        self.num_vectors = num_vectors
        length = num_radial * (num_scalars + num_vectors)
        self.mixing = nn.Parameter(
            torch.randn(message_rank + 1, length, num_channels) / math.sqrt(length)
        )
        transverse = num_radial * num_vectors
        self.transverse_mixing = nn.Parameter(
            torch.randn(min(max_rank, 2), transverse, num_channels) / math.sqrt(length)
        )
        self.skip = nn.Parameter(torch.ones(max_rank + 1, num_channels))
        self.register_buffer(
            "couple_112", torch.tensor(coupling(1, 1, 2)).reshape(9, 5), persistent=False
        )

    def forward(
        self,
        previous: Tensor,
        node_features: Tensor,
        radial: Tensor,
        basis: Tensor,
        directions: Tensor,
        neighbors: Tensor,
        slots: Tensor,
        width: int,
    ) -> Tensor:
        """A of this layer, shape ((L+1)^2, N, C).

        Args:
            previous: A of the layer before, shape ((L+1)^2, N, C).
            node_features: from :class:`Messages`, shape (N, P0 + 3 P1).
            radial: shape (E, Kr).
            basis: packed STF components, shape (E, at least (Lm+1)^2).
            directions: unit vectors, shape (E, 3).
            neighbors: neighbor of each edge, int64, shape (E,).
            slots: from :func:`camlip.nn.moments.edge_slots`.
            width: from :func:`camlip.nn.moments.edge_slots`.
        """
        num_atoms = previous.shape[1]
        p0, p1 = self.num_scalars, self.num_vectors
        sent = node_features.index_select(0, neighbors)
        vectors = sent[:, p0:].view(-1, 3, p1)
        axial = (vectors * directions[:, :, None]).sum(1)
        scalars = torch.cat([sent[:, :p0], axial], dim=1)
        padded_radial = pad_edges(radial, slots, num_atoms, width)

        num_components = (self.message_rank + 1) * (self.message_rank + 1)
        left = (radial[:, :, None] * basis[:, None, :num_components]).flatten(1)
        left = pad_edges(left, slots, num_atoms, width).transpose(1, 2)
        product = torch.bmm(left, pad_edges(scalars, slots, num_atoms, width))
        moments = (
            product.view(num_atoms, self.num_radial, num_components, p0 + p1)
            .permute(2, 0, 1, 3)
            .flatten(2)
        )

        couple = self.couple_112.to(radial.dtype).view(3, 3, 5)
        project = torch.einsum("ey,xyz->exz", directions, couple)
        rank_two = torch.einsum("exp,exz->ezp", vectors, project)
        sides = [vectors.flatten(1), rank_two.flatten(1)]
        mixed: list[Tensor] = []
        for rank in range(self.max_rank + 1):
            low = rank * rank
            high = (rank + 1) * (rank + 1)
            block = self.skip[rank] * previous[low:high]
            if rank <= self.message_rank:
                block = block + torch.matmul(moments[low:high], self.mixing[rank])
            if 1 <= rank <= 2 and p1 > 0:
                side = pad_edges(sides[rank - 1], slots, num_atoms, width)
                summed = torch.bmm(padded_radial.transpose(1, 2), side)
                summed = (
                    summed.view(num_atoms, self.num_radial, 2 * rank + 1, p1)
                    .permute(2, 0, 1, 3)
                    .flatten(2)
                )
                block = block + torch.matmul(summed, self.transverse_mixing[rank - 1])
            mixed.append(block)
        return torch.cat(mixed)
