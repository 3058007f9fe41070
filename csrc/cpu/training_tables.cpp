// SPDX-License-Identifier: MIT
#include "cpu/training_tables.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "cpu/radial_table.hpp"

namespace camlip::cpu {
namespace {

std::size_t size_of(long count) { return static_cast<std::size_t>(count); }

int padded(int size, int lanes) { return (size + lanes - 1) / lanes * lanes; }

template <class U>
void copy_rows(const double* from, int rows, int columns, int stride, U* to) {
    for (long r = 0; r < rows; ++r) {
        for (long c = 0; c < columns; ++c) {
            to[r * stride + c] = static_cast<U>(from[r * columns + c]);
        }
    }
}

template <class U>
void copy_transposed(const double* from, int rows, int columns, int stride, U* to) {
    for (long r = 0; r < rows; ++r) {
        for (long c = 0; c < columns; ++c) {
            to[c * stride + r] = static_cast<U>(from[r * columns + c]);
        }
    }
}

template <class U>
void add_rows(const U* from, int rows, int columns, int stride, double* to) {
    for (long r = 0; r < rows; ++r) {
        for (long c = 0; c < columns; ++c) to[r * columns + c] += from[r * stride + c];
    }
}

void add_to(const std::vector<double>& from, std::vector<double>& to) {
    for (std::size_t n = 0; n < to.size(); ++n) to[n] += from[n];
}

RadialNetwork zeros_like(const RadialNetwork& network) {
    const auto zeros = [](const std::vector<double>& like) {
        return std::vector<double>(like.size(), 0.0);
    };
    return {zeros(network.bessel_weight), zeros(network.pair_bias), zeros(network.hidden_weight),
            zeros(network.hidden_bias), zeros(network.output_weight)};
}

}  // namespace

int num_training_intervals(const Config& config, bool mixed) {
    // At the highest frequency, num_bessel pi / cutoff, 16 intervals span half a wave.  Trained
    // networks are less smooth than that: with half as many the forces of a water model are off by
    // 1e-4 of their size, which is 1e-3 of what is left of them in the loss.
    const int coarse = std::max(128, 16 * config.num_bessel);
    return mixed ? coarse : 4 * coarse;
}

template <class U>
KnotNetworks<U>::KnotNetworks(const Model& model, const Kernels<U>& kernels, int num_intervals,
                              int num_threads)
    : kernels_(kernels),
      num_types_(model.num_types()),
      num_bessel_(model.config.num_bessel),
      width_(model.config.radial_width),
      width_stride_(padded(width_, kernels.lanes)),
      num_knots_(num_intervals + 1),
      num_threads_(num_threads) {
    const long rows = num_bessel_, ws = width_stride_;
    layers_.resize(model.layers.size());
    for (std::size_t n = 0; n < layers_.size(); ++n) {
        LayerArrays& layer = layers_[n];
        layer.num_radial = model.config.num_radial_of(static_cast<int>(n));
        layer.stride = padded(layer.num_radial, kernels.lanes);
        most_radial_ = std::max(most_radial_, layer.stride);
        arena_.add(layer.bessel_weight, size_of(rows * ws));
        arena_.add(layer.pair_bias, size_of(num_types_ * num_types_ * ws));
        arena_.add(layer.hidden_weight, size_of(width_ * ws));
        arena_.add(layer.hidden_weight_t, size_of(width_ * ws));
        arena_.add(layer.hidden_bias, size_of(ws));
        arena_.add(layer.output_weight, size_of(static_cast<long>(width_) * layer.stride));
        arena_.add(layer.output_weight_t, size_of(layer.num_radial * ws));
    }
    arena_.allocate();
    const double norm = 1 / std::sqrt(model.config.average_num_neighbors);
    for (int first = 0; first < num_knots_; first += kKnotBatch) {
        const int count = std::min(kKnotBatch, num_knots_ - first);
        std::vector<U> basis(size_of(3 * count * rows)), factor(size_of(3 * count));
        for (int knot = 0; knot < count; ++knot) {
            const double x = static_cast<double>(first + knot) / num_intervals;
            double scale[3] = {1, 1.0 / num_intervals, 2.0 / num_intervals / num_intervals};
            double series[3];
            for (int n = 0; n < num_bessel_; ++n) {
                bessel_series(n + 1, x, 2, series);
                for (int i = 0; i < 3; ++i) {
                    basis[size_of((i * count + knot) * rows + n)] =
                        static_cast<U>(scale[i] * series[i]);
                }
            }
            envelope_series(x, 2, series);
            for (int i = 0; i < 3; ++i) {
                factor[size_of(i * count + knot)] = static_cast<U>(norm * scale[i] * series[i]);
            }
        }
        basis_.insert(basis_.end(), basis.begin(), basis.end());
        factor_.insert(factor_.end(), factor.begin(), factor.end());
    }
    load(model);
}

template <class U>
void KnotNetworks<U>::load(const Model& model) {
    for (std::size_t n = 0; n < layers_.size(); ++n) {
        const RadialNetwork& from = model.layers[n].radial;
        const LayerArrays& to = layers_[n];
        const int w = width_, ws = width_stride_, k = to.num_radial;
        copy_rows(from.bessel_weight.data(), num_bessel_, w, ws, to.bessel_weight);
        copy_rows(from.pair_bias.data(), num_types_ * num_types_, w, ws, to.pair_bias);
        copy_rows(from.hidden_weight.data(), w, w, ws, to.hidden_weight);
        copy_transposed(from.hidden_weight.data(), w, w, ws, to.hidden_weight_t);
        copy_rows(from.hidden_bias.data(), 1, w, ws, to.hidden_bias);
        copy_rows(from.output_weight.data(), w, k, to.stride, to.output_weight);
        copy_transposed(from.output_weight.data(), w, k, ws, to.output_weight_t);
    }
}

template <class U>
std::size_t KnotNetworks<U>::room() const {
    return size_of(3L * kKnotBatch * (4 * width_stride_ + 2 * most_radial_) + kernels_.lanes);
}

template <class U>
KnotJob<U> KnotNetworks<U>::job(int layer, int pair, int first, U* room) const {
    const LayerArrays& from = layers_[size_of(layer)];
    KnotJob<U> job{};
    job.count = std::min(kKnotBatch, num_knots_ - first);
    job.num_bessel = num_bessel_;
    job.width = width_;
    job.width_stride = width_stride_;
    job.num_radial = from.num_radial;
    job.radial_stride = from.stride;
    job.basis = basis_.data() + size_of(3L * first * num_bessel_);
    job.factor = factor_.data() + size_of(3L * first);
    job.bessel_weight = from.bessel_weight;
    job.pair_bias = from.pair_bias + size_of(static_cast<long>(pair) * width_stride_);
    job.hidden_weight = from.hidden_weight;
    job.hidden_weight_t = from.hidden_weight_t;
    job.hidden_bias = from.hidden_bias;
    job.output_weight = from.output_weight;
    job.output_weight_t = from.output_weight_t;
    const long size = 3L * kKnotBatch * width_stride_;
    job.first = room;
    job.second = room + size;
    job.active1 = room + 2 * size;
    job.active2 = room + 3 * size;
    job.output = room + 4 * size;
    job.knots = job.output + 3L * kKnotBatch * most_radial_;
    return job;
}

template <class U>
void KnotNetworks<U>::forward(int layer, int pair, U* knots) const {
    std::vector<U> memory(room());
    for (int first = 0; first < num_knots_; first += kKnotBatch) {
        KnotJob<U> batch = job(layer, pair, first, memory.data());
        batch.knots = knots + 3L * first * batch.radial_stride;
        kernels_.knots_forward(batch);
    }
}

template <class U>
void KnotNetworks<U>::backward(int layer, const std::vector<int>& active, const double* knots_bar,
                               int stride, RadialNetwork& gradient) const {
    const int num_active = static_cast<int>(active.size()), ws = width_stride_;
    const int batches = (num_knots_ + kKnotBatch - 1) / kKnotBatch;
    const int radial = layers_[size_of(layer)].num_radial, rs = layers_[size_of(layer)].stride;
    const long sums = static_cast<long>(num_bessel_ + width_ + 2) * ws + width_ * rs;
    // Sums of the threads, added in order: the same result every time.
    std::vector<RadialNetwork> others(size_of(num_threads_ - 1), zeros_like(gradient));
#pragma omp parallel num_threads(num_threads_)
    {
        const int thread = omp_get_thread_num();
        RadialNetwork& sum = thread == 0 ? gradient : others[size_of(thread - 1)];
        std::vector<U> memory(room()), bars(size_of(sums));
#pragma omp for schedule(static)
        for (int item = 0; item < num_active * num_active * batches; ++item) {
            const int at = item / batches, first = item % batches * kKnotBatch;
            const int pair =
                active[size_of(at / num_active)] * num_types_ + active[size_of(at % num_active)];
            KnotJob<U> batch = job(layer, pair, first, memory.data());
            const double* from =
                knots_bar + (at * static_cast<long>(num_knots_) + first) * 3 * stride;
            bool any = false;  // no edge is shorter than the atoms are wide
            for (long row = 0; row < 3L * batch.count; ++row) {
                for (long k = 0; k < rs; ++k) {
                    const double value = k < radial ? from[row * stride + k] : 0.0;
                    batch.knots[row * rs + k] = static_cast<U>(value);
                    any = any || value != 0;
                }
            }
            if (!any) continue;
            std::fill(bars.begin(), bars.end(), U(0));
            batch.bessel_weight_bar = bars.data();
            batch.hidden_weight_bar = batch.bessel_weight_bar + static_cast<long>(num_bessel_) * ws;
            batch.pair_bias_bar = batch.hidden_weight_bar + static_cast<long>(width_) * ws;
            batch.hidden_bias_bar = batch.pair_bias_bar + ws;
            batch.output_weight_bar = batch.hidden_bias_bar + ws;
            kernels_.knots_backward(batch);
            add_rows(batch.bessel_weight_bar, num_bessel_, width_, ws, sum.bessel_weight.data());
            add_rows(batch.pair_bias_bar, 1, width_, ws,
                     sum.pair_bias.data() + static_cast<long>(pair) * width_);
            add_rows(batch.hidden_weight_bar, width_, width_, ws, sum.hidden_weight.data());
            add_rows(batch.hidden_bias_bar, 1, width_, ws, sum.hidden_bias.data());
            add_rows(batch.output_weight_bar, width_, radial, rs, sum.output_weight.data());
        }
    }
    for (const RadialNetwork& other : others) {
        add_to(other.bessel_weight, gradient.bessel_weight);
        add_to(other.pair_bias, gradient.pair_bias);
        add_to(other.hidden_weight, gradient.hidden_weight);
        add_to(other.hidden_bias, gradient.hidden_bias);
        add_to(other.output_weight, gradient.output_weight);
    }
}

template <class T>
void fill_training_table(int num_intervals, int num_radial, int knots_stride, const double* knots,
                         int stride, T* table) {
    const long ks = knots_stride;
    for (int n = 0; n < num_intervals; ++n, knots += 3 * ks, table += 6 * stride) {
        for (int k = 0; k < num_radial; ++k) {
            const double *left = knots + k, *right = left + 3 * ks;
            const double d0 = left[ks], d1 = right[ks], s0 = left[2 * ks], s1 = right[2 * ks];
            const double step = right[0] - left[0];
            T* c = table + k;
            c[0] = static_cast<T>(left[0]);
            c[stride] = static_cast<T>(d0);
            c[2 * stride] = static_cast<T>(0.5 * s0);
            c[3 * stride] = static_cast<T>(10 * step - 6 * d0 - 4 * d1 - 1.5 * s0 + 0.5 * s1);
            c[4 * stride] = static_cast<T>(-15 * step + 8 * d0 + 7 * d1 + 1.5 * s0 - s1);
            c[5 * stride] = static_cast<T>(6 * step - 3 * d0 - 3 * d1 - 0.5 * s0 + 0.5 * s1);
        }
    }
}

template class KnotNetworks<float>;
template class KnotNetworks<double>;
template void fill_training_table(int, int, int, const double*, int, float*);
template void fill_training_table(int, int, int, const double*, int, double*);

}  // namespace camlip::cpu
