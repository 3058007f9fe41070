// SPDX-License-Identifier: MIT
// The C functions of camlip.h: structs of the caller's version in, exceptions to statuses out.
#include <cstring>
#include <optional>
#include <string>

#include "camlip.h"
#include "capi_support.hpp"
#include "cuda_library.hpp"
#include "engine.hpp"
#include "errors.hpp"
#include "model_file.hpp"
#include "neighbors.hpp"
#include "pretrained.hpp"

#ifndef CAMLIP_VERSION_STRING
#define CAMLIP_VERSION_STRING "0.1.0"
#endif

struct camlip_neighbors {
    camlip::Neighbors neighbors;
};

namespace {

using camlip::ArgumentError;
using namespace camlip::capi;

class CallbackExchange final : public camlip::Exchange {
  public:
    explicit CallbackExchange(const camlip_exchange& callbacks) : callbacks_(callbacks) {}

    void forward(double* features, int width) override {
        check(callbacks_.forward(callbacks_.context, features, width), "forward");
    }
    void reverse(double* features, int width) override {
        check(callbacks_.reverse(callbacks_.context, features, width), "reverse");
    }

  private:
    static void check(int code, const char* name) {
        if (code != 0)
            throw camlip::ExchangeError(std::string("exchange: callback '") + name + "' returned " +
                                        std::to_string(code));
    }

    camlip_exchange callbacks_;
};

camlip::Outputs read_results(const camlip_results* given) {
    const camlip_results r = read_struct(given, "results");
    camlip::Outputs outputs;
    outputs.energy = r.energy;
    outputs.atomic_energies = r.atomic_energies;
    outputs.forces = r.forces;
    outputs.virial = r.virial;
    outputs.centroid_virial = r.centroid_virial;
    return outputs;
}

}  // namespace

