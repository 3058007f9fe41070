// SPDX-License-Identifier: MIT
// Adjoint of messages.hpp.  Lane = edge, so nothing is summed across lanes.
#ifndef CAMLIP_CPU_MESSAGES_ADJOINT_HPP
#define CAMLIP_CPU_MESSAGES_ADJOINT_HPP

#include "cpu/gradient.hpp"
#include "cpu/messages.hpp"

namespace camlip::cpu::CAMLIP_ISA {

// Node features of the neighbors of a chunk as rows (width, kChunk), s.sent and s.side from them.
template <class T>
inline void load_features(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int slot,
                          int first, int count) {
    using V = Vector<T>;
    constexpr int W = kLanes<T>;
    const std::int32_t* neighbor = s.neighbor + static_cast<long>(slot) * s.capacity + first;
    const int padded = (count + W - 1) / W * W, p1 = p.num_vectors;
    for (int e = 0; e < padded; e += W) {
        // Lanes beyond count repeat a neighbor; their radial functions are zero.
        const T* rows[W];
        for (int lane = 0; lane < W; ++lane) {
            const int edge = e + lane < count ? e + lane : count - 1;
            rows[lane] = job.node_features + static_cast<long>(neighbor[edge]) * p.feature_stride;
        }
        transpose_rows<T>(rows, p.width, s.features + e, kChunk);
    }
    const T* h1 = s.features + p.num_scalars * kChunk;
    const T s2 = T(0.70710678118654752), s6 = T(0.40824829046386302);
    for (int e = 0; e < padded; e += W) {
        const V x = load<T>(s.direction[0] + e), y = load<T>(s.direction[1] + e);
        const V z = load<T>(s.direction[2] + e);
        for (int n = 0; n < p1; ++n) {
            const V vx = load<T>(h1 + n * kChunk + e), vy = load<T>(h1 + (p1 + n) * kChunk + e);
            const V vz = load<T>(h1 + (2 * p1 + n) * kChunk + e);
            const V xx = vx * x, yy = vy * y, zz = vz * z;
            store<T>(s.axial + n * kChunk + e, xx + yy + zz);
            if (p.max_rank < 2) continue;
            T* side = s.side + n * kChunk + e;
            store<T>(side, s2 * (vx * y + vy * x));
            store<T>(side + p1 * kChunk, s2 * (vy * z + vz * y));
            store<T>(side + 2 * p1 * kChunk, s2 * (vx * z + vz * x));
            store<T>(side + 3 * p1 * kChunk, s2 * (xx - yy));
            store<T>(side + 4 * p1 * kChunk, s6 * (2 * zz - xx - yy));
        }
    }
}

// Radial functions are worked on so many at a time, in registers; radial_padded is a multiple.
template <class T>
constexpr int kRadialBlock = kLanes<T> == 16 ? 8 : 4;

// Adjoint of M for one vector of edges and the radial functions k ... k + K - 1.  For every q:
//     t_k = sum_m M_bar Y_m,   g_bar_k += t_k s_q,   s_bar_q += sum_k t_k g_k,
//     y_bar_m += sum_k M_bar s_q g_k          (m = 0 is left out: Y_0 is constant)
// the last for the forces alone.
template <class T, int M, int K, bool kForces>
inline void message_adjoint_block(int num_sent, int radial_padded, const T* bar, long row_stride,
                                  const T* sent, const T* basis, const T* g, T* g_bar, T* sent_bar,
                                  T* basis_bar, bool add_sent, bool add_basis) {
    using V = Vector<T>;
    V y_bar[M], radial_bar[K];
#pragma GCC unroll 16
    for (int m = 1; m < M && kForces; ++m)
        y_bar[m] = add_basis ? load<T>(basis_bar + m * kChunk) : V{};
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) radial_bar[k] = load<T>(g_bar + k * kChunk);
    for (int q = 0; q < num_sent; ++q) {
        V t[K];
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) t[k] = V{} + bar[k];
#pragma GCC unroll 16
        for (int m = 1; m < M; ++m) {
            const V y = load<T>(basis + m * kChunk);
#pragma GCC unroll 8
            for (int k = 0; k < K; ++k) t[k] += bar[m * row_stride + k] * y;
        }
        const V s = load<T>(sent + q * kChunk);
        V even{}, odd{};
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) {
            const V value = load<T>(g + k * kChunk);
            radial_bar[k] += t[k] * s;
            (k % 2 ? odd : even) += t[k] * value;
            if constexpr (kForces) t[k] = s * value;
        }
        T* out = sent_bar + q * kChunk;
        store<T>(out, add_sent ? load<T>(out) + (even + odd) : even + odd);
#pragma GCC unroll 8
        for (int k = 0; k < K && kForces; ++k) {
#pragma GCC unroll 16
            for (int m = 1; m < M; ++m) y_bar[m] += bar[m * row_stride + k] * t[k];
        }
        bar += radial_padded;
    }
#pragma GCC unroll 16
    for (int m = 1; m < M && kForces; ++m) store<T>(basis_bar + m * kChunk, y_bar[m]);
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) store<T>(g_bar + k * kChunk, radial_bar[k]);
}

