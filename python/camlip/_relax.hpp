// SPDX-License-Identifier: MIT
// camlip_relax for Python; _engine.cpp makes it a method of Engine.
#ifndef CAMLIP_PYTHON_RELAX_HPP
#define CAMLIP_PYTHON_RELAX_HPP

#include <camlip.h>
#include <pybind11/pybind11.h>

#include <mutex>

// Relaxes with the options of camlip_relax_options as a dict; camlip/relaxation.py documents it.
pybind11::dict relax_system(camlip_engine* engine, std::mutex& mutex, const camlip_system& system,
                            const pybind11::dict& options, const pybind11::object& callback,
                            double interval);

#endif
