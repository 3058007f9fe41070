// SPDX-License-Identifier: MIT
// The radial network at the knots of a training table, and its adjoint (docs/training.md).
//
// A jet is a value with its first and second derivative by t.  Rows of a matrix are values of all
// knots, then slopes, then curvatures; lane = channel, so the weights are read as they are.
// With s = sigma(z), p = s (1 - s), q = 1 - 2 s the derivatives of SiLU are
//     f1 = s + z p,   f2 = p (2 + z q),   f3 = q f2 + p (q - 2 z p)
#ifndef CAMLIP_CPU_KNOT_NETWORK_HPP
#define CAMLIP_CPU_KNOT_NETWORK_HPP

#include "cpu/kernels.hpp"
#include "cpu/linear.hpp"
#include "cpu/simd.hpp"

namespace camlip::cpu::CAMLIP_ISA {

// out = SiLU(z) for jets z of (3, rows, columns); may be in place.
template <class T>
inline void silu_jets(int size, const T* z, T* out) {
    using V = Vector<T>;
    for (int n = 0; n < size; n += kLanes<T>) {
        const V value = load<T>(z + n), slope = load<T>(z + size + n);
        const V curvature = load<T>(z + 2 * size + n);
        const V s = sigmoid<T>(value), p = s * (T(1) - s);
        const V f1 = s + value * p, f2 = p * (T(2) + value * (T(1) - 2 * s));
        store<T>(out + n, value * s);
        store<T>(out + size + n, f1 * slope);
        store<T>(out + 2 * size + n, f2 * slope * slope + f1 * curvature);
    }
}

// Adjoint of silu_jets: `bar` holds that of the result and takes that of z.
template <class T>
inline void silu_jets_adjoint(int size, const T* z, T* bar) {
    using V = Vector<T>;
    for (int n = 0; n < size; n += kLanes<T>) {
        const V value = load<T>(z + n), slope = load<T>(z + size + n);
        const V curvature = load<T>(z + 2 * size + n);
        const V b0 = load<T>(bar + n), b1 = load<T>(bar + size + n);
        const V b2 = load<T>(bar + 2 * size + n);
        const V s = sigmoid<T>(value), p = s * (T(1) - s), q = T(1) - 2 * s;
        const V f1 = s + value * p, f2 = p * (T(2) + value * q);
        const V f3 = q * f2 + p * (q - 2 * value * p);
        store<T>(bar + n, f1 * b0 + f2 * slope * b1 + (f3 * slope * slope + f2 * curvature) * b2);
        store<T>(bar + size + n, f1 * b1 + 2 * f2 * slope * b2);
        store<T>(bar + 2 * size + n, f1 * b2);
    }
}

// y = x weight + bias for jets: the bias belongs to the values alone.
template <class T>
inline void linear_jets(int count, int depth, int stride, Matrix<T> x, const T* weight,
                        const T* bias, T* y) {
    gemm<T, false>(3 * count, depth, stride / kLanes<T>, x, weight, stride, y, stride);
    for (int row = 0; row < count; ++row) {
        for (int n = 0; n < stride; n += kLanes<T>) {
            T* out = y + row * stride + n;
            store<T>(out, load<T>(out) + load<T>(bias + n));
        }
    }
}

// first, active1, second, active2 from the basis.
template <class T>
inline void hidden_jets(const KnotJob<T>& job) {
    const int ws = job.width_stride, size = job.count * ws;
    linear_jets<T>(job.count, job.num_bessel, ws, {job.basis, job.num_bessel, 1}, job.bessel_weight,
                   job.pair_bias, job.first);
    silu_jets<T>(size, job.first, job.active1);
    linear_jets<T>(job.count, job.width, ws, {job.active1, ws, 1}, job.hidden_weight,
                   job.hidden_bias, job.second);
    silu_jets<T>(size, job.second, job.active2);
}

// job.knots (count, 3, radial_stride)
template <class T>
void knots_forward(const KnotJob<T>& job) {
    using V = Vector<T>;
    hidden_jets<T>(job);
    const int rs = job.radial_stride, count = job.count;
    gemm<T, false>(3 * count, job.width, rs / kLanes<T>, {job.active2, job.width_stride, 1},
                   job.output_weight, rs, job.output, rs);
    for (int knot = 0; knot < count; ++knot) {
        const T f = job.factor[knot], df = job.factor[count + knot];
        const T ddf = job.factor[2 * count + knot];
        for (int k = 0; k < rs; k += kLanes<T>) {
            const T* from = job.output + knot * rs + k;
            T* to = job.knots + knot * 3 * rs + k;
            const V value = load<T>(from), slope = load<T>(from + count * rs);
            const V curvature = load<T>(from + 2 * count * rs);
            store<T>(to, f * value);
            store<T>(to + rs, df * value + f * slope);
            store<T>(to + 2 * rs, ddf * value + 2 * df * slope + f * curvature);
        }
    }
}

template <class T>
inline void add_value_rows(int count, int stride, const T* rows, T* out) {
    for (int n = 0; n < stride; n += kLanes<T>) {
        Vector<T> sum = load<T>(out + n);
        for (int row = 0; row < count; ++row) sum += load<T>(rows + row * stride + n);
        store<T>(out + n, sum);
    }
}

// Adds to the gradients from the adjoint of the knots in job.knots.
template <class T>
void knots_backward(const KnotJob<T>& job) {
    using V = Vector<T>;
    hidden_jets<T>(job);
    const int rs = job.radial_stride, ws = job.width_stride, count = job.count;
    const int radial_vectors = rs / kLanes<T>, vectors = ws / kLanes<T>;
    for (int knot = 0; knot < count; ++knot) {
        const T f = job.factor[knot], df = job.factor[count + knot];
        const T ddf = job.factor[2 * count + knot];
        for (int k = 0; k < rs; k += kLanes<T>) {
            const T* from = job.knots + knot * 3 * rs + k;
            T* to = job.output + knot * rs + k;
            const V value = load<T>(from), slope = load<T>(from + rs);
            const V curvature = load<T>(from + 2 * rs);
            store<T>(to, f * value + df * slope + ddf * curvature);
            store<T>(to + count * rs, f * slope + 2 * df * curvature);
            store<T>(to + 2 * count * rs, f * curvature);
        }
    }
    gemm<T, true>(job.width, 3 * count, radial_vectors, {job.active2, 1, ws}, job.output, rs,
                  job.output_weight_bar, rs);
    gemm<T, false>(3 * count, job.num_radial, vectors, {job.output, rs, 1}, job.output_weight_t, ws,
                   job.active2, ws);
    silu_jets_adjoint<T>(count * ws, job.second, job.active2);
    add_value_rows<T>(count, ws, job.active2, job.hidden_bias_bar);
    gemm<T, true>(job.width, 3 * count, vectors, {job.active1, 1, ws}, job.active2, ws,
                  job.hidden_weight_bar, ws);
    gemm<T, false>(3 * count, job.width, vectors, {job.active2, ws, 1}, job.hidden_weight_t, ws,
                   job.active1, ws);
    silu_jets_adjoint<T>(count * ws, job.first, job.active1);
    add_value_rows<T>(count, ws, job.active1, job.pair_bias_bar);
    gemm<T, true>(job.num_bessel, 3 * count, vectors, {job.basis, 1, job.num_bessel}, job.active1,
                  ws, job.bessel_weight_bar, ws);
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
