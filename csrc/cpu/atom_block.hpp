// SPDX-License-Identifier: MIT
// The block of an atom, A -> B -> D -> invariants -> h -> energy, its adjoint, and the node features
// that are sent.  Formulas: docs/derivations.md.
#ifndef CAMLIP_CPU_ATOM_BLOCK_HPP
#define CAMLIP_CPU_ATOM_BLOCK_HPP

#include "cpu/block.hpp"
#include "cpu/contraction.hpp"
#include "cpu/gradient.hpp"
#include "cpu/readout.hpp"

namespace camlip::cpu::CAMLIP_ISA {

// D with its skip from A, by way of B (s.b), and the invariants.
template <class T>
inline void contract(const Parameters<T>& p, const LayerData<T>& layer, Scratch<T>& s,
                     const Block& block, const T* a, T* d) {
    contraction_forward<T>(p, layer, block.types, block.size, a, s.b);
    lap(s, Stage::kProducts);
    for (int l = 0; l <= p.max_rank; ++l) {
        mix_rank<T>(p, layer.contract, l, block.size, s.b, d);
        lap(s, Stage::kContraction);
        invariants_of_rank<T, true>(p, layer, s, l, block.size, a, d);
        lap(s, Stage::kReadout);
    }
}

// D alone.
template <class T>
inline void contract_again(const Parameters<T>& p, const LayerData<T>& layer, Scratch<T>& s,
                           const Block& block, const T* a, T* d) {
    contraction_forward<T>(p, layer, block.types, block.size, a, s.b);
    lap(s, Stage::kProducts);
    for (int l = 0; l <= p.max_rank; ++l) mix_rank<T>(p, layer.contract, l, block.size, s.b, d);
    scale_by_rank<T>(p, layer.contract_skip, block.size, a, d, true);
    lap(s, Stage::kContraction);
}

// From the adjoint of h (s.hidden_bar) to that of A: added to `out` if `add`, else written.  D may
// be s.d, where D_bar takes its place.
// With `message`, s.b holds D_bar of components 1 to 3 already, else nothing.
template <class T>
inline void block_adjoint(const Parameters<T>& p, int index, Scratch<T>& s, const Block& block,
                          const T* a, const T* d, T* out, bool message, bool add) {
    constexpr int W = kLanes<T>;
    const LayerData<T>& layer = p.layers[index];
    const int cs = p.channel_stride, hs = p.hidden_stride, ranks = p.max_rank + 1;
    const int size = 3 * ranks * cs, atoms = block.size;
    if (s.gradient) {
        if (message) {
            for (int l = 0; l < ranks; ++l) {
                invariants_of_rank<T, false>(p, layer, s, l, atoms, a, d);
            }
        }
        hidden_gradient<T>(p, s, index, block.types, atoms);
    }
    for (int n = 0; n < size; n += kPanel * W) {
        const int width = size - n < kPanel * W ? size - n : kPanel * W;
        gemm<T, false>(atoms, p.num_hidden, width / W, {s.hidden_bar, hs, 1},
                       layer.hidden_t + static_cast<long>(n) * p.num_hidden, width,
                       s.invariants + n, size);
    }
    for (int l = 0; l < ranks; ++l) {
        if (message && l == 1) {
            add ? invariants_adjoint<T, true, true>(p, layer, s, l, atoms, a, d, out)
                : invariants_adjoint<T, false, true>(p, layer, s, l, atoms, a, d, out);
        } else {
            add ? invariants_adjoint<T, true, false>(p, layer, s, l, atoms, a, d, out)
                : invariants_adjoint<T, false, false>(p, layer, s, l, atoms, a, d, out);
        }
        lap(s, Stage::kReadoutAdjoint);
        if (s.gradient) continue;
        mix_rank<T>(p, layer.contract_t, l, atoms, s.d, s.b);
        lap(s, Stage::kContractionAdjoint);
    }
    if (s.gradient) {
        if (message) contraction_forward<T>(p, layer, block.types, atoms, a, s.b);
        mixing_of_products_gradient<T>(p, s, index, atoms, a);
        for (int l = 0; l < ranks; ++l) mix_rank<T>(p, layer.contract_t, l, atoms, s.d, s.b);
        products_gradient<T>(p, s, index, block.types, atoms, a);
    }
    contraction_adjoint<T>(p, layer, block.types, atoms, a, s.b, out);
    lap(s, Stage::kProductsAdjoint);
}

// Gates SiLU(h) W_m (s.gates) and vectors Gamma D1 (s.vectors: 3, atoms, P1) of a message.
template <class T>
inline void message_parts(const Parameters<T>& p, const LayerData<T>& layer, Scratch<T>& s,
                          int atoms, const T* d) {
    using V = Vector<T>;
    constexpr int W = kLanes<T>;
    const int cs = p.channel_stride, hs = p.hidden_stride;
    for (int n = 0; n < atoms * hs; n += W) {
        const V x = load<T>(s.hidden + n);
        store<T>(s.active + n, x * sigmoid<T>(x));
    }
    gemm<T, false>(atoms, p.num_hidden, p.sent_stride / W, {s.active, hs, 1}, layer.message,
                   p.sent_stride, s.gates, p.sent_stride);
    gemm<T, false>(3 * atoms, p.num_channels, p.vector_stride / W,
                   {d + static_cast<long>(atoms) * cs, cs, 1}, layer.vector, p.vector_stride,
                   s.vectors, p.vector_stride);
}

template <class T>
inline void message_forward(const Parameters<T>& p, const LayerData<T>& layer, const Job<T>& job,
                            Scratch<T>& s, const Block& block, const T* d) {
    message_parts<T>(p, layer, s, block.size, d);
    for (int atom = 0; atom < block.size; ++atom) {
        double* row = job.sent + (block.first + atom) * p.width;
        const T* gate = s.gates + atom * p.sent_stride;
        const T present = block.present[atom] ? T(1) : T(0);
        for (int q = 0; q < p.num_scalars; ++q) row[q] = present * gate[q];
        for (int x = 0; x < 3; ++x) {
            const T* vector = s.vectors + (x * block.size + atom) * p.vector_stride;
            for (int n = 0; n < p.num_vectors; ++n) {
                row[p.num_scalars + x * p.num_vectors + n] =
                    present * gate[p.num_scalars + n] * vector[n];
            }
        }
    }
}

// Adds to s.hidden_bar and leaves D_bar of components 1 to 3 in s.b.
template <class T>
inline void message_adjoint(const Parameters<T>& p, int index, const Job<T>& job, Scratch<T>& s,
                            const Block& block, const T* d) {
    using V = Vector<T>;
    constexpr int W = kLanes<T>;
    const LayerData<T>& layer = p.layers[index];
    const int cs = p.channel_stride, hs = p.hidden_stride, atoms = block.size;
    message_parts<T>(p, layer, s, atoms, d);
    for (int atom = 0; atom < atoms; ++atom) {
        const double* row = job.sent_bar + (block.first + atom) * p.width;
        const T* gate = s.gates + atom * p.sent_stride;
        T* gate_bar = s.gates_bar + atom * p.sent_stride;
        const T present = block.present[atom] ? T(1) : T(0);
        for (int q = 0; q < p.num_scalars; ++q) gate_bar[q] = present * static_cast<T>(row[q]);
        for (int n = 0; n < p.num_vectors; ++n) gate_bar[p.num_scalars + n] = 0;
        for (int x = 0; x < 3; ++x) {
            const long at = static_cast<long>(x * atoms + atom) * p.vector_stride;
            for (int n = 0; n < p.num_vectors; ++n) {
                const T bar = present * static_cast<T>(row[p.num_scalars + x * p.num_vectors + n]);
                gate_bar[p.num_scalars + n] += bar * s.vectors[at + n];
                s.vectors_bar[at + n] = bar * gate[p.num_scalars + n];
            }
        }
    }
    if (s.gradient) message_gradient<T>(p, s, index, atoms, d);
    gemm<T, false>(3 * atoms, p.num_vectors, cs / W, {s.vectors_bar, p.vector_stride, 1},
                   layer.vector_t, cs, s.b + static_cast<long>(atoms) * cs, cs);
    gemm<T, false>(atoms, p.num_sent, hs / W, {s.gates_bar, p.sent_stride, 1}, layer.message_t, hs,
                   s.active, hs);
    for (int n = 0; n < atoms * hs; n += W) {
        const V x = load<T>(s.hidden + n);
        store<T>(s.hidden_bar + n,
                 load<T>(s.hidden_bar + n) + load<T>(s.active + n) * silu_derivative<T>(x));
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
