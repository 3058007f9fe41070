// SPDX-License-Identifier: MIT
#include "parameters.hpp"

#include <cmath>
#include <cstring>
#include <memory>

#include "device/contraction_generated.hpp"

namespace camlip::cuda {
namespace {

std::size_t size_of(std::int64_t count) { return static_cast<std::size_t>(count); }

// The first number of intervals that reaches the tolerance, relative to the largest value and
// slope, or the last.
struct Resolution {
    int first, last;
    double value, derivative;
};
constexpr Resolution kMixedResolution{128, 512, 2e-7, 2e-6};
constexpr Resolution kDoubleResolution{64, 1024, 2e-13, 2e-11};

}  // namespace

template <class T>
FoldedModel<T>::FoldedModel(const Model& model, const std::vector<int>& active_types)
    : layers_(model.layers.size()) {
    fold_sizes(model, active_types);
    for (int n = 0; n < model.config.num_layers; ++n) {
        fold_mixing(model, n);
        fold_contraction(model, n);
        fold_readout(model, n);
    }
    fill_tables(model, active_types);
}

template <class T>
void FoldedModel<T>::place(const char* base) {
    for (const Pointer& p : pointers_) *p.pointer = base + p.offset;
}

// Zeros; the returned address is good until the next call.
template <class T>
template <class V>
V* FoldedModel<T>::room(const V*& pointer, std::size_t count) {
    const std::size_t offset = (bytes_.size() + 127) / 128 * 128;
    bytes_.resize(offset + count * sizeof(V));
    pointers_.push_back({reinterpret_cast<const void**>(&pointer), offset});
    return reinterpret_cast<V*>(bytes_.data() + offset);
}

template <class T>
template <class V, class From>
void FoldedModel<T>::put(const V*& pointer, const From* values, std::size_t count) {
    V* out = room(pointer, count);
    for (std::size_t n = 0; n < count; ++n) out[n] = static_cast<V>(values[n]);
}

template <class T>
void FoldedModel<T>::put_matrix(const T*& pointer, const double* values, int rows, int columns,
                                int padded_rows, int padded_columns, bool transposed) {
    T* out = room(pointer, size_of(padded_rows) * size_of(padded_columns));
    for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < columns; ++c) {
            const std::size_t at = transposed ? size_of(c) * size_of(padded_rows) + size_of(r)
                                              : size_of(r) * size_of(padded_columns) + size_of(c);
            out[at] = static_cast<T>(values[size_of(r) * size_of(columns) + size_of(c)]);
        }
    }
}

template <class T>
void FoldedModel<T>::fold_sizes(const Model& model, const std::vector<int>& active_types) {
    const Config& config = model.config;
    sizes_.max_rank = config.max_rank;
    sizes_.components = config.num_components();
    sizes_.message_rank = config.message_rank;
    sizes_.message_components = config.num_message_components();
    sizes_.channels = up4(config.num_channels);
    sizes_.hidden = up4(config.num_hidden);
    sizes_.num_paths = kNumPaths[config.max_rank];
    if (config.num_layers > 1) {
        sizes_.scalars = config.num_message_scalars;
        sizes_.vectors = config.num_message_vectors;
        sizes_.vectors_padded = up4(config.num_message_vectors);
        sizes_.sent = config.num_sent();
        sizes_.sent_padded = up4(config.num_sent());
        sizes_.width = config.exchange_width();
        sizes_.num_sides = (config.max_rank >= 2 ? 8 : 3) * config.num_message_vectors;
    }
    num_active_ = static_cast<int>(active_types.size());
    std::vector<std::int32_t> active(size_of(model.num_types()), 0);
    for (std::size_t n = 0; n < active_types.size(); ++n)
        active[size_of(active_types[n])] = static_cast<std::int32_t>(n);
    put(active_, active.data(), active.size());
    put(reference_energies_, model.reference_energies.data(), model.reference_energies.size());
    if (!config.zbl) return;
    std::vector<double> stretches;
    for (const int z : model.atomic_numbers) stretches.push_back(std::pow(z, 0.23) / 0.4685);
    put(repulsion_.radii, model.zbl_radii.data(), model.zbl_radii.size());
    put(repulsion_.charges, model.atomic_numbers.data(), model.atomic_numbers.size());
    put(repulsion_.stretches, stretches.data(), stretches.size());
}

