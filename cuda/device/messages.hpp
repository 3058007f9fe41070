// SPDX-License-Identifier: MIT
// Layers above 0: sums over edges of g_k s_q Y_m, g_k h1 and g_k K112(h1, u), eqs. (10)-(12).
// One atom per block.
#ifndef CAMLIP_CUDA_DEVICE_MESSAGES_HPP
#define CAMLIP_CUDA_DEVICE_MESSAGES_HPP

#include "device/edges.hpp"

namespace camlip::cuda {

template <class T>
CAMLIP_SHARED_CODE T axial(const T* v, const T* u) {
    return v[0] * u[0] + v[1] * u[1] + v[2] * u[2];
}

// Row m of the sums of an atom, and the length of its M part.
template <class T, class P>
CAMLIP_SHARED_CODE P* sums_of(const LayerData<T>& layer, P* sums, int m) {
    const int l = m >= 9 ? 3 : m >= 4 ? 2 : m >= 1 ? 1 : 0;
    return sums + layer.sum_offset[l] + (m - l * l) * layer.depth[l];
}
template <class T>
CAMLIP_SHARED_CODE int main_depth(const Sizes& sizes, const LayerData<T>& layer, int m) {
    return m < sizes.message_components ? sizes.sent_padded * layer.radial : 0;
}

// The sums are a matrix product over the edges: rows (m, k) hold Y_m g_k, columns s_q and, for the
// rows of m = 0 only, the sides; a thread owns a tile of 8 rows and 4 columns.
template <class T>
struct MessagesForward {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 2;
    Geometry geometry;
    Sizes sizes;
    LayerData<T> layer;
    std::int64_t first, atoms;
    const T* features;  // (N + G, width)
    T* sums;            // (atoms, num_sums)

    CAMLIP_SHARED_CODE int rows() const { return sizes.message_components * layer.radial; }
    CAMLIP_SHARED_CODE int columns() const { return sizes.sent_padded + up4(sizes.num_sides); }
    CAMLIP_SHARED_CODE int main_tiles() const { return rows() / 8 * (sizes.sent_padded / 4); }
    CAMLIP_SHARED_CODE int tiles() const {
        return main_tiles() + layer.radial / 8 * (up4(sizes.num_sides) / 4);
    }

    struct Shared {
        Chunk<T> chunk;
        T *basis, *left, *right;  // (edge, m), (edge, row), (edge, column)
        CAMLIP_SHARED_CODE Shared(Carver& carver, const MessagesForward& k)
            : chunk(carver),
              basis(carver.take<T>(kChunk * (kMaxComponents + 1))),
              left(carver.take<T>(kChunk * k.rows())),
              right(carver.take<T>(kChunk * k.columns())) {}
    };

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        Carver carver(block.shared());
        const Shared s(carver, *this);
        const int thread = block.thread(), threads = block.threads();
        for (int n = thread; n < kChunk * columns(); n += threads) s.right[n] = 0;
        for (std::int64_t atom = block.index(); atom < atoms; atom += block.count()) {
            const std::int64_t i = first + atom;
            const std::int64_t begin = geometry.offsets[i];
            const std::int64_t end = geometry.types[i] < 0 ? begin : geometry.offsets[i + 1];
            for (int pass = 0; pass < tiles(); pass += threads) {
                const int tile = pass + thread;
                int row = 0, column = 0;
                place(tile, row, column);
                T acc[8][4] = {};
                for (std::int64_t at = begin; at < end; at += kChunk) {
                    block.sync();
                    if (thread < kWarp) {
                        stage_edges(block, geometry, Repulsion{}, s.chunk, i, at, end,
                                    sizes.message_rank, s.basis, 1, kMaxComponents + 1);
                    }
                    block.sync();
                    fill(block, s);
                    block.sync();
                    if (tile < tiles()) multiply(s, *s.chunk.count, row, column, acc);
                }
                if (tile < tiles()) write(sums + atom * layer.num_sums, tile, row, column, acc);
            }
        }
    }

