// SPDX-License-Identifier: MIT
// out += x @ weight and its adjoint, as loops; weight is (rows, cols), rows are inputs.
#ifndef CAMLIP_REFERENCE_LINEAR_HPP
#define CAMLIP_REFERENCE_LINEAR_HPP

#include <cmath>
#include <cstddef>

namespace camlip::reference {

inline void add_linear(const double* x, const double* weight, int rows, int cols, double* out) {
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < cols; ++j)
            out[j] += x[i] * weight[static_cast<std::size_t>(i) * cols + j];
}

// x_bar += weight @ out_bar
inline void add_linear_adjoint(const double* out_bar, const double* weight, int rows, int cols,
                               double* x_bar) {
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < cols; ++j)
            x_bar[i] += weight[static_cast<std::size_t>(i) * cols + j] * out_bar[j];
}

// weight_bar += x (x) out_bar
inline void add_outer(const double* x, const double* out_bar, int rows, int cols,
                      double* weight_bar) {
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < cols; ++j)
            weight_bar[static_cast<std::size_t>(i) * cols + j] += x[i] * out_bar[j];
}

inline double silu(double x) { return x / (1 + std::exp(-x)); }

inline double silu_derivative(double x) {
    const double s = 1 / (1 + std::exp(-x));
    return s * (1 + x * (1 - s));
}

}  // namespace camlip::reference

#endif
