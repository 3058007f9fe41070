// SPDX-License-Identifier: MIT
// The kernel that a platform may implement.  Reference and CPU do, in reference.cpp, and CUDA, in
// cuda/; a platform without one runs the model through OpenMM's own CalcCustomCPPForce kernel
// (MLIPForceImpl.h).  Each is a plugin library, loaded by python/camlip/openmm/_load.py.
#ifndef CAMLIP_OPENMM_KERNELS_H
#define CAMLIP_OPENMM_KERNELS_H

#include <string>
#include <vector>

#include "MLIPForce.h"
#include "openmm/KernelImpl.h"
#include "openmm/Platform.h"
#include "openmm/System.h"
#include "openmm/internal/ContextImpl.h"

namespace camlip_openmm {

class CAMLIP_OPENMM_EXPORT CalcMLIPForceKernel : public OpenMM::KernelImpl {
  public:
    static std::string Name() { return "CalcMLIPForce"; }
    CalcMLIPForceKernel(const std::string& name, const OpenMM::Platform& platform)
        : OpenMM::KernelImpl(name, platform) {}
    // Throws EngineUnavailable (ForceModel.h) where the model cannot run in the platform's way: then
    // it runs on the host.
    virtual void initialize(OpenMM::ContextImpl& context, const MLIPForce& force) = 0;
    // Adds forces and the derivative; returns the energy in kJ/mol, or 0 where it is not wanted and
    // would take time.
    virtual double execute(OpenMM::ContextImpl& context, bool includeForces,
                           bool includeEnergy) = 0;
    virtual void copyParametersToContext(OpenMM::ContextImpl& context, const MLIPForce& force) = 0;
    virtual std::vector<double> atomicEnergies(OpenMM::ContextImpl& context) = 0;
    // Name of the engine's backend.
    virtual std::string engine() const = 0;
};

}  // namespace camlip_openmm

#endif
