// SPDX-License-Identifier: MIT
// The Block of device/platform.hpp on a CUDA device, and the kernel that runs any kernel struct.
#ifndef CAMLIP_CUDA_DEVICE_BLOCK_CUDA_HPP
#define CAMLIP_CUDA_DEVICE_BLOCK_CUDA_HPP

#include <cuda_runtime.h>

#include "device/platform.hpp"

namespace camlip::cuda {

extern __shared__ __align__(16) char shared_memory[];

struct CudaBlock {
    __device__ __forceinline__ int thread() const { return static_cast<int>(threadIdx.x); }
    __device__ __forceinline__ int threads() const { return static_cast<int>(blockDim.x); }
    __device__ __forceinline__ int index() const { return static_cast<int>(blockIdx.x); }
    __device__ __forceinline__ int count() const { return static_cast<int>(gridDim.x); }
    __device__ __forceinline__ char* shared() { return shared_memory; }
    __device__ __forceinline__ void sync() { __syncthreads(); }
    __device__ __forceinline__ void sync_warp() { __syncwarp(); }
    __device__ __forceinline__ std::uint32_t ballot(bool value) {
        return __ballot_sync(0xFFFFFFFFu, value);
    }
    template <class V>
    __device__ __forceinline__ V shuffle_xor(V value, int mask) {
        return __shfl_xor_sync(0xFFFFFFFFu, value, mask);
    }
    __device__ __forceinline__ void add(std::int64_t* address, std::int64_t value) {
        atomicAdd(reinterpret_cast<unsigned long long*>(address),
                  static_cast<unsigned long long>(value));
    }
    __device__ __forceinline__ std::int32_t fetch_add(std::int32_t* address, std::int32_t value) {
        return atomicAdd(address, value);
    }
};

template <class Kernel>
__global__ void __launch_bounds__(Kernel::kMaxThreads, Kernel::kMinBlocks)
    run_kernel(const Kernel kernel) {
    CudaBlock block;
    kernel(block);
}

template <class Kernel>
void launch_kernel(const Kernel& kernel, int blocks, int threads, std::size_t shared_bytes,
                   cudaStream_t stream) {
    run_kernel<Kernel>
        <<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), shared_bytes, stream>>>(
            kernel);
}

}  // namespace camlip::cuda

#endif
