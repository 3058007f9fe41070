// SPDX-License-Identifier: MIT
// The factories inside libcamlip_cuda.so, one for each precision: they compile apart.
#ifndef CAMLIP_CUDA_BACKEND_CUDA_HPP
#define CAMLIP_CUDA_BACKEND_CUDA_HPP

#include <memory>

#include "backend.hpp"

namespace camlip::cuda {

std::unique_ptr<Backend> make_mixed(const Model& model, const BackendOptions& options);
std::unique_ptr<Backend> make_double(const Model& model, const BackendOptions& options);

int num_devices();

}  // namespace camlip::cuda

#endif
