// SPDX-License-Identifier: MIT
// The Runtime of device_backend.hpp on a CUDA device: memory, copies and launches on one stream, of
// its own or of the caller.
// Errors of CUDA become BackendError.
#ifndef CAMLIP_CUDA_RUNTIME_CUDA_HPP
#define CAMLIP_CUDA_RUNTIME_CUDA_HPP

#include <cuda_runtime.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "backend.hpp"
#include "device/block_cuda.hpp"
#include "errors.hpp"

namespace camlip::cuda {

inline void check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    cudaGetLastError();  // the next call begins without it
    throw BackendError(std::string("backend 'cuda': ") + what + ": " + cudaGetErrorString(error));
}

class CudaRuntime {
  public:
    // Throws BackendError where there is no such device, or one that is too old.  kCurrentContext: the
    // CUDA context that is current whenever this is used, which the caller sees to.
    explicit CudaRuntime(int device);
    CudaRuntime(CudaRuntime&& other) noexcept
        : device_(other.device_),
          shared_limit_(other.shared_limit_),
          stream_(other.stream_),
          target_(other.target_),
          event_(other.event_) {
        other.stream_ = nullptr;  // a graph it does not have before its first step
        other.event_ = nullptr;
    }
    CudaRuntime(const CudaRuntime&) = delete;
    CudaRuntime& operator=(const CudaRuntime&) = delete;
    ~CudaRuntime();

    const char* name() const { return "cuda"; }
    void* allocate(std::size_t bytes);
    void release(void* memory);
    // Both wait until the data is there.
    void upload(void* to, const void* from, std::size_t bytes);
    void download(void* to, const void* from, std::size_t bytes) const;
    void copy(void* to, const void* from, std::size_t bytes);  // on the device
    void zero(void* to, std::size_t bytes);
    // Pinned memory, and copies from and to it that are done after synchronize().
    void* allocate_host(std::size_t bytes);
    void release_host(void* memory);
    void upload_later(void* to, const void* from, std::size_t bytes);
    void download_later(void* to, const void* from, std::size_t bytes);
    void synchronize() const;
    // Where the rest goes: the caller's stream, or its own.  Nothing waits for the other one.
    void use_stream(void* stream, bool own);
    // A place in the stream, and until the device has come there.
    void record_event();
    void wait_for_event() const;
    // What is launched and copied from here to end_step() depends on `key` and on addresses only:
    // the second step in a row of the same key is recorded as a graph, later ones replay it.
    using StepKey = std::array<std::int64_t, 4>;
    void begin_step(const StepKey& key);
    void end_step();
    std::size_t free_bytes() const;
    std::size_t shared_limit() const { return shared_limit_; }

    template <class Kernel>
    void launch(const Kernel& kernel, int blocks, int threads, std::size_t shared_bytes) {
        if (mode_ == Mode::kReplay) return;
        use();
        check(cudaFuncSetAttribute(run_kernel<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(shared_bytes)),
              "shared memory of a kernel");
        launch_kernel(kernel, blocks, threads, shared_bytes, place());
        check(cudaGetLastError(), "launch of a kernel");
    }

  private:
    void use() const {
        if (device_ != kCurrentContext) check(cudaSetDevice(device_), "choice of the device");
    }

    int device_;
    std::size_t shared_limit_ = 0;
    cudaStream_t stream_ = nullptr, target_ = nullptr;
    cudaEvent_t event_ = nullptr;

    enum class Mode { kDirect, kRecord, kReplay };
    // The default stream of a context, which a caller may have, cannot be recorded.
    cudaStream_t place() const { return mode_ == Mode::kRecord ? stream_ : target_; }
    void forget_graph();
    Mode mode_ = Mode::kDirect;
    StepKey key_{};
    std::int64_t allocations_ = 0, key_allocations_ = -1;
    cudaGraphExec_t graph_ = nullptr;
};

}  // namespace camlip::cuda

#endif
