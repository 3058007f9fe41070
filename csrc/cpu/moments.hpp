// SPDX-License-Identifier: MIT
// Moments of layer 0, a[m, k] = sum over edges of Y_m(u) g_k(r), and their adjoint.
#ifndef CAMLIP_CPU_MOMENTS_HPP
#define CAMLIP_CPU_MOMENTS_HPP

#include "cpu/edges.hpp"
#include "cpu/gradient.hpp"

namespace camlip::cpu::CAMLIP_ISA {

// Row m of the atom in `slot` is at out[m * row_stride].
template <class T>
inline void moments_forward(const Parameters<T>& p, Scratch<T>& s, int slot, T* out,
                            long row_stride) {
    constexpr int W = kLanes<T>;
    const LayerData<T>& layer = p.layers[0];
    const int vectors = layer.radial_stride / W;
    if (s.count[slot] == 0) {
        for (int m = 0; m < p.num_components; ++m) {
            for (int k = 0; k < layer.radial_stride; ++k) out[m * row_stride + k] = 0;
        }
    }
    for (int first = 0; first < s.count[slot]; first += kChunk) {
        const int count = s.count[slot] - first < kChunk ? s.count[slot] - first : kChunk;
        load_chunk<T, false>(p, layer, s, slot, first, count, p.max_rank);
        sum_outer<T>(first > 0, p.num_components, count, vectors, s.basis, s.row,
                     layer.radial_stride, out, row_stride);
    }
}

// For one vector of edges and M components: y_bar_m = sum_k a_bar_mk g_k, and the same with g'
// gives z_m and so df/dr = sum_m Y_m z_m, which is added to `along`.
template <class T, int M>
CAMLIP_INLINE void moments_adjoint_block(int num_radial, const T* bar, long row_stride,
                                         const T* radial, const T* derivative, const T* basis,
                                         T* basis_bar, Vector<T>& along) {
    using V = Vector<T>;
    V y_bar[M], z[M];
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) y_bar[m] = z[m] = V{};
    for (int k = 0; k < num_radial; ++k) {
        const V g = load<T>(radial + k * kChunk), slope = load<T>(derivative + k * kChunk);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
            const T a = bar[m * row_stride + k];
            y_bar[m] += a * g;
            z[m] += a * slope;
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
        store<T>(basis_bar + m * kChunk, y_bar[m]);
        along += load<T>(basis + m * kChunk) * z[m];
    }
}

// g_bar_k = sum_m Y_m a_bar_mk, spread over the knots.
template <class T>
inline void radial_gradient(const Parameters<T>& p, Scratch<T>& s, int slot, int first, int count,
                            const T* bar, long row_stride) {
    const int stride = p.layers[0].radial_stride;
    gemm<T, false>(count, p.num_components, stride / kLanes<T>, {s.basis, 1, kChunk}, bar,
                   row_stride, s.row, stride);
    knots_gradient<T>(p, s, 0, slot, first, count, s.row);
}

template <class T>
inline void moments_backward(const Parameters<T>& p, Scratch<T>& s, long i, int slot, const T* bar,
                             long row_stride) {
    using V = Vector<T>;
    constexpr int W = kLanes<T>;
    constexpr int M = CAMLIP_VECTOR_BYTES == 64 ? 8 : 4;
    const LayerData<T>& layer = p.layers[0];
    for (int first = 0; first < s.count[slot]; first += kChunk) {
        const int count = s.count[slot] - first < kChunk ? s.count[slot] - first : kChunk;
        if (!s.with_forces) {  // nothing else depends on these edges
            load_directions<T>(s, slot, first, count, p.max_rank);
            if (s.gradient) radial_gradient<T>(p, s, slot, first, count, bar, row_stride);
            continue;
        }
        load_chunk<T, true>(p, layer, s, slot, first, count, p.max_rank);
        for (int e = 0; e < count; e += W) {
            V along{}, across[3] = {};
            int m = 0;
            for (; m + M <= p.num_components; m += M) {
                moments_adjoint_block<T, M>(layer.num_radial, bar + m * row_stride, row_stride,
                                            s.radial + e, s.derivative + e,
                                            s.basis + m * kChunk + e, s.basis_bar + m * kChunk + e,
                                            along);
            }
            for (; m < p.num_components; ++m) {
                moments_adjoint_block<T, 1>(layer.num_radial, bar + m * row_stride, row_stride,
                                            s.radial + e, s.derivative + e,
                                            s.basis + m * kChunk + e, s.basis_bar + m * kChunk + e,
                                            along);
            }
            basis_adjoint<T>(load<T>(s.direction[0] + e), load<T>(s.direction[1] + e),
                             load<T>(s.direction[2] + e), p.max_rank, s.basis_bar + e, kChunk,
                             across);
            edge_gradient<T>(s, e, along, across);
        }
        scatter_gradients<T>(s, i, slot, first, count);
        if (s.gradient) radial_gradient<T>(p, s, slot, first, count, bar, row_stride);
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
