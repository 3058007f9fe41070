// SPDX-License-Identifier: MIT
// All kernels in float.
#include "backend_cuda.hpp"
#include "device_backend.hpp"
#include "runtime_cuda.hpp"

namespace camlip::cuda {

std::unique_ptr<Backend> make_mixed(const Model& model, const BackendOptions& options) {
    return std::make_unique<DeviceBackend<float, CudaRuntime>>(
        model, options, CudaRuntime(options.device), Limits{});
}

}  // namespace camlip::cuda
