// SPDX-License-Identifier: MIT
// Radial functions in training: a coarse table whose knots are the parameters.  The network that
// gives the knots is evaluated and differentiated by the caller, at the knots only.
#ifndef CAMLIP_CPU_TRAINING_TABLES_HPP
#define CAMLIP_CPU_TRAINING_TABLES_HPP

#include <vector>

#include "backend.hpp"
#include "model.hpp"

namespace camlip::cpu {

// Of a model with knots.
int num_training_intervals(const Model& model);

// Polynomials (pairs of active types, intervals, 6, stride) of a layer from its knots.
template <class T>
void fill_training_table(const Model& model, int layer, const std::vector<int>& active_types,
                         int stride, T* table);

}  // namespace camlip::cpu

#endif
