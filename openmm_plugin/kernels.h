// SPDX-License-Identifier: MIT
// The kernel that a platform may implement.  Reference and CPU do, in reference.cpp; a platform
// without one runs the model through OpenMM's own CalcCustomCPPForce kernel (MLIPForceImpl.h).
// A CUDA kernel derives from this class in a library of its own, which registers it with the
// platform "CUDA"; python/camlip/openmm/_load.py loads every such library that is there.
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
    virtual void initialize(OpenMM::ContextImpl& context, const MLIPForce& force) = 0;
    // Adds forces and the derivative; returns the energy in kJ/mol.
    virtual double execute(OpenMM::ContextImpl& context, bool includeForces) = 0;
    virtual void copyParametersToContext(OpenMM::ContextImpl& context, const MLIPForce& force) = 0;
    virtual std::vector<double> atomicEnergies(OpenMM::ContextImpl& context) = 0;
};

}  // namespace camlip_openmm

#endif
