// SPDX-License-Identifier: MIT
// The block of an atom, A -> B -> D -> invariants -> h -> energy, and its adjoint, for kBlock atoms
// at a time so that the weights are read once per block.  Formulas: docs/derivations.md.
#ifndef CAMLIP_CPU_ATOM_BLOCK_HPP
#define CAMLIP_CPU_ATOM_BLOCK_HPP

#include "cpu/contraction.hpp"
#include "cpu/gradient.hpp"
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

// D without its skip from A, by way of B (s.b).
template <class T>
inline void contract(const Parameters<T>& p, const LayerData<T>& layer, Scratch<T>& s,
                     const Block& block, const T* a, T* d) {
    const int cs = p.channel_stride, atoms = block.size;
    contraction_forward<T>(p, layer, block.types, atoms, a, s.b);
    lap(s, Stage::kProducts);
    for (int l = 0; l <= p.max_rank; ++l) {
        const long at = static_cast<long>(l) * l * atoms * cs;
        gemm<T, false>((2 * l + 1) * atoms, p.num_channels, cs / kLanes<T>, {s.b + at, cs, 1},
                       layer.contract[l], cs, d + at, cs);
    }
    lap(s, Stage::kContraction);
}

// Adds the skip to D (kSkip), then invariants of every atom, (atoms, (3L+3) C): A0; A.A for
// l >= 1; D.A; D.D.
template <class T, bool kSkip, class D>
inline void invariants_forward(const Parameters<T>& p, const LayerData<T>& layer, Scratch<T>& s,
                               int atoms, const T* a, D* d) {
    using V = Vector<T>;
    const int cs = p.channel_stride, ranks = p.max_rank + 1;
    for (int atom = 0; atom < atoms; ++atom) {
        T* out = s.invariants + static_cast<long>(atom) * 3 * ranks * cs;
        for (int c = 0; c < cs; c += kLanes<T>) {
            for (int l = 0; l < ranks; ++l) {
                const V skip = load<T>(layer.contract_skip + l * cs + c);
                V aa{}, da{}, dd{};
                for (int m = l * l; m < (l + 1) * (l + 1); ++m) {
                    const long at = (static_cast<long>(m) * atoms + atom) * cs + c;
                    const V x = load<T>(a + at);
                    V y = load<T>(d + at);
                    if constexpr (kSkip) {
                        y += skip * x;
                        store<T>(d + at, y);
                    }
                    aa += x * x;
                    da += x * y;
                    dd += y * y;
                }
                store<T>(out + l * cs + c, l == 0 ? load<T>(a + atom * cs + c) : aa);
                store<T>(out + (ranks + l) * cs + c, da);
                store<T>(out + (2 * ranks + l) * cs + c, dd);
            }
        }
    }
}

// The readout of hidden features (s.hidden): adds the energies if `add_energies`, and leaves the
// adjoint of h from the readout in s.hidden_bar.
template <class T>
inline void readout_hidden(const Parameters<T>& p, const LayerData<T>& layer, const Job<T>& job,
                           Scratch<T>& s, const Block& block, bool add_energies) {
    using V = Vector<T>;
    constexpr int W = kLanes<T>;
    const int hs = p.hidden_stride;
    for (int atom = 0; atom < block.size; ++atom) {
        for (int n = 0; n < hs; ++n) s.layer1[atom * hs + n] = layer.readout_bias[n];
    }
    for (int n = 0; n < block.size * hs; n += W) {
        const V x = load<T>(s.hidden + n);
        store<T>(s.active + n, x * sigmoid<T>(x));
    }
    gemm<T, true>(block.size, p.num_hidden, hs / W, {s.active, hs, 1}, layer.readout, hs, s.layer1,
                  hs);
    for (int atom = 0; atom < block.size; ++atom) {
        const T seed =
            block.present[atom] ? static_cast<T>(seed_of<T>(job, block.first + atom)) : T(0);
        V energy{};
        for (int n = 0; n < hs; n += W) {
            const V x = load<T>(s.layer1 + atom * hs + n), w = load<T>(layer.readout_output + n);
            energy += w * (x * sigmoid<T>(x));
            store<T>(s.active + atom * hs + n, seed * w * silu_derivative<T>(x));
        }
        if (!add_energies || !block.present[atom]) continue;
        const double total = sum<T>(energy);
        s.energy += total;
        if (job.atomic_energies) job.atomic_energies[block.first + atom] += total;
    }
    if (!job.gradients) return;
    gemm<T, false>(block.size, p.num_hidden, hs / W, {s.active, hs, 1}, layer.readout_t, hs,
                   s.hidden_bar, hs);
    for (int n = 0; n < block.size * hs; n += W) {
        const V x = load<T>(s.hidden + n);
        store<T>(s.hidden_bar + n, load<T>(s.hidden_bar + n) * silu_derivative<T>(x));
    }
}

