// SPDX-License-Identifier: MIT
// Many small systems in one launch: lists of all pairs within a system and its images, and sums of
// each system.
#ifndef CAMLIP_CUDA_DEVICE_SYSTEMS_HPP
#define CAMLIP_CUDA_DEVICE_SYSTEMS_HPP

#include "device/search.hpp"

namespace camlip::cuda {

// The image of each atom in the first cell of its system.
struct PlaceSystems {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 1;
    std::int64_t atoms;
    const double* positions;
    const std::int32_t* system_of;  // (atoms)
    const Grid* grids;              // (systems), of one bin each
    SortedAtom* placed;
    std::uint32_t* flags;  // [0] an atom is too far away

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        for (std::int64_t i = std::int64_t{block.index()} * block.threads() + block.thread();
             i < atoms; i += std::int64_t{block.count()} * block.threads()) {
            const Placed p = place_atom(grids[system_of[i]], positions + 3 * i);
            if (p.far) *flags = 1;
            for (int a = 0; a < 3; ++a) placed[i].position[a] = p.position[a];
            placed[i].index = static_cast<std::int32_t>(i);
            placed[i].home = p.home;
        }
    }
};

// A warp per atom: all atoms of its system, all images within reach.  Counts or lists.
struct SystemPairs {
    static constexpr int kMaxThreads = 128;
    static constexpr int kMinBlocks = 1;
    std::int64_t atoms;
    const std::int32_t* system_of;
    const std::int64_t* starts;  // (systems + 1)
    const Grid* grids;
    const SortedAtom* placed;
    std::int64_t* offsets;  // (atoms + 1): receives counts at i + 1, or is read
    ListTarget target;

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        const int warps = block.threads() / kWarp;
        for (std::int64_t i = std::int64_t{block.index()} * warps + block.thread() / kWarp;
             i < atoms; i += std::int64_t{block.count()} * warps) {
            const std::int32_t system = system_of[i];
            const Grid& grid = grids[system];
            const std::int64_t first = starts[system], end = starts[system + 1];
            const int x = grid.reach[0], y = grid.reach[1], z = grid.reach[2];
            std::int64_t at = target.indices ? offsets[i] : 0;
            int shift[3];
            for (shift[0] = -x; shift[0] <= x; ++shift[0])
                for (shift[1] = -y; shift[1] <= y; ++shift[1])
                    for (shift[2] = -z; shift[2] <= z; ++shift[2])
                        at += visit(block, grid, placed[i], placed, first, end, shift, target, at);
            if (!target.indices && block.thread() % kWarp == 0) offsets[i + 1] = at;
        }
    }
};

// A warp per system: its energy, and the virial as the sum of those of its atoms.  In a fixed order.
template <class T>
struct SumSystems {
    static constexpr int kMaxThreads = 128;
    static constexpr int kMinBlocks = 1;
    std::int64_t systems;
    const std::int64_t* starts;
    const double* atomic_energies;
    const std::int64_t* centroid_virial;  // fixed point, or null
    double scale;
    double* energies;  // (systems)
    double* virials;   // (systems, 3, 3)

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        const int warps = block.threads() / kWarp, lane = block.thread() % kWarp;
        for (std::int64_t s = std::int64_t{block.index()} * warps + block.thread() / kWarp;
             s < systems; s += std::int64_t{block.count()} * warps) {
            const std::int64_t end = starts[s + 1];
            double energy = 0;
            for (std::int64_t i = starts[s] + lane; i < end; i += kWarp)
                energy += atomic_energies[i];
            energy = sum_warp(block, energy);
            if (lane == 0) energies[s] = energy;
            for (int n = 0; centroid_virial && n < 9; ++n) {
                double sum = 0;
                for (std::int64_t i = starts[s] + lane; i < end; i += kWarp)
                    sum += FixedPoint<T>::value(centroid_virial, 9 * i + n, scale);
                sum = sum_warp(block, sum);
                if (lane == 0) virials[9 * s + n] = sum;
            }
        }
    }
};

}  // namespace camlip::cuda

#endif
