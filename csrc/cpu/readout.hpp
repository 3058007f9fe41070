// SPDX-License-Identifier: MIT
// From A and D of a block of atoms to invariants, hidden features and energies, and the adjoint of
// the invariants.  Formulas: docs/derivations.md.
#ifndef CAMLIP_CPU_READOUT_HPP
#define CAMLIP_CPU_READOUT_HPP

#include "cpu/block.hpp"
#include "cpu/gradient.hpp"

namespace camlip::cpu::CAMLIP_ISA {

// Adds the skip to D of rank l (kSkip), then invariants of every atom, (atoms, (3L+3) C): A0; A.A
// for l >= 1; D.A; D.D.
template <class T, bool kSkip, class D>
inline void invariants_of_rank(const Parameters<T>& p, const LayerData<T>& layer, Scratch<T>& s,
                               int l, int atoms, const T* a, D* d) {
    using V = Vector<T>;
    const int cs = p.channel_stride, ranks = p.max_rank + 1;
    const long row = static_cast<long>(atoms) * cs;
    for (int atom = 0; atom < atoms; ++atom) {
        T* out = s.invariants + (static_cast<long>(atom) * 3 * ranks + l) * cs;
        for (int c = 0; c < cs; c += kLanes<T>) {
            const V skip = load<T>(layer.contract_skip + l * cs + c);
            V aa{}, da{}, dd{};
            long at = l * l * row + atom * cs + c;
            for (int m = 0; m < 2 * l + 1; ++m, at += row) {
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
            store<T>(out + c, l == 0 ? load<T>(a + atom * cs + c) : aa);
            store<T>(out + ranks * cs + c, da);
            store<T>(out + 2 * ranks * cs + c, dd);
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

// Adjoint of the invariants (s.invariants) for the components of rank l: D_bar (s.d) and what goes
// to A_bar past the contraction, added to `out` if kAdd, else written.  With kMessage, s.b holds a
// part of D_bar.  Row by row, because the rows are long and read from the L2 cache.
template <class T, bool kAdd, bool kMessage>
inline void invariants_adjoint(const Parameters<T>& p, const LayerData<T>& layer, Scratch<T>& s,
                               int l, int atoms, const T* a, const T* d, T* out) {
    using V = Vector<T>;
    const int cs = p.channel_stride, ranks = p.max_rank + 1;
    const T *skips = layer.contract_skip + l * cs, *message = s.b, *bars = s.invariants;
    T* const d_out = s.d;
    long at = static_cast<long>(l) * l * atoms * cs;
    for (int m = 0; m < 2 * l + 1; ++m) {
        for (int atom = 0; atom < atoms; ++atom) {
            const T* bar = bars + (static_cast<long>(atom) * 3 * ranks + l) * cs;
            for (int c = 0; c < cs; c += kLanes<T>, at += kLanes<T>) {
                const V first = load<T>(bar + c), da = load<T>(bar + ranks * cs + c);
                const V dd = 2 * load<T>(bar + 2 * ranks * cs + c);
                const V skip = load<T>(skips + c);
                const V x = load<T>(a + at), y = load<T>(d + at);
                V d_bar = da * x + dd * y;
                if constexpr (kMessage) d_bar += load<T>(message + at);
                V a_bar = da * y + skip * d_bar + (l == 0 ? first : 2 * first * x);
                if constexpr (kAdd) a_bar += load<T>(out + at);
                store<T>(out + at, a_bar);
                store<T>(d_out + at, d_bar);
            }
        }
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
