// SPDX-License-Identifier: MIT
#include "cpu/parameters.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace camlip::cpu {
namespace {

std::size_t size_of(long count) { return static_cast<std::size_t>(count); }

int padded(int size, int lanes) { return (size + lanes - 1) / lanes * lanes; }

}  // namespace

template <class T>
FoldedModel<T>::FoldedModel(const Model& model, const std::vector<int>& active_types,
                            const Kernels<T>& kernels, int num_threads, bool training)
    : active_types_(active_types), kernels_(&kernels), num_threads_(num_threads) {
    fold_sizes(model, active_types, kernels.lanes);
    if (training) {
        const int intervals = num_training_intervals(model.config, sizeof(T) == 4);
        knots_ = std::make_unique<KnotNetworks<double>>(model, choose_kernels<double>(kernels.name),
                                                        intervals, num_threads);
        networks_ = std::make_unique<KnotNetworks<T>>(model, kernels, intervals, num_threads);
        parameters_.num_intervals = intervals;
    }
    fold(model);
}

template <class T>
void FoldedModel<T>::fold(const Model& model) {
    next_ = 0;
    for (int n = 0; n < model.config.num_layers; ++n) {
        fold_mixing(model, n, kernels_->lanes);
        fold_contraction(model, n);
        fold_readout(model, n, kernels_->lanes);
    }
    if (networks_) {
        fill_training_tables(model);
    } else {
        fill_tables(model);
    }
}

template <class T>
void FoldedModel<T>::refold(const Model& model) {
    knots_->load(model);
    networks_->load(model);
    fold(model);
}

template <class T>
std::size_t FoldedModel<T>::bytes() const {
    std::size_t total = 0;
    for (const Arena& array : arrays_) total += array.bytes();
    return total;
}

template <class T>
T* FoldedModel<T>::room(std::size_t count) {
    if (next_ == places_.size()) {
        T* pointer = nullptr;
        arrays_.emplace_back();
        arrays_.back().add(pointer, count);
        arrays_.back().allocate();
        places_.push_back(pointer);
    }
    return places_[next_++];
}

template <class T>
const T* FoldedModel<T>::place(const double* values, int rows, int columns, int stride) {
    T* out = room(size_of(rows) * size_of(stride));
    for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < columns; ++c) {
            out[size_of(r) * size_of(stride) + size_of(c)] =
                static_cast<T>(values[size_of(r) * size_of(columns) + size_of(c)]);
        }
    }
    return out;
}

template <class T>
const T* FoldedModel<T>::place_transposed(const double* values, int rows, int columns, int stride) {
    T* out = room(size_of(columns) * size_of(stride));
    for (int c = 0; c < columns; ++c) {
        for (int r = 0; r < rows; ++r) {
            out[size_of(c) * size_of(stride) + size_of(r)] =
                static_cast<T>(values[size_of(r) * size_of(columns) + size_of(c)]);
        }
    }
    return out;
}

template <class T>
const T* FoldedModel<T>::place_panels(const double* values, int rows, int columns, int width) {
    std::vector<double> panels;
    panels.reserve(size_of(rows) * size_of(columns));
    for (int first = 0; first < rows; first += width) {
        for (int c = 0; c < columns; ++c) {
            for (int r = first; r < std::min(first + width, rows); ++r) {
                panels.push_back(values[size_of(r) * size_of(columns) + size_of(c)]);
            }
        }
    }
    return place(panels.data(), 1, rows * columns, rows * columns);
}

