// SPDX-License-Identifier: MIT
#include "MLIPForce.h"

#include "MLIPForceImpl.h"
#include "openmm/OpenMMException.h"

using namespace OpenMM;

namespace camlip_openmm {

MLIPForce::MLIPForce(const std::string& modelFile) : modelFile_(modelFile) { setName("MLIPForce"); }

ForceImpl* MLIPForce::createImpl() const { return new MLIPForceImpl(*this); }

void MLIPForce::setModelFile(const std::string& file) {
    modelFile_ = file;
    modelSha256_.clear();
}

void MLIPForce::setAtoms(const std::vector<int>& particles, const std::vector<int>& atomicNumbers) {
    if (!particles.empty() && particles.size() != atomicNumbers.size())
        throw OpenMMException("MLIPForce: " + std::to_string(particles.size()) + " particles and " +
                              std::to_string(atomicNumbers.size()) +
                              " atomic numbers, expected one for each particle");
    particles_ = particles;
    atomicNumbers_ = atomicNumbers;
}

void MLIPForce::setScaleParameter(const std::string& name, double defaultValue) {
    scaleParameter_ = name;
    defaultScale_ = defaultValue;
}

void MLIPForce::updateParametersInContext(Context& context) {
    dynamic_cast<MLIPForceImpl&>(getImplInContext(context))
        .updateParametersInContext(getContextImpl(context));
}

std::vector<double> MLIPForce::getAtomicEnergies(Context& context) const {
    auto& impl = const_cast<ForceImpl&>(getImplInContext(const_cast<const Context&>(context)));
    return dynamic_cast<MLIPForceImpl&>(impl).getAtomicEnergies(
        const_cast<MLIPForce*>(this)->getContextImpl(context));
}

std::string MLIPForce::getEngine(const Context& context) const {
    return dynamic_cast<const MLIPForceImpl&>(getImplInContext(context)).getEngine();
}

}  // namespace camlip_openmm
