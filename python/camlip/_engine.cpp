// SPDX-License-Identifier: MIT
// camlip._engine: include/camlip.h for Python, and nothing more.  camlip/engine.py documents it.
//
// The GIL is released while the engine computes and taken back inside halo-exchange callbacks.
// An engine is for one thread at a time; a mutex per engine makes others wait.

#include <camlip.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "_relax.hpp"
#include "_support.hpp"
#include "_training.hpp"

namespace py = pybind11;

namespace {

using namespace camlip_python;

// ---- results ----------------------------------------------------------------------------

struct Wanted {
    bool energy = false, atomic_energies = false, forces = false, virial = false;
    bool centroid_virial = false;

    explicit Wanted(const std::vector<std::string>& names) {
        for (const std::string& name : names) {
            bool* flag = name == "energy"            ? &energy
                         : name == "atomic_energies" ? &atomic_energies
                         : name == "forces"          ? &forces
                         : name == "virial"          ? &virial
                         : name == "centroid_virial" ? &centroid_virial
                                                     : nullptr;
            require(flag != nullptr,
                    "properties: unknown '" + name +
                        "', expected energy, atomic_energies, forces, virial, centroid_virial");
            *flag = true;
        }
    }
};

// Arrays of zeros for what is wanted, and the pointers that the engine adds to.
struct Results {
    py::dict arrays;
    camlip_results raw = make<camlip_results>();

    Results() = default;
    Results(const Wanted& want, int64_t num_owned, int64_t num_all) {
        if (want.energy) raw.energy = zeros("energy", {});
        if (want.atomic_energies) raw.atomic_energies = zeros("atomic_energies", {num_owned});
        if (want.forces) raw.forces = zeros("forces", {num_all, 3});
        if (want.virial) raw.virial = zeros("virial", {3, 3});
        if (want.centroid_virial) raw.centroid_virial = zeros("centroid_virial", {num_all, 3, 3});
    }

    // Of a batch: a row for each system, or for each atom of all.
    static Results of_systems(const Wanted& want, int64_t num_systems, int64_t num_atoms) {
        Results r;
        if (want.energy) r.raw.energy = r.zeros("energy", {num_systems});
        if (want.atomic_energies) r.raw.atomic_energies = r.zeros("atomic_energies", {num_atoms});
        if (want.forces) r.raw.forces = r.zeros("forces", {num_atoms, 3});
        if (want.virial) r.raw.virial = r.zeros("virial", {num_systems, 3, 3});
        if (want.centroid_virial)
            r.raw.centroid_virial = r.zeros("centroid_virial", {num_atoms, 3, 3});
        return r;
    }

    double* zeros(const char* name, std::vector<py::ssize_t> shape) {
        py::array_t<double> array(std::move(shape));
        double* data = array.mutable_data();
        std::memset(data, 0, static_cast<size_t>(array.size()) * sizeof(double));
        arrays[name] = array;
        return data;
    }
};

// A system whose arrays outlive the call.
struct System {
    Doubles positions;
    Int32s types;
    std::optional<Doubles> cell;
    camlip_system raw = make<camlip_system>();

    System(Doubles positions_, Int32s types_, std::optional<Doubles> cell_,
           const std::vector<bool>& periodic)
        : positions(std::move(positions_)), types(std::move(types_)), cell(std::move(cell_)) {
        require_rows(positions, "positions");
        raw.num_atoms = positions.shape(0);
        require_length(types, "types", raw.num_atoms);
        require(periodic.size() == 3,
                "pbc: " + std::to_string(periodic.size()) + " values, expected 3");
        for (int i = 0; i < 3; ++i) {
            raw.periodic[i] = periodic[static_cast<size_t>(i)];
        }
        raw.positions = positions.data();
        raw.types = types.data();
        if (cell) {
            require(cell->ndim() == 2 && cell->shape(0) == 3 && cell->shape(1) == 3,
                    "cell: shape " + shape_text(*cell) + ", expected (3, 3)");
            raw.cell = cell->data();
        }
    }
};

// ---- halo exchange ----------------------------------------------------------------------

struct Exchange {
    py::object forward, reverse;
    int64_t rows;
    std::exception_ptr error;

