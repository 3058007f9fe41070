// SPDX-License-Identifier: MIT
// The kernel of the platforms Reference and CPU, as a plugin library: CpuPlatform derives from
// ReferencePlatform and keeps its data.
#include <memory>
#include <string>

#include "HostModel.h"
#include "kernels.h"
#include "openmm/KernelFactory.h"
#include "openmm/OpenMMException.h"
#include "openmm/internal/ThreadPool.h"
#include "openmm/reference/ReferencePlatform.h"

using namespace OpenMM;

namespace camlip_openmm {

namespace {

ReferencePlatform::PlatformData& data_of(ContextImpl& context) {
    return *static_cast<ReferencePlatform::PlatformData*>(context.getPlatformData());
}

class ReferenceCalcMLIPForceKernel : public CalcMLIPForceKernel {
  public:
    using CalcMLIPForceKernel::CalcMLIPForceKernel;

    // On the CPU platform as many threads as OpenMM itself, its property Threads.  Reference has no
    // such setting and a pool of all cores, which it hardly uses: there it is OpenMP's choice.
    void initialize(ContextImpl& context, const MLIPForce& force) override {
        const bool chosen = context.getPlatform().getName() != "Reference";
        const int num_threads = chosen ? data_of(context).threads.getNumThreads() : 0;
        model_ = std::make_unique<HostModel>(context.getSystem(), force, num_threads);
        derivative_ = force.getComputesScaleDerivative();
    }

    double execute(ContextImpl& context, bool includeForces, bool) override {
        ReferencePlatform::PlatformData& data = data_of(context);
        const double scale = model_->scale(context);
        // At the end of an alchemical path the model costs nothing, unless its energy is asked for.
        if (scale == 0.0 && !derivative_) return 0.0;
        const double energy = model_->compute(*data.positions, data.periodicBoxVectors, scale,
                                              includeForces ? data.forces : nullptr);
        if (derivative_) (*data.energyParameterDerivatives)[model_->scale_parameter()] += energy;
        return scale * energy;
    }

    void copyParametersToContext(ContextImpl& context, const MLIPForce& force) override {
        model_->update(context.getSystem(), force);
    }

    std::vector<double> atomicEnergies(ContextImpl& context) override {
        ReferencePlatform::PlatformData& data = data_of(context);
        std::vector<double> energies;
        model_->compute(*data.positions, data.periodicBoxVectors, 1.0, nullptr, &energies);
        return energies;
    }

    std::string engine() const override { return model_->engine(); }

  private:
    std::unique_ptr<HostModel> model_;
    bool derivative_ = false;
};

class Factory : public KernelFactory {
  public:
    KernelImpl* createKernelImpl(std::string name, const Platform& platform,
                                 ContextImpl&) const override {
        if (name == CalcMLIPForceKernel::Name())
            return new ReferenceCalcMLIPForceKernel(name, platform);
        throw OpenMMException("MLIPForce: kernel '" + name + "' is unknown, expected '" +
                              CalcMLIPForceKernel::Name() + "'");
    }
};

}  // namespace

}  // namespace camlip_openmm

// What OpenMM calls when it loads a plugin library.
extern "C" CAMLIP_OPENMM_EXPORT void registerPlatforms() {}

extern "C" CAMLIP_OPENMM_EXPORT void registerKernelFactories() {
    for (int i = 0; i < Platform::getNumPlatforms(); ++i) {
        Platform& platform = Platform::getPlatform(i);
        if (dynamic_cast<ReferencePlatform*>(&platform))
            platform.registerKernelFactory(camlip_openmm::CalcMLIPForceKernel::Name(),
                                           new camlip_openmm::Factory());
    }
}
