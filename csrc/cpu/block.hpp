// SPDX-License-Identifier: MIT
// A block of kBlock atoms, and the products with weights of each rank: the weights are read once
// per block.
#ifndef CAMLIP_CPU_BLOCK_HPP
#define CAMLIP_CPU_BLOCK_HPP

#include "cpu/kernels.hpp"
#include "cpu/linear.hpp"

namespace camlip::cpu::CAMLIP_ISA {

template <class T>
CAMLIP_INLINE void lap(Scratch<T>& s, Stage stage) {
    if (s.clock) s.clock->lap(stage);
}

// The atoms of a block; an atom that is not the model's borrows type 0 and counts for nothing.
struct Block {
    std::int64_t index, first;
    int size;
    std::int32_t types[kBlock];
    bool present[kBlock];
};

template <class T>
inline Block block_of(const Job<T>& job, std::int64_t index) {
    Block block;
    block.index = index;
    block.first = index * kBlock;
    const std::int64_t left = job.num_owned - block.first;
    block.size = left < kBlock ? static_cast<int>(left) : kBlock;
    for (int n = 0; n < block.size; ++n) {
        const std::int32_t type = job.types[block.first + n];
        block.present[n] = type >= 0;
        block.types[n] = type >= 0 ? type : 0;
    }
    return block;
}

// Edge sums (components, atoms, in_stride) to moments A (components, atoms, C); with kAdd on top
// of what is there.
template <class T, bool kAdd>
inline void mix(const Parameters<T>& p, const T* const* mixing, const int* depth, int atoms,
                const T* sums, long in_stride, T* a) {
    for (int l = 0; l <= p.max_rank; ++l) {
        if (kAdd && depth[l] == 0) continue;
        const long row = static_cast<long>(l) * l * atoms;
        gemm<T, kAdd>((2 * l + 1) * atoms, depth[l], p.channel_stride / kLanes<T>,
                      {sums + row * in_stride, in_stride, 1}, mixing[l], p.channel_stride,
                      a + row * p.channel_stride, p.channel_stride);
    }
}

// Adjoint of mix; with kAdd on top of what is there.
template <class T, bool kAdd>
inline void mix_adjoint(const Parameters<T>& p, const T* const* mixing_t, const int* depth,
                        int atoms, const T* a_bar, T* sums_bar, long out_stride) {
    constexpr int W = kLanes<T>;
    for (int l = 0; l <= p.max_rank; ++l) {
        const long row = static_cast<long>(l) * l * atoms;
        gemm<T, kAdd>((2 * l + 1) * atoms, p.num_channels, (depth[l] + W - 1) / W,
                      {a_bar + row * p.channel_stride, p.channel_stride, 1}, mixing_t[l],
                      out_stride, sums_bar + row * out_stride, out_stride);
    }
}

// to (+)= skip[l] * from, componentwise.
template <class T>
inline void scale_by_rank(const Parameters<T>& p, const T* skip, int atoms, const T* from, T* to,
                          bool add) {
    const int cs = p.channel_stride;
    for (int l = 0; l <= p.max_rank; ++l) {
        for (long row = static_cast<long>(l) * l * atoms; row < (l + 1L) * (l + 1) * atoms; ++row) {
            for (int c = 0; c < cs; c += kLanes<T>) {
                const Vector<T> value = load<T>(skip + l * cs + c) * load<T>(from + row * cs + c);
                T* out = to + row * cs + c;
                store<T>(out, add ? load<T>(out) + value : value);
            }
        }
    }
}

// Components of rank l of D without its skip from B (s.b), or of B_bar (s.b) from D_bar.
template <class T>
inline void mix_rank(const Parameters<T>& p, const T* const* weights, int l, int atoms,
                     const T* from, T* to) {
    const int cs = p.channel_stride;
    const long at = static_cast<long>(l) * l * atoms * cs;
    gemm<T, false>((2 * l + 1) * atoms, p.num_channels, cs / kLanes<T>, {from + at, cs, 1},
                   weights[l], cs, to + at, cs);
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