// Adjoint of T for one vector of edges: `count` features f with rows of bar.
//     g_bar_k += T_bar f,   f_bar = sum_k T_bar g_k
template <class T, int K>
inline void side_adjoint_block(int count, int radial_padded, const T* bar, const T* f, const T* g,
                               T* g_bar, T* f_bar, bool add) {
    using V = Vector<T>;
    V radial_bar[K], radial[K];
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) {
        radial_bar[k] = load<T>(g_bar + k * kChunk);
        radial[k] = load<T>(g + k * kChunk);
    }
    for (int n = 0; n < count; ++n) {
        const V value = load<T>(f + n * kChunk);
        V even{}, odd{};
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) {
            radial_bar[k] += bar[k] * value;
            (k % 2 ? odd : even) += bar[k] * radial[k];
        }
        T* out = f_bar + n * kChunk;
        store<T>(out, add ? load<T>(out) + (even + odd) : even + odd);
        bar += radial_padded;
    }
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) store<T>(g_bar + k * kChunk, radial_bar[k]);
}

// Both for one vector of edges, e ... e + lanes.  The rows of s.radial and of bar beyond the number
// of radial functions are zero.
template <class T, int M, bool kForces>
inline void sums_adjoint(const Parameters<T>& p, Scratch<T>& s, const T* bar, long row_stride,
                         int e) {
    constexpr int K = kRadialBlock<T>;
    const int p0 = p.num_scalars, p1 = p.num_vectors, kp = p.radial_padded;
    for (int k = 0; k < kp; k += K) {
        const T* g = s.radial + k * kChunk + e;
        T* g_bar = s.radial_bar + k * kChunk + e;
        for (int n = 0; n < K; ++n) store<T>(g_bar + n * kChunk, Vector<T>{});
        message_adjoint_block<T, M, K, kForces>(p0, kp, bar + k, row_stride, s.features + e,
                                                s.basis + e, g, g_bar, s.sent_bar + e,
                                                s.basis_bar + e, k > 0, k > 0);
        message_adjoint_block<T, M, K, kForces>(p1, kp, bar + p0 * kp + k, row_stride, s.axial + e,
                                                s.basis + e, g, g_bar, s.sent_bar + p0 * kChunk + e,
                                                s.basis_bar + e, k > 0, true);
        for (int m = 1; m < (p.max_rank >= 2 ? 9 : 4); ++m) {
            const T* rows = bar + m * row_stride + side_column<T>(p, m) + k;
            const int at = (m - 1) * p1 * kChunk + e;
            const T* f = m < 4 ? s.features + p0 * kChunk + at : s.side + at - 3 * p1 * kChunk;
            side_adjoint_block<T, K>(p1, kp, rows, f, g, g_bar, s.side_bar + at, k > 0);
        }
    }
}

// From the adjoint of s (s.sent_bar) and of the sides (s.side_bar) to that of the node features
// (s.features_bar) and of the direction (added to `across`), at edges e ... e + lanes.
template <class T, bool kForces>
CAMLIP_INLINE void features_adjoint(const Parameters<T>& p, Scratch<T>& s, int e,
                                    Vector<T>* across) {
    using V = Vector<T>;
    const int p1 = p.num_vectors, p0 = p.num_scalars;
    const V x = load<T>(s.direction[0] + e), y = load<T>(s.direction[1] + e);
    const V z = load<T>(s.direction[2] + e);
    const T s2 = T(0.70710678118654752), s6 = T(0.40824829046386302);
    const T* h1 = s.features + p0 * kChunk + e;
    T* h1_bar = s.sent_bar + p0 * kChunk + e;
    const int next = p1 * kChunk;
    for (int n = 0; n < p1; ++n) {
        // h1_bar takes the place of the adjoint of the projection, and goes on beyond it.
        const V axial = load<T>(s.sent_bar + (p0 + n) * kChunk + e);
        const T* side = s.side_bar + n * kChunk + e;
        V bx = load<T>(side) + axial * x, by = load<T>(side + next) + axial * y;
        V bz = load<T>(side + 2 * next) + axial * z;
        const V vx = load<T>(h1 + n * kChunk), vy = load<T>(h1 + n * kChunk + next);
        const V vz = load<T>(h1 + n * kChunk + 2 * next);
        if constexpr (kForces) {
            across[0] += axial * vx;
            across[1] += axial * vy;
            across[2] += axial * vz;
        }
        if (p.max_rank >= 2) {
            const V xy = s2 * load<T>(side + 3 * next), yz = s2 * load<T>(side + 4 * next);
            const V xz = s2 * load<T>(side + 5 * next), w3 = s2 * load<T>(side + 6 * next);
            const V w4 = s6 * load<T>(side + 7 * next);
            const V xx = w3 - w4, yy = -w3 - w4, zz = 2 * w4;
            bx += xx * x + xy * y + xz * z;
            by += xy * x + yy * y + yz * z;
            bz += xz * x + yz * y + zz * z;
            if constexpr (!kForces) {
                store<T>(h1_bar + n * kChunk, bx);
                store<T>(h1_bar + n * kChunk + next, by);
                store<T>(h1_bar + n * kChunk + 2 * next, bz);
                continue;
            }
            across[0] += xx * vx + xy * vy + xz * vz;
            across[1] += xy * vx + yy * vy + yz * vz;
            across[2] += xz * vx + yz * vy + zz * vz;
        }
        store<T>(h1_bar + n * kChunk, bx);
        store<T>(h1_bar + n * kChunk + next, by);
        store<T>(h1_bar + n * kChunk + 2 * next, bz);
    }
}

