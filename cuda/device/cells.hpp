// SPDX-License-Identifier: MIT
// Sorting atoms into the bins of a grid, for neighbor lists: bounds, bins, places.
//
// Coordinates are fractions of reduced lattice vectors (csrc/lattice.hpp), so that a skewed cell is
// as good as a cubic one; a direction that is not periodic has a unit vector.  Bins along the last
// vector are neighbors in memory.
#ifndef CAMLIP_CUDA_DEVICE_CELLS_HPP
#define CAMLIP_CUDA_DEVICE_CELLS_HPP

#include "device/platform.hpp"

namespace camlip::cuda {

struct Grid {
    double rows[9];  // reduced vectors
    double inverse[9];  // fraction k = sum_a position[a] inverse[3 a + k]
    double origin[3], scale[3];  // bin k = (fraction - origin) scale
    int periodic[3];
    int bins[3];
    int reach[3];  // bins on each side that the radius reaches
    double square;  // of the radius

    CAMLIP_SHARED_CODE std::int64_t num_bins() const {
        return std::int64_t{bins[0]} * bins[1] * bins[2];
    }
};

// Shifts of a pair by reduced vectors, packed: 10 bits each.
constexpr int kShiftBits = 10;
constexpr int kShiftZero = 1 << (kShiftBits - 1);

CAMLIP_SHARED_CODE std::int32_t pack_shift(int x, int y, int z) {
    return static_cast<std::int32_t>(((x + kShiftZero) << (2 * kShiftBits)) |
                                     ((y + kShiftZero) << kShiftBits) | (z + kShiftZero));
}
CAMLIP_SHARED_CODE int shift_of(std::int32_t packed, int k) {
    return ((packed >> ((2 - k) * kShiftBits)) & (2 * kShiftZero - 1)) - kShiftZero;
}

// Which cell an atom is in, and its position moved to the first one.
struct Placed {
    double position[3];
    double fraction[3];
    std::int32_t home;  // packed
    bool far;  // too far away to be packed, or not a number
};

CAMLIP_SHARED_CODE Placed place_atom(const Grid& g, const double* position) {
    Placed p;
    int home[3] = {0, 0, 0};
    p.far = false;
    for (int k = 0; k < 3; ++k) {
        double f = position[0] * g.inverse[k] + position[1] * g.inverse[3 + k] +
                   position[2] * g.inverse[6 + k];
        // Half of what fits, so that differences of two atoms fit.
        if (!(fabs(f) < (g.periodic[k] ? kShiftZero / 4 : 1e15))) {
            p.far = true;
            f = 0;
        }
        if (g.periodic[k]) {
            const double cell = floor(f);
            home[k] = static_cast<int>(cell);
            f -= cell;
        }
        p.fraction[k] = f;
        p.position[k] = position[k];
    }
    for (int k = 0; k < 3; ++k)
        for (int a = 0; a < 3; ++a) p.position[a] -= home[k] * g.rows[3 * k + a];
    p.home = pack_shift(home[0], home[1], home[2]);
    return p;
}

CAMLIP_SHARED_CODE int bin_along(const Grid& g, const Placed& p, int k) {
    const double place = (p.fraction[k] - g.origin[k]) * g.scale[k];
    const int bin = place > 0 ? static_cast<int>(place < 2e9 ? place : 2e9) : 0;
    return bin < g.bins[k] ? bin : g.bins[k] - 1;
}

// The range of fractions, for directions that are not periodic: (blocks, 6) lower and upper.
struct Bounds {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 1;
    Grid grid;
    const double* positions;
    std::int64_t count;
    double* bounds;

    std::size_t shared_bytes() const { return sizeof(double) * 6 * kMaxThreads; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        Carver carver(block.shared());
        double* parts = carver.take<double>(6 * kMaxThreads);
        const int thread = block.thread(), threads = block.threads();
        double range[6] = {1e300, 1e300, 1e300, -1e300, -1e300, -1e300};
        for (std::int64_t i = std::int64_t{block.index()} * threads + thread; i < count;
             i += std::int64_t{block.count()} * threads) {
            const Placed p = place_atom(grid, positions + 3 * i);
            for (int k = 0; k < 3; ++k) {
                range[k] = fmin(range[k], p.fraction[k]);
                range[3 + k] = fmax(range[3 + k], p.fraction[k]);
            }
        }
        for (int n = 0; n < 6; ++n) parts[n * threads + thread] = range[n];
        block.sync();
        if (thread >= 6) return;
        double value = parts[thread * threads];
        for (int n = 1; n < threads; ++n) {
            const double other = parts[thread * threads + n];
            value = thread < 3 ? fmin(value, other) : fmax(value, other);
        }
        bounds[6 * block.index() + thread] = value;
    }
};

// The bin of each atom, and how many each bin has.
struct BinAtoms {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 1;
    Grid grid;
    const double* positions;
    std::int64_t count;
    std::int32_t* bin_of;
    std::int64_t* starts;  // (bins + 1), zero before: the count of bin b at b + 1
    std::uint32_t* flags;  // [0] an atom is too far away

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        for (std::int64_t i = std::int64_t{block.index()} * block.threads() + block.thread();
             i < count; i += std::int64_t{block.count()} * block.threads()) {
            const Placed p = place_atom(grid, positions + 3 * i);
            if (p.far) *flags = 1;
            const int bin =
                (bin_along(grid, p, 0) * grid.bins[1] + bin_along(grid, p, 1)) * grid.bins[2] +
                bin_along(grid, p, 2);
            bin_of[i] = bin;
            block.add(starts + bin + 1, 1);
        }
    }
};

// Atoms in the order of their bins; within a bin in the order in which threads came.
struct FillBins {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 1;
    std::int64_t count;
    const std::int32_t* bin_of;
    const std::int64_t* starts;
    std::int32_t* filled;  // (bins), zero before
    std::int32_t* order;

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        for (std::int64_t i = std::int64_t{block.index()} * block.threads() + block.thread();
             i < count; i += std::int64_t{block.count()} * block.threads()) {
            const std::int32_t bin = bin_of[i];
            order[starts[bin] + block.fetch_add(filled + bin, 1)] = static_cast<std::int32_t>(i);
        }
    }
};

struct SortedAtom {
    double position[3];  // in the first cell
    std::int32_t index;
    std::int32_t home;  // packed
};

// A thread per bin: its atoms by index, which makes lists the same in every run, and their
// positions beside each other.
struct OrderBins {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 1;
    Grid grid;
    const double* positions;
    const std::int64_t* starts;
    std::int32_t* order;
    SortedAtom* sorted;

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        const std::int64_t bins = grid.num_bins();
        for (std::int64_t b = std::int64_t{block.index()} * block.threads() + block.thread();
             b < bins; b += std::int64_t{block.count()} * block.threads()) {
            const std::int64_t first = starts[b], end = starts[b + 1];
            for (std::int64_t n = first; n < end; ++n) {
                const std::int32_t atom = order[n];
                std::int64_t place = n;
                for (; place > first && order[place - 1] > atom; --place)
                    order[place] = order[place - 1];
                order[place] = atom;
            }
            for (std::int64_t n = first; n < end; ++n) {
                const Placed p = place_atom(grid, positions + 3 * std::int64_t{order[n]});
                SortedAtom& out = sorted[n];
                for (int a = 0; a < 3; ++a) out.position[a] = p.position[a];
                out.index = order[n];
                out.home = p.home;
            }
        }
    }
};

}  // namespace camlip::cuda

#endif
