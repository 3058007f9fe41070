// SPDX-License-Identifier: MIT
#include "reference/moments.hpp"

#include <algorithm>

#include "reference/linear.hpp"

namespace camlip::reference {

Moments::Moments(const Model& model) : config_(model.config), layer_(model.layers[0]) {}

std::size_t Moments::num_sums() const {
    return static_cast<std::size_t>(config_.num_components()) * config_.num_radial;
}

void Moments::add(const double* g, const double* Y, double* sums) const {
    const int K = config_.num_radial;
    for (int m = 0; m < config_.num_components(); ++m)
        for (int k = 0; k < K; ++k) sums[m * K + k] += g[k] * Y[m];
}

void Moments::adjoint(const double* g, const double* Y, const double* sums_bar, double* g_bar,
                      double* Y_bar) const {
    const int K = config_.num_radial;
    for (int m = 0; m < config_.num_components(); ++m) {
        for (int k = 0; k < K; ++k) {
            g_bar[k] += Y[m] * sums_bar[m * K + k];
            Y_bar[m] += g[k] * sums_bar[m * K + k];
        }
    }
}

void Moments::mix(const double* sums, double* A) const {
    const int K = config_.num_radial, C = config_.num_channels;
    std::fill_n(A, static_cast<std::size_t>(config_.num_components()) * C, 0.0);
    for (int l = 0; l <= config_.max_rank; ++l)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m)
            add_linear(sums + m * K, &layer_.mixing[static_cast<std::size_t>(l) * K * C], K, C,
                       A + m * C);
}

void Moments::mix_adjoint(const double* A_bar, double* sums_bar) const {
    const int K = config_.num_radial, C = config_.num_channels;
    std::fill_n(sums_bar, num_sums(), 0.0);
    for (int l = 0; l <= config_.max_rank; ++l)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m)
            add_linear_adjoint(A_bar + m * C, &layer_.mixing[static_cast<std::size_t>(l) * K * C],
                               K, C, sums_bar + m * K);
}

void Moments::mix_gradient(const double* sums, const double* A_bar, Layer& gradient) const {
    const int K = config_.num_radial, C = config_.num_channels;
    for (int l = 0; l <= config_.max_rank; ++l)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m)
            add_outer(sums + m * K, A_bar + m * C, K, C,
                      &gradient.mixing[static_cast<std::size_t>(l) * K * C]);
}

}  // namespace camlip::reference
