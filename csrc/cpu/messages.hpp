// SPDX-License-Identifier: MIT
// Edge sums of the layers above 0.  With s = (h0_j ; h1_j . u) of length Q:
//
//     M[m, (q, k)] = sum_e g_k s_q Y_m(u)     T1[x, (p, k)] = sum_e g_k h1_xp
//                                             T2[z, (p, k)] = sum_e g_k K112_z(h1_p, u)
//
// One row per component m of the atom, M first and then T where the rank has it: the rows that
// LayerData::mixing takes.  K112 is E2_z itself, a symmetric matrix, so K112_z(v, u) = v.E2_z.u.
//
// Forward    lane = (q, k).  An edge gives the rows g_k s_q and g_k h1_xp; two products with the
//            matrix Y (components, edges) sum them up: the first gives M, and the second, with
//            Y_0 ... Y_3 = 1, x, y, z alone, sums R[y, (x, p, k)] of which T1 and T2 are made.
// Backward   messages_adjoint.hpp
#ifndef CAMLIP_CPU_MESSAGES_HPP
#define CAMLIP_CPU_MESSAGES_HPP

#include "cpu/edges.hpp"

namespace camlip::cpu::CAMLIP_ISA {

// Start of T in the row of component m.
template <class T>
CAMLIP_INLINE long side_column(const Parameters<T>& p, int m) {
    return m < p.num_message_components ? p.message_columns : 0;
}

// Writes g_k f_n for n < count: `radial_padded` elements each, one after the other.
template <class T>
CAMLIP_INLINE void scale_radial(const Parameters<T>& p, int count, const T* f, const T* g, T* out) {
    using H = HalfVector<T>;
    constexpr int W = kHalfLanes<T>;
    if (p.radial_padded == 2 * W) {
        const H low = load_half<T>(g), high = load_half<T>(g + W);
        for (int n = 0; n < count; ++n) {
            store_half<T>(out + 2 * n * W, f[n] * low);
            store_half<T>(out + (2 * n + 1) * W, f[n] * high);
        }
    } else if (p.radial_padded == W) {
        const H low = load_half<T>(g);
        for (int n = 0; n < count; ++n) store_half<T>(out + n * W, f[n] * low);
    } else {
        for (int n = 0; n < count; ++n) {
            for (int k = 0; k < p.radial_padded; k += W) {
                store_half<T>(out + k, f[n] * load_half<T>(g + k));
            }
            out += p.radial_padded;
        }
    }
}

// The rows of a chunk, (edges, message_columns + 3 side_columns).  Their padding is zero from the
// start and never written.
template <class T>
inline void product_rows(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s,
                         const LayerData<T>& layer, int slot, int first, int count) {
    using V = Vector<T>;
    constexpr int W = kLanes<T>;
    const std::int32_t* neighbor = s.neighbor + static_cast<long>(slot) * s.capacity + first;
    const int p0 = p.num_scalars, p1 = p.num_vectors;
    constexpr int kAhead = 6, kLine = 64 / static_cast<int>(sizeof(T));  // beyond count: old ones
    for (int e = 0; e < count; ++e) {
        const T* h = job.node_features + static_cast<long>(neighbor[e]) * p.feature_stride;
        const T* ahead =
            job.node_features + static_cast<long>(neighbor[e + kAhead]) * p.feature_stride;
        for (int n = 0; n < p.feature_stride; n += kLine) __builtin_prefetch(ahead + n);
        const T x = s.direction[0][e], y = s.direction[1][e], z = s.direction[2][e];
        const T* g = s.row + e * layer.radial_stride;
        T* row = s.product_row + e * p.product_stride;
        const T* h1 = h + p0;
        for (int n = 0; n < p1; n += W) {
            const V axial =
                x * load<T>(h1 + n) + y * load<T>(h1 + p1 + n) + z * load<T>(h1 + 2 * p1 + n);
            store<T>(s.axial + n, axial);
        }
        scale_radial<T>(p, p0, h, g, row);
        scale_radial<T>(p, p1, s.axial, g, row + p0 * p.radial_padded);
        row += p.message_columns;
        for (int a = 0; a < 3; ++a) {
            scale_radial<T>(p, p1, h1 + a * p1, g, row + a * p.side_columns);
        }
    }
}

// T of the components 1 ... 8 from R.
template <class T>
inline void write_sides(const Parameters<T>& p, Scratch<T>& s, T* out, long row_stride) {
    using V = Vector<T>;
    const int side = p.side_columns, row = 3 * side;
    const T s2 = T(0.70710678118654752), s6 = T(0.40824829046386302);
    for (int c = 0; c < side; c += kLanes<T>) {
        const T* sums = s.side_sum + c;
        const auto put = [&](int m, V value) {
            store<T>(out + m * row_stride + side_column<T>(p, m) + c, value);
        };
        for (int a = 0; a < 3; ++a) put(1 + a, load<T>(sums + a * side));
        if (p.max_rank < 2) continue;
        // product of component a of h1 and component b of u
        const auto at = [&](int a, int b) { return load<T>(sums + (1 + b) * row + a * side); };
        const V xx = at(0, 0), yy = at(1, 1), zz = at(2, 2);
        put(4, s2 * (at(0, 1) + at(1, 0)));
        put(5, s2 * (at(1, 2) + at(2, 1)));
        put(6, s2 * (at(0, 2) + at(2, 0)));
        put(7, s2 * (xx - yy));
        put(8, s6 * (2 * zz - xx - yy));
    }
}

// Row m of the atom in `slot` is at out[m * row_stride].
template <class T>
inline void messages_forward(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s,
                             const LayerData<T>& layer, int slot, T* out, long row_stride) {
    constexpr int W = kLanes<T>;
    const int components = p.num_message_components;
    const int vectors = p.message_columns / W, side_vectors = 3 * p.side_columns / W;
    const int sides = p.max_rank >= 2 ? 4 : 1;
    if (s.count[slot] == 0) {
        for (int m = 0; m < p.num_components; ++m) {
            for (int n = 0; n < layer.depth[rank_of(m)]; ++n) out[m * row_stride + n] = 0;
        }
        return;
    }
    for (int first = 0; first < s.count[slot]; first += kChunk) {
        const int count = s.count[slot] - first < kChunk ? s.count[slot] - first : kChunk;
        load_chunk<T, false>(p, layer, s, slot, first, count, p.message_rank);
        product_rows<T>(p, job, s, layer, slot, first, count);
        sum_outer<T>(first > 0, components, count, vectors, s.basis, s.product_row,
                     p.product_stride, out, row_stride);
        sum_outer<T>(first > 0, sides, count, side_vectors, s.basis,
                     s.product_row + p.message_columns, p.product_stride, s.side_sum,
                     3 * p.side_columns);
    }
    write_sides<T>(p, s, out, row_stride);
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
