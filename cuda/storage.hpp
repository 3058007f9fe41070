// SPDX-License-Identifier: MIT
// The memory of a device backend: what it holds for every atom, and a workspace for a tile.
#ifndef CAMLIP_CUDA_STORAGE_HPP
#define CAMLIP_CUDA_STORAGE_HPP

#include <algorithm>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "device/model.hpp"
#include "device_array.hpp"
#include "errors.hpp"

namespace camlip::cuda {

struct Limits {
    std::int64_t tile = 32768;                  // atoms of a tile, at most
    std::int64_t smallest_tile = 1024;          // where memory is short
    int all_pairs = 256;  // atoms of a whole system whose list looks at all pairs
    std::size_t preferred_shared = 112 * 1024;  // of a block of atoms: two fit on an H100
};

// What decides the sizes of everything.
struct Plan {
    std::int64_t owned = 0, total = 0, edges = 0;
    std::int64_t exchanged = 0;  // rows, at most, one way
    std::int64_t systems = 0;    // of a batch
    int width = 0, hidden = 0, moments = 0;
    std::vector<int> sums;  // of an atom, per layer
    bool gradients = false, forces = false, centroid_virial = false, atomic_energies = false;
    bool lists = true;  // the caller's, which are kept here

    int layers() const { return static_cast<int>(sums.size()); }
    int most_sums() const { return *std::max_element(sums.begin(), sums.end()); }
    // Numbers per atom that layer n keeps: the sums of layer 0, the moments A above.
    std::int64_t kept(int n) const { return n == 0 ? sums[0] : moments; }
};

template <class T, class Runtime>
class Storage {
  public:
    Storage(Runtime& runtime, int num_layers)
        : positions(runtime),
          types(runtime),
          offsets(runtime),
          indices(runtime),
          forces(runtime),
          centroid_virial(runtime),
          atomic_energies(runtime),
          slots(runtime),
          totals(runtime),
          flags(runtime),
          sums(runtime),
          system_sums(runtime),
          runtime_(runtime) {
        for (int n = 0; n + 1 < num_layers; ++n) {
            for (auto* list : {&features, &moments, &moments_bar, &hidden, &hidden_bar})
                list->emplace_back(runtime);
        }
        for (int n = 0; n < 2; ++n) features_bar.emplace_back(runtime);
    }

    // Makes room for a call; returns the atoms of a tile.  Throws BackendError where the device lacks
    // the memory.
    std::int64_t reserve(const Plan& p, const Limits& limits) {
        const std::uint64_t available = runtime_.free_bytes() + bytes();
        const std::uint64_t fixed = fixed_bytes(p);
        std::int64_t tile = std::min(limits.tile, p.owned);
        while (tile / 2 >= std::max<std::int64_t>(limits.smallest_tile, 1) &&
               fixed + tile_bytes(p, tile) > available)
            tile /= 2;
        if (fixed + tile_bytes(p, tile) > available)
            throw BackendError("memory: " + std::to_string(p.total) + " atoms and ghosts" +
                               (p.lists ? " and " + std::to_string(p.edges) + " neighbors" : "") +
                               " need " + gigabytes(fixed + tile_bytes(p, tile)) +
                               ", the device has " + gigabytes(available) +
                               " left; use more devices, a smaller system or a smaller skin");
        positions.reserve(3 * p.total);
        types.reserve(p.total);
        if (p.lists) {
            offsets.reserve(p.owned + 1);
            indices.reserve(p.edges);
        }
        slots.reserve(kMaxSlots * kSlot);
        totals.reserve(kSlot);
        flags.reserve(kNumFlags);
        sums.reserve(tile * p.most_sums());
        system_sums.reserve(10 * p.systems);
        if (p.forces) forces.reserve(3 * p.total * kWords);
        if (p.centroid_virial) centroid_virial.reserve(9 * p.total * kWords);
        if (p.atomic_energies) atomic_energies.reserve(p.owned);
        for (int n = 0; n + 1 < p.layers(); ++n) {
            const auto layer = static_cast<std::size_t>(n);
            features[layer].reserve(p.total * p.width);
            moments[layer].reserve(p.owned * p.kept(n));
            if (!p.gradients) continue;
            moments_bar[layer].reserve(p.owned * p.kept(n));
            hidden[layer].reserve(p.owned * p.hidden);
            hidden_bar[layer].reserve(p.owned * p.hidden);
        }
        if (p.gradients && p.layers() > 1) {
            features_bar[1].reserve(p.total * p.width * kWords);
            if (p.layers() > 2) features_bar[0].reserve(p.total * p.width * kWords);
        }
        return tile;
    }

    static std::uint64_t tile_bytes(const Plan& p, std::int64_t tile) {
        return sizeof(T) * static_cast<std::uint64_t>(tile) *
               static_cast<std::uint64_t>(p.most_sums());
    }
    // Of everything but the workspace.
    static std::uint64_t fixed_bytes(const Plan& p) {
        const std::int64_t T_size = sizeof(T);
        std::int64_t total = (24 + 4) * p.total + 8 * (kMaxSlots + 1) * kSlot + 4 * kNumFlags;
        if (p.lists) total += 8 * (p.owned + 1) + 4 * p.edges;
        if (p.forces) total += 24 * p.total * kWords;
        if (p.centroid_virial) total += 72 * p.total * kWords;
        if (p.atomic_energies) total += 8 * p.owned;
        for (int n = 0; n + 1 < p.layers(); ++n) {
            total += T_size * (p.total * p.width + p.owned * p.kept(n));
            if (p.gradients) total += T_size * p.owned * (p.kept(n) + 2 * p.hidden);
        }
        if (p.gradients && p.layers() > 1)
            total += 8 * kWords * p.total * (p.layers() > 2 ? 2 : 1) * p.width;
        total += T_size * p.exchanged * p.width + 80 * p.systems;
        return static_cast<std::uint64_t>(total);
    }

    std::uint64_t bytes() const {
        std::uint64_t total = positions.bytes() + types.bytes() + offsets.bytes() +
                              indices.bytes() + forces.bytes() + centroid_virial.bytes() +
                              features_bar[0].bytes() + features_bar[1].bytes() +
                              atomic_energies.bytes() + slots.bytes() + totals.bytes() +
                              flags.bytes() + sums.bytes() + system_sums.bytes();
        for (const auto* list : {&features, &moments, &moments_bar, &hidden, &hidden_bar}) {
            for (const auto& array : *list) total += array.bytes();
        }
        return total;
    }

    static constexpr int kNumFlags = 2;  // a sum that overflowed, an atom that moved
    template <class V>
    using Array = DeviceArray<V, Runtime>;
    Array<double> positions;
    Array<std::int32_t> types;
    Array<std::int64_t> offsets;
    Array<std::int32_t> indices;
    Array<std::int64_t> forces, centroid_virial;  // fixed point
    std::vector<Array<std::int64_t>> features_bar;  // 2, in turn
    Array<double> atomic_energies, slots, totals;
    Array<std::uint32_t> flags;
    Array<T> sums;  // workspace of a tile
    Array<double> system_sums;  // (systems) energies, (systems, 3, 3) virials
    // Of each layer but the last
    std::vector<Array<T>> features, moments, moments_bar, hidden, hidden_bar;

  private:
    static constexpr std::int64_t kWords = FixedPoint<T>::kWords;

    Runtime& runtime_;
};

}  // namespace camlip::cuda

#endif