    static int call(Exchange& self, const py::object& function, double* features, int32_t width) {
        py::gil_scoped_acquire acquire;
        try {
            const std::vector<py::ssize_t> shape{self.rows, width};
            // The capsule owns nothing; without a base object pybind11 would copy.
            py::capsule unowned(&self, [](void*) {});
            function(py::array_t<double>(shape, features, unowned));
            return 0;
        } catch (...) {
            self.error = std::current_exception();
            return 1;
        }
    }
    static int call_forward(void* context, double* features, int32_t width) {
        auto& self = *static_cast<Exchange*>(context);
        return call(self, self.forward, features, width);
    }
    static int call_reverse(void* context, double* features, int32_t width) {
        auto& self = *static_cast<Exchange*>(context);
        return call(self, self.reverse, features, width);
    }
};

// ---- engine -----------------------------------------------------------------------------

struct Engine {
    ModelHandle model;
    std::unique_ptr<camlip_engine, void (*)(camlip_engine*)> handle{nullptr, camlip_engine_free};
    std::mutex mutex;

    Engine(const Model& model_, const std::string& backend, const std::string& precision,
           int32_t threads, const std::optional<Int32s>& active_types, double skin,
           const std::string& simd)
        : model(model_.handle) {
        auto options = make<camlip_engine_options>();
        options.backend = backend.c_str();
        options.precision = precision.c_str();
        options.num_threads = threads;
        options.skin = skin;
        options.simd = simd.c_str();
        if (active_types) {
            options.num_active_types = static_cast<int32_t>(active_types->size());
            options.active_types = active_types->data();
        }
        camlip_engine* engine = nullptr;
        camlip_status status;
        {
            py::gil_scoped_release release;
            status = camlip_engine_create(model.get(), &options, &engine);
        }
        check(status);
        handle.reset(engine);
    }

    py::dict info() {
        auto info = make<camlip_engine_info>();
        camlip_status status;
        {
            py::gil_scoped_release release;
            std::lock_guard<std::mutex> lock(mutex);
            status = camlip_engine_get_info(handle.get(), &info);
        }
        check(status);
        py::dict result;
        result["backend"] = info.backend;
        result["precision"] = info.precision;
        result["simd"] = info.simd;
        result["num_threads"] = info.num_threads;
        result["radial_table_error"] = info.radial_table_error;
        result["radial_table_derivative_error"] = info.radial_table_derivative_error;
        result["memory_bytes"] = info.memory_bytes;
        return result;
    }

    py::dict estimate_memory(int64_t num_owned, int64_t num_ghost, bool periodic,
                             double neighbors_per_atom) {
        auto memory = make<camlip_memory_estimate>();
        memory.num_owned = num_owned;
        memory.num_ghost = num_ghost;
        memory.periodic = periodic;
        memory.neighbors_per_atom = neighbors_per_atom;
        camlip_status status;
        {
            py::gil_scoped_release release;
            std::lock_guard<std::mutex> lock(mutex);
            status = camlip_engine_estimate_memory(handle.get(), &memory);
        }
        check(status);
        py::dict result;
        result["needed_bytes"] = memory.needed_bytes;
        result["least_bytes"] = memory.least_bytes;
        result["available_bytes"] = memory.available_bytes;
        return result;
    }

    py::dict compute_system(Doubles positions, Int32s types, std::optional<Doubles> cell,
                            const std::vector<bool>& periodic,
                            const std::vector<std::string>& properties) {
        const System system(std::move(positions), std::move(types), std::move(cell), periodic);
        Results results(Wanted(properties), system.raw.num_atoms, system.raw.num_atoms);
        camlip_status status;
        {
            py::gil_scoped_release release;
            std::lock_guard<std::mutex> lock(mutex);
            status = camlip_compute_system(handle.get(), &system.raw, &results.raw);
        }
        check(status);
        return results.arrays;
    }

