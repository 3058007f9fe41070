// SPDX-License-Identifier: MIT
// The training part of camlip.h for Python; camlip/train/engine.py documents it.
#include "_training.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "_support.hpp"

namespace {

using namespace camlip_python;

struct Batch {
    std::unique_ptr<camlip_batch, void (*)(camlip_batch*)> handle{nullptr, camlip_batch_free};
    int64_t num_structures = 0, num_atoms = 0;
};

std::unique_ptr<Batch> join(const std::vector<const Batch*>& parts) {
    auto batch = std::make_unique<Batch>();
    std::vector<const camlip_batch*> handles;
    for (const Batch* part : parts) {
        require(part != nullptr, "parts: found None, expected batches");
        handles.push_back(part->handle.get());
        batch->num_structures += part->num_structures;
        batch->num_atoms += part->num_atoms;
    }
    camlip_batch* made = nullptr;
    camlip_status status;
    {
        py::gil_scoped_release release;
        status = camlip_batch_join(handles.data(), static_cast<int64_t>(handles.size()), &made);
    }
    check(status);
    batch->handle.reset(made);
    return batch;
}

std::unique_ptr<Batch> doubled(const Batch& single) {
    auto batch = std::make_unique<Batch>();
    batch->num_structures = 2 * single.num_structures;
    batch->num_atoms = 2 * single.num_atoms;
    camlip_batch* made = nullptr;
    check(camlip_batch_double(single.handle.get(), &made));
    batch->handle.reset(made);
    return batch;
}

struct Trainer {
    ModelHandle model;
    std::unique_ptr<camlip_trainer, void (*)(camlip_trainer*)> handle{nullptr, camlip_trainer_free};
    std::mutex mutex;
    int64_t num_parameters = 0;

    Trainer(const Model& given, const std::string& backend, const std::string& precision,
            int32_t threads, const std::string& simd)
        : model(given.handle) {
        auto options = make<camlip_engine_options>();
        options.backend = backend.c_str();
        options.precision = precision.c_str();
        options.num_threads = threads;
        options.skin = -1;
        options.simd = simd.c_str();
        camlip_trainer* trainer = nullptr;
        camlip_status status;
        {
            py::gil_scoped_release release;
            status = camlip_trainer_create(model.get(), &options, &trainer);
        }
        check(status);
        handle.reset(trainer);
        for (const auto& entry : tensors()) num_parameters = entry.second;
    }

    // Names and offsets; the last name is empty and its offset the number of parameters.
    std::vector<std::pair<std::string, int64_t>> tensors() const {
        std::vector<std::pair<std::string, int64_t>> list;
        const char* name = "";
        for (int64_t index = 0; name; ++index) {
            int64_t offset = 0;
            check(camlip_trainer_get_tensor(handle.get(), index, &name, &offset));
            list.emplace_back(name ? name : "", offset);
        }
        return list;
    }

    Doubles parameters() const {
        Doubles values(num_parameters);
        check(camlip_trainer_get_parameters(handle.get(), values.mutable_data()));
        return values;
    }

    void set_parameters(const Doubles& values) {
        require_length(values, "values", num_parameters);
        camlip_status status;
        {
            py::gil_scoped_release release;
            std::lock_guard<std::mutex> lock(mutex);
            status = camlip_trainer_set_parameters(handle.get(), values.data());
        }
        check(status);
    }

