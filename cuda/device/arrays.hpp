// SPDX-License-Identifier: MIT
// The two ends of a step whose arrays the caller has on the device: positions come in and are
// compared with where the list knows the atoms, results are added to what the caller has.
#ifndef CAMLIP_CUDA_DEVICE_ARRAYS_HPP
#define CAMLIP_CUDA_DEVICE_ARRAYS_HPP

#include "device/model.hpp"

namespace camlip::cuda {

// Copies positions; *moved becomes 1 when an atom is too far from where it was.
struct TakePositions {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 4;
    std::int64_t atoms;
    const double* from;   // (N, 3)
    double* to;           // (N, 3)
    const double* built;  // (N, 3)
    double most_moved;    // square of half of the skin
    std::uint32_t* moved;

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        const std::int64_t stride = std::int64_t{block.threads()} * block.count();
        for (std::int64_t i = std::int64_t{block.index()} * block.threads() + block.thread();
             i < atoms; i += stride) {
            double square = 0;
            for (int a = 0; a < 3; ++a) {
                const double x = from[3 * i + a];
                to[3 * i + a] = x;
                square += (x - built[3 * i + a]) * (x - built[3 * i + a]);
            }
            if (!(square <= most_moved)) *moved = 1;  // every writer writes the same
        }
    }
};

// Adds the results of a step, unless its list was stale: then it is done again.  Where a sum in
// fixed point did not fit, all of them become NaN.  Any pointer of the caller may be null.
template <class T>
struct AddResults {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 4;
    std::int64_t atoms;
    const std::uint32_t *overflow, *moved;
    double not_a_number;
    double scale;          // of forces and centroid virial
    const double* totals;  // energy, virial
    const std::int64_t *forces, *centroid_virial;
    const double* atomic_energies;
    // Of the caller
    double *to_energy, *to_virial, *to_forces, *to_centroid_virial, *to_atomic_energies;

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        if (*moved != 0) return;
        const double nan = *overflow != 0 ? not_a_number : 0;
        const std::int64_t first = std::int64_t{block.index()} * block.threads() + block.thread();
        const std::int64_t stride = std::int64_t{block.threads()} * block.count();
        if (first == 0 && to_energy) *to_energy += totals[0] + nan;
        if (first < 9 && to_virial) to_virial[first] += totals[1 + first] + nan;
        const auto add_fixed = [&](double* to, const std::int64_t* from, std::int64_t count) {
            for (std::int64_t n = first; n < count; n += stride)
                to[n] += FixedPoint<T>::value(from, n, scale) + nan;
        };
        if (to_forces) add_fixed(to_forces, forces, 3 * atoms);
        if (to_centroid_virial) add_fixed(to_centroid_virial, centroid_virial, 9 * atoms);
        for (std::int64_t n = first; n < atoms && to_atomic_energies; n += stride)
            to_atomic_energies[n] += atomic_energies[n] + nan;
    }
};

}  // namespace camlip::cuda

#endif
