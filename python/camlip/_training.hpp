// SPDX-License-Identifier: MIT
#ifndef CAMLIP_PYTHON_TRAINING_HPP
#define CAMLIP_PYTHON_TRAINING_HPP

#include <pybind11/pybind11.h>

// Adds Trainer and Batch, the training part of camlip.h.
void bind_training(pybind11::module_& m);

#endif