extern "C" {

const char* camlip_last_error(void) { return last_error(); }
int camlip_abi_version(void) { return CAMLIP_ABI_VERSION; }
const char* camlip_version(void) { return CAMLIP_VERSION_STRING; }

camlip_status camlip_model_path(const char* name, char* path, size_t size) {
    return guarded([&] {
        require(name, "name");
        require(path, "path");
        const std::string found = camlip::pretrained_path(name);
        if (found.size() >= size)
            throw camlip::ArgumentError("path: buffer of " + std::to_string(size) +
                                        " bytes, expected at least " +
                                        std::to_string(found.size() + 1));
        std::memcpy(path, found.c_str(), found.size() + 1);
    });
}

camlip_status camlip_model_load(const char* path, camlip_model** model) {
    return guarded([&] {
        require(path, "path");
        require(model, "model");
        const std::string file = camlip::pretrained_path(path);
        const std::vector<unsigned char> bytes = camlip::read_file(file);
        *model = new camlip_model{
            camlip::model_from_file(camlip::parse_model_file({bytes.data(), bytes.size()}, file))};
    });
}

camlip_status camlip_model_load_memory(const void* bytes, size_t num_bytes, const char* name,
                                       camlip_model** model) {
    return guarded([&] {
        require(bytes, "bytes");
        require(model, "model");
        const camlip::Bytes view = {static_cast<const unsigned char*>(bytes), num_bytes};
        *model = new camlip_model{
            camlip::model_from_file(camlip::parse_model_file(view, text_or(name, "memory")))};
    });
}

camlip_status camlip_model_get_info(const camlip_model* model, camlip_model_info* info) {
    return guarded([&] {
        require(model, "model");
        require(info, "info");
        static_assert(sizeof(int) == sizeof(std::int32_t),
                      "atomic_numbers are handed out as int32");
        camlip_model_info ours{};
        ours.cutoff = model->model.config.cutoff;
        ours.num_types = model->model.num_types();
        ours.num_layers = model->model.config.num_layers;
        ours.exchange_width = model->model.config.exchange_width();
        ours.atomic_numbers = model->model.atomic_numbers.data();
        ours.metadata_json = model->model.metadata_json.c_str();
        write_struct(ours, info, "model_info");
    });
}

void camlip_model_free(camlip_model* model) { delete model; }

camlip_status camlip_num_devices(int32_t* count) {
    return guarded([&] {
        require(count, "count");
        *count = camlip::num_cuda_devices();
    });
}

camlip_status camlip_engine_create(const camlip_model* model, const camlip_engine_options* options,
                                   camlip_engine** engine) {
    return guarded([&] {
        require(model, "model");
        require(engine, "engine");
        *engine = new camlip_engine(model->model, read_options(options));
    });
}

camlip_status camlip_engine_get_info(const camlip_engine* engine, camlip_engine_info* info) {
    return guarded([&] {
        require(engine, "engine");
        require(info, "info");
        auto* self = const_cast<camlip_engine*>(engine);  // its own strings
        self->info = self->engine.info();
        camlip_engine_info ours{};
        ours.backend = engine->engine.backend_name().c_str();
        ours.precision = engine->info.precision.c_str();
        ours.simd = engine->info.simd.c_str();
        ours.num_threads = engine->info.num_threads;
        ours.radial_table_error = engine->info.radial_table_error;
        ours.radial_table_derivative_error = engine->info.radial_table_derivative_error;
        ours.memory_bytes = engine->info.memory_bytes;
        ours.makes_lists = engine->engine.makes_lists() ? 1 : 0;
        write_struct(ours, info, "engine_info");
    });
}

camlip_status camlip_engine_estimate_memory(const camlip_engine* engine,
                                            camlip_memory_estimate* memory) {
    return guarded([&] {
        require(engine, "engine");
        camlip_memory_estimate ours = read_struct(memory, "memory_estimate");
        const camlip::MemoryEstimate found = engine->engine.estimate_memory(
            ours.num_owned, ours.num_ghost, ours.periodic != 0, ours.neighbors_per_atom);
        ours.needed_bytes = found.needed;
        ours.least_bytes = found.least;
        ours.available_bytes = found.available;
        write_struct(ours, memory, "memory_estimate");
    });
}

void camlip_engine_free(camlip_engine* engine) { delete engine; }

camlip_status camlip_compute(camlip_engine* engine, const camlip_atoms* atoms,
                             const camlip_neighbor_list* neighbors, const camlip_exchange* exchange,
                             camlip_results* results) {
    return guarded([&] {
        require(engine, "engine");
        const camlip_atoms a = read_struct(atoms, "atoms");
        const camlip_neighbor_list n = read_struct(neighbors, "neighbor_list");
        const camlip::Outputs outputs = read_results(results);
        camlip::Atoms view;
        view.num_owned = a.num_owned;
        view.num_ghost = a.num_ghost;
        view.positions = a.positions;
        view.types = a.types;
        view.on_device = a.memory == CAMLIP_DEVICE;
        view.stream = a.stream;
        std::optional<CallbackExchange> callbacks;
        if (exchange) {
            const camlip_exchange e = read_struct(exchange, "exchange");
            if (!e.forward || !e.reverse)
                throw ArgumentError("exchange: forward or reverse is null, expected both");
            callbacks.emplace(e);
            view.boundary = e.boundary;
            view.num_boundary = e.boundary ? e.num_boundary : 0;
        }
        engine->engine.compute(view, {n.offsets, n.indices, n.revision, n.radius},
                               callbacks ? &*callbacks : nullptr, outputs);
    });
}

camlip_status camlip_compute_system(camlip_engine* engine, const camlip_system* system,
                                    camlip_results* results) {
    return guarded([&] {
        require(engine, "engine");
        const camlip_system s = read_struct(system, "system");
        const camlip::System view = read_system(s);
        if (s.num_atoms > 0) require(s.types, "types");
        if (s.memory == CAMLIP_DEVICE)
            engine->engine.compute_system_on_device(view, s.types, s.stream, read_results(results));
        else
            engine->engine.compute_system(view, s.types, read_results(results));
    });
}

camlip_status camlip_compute_systems(camlip_engine* engine, const camlip_systems* systems,
                                     camlip_results* results) {
    return guarded([&] {
        require(engine, "engine");
        const camlip_systems b = read_struct(systems, "systems");
        if (b.num_systems < 0)
            throw ArgumentError("systems: num_systems is " + std::to_string(b.num_systems) +
                                ", expected at least 0");
        if (b.num_systems > 0) require(b.offsets, "offsets");
        engine->engine.compute_systems(
            {b.num_systems, b.offsets, b.positions, b.types, b.cells, b.periodic},
            read_results(results));
    });
}

camlip_status camlip_neighbors_create(double cutoff, double skin, camlip_neighbors** neighbors) {
    return guarded([&] {
        require(neighbors, "neighbors");
        *neighbors = new camlip_neighbors{camlip::Neighbors(cutoff, skin, false, 0)};
    });
}

camlip_status camlip_neighbors_update(camlip_neighbors* neighbors, const camlip_system* system) {
    return guarded([&] {
        require(neighbors, "neighbors");
        neighbors->neighbors.update(read_system(read_struct(system, "system")));
    });
}

camlip_status camlip_neighbors_get(const camlip_neighbors* neighbors, camlip_neighbors_view* view) {
    return guarded([&] {
        require(neighbors, "neighbors");
        require(view, "view");
        const camlip::Neighbors& list = neighbors->neighbors;
        if (!list.valid())
            throw ArgumentError(
                "neighbors: no list yet, expected a camlip_neighbors_update before");
        camlip_neighbors_view ours{};
        ours.num_atoms = list.num_atoms();
        ours.num_ghost = list.num_ghost();
        ours.ghost_owner = list.ghost_owner().data();
        ours.ghost_shift = list.ghost_shift().data();
        ours.positions = list.positions().data();
        ours.offsets = list.offsets().data();
        ours.indices = list.indices().data();
        ours.revision = list.revision();
        write_struct(ours, view, "neighbors_view");
    });
}

void camlip_neighbors_free(camlip_neighbors* neighbors) { delete neighbors; }

}  // extern "C"
