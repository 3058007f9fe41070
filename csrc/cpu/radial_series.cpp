// SPDX-License-Identifier: MIT
// What the points of a RadialSeries share among all pairs, and its loop over batches of points.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "cpu/radial_table.hpp"

namespace camlip::cpu {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int kPoints = kSeriesPoints;

std::size_t size_of(long count) { return static_cast<std::size_t>(count); }

}  // namespace

// Where x is small from its series about 0, for the recurrence divides by x.
void bessel_series(int n, double x, int order, double* out) {
    const double q = n * kPi, factor = std::sqrt(2.0) / kPi;
    if (q * x < 1) {
        double term = factor * q;  // of x^2k
        std::fill(out, out + order + 1, 0.0);
        for (int k = 0; k < 12; ++k) {
            for (int i = 0; i <= std::min(order, 2 * k); ++i) {
                out[i] += term * binomial(2 * k, i) * (2 * k == i ? 1 : std::pow(x, 2 * k - i));
            }
            term *= -q * q / ((2 * k + 2) * (2 * k + 3));
        }
        return;
    }
    const double s = std::sin(q * x), c = std::cos(q * x), cycle[4] = {s, c, -s, -c};
    double power = factor, below = 0;  // sin(q x) = sum of power cycle t^i
    for (int i = 0; i <= order; ++i) {
        out[i] = below = (power * cycle[i % 4] - below) / x;
        power *= q / (i + 1);
    }
}

void envelope_series(double x, int order, double* out) {
    for (int i = 0; i <= order; ++i) {
        out[i] = i == 0 ? 1 : 0;
        for (int p = 6; p <= 8; ++p) {
            const double weight = p == 6 ? -28 : p == 7 ? 48 : -21;
            out[i] += weight * binomial(p, i) * std::pow(x, p - i);
        }
        if (x >= 1 && i < 3) out[i] = 0;
    }
}

double binomial(int n, int k) {
    double value = 1;
    for (int i = 0; i < k; ++i) value = value * (n - i) / (i + 1);
    return value;
}

RadialSeries::RadialSeries(const Model& model, const SeriesKernels& kernels, int order, double step,
                           const std::vector<double>& points)
    : model_(model),
      kernels_(kernels),
      order_(order),
      num_points_(static_cast<int>(points.size())) {
    const Config& config = model.config;
    const int batches = (num_points_ + kPoints - 1) / kPoints, count = order + 1;
    const int inputs = config.num_bessel, width = config.radial_width;
    const long columns = count * kPoints;
    const double norm = 1 / std::sqrt(config.average_num_neighbors);
    factor_.resize(size_of(batches * columns));
    std::vector<double> input(size_of(batches * inputs * columns)), row(size_of(count));
    for (int p = 0; p < batches * kPoints; ++p) {  // the last point fills the last batch
        const double x = points[size_of(std::min(p, num_points_ - 1))];
        const int batch = p / kPoints, lane = p % kPoints;
        for (int n = -1; n < inputs; ++n) {
            double* out = (n < 0 ? &factor_[size_of(batch * columns)]
                                 : &input[size_of((batch * inputs + n) * columns)]) +
                          lane;
            if (n < 0) {
                envelope_series(x, order, row.data());
            } else {
                bessel_series(n + 1, x, order, row.data());
            }
            double scale = n < 0 ? norm : 1;
            for (int i = 0; i < count; ++i) {
                out[i * kPoints] = scale * row[size_of(i)];
                scale *= step;
            }
        }
    }
    for (const Layer& layer : model.layers) {
        first_.emplace_back(size_of(batches * width * columns));
        for (int batch = 0; batch < batches; ++batch) {
            kernels.multiply(width, inputs, static_cast<int>(columns),
                             layer.radial.bessel_weight.data(),
                             &input[size_of(batch * inputs * columns)],
                             &first_.back()[size_of(batch * width * columns)]);
        }
    }
}

void RadialSeries::evaluate(int layer, int a, int b, std::vector<double>& out) const {
    const RadialNetwork& network = model_.layers[size_of(layer)].radial;
    const int width = model_.config.radial_width, radial = model_.config.num_radial_of(layer);
    const long columns = (order_ + 1) * kPoints;
    std::vector<double> room(size_of((2 * width + radial) * columns));
    SeriesJob job{};
    job.order = order_;
    job.width = width;
    job.num_radial = radial;
    job.bias = network.pair_bias.data() + size_of(a * model_.num_types() + b) * size_of(width);
    job.hidden_weight = network.hidden_weight.data();
    job.hidden_bias = network.hidden_bias.data();
    job.output_weight = network.output_weight.data();
    job.active = room.data();
    job.hidden = job.active + width * columns;
    job.out = job.hidden + width * columns;
    out.resize(size_of(num_points_) * size_of((order_ + 1) * radial));
    double* to = out.data();
    for (int first = 0; first < num_points_; first += kPoints) {
        const int batch = first / kPoints;
        job.first = &first_[size_of(layer)][size_of(batch * width * columns)];
        job.factor = &factor_[size_of(batch * columns)];
        kernels_.series(job);
        for (int p = 0; p < std::min(kPoints, num_points_ - first); ++p) {
            for (int i = 0; i <= order_; ++i) {
                for (int k = 0; k < radial; ++k) *to++ = job.out[k * columns + i * kPoints + p];
            }
        }
    }
}

}  // namespace camlip::cpu
