// SPDX-License-Identifier: MIT
// Edges of one atom, up to 32 at a time: neighbors within the cutoff and their geometry.
#ifndef CAMLIP_CUDA_DEVICE_EDGES_HPP
#define CAMLIP_CUDA_DEVICE_EDGES_HPP

#include "device/basis.hpp"
#include "device/cells.hpp"
#include "device/model.hpp"

namespace camlip::cuda {

constexpr int kChunk = kWarp;
constexpr int kColumn = kChunk + 1;  // stride of arrays (rows, edge): no two lanes share a bank

// A chunk in shared memory, edge = index.
template <class T>
struct Chunk {
    int* count;
    std::int32_t* neighbor;
    std::int32_t* interval;  // row of the radial tables: pair * intervals + interval
    T* fraction;             // place within it
    T* length;
    T* slope;  // of the pair repulsion
    T* direction[3];

    CAMLIP_SHARED_CODE explicit Chunk(Carver& carver)
        : count(carver.take<int>(1)),
          neighbor(carver.take<std::int32_t>(kChunk)),
          interval(carver.take<std::int32_t>(kChunk)),
          fraction(carver.take<T>(kChunk)),
          length(carver.take<T>(kChunk)),
          slope(carver.take<T>(kChunk)),
          direction{carver.take<T>(kChunk), carver.take<T>(kChunk), carver.take<T>(kChunk)} {}
};

// What one lane found: the energy of the pair repulsion of its edge.
struct Found {
    double energy = 0;
};

// The first warp turns list entries [first, end), at most 32, of atom i into a chunk, in their
// order.  Y_m of edge e goes to basis[m * m_stride + e * e_stride].  Differences of positions and
// the place in the table are taken in double: a rounding error of r in float would be magnified
// by the slope of the radial functions.
template <class T, class Block>
CAMLIP_DEVICE Found stage_edges(Block& block, const Geometry& g, const Repulsion& repulsion,
                                const Chunk<T>& chunk, std::int64_t i, std::int64_t first,
                                std::int64_t end, int max_rank, T* basis, int m_stride,
                                int e_stride) {
    Found found;
    const int lane = block.thread();
    const std::int32_t type = g.types[i];
    bool keep = false;
    std::int32_t j = 0, other = 0;
    double d[3] = {1, 0, 0}, square = 1;
    if (first + lane < end) {
        j = g.indices[first + lane];
        other = g.types[j];
        for (int a = 0; a < 3; ++a)
            d[a] = g.positions[3 * std::int64_t{j} + a] - g.positions[3 * i + a];
        if (g.shifts) {
            const std::int32_t shift = g.shifts[first + lane];
            const double* rows = g.frames[g.system_of ? g.system_of[i] : 0].rows;
            for (int k = 0; k < 3; ++k) {
                const int n = shift_of(shift, k);
                for (int a = 0; a < 3; ++a) d[a] += n * rows[3 * k + a];
            }
        }
        square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
        keep = square < g.square && other >= 0;
    }
    const std::uint32_t kept = block.ballot(keep);
    const int slot = count_bits(kept & ((1u << lane) - 1));
    if (lane == 0) *chunk.count = count_bits(kept);
    if (!keep) return found;
    const double r = sqrt(square);
    const double x = r * g.scale;
    int interval = static_cast<int>(x);
    if (interval >= g.num_intervals) interval = g.num_intervals - 1;
    const int pair = g.active[type] * g.num_active + g.active[other];
    chunk.neighbor[slot] = j;
    chunk.interval[slot] = pair * g.num_intervals + interval;
    chunk.fraction[slot] = static_cast<T>(x - interval);
    chunk.length[slot] = static_cast<T>(r);
    const double inverse = 1 / r;
    T u[3];
    for (int a = 0; a < 3; ++a) {
        u[a] = static_cast<T>(d[a] * inverse);
        chunk.direction[a][slot] = u[a];
    }
    basis_of(u[0], u[1], u[2], max_rank, basis + slot * e_stride, m_stride);
    double slope = 0;
    if (repulsion.radii) {
        const double reach = repulsion.radii[type] + repulsion.radii[other];
        if (r < reach) {
            zbl_pair(r, inverse, repulsion.charges[type] * repulsion.charges[other],
                     repulsion.stretches[type] + repulsion.stretches[other], reach, found.energy,
                     slope);
        }
    }
    chunk.slope[slot] = static_cast<T>(slope);
    return found;
}

// Whether atom i is too far from where the list knows it.
CAMLIP_DEVICE void check_moved(const Geometry& g, std::int64_t i) {
    const Frame& f = *g.frames;
    const double* b = g.built + 3 * i;
    double square = 0;
    for (int a = 0; a < 3; ++a) {
        const double d = g.positions[3 * i + a] - b[0] * f.deformation[a] -
                         b[1] * f.deformation[3 + a] - b[2] * f.deformation[6 + a];
        square += d * d;
    }
    if (!(square <= f.most_moved)) *g.moved = 1;
}

// Gradients of edges, to forces and virials with the signs of docs/conventions.md.
template <class T>
struct Gradients {
    std::int64_t* forces;           // (N + G, 3) fixed point, or null
    std::int64_t* centroid_virial;  // (N + G, 3, 3) fixed point, or null
    double* slots;                  // (blocks, kSlot), or null
    FixedPoint<T> fixed;
};

// Of one thread: the sums that it adds up before it tells.
struct GradientSums {
    double center[3] = {};
    double virial[9] = {};
};

template <class T, class Block>
CAMLIP_DEVICE void add_gradient(Block& block, const Gradients<T>& out, GradientSums& sums,
                                std::int64_t j, const T* u, T length, const T* f) {
    if (out.forces) {
        for (int a = 0; a < 3; ++a) {
            sums.center[a] += f[a];
            out.fixed.add(block, out.forces, 3 * j + a, -static_cast<double>(f[a]));
        }
    }
    if (!out.slots) return;
    for (int a = 0; a < 3; ++a) {
        const double r = static_cast<double>(u[a]) * length;
        for (int b = 0; b < 3; ++b) {
            const double w = -r * f[b];
            sums.virial[3 * a + b] += w;
            if (out.centroid_virial) {
                out.fixed.add(block, out.centroid_virial, 9 * j + 3 * a + b, w);
            }
        }
    }
}

// The whole warp: what the center gets of its edges.
template <class T, class Block>
CAMLIP_DEVICE void finish_center(Block& block, const Gradients<T>& out, GradientSums& sums,
                                 std::int64_t i) {
    if (!out.forces) return;
    for (int a = 0; a < 3; ++a) {
        const double total = sum_warp(block, sums.center[a]);
        if (block.thread() == 0) out.fixed.add(block, out.forces, 3 * i + a, total);
        sums.center[a] = 0;
    }
}

template <class T, class Block>
CAMLIP_DEVICE void finish_virial(Block& block, const Gradients<T>& out, GradientSums& sums) {
    if (!out.slots) return;
    for (int n = 0; n < 9; ++n) {
        const double total = sum_warp(block, sums.virial[n]);
        if (block.thread() == 0) out.slots[block.index() * kSlot + 1 + n] += total;
    }
}

}  // namespace camlip::cuda

#endif
