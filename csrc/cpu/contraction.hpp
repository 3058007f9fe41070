// SPDX-License-Identifier: MIT
// Products of the moments of a block of atoms; the generated code for one vector of channels.
#ifndef CAMLIP_CPU_CONTRACTION_HPP
#define CAMLIP_CPU_CONTRACTION_HPP

#include "cpu/contraction_generated.hpp"
#include "cpu/kernels.hpp"

namespace camlip::cpu::CAMLIP_ISA {

// B of shape (components, atoms, C) from A; types per atom of the block.
template <class T>
inline void contraction_forward(const Parameters<T>& p, const LayerData<T>& layer,
                                const std::int32_t* types, int atoms, const T* a, T* b) {
    const long stride = static_cast<long>(atoms) * p.channel_stride;
    if (p.max_rank == 0) {
        for (long n = 0; n < stride; ++n) b[n] = 0;
        return;
    }
    for (int atom = 0; atom < atoms; ++atom) {
        const T* w =
            layer.path_weight + static_cast<long>(types[atom]) * p.num_paths * p.channel_stride;
        for (int c = 0; c < p.channel_stride; c += kLanes<T>) {
            const long at = static_cast<long>(atom) * p.channel_stride + c;
            if (p.max_rank == 1) {
                contraction_forward_1<T>(a + at, w + c, b + at, stride, p.channel_stride);
            } else if (p.max_rank == 2) {
                contraction_forward_2<T>(a + at, w + c, b + at, stride, p.channel_stride);
            } else {
                contraction_forward_3<T>(a + at, w + c, b + at, stride, p.channel_stride);
            }
        }
    }
}

// Adds to A_bar.
template <class T>
inline void contraction_adjoint(const Parameters<T>& p, const LayerData<T>& layer,
                                const std::int32_t* types, int atoms, const T* a, const T* b_bar,
                                T* a_bar) {
    const long stride = static_cast<long>(atoms) * p.channel_stride;
    for (int atom = 0; atom < atoms && p.max_rank > 0; ++atom) {
        const T* w =
            layer.path_weight + static_cast<long>(types[atom]) * p.num_paths * p.channel_stride;
        for (int c = 0; c < p.channel_stride; c += kLanes<T>) {
            const long at = static_cast<long>(atom) * p.channel_stride + c;
            if (p.max_rank == 1) {
                contraction_adjoint_1<T>(a + at, w + c, b_bar + at, a_bar + at, stride,
                                         p.channel_stride);
            } else if (p.max_rank == 2) {
                contraction_adjoint_2<T>(a + at, w + c, b_bar + at, a_bar + at, stride,
                                         p.channel_stride);
            } else {
                contraction_adjoint_3<T>(a + at, w + c, b_bar + at, a_bar + at, stride,
                                         p.channel_stride);
            }
        }
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
