// SPDX-License-Identifier: MIT
// Backend "cpu": SIMD kernels chosen at run time, OpenMP threads, float32 or float64.
#ifndef CAMLIP_CPU_BACKEND_CPU_HPP
#define CAMLIP_CPU_BACKEND_CPU_HPP

#include <memory>

#include "backend.hpp"

namespace camlip {

std::unique_ptr<Backend> make_cpu_backend(const Model& model, const BackendOptions& options);

}  // namespace camlip

#endif
