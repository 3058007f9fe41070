// SPDX-License-Identifier: MIT
#include "MLIPForceImpl.h"

#include <cstdlib>
#include <iostream>

#include "kernels.h"
#include "openmm/OpenMMException.h"
#include "openmm/internal/ContextImpl.h"

using namespace OpenMM;

namespace camlip_openmm {

// For tests, and to tell a mistake of a kernel from one of the model.
static bool generic_path_wanted() {
    const char* value = std::getenv("CAMLIP_OPENMM_GENERIC");
    return value && *value && std::string(value) != "0";
}

// Backends of the engine that read host memory cannot run in the way of the platform CUDA.
static bool device_wanted(const MLIPForce& force) {
    const std::string& backend = force.getBackend();
    return backend.empty() || backend == "auto" || backend == "cuda";
}

MLIPForceImpl::MLIPForceImpl(const MLIPForce& owner) : CustomCPPForceImpl(owner), owner_(owner) {}

void MLIPForceImpl::initialize(ContextImpl& context) {
    const Platform& platform = context.getPlatform();
    const bool cuda = platform.getName() == "CUDA";
    if (platform.supportsKernels({CalcMLIPForceKernel::Name()}) && !generic_path_wanted() &&
        (!cuda || device_wanted(owner_))) {
        kernel_ = platform.createKernel(CalcMLIPForceKernel::Name(), context);
        try {
            kernel_.getAs<CalcMLIPForceKernel>().initialize(context, owner_);
            return;
        } catch (const EngineUnavailable& reason) {
            if (!cuda || owner_.getBackend() == "cuda") throw;
            // Correct and slow: whoever runs it wants to know.
            std::cerr << reason.what() << "; platform CUDA: the model runs on the host\n";
            kernel_ = Kernel();
        }
    }
    if (owner_.getComputesScaleDerivative())
        throw OpenMMException("MLIPForce: derivative with respect to '" +
                              owner_.getScaleParameter() + "' on the platform " +
                              platform.getName() +
                              ", expected Reference, CPU, or CUDA with the engine on the device; "
                              "elsewhere put the force into a CustomCVForce with the "
                              "energy 'lambda*ml', which has the derivative");
    host_ = std::make_unique<HostModel>(context.getSystem(), owner_, 0);
    CustomCPPForceImpl::initialize(context);
}

double MLIPForceImpl::calcForcesAndEnergy(ContextImpl& context, bool includeForces,
                                          bool includeEnergy, int groups) {
    if (host_)
        return CustomCPPForceImpl::calcForcesAndEnergy(context, includeForces, includeEnergy,
                                                       groups);
    if ((groups & (1 << owner_.getForceGroup())) == 0) return 0.0;
    return kernel_.getAs<CalcMLIPForceKernel>().execute(context, includeForces, includeEnergy);
}

double MLIPForceImpl::computeForce(ContextImpl& context, const std::vector<Vec3>& positions,
                                   std::vector<Vec3>& forces) {
    forces.assign(positions.size(), Vec3());
    Vec3 box[3];
    context.getPeriodicBoxVectors(box[0], box[1], box[2]);
    const double scale = host_->scale(context);
    return scale == 0.0 ? 0.0 : scale * host_->compute(positions, box, scale, &forces);
}

std::map<std::string, double> MLIPForceImpl::getDefaultParameters() {
    if (owner_.getScaleParameter().empty()) return {};
    return {{owner_.getScaleParameter(), owner_.getDefaultScale()}};
}

// Not ours: every platform can run the force.
std::vector<std::string> MLIPForceImpl::getKernelNames() {
    return CustomCPPForceImpl::getKernelNames();
}

std::vector<std::pair<int, int>> MLIPForceImpl::getBondedParticles() const {
    return owner_.getBonds();
}

void MLIPForceImpl::updateParametersInContext(ContextImpl& context) {
    if (host_)
        host_->update(context.getSystem(), owner_);
    else
        kernel_.getAs<CalcMLIPForceKernel>().copyParametersToContext(context, owner_);
    context.systemChanged();
}

std::string MLIPForceImpl::getEngine() const {
    return host_ ? host_->engine() : kernel_.getAs<CalcMLIPForceKernel>().engine();
}

std::vector<double> MLIPForceImpl::getAtomicEnergies(ContextImpl& context) {
    if (!host_) return kernel_.getAs<CalcMLIPForceKernel>().atomicEnergies(context);
    std::vector<Vec3> positions;
    context.getPositions(positions);
    Vec3 box[3];
    context.getPeriodicBoxVectors(box[0], box[1], box[2]);
    std::vector<double> energies;
    host_->compute(positions, box, 1.0, nullptr, &energies);
    return energies;
}

}  // namespace camlip_openmm
