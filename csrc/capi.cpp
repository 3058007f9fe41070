// SPDX-License-Identifier: MIT
// The C functions of camlip.h: structs of the caller's version in, exceptions to statuses out.
#include <memory>
#include <string>

#include "camlip.h"
#include "capi_support.hpp"
#include "engine.hpp"
#include "errors.hpp"
#include "model_file.hpp"
#include "neighbors.hpp"
#include "relax/relax.hpp"

#ifndef CAMLIP_VERSION_STRING
#define CAMLIP_VERSION_STRING "0.1.0"
#endif

struct camlip_engine {
    camlip_engine(const camlip::Model& model, const camlip::EngineOptions& options)
        : engine(model, options) {}
    camlip::Engine engine;
    camlip::BackendInfo info;  // keeps the strings of the last camlip_engine_get_info
};

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

camlip::System read_system(const camlip_system& s) {
    if (s.num_atoms < 0 || s.num_atoms > INT32_MAX)
        throw ArgumentError("system: num_atoms is " + std::to_string(s.num_atoms) +
                            ", expected 0 to 2^31");
    if (s.num_atoms > 0) require(s.positions, "positions");
    camlip::System system;
    system.num_atoms = s.num_atoms;
    system.positions = s.positions;
    system.cell = s.cell;
    for (std::size_t k = 0; k < 3; ++k) system.periodic[k] = s.periodic[k] != 0;
    return system;
}

camlip::RelaxOptions read_relax_options(const camlip_relax_options& o) {
    camlip::RelaxOptions options;
    if (o.optimizer != CAMLIP_LBFGS && o.optimizer != CAMLIP_FIRE)
        throw ArgumentError("optimizer: value " + std::to_string(static_cast<int>(o.optimizer)) +
                            ", expected CAMLIP_LBFGS or CAMLIP_FIRE");
    if (o.optimizer == CAMLIP_FIRE) options.optimizer = camlip::OptimizerKind::kFire;
    if (o.max_force != 0) options.max_force = o.max_force;
    options.max_stress = o.max_stress != 0 ? o.max_stress : options.max_force / 100;
    if (o.max_steps != 0) options.max_steps = std::max(o.max_steps, std::int64_t{0});
    camlip::EnthalpyOptions& e = options.enthalpy;
    if (o.max_step != 0) e.max_step = o.max_step;
    e.fixed = o.fixed;
    e.pressure = o.pressure;
    switch (o.cell_change) {
        case CAMLIP_CELL_FIXED: break;
        case CAMLIP_CELL_ISOTROPIC: e.cell_change = camlip::CellChange::kIsotropic; break;
        case CAMLIP_CELL_STRAIN: {
            e.cell_change = camlip::CellChange::kStrain;
            const bool any = std::any_of(o.strain, o.strain + 6, [](int s) { return s != 0; });
            for (std::size_t v = 0; v < 6; ++v) e.mask[v] = !any || o.strain[v] != 0;
            break;
        }
        default:
            throw ArgumentError("cell_change: value " +
                                std::to_string(static_cast<int>(o.cell_change)) +
                                ", expected a camlip_cell_change");
    }
    return options;
}

class CallbackObserver final : public camlip::RelaxObserver {
  public:
    explicit CallbackObserver(const camlip_relax_options& options, bool has_cell)
        : options_(options), has_cell_(has_cell) {}

    bool step(std::int64_t number, const camlip::Enthalpy& state) override {
        camlip_relax_step s{};
        s.struct_size = sizeof s;
        s.step = number;
        s.num_evaluations = state.num_evaluations();
        s.energy = state.energy();
        s.max_force = state.max_force();
        s.max_stress = state.max_stress();
        s.positions = state.positions().data();
        s.forces = state.forces().data();
        s.cell = has_cell_ ? state.cell().data() : nullptr;
        return options_.callback(options_.context, &s) == 0;
    }

  private:
    const camlip_relax_options& options_;
    bool has_cell_;
};

void fill_relax_result(const camlip::RelaxReport& report, const camlip::Enthalpy& state,
                       camlip_relax_result& r) {
    const std::size_t rows = 3 * state.num_atoms();
    if (rows > 0) std::copy_n(state.positions().data(), rows, r.positions);
    if (r.forces) std::copy_n(state.forces().data(), rows, r.forces);
    if (r.cell) std::copy_n(state.cell().data(), 9, r.cell);
    r.end = static_cast<camlip_relax_end>(report.end);
    r.num_steps = report.steps;
    r.num_evaluations = state.num_evaluations();
    r.start_energy = report.start_energy;
    r.energy = state.energy();
    r.max_force = state.max_force();
    r.max_stress = state.max_stress();
    r.atom = report.lost_atom;
    const camlip::Matrix3 stress = state.has_stress() ? state.stress() : camlip::Matrix3{};
    constexpr std::size_t kVoigt[6] = {0, 4, 8, 5, 2, 1};
    for (std::size_t v = 0; v < 6; ++v) r.stress[v] = stress[kVoigt[v]];
}

}  // namespace

extern "C" {

const char* camlip_last_error(void) { return last_error(); }
int camlip_abi_version(void) { return CAMLIP_ABI_VERSION; }
const char* camlip_version(void) { return CAMLIP_VERSION_STRING; }

camlip_status camlip_model_load(const char* path, camlip_model** model) {
    return guarded([&] {
        require(path, "path");
        require(model, "model");
        const std::vector<unsigned char> bytes = camlip::read_file(path);
        *model = new camlip_model{
            camlip::model_from_file(camlip::parse_model_file({bytes.data(), bytes.size()}, path))};
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
        write_struct(ours, info, "engine_info");
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
        std::unique_ptr<CallbackExchange> callbacks;
        if (exchange) {
            const camlip_exchange e = read_struct(exchange, "exchange");
            if (!e.forward || !e.reverse)
                throw ArgumentError("exchange: forward or reverse is null, expected both");
            callbacks = std::make_unique<CallbackExchange>(e);
        }
        engine->engine.compute(view, {n.offsets, n.indices, n.revision}, callbacks.get(), outputs);
    });
}

camlip_status camlip_compute_system(camlip_engine* engine, const camlip_system* system,
                                    camlip_results* results) {
    return guarded([&] {
        require(engine, "engine");
        const camlip_system s = read_struct(system, "system");
        const camlip::System view = read_system(s);
        if (s.num_atoms > 0) require(s.types, "types");
        engine->engine.compute_system(view, s.types, read_results(results));
    });
}

camlip_status camlip_relax(camlip_engine* engine, const camlip_system* system,
                           const camlip_relax_options* options, camlip_relax_result* result) {
    return guarded([&] {
        require(engine, "engine");
        const camlip_system s = read_struct(system, "system");
        const camlip_relax_options o = read_struct(options, "relax_options");
        camlip_relax_result r = read_struct(result, "relax_result");
        const camlip::System start = read_system(s);
        const camlip::RelaxOptions ours = read_relax_options(o);
        if (s.num_atoms > 0) {
            require(s.types, "types");
            require(r.positions, "result positions");
        }
        camlip::EnginePotential potential(engine->engine, start, s.types);
        camlip::Enthalpy state(potential, start, ours.enthalpy);
        if (o.cell_change != CAMLIP_CELL_FIXED) require(r.cell, "result cell");
        if (r.cell) require(s.cell, "cell");
        CallbackObserver observer(o, s.cell != nullptr);
        const camlip::RelaxReport report =
            camlip::relax(state, potential, ours, o.callback ? &observer : nullptr);
        fill_relax_result(report, state, r);
        write_struct(r, result, "relax_result");
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
