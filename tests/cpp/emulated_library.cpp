// SPDX-License-Identifier: MIT
// A libcamlip_cuda.so whose devices are emulated on the host: laid beside a libcamlip.so it lets
// LAMMPS, Python and OpenMM run with `cuda`, slowly, where there is no GPU.  For tests only.
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "emulated_backend.hpp"
#include "errors.hpp"

#define CAMLIP_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

int num_devices() {
    const char* count = std::getenv("CAMLIP_EMULATED_DEVICES");
    return count ? std::atoi(count) : 1;
}

}  // namespace

CAMLIP_EXPORT const char* camlip_cuda_version() { return CAMLIP_VERSION_STRING; }

CAMLIP_EXPORT int camlip_cuda_num_devices() { return num_devices(); }

CAMLIP_EXPORT camlip::Backend* camlip_cuda_make_backend(const camlip::Model* model,
                                                        const camlip::BackendOptions* options) {
    if (options->device >= num_devices())
        throw camlip::BackendError("backend 'cuda': no CUDA device " +
                                   std::to_string(options->device) + ", expected fewer than " +
                                   std::to_string(num_devices()));
    auto state = std::make_shared<emulator::Runtime::State>();
    const char* memory = std::getenv("CAMLIP_EMULATED_MEMORY");
    if (memory) state->memory = static_cast<std::size_t>(std::atoll(memory));
    state->immediate = std::getenv("CAMLIP_EMULATED_IMMEDIATE") != nullptr;
    return emulator::make_backend(*model, *options, std::move(state)).release();
}
