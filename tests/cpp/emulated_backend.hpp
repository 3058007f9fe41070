// SPDX-License-Identifier: MIT
// The cuda backend on the emulated device, compiled once for all who want one.
#ifndef CAMLIP_TESTS_EMULATED_BACKEND_HPP
#define CAMLIP_TESTS_EMULATED_BACKEND_HPP

#include <memory>

#include "backend.hpp"
#include "cuda_emulator.hpp"
#include "storage.hpp"

namespace emulator {

std::unique_ptr<camlip::Backend> make_backend(
    const camlip::Model& model, const camlip::BackendOptions& options,
    std::shared_ptr<Runtime::State> state = std::make_shared<Runtime::State>(),
    const camlip::cuda::Limits& limits = {});

}  // namespace emulator

#endif
