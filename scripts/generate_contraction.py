"""Writes csrc/cpu/contraction_generated.hpp, the products of moments and their adjoint.

The coefficients come from :func:`camlip.nn.contraction.pair_products`, which the torch model uses
too.  Run ``python scripts/generate_contraction.py`` after a change there; a test compares the
header with a fresh one.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from camlip.nn.contraction import contraction_paths, pair_products

HEADER = """\
// SPDX-License-Identifier: MIT
// Written by scripts/generate_contraction.py from camlip.nn.contraction; do not edit.
//
// Products of moments, B^c = sum over paths (a, b, c) of w K^abc(A^a, A^b), their adjoint and
// the gradient by w, for one vector of channels.  Component m of A lies at a[m * stride], path p of
// w at w[p * w_stride].
// Every product A_x A_y is formed once and shared by the paths of its pair of ranks.
#ifndef CAMLIP_CPU_CONTRACTION_GENERATED_HPP
#define CAMLIP_CPU_CONTRACTION_GENERATED_HPP
// clang-format off

#include "cpu/simd.hpp"

namespace camlip::cpu::CAMLIP_ISA {
"""

FOOTER = """
}  // namespace camlip::cpu::CAMLIP_ISA

#endif
"""


class Group:
    """The paths of one pair of ranks (a, b): pairs of components and their coefficients."""

    def __init__(self, max_rank: int, a: int, b: int, pairs: list, matrix: np.ndarray) -> None:
        self.pairs = pairs
        self.paths: list[tuple[int, int, np.ndarray]] = []
        row = 0
        for index, path in enumerate(contraction_paths(max_rank)):
            if path[:2] == (a, b):
                size = 2 * path[2] + 1
                self.paths.append((index, path[2] ** 2, matrix[row : row + size]))
                row += size


def literal(value: float) -> str:
    """A coefficient, rounded beyond double so that equal ones are spelled equally."""
    return f"T({value:.17g})"


def combination(terms: list[tuple[float, str]]) -> str:
    """Sum of coefficient times name."""
    text = ""
    for value, name in terms:
        magnitude = abs(value)
        factor = name if magnitude == 1 else f"{literal(magnitude)} * {name}"
        sign = ("-" if value < 0 else "") if not text else (" - " if value < 0 else " + ")
        text += sign + factor
    return text


def scaled_rows(matrix: np.ndarray) -> np.ndarray:
    """Coefficients rounded so that equal magnitudes are equal to the last bit."""
    rounded = np.round(matrix, 15)
    rounded[np.abs(rounded) < 1e-14] = 0.0
    return rounded


def forward_lines(max_rank: int, groups: list[Group]) -> Iterator[str]:
    """Body of contraction_forward."""
    count = (max_rank + 1) ** 2
    for m in range(1, count):
        yield f"const V a{m} = load<T>(a + {m} * stride);"
    started: set[int] = set()
    for group in groups:
        yield "{"
        for n, (x, y) in enumerate(group.pairs):
            yield f"    const V p{n} = a{x} * a{y};"
        for path, low, matrix in group.paths:
            rows = scaled_rows(matrix)
            yield "    {"
            yield f"        const V w_ = load<T>(w + {path} * w_stride);"
            for z in range(rows.shape[0]):
                terms = [(rows[z, n], f"p{n}") for n in range(rows.shape[1]) if rows[z, n]]
                out = f"b + {low + z} * stride"
                value = f"w_ * ({combination(terms)})"
                if low + z in started:
                    value = f"load<T>({out}) + {value}"
                started.add(low + z)
                yield f"        store<T>({out}, {value});"
            yield "    }"
        yield "}"
    for m in range(count):
        if m not in started:
            yield f"store<T>(b + {m} * stride, V{{}});"


def adjoint_lines(max_rank: int, groups: list[Group]) -> Iterator[str]:
    """Body of contraction_adjoint."""
    count = (max_rank + 1) ** 2
    for m in range(1, count):
        yield f"const V a{m} = load<T>(a + {m} * stride);"
        yield f"V g{m} = load<T>(a_bar + {m} * stride);"
    for group in groups:
        yield "{"
        names: dict[tuple[int, int], str] = {}
        for path, low, matrix in group.paths:
            yield f"    const V w{path} = load<T>(w + {path} * w_stride);"
            for z in range(matrix.shape[0]):
                names[path, z] = f"s{path}_{z}"
                yield (f"    const V s{path}_{z} = w{path} * load<T>(b_bar + {low + z} * stride);")
        for n, (x, y) in enumerate(group.pairs):
            terms = []
            for path, _, matrix in group.paths:
                rows = scaled_rows(matrix)
                terms += [(rows[z, n], names[path, z]) for z in range(rows.shape[0]) if rows[z, n]]
            if x == y:
                terms = [(2 * value, name) for value, name in terms]
            yield "    {"
            yield f"        const V q = {combination(terms)};"
            yield f"        g{x} += q * a{y};"
            if x != y:
                yield f"        g{y} += q * a{x};"
            yield "    }"
        yield "}"
    for m in range(1, count):
        yield f"store<T>(a_bar + {m} * stride, g{m});"


def gradient_lines(max_rank: int, groups: list[Group]) -> Iterator[str]:
    """Body of contraction_gradient."""
    for m in range(1, (max_rank + 1) ** 2):
        yield f"const V a{m} = load<T>(a + {m} * stride);"
    for group in groups:
        yield "{"
        for n, (x, y) in enumerate(group.pairs):
            yield f"    const V p{n} = a{x} * a{y};"
        for path, low, matrix in group.paths:
            rows = scaled_rows(matrix)
            yield "    {"
            yield f"        V sum = load<T>(w_bar + {path} * w_stride);"
            for z in range(rows.shape[0]):
                terms = [(rows[z, n], f"p{n}") for n in range(rows.shape[1]) if rows[z, n]]
                value = f"({combination(terms)})"
                yield f"        sum += load<T>(b_bar + {low + z} * stride) * {value};"
            yield f"        store<T>(w_bar + {path} * w_stride, sum);"
            yield "    }"
        yield "}"


def wrap(line: str, indent: str, limit: int = 100) -> Iterator[str]:
    """Breaks a long line at spaces."""
    text = indent + line
    inner = indent + " " * (len(line) - len(line.lstrip())) + "    "
    while len(text) > limit:
        at = text.rfind(" ", 0, limit)
        yield text[:at]
        text = inner + text[at + 1 :]
    yield text


def generate() -> str:
    """The whole header."""
    text = HEADER
    for max_rank in (1, 2, 3):
        groups = [
            Group(max_rank, a, b, pairs, matrix) for a, b, pairs, matrix in pair_products(max_rank)
        ]
        for name, arguments, lines in (
            ("forward", "const T* a, const T* w, T* b", forward_lines(max_rank, groups)),
            (
                "adjoint",
                "const T* a, const T* w, const T* b_bar, T* a_bar",
                adjoint_lines(max_rank, groups),
            ),
            (
                "gradient",
                "const T* a, const T* b_bar, T* w_bar",
                gradient_lines(max_rank, groups),
            ),
        ):
            indent = " " * len("inline void contraction_forward_1(")
            text += f"\ntemplate <class T>\ninline void contraction_{name}_{max_rank}("
            text += f"{arguments},\n{indent}long stride, long w_stride) {{\n"
            text += "    using V = Vector<T>;\n"
            for line in lines:
                text += "\n".join(wrap(line, "    ")) + "\n"
            text += "}\n"
    return text + FOOTER


def main() -> None:
    """Writes the header."""
    default = Path(__file__).resolve().parents[1] / "csrc/cpu/contraction_generated.hpp"
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--output", type=Path, default=default)
    arguments = parser.parse_args()
    arguments.output.write_text(generate())


if __name__ == "__main__":
    main()
