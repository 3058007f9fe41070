// SPDX-License-Identifier: MIT
// All kernels in double.
#include "backend_cuda.hpp"
#include "device_backend.hpp"
#include "runtime_cuda.hpp"

namespace camlip::cuda {

std::unique_ptr<Backend> make_double(const Model& model, const BackendOptions& options) {
    return std::make_unique<DeviceBackend<double, CudaRuntime>>(
        model, options, CudaRuntime(options.device), Limits{});
}

}  // namespace camlip::cuda
