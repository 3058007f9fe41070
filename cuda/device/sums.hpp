// SPDX-License-Identifier: MIT
// The sums of a call over the slots that its blocks left, in an order that never changes.
#ifndef CAMLIP_CUDA_DEVICE_SUMS_HPP
#define CAMLIP_CUDA_DEVICE_SUMS_HPP

#include "device/model.hpp"

namespace camlip::cuda {

struct SumSlots {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 1;
    static constexpr int kParts = 24;  // of each number of a slot
    const double* slots;               // (num_slots, kSlot)
    int num_slots;
    double* totals;  // (kSlot)

    std::size_t shared_bytes() const { return sizeof(double) * kParts * kSlot; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        Carver carver(block.shared());
        double* parts = carver.take<double>(kParts * kSlot);
        const int thread = block.thread();
        if (thread < kParts * kSlot) {
            double sum = 0;
            for (int n = thread; n < num_slots * kSlot; n += kParts * kSlot) sum += slots[n];
            parts[thread] = sum;
        }
        block.sync();
        if (thread >= kSlot) return;
        double sum = 0;
        for (int part = 0; part < kParts; ++part) sum += parts[part * kSlot + thread];
        totals[thread] = sum;
    }
};

}  // namespace camlip::cuda

#endif