template <class T>
void FoldedModel<T>::fold_sizes(const Model& model, const std::vector<int>& active_types,
                                int lanes) {
    const Config& config = model.config;
    Parameters<T>& p = parameters_;
    p.cutoff = config.cutoff;
    p.num_layers = config.num_layers;
    p.max_rank = config.max_rank;
    p.num_components = config.num_components();
    p.message_rank = config.message_rank;
    p.num_message_components = config.num_message_components();
    p.num_channels = config.num_channels;
    p.channel_stride = padded(config.num_channels, lanes);
    p.num_hidden = config.num_hidden;
    p.hidden_stride = padded(config.num_hidden, lanes);
    p.num_scalars = config.num_message_scalars;
    p.num_vectors = config.num_message_vectors;
    p.num_sent = config.num_sent();
    p.sent_stride = padded(p.num_sent, lanes);
    p.vector_stride = padded(p.num_vectors, lanes);
    p.width = config.exchange_width();
    p.num_paths = static_cast<int>(contraction_paths(config.max_rank).size());
    p.num_types = model.num_types();
    // Half a vector, but at least as many radial functions as the kernels work on at a time
    p.radial_padded = padded(config.num_message_radial, std::max(lanes / 2, 4));
    p.message_columns = padded(p.num_sent * p.radial_padded, lanes);
    p.side_columns = padded(p.num_vectors * p.radial_padded, lanes);
    p.product_stride = p.message_columns + 3 * p.side_columns;
    // Vectors may be read from the start of every component of h1.
    p.feature_stride = padded(
        std::max(p.width, p.num_scalars + 2 * p.num_vectors + padded(p.num_vectors, lanes)), lanes);
    active_.assign(size_of(p.num_types), 0);
    for (std::size_t n = 0; n < active_types.size(); ++n) {
        active_[size_of(active_types[n])] = static_cast<std::int32_t>(n);
    }
    p.active = active_.data();
    p.num_active = static_cast<int>(active_types.size());
    reference_energies_ = model.reference_energies;
    p.reference_energies = reference_energies_.data();
    if (!config.zbl) return;
    radii_ = model.zbl_radii;
    charges_.assign(model.atomic_numbers.begin(), model.atomic_numbers.end());
    p.zbl_radii = radii_.data();
    p.charges = charges_.data();
    for (const double z : charges_) stretches_.push_back(std::pow(z, 0.23) / 0.4685);
    p.stretches = stretches_.data();
    for (const int type : active_types) {
        p.zbl_reach = std::max(p.zbl_reach, 2 * radii_[size_of(type)]);
    }
}

template <class T>
void FoldedModel<T>::fold_mixing(const Model& model, int index, int lanes) {
    const Layer& from = model.layers[size_of(index)];
    const Parameters<T>& p = parameters_;
    LayerData<T>& layer = parameters_.layers[index];
    const int channels = p.num_channels, stride = p.channel_stride;
    layer.num_radial = model.config.num_radial_of(index);
    layer.radial_stride = padded(layer.num_radial, index > 0 ? std::max(lanes, 4) : lanes);
    // Half a vector where that is enough: tables of half the size.
    const bool half = index > 0 && lanes >= 8 && layer.num_radial <= lanes / 2 &&
                      !networks_;  // the gradient reads whole vectors
    if (half) layer.radial_stride = lanes / 2;
    const int kr = layer.num_radial;
    std::vector<double> rows[4];
    for (int l = 0; l <= p.max_rank; ++l) {
        // Rows in the file count k first; in the kernels q or p does, and k is padded.
        const auto append = [&](const std::vector<double>& weight, int rank, int senders,
                                int radial, int columns) {
            const std::size_t start = rows[l].size();
            rows[l].resize(start + size_of(columns) * size_of(channels));
            for (int q = 0; q < senders; ++q) {
                for (int k = 0; k < kr; ++k) {
                    const long row = (static_cast<long>(rank) * kr + k) * senders + q;
                    const long to = static_cast<long>(start) + (q * radial + k) * channels;
                    std::copy_n(weight.begin() + row * channels, channels, rows[l].begin() + to);
                }
            }
        };
        if (index == 0) append(from.mixing, l, 1, kr, kr);
        if (index > 0 && l <= p.message_rank) {
            append(from.mixing, l, p.num_sent, p.radial_padded, p.message_columns);
        }
        if (index > 0 && (l == 1 || l == 2)) {
            append(from.transverse_mixing, l - 1, p.num_vectors, p.radial_padded, p.side_columns);
        }
        layer.depth[l] = static_cast<int>(rows[l].size()) / channels;
        layer.depth_stride = std::max(layer.depth_stride, padded(layer.depth[l], lanes));
    }
    for (int l = 0; l <= p.max_rank; ++l) {
        layer.mixing[l] = place(rows[l].data(), layer.depth[l], channels, stride);
        layer.mixing_t[l] =
            place_transposed(rows[l].data(), layer.depth[l], channels, layer.depth_stride);
    }
    if (index > 0) layer.skip = place(from.skip.data(), p.max_rank + 1, channels, stride);
    if (index == 1) fold_lower(model);
    if (index + 1 == p.num_layers) return;
    layer.message = place(from.message.weight.data(), p.num_hidden, p.num_sent, p.sent_stride);
    layer.message_t =
        place_transposed(from.message.weight.data(), p.num_hidden, p.num_sent, p.hidden_stride);
    layer.vector = place(from.message.vector.data(), channels, p.num_vectors, p.vector_stride);
    layer.vector_t = place_transposed(from.message.vector.data(), channels, p.num_vectors, stride);
}

