// SPDX-License-Identifier: MIT
// Running sums of 64-bit counts, in place: values[n] becomes values[0] + ... + values[n].
// Three kernels: every chunk by itself, the totals of the chunks, and adding these to the chunks.
#ifndef CAMLIP_CUDA_DEVICE_SCAN_HPP
#define CAMLIP_CUDA_DEVICE_SCAN_HPP

#include "device/platform.hpp"

namespace camlip::cuda {

constexpr int kScanThreads = 256;
constexpr int kScanEach = 8;  // values of a thread
constexpr int kScanChunk = kScanThreads * kScanEach;

// The sum of `value` over the threads up to and with this one; `parts` has room for all threads
// and holds the sum of all in its last place afterwards.
template <class Block>
CAMLIP_DEVICE std::int64_t scan_block(Block& block, std::int64_t value, std::int64_t* parts) {
    const int thread = block.thread();
    block.sync();
    parts[thread] = value;
    block.sync();
    for (int step = 1; step < block.threads(); step *= 2) {
        const std::int64_t lower = thread >= step ? parts[thread - step] : 0;
        block.sync();
        parts[thread] += lower;
        block.sync();
    }
    return parts[thread];
}

// Chunk after chunk with a carry (one block, `totals` null), or a chunk per block whose sum goes to
// totals[block].
struct ScanChunks {
    static constexpr int kMaxThreads = kScanThreads;
    static constexpr int kMinBlocks = 1;
    std::int64_t* values;
    std::int64_t count;
    std::int64_t* totals;

    std::size_t shared_bytes() const { return sizeof(std::int64_t) * kScanThreads; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        Carver carver(block.shared());
        auto* parts = carver.take<std::int64_t>(kScanThreads);
        const std::int64_t stride = std::int64_t{block.count()} * kScanChunk;
        std::int64_t carry = 0;
        for (std::int64_t at = std::int64_t{block.index()} * kScanChunk; at < count; at += stride) {
            const std::int64_t first = at + block.thread() * kScanEach;
            std::int64_t sum = 0;
            for (int n = 0; n < kScanEach; ++n) sum += first + n < count ? values[first + n] : 0;
            std::int64_t running = carry + scan_block(block, sum, parts) - sum;
            for (int n = 0; n < kScanEach && first + n < count; ++n) {
                running += values[first + n];
                values[first + n] = running;
            }
            const std::int64_t all = parts[kScanThreads - 1];
            if (!totals) carry += all;
            if (totals && block.thread() == 0) totals[at / kScanChunk] = all;
        }
    }
};

// Adds to each chunk what the chunks before it came to.
struct AddTotals {
    static constexpr int kMaxThreads = kScanThreads;
    static constexpr int kMinBlocks = 1;
    std::int64_t* values;
    std::int64_t count;
    const std::int64_t* totals;

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        const std::int64_t stride = std::int64_t{block.count()} * block.threads();
        for (std::int64_t n = std::int64_t{block.index()} * block.threads() + block.thread();
             n < count; n += stride) {
            if (n >= kScanChunk) values[n] += totals[n / kScanChunk - 1];
        }
    }
};

}  // namespace camlip::cuda

#endif