// Hidden features h from the invariants, and their readout.
template <class T>
inline void readout(const Parameters<T>& p, int index, const Job<T>& job, Scratch<T>& s,
                    const Block& block) {
    const LayerData<T>& layer = p.layers[index];
    const int hs = p.hidden_stride, size = 3 * (p.max_rank + 1) * p.channel_stride;
    for (int atom = 0; atom < block.size; ++atom) {
        const T* bias = layer.hidden_bias + static_cast<long>(block.types[atom]) * hs;
        for (int n = 0; n < hs; ++n) s.hidden[atom * hs + n] = bias[n];
    }
    gemm<T, true>(block.size, size, hs / kLanes<T>, {s.invariants, size, 1}, layer.hidden, hs,
                  s.hidden, hs);
    readout_hidden<T>(p, layer, job, s, block, true);
    lap(s, Stage::kReadout);
    if (s.gradient) readout_gradient<T>(p, job, s, index, block.first, block.size);
}

// From the adjoint of h (s.hidden_bar) to that of A: added to `out` if `add`, else written.  D may
// be s.d, where D_bar takes its place.
// With `message`, s.b holds D_bar of components 1 to 3 already, else nothing.
template <class T>
inline void block_adjoint(const Parameters<T>& p, int index, Scratch<T>& s, const Block& block,
                          const T* a, const T* d, T* out, bool message, bool add) {
    using V = Vector<T>;
    constexpr int W = kLanes<T>;
    const LayerData<T>& layer = p.layers[index];
    const int cs = p.channel_stride, hs = p.hidden_stride, ranks = p.max_rank + 1;
    const int size = 3 * ranks * cs, atoms = block.size;
    if (s.gradient) {
        if (message) invariants_forward<T, false>(p, layer, s, atoms, a, d);
        hidden_gradient<T>(p, s, index, block.types, atoms);
    }
    gemm<T, false>(atoms, p.num_hidden, size / W, {s.hidden_bar, hs, 1}, layer.hidden_t, size,
                   s.invariants, size);
    for (int atom = 0; atom < atoms; ++atom) {
        const T* bar = s.invariants + static_cast<long>(atom) * size;
        for (int c = 0; c < cs; c += W) {
            for (int l = 0; l < ranks; ++l) {
                const V first = load<T>(bar + l * cs + c), da = load<T>(bar + (ranks + l) * cs + c);
                const V dd = 2 * load<T>(bar + (2 * ranks + l) * cs + c), aa = 2 * first;
                const V skip = load<T>(layer.contract_skip + l * cs + c);
                for (int m = l * l; m < (l + 1) * (l + 1); ++m) {
                    const long at = (static_cast<long>(m) * atoms + atom) * cs + c;
                    const V x = load<T>(a + at), y = load<T>(d + at);
                    V d_bar = da * x + dd * y;
                    if (message && l == 1) d_bar += load<T>(s.b + at);
                    V a_bar = da * y + skip * d_bar + (l == 0 ? first : aa * x);
                    if (add) a_bar += load<T>(out + at);
                    store<T>(out + at, a_bar);
                    store<T>(s.d + at, d_bar);
                }
            }
        }
    }
    lap(s, Stage::kReadoutAdjoint);
    if (s.gradient) {
        if (message) contraction_forward<T>(p, layer, block.types, atoms, a, s.b);
        mixing_of_products_gradient<T>(p, s, index, atoms, a);
    }
    for (int l = 0; l <= p.max_rank; ++l) {
        const long at = static_cast<long>(l) * l * atoms * cs;
        gemm<T, false>((2 * l + 1) * atoms, p.num_channels, cs / W, {s.d + at, cs, 1},
                       layer.contract_t[l], cs, s.b + at, cs);
    }
    lap(s, Stage::kContractionAdjoint);
    if (s.gradient) products_gradient<T>(p, s, index, block.types, atoms, a);
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
