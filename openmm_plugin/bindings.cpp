// SPDX-License-Identifier: MIT
// camlip.openmm._bind: the methods of MLIPForce for objects that OpenMM's Python module holds.
// They come as addresses, int(object.this), so that nothing depends on the SWIG of that module.
// Its caller has imported openmm and checked its version.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "MLIPForce.h"
#include "openmm/OpenMMException.h"
#include "units.h"

namespace py = pybind11;
using camlip_openmm::MLIPForce;

namespace {

MLIPForce* cast(std::uintptr_t address) {
    return dynamic_cast<MLIPForce*>(reinterpret_cast<OpenMM::Force*>(address));
}

MLIPForce& force_at(std::uintptr_t address) {
    MLIPForce* force = cast(address);
    if (!force) throw py::type_error("force: not a MLIPForce");
    return *force;
}

OpenMM::Context& context_at(std::uintptr_t address) {
    return *reinterpret_cast<OpenMM::Context*>(address);
}

template <class Result>
auto getting(Result (MLIPForce::*get)() const) {
    return [get](std::uintptr_t force) { return (force_at(force).*get)(); };
}

template <class Argument>
auto setting(void (MLIPForce::*set)(Argument)) {
    return [set](std::uintptr_t force, const std::decay_t<Argument>& value) {
        (force_at(force).*set)(value);
    };
}

}  // namespace

PYBIND11_MODULE(_bind, m) {
    // Kept until the process ends, as OpenMM's module is.
    static PyObject* exception =
        py::object(py::module_::import("openmm").attr("OpenMMException")).release().ptr();
    py::register_exception_translator([](std::exception_ptr pointer) {
        try {
            if (pointer) std::rethrow_exception(pointer);
        } catch (const OpenMM::OpenMMException& error) {
            PyErr_SetString(exception, error.what());
        }
    });

    m.attr("KJ_PER_MOL_PER_EV") = camlip_openmm::kJPerMolPerEV;
    m.attr("NM_PER_ANGSTROM") = camlip_openmm::nmPerAngstrom;

    m.def("is_mlip_force", [](std::uintptr_t force) { return cast(force) != nullptr; });
    m.def("get_model_file", getting(&MLIPForce::getModelFile));
    m.def("set_model_file", setting(&MLIPForce::setModelFile));
    m.def("get_model_sha256", getting(&MLIPForce::getModelSha256));
    m.def("set_model_sha256", setting(&MLIPForce::setModelSha256));
    m.def("get_particles", getting(&MLIPForce::getParticles));
    m.def("get_atomic_numbers", getting(&MLIPForce::getAtomicNumbers));
    m.def("set_atoms",
          [](std::uintptr_t force, const std::vector<int>& particles,
             const std::vector<int>& numbers) { force_at(force).setAtoms(particles, numbers); });
    m.def("get_bonds", getting(&MLIPForce::getBonds));
    m.def("set_bonds", setting(&MLIPForce::setBonds));
    m.def("set_periodic", setting(&MLIPForce::setUsesPeriodicBoundaryConditions));
    m.def("get_precision", getting(&MLIPForce::getPrecision));
    m.def("set_precision", setting(&MLIPForce::setPrecision));
    m.def("get_backend", getting(&MLIPForce::getBackend));
    m.def("set_backend", setting(&MLIPForce::setBackend));
    m.def("get_scale_parameter", getting(&MLIPForce::getScaleParameter));
    m.def("get_default_scale", getting(&MLIPForce::getDefaultScale));
    m.def("set_scale_parameter",
          [](std::uintptr_t force, const std::string& name, double default_value) {
              force_at(force).setScaleParameter(name, default_value);
          });
    m.def("get_computes_scale_derivative", getting(&MLIPForce::getComputesScaleDerivative));
    m.def("set_computes_scale_derivative", setting(&MLIPForce::setComputesScaleDerivative));
    m.def(
        "update_parameters_in_context",
        [](std::uintptr_t force, std::uintptr_t context) {
            force_at(force).updateParametersInContext(context_at(context));
        },
        py::call_guard<py::gil_scoped_release>());
    m.def(
        "get_atomic_energies",
        [](std::uintptr_t force, std::uintptr_t context) {
            return force_at(force).getAtomicEnergies(context_at(context));
        },
        py::call_guard<py::gil_scoped_release>());
    m.def("get_engine", [](std::uintptr_t force, std::uintptr_t context) {
        return force_at(force).getEngine(context_at(context));
    });
}
