// SPDX-License-Identifier: MIT
// The C functions of training.
#include <memory>
#include <string>
#include <vector>

#include "camlip.h"
#include "capi_support.hpp"
#include "parameters.hpp"
#include "training/batch.hpp"
#include "training/trainer.hpp"

struct camlip_trainer {
    camlip_trainer(const camlip::Model& model, const camlip::EngineOptions& options)
        : trainer(model, options), layout(camlip::parameter_layout(trainer.model())) {}
    camlip::Trainer trainer;
    std::vector<camlip::ParameterEntry> layout;
};

struct camlip_batch {
    camlip::TrainingBatch batch;
};

using namespace camlip::capi;

extern "C" {

camlip_status camlip_trainer_create(const camlip_model* model, const camlip_engine_options* options,
                                    camlip_trainer** trainer) {
    return guarded([&] {
        require(model, "model");
        require(trainer, "trainer");
        *trainer = nullptr;
        *trainer = new camlip_trainer(model->model, read_options(options));
    });
}

void camlip_trainer_free(camlip_trainer* trainer) { delete trainer; }

camlip_status camlip_trainer_get_tensor(const camlip_trainer* trainer, int64_t index,
                                        const char** name, int64_t* offset) {
    return guarded([&] {
        require(trainer, "trainer");
        require(name, "name");
        require(offset, "offset");
        const auto& layout = trainer->layout;
        if (index < 0 || index > static_cast<int64_t>(layout.size()))
            throw camlip::ArgumentError("index: value " + std::to_string(index) +
                                        ", expected 0 to " + std::to_string(layout.size()));
        const auto n = static_cast<std::size_t>(index);
        const bool end = n == layout.size();
        *name = end ? nullptr : layout[n].name.c_str();
        *offset = static_cast<int64_t>(end ? camlip::num_parameters(trainer->trainer.model())
                                           : layout[n].offset);
    });
}

camlip_status camlip_trainer_get_parameters(const camlip_trainer* trainer, double* values) {
    return guarded([&] {
        require(trainer, "trainer");
        require(values, "values");
        camlip::get_parameters(trainer->trainer.model(), values);
    });
}

camlip_status camlip_trainer_set_parameters(camlip_trainer* trainer, const double* values) {
    return guarded([&] {
        require(trainer, "trainer");
        require(values, "values");
        trainer->trainer.set_parameters(values);
    });
}

camlip_status camlip_batch_create(const camlip_trainer* trainer,
                                  const camlip_structures* structures, camlip_batch** batch) {
    return guarded([&] {
        require(trainer, "trainer");
        require(batch, "batch");
        *batch = nullptr;
        const camlip_structures s = read_struct(structures, "structures");
        if (s.num_structures < 0 || s.num_edges < 0)
            throw camlip::ArgumentError("structures: " + std::to_string(s.num_structures) +
                                        " structures with " + std::to_string(s.num_edges) +
                                        " edges, expected no negative number");
        if (s.num_structures > 0) {
            require(s.num_atoms, "num_atoms");
            require(s.positions, "positions");
            require(s.types, "types");
            require(s.cells, "cells");
        }
        if (s.num_edges > 0) {
            require(s.centers, "centers");
            require(s.neighbors, "neighbors");
            require(s.shifts, "shifts");
        }
        const camlip::BatchView view = {s.num_structures, s.num_edges, s.num_atoms,
                                        s.positions,      s.types,     s.cells,
                                        s.centers,        s.neighbors, s.shifts};
        *batch =
            new camlip_batch{camlip::TrainingBatch(view, trainer->trainer.model().num_types())};
    });
}

camlip_status camlip_batch_join(const camlip_batch* const* parts, int64_t num_parts,
                                camlip_batch** batch) {
    return guarded([&] {
        require(batch, "batch");
        *batch = nullptr;
        if (num_parts < 0)
            throw camlip::ArgumentError("num_parts: value " + std::to_string(num_parts) +
                                        ", expected no negative number");
        if (num_parts > 0) require(parts, "parts");
        std::vector<const camlip::TrainingBatch*> list;
        for (int64_t n = 0; n < num_parts; ++n) {
            require(parts[n], "parts[n]");
            list.push_back(&parts[n]->batch);
        }
        *batch = new camlip_batch{camlip::TrainingBatch(list)};
    });
}

camlip_status camlip_batch_double(const camlip_batch* single, camlip_batch** batch) {
    return guarded([&] {
        require(single, "single");
        require(batch, "batch");
        *batch = nullptr;
        *batch = new camlip_batch{single->batch.doubled()};
    });
}

void camlip_batch_free(camlip_batch* batch) { delete batch; }

camlip_status camlip_trainer_compute(camlip_trainer* trainer, const camlip_batch* batch,
                                     const camlip_training_point* point,
                                     camlip_training_results* results) {
    return guarded([&] {
        require(trainer, "trainer");
        require(batch, "batch");
        camlip::TrainingPoint at;
        if (point) {
            const camlip_training_point p = read_struct(point, "training_point");
            at = {p.displacements, p.strains, p.seeds};
        }
        const camlip_training_results r = read_struct(results, "training_results");
        trainer->trainer.compute(batch->batch, at, {r.energies, r.forces, r.virials, r.gradient});
    });
}

}  // extern "C"
