// SPDX-License-Identifier: MIT
#include "cpu/radial_table.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace camlip::cpu {
namespace {

constexpr int kMostOrder = 4;

std::size_t size_of(long count) { return static_cast<std::size_t>(count); }

// The polynomial with the series `left` at t = 0 and `right` at t = 1, both up to t^order, is
// sum_n left_n t^n + t^(order+1) sum_i t^i sum_j matrix[i][j] rest_j, where rest is the series at
// t = 1 of what the first sum leaves.
struct Hermite {
    explicit Hermite(int order) {
        for (int i = 0; i <= order; ++i) {
            for (int j = 0; j <= order; ++j) {
                matrix[i][j] = 0;
                for (int m = std::max(i, j); m <= order; ++m) {
                    const double sign = (m - i) % 2 ? -1 : 1;
                    matrix[i][j] += sign * binomial(m, i) * binomial(-order - 1, m - j);
                }
            }
        }
    }
    double matrix[kMostOrder + 1][kMostOrder + 1];
};

// Where the value deviates most, and where the derivative, by symmetry exact there, does:
// t^(order+1) (1-t)^(order+1) and its derivative have an extremum.
std::vector<double> worst_fractions(int order) {
    const double product = order / (4.0 * order + 2);
    return {0.5, 0.5 * (1 - std::sqrt(1 - 4 * product))};
}

std::vector<double> points_at(const std::vector<double>& fractions, int num_intervals) {
    std::vector<double> points;
    for (int n = 0; n < num_intervals; ++n) {
        for (const double t : fractions) points.push_back((n + t) / num_intervals);
    }
    return points;
}

}  // namespace

std::vector<double> table_knots(int num_intervals) {
    std::vector<double> points = points_at({0}, num_intervals);
    points.push_back(1);
    return points;
}

template <class T>
void fill_radial_table(const std::vector<double>& knots, int order, int num_intervals,
                       int num_radial, int stride, T* table) {
    const Hermite hermite(order);
    const long radial = num_radial, row = (order + 1) * radial;
    std::vector<double> rest(size_of(row));
    for (int n = 0; n < num_intervals; ++n, table += (2 * order + 2) * stride) {
        const double *left = knots.data() + n * row, *right = left + row;
        for (int j = 0; j <= order; ++j) {
            for (long k = 0; k < radial; ++k) {
                double sum = 0;
                for (int i = order; i >= j; --i) sum += binomial(i, j) * left[i * radial + k];
                rest[size_of(j * radial + k)] = right[j * radial + k] - sum;
                table[j * stride + k] = static_cast<T>(left[j * radial + k]);
            }
        }
        for (int i = 0; i <= order; ++i) {
            for (long k = 0; k < radial; ++k) {
                double sum = 0;
                for (int j = 0; j <= order; ++j) {
                    sum += hermite.matrix[i][j] * rest[size_of(j * radial + k)];
                }
                table[(order + 1 + i) * stride + k] = static_cast<T>(sum);
            }
        }
    }
}

void RadialError::include(const RadialError& other) {
    value = std::max(value, other.value);
    derivative = std::max(derivative, other.derivative);
    value_scale = std::max(value_scale, other.value_scale);
    derivative_scale = std::max(derivative_scale, other.derivative_scale);
}

RadialCheck::RadialCheck(const Model& model, const SeriesKernels& kernels, int order,
                         int num_intervals)
    : model_(model),
      order_(order),
      num_intervals_(num_intervals),
      fractions_(worst_fractions(order)),
      series_(model, kernels, 1, 1.0 / num_intervals, points_at(fractions_, num_intervals)) {}

template <class T>
RadialError RadialCheck::measure(int layer, int a, int b, int stride, const T* table) const {
    const long radial = model_.config.num_radial_of(layer);
    const int last = 2 * order_ + 1;
    const double slope_unit = num_intervals_ / model_.config.cutoff;  // by t to by r
    std::vector<double> exact;
    series_.evaluate(layer, a, b, exact);
    const double* at = exact.data();
    RadialError error;
    for (int n = 0; n < num_intervals_; ++n) {
        const T* c = table + static_cast<long>(n) * (last + 1) * stride;
        for (const double t : fractions_) {
            for (long k = 0; k < radial; ++k) {
                double value = 0, slope = 0;
                for (int power = last; power >= 0; --power) {
                    slope = slope * t + value;
                    value = value * t + static_cast<double>(c[power * stride + k]);
                }
                error.include({std::fabs(value - at[k]),
                               std::fabs(slope - at[radial + k]) * slope_unit, std::fabs(at[k]),
                               std::fabs(at[radial + k]) * slope_unit});
            }
            at += 2 * radial;
        }
    }
    return error;
}

template void fill_radial_table<float>(const std::vector<double>&, int, int, int, int, float*);
template void fill_radial_table<double>(const std::vector<double>&, int, int, int, int, double*);
template RadialError RadialCheck::measure<float>(int, int, int, int, const float*) const;
template RadialError RadialCheck::measure<double>(int, int, int, int, const double*) const;

}  // namespace camlip::cpu
