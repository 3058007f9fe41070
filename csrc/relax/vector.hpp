// SPDX-License-Identifier: MIT
// The few operations on long vectors that optimizers need.
#ifndef CAMLIP_RELAX_VECTOR_HPP
#define CAMLIP_RELAX_VECTOR_HPP

#include <cmath>
#include <cstddef>
#include <vector>

namespace camlip {

// Four sums: shorter chains of additions, and less rounding.
inline double dot(const double* a, const double* b, std::size_t size) {
    double sum[4] = {0, 0, 0, 0};
    std::size_t n = 0;
    for (; n + 4 <= size; n += 4)
        for (std::size_t k = 0; k < 4; ++k) sum[k] += a[n + k] * b[n + k];
    for (; n < size; ++n) sum[0] += a[n] * b[n];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
    return dot(a.data(), b.data(), a.size());
}

inline double norm(const std::vector<double>& a) { return std::sqrt(dot(a, a)); }

// y += factor x
inline void add(double factor, const double* x, std::vector<double>& y) {
    for (std::size_t n = 0; n < y.size(); ++n) y[n] += factor * x[n];
}

inline void add(double factor, const std::vector<double>& x, std::vector<double>& y) {
    add(factor, x.data(), y);
}

inline void scale(double factor, std::vector<double>& x) {
    for (double& value : x) value *= factor;
}

}  // namespace camlip

#endif
