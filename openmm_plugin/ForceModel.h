// SPDX-License-Identifier: MIT
// Model, engine and atoms of one MLIPForce: opens the model file, checks the atoms against it and
// makes the engine.  What feeds the engine derives from this: HostModel, and DeviceModel of cuda/.
#ifndef CAMLIP_OPENMM_FORCE_MODEL_H
#define CAMLIP_OPENMM_FORCE_MODEL_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "MLIPForce.h"
#include "camlip.h"
#include "openmm/OpenMMException.h"
#include "openmm/System.h"
#include "openmm/internal/ContextImpl.h"

namespace camlip_openmm {

// The backend of the engine cannot run here: it was not built, or there is no device for it.
class CAMLIP_OPENMM_EXPORT EngineUnavailable : public OpenMM::OpenMMException {
  public:
    using OpenMM::OpenMMException::OpenMMException;
};

// Throws OpenMMException with the engine's message.
CAMLIP_OPENMM_EXPORT void require(camlip_status status);

class CAMLIP_OPENMM_EXPORT ForceModel {
  public:
    // num_threads: 0 = what OpenMP would use; backend: of the engine, empty = what the force says.
    // Throws OpenMMException if the file cannot be used, does not know an element, or if the atoms
    // do not fit the System; EngineUnavailable where the engine cannot be made.
    ForceModel(const OpenMM::System& system, const MLIPForce& force, int num_threads,
               const std::string& backend = "");
    ForceModel(const ForceModel&) = delete;
    ForceModel& operator=(const ForceModel&) = delete;
    // The same with changed parameters; what did not change is kept.
    void update(const OpenMM::System& system, const MLIPForce& force);

    // Value of the scale parameter, 1 if there is none.
    double scale(OpenMM::ContextImpl& context) const;
    const std::string& scale_parameter() const { return scale_parameter_; }
    // Name of the engine's backend.
    std::string engine() const;

  protected:
    struct Free {
        void operator()(camlip_model* model) const { camlip_model_free(model); }
        void operator()(camlip_engine* engine) const { camlip_engine_free(engine); }
    };
    std::unique_ptr<camlip_model, Free> model_;
    std::unique_ptr<camlip_engine, Free> engine_;  // goes before the model
    bool periodic_ = true;
    std::vector<int> particles_;
    bool all_particles_ = false;  // of the System, in their order
    std::vector<int32_t> types_;  // of the particles

  private:
    void load(const MLIPForce& force);
    void set_atoms(const OpenMM::System& system, const MLIPForce& force);
    void create_engine(const MLIPForce& force);

    int num_threads_;
    std::string own_backend_, scale_parameter_;
    std::string file_, sha256_, precision_, backend_;
    std::vector<int32_t> active_types_;
};

}  // namespace camlip_openmm

#endif
