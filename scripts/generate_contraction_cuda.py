"""Writes cuda/device/contraction_generated.hpp, the products of moments for one channel.

The coefficients come from :func:`camlip.nn.contraction.pair_products`, which the torch model uses
too.  Run ``python scripts/generate_contraction_cuda.py`` after a change there; a test compares the
header with a fresh one.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from camlip.nn.contraction import contraction_paths, pair_products

HEADER = """\
// SPDX-License-Identifier: MIT
// Written by scripts/generate_contraction_cuda.py from camlip.nn.contraction; do not edit.
//
// Products of moments, B^c = sum over paths (a, b, c) of w K^abc(A^a, A^b), and their adjoint, for
// one channel.  Component m of A lies at a[m * stride], path p of w at w[p * w_stride].
#ifndef CAMLIP_CUDA_DEVICE_CONTRACTION_GENERATED_HPP
#define CAMLIP_CUDA_DEVICE_CONTRACTION_GENERATED_HPP
// clang-format off

#include "device/platform.hpp"

namespace camlip::cuda {

// Number of paths for L = 0 .. 3.
constexpr int kNumPaths[4] = {%s};
"""

FOOTER = """
}  // namespace camlip::cuda

#endif
"""


def rounded(matrix: np.ndarray) -> np.ndarray:
    """Coefficients rounded so that equal magnitudes are equal to the last bit."""
    rows = np.round(matrix, 15)
    rows[np.abs(rows) < 1e-14] = 0.0
    return rows


def combination(terms: list[tuple[float, str]]) -> str:
    """Sum of coefficient times name; equal magnitudes share one product."""
    groups: dict[float, list[tuple[float, str]]] = {}
    for value, name in terms:
        groups.setdefault(abs(value), []).append((value, name))
    parts = []
    for magnitude, members in groups.items():
        inner = ""
        for value, name in members:
            sign = ("-" if value < 0 else "") if not inner else (" - " if value < 0 else " + ")
            inner += sign + name
        if len(members) > 1 or inner.startswith("-"):
            inner = f"({inner})"
        parts.append(inner if magnitude == 1 else f"T({magnitude:.17g}) * {inner}")
    return " + ".join(parts)


def paths_of(max_rank: int) -> Iterator[tuple[list, list[tuple[int, int, np.ndarray]]]]:
    """For each pair of ranks: pairs of components; path, first component and rows of each path."""
    for a, b, pairs, matrix in pair_products(max_rank):
        paths, row = [], 0
        for index, path in enumerate(contraction_paths(max_rank)):
            if path[:2] == (a, b):
                size = 2 * path[2] + 1
                paths.append((index, path[2] ** 2, rounded(matrix[row : row + size])))
                row += size
        yield pairs, paths


def forward_lines(max_rank: int) -> Iterator[str]:
    """Body of contraction_forward."""
    count = (max_rank + 1) ** 2
    for m in range(1, count):
        yield f"const T a{m} = a[{m} * stride];"
    for m in range(count):
        yield f"T b{m} = 0;"
    for pairs, paths in paths_of(max_rank):
        yield "{"
        for n, (x, y) in enumerate(pairs):
            yield f"    const T p{n} = a{x} * a{y};"
        for path, low, rows in paths:
            yield "    {"
            yield f"        const T v = w[{path} * w_stride];"
            for z in range(rows.shape[0]):
                terms = [(rows[z, n], f"p{n}") for n in range(rows.shape[1]) if rows[z, n]]
                yield f"        b{low + z} += v * ({combination(terms)});"
            yield "    }"
        yield "}"
    for m in range(count):
        yield f"b[{m} * stride] = b{m};"


def adjoint_lines(max_rank: int) -> Iterator[str]:
    """Body of contraction_adjoint."""
    count = (max_rank + 1) ** 2
    for m in range(1, count):
        yield f"const T a{m} = a[{m} * stride];"
        yield f"T g{m} = 0;"
    for pairs, paths in paths_of(max_rank):
        yield "{"
        for path, low, rows in paths:
            yield f"    const T w{path} = w[{path} * w_stride];"
            for z in range(rows.shape[0]):
                yield f"    const T s{path}_{z} = w{path} * b_bar[{low + z} * stride];"
        for n, (x, y) in enumerate(pairs):
            factor = 2 if x == y else 1
            terms = [
                (factor * rows[z, n], f"s{path}_{z}")
                for path, _, rows in paths
                for z in range(rows.shape[0])
                if rows[z, n]
            ]
            yield "    {"
            yield f"        const T q = {combination(terms)};"
            yield f"        g{x} += q * a{y};"
            if x != y:
                yield f"        g{y} += q * a{x};"
            yield "    }"
        yield "}"
    for m in range(1, count):
        yield f"a_bar[{m} * stride] += g{m};"


def wrap(line: str, limit: int = 100) -> Iterator[str]:
    """Breaks a long line at spaces, below the indent of a function's body."""
    text = "    " + line
    inner = " " * (len(text) - len(text.lstrip()) + 4)
    while len(text) > limit:
        at = text.rfind(" ", 0, limit)
        yield text[:at]
        text = inner + text[at + 1 :]
    yield text


def generate() -> str:
    """The whole header."""
    text = HEADER % ", ".join(str(len(contraction_paths(rank))) for rank in range(4))
    for max_rank in (1, 2, 3):
        for name, arguments, lines in (
            ("forward", "T* b", forward_lines(max_rank)),
            ("adjoint", "const T* b_bar, T* a_bar", adjoint_lines(max_rank)),
        ):
            head = f"CAMLIP_SHARED_CODE void contraction_{name}_{max_rank}("
            text += f"\ntemplate <class T>\n{head}const T* a, const T* w, {arguments},\n"
            text += " " * len(head) + "int stride, int w_stride) {\n"
            text += "".join(part + "\n" for line in lines for part in wrap(line))
            text += "}\n"
    return text + FOOTER


def main() -> None:
    """Writes the header."""
    default = Path(__file__).resolve().parents[1] / "cuda/device/contraction_generated.hpp"
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--output", type=Path, default=default)
    arguments = parser.parse_args()
    arguments.output.write_text(generate())


if __name__ == "__main__":
    main()
