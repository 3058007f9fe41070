// SPDX-License-Identifier: MIT
// A camlip model as an OpenMM Force.
//
//     MLIPForce* force = new MLIPForce("model.pt");
//     force->setAtoms({}, {8, 1, 1});                 // elements of all particles of the System
//     system.addForce(force);
//
// It applies to all particles or to a subset, periodic or not, in any box, also one smaller than
// the cutoff.  The model file is opened when a Context is made.
#ifndef CAMLIP_OPENMM_MLIP_FORCE_H
#define CAMLIP_OPENMM_MLIP_FORCE_H

#include <string>
#include <utility>
#include <vector>

#include "openmm/Context.h"
#include "openmm/Force.h"

#define CAMLIP_OPENMM_EXPORT __attribute__((visibility("default")))

namespace camlip_openmm {

class CAMLIP_OPENMM_EXPORT MLIPForce : public OpenMM::Force {
  public:
    explicit MLIPForce(const std::string& modelFile = "");

    // An absolute path is best: a relative one is taken from where the Context is made.  Setting
    // it clears the checksum.
    const std::string& getModelFile() const { return modelFile_; }
    void setModelFile(const std::string& file);
    // `sha256` in the metadata of the model, hexadecimal.  A Context refuses a file with another
    // one; empty: any model is taken.
    const std::string& getModelSha256() const { return modelSha256_; }
    void setModelSha256(const std::string& sha256) { modelSha256_ = sha256; }

    // The atoms of the model: particles of the System, each once, and their atomic numbers.  No
    // particles: all of the System, in its order.  They may be virtual sites.
    const std::vector<int>& getParticles() const { return particles_; }
    const std::vector<int>& getAtomicNumbers() const { return atomicNumbers_; }
    void setAtoms(const std::vector<int>& particles, const std::vector<int>& atomicNumbers);

    // Particles that belong to one molecule.  They have no energy: barostats move molecules as a
    // whole, and OpenMM does not tear them apart when it wraps positions.
    const std::vector<std::pair<int, int>>& getBonds() const { return bonds_; }
    void setBonds(const std::vector<std::pair<int, int>>& bonds) { bonds_ = bonds; }

    bool usesPeriodicBoundaryConditions() const override { return periodic_; }
    void setUsesPeriodicBoundaryConditions(bool periodic) { periodic_ = periodic; }

    // "mixed" (float32 with float64 sums) or "double", on every platform.
    const std::string& getPrecision() const { return precision_; }
    void setPrecision(const std::string& precision) { precision_ = precision; }
    // Of the engine: "auto", "cuda", "cpu" or "reference".  "auto" on the platform CUDA is "cuda" in
    // OpenMM's own CUDA context and stream, or the host where that cannot be; elsewhere it is "cpu".
    const std::string& getBackend() const { return backend_; }
    void setBackend(const std::string& backend) { backend_ = backend; }

    // Name and default value of the Context parameter that multiplies energy and forces; an empty
    // name: there is none.
    const std::string& getScaleParameter() const { return scaleParameter_; }
    double getDefaultScale() const { return defaultScale_; }
    void setScaleParameter(const std::string& name, double defaultValue = 1.0);
    // States then contain the derivative of the energy with respect to that parameter.
    bool getComputesScaleDerivative() const { return computesScaleDerivative_; }
    void setComputesScaleDerivative(bool yes) { computesScaleDerivative_ = yes; }

    // Takes everything of this object to a Context, except the scale parameter and the bonds.
    void updateParametersInContext(OpenMM::Context& context);

    // Energy of each atom of the model in kJ/mol at the positions of the Context, in the order of
    // the particles, not multiplied by the scale parameter.
    std::vector<double> getAtomicEnergies(OpenMM::Context& context) const;

    // The backend of the engine that runs in a Context: "cpu", "cuda" or "reference".
    std::string getEngine(const OpenMM::Context& context) const;

  protected:
    OpenMM::ForceImpl* createImpl() const override;

  private:
    std::string modelFile_, modelSha256_;
    std::vector<int> particles_, atomicNumbers_;
    std::vector<std::pair<int, int>> bonds_;
    bool periodic_ = true;
    std::string precision_ = "mixed", backend_ = "auto";
    std::string scaleParameter_;
    double defaultScale_ = 1.0;
    bool computesScaleDerivative_ = false;
};

}  // namespace camlip_openmm

#endif
