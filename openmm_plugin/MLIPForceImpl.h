// SPDX-License-Identifier: MIT
// An MLIPForce in a Context: on platforms with a kernel of ours (kernels.h) that kernel; on all
// others OpenMM's CalcCustomCPPForce, which brings the positions to the host and calls
// computeForce().
#ifndef CAMLIP_OPENMM_MLIP_FORCE_IMPL_H
#define CAMLIP_OPENMM_MLIP_FORCE_IMPL_H

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "HostModel.h"
#include "MLIPForce.h"
#include "openmm/Kernel.h"
#include "openmm/internal/CustomCPPForceImpl.h"

namespace camlip_openmm {

class CAMLIP_OPENMM_EXPORT MLIPForceImpl : public OpenMM::CustomCPPForceImpl {
  public:
    explicit MLIPForceImpl(const MLIPForce& owner);
    void initialize(OpenMM::ContextImpl& context);
    const MLIPForce& getOwner() const override { return owner_; }
    double calcForcesAndEnergy(OpenMM::ContextImpl& context, bool includeForces, bool includeEnergy,
                               int groups);
    double computeForce(OpenMM::ContextImpl& context, const std::vector<OpenMM::Vec3>& positions,
                        std::vector<OpenMM::Vec3>& forces) override;
    std::map<std::string, double> getDefaultParameters();
    std::vector<std::string> getKernelNames();
    std::vector<std::pair<int, int>> getBondedParticles() const override;
    void updateParametersInContext(OpenMM::ContextImpl& context);
    std::vector<double> getAtomicEnergies(OpenMM::ContextImpl& context);
    // Backend of the engine.
    std::string getEngine() const;

  private:
    const MLIPForce& owner_;
    OpenMM::Kernel kernel_;            // of ours, or
    std::unique_ptr<HostModel> host_;  // for the kernel of OpenMM
};

}  // namespace camlip_openmm

#endif
