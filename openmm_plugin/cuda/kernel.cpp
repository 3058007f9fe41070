// SPDX-License-Identifier: MIT
// The kernel of the platform CUDA, as a plugin library.  The engine runs in OpenMM's CUDA context
// and stream; positions and forces stay on the device, and a step in which nobody asks for the
// energy does not wait for it.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../ForceModel.h"
#include "../kernels.h"
#include "../units.h"
#include "arrays.h"
#include "openmm/KernelFactory.h"
#include "openmm/OpenMMException.h"
#include "openmm/common/ContextSelector.h"
#include "openmm/cuda/CudaArray.h"
#include "openmm/cuda/CudaContext.h"
#include "openmm/cuda/CudaPlatform.h"

using namespace OpenMM;

namespace camlip_openmm {

namespace {

// A System without a cutoff is never wrapped by OpenMM; in float, posq is then too coarse long before
// this many steps have carried an atom out of what the engine's list takes.
constexpr int kWrapEvery = 1000;

void* pointer(CudaArray& array) { return reinterpret_cast<void*>(array.getDevicePointer()); }

// Everything here happens in OpenMM's context, which whoever calls has made current.
class DeviceModel : public ForceModel {
  public:
    DeviceModel(const System& system, const MLIPForce& force, CudaContext& context)
        : ForceModel(system, force, 1, "cuda:current"), context_(context) {
        renew();
    }

    // After a change of the atoms.
    void renew() {
        arrays_ = std::make_unique<DeviceArrays>(static_cast<std::int64_t>(particles_.size()));
        forget_order();
    }

    void forget_order() { ordered_ = false; }

    // Queues a step.  Forces, times `scale`, go to OpenMM's buffer; the energy stays in arrays().
    void compute(bool forces, double scale, bool atomic_energies = false) {
        void* stream = context_.getCurrentStream();
        Vec3 vectors[3];
        context_.getPeriodicBoxVectors(vectors[0], vectors[1], vectors[2]);
        Source source;
        source.posq = pointer(context_.getPosq());
        if (context_.getUseMixedPrecision())
            source.correction = pointer(context_.getPosqCorrection());
        source.is_double = context_.getUseDoublePrecision();
        for (int n = 0; n < 9; ++n) source.box[n] = vectors[n / 3][n % 3];
        follow_order(stream);
        const bool wrap = periodic_ && since_wrap_++ % kWrapEvery == 0;
        arrays_->gather(source, wrap, stream);

        double cell[9];
        for (int n = 0; n < 9; ++n) cell[n] = source.box[n] / nmPerAngstrom;
        camlip_system system{};
        system.struct_size = sizeof(system);
        system.num_atoms = static_cast<std::int64_t>(particles_.size());
        system.positions = arrays_->positions();
        system.types = types_.data();
        system.cell = periodic_ ? cell : nullptr;
        for (int& direction : system.periodic) direction = periodic_;
        system.memory = CAMLIP_DEVICE;
        system.stream = stream;
        camlip_results results{};
        results.struct_size = sizeof(results);
        results.energy = arrays_->energy();
        if (forces) results.forces = arrays_->forces();
        if (atomic_energies) results.atomic_energies = arrays_->zero_atomic_energies(stream);
        require(camlip_compute_system(engine_.get(), &system, &results));
        if (forces)
            arrays_->scatter(pointer(context_.getForce()), context_.getPaddedNumAtoms(),
                             scale * kJPerMolPerEV / nmPerAngstrom, stream);
    }

    double energy() { return kJPerMolPerEV * arrays_->fetch_energy(context_.getCurrentStream()); }

    std::vector<double> atomic_energies() {
        std::vector<double> energies = arrays_->fetch_atomic_energies(context_.getCurrentStream());
        for (double& value : energies) value *= kJPerMolPerEV;
        return energies;
    }

  private:
    // Where the atoms are in OpenMM's arrays; and, for a model without periodicity in a System that
    // OpenMM wraps, by how many box vectors it moved each.  setPositions() changes that without
    // telling anyone, so it is compared every time.
    void follow_order(void* stream) {
        const std::vector<mm_int4>& offsets = context_.getPosCellOffsets();
        static_assert(sizeof(mm_int4) == 4 * sizeof(int), "compared as bytes");
        const bool moved = !periodic_ && (offsets.size() != offsets_.size() ||
                                          std::memcmp(offsets.data(), offsets_.data(),
                                                      offsets.size() * sizeof(mm_int4)) != 0);
        if (ordered_ && !moved) return;
        if (!ordered_) {
            const std::vector<int>& atoms = context_.getAtomIndex();
            std::vector<std::int32_t> slot_of(atoms.size(), 0);
            for (size_t slot = 0; slot < atoms.size(); ++slot)
                slot_of[static_cast<size_t>(atoms[slot])] = static_cast<std::int32_t>(slot);
            slots_.clear();
            for (const int particle : particles_)
                slots_.push_back(slot_of[static_cast<size_t>(particle)]);
            arrays_->set_slots(slots_, stream);
        }
        if (!periodic_) {
            offsets_ = offsets;
            shifts_.clear();
            for (const std::int32_t slot : slots_) {
                const mm_int4& offset = offsets_[static_cast<size_t>(slot)];
                for (const int n : {offset.x, offset.y, offset.z}) shifts_.push_back(-n);
            }
            const bool none =
                std::all_of(shifts_.begin(), shifts_.end(), [](int n) { return n == 0; });
            arrays_->set_shifts(none ? std::vector<std::int32_t>() : shifts_, stream);
        }
        ordered_ = true;
    }

