// SPDX-License-Identifier: MIT
#include "_relax.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "_support.hpp"

namespace py = pybind11;

namespace {

using namespace camlip_python;

using Clock = std::chrono::steady_clock;
using Flags = py::array_t<uint8_t, py::array::c_style | py::array::forcecast>;

// How often Python looks for Ctrl-C when nobody watches the steps.
constexpr double kSignalInterval = 0.1;  // seconds

py::array_t<double> rows(const double* data, int64_t count) {
    py::array_t<double> array({static_cast<py::ssize_t>(count), py::ssize_t{3}});
    if (count > 0)
        std::memcpy(array.mutable_data(), data, static_cast<size_t>(count) * 3 * sizeof(double));
    return array;
}

// Calls Python now and then; an exception there stops the relaxation.
struct Observer {
    py::object callback;  // None: signals alone
    double interval;
    int64_t num_atoms;
    Clock::time_point last = Clock::now();
    std::exception_ptr error;

    static int call(void* context, const camlip_relax_step* step) {
        auto& self = *static_cast<Observer*>(context);
        const Clock::time_point now = Clock::now();
        const double waited = std::chrono::duration<double>(now - self.last).count();
        if (self.interval > 0 && waited < self.interval && step->step > 0) return 0;
        self.last = now;
        py::gil_scoped_acquire acquire;
        try {
            if (PyErr_CheckSignals() != 0) throw py::error_already_set();
            if (self.callback.is_none()) return 0;
            py::dict state;
            state["step"] = step->step;
            state["num_evaluations"] = step->num_evaluations;
            state["energy"] = step->energy;
            state["max_force"] = step->max_force;
            state["max_stress"] = step->max_stress;
            state["positions"] = rows(step->positions, self.num_atoms);
            state["forces"] = rows(step->forces, self.num_atoms);
            state["cell"] = step->cell ? py::object(rows(step->cell, 3)) : py::none();
            return py::bool_(self.callback(state)) ? 1 : 0;
        } catch (...) {
            self.error = std::current_exception();
            return 1;
        }
    }
};

}  // namespace

py::dict relax_system(camlip_engine* engine, std::mutex& mutex, const camlip_system& system,
                      const py::dict& given, const py::object& callback, double interval) {
    auto options = make<camlip_relax_options>();
    options.optimizer = given["optimizer"].cast<int32_t>();
    options.max_force = given["max_force"].cast<double>();
    options.max_stress = given["max_stress"].cast<double>();
    options.max_steps = given["max_steps"].cast<int64_t>();
    options.max_step = given["max_step"].cast<double>();
    options.pressure = given["pressure"].cast<double>();
    options.cell_change = given["cell_change"].cast<int32_t>();
    const auto strain = given["strain"].cast<std::array<bool, 6>>();
    std::copy(strain.begin(), strain.end(), options.strain);
    const auto fixed = given["fixed"].cast<std::optional<Flags>>();
    if (fixed) options.fixed = fixed->data();

    Observer observer{callback, interval, system.num_atoms, Clock::now(), nullptr};
    if (callback.is_none()) observer.interval = kSignalInterval;
    options.context = &observer;
    options.callback = Observer::call;

    auto result = make<camlip_relax_result>();
    py::array_t<double> positions({static_cast<py::ssize_t>(system.num_atoms), py::ssize_t{3}});
    py::array_t<double> forces({static_cast<py::ssize_t>(system.num_atoms), py::ssize_t{3}});
    py::array_t<double> cell({3, 3});
    result.positions = positions.mutable_data();
    result.forces = forces.mutable_data();
    if (system.cell) result.cell = cell.mutable_data();
    camlip_status status;
    {
        py::gil_scoped_release release;
        std::lock_guard<std::mutex> lock(mutex);
        status = camlip_relax(engine, &system, &options, &result);
    }
    if (observer.error) std::rethrow_exception(observer.error);
    check(status);

    py::dict found;
    found["positions"] = positions;
    found["forces"] = forces;
    found["cell"] = system.cell ? py::object(cell) : py::none();
    found["end"] = static_cast<int>(result.end);
    found["num_steps"] = result.num_steps;
    found["num_evaluations"] = result.num_evaluations;
    found["start_energy"] = result.start_energy;
    found["energy"] = result.energy;
    found["max_force"] = result.max_force;
    found["max_stress"] = result.max_stress;
    found["stress"] = py::array_t<double>(6, result.stress);
    found["atom"] = result.atom;
    return found;
}
