// SPDX-License-Identifier: MIT
#include "relax/relax.hpp"

#include <algorithm>
#include <memory>
#include <string>

#include "errors.hpp"
#include "relax/fire.hpp"
#include "relax/lbfgs.hpp"

namespace camlip {
namespace {

// A cell that changes its volume by more than this is not relaxing.
constexpr double kMaxVolumeRatio = 8;

void check(const RelaxOptions& o) {
    const auto positive = [](double value, const char* name, const char* unit) {
        if (!(value > 0))
            throw ArgumentError(std::string(name) + ": value " + std::to_string(value) +
                                ", expected a positive number of " + unit);
    };
    positive(o.max_force, "max_force", "eV/A");
    positive(o.max_stress, "max_stress", "eV/A^3");
    positive(o.enthalpy.max_step, "max_step", "Angstrom");
    if (o.max_steps < 0)
        throw ArgumentError("max_steps: value " + std::to_string(o.max_steps) +
                            ", expected at least 0");
}

bool has_diverged(const Enthalpy& state, const Potential& potential, RelaxReport& report) {
    const double ratio = state.has_stress() ? state.volume() / state.start_volume() : 1;
    if (!(ratio < kMaxVolumeRatio && ratio > 1 / kMaxVolumeRatio)) return true;
    report.lost_atom = potential.lost_atom();
    return report.lost_atom >= 0;
}

}  // namespace

RelaxReport relax(Enthalpy& state, const Potential& potential, const RelaxOptions& options,
                  RelaxObserver* observer) {
    check(options);
    std::unique_ptr<Optimizer> optimizer;
    if (options.optimizer == OptimizerKind::kFire)
        optimizer = std::make_unique<Fire>(state.size());
    else
        optimizer = std::make_unique<Lbfgs>(state.size());

    Point point;
    point.x = state.start();
    point.gradient.resize(point.x.size());
    point.value = state.evaluate(point.x.data(), point.gradient.data());
    RelaxReport report;
    report.start_energy = state.energy();
    for (;; ++report.steps) {
        const bool go_on = !observer || observer->step(report.steps, state);
        if (has_diverged(state, potential, report)) {
            report.end = RelaxEnd::kDiverged;
            return report;
        }
        if (state.max_force() <= options.max_force && state.max_stress() <= options.max_stress) {
            report.end = RelaxEnd::kConverged;
            return report;
        }
        if (!go_on) {
            report.end = RelaxEnd::kStopped;
            return report;
        }
        if (report.steps == options.max_steps) {
            report.end = RelaxEnd::kSteps;
            return report;
        }
        if (!optimizer->step(state, point)) {
            report.end = RelaxEnd::kStalled;
            return report;
        }
    }
}

EnginePotential::EnginePotential(Engine& engine, const System& system, const std::int32_t* types)
    : engine_(engine), system_(system), types_(types) {}

double EnginePotential::compute(const double* positions, const double* cell, double* forces,
                                double* virial) {
    system_.positions = positions;
    system_.cell = cell;
    std::fill_n(forces, 3 * system_.num_atoms, 0.0);
    if (virial) std::fill_n(virial, 9, 0.0);
    double energy = 0;
    Outputs outputs;
    outputs.energy = &energy;
    outputs.forces = forces;
    outputs.virial = virial;
    engine_.compute_system(system_, types_, outputs);
    if (engine_.list_revision() != revision_) look_for_lost_atoms();
    return energy;
}

void EnginePotential::look_for_lost_atoms() {
    revision_ = engine_.list_revision();
    engine_.count_neighbors(num_neighbors_);
    const auto has_neighbors = [&](std::int64_t i) {
        return num_neighbors_[static_cast<std::size_t>(i)] > 0;
    };
    const bool first = had_neighbors_.empty();
    lost_atom_ = -1;
    for (std::int64_t i = 0; i < system_.num_atoms; ++i) {
        if (first) had_neighbors_.push_back(has_neighbors(i));
        if (lost_atom_ < 0 && had_neighbors_[static_cast<std::size_t>(i)] && !has_neighbors(i))
            lost_atom_ = i;
    }
}

}  // namespace camlip
