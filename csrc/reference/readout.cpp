// SPDX-License-Identifier: MIT
#include "reference/readout.hpp"

#include <algorithm>
#include <vector>

#include "reference/linear.hpp"

namespace camlip::reference {
namespace {

// sum_m X^l_m Y^l_m for each channel, for ranks first_rank to max_rank; returns the end of out.
double* add_dots(const double* X, const double* Y, int first_rank, int max_rank, int C,
                 double* out) {
    for (int l = first_rank; l <= max_rank; ++l, out += C)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m)
            for (int c = 0; c < C; ++c) out[c] += X[m * C + c] * Y[m * C + c];
    return out;
}

// The adjoint by the first factor: X_bar += I_bar Y.
const double* add_dots_adjoint(const double* I_bar, const double* Y, int first_rank, int max_rank,
                               int C, double* X_bar) {
    for (int l = first_rank; l <= max_rank; ++l, I_bar += C)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m)
            for (int c = 0; c < C; ++c) X_bar[m * C + c] += I_bar[c] * Y[m * C + c];
    return I_bar;
}

}  // namespace

AtomReadout::AtomReadout(const Model& model, int layer)
    : config_(model.config),
      hidden_(model.layers[static_cast<std::size_t>(layer)].hidden),
      readout_(model.layers[static_cast<std::size_t>(layer)].readout),
      energy_scale_(model.energy_scale) {}

std::vector<double> AtomReadout::invariants(const double* A, const double* D) const {
    const int L = config_.max_rank, C = config_.num_channels;
    std::vector<double> I(static_cast<std::size_t>(config_.num_invariants()), 0.0);
    std::copy(A, A + C, I.begin());
    double* end = add_dots(A, A, 1, L, C, I.data() + C);
    end = add_dots(D, A, 0, L, C, end);
    add_dots(D, D, 0, L, C, end);
    for (std::size_t n = 0; n < I.size(); ++n) I[n] *= hidden_.scale[n];
    return I;
}

double AtomReadout::forward(int type, const double* A, const double* D, double* hidden) const {
    const int H = config_.num_hidden;
    const std::vector<double> I = invariants(A, D);
    std::copy_n(&hidden_.bias[static_cast<std::size_t>(type) * H], H, hidden);
    add_linear(I.data(), hidden_.weight.data(), config_.num_invariants(), H, hidden);

    std::vector<double> active(static_cast<std::size_t>(H)), inner(readout_.bias);
    for (int n = 0; n < H; ++n) active[n] = silu(hidden[n]);
    add_linear(active.data(), readout_.weight.data(), H, H, inner.data());
    double energy = 0;
    for (int n = 0; n < H; ++n) energy += readout_.output[n] * silu(inner[n]);
    return energy_scale_ * energy;
}

void AtomReadout::backward(int type, const double* A, const double* D, const double* hidden,
                           double seed, double* hidden_bar, double* A_bar, double* D_bar,
                           Layer* gradient) const {
    const int L = config_.max_rank, C = config_.num_channels, H = config_.num_hidden;
    std::vector<double> active(static_cast<std::size_t>(H)), inner(readout_.bias);
    for (int n = 0; n < H; ++n) active[n] = silu(hidden[n]);
    add_linear(active.data(), readout_.weight.data(), H, H, inner.data());
    std::vector<double> active_bar(static_cast<std::size_t>(H), 0.0);
    seed *= energy_scale_;
    for (int n = 0; n < H; ++n) {
        if (gradient) gradient->readout.output[n] += seed * silu(inner[n]);
        inner[n] = seed * readout_.output[n] * silu_derivative(inner[n]);
    }
    add_linear_adjoint(inner.data(), readout_.weight.data(), H, H, active_bar.data());
    for (int n = 0; n < H; ++n) hidden_bar[n] += active_bar[n] * silu_derivative(hidden[n]);

    if (gradient) {
        const std::vector<double> I = invariants(A, D);
        add_outer(active.data(), inner.data(), H, H, gradient->readout.weight.data());
        add_outer(I.data(), hidden_bar, config_.num_invariants(), H,
                  gradient->hidden.weight.data());
        for (int n = 0; n < H; ++n) {
            gradient->readout.bias[n] += inner[n];
            gradient->hidden.bias[static_cast<std::size_t>(type) * H + n] += hidden_bar[n];
        }
    }

    std::vector<double> I_bar(static_cast<std::size_t>(config_.num_invariants()), 0.0);
    add_linear_adjoint(hidden_bar, hidden_.weight.data(), config_.num_invariants(), H,
                       I_bar.data());
    for (std::size_t n = 0; n < I_bar.size(); ++n) I_bar[n] *= hidden_.scale[n];
    for (int c = 0; c < C; ++c) A_bar[c] += I_bar[c];
    const double* at = I_bar.data() + C;
    add_dots_adjoint(at, A, 1, L, C, A_bar);
    at = add_dots_adjoint(at, A, 1, L, C, A_bar);
    add_dots_adjoint(at, D, 0, L, C, A_bar);
    at = add_dots_adjoint(at, A, 0, L, C, D_bar);
    add_dots_adjoint(at, D, 0, L, C, D_bar);
    add_dots_adjoint(at, D, 0, L, C, D_bar);
}

}  // namespace camlip::reference
