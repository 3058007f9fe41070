// SPDX-License-Identifier: MIT
// Moments of layer 0, a[m, k] = sum over edges of Y_m(u) g_k(r), and their adjoint.
#ifndef CAMLIP_CPU_MOMENTS_HPP
#define CAMLIP_CPU_MOMENTS_HPP

#include "cpu/edges.hpp"

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

// Lane = edge: y_bar_m = sum_k a_bar_mk g_k, and the same with g' gives df/dr = sum_m Y_m z_m.
template <class T>
inline void moments_backward(const Parameters<T>& p, Scratch<T>& s, long i, int slot, const T* bar,
                             long row_stride) {
    using V = Vector<T>;
    constexpr int W = kLanes<T>;
    const LayerData<T>& layer = p.layers[0];
    T* const slopes = s.basis_bar + p.num_components * kChunk;
    for (int first = 0; first < s.count[slot]; first += kChunk) {
        const int count = s.count[slot] - first < kChunk ? s.count[slot] - first : kChunk;
        const int vectors = (count + W - 1) / W;
        load_chunk<T, true>(p, layer, s, slot, first, count, p.max_rank);
        const Matrix<T> matrix{bar, row_stride, 1};
        gemm<T, false>(p.num_components, layer.num_radial, vectors, matrix, s.radial, kChunk,
                       s.basis_bar, kChunk);
        gemm<T, false>(p.num_components, layer.num_radial, vectors, matrix, s.derivative, kChunk,
                       slopes, kChunk);
        for (int e = 0; e < count; e += W) {
            V along{}, across[3] = {};
            for (int m = 0; m < p.num_components; ++m) {
                along += load<T>(s.basis + m * kChunk + e) * load<T>(slopes + m * kChunk + e);
            }
            basis_adjoint<T>(load<T>(s.direction[0] + e), load<T>(s.direction[1] + e),
                             load<T>(s.direction[2] + e), p.max_rank, s.basis_bar + e, kChunk,
                             across);
            edge_gradient<T>(s, e, along, across);
        }
        scatter_gradients<T>(s, i, slot, first, count);
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
