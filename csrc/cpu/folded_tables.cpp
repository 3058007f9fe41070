// SPDX-License-Identifier: MIT
// The radial tables of a FoldedModel.
#include <cstddef>
#include <memory>
#include <vector>

#include "cpu/parameters.hpp"
#include "cpu/training_tables.hpp"

namespace camlip::cpu {
namespace {

// The first number of intervals that reaches the tolerance, relative to the largest value and
// slope, or the last.
struct Resolution {
    int order, first, last;
    double value, derivative;
};
constexpr Resolution kMixedResolution{2, 128, 512, 2e-7, 2e-6};
constexpr Resolution kDoubleResolution{4, 64, 1024, 2e-13, 2e-11};

std::size_t size_of(long count) { return static_cast<std::size_t>(count); }

bool same(const RadialNetwork& a, const RadialNetwork& b) {
    return a.bessel_weight == b.bessel_weight && a.pair_bias == b.pair_bias &&
           a.hidden_weight == b.hidden_weight && a.hidden_bias == b.hidden_bias &&
           a.output_weight == b.output_weight;
}

}  // namespace

template <class T>
void FoldedModel<T>::fill_tables(const Model& model) {
    Parameters<T>& p = parameters_;
    const SeriesKernels& kernels = kernels_->series;
    const Resolution goal = sizeof(T) == 4 ? kMixedResolution : kDoubleResolution;
    p.table_degree = 2 * goal.order + 1;
    const auto size = [&](int layer) {
        return size_of(p.num_intervals * (p.table_degree + 1) * p.layers[layer].radial_stride);
    };
    std::unique_ptr<RadialSeries> knots;
    std::unique_ptr<RadialCheck> check;
    const auto choose = [&](int intervals) {
        p.num_intervals = intervals;
        knots = std::make_unique<RadialSeries>(model, kernels, goal.order, 1.0 / intervals,
                                               table_knots(intervals));
        check = std::make_unique<RadialCheck>(model, kernels, goal.order, intervals);
    };
    const auto fill = [&](int layer, int pair, T* table) {
        const int a = active_types_[size_of(pair / p.num_active)];
        const int b = active_types_[size_of(pair % p.num_active)];
        const int stride = p.layers[layer].radial_stride;
        std::vector<double> series;
        knots->evaluate(layer, a, b, series);
        fill_radial_table<T>(series, goal.order, p.num_intervals, p.layers[layer].num_radial,
                             stride, table);
        return check->measure(layer, a, b, stride, table);
    };
    // One pair of each layer decides how fine the tables of all are.
    choose(goal.first);
    std::vector<T> trial;
    for (int layer = 0; layer < p.num_layers; ++layer) {
        for (; p.num_intervals < goal.last; choose(2 * p.num_intervals)) {
            trial.assign(size(layer), 0);
            const RadialError error = fill(layer, 0, trial.data());
            if (error.value <= goal.value * error.value_scale &&
                error.derivative <= goal.derivative * error.derivative_scale) {
                break;
            }
        }
    }
    const int pairs = p.num_active * p.num_active;
    for (int layer = 0; layer < p.num_layers; ++layer) {
        T* const table = room(size_of(pairs) * size(layer));
        p.layers[layer].radial_table = table;
        RadialError error;
#pragma omp parallel for schedule(dynamic) num_threads(num_threads_)
        for (int pair = 0; pair < pairs; ++pair) {
            const RadialError one = fill(layer, pair, table + size_of(pair) * size(layer));
#pragma omp critical(camlip_radial_table)
            error.include(one);
        }
        // Reported relative to the largest value of the layer.
        if (error.value_scale > 0) error.value /= error.value_scale;
        if (error.derivative_scale > 0) error.derivative /= error.derivative_scale;
        radial_error_.include(error);
    }
}

template <class T>
void FoldedModel<T>::fill_training_tables(const Model& model) {
    Parameters<T>& p = parameters_;
    tabulated_.resize(model.layers.size());
    p.table_degree = 5;
    const int pairs = p.num_active * p.num_active;
    for (int layer = 0; layer < p.num_layers; ++layer) {
        const int stride = p.layers[layer].radial_stride,
                  knots_stride = knots_->radial_stride(layer);
        const std::size_t size = size_of(p.num_intervals * 6L * stride);
        T* const table = room(size_of(pairs) * size);
        p.layers[layer].radial_table = table;
        const RadialNetwork& network = model.layers[size_of(layer)].radial;
        if (same(network, tabulated_[size_of(layer)])) continue;
        tabulated_[size_of(layer)] = network;
#pragma omp parallel for schedule(static) num_threads(num_threads_)
        for (int pair = 0; pair < pairs; ++pair) {
            const int a = active_types_[size_of(pair / p.num_active)];
            const int b = active_types_[size_of(pair % p.num_active)];
            std::vector<double> knots(size_of((p.num_intervals + 1L) * 3 * knots_stride));
            knots_->forward(layer, a * p.num_types + b, knots.data());
            fill_training_table<T>(p.num_intervals, p.layers[layer].num_radial, knots_stride,
                                   knots.data(), stride, table + size_of(pair) * size);
        }
    }
}

template void FoldedModel<float>::fill_tables(const Model&);
template void FoldedModel<double>::fill_tables(const Model&);
template void FoldedModel<float>::fill_training_tables(const Model&);
template void FoldedModel<double>::fill_training_tables(const Model&);

}  // namespace camlip::cpu