    CAMLIP_DEVICE void place(int tile, int& row, int& column) const {
        if (tile < main_tiles()) {
            row = tile / (sizes.sent_padded / 4) * 8;
            column = tile % (sizes.sent_padded / 4) * 4;
        } else {
            const int side = tile - main_tiles(), per_row = up4(sizes.num_sides) / 4;
            row = side / per_row * 8;
            column = sizes.sent_padded + side % per_row * 4;
        }
    }

    template <class Block>
    CAMLIP_DEVICE void fill(Block& block, const Shared& s) const {
        const int count = *s.chunk.count, radial = layer.radial;
        for (int n = block.thread(); n < count * radial; n += block.threads()) {
            const int e = n / radial, k = n % radial;
            const T* c =
                layer.table + std::int64_t{s.chunk.interval[e]} * kTableTerms<T> * radial + k;
            const T g = radial_value(c, radial, s.chunk.fraction[e]);
            for (int m = 0; m < sizes.message_components; ++m) {
                s.left[e * rows() + m * radial + k] = g * s.basis[e * (kMaxComponents + 1) + m];
            }
        }
        const int senders = sizes.sent;
        for (int n = block.thread(); n < count * senders; n += block.threads()) {
            const int e = n / senders, q = n % senders, p = q - sizes.scalars;
            const T* h = features + std::int64_t{s.chunk.neighbor[e]} * sizes.width;
            T* out = s.right + e * columns();
            if (p < 0) {
                out[q] = h[q];
                continue;
            }
            const int p1 = sizes.vectors;
            const T u[3] = {s.chunk.direction[0][e], s.chunk.direction[1][e],
                            s.chunk.direction[2][e]};
            const T v[3] = {h[q], h[q + p1], h[q + 2 * p1]};
            out[q] = axial(v, u);
            T* side = out + sizes.sent_padded + p;
            for (int a = 0; a < 3; ++a) side[a * p1] = v[a];
            if (sizes.max_rank < 2) continue;
            T t[5];
            couple_vectors(v, u, t);
            for (int z = 0; z < 5; ++z) side[(3 + z) * p1] = t[z];
        }
    }

    CAMLIP_DEVICE void multiply(const Shared& s, int count, int row, int column,
                                T (&acc)[8][4]) const {
        for (int e = 0; e < count; ++e) {
            const Four<T> a = load4(s.left + e * rows() + row);
            const Four<T> b = load4(s.left + e * rows() + row + 4);
            const Four<T> c = load4(s.right + e * columns() + column);
            CAMLIP_UNROLL
            for (int x = 0; x < 4; ++x) {
                CAMLIP_UNROLL
                for (int y = 0; y < 4; ++y) {
                    acc[x][y] += a.v[x] * c.v[y];
                    acc[4 + x][y] += b.v[x] * c.v[y];
                }
            }
        }
    }

    // Rows of a tile are the radial functions of one m, so eight numbers in a row of the sums.
    CAMLIP_DEVICE void write(T* out, int tile, int row, int column, const T (&acc)[8][4]) const {
        const int radial = layer.radial;
        CAMLIP_UNROLL
        for (int y = 0; y < 4; ++y) {
            int m = row / radial, at = (column + y) * radial;
            if (tile >= main_tiles()) {
                const int n = column + y - sizes.sent_padded;
                if (n >= sizes.num_sides) continue;
                m = 1 + n / sizes.vectors;
                at = n % sizes.vectors * radial + main_depth(sizes, layer, m);
            }
            T* to = sums_of(layer, out, m) + at + row % radial;
            store4(to, Four<T>{{acc[0][y], acc[1][y], acc[2][y], acc[3][y]}});
            store4(to + 4, Four<T>{{acc[4][y], acc[5][y], acc[6][y], acc[7][y]}});
        }
    }

    std::size_t shared_bytes() const {
        Carver carver(nullptr);
        const Shared s(carver, *this);
        return carver.bytes();
    }
};

}  // namespace camlip::cuda

#endif
