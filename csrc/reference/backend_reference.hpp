// SPDX-License-Identifier: MIT
// Backend "reference": the formulas as plain loops in double, one atom and one edge after the
// other; radial networks instead of tables.  Slow, and what every other backend is tested against.
#ifndef CAMLIP_REFERENCE_BACKEND_REFERENCE_HPP
#define CAMLIP_REFERENCE_BACKEND_REFERENCE_HPP

#include <memory>

#include "backend.hpp"

namespace camlip {

std::unique_ptr<Backend> make_reference_backend(const Model& model, const BackendOptions& options);

}  // namespace camlip

#endif