template <class T>
void FoldedModel<T>::fold_mixing(const Model& model, int index) {
    const Layer& from = model.layers[size_of(index)];
    LayerData<T>& layer = layers_[size_of(index)];
    const Config& config = model.config;
    const int channels = config.num_channels, kr = config.num_radial_of(index);
    layer.radial = up8(kr);
    for (int l = 0; l <= config.max_rank; ++l) {
        // Rows in the file count k first; on the device q or p does, and k is padded.
        std::vector<double> rows;
        const auto append = [&](const std::vector<double>& weight, int rank, int senders,
                                int padded_senders) {
            for (int q = 0; q < padded_senders; ++q) {
                for (int k = 0; k < layer.radial; ++k) {
                    if (q >= senders || k >= kr) {
                        rows.insert(rows.end(), size_of(channels), 0.0);
                        continue;
                    }
                    const std::int64_t row = (std::int64_t{rank} * kr + k) * senders + q;
                    const auto first = weight.begin() + row * channels;
                    rows.insert(rows.end(), first, first + channels);
                }
            }
        };
        if (index == 0) append(from.mixing, l, 1, 1);
        if (index > 0 && l <= config.message_rank)
            append(from.mixing, l, sizes_.sent, sizes_.sent_padded);
        if (index > 0 && (l == 1 || l == 2))
            append(from.transverse_mixing, l - 1, sizes_.vectors, sizes_.vectors);
        layer.depth[l] = static_cast<int>(rows.size()) / channels;
        layer.sum_offset[l] = layer.num_sums;
        layer.num_sums += (2 * l + 1) * layer.depth[l];
        put_matrix(layer.mixing[l], rows.data(), layer.depth[l], channels, layer.depth[l],
                   sizes_.channels);
        put_matrix(layer.mixing_t[l], rows.data(), layer.depth[l], channels, layer.depth[l],
                   sizes_.channels, true);
    }
    if (index > 0)
        put_matrix(layer.skip, from.skip.data(), config.max_rank + 1, channels, config.max_rank + 1,
                   sizes_.channels);
    if (index + 1 == config.num_layers) return;
    const double* message = from.message.weight.data();
    put_matrix(layer.message, message, config.num_hidden, sizes_.sent, sizes_.hidden,
               sizes_.sent_padded);
    put_matrix(layer.message_t, message, config.num_hidden, sizes_.sent, sizes_.hidden,
               sizes_.sent_padded, true);
    const double* vector = from.message.vector.data();
    put_matrix(layer.vector, vector, channels, sizes_.vectors, sizes_.channels,
               sizes_.vectors_padded);
    put_matrix(layer.vector_t, vector, channels, sizes_.vectors, sizes_.channels,
               sizes_.vectors_padded, true);
}

template <class T>
void FoldedModel<T>::fold_contraction(const Model& model, int index) {
    const Contraction& from = model.layers[size_of(index)].contraction;
    LayerData<T>& layer = layers_[size_of(index)];
    const int channels = model.config.num_channels, ranks = model.config.max_rank + 1;
    const int rows = model.num_types() * sizes_.num_paths;
    put_matrix(layer.path_weight, from.weight.data(), rows, channels, rows, sizes_.channels);
    put_matrix(layer.contract_skip, from.skip.data(), ranks, channels, ranks, sizes_.channels);
    for (int l = 0; l < ranks; ++l) {
        const double* matrix = from.mixing.data() + std::int64_t{l} * channels * channels;
        put_matrix(layer.contract[l], matrix, channels, channels, sizes_.channels, sizes_.channels);
        put_matrix(layer.contract_t[l], matrix, channels, channels, sizes_.channels,
                   sizes_.channels, true);
    }
}

