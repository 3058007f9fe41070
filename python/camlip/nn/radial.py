"""Radial functions: Bessel functions, a smooth cutoff and a small network per pair of elements."""

import math

import torch
from torch import Tensor, nn


def envelope(x: Tensor) -> Tensor:
    r"""Smooth cutoff :math:`f(x) = 1 - 28 x^6 + 48 x^7 - 21 x^8` for x < 1, else 0.

    Value, first and second derivative vanish at x = 1.

    Args:
        x: reduced distance ``r / cutoff``, any shape.

    Returns:
        Same shape as ``x``.

    >>> envelope(torch.tensor([0.0, 0.5, 1.0]))
    tensor([1.0000, 0.8555, 0.0000])
    """
    x6 = x.pow(6)
    return (1 - x6 * (28 - 48 * x + 21 * x * x)) * (x < 1)


def bessel(x: Tensor, num_bessel: int) -> Tensor:
    r"""Spherical Bessel functions :math:`b_n(x) = \sqrt{2} \sin(n \pi x) / (\pi x)`, n = 1 ... num.

    Args:
        x: reduced distance ``r / cutoff``, shape (E,), x > 0.
        num_bessel: how many.

    Returns:
        Shape (E, num_bessel).

    Source: Gasteiger et al., ICLR 2020, eq. (7), without the dependence on the cutoff.

    >>> bessel(torch.tensor([1.0, 0.5]), 2).abs().round(decimals=3)
    tensor([[0.0000, 0.0000],
            [0.9000, 0.0000]])
    """
    n = torch.arange(1, num_bessel + 1, dtype=x.dtype, device=x.device)
    return math.sqrt(2.0) * torch.sin(math.pi * n * x[:, None]) / (math.pi * x[:, None])


class RadialNetwork(nn.Module):
    r"""Radial functions :math:`g_k(r; z_i, z_j)`, one set for each ordered pair of elements.

    .. math:: g = \bar n^{-1/2} f(x)\,
              \mathrm{SiLU}(\mathrm{SiLU}(b(x) W_b + \beta_{z_i z_j}) W_h + c) W_o

    The pair enters as a bias :math:`\beta_{z_i z_j} = e_{z_i z_j} W_e + c_e`; up to
    ``pair_limit`` elements each ordered pair has its own embedding e, above it
    :math:`e_{z_i z_j} = e_{z_i} W_1 + e_{z_j} W_2`.

    Args:
        num_types: number of elements.
        num_radial: number of functions K.
        cutoff: Angstrom.
        num_bessel: number of Bessel functions.
        width: hidden width of the network.
        average_num_neighbors: :math:`\bar n`, fixed from the training data.
        pair_limit: largest number of elements with free pair embeddings.
    """

    def __init__(
        self,
        num_types: int,
        num_radial: int,
        cutoff: float,
        num_bessel: int = 8,
        width: int = 64,
        embedding: int = 16,
        average_num_neighbors: float = 1.0,
        pair_limit: int = 10,
    ) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.num_bessel = num_bessel
        self.num_types = num_types
        self.norm = average_num_neighbors**-0.5
        self.per_pair = num_types <= pair_limit
        fan_in = num_bessel + embedding
        self.bessel_weight = nn.Parameter(torch.randn(num_bessel, width) / math.sqrt(fan_in))
        if self.per_pair:
            self.pair_embedding = nn.Parameter(torch.randn(num_types, num_types, embedding))
            self.element_embedding = nn.Parameter(torch.zeros(0))
            self.embedding_weight = nn.Parameter(torch.randn(embedding, width) / math.sqrt(fan_in))
        else:
            self.pair_embedding = nn.Parameter(torch.zeros(0))
            self.element_embedding = nn.Parameter(torch.randn(num_types, embedding))
            self.embedding_weight = nn.Parameter(
                torch.randn(2 * embedding, width) / math.sqrt(2 * fan_in)
            )
        self.bias = nn.Parameter(torch.zeros(width))
        self.hidden_weight = nn.Parameter(torch.randn(width, width) / math.sqrt(width))
        self.hidden_bias = nn.Parameter(torch.zeros(width))
        self.output_weight = nn.Parameter(torch.randn(width, num_radial) / math.sqrt(width))

    def pair_bias(self) -> Tensor:
        """First-layer bias of every ordered pair (center, neighbor), shape (T, T, width)."""
        if self.per_pair:
            return torch.matmul(self.pair_embedding, self.embedding_weight) + self.bias
        center, neighbor = self.embedding_weight.chunk(2)
        left = torch.matmul(self.element_embedding, center)
        right = torch.matmul(self.element_embedding, neighbor)
        return left[:, None] + right[None, :] + self.bias

    def forward(self, distances: Tensor, pair_types: Tensor) -> Tensor:
        """Evaluate the radial functions.

        Args:
            distances: shape (E,), Angstrom.
            pair_types: ``center_type * num_types + neighbor_type``, int64, shape (E,).

        Returns:
            Shape (E, num_radial), zero beyond the cutoff.
        """
        x = distances / self.cutoff
        hidden = torch.matmul(bessel(x, self.num_bessel), self.bessel_weight)
        if self.num_types == 1:
            hidden = hidden + self.pair_bias()[0, 0]
        else:
            hidden = hidden + self.pair_bias().flatten(0, 1)[pair_types]
        hidden = nn.functional.silu(hidden)
        hidden = nn.functional.silu(torch.matmul(hidden, self.hidden_weight) + self.hidden_bias)
        return torch.matmul(hidden, self.output_weight) * (self.norm * envelope(x))[:, None]
