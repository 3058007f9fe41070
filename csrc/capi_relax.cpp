// SPDX-License-Identifier: MIT
// The C function of relaxations.
#include <algorithm>
#include <string>

#include "camlip.h"
#include "capi_support.hpp"
#include "relax/relax.hpp"

using namespace camlip::capi;
using camlip::ArgumentError;

namespace {

camlip::RelaxOptions read_relax_options(const camlip_relax_options& o) {
    camlip::RelaxOptions options;
    if (o.optimizer != CAMLIP_LBFGS && o.optimizer != CAMLIP_FIRE)
        throw ArgumentError("optimizer: value " + std::to_string(o.optimizer) +
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
            throw ArgumentError("cell_change: value " + std::to_string(o.cell_change) +
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

}  // extern "C"