    py::dict compute_systems(const Doubles& positions, const Int32s& types, const Int64s& offsets,
                             const std::optional<Doubles>& cells,
                             const std::optional<Int32s>& periodic,
                             const std::vector<std::string>& properties) {
        require_rows(positions, "positions");
        const int64_t num_atoms = positions.shape(0);
        require_length(types, "types", num_atoms);
        require(offsets.ndim() == 1 && offsets.shape(0) > 0,
                "offsets: shape " + shape_text(offsets) + ", expected (S + 1,)");
        const int64_t num_systems = offsets.shape(0) - 1;
        require(offsets.at(num_systems) == num_atoms,
                "offsets: the last is " + std::to_string(offsets.at(num_systems)) + ", expected " +
                    std::to_string(num_atoms) + " atoms");
        auto batch = make<camlip_systems>();
        batch.num_systems = num_systems;
        batch.offsets = offsets.data();
        batch.positions = positions.data();
        batch.types = types.data();
        const std::string count = std::to_string(num_systems);
        if (cells) {
            require(cells->ndim() == 3 && cells->shape(0) == num_systems && cells->shape(1) == 3 &&
                        cells->shape(2) == 3,
                    "cells: shape " + shape_text(*cells) + ", expected (" + count + ", 3, 3)");
            batch.cells = cells->data();
        }
        if (periodic) {
            require(periodic->ndim() == 2 && periodic->shape(0) == num_systems &&
                        periodic->shape(1) == 3,
                    "pbc: shape " + shape_text(*periodic) + ", expected (" + count + ", 3)");
            batch.periodic = periodic->data();
        }
        Results results = Results::of_systems(Wanted(properties), num_systems, num_atoms);
        camlip_status status;
        {
            py::gil_scoped_release release;
            std::lock_guard<std::mutex> lock(mutex);
            status = camlip_compute_systems(handle.get(), &batch, &results.raw);
        }
        check(status);
        return results.arrays;
    }

    py::dict relax(Doubles positions, Int32s types, std::optional<Doubles> cell,
                   const std::vector<bool>& periodic, const py::dict& options,
                   const py::object& callback, double interval) {
        const System system(std::move(positions), std::move(types), std::move(cell), periodic);
        return relax_system(handle.get(), mutex, system.raw, options, callback, interval);
    }

    py::dict compute(const Doubles& positions, const Int32s& types, int64_t num_owned,
                     const Int64s& offsets, const Int32s& indices, py::object forward,
                     py::object reverse, const std::vector<std::string>& properties,
                     std::optional<uint64_t> revision) {
        require_rows(positions, "positions");
        const int64_t num_all = positions.shape(0);
        require_length(types, "types", num_all);
        require(num_owned >= 0 && num_owned <= num_all, "num_owned: " + std::to_string(num_owned) +
                                                            ", expected 0 to " +
                                                            std::to_string(num_all));
        require_length(offsets, "offsets", num_owned + 1);
        require_length(indices, "indices", offsets.at(num_owned));
        require(forward.is_none() == reverse.is_none(),
                "exchange: only one of forward and reverse is given, expected both or neither");

        // Every call without a revision is a list of its own.
        static std::atomic<uint64_t> next_revision{1u << 31};
        auto atoms = make<camlip_atoms>();
        atoms.memory = CAMLIP_HOST;
        atoms.num_owned = num_owned;
        atoms.num_ghost = num_all - num_owned;
        atoms.positions = positions.data();
        atoms.types = types.data();
        auto neighbors = make<camlip_neighbor_list>();
        neighbors.offsets = offsets.data();
        neighbors.indices = indices.data();
        neighbors.revision = revision ? *revision : next_revision++;
        Exchange state{std::move(forward), std::move(reverse), num_all, nullptr};
        auto exchange = make<camlip_exchange>();
        exchange.context = &state;
        exchange.forward = Exchange::call_forward;
        exchange.reverse = Exchange::call_reverse;
        const bool exchanging = !state.forward.is_none();

        Results results(Wanted(properties), num_owned, num_all);
        camlip_status status;
        {
            py::gil_scoped_release release;
            std::lock_guard<std::mutex> lock(mutex);
            status = camlip_compute(handle.get(), &atoms, &neighbors,
                                    exchanging ? &exchange : nullptr, &results.raw);
        }
        if (state.error) {
            std::rethrow_exception(state.error);
        }
        check(status);
        return results.arrays;
    }
};

// ---- neighbor list ----------------------------------------------------------------------

template <class T>
py::array_t<T> copy(const T* data, std::vector<py::ssize_t> shape) {
    py::array_t<T> array(std::move(shape));
    if (array.size() > 0) {
        std::memcpy(array.mutable_data(), data, static_cast<size_t>(array.size()) * sizeof(T));
    }
    return array;
}

struct Neighbors {
    std::unique_ptr<camlip_neighbors, void (*)(camlip_neighbors*)> handle{nullptr,
                                                                          camlip_neighbors_free};