    CudaContext& context_;
    std::unique_ptr<DeviceArrays> arrays_;
    bool ordered_ = false;
    std::vector<std::int32_t> slots_, shifts_;
    std::vector<mm_int4> offsets_;
    int since_wrap_ = 0;
};

class CudaCalcMLIPForceKernel : public CalcMLIPForceKernel {
  public:
    CudaCalcMLIPForceKernel(const std::string& name, const Platform& platform, CudaContext& context)
        : CalcMLIPForceKernel(name, platform), context_(context) {}

    ~CudaCalcMLIPForceKernel() override {
        ContextSelector selector(context_);
        model_.reset();
    }

    void initialize(ContextImpl& context, const MLIPForce& force) override {
        if (context_.getPlatformData().contexts.size() > 1)
            throw EngineUnavailable(
                "MLIPForce: platform CUDA: several devices for one Context, expected one");
        ContextSelector selector(context_);
        model_ = std::make_unique<DeviceModel>(context.getSystem(), force, context_);
        context_.addReorderListener(new Listener(*this));
        derivative_ = force.getComputesScaleDerivative();
        if (derivative_) context_.addEnergyParameterDerivative(force.getScaleParameter());
    }

    double execute(ContextImpl& context, bool includeForces, bool includeEnergy) override {
        const double scale = model_->scale(context);
        const bool energy_wanted = includeEnergy || derivative_;
        if ((scale == 0.0 && !derivative_) || !(includeForces || energy_wanted)) return 0.0;
        ContextSelector selector(context_);
        model_->compute(includeForces, scale);
        if (!energy_wanted) return 0.0;
        const double energy = model_->energy();
        if (derivative_)
            context_.getEnergyParamDerivWorkspace()[model_->scale_parameter()] += energy;
        return scale * energy;
    }

    void copyParametersToContext(ContextImpl& context, const MLIPForce& force) override {
        ContextSelector selector(context_);
        model_->update(context.getSystem(), force);
        model_->renew();
    }

    std::vector<double> atomicEnergies(ContextImpl&) override {
        ContextSelector selector(context_);
        model_->compute(false, 1.0, true);
        return model_->atomic_energies();
    }

    std::string engine() const override { return model_->engine(); }

  private:
    // OpenMM owns and calls it when it has put its atoms into another order.
    class Listener : public ComputeContext::ReorderListener {
      public:
        explicit Listener(CudaCalcMLIPForceKernel& kernel) : kernel_(kernel) {}
        void execute() override {
            if (kernel_.model_) kernel_.model_->forget_order();
        }

      private:
        CudaCalcMLIPForceKernel& kernel_;
    };

    CudaContext& context_;
    std::unique_ptr<DeviceModel> model_;
    bool derivative_ = false;
};

class Factory : public KernelFactory {
  public:
    KernelImpl* createKernelImpl(std::string name, const Platform& platform,
                                 ContextImpl& context) const override {
        if (name != CalcMLIPForceKernel::Name())
            throw OpenMMException("MLIPForce: kernel '" + name + "' is unknown, expected '" +
                                  CalcMLIPForceKernel::Name() + "'");
        auto* data = static_cast<CudaPlatform::PlatformData*>(context.getPlatformData());
        return new CudaCalcMLIPForceKernel(name, platform, *data->contexts[0]);
    }
};

}  // namespace

}  // namespace camlip_openmm

// What OpenMM calls when it loads a plugin library.
extern "C" CAMLIP_OPENMM_EXPORT void registerPlatforms() {}

extern "C" CAMLIP_OPENMM_EXPORT void registerKernelFactories() {
    for (int i = 0; i < Platform::getNumPlatforms(); ++i) {
        Platform& platform = Platform::getPlatform(i);
        if (platform.getName() == "CUDA")
            platform.registerKernelFactory(camlip_openmm::CalcMLIPForceKernel::Name(),
                                           new camlip_openmm::Factory());
    }
}
