// SPDX-License-Identifier: MIT
// Stands in for cuda/device/block_cuda.hpp: kernels run on the host as soon as they are launched.
#ifndef CAMLIP_TESTS_BLOCK_CUDA_HPP
#define CAMLIP_TESTS_BLOCK_CUDA_HPP

#include <cuda_runtime.h>

#include "cuda_emulator.hpp"

namespace camlip::cuda {

template <class Kernel>
void launch_kernel(const Kernel& kernel, int blocks, int threads, std::size_t shared_bytes,
                   cudaStream_t) {
    emulator::Scheduler scheduler;
    scheduler.run(kernel, blocks, threads, shared_bytes, emulator::Order::kShuffled, 1);
}

}  // namespace camlip::cuda

#endif
