// SPDX-License-Identifier: MIT
#include "cpu/radial_table.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace camlip::cpu {
namespace {

constexpr double kPi = 3.14159265358979323846;

// sqrt(2) sin(q x) / (pi x) and its derivatives, q = n pi; by its series where x is small.
Jet bessel(int n, double x) {
    const double q = n * kPi, factor = std::sqrt(2.0) / kPi, qx = q * x;
    if (qx < 1) {
        Jet jet;
        double term = q;  // q (-1)^k (q x)^2k / (2k+1)!, without its power of x
        for (int k = 0; k < 12; ++k) {
            const double power = k == 0 ? 1 : std::pow(x, 2 * k);
            jet.value += term * power;
            if (k > 0) jet.first += term * 2 * k * std::pow(x, 2 * k - 1);
            if (k > 0) jet.second += term * 2 * k * (2 * k - 1) * std::pow(x, 2 * k - 2);
            term *= -q * q / ((2 * k + 2) * (2 * k + 3));
        }
        return {factor * jet.value, factor * jet.first, factor * jet.second};
    }
    const double s = std::sin(qx), c = std::cos(qx);
    return {factor * s / x, factor * (qx * c - s) / (x * x),
            factor * (-qx * qx * s - 2 * qx * c + 2 * s) / (x * x * x)};
}

Jet envelope(double x) {
    if (x >= 1) return {};
    const double x4 = x * x * x * x, x5 = x4 * x, x6 = x5 * x, y = 1 - x;
    return {1 - x6 * (28 - 48 * x + 21 * x * x), -168 * x5 * y * y,
            -840 * x4 * y * y + 336 * x5 * y};
}

Jet product(const Jet& a, const Jet& b) {
    return {a.value * b.value, a.first * b.value + a.value * b.first,
            a.second * b.value + 2 * a.first * b.first + a.value * b.second};
}

Jet silu(const Jet& x) {
    const double s = 1 / (1 + std::exp(-x.value)), s1 = s * (1 - s);
    const double first = s + x.value * s1, second = s1 * (2 + x.value * (1 - 2 * s));
    return {x.value * s, first * x.first, second * x.first * x.first + first * x.second};
}

// y += x @ weight for jets x (rows) and weight (rows, columns).
void add_linear(const std::vector<Jet>& x, const std::vector<double>& weight, std::vector<Jet>& y) {
    for (std::size_t row = 0; row < x.size(); ++row) {
        const double* w = weight.data() + row * y.size();
        for (std::size_t n = 0; n < y.size(); ++n) {
            y[n].value += x[row].value * w[n];
            y[n].first += x[row].first * w[n];
            y[n].second += x[row].second * w[n];
        }
    }
}

}  // namespace

std::vector<Jet> radial_network(const Model& model, int layer, int a, int b, double r) {
    const Config& config = model.config;
    const RadialNetwork& network = model.layers[static_cast<std::size_t>(layer)].radial;
    const std::size_t width = static_cast<std::size_t>(config.radial_width);
    const double x = r / config.cutoff;
    std::vector<Jet> input(static_cast<std::size_t>(config.num_bessel));
    for (std::size_t n = 0; n < input.size(); ++n) input[n] = bessel(static_cast<int>(n) + 1, x);
    std::vector<Jet> hidden(width), second(width);
    const double* bias =
        network.pair_bias.data() + static_cast<std::size_t>(a * model.num_types() + b) * width;
    for (std::size_t n = 0; n < width; ++n) {
        hidden[n].value = bias[n];
        second[n].value = network.hidden_bias[n];
    }
    add_linear(input, network.bessel_weight, hidden);
    for (Jet& jet : hidden) jet = silu(jet);
    add_linear(hidden, network.hidden_weight, second);
    for (Jet& jet : second) jet = silu(jet);
    std::vector<Jet> output(static_cast<std::size_t>(config.num_radial_of(layer)));
    add_linear(second, network.output_weight, output);
    Jet factor = envelope(x);
    const double norm = 1 / std::sqrt(config.average_num_neighbors), c = config.cutoff;
    factor = {norm * factor.value, norm * factor.first, norm * factor.second};
    for (Jet& jet : output) {
        jet = product(jet, factor);
        jet = {jet.value, jet.first / c, jet.second / (c * c)};
    }
    return output;
}

void RadialError::include(const RadialError& other) {
    value = std::max(value, other.value);
    derivative = std::max(derivative, other.derivative);
    value_scale = std::max(value_scale, other.value_scale);
    derivative_scale = std::max(derivative_scale, other.derivative_scale);
}

template <class T>
RadialError fill_radial_table(const Model& model, int layer, int a, int b, int num_intervals,
                              int stride, T* table) {
    const double h = model.config.cutoff / num_intervals;
    RadialError error;
    std::vector<Jet> left = radial_network(model, layer, a, b, 0);
    for (int n = 0; n < num_intervals; ++n) {
        const std::vector<Jet> right = radial_network(model, layer, a, b, (n + 1) * h);
        T* out = table + static_cast<std::size_t>(n) * 6 * static_cast<std::size_t>(stride);
        const auto coefficient = [&](int power, std::size_t k) -> T& {
            return out[static_cast<std::size_t>(power * stride) + k];
        };
        for (std::size_t k = 0; k < left.size(); ++k) {
            const double d0 = left[k].first * h, d1 = right[k].first * h;
            const double s0 = left[k].second * h * h, s1 = right[k].second * h * h;
            const double step = right[k].value - left[k].value;
            coefficient(0, k) = static_cast<T>(left[k].value);
            coefficient(1, k) = static_cast<T>(d0);
            coefficient(2, k) = static_cast<T>(0.5 * s0);
            coefficient(3, k) = static_cast<T>(10 * step - 6 * d0 - 4 * d1 - 1.5 * s0 + 0.5 * s1);
            coefficient(4, k) = static_cast<T>(-15 * step + 8 * d0 + 7 * d1 + 1.5 * s0 - s1);
            coefficient(5, k) = static_cast<T>(6 * step - 3 * d0 - 3 * d1 - 0.5 * s0 + 0.5 * s1);
        }
        // The value is worst in the middle, the derivative, by symmetry exact there, at 0.276.
        for (const double t : {0.5, 0.27639320225002103}) {
            const std::vector<Jet> exact = radial_network(model, layer, a, b, (n + t) * h);
            for (std::size_t k = 0; k < exact.size(); ++k) {
                double value = 0, slope = 0;
                for (int power = 5; power >= 0; --power) {
                    slope = slope * t + value;
                    value = value * t + static_cast<double>(coefficient(power, k));
                }
                error.include({std::fabs(value - exact[k].value),
                               std::fabs(slope / h - exact[k].first), std::fabs(exact[k].value),
                               std::fabs(exact[k].first)});
            }
        }
        left = right;
    }
    return error;
}

template RadialError fill_radial_table<float>(const Model&, int, int, int, int, int, float*);
template RadialError fill_radial_table<double>(const Model&, int, int, int, int, int, double*);

}  // namespace camlip::cpu
