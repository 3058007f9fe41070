// SPDX-License-Identifier: MIT
// The two entry points of libcamlip_cuda.so, which libcamlip opens when a GPU is asked for.
#include "backend_cuda.hpp"

#define CAMLIP_EXPORT extern "C" __attribute__((visibility("default")))

// The two libraries share C++ types, so they must come from the same build.
CAMLIP_EXPORT const char* camlip_cuda_version() { return CAMLIP_VERSION_STRING; }

// 0 without a driver.
CAMLIP_EXPORT int camlip_cuda_num_devices() { return camlip::cuda::num_devices(); }

// Throws what Backend's constructors throw.
CAMLIP_EXPORT camlip::Backend* camlip_cuda_make_backend(const camlip::Model* model,
                                                        const camlip::BackendOptions* options) {
    const auto make = options->precision == camlip::Precision::kDouble ? camlip::cuda::make_double
                                                                       : camlip::cuda::make_mixed;
    return make(*model, *options).release();
}
