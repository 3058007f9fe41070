// SPDX-License-Identifier: MIT
// Stands in for the CUDA runtime where openmm_plugin/cuda/arrays.cu is compiled for the host: device
// memory is memory of the host, and whatever is queued in a stream is done at once.
#ifndef CAMLIP_TESTS_CUDA_RUNTIME_H
#define CAMLIP_TESTS_CUDA_RUNTIME_H

#include <cstddef>
#include <cstdlib>
#include <cstring>

using cudaError_t = int;
using cudaStream_t = void*;
constexpr cudaError_t cudaSuccess = 0;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };

inline cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
    *memory = std::malloc(bytes);
    std::memset(*memory, 0xFF, bytes);  // NaN
    return 0;
}
inline cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
    return cudaMalloc(memory, bytes);
}
inline cudaError_t cudaFree(void* memory) {
    std::free(memory);
    return 0;
}
inline cudaError_t cudaFreeHost(void* memory) { return cudaFree(memory); }
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                                   cudaStream_t) {
    std::memcpy(to, from, bytes);
    return 0;
}
inline cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t) {
    std::memset(to, value, bytes);
    return 0;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return 0; }
inline cudaError_t cudaGetLastError() { return 0; }
inline const char* cudaGetErrorString(cudaError_t) { return "stand-in"; }

#endif
