// SPDX-License-Identifier: MIT
// The two ends of a halo exchange: rows of features' adjoints in fixed point, to and from numbers.
#ifndef CAMLIP_CUDA_DEVICE_ROWS_HPP
#define CAMLIP_CUDA_DEVICE_ROWS_HPP

#include "device/platform.hpp"

namespace camlip::cuda {

// Numbers of `from`, for the host.
template <class T>
struct RowsFromFixed {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 1;
    const std::int64_t* from;
    std::int64_t count;
    double scale;
    T* to;

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        for (std::int64_t n = std::int64_t{block.index()} * block.threads() + block.thread();
             n < count; n += std::int64_t{block.count()} * block.threads())
            to[n] = static_cast<T>(FixedPoint<T>::value(from, n, scale));
    }
};

// Adds what came back.
template <class T>
struct RowsToFixed {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 1;
    const T* from;
    std::int64_t count;
    FixedPoint<T> fixed;
    std::int64_t* to;

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        for (std::int64_t n = std::int64_t{block.index()} * block.threads() + block.thread();
             n < count; n += std::int64_t{block.count()} * block.threads())
            fixed.add(block, to, n, static_cast<double>(from[n]));
    }
};

// How many of the first atoms have a neighbor beyond the owned atoms.  A warp for each.
struct CountReaching {
    static constexpr int kMaxThreads = 128;
    static constexpr int kMinBlocks = 1;
    std::int64_t atoms, owned;
    const std::int64_t* offsets;
    const std::int32_t* indices;
    std::int64_t* reaching;  // added to

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        const int warps = block.threads() / kWarp, lane = block.thread() % kWarp;
        for (std::int64_t i = std::int64_t{block.index()} * warps + block.thread() / kWarp;
             i < atoms; i += std::int64_t{block.count()} * warps) {
            bool reaches = false;
            for (std::int64_t n = offsets[i] + lane; n < offsets[i + 1]; n += kWarp)
                reaches |= indices[n] >= owned;
            if (block.ballot(reaches) != 0 && lane == 0) block.add(reaching, 1);
        }
    }
};

}  // namespace camlip::cuda

#endif