// Adds the adjoints of the node features of a chunk, rows (width, kChunk) of s.sent_bar.
template <class T>
inline void scatter_features(const Parameters<T>& p, Scratch<T>& s, int slot, int first,
                             int count) {
    constexpr int W = kLanes<T>;
    const std::int32_t* neighbor = s.neighbor + static_cast<long>(slot) * s.capacity + first;
    const int stride = p.feature_stride;
    transpose<T>(s.sent_bar, kChunk, (p.width + W - 1) / W * W, (count + W - 1) / W * W, s.features,
                 stride);
    for (int e = 0; e < count; ++e) {
        add_widened<T>(row_of(s.features_bar, neighbor[e]), s.features + e * stride, p.width);
    }
}

// One vector of edges, e ... e + lanes.
template <class T, bool kForces>
CAMLIP_INLINE void edge_adjoint(const Parameters<T>& p, const LayerData<T>& layer, Scratch<T>& s,
                                const T* bar, long row_stride, int e) {
    using V = Vector<T>;
    if (p.message_rank == 1) {
        sums_adjoint<T, 4, kForces>(p, s, bar, row_stride, e);
    } else if (p.message_rank == 2) {
        sums_adjoint<T, 9, kForces>(p, s, bar, row_stride, e);
    } else {
        sums_adjoint<T, 16, kForces>(p, s, bar, row_stride, e);
    }
    V along{}, across[3] = {};
    features_adjoint<T, kForces>(p, s, e, across);
    if constexpr (!kForces) return;
    for (int k = 0; k < layer.num_radial; ++k) {
        along += load<T>(s.derivative + k * kChunk + e) * load<T>(s.radial_bar + k * kChunk + e);
    }
    basis_adjoint<T>(load<T>(s.direction[0] + e), load<T>(s.direction[1] + e),
                     load<T>(s.direction[2] + e), p.message_rank, s.basis_bar + e, kChunk, across);
    edge_gradient<T>(s, e, along, across);
}

// What the edges of a chunk will read and add to: rows of atoms anywhere in memory.
template <class T>
CAMLIP_INLINE void prefetch_features(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s,
                                     int slot, int first, int count) {
    constexpr int kLine = 64;
    const std::int32_t* neighbor = s.neighbor + static_cast<long>(slot) * s.capacity + first;
    for (int e = 0; e < count; ++e) {
        const T* h = job.node_features + static_cast<long>(neighbor[e]) * p.feature_stride;
        for (int n = 0; n < p.width; n += kLine / static_cast<int>(sizeof(T))) {
            __builtin_prefetch(h + n);
        }
        const double* bar = s.features_bar.data + static_cast<long>(neighbor[e]) * p.width;
        for (int n = 0; n < p.width; n += kLine / static_cast<int>(sizeof(double))) {
            __builtin_prefetch(bar + n, 1);
        }
        __builtin_prefetch(bar + p.width - 1, 1);
    }
}

// bar: adjoint of the rows that messages_forward writes.
template <class T>
inline void messages_backward(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int index,
                              long i, int slot, const T* bar, long row_stride) {
    constexpr int W = kLanes<T>;
    const LayerData<T>& layer = p.layers[index];
    for (int first = 0; first < s.count[slot]; first += kChunk) {
        const int count = s.count[slot] - first < kChunk ? s.count[slot] - first : kChunk;
        const int padded = (count + W - 1) / W * W;
        prefetch_features<T>(p, job, s, slot, first, count);
        if (s.with_forces) {
            load_chunk<T, true>(p, layer, s, slot, first, count, p.message_rank);
            load_features<T>(p, job, s, slot, first, count);
            for (int e = 0; e < count; e += W)
                edge_adjoint<T, true>(p, layer, s, bar, row_stride, e);
            scatter_gradients<T>(s, i, slot, first, count);
        } else {
            load_chunk<T, false>(p, layer, s, slot, first, count, p.message_rank);
            transpose_radial<T>(layer.radial_stride, padded, s.row, s.radial);
            load_features<T>(p, job, s, slot, first, count);
            for (int e = 0; e < count; e += W)
                edge_adjoint<T, false>(p, layer, s, bar, row_stride, e);
        }
        scatter_features<T>(p, s, slot, first, count);
        if (s.gradient) {
            transpose<T>(s.radial_bar, kChunk, layer.radial_stride, padded, s.row,
                         layer.radial_stride);
            knots_gradient<T>(p, s, index, slot, first, count, s.row);
        }
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
