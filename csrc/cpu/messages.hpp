// SPDX-License-Identifier: MIT
// Edge sums of the layers above 0 and their adjoint.  With s = (h0_j ; h1_j . u) of length Q:
//
//     M[m, (q, k)] = sum_e g_k s_q Y_m(u)     T1[x, (p, k)] = sum_e g_k h1_xp
//                                             T2[z, (p, k)] = sum_e g_k K112_z(h1_p, u)
//
// One row per component m of the atom, M first and then T where the rank has it: the rows that
// LayerData::mixing takes.  K112 is E2_z itself, a symmetric matrix, so K112_z(v, u) = v.E2_z.u.
#ifndef CAMLIP_CPU_MESSAGES_HPP
#define CAMLIP_CPU_MESSAGES_HPP

#include "cpu/edges.hpp"

namespace camlip::cpu::CAMLIP_ISA {

// Node features of the neighbors of a chunk as rows (width, kChunk), and s.sent, s.side from them.
template <class T>
inline void load_features(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int slot,
                          int first, int count) {
    using V = Vector<T>;
    constexpr int W = kLanes<T>;
    const std::int32_t* neighbor = s.neighbor + static_cast<long>(slot) * s.capacity + first;
    const int padded = (count + W - 1) / W * W, p1 = p.num_vectors;
    for (int e = 0; e < count; ++e) {
        const double* row = job.features + static_cast<long>(neighbor[e]) * p.width;
        for (int c = 0; c < p.width; ++c) s.features[c * kChunk + e] = static_cast<T>(row[c]);
    }
    for (int e = count; e < padded; ++e) {
        for (int c = 0; c < p.width; ++c) s.features[c * kChunk + e] = 0;
    }
    const T* h1 = s.features + p.num_scalars * kChunk;
    const T s2 = T(0.70710678118654752), s6 = T(0.40824829046386302);
    for (int e = 0; e < padded; e += W) {
        const V x = load<T>(s.direction[0] + e), y = load<T>(s.direction[1] + e);
        const V z = load<T>(s.direction[2] + e);
        for (int q = 0; q < p.num_scalars; ++q) {
            store<T>(s.sent + q * kChunk + e, load<T>(s.features + q * kChunk + e));
        }
        for (int n = 0; n < p1; ++n) {
            const V vx = load<T>(h1 + n * kChunk + e), vy = load<T>(h1 + (p1 + n) * kChunk + e);
            const V vz = load<T>(h1 + (2 * p1 + n) * kChunk + e);
            const V xx = vx * x, yy = vy * y, zz = vz * z;
            store<T>(s.sent + (p.num_scalars + n) * kChunk + e, xx + yy + zz);
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

template <class T>
CAMLIP_INLINE void sum_products(bool add, int rows, int count, int vectors, const T* left,
                                const T* right, int stride, T* out) {
    const Matrix<T> matrix{left, kChunk, 1};
    if (add) {
        gemm<T, true>(rows, count, vectors, matrix, right, stride, out, stride);
    } else {
        gemm<T, false>(rows, count, vectors, matrix, right, stride, out, stride);
    }
}

// Row m of the atom in `slot` is at out[m * row_stride].
template <class T>
inline void messages_forward(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s,
                             const LayerData<T>& layer, int slot, T* out, long row_stride) {
    constexpr int W = kLanes<T>;
    const int kr = layer.num_radial, stride = layer.radial_stride, p1 = p.num_vectors;
    const int components = p.num_message_components, products = p.product_stride;
    for (int first = 0; first < s.count[slot]; first += kChunk) {
        const int count = s.count[slot] - first < kChunk ? s.count[slot] - first : kChunk;
        load_chunk<T, false>(p, layer, s, slot, first, count, p.message_rank);
        load_features<T>(p, job, s, slot, first, count);
        for (int e = 0; e < count; ++e) {
            T* row = s.product_row + e * products;
            // Ascending m: the padding of one m is overwritten by the next.
            for (int m = 0; m < components; ++m) {
                const T y = s.basis[m * kChunk + e];
                for (int k = 0; k < stride; k += W) {
                    store<T>(row + m * kr + k, y * load<T>(s.row + e * stride + k));
                }
            }
        }
        sum_products<T>(first > 0, p.num_sent, count, (components * kr + W - 1) / W, s.sent,
                        s.product_row, products, s.message_sum);
        sum_products<T>(first > 0, 3 * p1, count, stride / W, s.features + p.num_scalars * kChunk,
                        s.row, stride, s.side_sum);
        if (p.max_rank >= 2) {
            sum_products<T>(first > 0, 5 * p1, count, stride / W, s.side, s.row, stride,
                            s.side_sum + 3 * p1 * stride);
        }
    }
    const bool empty = s.count[slot] == 0;
    for (int m = 0; m < p.num_components; ++m) {
        T* row = out + m * row_stride;
        if (m < components) {
            for (int q = 0; q < p.num_sent; ++q) {
                const T* from = s.message_sum + q * products + m * kr;
                for (int k = 0; k < kr; ++k) row[k] = empty ? T(0) : from[k];
                row += kr;
            }
        }
        if (m >= 1 && m < 9) {
            for (int n = 0; n < p1; ++n) {
                const T* from = s.side_sum + ((m - 1) * p1 + n) * stride;
                for (int k = 0; k < kr; ++k) row[k] = empty ? T(0) : from[k];
                row += kr;
            }
        }
    }
}

// From the adjoint of s (s.sent_bar) and of the sides (s.side_bar) to that of the node features
// (s.features_bar_chunk) and of the direction (added to `across`), at edges e ... e + lanes.
template <class T>
CAMLIP_INLINE void features_adjoint(const Parameters<T>& p, Scratch<T>& s, int e,
                                    Vector<T>* across) {
    using V = Vector<T>;
    const int p1 = p.num_vectors, p0 = p.num_scalars;
    const V x = load<T>(s.direction[0] + e), y = load<T>(s.direction[1] + e);
    const V z = load<T>(s.direction[2] + e);
    const T s2 = T(0.70710678118654752), s6 = T(0.40824829046386302);
    for (int q = 0; q < p0; ++q) {
        store<T>(s.features_bar_chunk + q * kChunk + e, load<T>(s.sent_bar + q * kChunk + e));
    }
    const T* h1 = s.features + p0 * kChunk + e;
    T* h1_bar = s.features_bar_chunk + p0 * kChunk + e;
    const int next = p1 * kChunk;
    for (int n = 0; n < p1; ++n) {
        const V axial = load<T>(s.sent_bar + (p0 + n) * kChunk + e);
        const T* side = s.side_bar + n * kChunk + e;
        V bx = load<T>(side) + axial * x, by = load<T>(side + next) + axial * y;
        V bz = load<T>(side + 2 * next) + axial * z;
        const V vx = load<T>(h1 + n * kChunk), vy = load<T>(h1 + n * kChunk + next);
        const V vz = load<T>(h1 + n * kChunk + 2 * next);
        across[0] += axial * vx;
        across[1] += axial * vy;
        across[2] += axial * vz;
        if (p.max_rank >= 2) {
            const V xy = s2 * load<T>(side + 3 * next), yz = s2 * load<T>(side + 4 * next);
            const V xz = s2 * load<T>(side + 5 * next), w3 = s2 * load<T>(side + 6 * next);
            const V w4 = s6 * load<T>(side + 7 * next);
            const V xx = w3 - w4, yy = -w3 - w4, zz = 2 * w4;
            bx += xx * x + xy * y + xz * z;
            by += xy * x + yy * y + yz * z;
            bz += xz * x + yz * y + zz * z;
            across[0] += xx * vx + xy * vy + xz * vz;
            across[1] += xy * vx + yy * vy + yz * vz;
            across[2] += xz * vx + yz * vy + zz * vz;
        }
        store<T>(h1_bar + n * kChunk, bx);
        store<T>(h1_bar + n * kChunk + next, by);
        store<T>(h1_bar + n * kChunk + 2 * next, bz);
    }
}

// bar: adjoint of the rows that messages_forward writes.  Lane = edge throughout:
//     t_mk = sum_q M_bar s_q,  g_bar_k = sum_m t_mk Y_m,  y_bar_m = sum_k t_mk g_k,
//     s_bar_q = sum_mk M_bar g_k Y_m
template <class T>
inline void messages_backward(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s,
                              const LayerData<T>& layer, long i, int slot, const T* bar,
                              long row_stride) {
    using V = Vector<T>;
    constexpr int W = kLanes<T>;
    const int kr = layer.num_radial, p1 = p.num_vectors, components = p.num_message_components;
    const int num_sides = p.max_rank >= 2 ? 8 * p1 : 3 * p1;
    for (int n = 0; n < num_sides; ++n) {
        const int m = 1 + n / p1;
        const T* from = bar + m * row_stride + ((m < components ? p.num_sent : 0) + n % p1) * kr;
        for (int k = 0; k < kr; ++k) s.side_sum_bar[n * kr + k] = from[k];
    }
    for (int first = 0; first < s.count[slot]; first += kChunk) {
        const int count = s.count[slot] - first < kChunk ? s.count[slot] - first : kChunk;
        const int vectors = (count + W - 1) / W;
        load_chunk<T, true>(p, layer, s, slot, first, count, p.message_rank);
        load_features<T>(p, job, s, slot, first, count);

        const int first_side = 3 * p1;
        gemm<T, false>(kr, first_side, vectors, {s.side_sum_bar, 1, kr},
                       s.features + p.num_scalars * kChunk, kChunk, s.radial_bar, kChunk);
        if (p.max_rank >= 2) {
            gemm<T, true>(kr, 5 * p1, vectors, {s.side_sum_bar + first_side * kr, 1, kr}, s.side,
                          kChunk, s.radial_bar, kChunk);
        }
        gemm<T, false>(num_sides, kr, vectors, {s.side_sum_bar, kr, 1}, s.radial, kChunk,
                       s.side_bar, kChunk);
        for (int m = 0; m < components; ++m) {
            const T* rows = bar + m * row_stride;
            gemm<T, false>(kr, p.num_sent, vectors, {rows, 1, kr}, s.sent, kChunk, s.inner, kChunk);
            for (int e = 0; e < count; e += W) {
                const V y = load<T>(s.basis + m * kChunk + e);
                V y_bar{};
                for (int k = 0; k < kr; ++k) {
                    const int at = k * kChunk + e;
                    const V t = load<T>(s.inner + at), g = load<T>(s.radial + at);
                    y_bar += t * g;
                    store<T>(s.radial_bar + at, load<T>(s.radial_bar + at) + t * y);
                    store<T>(s.product + at, g * y);
                }
                store<T>(s.basis_bar + m * kChunk + e, y_bar);
            }
            if (m == 0) {
                gemm<T, false>(p.num_sent, kr, vectors, {rows, kr, 1}, s.product, kChunk,
                               s.sent_bar, kChunk);
            } else {
                gemm<T, true>(p.num_sent, kr, vectors, {rows, kr, 1}, s.product, kChunk, s.sent_bar,
                              kChunk);
            }
        }
        for (int e = 0; e < count; e += W) {
            V along{}, across[3] = {};
            for (int k = 0; k < kr; ++k) {
                along +=
                    load<T>(s.derivative + k * kChunk + e) * load<T>(s.radial_bar + k * kChunk + e);
            }
            features_adjoint<T>(p, s, e, across);
            basis_adjoint<T>(load<T>(s.direction[0] + e), load<T>(s.direction[1] + e),
                             load<T>(s.direction[2] + e), p.message_rank, s.basis_bar + e, kChunk,
                             across);
            edge_gradient<T>(s, e, along, across);
        }
        scatter_gradients<T>(s, i, slot, first, count);
        const std::int32_t* neighbor = s.neighbor + static_cast<long>(slot) * s.capacity + first;
        for (int e = 0; e < count; ++e) {
            double* row = row_of(s.features_bar, neighbor[e]);
            for (int c = 0; c < p.width; ++c) row[c] += s.features_bar_chunk[c * kChunk + e];
        }
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
