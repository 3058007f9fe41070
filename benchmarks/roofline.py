"""What the stages of the backend ``cpu`` have to do per atom, and what a core can do.

Counted are fused multiply-adds, or single operations where there is nothing to fuse, without the
padding of vectors; and the bytes of arrays over atoms and edges that a stage reads and writes,
without the scratch memory of a block of atoms and the weights, which stay in the cache.
"""

from __future__ import annotations

import time

import numpy as np

from camlip.models import CartesianMomentsConfig
from camlip.nn.contraction import pair_products

FLOAT, DOUBLE, INDEX = 4, 8, 4


def product_operations(max_rank: int) -> tuple[int, int]:
    """Operations per channel of the products of one layer, forward and adjoint."""
    forward = adjoint = 0
    for _, _, pairs, matrix in pair_products(max_rank):
        terms, rows = int(np.count_nonzero(np.abs(matrix) > 1e-14)), matrix.shape[0]
        forward += len(pairs) + terms + rows
        adjoint += terms + rows + sum(1 if x == y else 2 for x, y in pairs)
    return forward, adjoint


def counts(
    config: CartesianMomentsConfig, listed: float, edges: float
) -> dict[str, tuple[float, float]]:
    """Operations and bytes per atom and step of every stage, energies with gradients.

    Args:
        config: of the model.
        listed: neighbors per atom in the list.
        edges: of them within the cutoff.
    """
    layers, above = config.num_layers, config.num_layers - 1
    m, mm = (config.max_rank + 1) ** 2, (config.message_rank + 1) ** 2
    c, h, k, kr = config.num_channels, config.num_hidden, config.num_radial, 0
    p0 = p1 = width = 0
    if above:
        kr, width = config.num_message_radial, config.exchange_width
        p0, p1 = config.num_message_scalars, config.num_message_vectors
    q, sides = p0 + p1, (8 if config.max_rank >= 2 else 3) * p1
    depth = mm * q * kr + sides * kr  # of the mixing of a layer above the first, all components
    forward, adjoint = product_operations(config.max_rank)
    invariants = 3 * (config.max_rank + 1) * c
    skip = above * m * c
    # A below the last layer, its adjoint, and D are kept between the passes.
    kept = above * m * c * FLOAT
    feature, gradient = width * FLOAT, 2 * 3 * DOUBLE
    passes = 3 if above else 1
    send = h * q + 3 * c * p1
    return {
        "neighbors": (passes * listed * 8, passes * listed * (INDEX + 3 * DOUBLE + INDEX)),
        "moments": (edges * (m * k + 5 * k + m), 0),
        "messages": (
            above * edges * (mm * q * kr + (4 * 3 * p1 + q + 3 * p1 + 5) * kr + mm),
            above * edges * feature,
        ),
        "mixing": (m * k * c + skip + above * depth * c, 2 * kept),
        "products": (layers * forward * c, 0),
        "contraction": (layers * m * c * c, kept),
        "readout": (layers * (invariants * h + 2 * h * h + 4 * m * c), 0),
        "send": (above * 3 * send, above * 2 * width * DOUBLE),
        "readout adjoint": (layers * (invariants * h + 5 * m * c), 4 * kept),
        "contraction adjoint": (layers * m * c * c, 0),
        "products adjoint": (layers * adjoint * c, 0),
        "mixing adjoint": (m * k * c + skip + above * depth * c, kept),
        "messages adjoint": (
            above * edges * ((2 * mm + 1) * q * kr + 2 * (sides + 5) * kr + 12 * sides + 4 * mm),
            above * edges * (feature + 2 * width * DOUBLE + gradient),
        ),
        "moments adjoint": (
            edges * (2 * m * k + 10 * k + 5 * m),
            edges * gradient,
        ),
    }


def machine_peak(size: int = 1536, repeats: int = 5) -> tuple[float, float]:
    """Multiply-adds (float32, product of large matrices by numpy's BLAS) and bytes (copy of a
    large array, read and written) per second that one core reached just now.
    """
    a = np.random.default_rng(0).random((size, size), dtype=np.float32)
    large = np.ones(1 << 27, dtype=np.uint8)
    target = np.empty_like(large)

    def best(work) -> float:
        spent = []
        for _ in range(repeats):
            begin = time.thread_time()
            work()
            spent.append(time.thread_time() - begin)
        return min(spent)

    return size**3 / best(lambda: a @ a), 2 * large.size / best(lambda: np.copyto(target, large))
