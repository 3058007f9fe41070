// SPDX-License-Identifier: MIT
// MLIPForce in XML.  The model file is stored by its path and checksum, not by its content.
#include <memory>
#include <string>

#include "MLIPForce.h"
#include "openmm/OpenMMException.h"
#include "openmm/serialization/SerializationNode.h"
#include "openmm/serialization/SerializationProxy.h"

using namespace OpenMM;

namespace camlip_openmm {

namespace {

constexpr int format_version = 1;

class MLIPForceProxy : public SerializationProxy {
  public:
    MLIPForceProxy() : SerializationProxy("MLIPForce") {}

    void serialize(const void* object, SerializationNode& node) const override {
        const MLIPForce& force = *static_cast<const MLIPForce*>(object);
        node.setIntProperty("version", format_version);
        node.setIntProperty("forceGroup", force.getForceGroup());
        node.setStringProperty("name", force.getName());
        node.setStringProperty("modelFile", force.getModelFile());
        node.setStringProperty("modelSha256", force.getModelSha256());
        node.setBoolProperty("usesPeriodic", force.usesPeriodicBoundaryConditions());
        node.setStringProperty("precision", force.getPrecision());
        node.setStringProperty("backend", force.getBackend());
        node.setStringProperty("scaleParameter", force.getScaleParameter());
        node.setDoubleProperty("defaultScale", force.getDefaultScale());
        node.setBoolProperty("scaleDerivative", force.getComputesScaleDerivative());
        // Without "index": the particles of the System in their order.
        SerializationNode& atoms = node.createChildNode("Atoms");
        const std::vector<int>& particles = force.getParticles();
        const std::vector<int>& numbers = force.getAtomicNumbers();
        for (size_t k = 0; k < numbers.size(); ++k) {
            SerializationNode& atom = atoms.createChildNode("Atom");
            atom.setIntProperty("Z", numbers[k]);
            if (!particles.empty()) atom.setIntProperty("index", particles[k]);
        }
        SerializationNode& bonds = node.createChildNode("Bonds");
        for (const auto& [first, second] : force.getBonds())
            bonds.createChildNode("Bond").setIntProperty("p1", first).setIntProperty("p2", second);
    }

    void* deserialize(const SerializationNode& node) const override {
        const int version = node.getIntProperty("version");
        if (version != format_version)
            throw OpenMMException("MLIPForce: XML of version " + std::to_string(version) +
                                  ", expected " + std::to_string(format_version) +
                                  "; read it with the camlip that wrote it, or a newer one");
        auto force = std::make_unique<MLIPForce>(node.getStringProperty("modelFile", ""));
        force->setForceGroup(node.getIntProperty("forceGroup", 0));
        force->setName(node.getStringProperty("name", force->getName()));
        force->setModelSha256(node.getStringProperty("modelSha256", ""));
        force->setUsesPeriodicBoundaryConditions(node.getBoolProperty("usesPeriodic", true));
        force->setPrecision(node.getStringProperty("precision", force->getPrecision()));
        force->setBackend(node.getStringProperty("backend", force->getBackend()));
        force->setScaleParameter(node.getStringProperty("scaleParameter", ""),
                                 node.getDoubleProperty("defaultScale", 1.0));
        force->setComputesScaleDerivative(node.getBoolProperty("scaleDerivative", false));
        std::vector<int> particles, numbers;
        std::vector<std::pair<int, int>> bonds;
        for (const SerializationNode& list : node.getChildren()) {
            for (const SerializationNode& item : list.getChildren()) {
                if (list.getName() == "Atoms") {
                    numbers.push_back(item.getIntProperty("Z"));
                    if (item.hasProperty("index"))
                        particles.push_back(item.getIntProperty("index"));
                } else if (list.getName() == "Bonds") {
                    bonds.emplace_back(item.getIntProperty("p1"), item.getIntProperty("p2"));
                }
            }
        }
        force->setAtoms(particles, numbers);
        force->setBonds(bonds);
        return force.release();
    }
};

// Runs when the library is loaded.
const struct Registration {
    Registration() { SerializationProxy::registerProxy(typeid(MLIPForce), new MLIPForceProxy()); }
} registration;

}  // namespace

}  // namespace camlip_openmm
