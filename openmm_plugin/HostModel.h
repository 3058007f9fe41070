// SPDX-License-Identifier: MIT
// Model and engine of one MLIPForce, for positions in host memory: gathers the atoms of the model,
// converts units, calls camlip.h, and adds what it returns.
#ifndef CAMLIP_OPENMM_HOST_MODEL_H
#define CAMLIP_OPENMM_HOST_MODEL_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "MLIPForce.h"
#include "camlip.h"
#include "openmm/System.h"
#include "openmm/Vec3.h"
#include "openmm/internal/ContextImpl.h"

namespace camlip_openmm {

class CAMLIP_OPENMM_EXPORT HostModel {
  public:
    // num_threads: 0 = what OpenMP would use.  Throws OpenMMException if the file cannot be used,
    // does not know an element, or if the atoms do not fit the System.
    HostModel(const OpenMM::System& system, const MLIPForce& force, int num_threads);
    // The same with changed parameters; what did not change is kept.
    void update(const OpenMM::System& system, const MLIPForce& force);

    // Value of the scale parameter, 1 if there is none.
    double scale(OpenMM::ContextImpl& context) const;
    const std::string& scale_parameter() const { return scale_parameter_; }

    // Returns the energy in kJ/mol, unscaled.  Adds scale times the forces, kJ/mol/nm, to
    // `forces`; fills `atomic_energies` (one for each atom of the model).  Both may be null.
    double compute(const std::vector<OpenMM::Vec3>& positions, const OpenMM::Vec3* box,
                   double scale, std::vector<OpenMM::Vec3>* forces,
                   std::vector<double>* atomic_energies = nullptr);

  private:
    struct Free {
        void operator()(camlip_model* model) const { camlip_model_free(model); }
        void operator()(camlip_engine* engine) const { camlip_engine_free(engine); }
    };
    void load(const MLIPForce& force);
    void set_atoms(const OpenMM::System& system, const MLIPForce& force);
    void create_engine(const MLIPForce& force);

    int num_threads_;
    std::string file_, sha256_, precision_, backend_, scale_parameter_;
    bool periodic_ = true;
    std::unique_ptr<camlip_model, Free> model_;
    std::unique_ptr<camlip_engine, Free> engine_;  // goes before the model
    std::vector<int> particles_;
    bool all_particles_ = false;  // of the System, in their order
    std::vector<int32_t> types_, active_types_;
    bool forces_are_zero_ = false;
    std::vector<double> positions_, forces_;  // Angstrom, eV/Angstrom
};

}  // namespace camlip_openmm

#endif
