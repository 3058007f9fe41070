// SPDX-License-Identifier: MIT
// Backend "cuda" lives in libcamlip_cuda.so beside this library, which is opened when the backend is
// asked for and not before: an engine built with it works where there is no driver.
#ifndef CAMLIP_CUDA_LIBRARY_HPP
#define CAMLIP_CUDA_LIBRARY_HPP

#include <memory>

#include "backend.hpp"

namespace camlip {

// Throws BackendError when the library is not there, or no device is.
std::unique_ptr<Backend> make_cuda_backend(const Model& model, const BackendOptions& options);

// How many devices its library counts; 0 where there is no such library or no driver.
int num_cuda_devices();

}  // namespace camlip

#endif
