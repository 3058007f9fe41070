// SPDX-License-Identifier: MIT
#include "reference/radial.hpp"

#include <cmath>
#include <vector>

#include "reference/linear.hpp"

namespace camlip::reference {

void envelope(double x, double& f, double& df) {
    f = df = 0;
    if (x >= 1) return;
    const double x5 = x * x * x * x * x;
    f = 1 - x5 * x * (28 - 48 * x + 21 * x * x);
    df = -168 * x5 * (1 - x) * (1 - x);
}

Radial::Radial(const Model& model, int layer)
    : config_(model.config),
      network_(model.layers[static_cast<std::size_t>(layer)].radial),
      num_types_(model.num_types()),
      num_radial_(model.config.num_radial_of(layer)) {}

void Radial::evaluate(int center_type, int neighbor_type, double r, double* g, double* dg) const {
    const int B = config_.num_bessel, W = config_.radial_width, K = num_radial_;
    const auto width = static_cast<std::size_t>(W);
    const double pi = std::acos(-1.0), x = r / config_.cutoff;

    // Values v and derivatives d by x, carried through the network side by side.
    std::vector<double> bv(static_cast<std::size_t>(B)), bd(bv);
    for (int n = 1; n <= B; ++n) {
        const double s = std::sqrt(2.0) * std::sin(n * pi * x) / (pi * x);
        bv[static_cast<std::size_t>(n - 1)] = s;
        bd[static_cast<std::size_t>(n - 1)] = std::sqrt(2.0) * n * std::cos(n * pi * x) / x - s / x;
    }
    const double* bias =
        &network_
             .pair_bias[static_cast<std::size_t>(center_type * num_types_ + neighbor_type) * width];
    std::vector<double> v(bias, bias + W), d(width, 0.0);
    add_linear(bv.data(), network_.bessel_weight.data(), B, W, v.data());
    add_linear(bd.data(), network_.bessel_weight.data(), B, W, d.data());
    for (std::size_t i = 0; i < width; ++i) {
        d[i] *= silu_derivative(v[i]);
        v[i] = silu(v[i]);
    }
    std::vector<double> v2(network_.hidden_bias), d2(width, 0.0);
    add_linear(v.data(), network_.hidden_weight.data(), W, W, v2.data());
    add_linear(d.data(), network_.hidden_weight.data(), W, W, d2.data());
    for (std::size_t i = 0; i < width; ++i) {
        d2[i] *= silu_derivative(v2[i]);
        v2[i] = silu(v2[i]);
    }
    std::vector<double> out(static_cast<std::size_t>(K), 0.0), dout(out);
    add_linear(v2.data(), network_.output_weight.data(), W, K, out.data());
    add_linear(d2.data(), network_.output_weight.data(), W, K, dout.data());

    double f = 0, df = 0;
    envelope(x, f, df);
    const double norm = 1 / std::sqrt(config_.average_num_neighbors);
    for (std::size_t k = 0; k < out.size(); ++k) {
        g[k] = norm * f * out[k];
        if (dg) dg[k] = norm * (df * out[k] + f * dout[k]) / config_.cutoff;
    }
}

void Radial::gradient(int center_type, int neighbor_type, double r, const double* g_bar,
                      RadialNetwork& gradient) const {
    const int B = config_.num_bessel, W = config_.radial_width, K = num_radial_;
    const auto width = static_cast<std::size_t>(W);
    const double pi = std::acos(-1.0), x = r / config_.cutoff;
    std::vector<double> b(static_cast<std::size_t>(B));
    for (int n = 1; n <= B; ++n)
        b[static_cast<std::size_t>(n - 1)] = std::sqrt(2.0) * std::sin(n * pi * x) / (pi * x);
    const auto pair = static_cast<std::size_t>(center_type * num_types_ + neighbor_type) * width;
    std::vector<double> z1(&network_.pair_bias[pair], &network_.pair_bias[pair] + W);
    add_linear(b.data(), network_.bessel_weight.data(), B, W, z1.data());
    std::vector<double> v1(width), v2(width), z2(network_.hidden_bias);
    for (std::size_t i = 0; i < width; ++i) v1[i] = silu(z1[i]);
    add_linear(v1.data(), network_.hidden_weight.data(), W, W, z2.data());
    for (std::size_t i = 0; i < width; ++i) v2[i] = silu(z2[i]);

    double f = 0, df = 0;
    envelope(x, f, df);
    std::vector<double> out_bar(g_bar, g_bar + K), z2_bar(width, 0.0), z1_bar(width, 0.0);
    for (double& value : out_bar) value *= f / std::sqrt(config_.average_num_neighbors);
    add_outer(v2.data(), out_bar.data(), W, K, gradient.output_weight.data());
    add_linear_adjoint(out_bar.data(), network_.output_weight.data(), W, K, z2_bar.data());
    for (std::size_t i = 0; i < width; ++i) {
        z2_bar[i] *= silu_derivative(z2[i]);
        gradient.hidden_bias[i] += z2_bar[i];
    }
    add_outer(v1.data(), z2_bar.data(), W, W, gradient.hidden_weight.data());
    add_linear_adjoint(z2_bar.data(), network_.hidden_weight.data(), W, W, z1_bar.data());
    for (std::size_t i = 0; i < width; ++i) {
        z1_bar[i] *= silu_derivative(z1[i]);
        gradient.pair_bias[pair + i] += z1_bar[i];
    }
    add_outer(b.data(), z1_bar.data(), B, W, gradient.bessel_weight.data());
}

}  // namespace camlip::reference