    Neighbors(double cutoff, double skin) {
        camlip_neighbors* neighbors = nullptr;
        check(camlip_neighbors_create(cutoff, skin, &neighbors));
        handle.reset(neighbors);
    }

    py::dict update(Doubles positions, std::optional<Doubles> cell,
                    const std::vector<bool>& periodic) {
        Int32s types(positions.ndim() ? positions.shape(0) : 0);
        std::memset(types.mutable_data(), 0, static_cast<size_t>(types.nbytes()));
        const System system(std::move(positions), std::move(types), std::move(cell), periodic);
        check(camlip_neighbors_update(handle.get(), &system.raw));
        auto view = make<camlip_neighbors_view>();
        check(camlip_neighbors_get(handle.get(), &view));
        py::dict result;
        result["num_atoms"] = view.num_atoms;
        result["ghost_owner"] = copy(view.ghost_owner, {view.num_ghost});
        result["ghost_shift"] = copy(view.ghost_shift, {view.num_ghost, 3});
        result["positions"] = copy(view.positions, {view.num_atoms + view.num_ghost, 3});
        result["offsets"] = copy(view.offsets, {view.num_atoms + 1});
        result["indices"] = copy(view.indices, {view.offsets[view.num_atoms]});
        result["revision"] = view.revision;
        return result;
    }
};

}  // namespace

PYBIND11_MODULE(_engine, m) {
    m.doc() = "The engine API camlip.h; use camlip.engine instead.";
    m.attr("abi_version") = camlip_abi_version();
    m.attr("version") = camlip_version();
    m.def(
        "model_path",
        [](const std::string& name) {
            std::string path(name.size() + 4096, '\0');
            check(camlip_model_path(name.c_str(), path.data(), path.size()));
            return std::string(path.c_str());
        },
        py::arg("name"));
    m.def("num_devices", [] {
        int32_t count = 0;
        check(camlip_num_devices(&count));
        return count;
    });
    py::class_<Model>(m, "Model")
        .def(py::init(&Model::load), py::arg("path"))
        .def_static("from_bytes", &Model::from_bytes, py::arg("data"), py::arg("name"))
        .def("info", &Model::info);
    py::class_<Engine>(m, "Engine")
        .def(py::init<const Model&, const std::string&, const std::string&, int32_t,
                      const std::optional<Int32s>&, double, const std::string&>(),
             py::arg("model"), py::arg("backend"), py::arg("precision"), py::arg("threads"),
             py::arg("active_types"), py::arg("skin"), py::arg("simd"))
        .def("info", &Engine::info)
        .def("estimate_memory", &Engine::estimate_memory, py::arg("num_owned"),
             py::arg("num_ghost"), py::arg("periodic"), py::arg("neighbors_per_atom"))
        .def("compute_system", &Engine::compute_system, py::arg("positions"), py::arg("types"),
             py::arg("cell"), py::arg("pbc"), py::arg("properties"))
        .def("compute_systems", &Engine::compute_systems, py::arg("positions"), py::arg("types"),
             py::arg("offsets"), py::arg("cells"), py::arg("pbc"), py::arg("properties"))
        .def("relax", &Engine::relax, py::arg("positions"), py::arg("types"), py::arg("cell"),
             py::arg("pbc"), py::arg("options"), py::arg("callback"), py::arg("interval"))
        .def("compute", &Engine::compute, py::arg("positions"), py::arg("types"),
             py::arg("num_owned"), py::arg("offsets"), py::arg("indices"), py::arg("forward"),
             py::arg("reverse"), py::arg("properties"), py::arg("revision"));
    py::class_<Neighbors>(m, "Neighbors")
        .def(py::init<double, double>(), py::arg("cutoff"), py::arg("skin"))
        .def("update", &Neighbors::update, py::arg("positions"), py::arg("cell"), py::arg("pbc"));
    bind_training(m);
}
