// SPDX-License-Identifier: MIT
// Layer 0: moments a[m, k] = sum over edges of Y_m(u) g_k(r) (3), and their adjoint (3').
// One atom per block.
#ifndef CAMLIP_CUDA_DEVICE_MOMENTS_HPP
#define CAMLIP_CUDA_DEVICE_MOMENTS_HPP

#include "device/edges.hpp"

namespace camlip::cuda {

// A thread owns a tile of 2 components and 4 radial functions; edges are read from shared memory.
template <class T>
struct MomentsForward {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 2;
    Geometry geometry;
    Repulsion repulsion;
    Sizes sizes;
    const T* table;
    int radial;
    std::int64_t first, atoms;  // of the tile
    T* sums;                    // (atoms, components, radial)
    double* atomic_energies;    // (N), or null
    double* slots;

    CAMLIP_SHARED_CODE int rows() const { return (sizes.components + 1) / 2 * 2; }
    CAMLIP_SHARED_CODE int tiles() const { return rows() / 2 * (radial / 4); }

    struct Shared {
        Chunk<T> chunk;
        int basis_stride;
        T *basis, *radial;  // (edge, m), (edge, k)
        CAMLIP_SHARED_CODE Shared(Carver& carver, const MomentsForward& k)
            : chunk(carver),
              basis_stride(k.rows() + 2),
              basis(carver.take<T>(kChunk * basis_stride)),
              radial(carver.take<T>(kChunk * k.radial)) {}
    };

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        Carver carver(block.shared());
        const Shared s(carver, *this);
        const int thread = block.thread(), threads = block.threads(), columns = radial / 4;
        for (int n = thread; n < kChunk * s.basis_stride; n += threads) s.basis[n] = 0;
        double all_energy = 0;
        for (std::int64_t atom = block.index(); atom < atoms; atom += block.count()) {
            const std::int64_t i = first + atom;
            const std::int64_t begin = geometry.offsets[i];
            const std::int64_t end = geometry.types[i] < 0 ? begin : geometry.offsets[i + 1];
            if (geometry.built && thread == 0) check_moved(geometry, i);
            double energy = 0;
            for (int pass = 0; pass < tiles(); pass += threads) {
                const int tile = pass + thread;
                const int m = tile / columns * 2, k = tile % columns * 4;
                T acc[2][4] = {};
                for (std::int64_t at = begin; at < end; at += kChunk) {
                    block.sync();
                    if (thread < kWarp) {
                        const Found found =
                            stage_edges(block, geometry, repulsion, s.chunk, i, at, end,
                                        sizes.max_rank, s.basis, 1, s.basis_stride);
                        if (pass == 0) energy += found.energy;
                    }
                    block.sync();
                    const int count = *s.chunk.count;
                    for (int n = thread; n < count * radial; n += threads) {
                        const int e = n / radial;
                        const T* row = table +
                                       std::int64_t{s.chunk.interval[e]} * kTableTerms<T> * radial +
                                       n % radial;
                        s.radial[n] = radial_value(row, radial, s.chunk.fraction[e]);
                    }
                    block.sync();
                    if (tile < tiles()) {
                        for (int e = 0; e < count; ++e) {
                            const T y0 = s.basis[e * s.basis_stride + m];
                            const T y1 = s.basis[e * s.basis_stride + m + 1];
                            const Four<T> g = load4(s.radial + e * radial + k);
                            CAMLIP_UNROLL
                            for (int x = 0; x < 4; ++x) {
                                acc[0][x] += y0 * g.v[x];
                                acc[1][x] += y1 * g.v[x];
                            }
                        }
                    }
                }
                if (tile < tiles()) {
                    T* out = sums + (atom * sizes.components + m) * radial + k;
                    CAMLIP_UNROLL
                    for (int n = 0; n < 2; ++n) {
                        if (m + n >= sizes.components) break;
                        store4(out + n * radial,
                               Four<T>{{acc[n][0], acc[n][1], acc[n][2], acc[n][3]}});
                    }
                }
            }
            if (repulsion.radii && thread < kWarp) {
                energy = sum_warp(block, energy);
                if (thread == 0 && atomic_energies) atomic_energies[i] += energy;
                all_energy += energy;
            }
        }
        if (repulsion.radii && thread == 0) slots[block.index() * kSlot] += all_energy;
    }

    std::size_t shared_bytes() const {
        Carver carver(nullptr);
        const Shared s(carver, *this);
        return carver.bytes();
    }
};

