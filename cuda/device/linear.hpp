// SPDX-License-Identifier: MIT
// Matrix products of a block of threads: out[r, :] = sum over d of in[r, d] w[d, :].
//
// A thread owns a tile of 4 rows and 4 columns.  Rows of `in` are read four numbers at a time, from
// shared or device memory, at 16 byte boundaries; w is in device memory, with rows padded to 4.
// Rows beyond the last repeat the last and are not stored.
#ifndef CAMLIP_CUDA_DEVICE_LINEAR_HPP
#define CAMLIP_CUDA_DEVICE_LINEAR_HPP

#include "device/platform.hpp"

namespace camlip::cuda {

template <class T>
CAMLIP_DEVICE void multiply_tile(const T* const (&rows)[4], int depth, const T* w, int stride,
                                 T (&acc)[4][4]) {
    for (int d = 0; d < depth; d += 4) {
        Four<T> a[4];
        CAMLIP_UNROLL
        for (int r = 0; r < 4; ++r) a[r] = load4(rows[r] + d);
        CAMLIP_UNROLL
        for (int x = 0; x < 4; ++x) {
            const Four<T> b = load4(w + (d + x) * stride);
            CAMLIP_UNROLL
            for (int r = 0; r < 4; ++r) {
                CAMLIP_UNROLL
                for (int y = 0; y < 4; ++y) acc[r][y] += a[r].v[x] * b.v[y];
            }
        }
    }
}

// in(row) points at a row, out(row, column, four numbers) takes the result.
template <class T, class Block, class In, class Out>
CAMLIP_DEVICE void multiply(Block& block, int rows, int columns, int depth, In in, const T* w,
                            Out out) {
    const int per_row = columns / 4, items = (rows + 3) / 4 * per_row;
    for (int item = block.thread(); item < items; item += block.threads()) {
        const int row = item / per_row * 4, column = item % per_row * 4;
        const T* from[4];
        CAMLIP_UNROLL
        for (int r = 0; r < 4; ++r) from[r] = in(row + r < rows ? row + r : rows - 1);
        T acc[4][4] = {};
        multiply_tile(from, depth, w + column, columns, acc);
        CAMLIP_UNROLL
        for (int r = 0; r < 4; ++r) {
            if (row + r < rows)
                out(row + r, column, Four<T>{{acc[r][0], acc[r][1], acc[r][2], acc[r][3]}});
        }
    }
}

// How many parts a product of few rows is split into, and how much room its partial sums take.
CAMLIP_SHARED_CODE int split_parts(int rows, int columns, int segments, int threads) {
    const int tiles = (rows + 3) / 4 * (columns / 4);
    const int parts = threads / tiles < segments ? threads / tiles : segments;
    return parts > 1 ? parts : 1;
}
CAMLIP_SHARED_CODE int split_room(int rows, int columns, int threads) {
    const int tiles = (rows + 3) / 4 * (columns / 4);
    return 16 * (tiles > threads ? tiles : threads);
}

// The depth in segments: number d of segment s stands at in(row)[s * segment_stride + d], its
// weights in row s * length + d.  Threads that rows and columns leave idle share the segments, and
// out(row, column, number) takes the sum of the parts.  Ends with a barrier.
template <class T, class Block, class In, class Out>
CAMLIP_DEVICE void multiply_split(Block& block, int rows, int columns, int segments, int length,
                                  int segment_stride, In in, const T* w, T* partial, Out out) {
    const int per_row = columns / 4, tiles = (rows + 3) / 4 * per_row;
    const int parts = split_parts(rows, columns, segments, block.threads());
    const int padded_rows = (rows + 3) / 4 * 4;
    for (int item = block.thread(); item < tiles * parts; item += block.threads()) {
        const int part = item / tiles, tile = item % tiles;
        const int row = tile / per_row * 4, column = tile % per_row * 4;
        T acc[4][4] = {};
        for (int s = part; s < segments; s += parts) {
            const T* from[4];
            CAMLIP_UNROLL
            for (int r = 0; r < 4; ++r) {
                from[r] = in(row + r < rows ? row + r : rows - 1) + s * segment_stride;
            }
            multiply_tile(from, length, w + s * length * columns + column, columns, acc);
        }
        CAMLIP_UNROLL
        for (int r = 0; r < 4; ++r) {
            store4(partial + (part * padded_rows + row + r) * columns + column,
                   Four<T>{{acc[r][0], acc[r][1], acc[r][2], acc[r][3]}});
        }
    }
    block.sync();
    for (int n = block.thread(); n < rows * columns; n += block.threads()) {
        T sum = partial[n];
        for (int part = 1; part < parts; ++part) sum += partial[part * padded_rows * columns + n];
        out(n / columns, n % columns, sum);
    }
    block.sync();
}

// One product for every rank: rows (m, atom) of rank l, in the order of the components, times the
// matrix of rank l.  With kInPlace, out overwrites what in reads: a pass holds whole rows.
template <bool kInPlace, class T, class Block, class Shape, class In, class Out>
CAMLIP_DEVICE void multiply_ranks(Block& block, int max_rank, int atoms, const Shape& shape, In in,
                                  Out out) {
    int items = 0;
    for (int l = 0; l <= max_rank; ++l)
        items += ((2 * l + 1) * atoms + 3) / 4 * (shape.columns(l) / 4);
    int per_pass = block.threads();
    if (kInPlace) per_pass = per_pass / (shape.columns(0) / 4) * (shape.columns(0) / 4);
    for (int pass = 0; pass < items; pass += per_pass) {
        int item = pass + block.thread(), l = 0, rows = 0, row = 0, column = 0;
        const bool busy = block.thread() < per_pass && item < items;
        T acc[4][4] = {};
        if (busy) {
            for (;; ++l) {
                rows = (2 * l + 1) * atoms;
                const int here = (rows + 3) / 4 * (shape.columns(l) / 4);
                if (item < here) break;
                item -= here;
            }
            const int per_row = shape.columns(l) / 4;
            row = item / per_row * 4;
            column = item % per_row * 4;
            const T* from[4];
            CAMLIP_UNROLL
            for (int r = 0; r < 4; ++r) from[r] = in(l, row + r < rows ? row + r : rows - 1);
            multiply_tile(from, shape.depth(l), shape.weight(l) + column, shape.columns(l), acc);
        }
        if (kInPlace) block.sync();
        if (!busy) continue;
        CAMLIP_UNROLL
        for (int r = 0; r < 4; ++r) {
            if (row + r < rows)
                out(l, row + r, column, Four<T>{{acc[r][0], acc[r][1], acc[r][2], acc[r][3]}});
        }
    }
}

}  // namespace camlip::cuda

#endif
