// SPDX-License-Identifier: MIT
// Architecture "cartesian_moments" (docs/derivations.md).
#ifndef CAMLIP_ARCHITECTURES_CARTESIAN_MOMENTS_HPP
#define CAMLIP_ARCHITECTURES_CARTESIAN_MOMENTS_HPP

#include "architectures/architecture.hpp"

namespace camlip {

void run_cartesian_moments(const Model& model, Backend& backend, const Atoms& atoms,
                           const NeighborList& neighbors, const Outputs& outputs,
                           Exchange& exchange, Workspace& workspace);

}  // namespace camlip

#endif