// A thread owns an edge: p_k = sum_m Y_m a_bar, y_bar_m = sum_k g_k a_bar, all in its column.
template <class T>
struct MomentsBackward {
    static constexpr int kMaxThreads = kWarp;
    static constexpr int kMinBlocks = 16;
    Geometry geometry;
    Repulsion repulsion;
    Sizes sizes;
    const T* table;
    int radial;
    std::int64_t first, atoms;
    const T* sums_bar;  // (atoms, components, radial)
    Gradients<T> gradients;

    struct Shared {
        Chunk<T> chunk;
        T* bar;                                  // (m, k)
        T *basis, *basis_bar, *radial, *slopes;  // (m or k, edge)
        CAMLIP_SHARED_CODE Shared(Carver& carver, const MomentsBackward& k)
            : chunk(carver),
              bar(carver.take<T>(k.sizes.components * k.radial)),
              basis(carver.take<T>(k.sizes.components * kColumn)),
              basis_bar(carver.take<T>(k.sizes.components * kColumn)),
              radial(carver.take<T>(k.radial * kColumn)),
              slopes(carver.take<T>(k.radial * kColumn)) {}
    };

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        Carver carver(block.shared());
        const Shared s(carver, *this);
        const int lane = block.thread(), components = sizes.components;
        const T scale = static_cast<T>(geometry.scale);
        GradientSums sums;
        for (std::int64_t atom = block.index(); atom < atoms; atom += block.count()) {
            const std::int64_t i = first + atom;
            if (geometry.types[i] < 0) continue;
            block.sync();
            for (int n = 4 * lane; n < components * radial; n += 4 * kWarp) {
                store4(s.bar + n, load4(sums_bar + atom * components * radial + n));
            }
            const std::int64_t end = geometry.offsets[i + 1];
            for (std::int64_t at = geometry.offsets[i]; at < end; at += kChunk) {
                block.sync();
                stage_edges(block, geometry, repulsion, s.chunk, i, at, end, sizes.max_rank,
                            s.basis, kColumn, 1);
                block.sync();
                const int count = *s.chunk.count;
                for (int n = lane; n < count * radial; n += kWarp) {
                    const int e = n / radial, k = n % radial;
                    const T* row =
                        table + std::int64_t{s.chunk.interval[e]} * kTableTerms<T> * radial + k;
                    radial_jet(row, radial, s.chunk.fraction[e], s.radial[k * kColumn + e],
                               s.slopes[k * kColumn + e]);
                }
                block.sync();
                if (lane < count) adjoint_of_edge(block, s, lane, scale, sums);
            }
            finish_center(block, gradients, sums, i);
        }
        finish_virial(block, gradients, sums);
    }

    template <class Block>
    CAMLIP_DEVICE void adjoint_of_edge(Block& block, const Shared& s, int e, T scale,
                                       GradientSums& sums) const {
        for (int m = 0; m < sizes.components; ++m) s.basis_bar[m * kColumn + e] = 0;
        T along = 0;
        for (int k = 0; k < radial; k += 8) {
            T g[8], slope[8];
            CAMLIP_UNROLL
            for (int x = 0; x < 8; ++x) {
                g[x] = s.radial[(k + x) * kColumn + e];
                slope[x] = s.slopes[(k + x) * kColumn + e];
            }
            for (int m = 0; m < sizes.components; ++m) {
                const Four<T> a = load4(s.bar + m * radial + k);
                const Four<T> b = load4(s.bar + m * radial + k + 4);
                T value = 0, derivative = 0;
                CAMLIP_UNROLL
                for (int x = 0; x < 4; ++x) {
                    value += g[x] * a.v[x] + g[4 + x] * b.v[x];
                    derivative += slope[x] * a.v[x] + slope[4 + x] * b.v[x];
                }
                s.basis_bar[m * kColumn + e] += value;
                along += derivative * s.basis[m * kColumn + e];
            }
        }
        const T u[3] = {s.chunk.direction[0][e], s.chunk.direction[1][e], s.chunk.direction[2][e]};
        T across[3] = {}, f[3];
        basis_adjoint(u[0], u[1], u[2], sizes.max_rank, s.basis_bar + e, kColumn, across);
        along = along * scale + s.chunk.slope[e];
        edge_gradient(u, s.chunk.length[e], along, across, f);
        add_gradient(block, gradients, sums, s.chunk.neighbor[e], u, s.chunk.length[e], f);
    }

    std::size_t shared_bytes() const {
        Carver carver(nullptr);
        const Shared s(carver, *this);
        return carver.bytes();
    }
};

}  // namespace camlip::cuda

#endif