    std::unique_ptr<Batch> batch(const Int64s& num_atoms, const Doubles& positions,
                                 const Int32s& types, const Doubles& cells, const Int32s& centers,
                                 const Int32s& neighbors, const Int32s& shifts) const {
        auto batch = std::make_unique<Batch>();
        require(num_atoms.ndim() == 1,
                "num_atoms: shape " + shape_text(num_atoms) + ", expected (S)");
        batch->num_structures = num_atoms.shape(0);
        for (int64_t k = 0; k < batch->num_structures; ++k) batch->num_atoms += num_atoms.at(k);
        require_length(types, "types", batch->num_atoms);
        const int64_t num_edges = centers.size();
        require_length(centers, "centers", num_edges);
        require_length(neighbors, "neighbors", num_edges);
        require_size(positions, "positions", 3 * batch->num_atoms);
        require_size(cells, "cells", 9 * batch->num_structures);
        require_size(shifts, "shifts", 3 * num_edges);
        auto structures = make<camlip_structures>();
        structures.num_structures = batch->num_structures;
        structures.num_edges = num_edges;
        structures.num_atoms = num_atoms.data();
        structures.positions = positions.data();
        structures.types = types.data();
        structures.cells = cells.data();
        structures.centers = centers.data();
        structures.neighbors = neighbors.data();
        structures.shifts = shifts.data();
        camlip_batch* made = nullptr;
        check(camlip_batch_create(handle.get(), &structures, &made));
        batch->handle.reset(made);
        return batch;
    }

    py::dict compute(const Batch& batch, const std::optional<Doubles>& displacements,
                     const std::optional<Doubles>& strains, const std::optional<Doubles>& seeds,
                     const std::vector<std::string>& wanted) {
        auto point = make<camlip_training_point>();
        if (displacements) {
            require_size(*displacements, "displacements", 3 * batch.num_atoms);
            point.displacements = displacements->data();
        }
        if (strains) {
            require_size(*strains, "strains", 9 * batch.num_structures);
            point.strains = strains->data();
        }
        if (seeds) {
            require_size(*seeds, "seeds", batch.num_structures);
            point.seeds = seeds->data();
        }
        auto results = make<camlip_training_results>();
        py::dict arrays;
        for (const std::string& name : wanted) {
            if (name == "energies") {
                results.energies = add(arrays, "energies", {batch.num_structures});
            } else if (name == "forces") {
                results.forces = add(arrays, "forces", {batch.num_atoms, 3});
            } else if (name == "virials") {
                results.virials = add(arrays, "virials", {batch.num_structures, 3, 3});
            } else if (name == "gradient") {
                results.gradient = add(arrays, "gradient", {num_parameters});
            } else {
                require(false, "wanted: unknown '" + name +
                                   "', expected energies, forces, virials, gradient");
            }
        }
        camlip_status status;
        {
            py::gil_scoped_release release;
            std::lock_guard<std::mutex> lock(mutex);
            status = camlip_trainer_compute(handle.get(), batch.handle.get(), &point, &results);
        }
        check(status);
        return arrays;
    }

  private:
    static void require_size(const py::array& array, const char* name, int64_t size) {
        require(array.size() == size, std::string(name) + ": shape " + shape_text(array) +
                                          ", expected " + std::to_string(size) + " numbers");
    }

    // A new array of zeros; `gradient` is added to.
    static double* add(py::dict& arrays, const char* name, std::vector<py::ssize_t> shape) {
        Doubles array(std::move(shape));
        std::memset(array.mutable_data(), 0, static_cast<size_t>(array.nbytes()));
        arrays[name] = array;
        return array.mutable_data();
    }
};

}  // namespace

void bind_training(py::module_& m) {
    py::class_<Batch>(m, "Batch")
        .def_static("join", &join, py::arg("parts"))
        .def("doubled", &doubled)
        .def_readonly("num_structures", &Batch::num_structures)
        .def_readonly("num_atoms", &Batch::num_atoms);
    py::class_<Trainer>(m, "Trainer")
        .def(py::init<const Model&, const std::string&, const std::string&, int32_t,
                      const std::string&>(),
             py::arg("model"), py::arg("backend"), py::arg("precision"), py::arg("threads"),
             py::arg("simd"))
        .def("tensors", &Trainer::tensors)
        .def("parameters", &Trainer::parameters)
        .def("set_parameters", &Trainer::set_parameters, py::arg("values"))
        .def("batch", &Trainer::batch, py::arg("num_atoms"), py::arg("positions"), py::arg("types"),
             py::arg("cells"), py::arg("centers"), py::arg("neighbors"), py::arg("shifts"))
        .def("compute", &Trainer::compute, py::arg("batch"), py::arg("displacements"),
             py::arg("strains"), py::arg("seeds"), py::arg("wanted"));
}
