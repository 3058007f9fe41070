// SPDX-License-Identifier: MIT
// Neighbor lists from atoms in bins: who is within the radius of whom.
//
// A warp per receiver walks over runs of bins; the lanes look at one candidate each.  Counting and
// listing are the same walk, so a list has the order of the bins and never fails to fit.
#ifndef CAMLIP_CUDA_DEVICE_SEARCH_HPP
#define CAMLIP_CUDA_DEVICE_SEARCH_HPP

#include "device/cells.hpp"
#include "device/scan.hpp"

namespace camlip::cuda {

CAMLIP_SHARED_CODE int floor_divide(int n, int by) {
    const int q = n / by;
    return n % by < 0 ? q - 1 : q;
}

// What a walk needs to know and where it writes; with indices null it only counts.
struct ListTarget {
    std::int32_t* indices;
    std::int32_t* shifts;  // packed, null where nothing is periodic
};

// The whole warp: candidates [first, end) in the image `shift`; returns how many are neighbors.
template <class Block>
CAMLIP_DEVICE int visit(Block& block, const Grid& grid, const SortedAtom& center,
                        const SortedAtom* atoms, std::int64_t first, std::int64_t end,
                        const int* shift, const ListTarget& target, std::int64_t at) {
    const int lane = block.thread() % kWarp;
    const bool here = shift[0] == 0 && shift[1] == 0 && shift[2] == 0;
    double image[3];
    for (int a = 0; a < 3; ++a)
        image[a] = shift[0] * grid.rows[a] + shift[1] * grid.rows[3 + a] +
                   shift[2] * grid.rows[6 + a] - center.position[a];
    int found = 0;
    for (std::int64_t base = first; base < end; base += kWarp) {
        bool near = false;
        std::int32_t j = 0, home = 0;
        if (base + lane < end) {
            const SortedAtom other = atoms[base + lane];
            double square = 0;
            for (int a = 0; a < 3; ++a) {
                const double d = other.position[a] + image[a];
                square += d * d;
            }
            j = other.index;
            home = other.home;
            near = square < grid.square && !(here && j == center.index);
        }
        const std::uint32_t bits = block.ballot(near);
        const int before = count_bits(bits & ((1u << lane) - 1));
        if (near && target.indices) {
            target.indices[at + found + before] = j;
            if (target.shifts) {
                // From images in the first cell to images of the given positions.
                int s[3];
                for (int k = 0; k < 3; ++k)
                    s[k] = shift[k] + shift_of(center.home, k) - shift_of(home, k);
                target.shifts[at + found + before] = pack_shift(s[0], s[1], s[2]);
            }
        }
        found += count_bits(bits);
    }
    return found;
}

struct Search {
    static constexpr int kMaxThreads = 128;
    static constexpr int kMinBlocks = 1;
    Grid grid;
    std::int64_t owned, total;
    const std::int32_t* bin_of;
    const std::int64_t* starts;
    const SortedAtom* sorted;
    std::int64_t* offsets;  // (owned + 1): receives counts at i + 1, or is read
    ListTarget target;

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        const int warps = block.threads() / kWarp;
        for (std::int64_t n = std::int64_t{block.index()} * warps + block.thread() / kWarp;
             n < total; n += std::int64_t{block.count()} * warps) {
            const SortedAtom center = sorted[n];
            if (center.index >= owned) continue;
            const std::int64_t found =
                walk(block, center, target.indices ? offsets[center.index] : 0);
            if (!target.indices && block.thread() % kWarp == 0) offsets[center.index + 1] = found;
        }
    }