template <class T>
void FoldedModel<T>::fold_readout(const Model& model, int index) {
    const Layer& from = model.layers[size_of(index)];
    LayerData<T>& layer = layers_[size_of(index)];
    const int channels = model.config.num_channels, hidden = model.config.num_hidden;
    const int blocks = 3 * (model.config.max_rank + 1), rows = blocks * sizes_.channels;
    // The rows of the hidden layer, scaled and padded like the invariants.
    std::vector<double> weight(size_of(rows) * size_of(hidden), 0.0);
    for (int block = 0; block < blocks; ++block) {
        for (int c = 0; c < channels; ++c) {
            const std::size_t row = size_of(block * channels + c);
            for (std::size_t h = 0; h < size_of(hidden); ++h)
                weight[size_of(block * sizes_.channels + c) * size_of(hidden) + h] =
                    from.hidden.scale[row] * from.hidden.weight[row * size_of(hidden) + h];
        }
    }
    const int padded = sizes_.hidden;
    put_matrix(layer.hidden, weight.data(), rows, hidden, rows, padded);
    put_matrix(layer.hidden_t, weight.data(), rows, hidden, rows, padded, true);
    put_matrix(layer.hidden_bias, from.hidden.bias.data(), model.num_types(), hidden,
               model.num_types(), padded);
    put_matrix(layer.readout, from.readout.weight.data(), hidden, hidden, padded, padded);
    put_matrix(layer.readout_t, from.readout.weight.data(), hidden, hidden, padded, padded, true);
    put_matrix(layer.readout_bias, from.readout.bias.data(), 1, hidden, 1, padded);
    std::vector<double> output = from.readout.output;
    for (double& w : output) w *= model.energy_scale;
    put_matrix(layer.readout_output, output.data(), 1, hidden, 1, padded);
}

template <class T>
void FoldedModel<T>::fill_tables(const Model& model, const std::vector<int>& active_types) {
    const Resolution goal = sizeof(T) == 4 ? kMixedResolution : kDoubleResolution;
    constexpr int order = kTableOrder<T>;
    const int pairs = num_active_ * num_active_;
    std::unique_ptr<cpu::RadialSeries> knots;
    std::unique_ptr<cpu::RadialCheck> check;
    const auto choose = [&](int intervals) {
        num_intervals_ = intervals;
        knots = std::make_unique<cpu::RadialSeries>(model, series_kernels(), order, 1.0 / intervals,
                                                    cpu::table_knots(intervals));
        check = std::make_unique<cpu::RadialCheck>(model, series_kernels(), order, intervals);
    };
    const auto size = [&](int layer) {
        return size_of(num_intervals_) * kTableTerms<T> * size_of(layers_[size_of(layer)].radial);
    };
    const auto fill = [&](int layer, int pair, T* out) {
        const int a = active_types[size_of(pair / num_active_)];
        const int b = active_types[size_of(pair % num_active_)];
        const int stride = layers_[size_of(layer)].radial;
        std::vector<double> series;
        knots->evaluate(layer, a, b, series);
        cpu::fill_radial_table<T>(series, order, num_intervals_, model.config.num_radial_of(layer),
                                  stride, out);
        return check->measure(layer, a, b, stride, out);
    };
    // One pair of each layer decides how fine the tables of all are.
    choose(goal.first);
    std::vector<T> trial;
    for (int layer = 0; layer < model.config.num_layers; ++layer) {
        for (; num_intervals_ < goal.last; choose(2 * num_intervals_)) {
            trial.assign(size(layer), 0);
            const cpu::RadialError error = fill(layer, 0, trial.data());
            if (error.value <= goal.value * error.value_scale &&
                error.derivative <= goal.derivative * error.derivative_scale)
                break;
        }
    }
    for (int layer = 0; layer < model.config.num_layers; ++layer) {
        T* table = room(layers_[size_of(layer)].table, size_of(pairs) * size(layer));
        cpu::RadialError error;
        for (int pair = 0; pair < pairs; ++pair)
            error.include(fill(layer, pair, table + size_of(pair) * size(layer)));
        if (error.value_scale > 0) error.value /= error.value_scale;
        if (error.derivative_scale > 0) error.derivative /= error.derivative_scale;
        radial_error_.include(error);
    }
}

template class FoldedModel<float>;
template class FoldedModel<double>;

}  // namespace camlip::cuda