template <class T>
void FoldedModel<T>::fold_lower(const Model& model) {
    const std::vector<double>&mixing = model.layers[0].mixing, &skip = model.layers[1].skip;
    const Parameters<T>& p = parameters_;
    LayerData<T>& layer = parameters_.layers[1];
    const int channels = p.num_channels, radial = parameters_.layers[0].num_radial;
    for (int l = 0; l <= p.max_rank; ++l) {
        const auto first = mixing.begin() + static_cast<long>(l) * radial * channels;
        std::vector<double> both(first, first + static_cast<long>(radial) * channels);
        for (std::size_t n = 0; n < both.size(); ++n) {
            both[n] *= skip[size_of(l * channels) + n % size_of(channels)];
        }
        layer.lower[l] = place(both.data(), radial, channels, p.channel_stride);
        layer.lower_t[l] =
            place_transposed(both.data(), radial, channels, p.layers[0].depth_stride);
    }
}

template <class T>
void FoldedModel<T>::fold_contraction(const Model& model, int index) {
    const Contraction& from = model.layers[size_of(index)].contraction;
    const Parameters<T>& p = parameters_;
    LayerData<T>& layer = parameters_.layers[index];
    const int channels = p.num_channels, stride = p.channel_stride;
    layer.path_weight = place(from.weight.data(), p.num_types * p.num_paths, channels, stride);
    layer.contract_skip = place(from.skip.data(), p.max_rank + 1, channels, stride);
    for (int l = 0; l <= p.max_rank; ++l) {
        const double* matrix = from.mixing.data() + static_cast<long>(l) * channels * channels;
        layer.contract[l] = place(matrix, channels, channels, stride);
        layer.contract_t[l] = place_transposed(matrix, channels, channels, stride);
    }
}

template <class T>
void FoldedModel<T>::fold_readout(const Model& model, int index, int lanes) {
    const Layer& from = model.layers[size_of(index)];
    const Parameters<T>& p = parameters_;
    LayerData<T>& layer = parameters_.layers[index];
    const int channels = p.num_channels, stride = p.channel_stride, hidden = p.num_hidden;
    const int blocks = 3 * (p.max_rank + 1);
    // The rows of the hidden layer, scaled and padded like the invariants.
    std::vector<double> weight(size_of(blocks * stride) * size_of(hidden), 0.0);
    for (int block = 0; block < blocks; ++block) {
        for (int c = 0; c < channels; ++c) {
            const std::size_t row = size_of(block * channels + c);
            for (std::size_t h = 0; h < size_of(hidden); ++h) {
                weight[size_of(block * stride + c) * size_of(hidden) + h] =
                    from.hidden.scale[row] * from.hidden.weight[row * size_of(hidden) + h];
            }
        }
    }
    layer.hidden = place(weight.data(), blocks * stride, hidden, p.hidden_stride);
    layer.hidden_t = place_panels(weight.data(), blocks * stride, hidden, kPanel * lanes);
    layer.hidden_bias = place(from.hidden.bias.data(), p.num_types, hidden, p.hidden_stride);
    layer.readout = place(from.readout.weight.data(), hidden, hidden, p.hidden_stride);
    layer.readout_t = place_transposed(from.readout.weight.data(), hidden, hidden, p.hidden_stride);
    layer.readout_bias = place(from.readout.bias.data(), 1, hidden, p.hidden_stride);
    std::vector<double> output = from.readout.output;
    for (double& w : output) w *= model.energy_scale;
    layer.readout_output = place(output.data(), 1, hidden, p.hidden_stride);
}

template class FoldedModel<float>;
template class FoldedModel<double>;

}  // namespace camlip::cpu
