// SPDX-License-Identifier: MIT
#include "cpu/gradient_memory.hpp"

#include <algorithm>

namespace camlip::cpu {
namespace {

// out (rows, columns) += factor * from (rows, stride).
void add_matrix(const double* from, long rows, long columns, long stride, double* out,
                double factor = 1) {
    for (long r = 0; r < rows; ++r) {
        for (long c = 0; c < columns; ++c) out[r * columns + c] += factor * from[r * stride + c];
    }
}

}  // namespace

// Twice: with nullptr it counts.
template <class T>
void GradientMemory<T>::place(const Parameters<T>& p, T* start) {
    const long cs = p.channel_stride, hs = p.hidden_stride, ranks = p.max_rank + 1;
    long size = 0;
    const auto take = [&](T*& pointer, long count) {
        pointer = start ? start + size : nullptr;
        size += (count + 15) / 16 * 16;
    };
    for (int n = 0; n < p.num_layers; ++n) {
        const LayerData<T>& layer = p.layers[n];
        LayerGradient<T>& g = data.layers[n];
        data.begin[n] = size;
        for (int l = 0; l < ranks; ++l) {
            take(g.mixing[l], layer.depth[l] * cs);
            if (n == 1) take(g.lower[l], p.layers[0].depth[l] * cs);
            take(g.contract[l], p.num_channels * cs);
        }
        if (n > 1) take(g.skip, ranks * cs);
        take(g.path_weight, static_cast<long>(p.num_types) * p.num_paths * cs);
        take(g.contract_skip, ranks * cs);
        take(g.hidden, 3 * ranks * cs * hs);
        take(g.hidden_bias, p.num_types * hs);
        take(g.readout, p.num_hidden * hs);
        take(g.readout_bias, hs);
        take(g.readout_output, hs);
        if (n + 1 < p.num_layers) {
            take(g.message, static_cast<long>(p.num_hidden) * p.sent_stride);
            take(g.vector, static_cast<long>(p.num_channels) * p.vector_stride);
        }
        take(g.knots, static_cast<long>(p.num_active) * p.num_active * (p.num_intervals + 1L) * 3 *
                          layer.radial_stride);
        data.begin[n + 1] = size;
    }
}

template <class T>
void GradientMemory<T>::begin(const Parameters<T>& p) {
    if (arena_.bytes() == 0) {
        place(p, nullptr);
        num_totals_ = static_cast<std::size_t>(data.begin[p.num_layers]);
        arena_.add(data.sums, num_totals_);
        arena_.add(data.totals, num_totals_);
        arena_.add(data.weights, static_cast<std::size_t>(6 * kChunk));
        arena_.allocate();
        place(p, data.sums);
    }
    std::fill_n(data.sums, data.begin[p.num_layers], T(0));
    std::fill_n(data.totals, num_totals_, 0.0);
    for (int n = 0; n < p.num_layers; ++n) data.layers[n].blocks = 0;
}

template <class T>
void GradientMemory<T>::add(const GradientMemory& other) {
    for (std::size_t n = 0; n < num_totals_; ++n) data.totals[n] += other.data.totals[n];
}

template <class T>
void GradientMemory<T>::unfold(const Model& model, const Parameters<T>& p,
                               std::vector<Layer>& gradient) const {
    for (int n = 0; n < p.num_layers; ++n) {
        Layer& out = gradient[static_cast<std::size_t>(n)];
        unfold_moments(model, p, n, gradient);
        unfold_block(model, p, n, out);
    }
}

template <class T>
void GradientMemory<T>::unfold_moments(const Model& model, const Parameters<T>& p, int layer,
                                       std::vector<Layer>& gradient) const {
    const LayerGradient<T>& g = data.layers[layer];
    Layer& out = gradient[static_cast<std::size_t>(layer)];
    const long C = p.num_channels, cs = p.channel_stride, K = p.layers[layer].num_radial;
    const long Q = p.num_sent, P1 = p.num_vectors, padded = p.radial_padded;
    for (int l = 0; l <= p.max_rank; ++l) {
        const double* rows = total(g.mixing[l]);
        if (layer == 0) {
            add_matrix(rows, K, C, cs, &out.mixing[static_cast<std::size_t>(l * K * C)]);
            continue;
        }
        // Rows count q or p first, in the tensors k.
        const auto reorder = [&](long senders, double* to) {
            for (long q = 0; q < senders; ++q) {
                for (long k = 0; k < K; ++k) {
                    add_matrix(rows + (q * padded + k) * cs, 1, C, cs, to + (k * senders + q) * C);
                }
            }
        };
        if (l <= p.message_rank) {
            reorder(Q, &out.mixing[static_cast<std::size_t>(l * K * Q * C)]);
            rows += p.message_columns * cs;
        }
        if (l == 1 || l == 2) {
            reorder(P1, &out.transverse_mixing[static_cast<std::size_t>((l - 1) * K * P1 * C)]);
        }
    }
    if (layer > 1) add_matrix(total(g.skip), p.max_rank + 1, C, cs, out.skip.data());
    if (layer != 1) return;
    // lower = mixing * skip
    const std::vector<double>&mixing = model.layers[0].mixing, &skip = model.layers[1].skip;
    const long radial = p.layers[0].num_radial;
    for (long l = 0; l <= p.max_rank; ++l) {
        const double* lower = total(g.lower[l]);
        for (long k = 0; k < radial; ++k) {
            for (long c = 0; c < C; ++c) {
                const auto at = static_cast<std::size_t>((l * radial + k) * C + c);
                const auto of_skip = static_cast<std::size_t>(l * C + c);
                gradient[0].mixing[at] += lower[k * cs + c] * skip[of_skip];
                out.skip[of_skip] += lower[k * cs + c] * mixing[at];
            }
        }
    }
}

template <class T>
void GradientMemory<T>::unfold_block(const Model& model, const Parameters<T>& p, int layer,
                                     Layer& out) const {
    const LayerGradient<T>& g = data.layers[layer];
    const Layer& from = model.layers[static_cast<std::size_t>(layer)];
    const long C = p.num_channels, cs = p.channel_stride, H = p.num_hidden, hs = p.hidden_stride;
    const long ranks = p.max_rank + 1;
    if (p.num_paths > 0) {
        add_matrix(total(g.path_weight), static_cast<long>(p.num_types) * p.num_paths, C, cs,
                   out.contraction.weight.data());
    }
    for (long l = 0; l < ranks; ++l) {
        add_matrix(total(g.contract[l]), C, C, cs,
                   &out.contraction.mixing[static_cast<std::size_t>(l * C * C)]);
    }
    add_matrix(total(g.contract_skip), ranks, C, cs, out.contraction.skip.data());
    const double* hidden = total(g.hidden);
    for (long block = 0; block < 3 * ranks; ++block) {
        for (long c = 0; c < C; ++c) {
            const auto row = static_cast<std::size_t>(block * C + c);
            add_matrix(hidden + (block * cs + c) * hs, 1, H, hs,
                       &out.hidden.weight[row * static_cast<std::size_t>(H)],
                       from.hidden.scale[row]);
        }
    }
    add_matrix(total(g.hidden_bias), p.num_types, H, hs, out.hidden.bias.data());
    add_matrix(total(g.readout), H, H, hs, out.readout.weight.data());
    add_matrix(total(g.readout_bias), 1, H, hs, out.readout.bias.data());
    add_matrix(total(g.readout_output), 1, H, hs, out.readout.output.data(), model.energy_scale);
    if (layer + 1 == p.num_layers) return;
    add_matrix(total(g.message), H, p.num_sent, p.sent_stride, out.message.weight.data());
    add_matrix(total(g.vector), C, p.num_vectors, p.vector_stride, out.message.vector.data());
}

template class GradientMemory<float>;
template class GradientMemory<double>;

}  // namespace camlip::cpu
