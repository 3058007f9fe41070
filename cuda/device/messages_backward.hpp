// SPDX-License-Identifier: MIT
// Adjoint of the message moments, eqs. (10')-(12').  One atom per block.
#ifndef CAMLIP_CUDA_DEVICE_MESSAGES_BACKWARD_HPP
#define CAMLIP_CUDA_DEVICE_MESSAGES_BACKWARD_HPP

#include "device/messages.hpp"

namespace camlip::cuda {

// A thread owns an edge: everything of it stands in its column.
template <class T>
struct MessagesBackward {
    static constexpr int kMaxThreads = kWarp;
    static constexpr int kMinBlocks = sizeof(T) == 4 ? 16 : 8;
    Geometry geometry;
    Sizes sizes;
    LayerData<T> layer;
    std::int64_t first, atoms;
    const T* features;           // (N + G, width)
    const T* sums_bar;           // (atoms, num_sums)
    std::int64_t* features_bar;  // (N + G, width), fixed point
    FixedPoint<T> features_fixed;
    Gradients<T> gradients;

    struct Shared {
        Chunk<T> chunk;
        T* bar;  // as in sums_bar
        T *basis, *basis_bar, *radial, *slopes, *radial_bar, *features, *features_bar;
        CAMLIP_SHARED_CODE Shared(Carver& carver, const MessagesBackward& k)
            : chunk(carver),
              bar(carver.take<T>(k.layer.num_sums)),
              basis(carver.take<T>(k.sizes.message_components * kColumn)),
              basis_bar(carver.take<T>(k.sizes.message_components * kColumn)),
              radial(carver.take<T>(k.layer.radial * kColumn)),
              slopes(carver.take<T>(k.layer.radial * kColumn)),
              radial_bar(carver.take<T>(k.layer.radial * kColumn)),
              features(carver.take<T>(k.sizes.width * kColumn)),
              features_bar(carver.take<T>(k.sizes.width * kColumn)) {}
    };

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        Carver carver(block.shared());
        const Shared s(carver, *this);
        const int lane = block.thread(), radial = layer.radial, width = sizes.width;
        GradientSums sums;
        for (std::int64_t atom = block.index(); atom < atoms; atom += block.count()) {
            const std::int64_t i = first + atom;
            if (geometry.types[i] < 0) continue;
            block.sync();
            for (int n = 4 * lane; n < layer.num_sums; n += 4 * kWarp) {
                store4(s.bar + n, load4(sums_bar + atom * layer.num_sums + n));
            }
            const std::int64_t end = geometry.offsets[i + 1];
            for (std::int64_t at = geometry.offsets[i]; at < end; at += kChunk) {
                block.sync();
                stage_edges(block, geometry, Repulsion{}, s.chunk, i, at, end, sizes.message_rank,
                            s.basis, kColumn, 1);
                block.sync();
                const int count = *s.chunk.count;
                for (int n = lane; n < count * radial; n += kWarp) {
                    const int e = n / radial, k = n % radial;
                    const T* c = layer.table +
                                 std::int64_t{s.chunk.interval[e]} * kTableTerms<T> * radial + k;
                    radial_jet(c, radial, s.chunk.fraction[e], s.radial[k * kColumn + e],
                               s.slopes[k * kColumn + e]);
                }
                for (int n = lane; n < count * width; n += kWarp) {
                    const int e = n / width, c = n % width;
                    s.features[c * kColumn + e] =
                        features[std::int64_t{s.chunk.neighbor[e]} * width + c];
                }
                block.sync();
                if (lane < count) adjoint_of_edge(block, s, lane, sums);
                block.sync();
                for (int n = lane; n < count * width; n += kWarp) {
                    const int e = n / width, c = n % width;
                    features_fixed.add(block, features_bar,
                                       std::int64_t{s.chunk.neighbor[e]} * width + c,
                                       s.features_bar[c * kColumn + e]);
                }
            }
            finish_center(block, gradients, sums, i);
        }
        finish_virial(block, gradients, sums);
    }

    template <class Block>
    CAMLIP_DEVICE void adjoint_of_edge(Block& block, const Shared& s, int e,
                                       GradientSums& sums) const {
        const T u[3] = {s.chunk.direction[0][e], s.chunk.direction[1][e], s.chunk.direction[2][e]};
        T across[3] = {}, f[3], along = 0;
        for (int m = 0; m < sizes.message_components; ++m) s.basis_bar[m * kColumn + e] = 0;
        for (int k = 0; k < layer.radial; ++k) s.radial_bar[k * kColumn + e] = 0;
        for (int c = 0; c < sizes.width; ++c) s.features_bar[c * kColumn + e] = 0;
        for (int q = 0; q < sizes.sent; q += 4) adjoint_of_sent(s, e, q, u, across);
        for (int p = 0; p < sizes.vectors; ++p) adjoint_of_sides(s, e, p, u, across);
        for (int k = 0; k < layer.radial; ++k) {
            along += s.slopes[k * kColumn + e] * s.radial_bar[k * kColumn + e];
        }
        basis_adjoint(u[0], u[1], u[2], sizes.message_rank, s.basis_bar + e, kColumn, across);
        along *= static_cast<T>(geometry.scale);
        edge_gradient(u, s.chunk.length[e], along, across, f);
        add_gradient(block, gradients, sums, s.chunk.neighbor[e], u, s.chunk.length[e], f);
    }

