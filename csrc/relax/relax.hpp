// SPDX-License-Identifier: MIT
// Relaxation of a structure: an optimizer makes the enthalpy small until the forces are.
#ifndef CAMLIP_RELAX_RELAX_HPP
#define CAMLIP_RELAX_RELAX_HPP

#include <cstdint>

#include "engine.hpp"
#include "relax/enthalpy.hpp"
#include "relax/objective.hpp"

namespace camlip {

enum class OptimizerKind { kLbfgs, kFire };

enum class RelaxEnd {
    kConverged,  // forces and stress are below the limits
    kSteps,      // the maximum number of steps
    kStopped,    // the observer said so
    kStalled,    // no better point was found: rounding, or a corner of the energy surface
    kDiverged    // an atom lost all neighbors, or the cell exploded or collapsed
};

// Told about the start and every step; stops the relaxation by returning false.
class RelaxObserver {
  public:
    virtual ~RelaxObserver() = default;
    virtual bool step(std::int64_t number, const Enthalpy& state) = 0;
};

struct RelaxOptions {
    OptimizerKind optimizer = OptimizerKind::kLbfgs;
    double max_force = 0.01;   // eV/A
    double max_stress = 1e-4;  // eV/A^3, when the cell changes
    std::int64_t max_steps = 1000;
    EnthalpyOptions enthalpy;
};

struct RelaxReport {
    RelaxEnd end = RelaxEnd::kSteps;
    std::int64_t steps = 0;
    double start_energy = 0;
    std::int64_t lost_atom = -1;  // for kDiverged; -1 = the cell
};

// Runs a relaxation; `state` was made with options.enthalpy and holds the result.
RelaxReport relax(Enthalpy& state, const Potential& potential, const RelaxOptions& options,
                  RelaxObserver* observer);

// The engine as a potential.  Views the caller's types.
class EnginePotential final : public Potential {
  public:
    EnginePotential(Engine& engine, const System& system, const std::int32_t* types);
    double compute(const double* positions, const double* cell, double* forces,
                   double* virial) override;
    std::int64_t lost_atom() const override { return lost_atom_; }

  private:
    void look_for_lost_atoms();

    Engine& engine_;
    System system_;
    const std::int32_t* types_;
    std::vector<std::int64_t> num_neighbors_;
    std::vector<bool> had_neighbors_;  // (N) in the first call
    std::uint64_t revision_ = 0;
    std::int64_t lost_atom_ = -1;
};

}  // namespace camlip

#endif
