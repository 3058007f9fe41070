// SPDX-License-Identifier: MIT
// Taylor series through the radial network, in double, lane = point; see SeriesJob.
#ifndef CAMLIP_CPU_RADIAL_SERIES_HPP
#define CAMLIP_CPU_RADIAL_SERIES_HPP

#include "cpu/kernels.hpp"
#include "cpu/linear.hpp"
#include "cpu/simd.hpp"

namespace camlip::cpu::CAMLIP_ISA {

inline void multiply_columns(int rows, int depth, int columns, const double* weight,
                             const double* x, double* y) {
    gemm<double, false>(rows, depth, columns / kLanes<double>, {weight, 1, rows}, x, columns, y,
                        columns);
}

// SiLU of the series z + bias, which may be in place: with s = sigma(z), s' = (s - s^2) z'.
template <int M>
CAMLIP_INLINE void silu_series(const double* z_in, double bias, double* out) {
    using V = Vector<double>;
    for (int p = 0; p < kSeriesPoints; p += kLanes<double>) {
        V z[M + 1], s[M + 1], w[M + 1];
#pragma GCC unroll 8
        for (int n = 0; n <= M; ++n) z[n] = load<double>(z_in + n * kSeriesPoints + p);
        z[0] += bias;
        s[0] = sigmoid<double>(z[0]);
#pragma GCC unroll 8
        for (int n = 0; n <= M; ++n) {
            if (n > 0) {
                s[n] = V{};
#pragma GCC unroll 8
                for (int j = 1; j <= n; ++j) s[n] += (static_cast<double>(j) / n) * z[j] * w[n - j];
            }
            V y{};
            w[n] = s[n];
#pragma GCC unroll 8
            for (int j = 0; j <= n; ++j) {
                w[n] -= s[j] * s[n - j];
                y += z[j] * s[n - j];
            }
            store<double>(out + n * kSeriesPoints + p, y);
        }
    }
}

template <int M>
inline void series_of_order(const SeriesJob& job) {
    using V = Vector<double>;
    constexpr int kColumns = (M + 1) * kSeriesPoints;
    for (int n = 0; n < job.width; ++n) {
        silu_series<M>(job.first + n * kColumns, job.bias[n], job.active + n * kColumns);
    }
    multiply_columns(job.width, job.width, kColumns, job.hidden_weight, job.active, job.hidden);
    for (int n = 0; n < job.width; ++n) {
        silu_series<M>(job.hidden + n * kColumns, job.hidden_bias[n], job.hidden + n * kColumns);
    }
    multiply_columns(job.num_radial, job.width, kColumns, job.output_weight, job.hidden, job.out);
    for (int k = 0; k < job.num_radial; ++k) {
        for (int p = 0; p < kSeriesPoints; p += kLanes<double>) {
            double* out = job.out + k * kColumns + p;
            for (int n = M; n >= 0; --n) {
                V sum{};
                for (int j = 0; j <= n; ++j) {
                    sum += load<double>(out + j * kSeriesPoints) *
                           load<double>(job.factor + (n - j) * kSeriesPoints + p);
                }
                store<double>(out + n * kSeriesPoints, sum);
            }
        }
    }
}

inline void radial_series(const SeriesJob& job) {
    if (job.order == 1) {
        series_of_order<1>(job);
    } else if (job.order == 2) {
        series_of_order<2>(job);
    } else {
        series_of_order<4>(job);
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