    CAMLIP_DEVICE void vector_of(const T* features, int e, int p, T* v) const {
        for (int a = 0; a < 3; ++a) {
            v[a] = features[(sizes.scalars + a * sizes.vectors + p) * kColumn + e];
        }
    }

    // Four of the sent features: t_k = sum_q M_bar s_q, then g_bar_k += t_k Y_m,
    // y_bar_m += t_k g_k, s_bar_q += M_bar g_k Y_m.
    CAMLIP_DEVICE void adjoint_of_sent(const Shared& s, int e, int first_q, const T* u,
                                       T* across) const {
        T sent[4] = {}, sent_bar[4] = {}, v[3];
        CAMLIP_UNROLL
        for (int x = 0; x < 4; ++x) {
            const int q = first_q + x;
            if (q < sizes.scalars) {
                sent[x] = s.features[q * kColumn + e];
            } else if (q < sizes.sent) {
                vector_of(s.features, e, q - sizes.scalars, v);
                sent[x] = axial(v, u);
            }
        }
        for (int k = 0; k < layer.radial; k += 8) {
            T g[8], g_bar[8] = {};
            CAMLIP_UNROLL
            for (int n = 0; n < 8; ++n) g[n] = s.radial[(k + n) * kColumn + e];
            for (int m = 0; m < sizes.message_components; ++m) {
                const T* bar = sums_of(layer, s.bar, m) + first_q * layer.radial + k;
                const T y = s.basis[m * kColumn + e];
                T t[8] = {}, y_bar = 0;
                CAMLIP_UNROLL
                for (int x = 0; x < 4; ++x) {
                    const Four<T> a = load4(bar + x * layer.radial);
                    const Four<T> b = load4(bar + x * layer.radial + 4);
                    T inner = 0;
                    CAMLIP_UNROLL
                    for (int n = 0; n < 4; ++n) {
                        t[n] += a.v[n] * sent[x];
                        t[4 + n] += b.v[n] * sent[x];
                        inner += a.v[n] * g[n] + b.v[n] * g[4 + n];
                    }
                    sent_bar[x] += y * inner;
                }
                CAMLIP_UNROLL
                for (int n = 0; n < 8; ++n) {
                    g_bar[n] += t[n] * y;
                    y_bar += t[n] * g[n];
                }
                s.basis_bar[m * kColumn + e] += y_bar;
            }
            CAMLIP_UNROLL
            for (int n = 0; n < 8; ++n) s.radial_bar[(k + n) * kColumn + e] += g_bar[n];
        }
        CAMLIP_UNROLL
        for (int x = 0; x < 4; ++x) {
            const int q = first_q + x;
            if (q < sizes.scalars) {
                s.features_bar[q * kColumn + e] = sent_bar[x];
            } else if (q < sizes.sent) {
                vector_of(s.features, e, q - sizes.scalars, v);
                for (int a = 0; a < 3; ++a) {
                    s.features_bar[(q + a * sizes.vectors) * kColumn + e] += sent_bar[x] * u[a];
                    across[a] += sent_bar[x] * v[a];
                }
            }
        }
    }

    CAMLIP_DEVICE void adjoint_of_sides(const Shared& s, int e, int p, const T* u,
                                        T* across) const {
        T v[3], side[8] = {}, side_bar[8] = {};
        vector_of(s.features, e, p, v);
        for (int a = 0; a < 3; ++a) side[a] = v[a];
        const bool rank2 = sizes.max_rank >= 2;
        if (rank2) couple_vectors(v, u, side + 3);
        for (int k = 0; k < layer.radial; k += 8) {
            T g[8], g_bar[8] = {};
            CAMLIP_UNROLL
            for (int n = 0; n < 8; ++n) g[n] = s.radial[(k + n) * kColumn + e];
            CAMLIP_UNROLL
            for (int x = 0; x < 8; ++x) {
                if (x >= 3 && !rank2) break;
                const T* bar = sums_of(layer, s.bar, 1 + x) + main_depth(sizes, layer, 1 + x) +
                               p * layer.radial + k;
                const Four<T> a = load4(bar), b = load4(bar + 4);
                CAMLIP_UNROLL
                for (int n = 0; n < 4; ++n) {
                    g_bar[n] += a.v[n] * side[x];
                    g_bar[4 + n] += b.v[n] * side[x];
                    side_bar[x] += a.v[n] * g[n] + b.v[n] * g[4 + n];
                }
            }
            CAMLIP_UNROLL
            for (int n = 0; n < 8; ++n) s.radial_bar[(k + n) * kColumn + e] += g_bar[n];
        }
        if (rank2) couple_vectors_adjoint(v, u, side_bar + 3, side_bar, across);
        for (int a = 0; a < 3; ++a) {
            s.features_bar[(sizes.scalars + a * sizes.vectors + p) * kColumn + e] += side_bar[a];
        }
    }

    std::size_t shared_bytes() const {
        Carver carver(nullptr);
        const Shared s(carver, *this);
        return carver.bytes();
    }
};

}  // namespace camlip::cuda

#endif