  private:
    template <class Block>
    CAMLIP_DEVICE std::int64_t walk(Block& block, const SortedAtom& center, std::int64_t at) const {
        const int bin = bin_of[center.index], nz = grid.bins[2], ny = grid.bins[1];
        const int z = bin % nz, y = bin / nz % ny, x = bin / nz / ny;
        const std::int64_t start = at;
        for (int cx = x - grid.reach[0]; cx <= x + grid.reach[0]; ++cx) {
            if (!grid.periodic[0] && (cx < 0 || cx >= grid.bins[0])) continue;
            for (int cy = y - grid.reach[1]; cy <= y + grid.reach[1]; ++cy) {
                if (!grid.periodic[1] && (cy < 0 || cy >= ny)) continue;
                int shift[3] = {floor_divide(cx, grid.bins[0]), floor_divide(cy, ny), 0};
                const std::int64_t column =
                    (std::int64_t{cx - shift[0] * grid.bins[0]} * ny + cy - shift[1] * ny) * nz;
                int low = z - grid.reach[2], high = z + grid.reach[2];
                if (!grid.periodic[2]) {
                    low = low < 0 ? 0 : low;
                    high = high >= nz ? nz - 1 : high;
                }
                while (low <= high) {
                    shift[2] = floor_divide(low, nz);
                    const int last_of_cell = shift[2] * nz + nz - 1;
                    const int last = high < last_of_cell ? high : last_of_cell;
                    at += visit(block, grid, center, sorted, starts[column + low - shift[2] * nz],
                                starts[column + last - shift[2] * nz + 1], shift, target, at);
                    low = last + 1;
                }
            }
        }
        return at - start;
    }
};

// The whole list of a small system in one launch of one block: every pair, every image within
// reach (a grid of one bin).  Writes the list if it fits into `capacity`, its length in any case.
struct AllPairs {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 1;
    static constexpr int kMostAtoms = 512;
    Grid grid;
    int owned, total;
    const double* positions;
    std::int64_t* offsets;
    ListTarget target;
    std::int64_t capacity;
    std::uint32_t* flags;

    std::size_t shared_bytes() const {
        return sizeof(SortedAtom) * static_cast<std::size_t>(total) + 16 +
               sizeof(std::int64_t) * kMaxThreads;
    }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        Carver carver(block.shared());
        auto* atoms = carver.take<SortedAtom>(total);
        auto* parts = carver.take<std::int64_t>(kMaxThreads);
        const int thread = block.thread(), threads = block.threads();
        for (int i = thread; i < total; i += threads) {
            const Placed p = place_atom(grid, positions + 3 * i);
            if (p.far) *flags = 1;
            for (int a = 0; a < 3; ++a) atoms[i].position[a] = p.position[a];
            atoms[i].index = i;
            atoms[i].home = p.home;
        }
        block.sync();
        rows(block, atoms, ListTarget{nullptr, nullptr});
        block.sync();
        // Counts to offsets.
        if (thread == 0) offsets[0] = 0;
        std::int64_t carry = 0;
        for (int first = 0; first < owned; first += threads) {
            const int i = first + thread;
            const std::int64_t sum =
                carry + scan_block(block, i < owned ? offsets[i + 1] : 0, parts);
            if (i < owned) offsets[i + 1] = sum;
            carry += parts[threads - 1];
        }
        block.sync();
        if (offsets[owned] <= capacity) rows(block, atoms, target);
    }

  private:
    template <class Block>
    CAMLIP_DEVICE void rows(Block& block, const SortedAtom* atoms, const ListTarget& to) const {
        for (int i = block.thread() / kWarp; i < owned; i += block.threads() / kWarp) {
            std::int64_t at = to.indices ? offsets[i] : 0;
            int shift[3];
            for (shift[0] = -grid.reach[0]; shift[0] <= grid.reach[0]; ++shift[0])
                for (shift[1] = -grid.reach[1]; shift[1] <= grid.reach[1]; ++shift[1])
                    for (shift[2] = -grid.reach[2]; shift[2] <= grid.reach[2]; ++shift[2])
                        at += visit(block, grid, atoms[i], atoms, 0, total, shift, to, at);
            if (!to.indices && block.thread() % kWarp == 0) offsets[i + 1] = at;
        }
    }
};

}  // namespace camlip::cuda

#endif
