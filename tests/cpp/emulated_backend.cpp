// SPDX-License-Identifier: MIT
#include "emulated_backend.hpp"

#include "device_backend.hpp"

namespace emulator {

using camlip::cuda::DeviceBackend;

std::unique_ptr<camlip::Backend> make_backend(const camlip::Model& model,
                                              const camlip::BackendOptions& options,
                                              std::shared_ptr<Runtime::State> state,
                                              const camlip::cuda::Limits& limits) {
    Runtime runtime(std::move(state));
    if (options.precision == camlip::Precision::kDouble)
        return std::make_unique<DeviceBackend<double, Runtime>>(model, options, runtime, limits);
    return std::make_unique<DeviceBackend<float, Runtime>>(model, options, runtime, limits);
}

}  // namespace emulator
