// SPDX-License-Identifier: MIT
#include "runtime_cuda.hpp"

#include "backend_cuda.hpp"

namespace camlip::cuda {

int num_devices() {
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
    cudaGetLastError();
    return 0;
}

CudaRuntime::CudaRuntime(int device) : device_(device) {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
        cudaGetLastError();
        const char* why = error == cudaSuccess ? "the driver counts 0" : cudaGetErrorString(error);
        throw BackendError(std::string("backend 'cuda': no CUDA device (") + why +
                           "), expected at least one; see what nvidia-smi says, or use backend "
                           "cpu");
    }
    if (device >= count)
        throw BackendError("backend 'cuda': no CUDA device " + std::to_string(device) +
                           ", expected 0 to " + std::to_string(count - 1) +
                           "; choose one as in cuda:0, or use backend cpu");
    int major = 0, shared = 0;
    if (device == kCurrentContext) check(cudaGetDevice(&device), "device of the context");
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "properties");
    check(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
          "properties");
    if (major < 8)
        throw BackendError("backend 'cuda': device " + std::to_string(device) +
                           " has compute capability " + std::to_string(major) +
                           ".x, expected at least 8.0; use backend cpu");
    shared_limit_ = static_cast<std::size_t>(shared);
    use();
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
    target_ = stream_;
    check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "event");
}

CudaRuntime::~CudaRuntime() {
    // At the exit of the process the driver may be gone already: nothing to do about errors.
    forget_graph();
    if (event_) cudaEventDestroy(event_);
    if (stream_) cudaStreamDestroy(stream_);
}

void* CudaRuntime::allocate(std::size_t bytes) {
    use();
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes > 0 ? bytes : 1), "allocation of device memory");
    ++allocations_;
    return memory;
}

void CudaRuntime::release(void* memory) {
    if (!memory) return;
    if (device_ == kCurrentContext || cudaSetDevice(device_) == cudaSuccess) cudaFree(memory);
}

void CudaRuntime::upload(void* to, const void* from, std::size_t bytes) {
    if (bytes == 0) return;
    use();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, place()), "copy to the device");
    check(cudaStreamSynchronize(place()), "copy to the device");
}

void CudaRuntime::download(void* to, const void* from, std::size_t bytes) const {
    if (bytes == 0) return;
    use();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, place()),
          "copy from the device");
    check(cudaStreamSynchronize(place()), "copy from the device");
}

void* CudaRuntime::allocate_host(std::size_t bytes) {
    use();
    void* memory = nullptr;
    check(cudaMallocHost(&memory, bytes > 0 ? bytes : 1), "allocation of pinned memory");
    ++allocations_;
    return memory;
}

void CudaRuntime::release_host(void* memory) {
    if (memory) cudaFreeHost(memory);
}

void CudaRuntime::upload_later(void* to, const void* from, std::size_t bytes) {
    if (bytes == 0 || mode_ == Mode::kReplay) return;
    use();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, place()), "copy to the device");
}

void CudaRuntime::download_later(void* to, const void* from, std::size_t bytes) {
    if (bytes == 0 || mode_ == Mode::kReplay) return;
    use();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, place()),
          "copy from the device");
}

void CudaRuntime::synchronize() const {
    use();
    check(cudaStreamSynchronize(place()), "kernels");
}

void CudaRuntime::record_event() {
    use();
    check(cudaEventRecord(event_, place()), "event");
}

void CudaRuntime::wait_for_event() const {
    use();
    check(cudaEventSynchronize(event_), "kernels");
}

void CudaRuntime::use_stream(void* stream, bool own) {
    target_ = own ? stream_ : static_cast<cudaStream_t>(stream);
    if (mode_ == Mode::kRecord) {  // the last step failed half way
        use();
        cudaGraph_t graph = nullptr;
        cudaStreamEndCapture(stream_, &graph);
        if (graph) cudaGraphDestroy(graph);
        cudaGetLastError();
    }
    mode_ = Mode::kDirect;
}

void CudaRuntime::forget_graph() {
    if (graph_) cudaGraphExecDestroy(graph_);
    graph_ = nullptr;
}

void CudaRuntime::begin_step(const StepKey& key) {
    use();
    if (key != key_ || allocations_ != key_allocations_) {
        forget_graph();
        key_ = key;
        key_allocations_ = allocations_;
    } else if (graph_) {
        mode_ = Mode::kReplay;
    } else {
        check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
              "recording of a graph");
        mode_ = Mode::kRecord;
    }
}

void CudaRuntime::end_step() {
    const Mode mode = mode_;
    mode_ = Mode::kDirect;
    if (mode == Mode::kDirect) return;
    use();
    if (mode == Mode::kRecord) {
        cudaGraph_t graph = nullptr;
        check(cudaStreamEndCapture(stream_, &graph), "recording of a graph");
        const cudaError_t made = cudaGraphInstantiate(&graph_, graph, 0);
        cudaGraphDestroy(graph);
        check(made, "making of a graph");
    }
    check(cudaGraphLaunch(graph_, place()), "launch of a graph");
}

void CudaRuntime::copy(void* to, const void* from, std::size_t bytes) {
    if (bytes == 0) return;
    use();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, place()),
          "copy on the device");
}

void CudaRuntime::zero(void* to, std::size_t bytes) {
    if (bytes == 0 || mode_ == Mode::kReplay) return;
    use();
    check(cudaMemsetAsync(to, 0, bytes, place()), "zeroing of memory");
}

std::size_t CudaRuntime::free_bytes() const {
    use();
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "free memory");
    // What other processes and fragmentation may take.
    return free - free / 32;
}

}  // namespace camlip::cuda
