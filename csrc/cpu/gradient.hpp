// SPDX-License-Identifier: MIT
// Gradient by the parameters, summed next to the adjoints of the stages (docs/training.md).  Each
// function adds what one block of atoms, or one chunk of edges, has for the parameters of a stage,
// at the moment when both factors are in the scratch memory.
#ifndef CAMLIP_CPU_GRADIENT_HPP
#define CAMLIP_CPU_GRADIENT_HPP

#include "cpu/contraction.hpp"
#include "cpu/gradient_data.hpp"
#include "cpu/kernels.hpp"
#include "cpu/linear.hpp"

namespace camlip::cpu::CAMLIP_ISA {

template <class T>
CAMLIP_INLINE double seed_of(const Job<T>& job, long i) {
    return job.seeds ? job.seeds[i] : 1.0;
}

// weight_bar[i, :] += sum over rows of x[row, i] y_bar[row, :], i < inputs.
template <class T>
inline void add_outer(int rows, int inputs, int columns, const T* x, long x_stride, const T* y_bar,
                      T* weight_bar) {
    gemm<T, true>(inputs, rows, columns / kLanes<T>, {x, 1, x_stride}, y_bar, columns, weight_bar,
                  columns);
}

template <class T>
inline void add_row(int columns, const T* row, T* out) {
    for (int n = 0; n < columns; n += kLanes<T>)
        store<T>(out + n, load<T>(out + n) + load<T>(row + n));
}

// out[l, :] += sum over components and atoms of x * y.
template <class T>
inline void add_products_by_rank(const Parameters<T>& p, int atoms, const T* x, const T* y,
                                 T* out) {
    const int cs = p.channel_stride;
    for (int l = 0; l <= p.max_rank; ++l) {
        const long first = static_cast<long>(l) * l * atoms, last = (l + 1L) * (l + 1) * atoms;
        for (int c = 0; c < cs; c += kLanes<T>) {
            Vector<T> sum{};
            for (long row = first; row < last; ++row) {
                sum += load<T>(x + row * cs + c) * load<T>(y + row * cs + c);
            }
            store<T>(out + l * cs + c, load<T>(out + l * cs + c) + sum);
        }
    }
}

// The readout, where s.hidden holds h, s.layer1 the inner layer before its activation and s.active
// the adjoint of it.
template <class T>
inline void readout_gradient(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                             std::int64_t first_atom, int atoms) {
    using V = Vector<T>;
    LayerGradient<T>& g = s.gradient->layers[layer];
    const int hs = p.hidden_stride;
    for (int atom = 0; atom < atoms; ++atom) {
        const T seed = static_cast<T>(seed_of<T>(job, first_atom + atom));
        for (int n = 0; n < hs; n += kLanes<T>) {
            const V x = load<T>(s.layer1 + atom * hs + n);
            T* out = g.readout_output + n;
            store<T>(out, load<T>(out) + seed * (x * sigmoid<T>(x)));
        }
        add_row<T>(hs, s.active + atom * hs, g.readout_bias);
    }
    for (int n = 0; n < atoms * hs; n += kLanes<T>) {
        const V x = load<T>(s.hidden + n);
        store<T>(s.layer1 + n, x * sigmoid<T>(x));
    }
    add_outer<T>(atoms, p.num_hidden, hs, s.layer1, hs, s.active, g.readout);
}

// From invariants to h: needs s.invariants and the whole adjoint of h in s.hidden_bar.
template <class T>
inline void hidden_gradient(const Parameters<T>& p, Scratch<T>& s, int layer,
                            const std::int32_t* types, int atoms) {
    LayerGradient<T>& g = s.gradient->layers[layer];
    const int size = 3 * (p.max_rank + 1) * p.channel_stride;
    add_outer<T>(atoms, size, p.hidden_stride, s.invariants, size, s.hidden_bar, g.hidden);
    for (int atom = 0; atom < atoms; ++atom) {
        add_row<T>(p.hidden_stride, s.hidden_bar + atom * p.hidden_stride,
                   g.hidden_bias + static_cast<long>(types[atom]) * p.hidden_stride);
    }
}

// From A to D: needs B in s.b and D_bar in s.d.
template <class T>
inline void mixing_of_products_gradient(const Parameters<T>& p, Scratch<T>& s, int layer, int atoms,
                                        const T* a) {
    LayerGradient<T>& g = s.gradient->layers[layer];
    const int cs = p.channel_stride;
    for (int l = 0; l <= p.max_rank; ++l) {
        const long at = static_cast<long>(l) * l * atoms * cs;
        add_outer<T>((2 * l + 1) * atoms, p.num_channels, cs, s.b + at, cs, s.d + at,
                     g.contract[l]);
    }
    add_products_by_rank<T>(p, atoms, a, s.d, g.contract_skip);
}

// From A to B: needs B_bar in s.b.
template <class T>
inline void products_gradient(const Parameters<T>& p, Scratch<T>& s, int layer,
                              const std::int32_t* types, int atoms, const T* a) {
    const long stride = static_cast<long>(atoms) * p.channel_stride;
    for (int atom = 0; atom < atoms && p.max_rank > 0; ++atom) {
        T* w = s.gradient->layers[layer].path_weight +
               static_cast<long>(types[atom]) * p.num_paths * p.channel_stride;
        for (int c = 0; c < p.channel_stride; c += kLanes<T>) {
            const long at = static_cast<long>(atom) * p.channel_stride + c;
            if (p.max_rank == 1) {
                contraction_gradient_1<T>(a + at, s.b + at, w + c, stride, p.channel_stride);
            } else if (p.max_rank == 2) {
                contraction_gradient_2<T>(a + at, s.b + at, w + c, stride, p.channel_stride);
            } else {
                contraction_gradient_3<T>(a + at, s.b + at, w + c, stride, p.channel_stride);
            }
        }
    }
}

// Edge sums to moments; matrices as in mix().
template <class T>
inline void mix_gradient(const Parameters<T>& p, int atoms, const int* depth, const T* sums,
                         long stride, const T* a_bar, T* const* weight_bar) {
    const int cs = p.channel_stride;
    for (int l = 0; l <= p.max_rank; ++l) {
        const long row = static_cast<long>(l) * l * atoms;
        add_outer<T>((2 * l + 1) * atoms, depth[l], cs, sums + row * stride, stride,
                     a_bar + row * cs, weight_bar[l]);
    }
}

// Weights of a message: SiLU(h) in s.active, adjoint of the gates in s.gates_bar, and D1.
template <class T>
inline void message_gradient(const Parameters<T>& p, Scratch<T>& s, int layer, int atoms,
                             const T* d) {
    LayerGradient<T>& g = s.gradient->layers[layer];
    const int cs = p.channel_stride;
    add_outer<T>(atoms, p.num_hidden, p.sent_stride, s.active, p.hidden_stride, s.gates_bar,
                 g.message);
    add_outer<T>(3 * atoms, p.num_channels, p.vector_stride, d + static_cast<long>(atoms) * cs, cs,
                 s.vectors_bar, g.vector);
}

// Radial functions: rows (edges, radial_stride) of adjoints, spread over the two knots of an edge.
template <class T>
inline void knots_gradient(const Parameters<T>& p, Scratch<T>& s, int layer, int slot, int first,
                           int count, const T* rows) {
    using V = Vector<T>;
    const long at = static_cast<long>(slot) * s.capacity + first;
    T* const weights = s.gradient->weights;
    for (int e = 0; e < count; e += kLanes<T>) {
        const V t = load<T>(s.fraction + at + e), t2 = t * t, t3 = t2 * t;
        const V value = t3 * (T(10) + t * (T(-15) + T(6) * t));
        const auto put = [&](int n, V weight) { store<T>(weights + n * kChunk + e, weight); };
        put(0, T(1) - value);
        put(1, t + t3 * (T(-6) + t * (T(8) - T(3) * t)));
        put(2, T(0.5) * t2 * (T(1) + t * (T(-3) + t * (T(3) - t))));
        put(3, value);
        put(4, t3 * (T(-4) + t * (T(7) - T(3) * t)));
        put(5, T(0.5) * t3 * (T(1) + t * (T(-2) + t)));
    }
    const int stride = p.layers[layer].radial_stride;
    const long size = (p.num_intervals + 1L) * 3 * stride;
    for (int e = 0; e < count; ++e) {
        T* out = s.gradient->layers[layer].knots + s.pair[at + e] * size +
                 static_cast<long>(s.knot[at + e]) * 3 * stride;
        const T* row = rows + e * stride;
        for (int n = 0; n < 6; ++n) {
            const T weight = weights[n * kChunk + e];
            for (int k = 0; k < stride; k += kLanes<T>) {
                T* sum = out + n * stride + k;
                store<T>(sum, load<T>(sum) + weight * load<T>(row + k));
            }
        }
    }
}

// Adds the sums of a layer to its totals, in any case or when they are of enough blocks.
template <class T>
void flush_gradient(GradientData<T>& g, int layer, bool always) {
    if (!always && ++g.layers[layer].blocks < kBlocksPerFlush) return;
    g.layers[layer].blocks = 0;
    const long first = g.begin[layer], size = g.begin[layer + 1] - first;
    T* const sums = g.sums + first;
    add_widened<T>(g.totals + first, sums, static_cast<int>(size));
    __builtin_memset(sums, 0, static_cast<unsigned long>(size) * sizeof(T));
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
