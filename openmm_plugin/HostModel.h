// SPDX-License-Identifier: MIT
// The engine of one MLIPForce for positions in host memory: gathers the atoms of the model,
// converts units, calls camlip.h, and adds what it returns.
#ifndef CAMLIP_OPENMM_HOST_MODEL_H
#define CAMLIP_OPENMM_HOST_MODEL_H

#include <vector>

#include "ForceModel.h"
#include "openmm/Vec3.h"

namespace camlip_openmm {

class CAMLIP_OPENMM_EXPORT HostModel : public ForceModel {
  public:
    using ForceModel::ForceModel;

    // Returns the energy in kJ/mol, unscaled.  Adds scale times the forces, kJ/mol/nm, to
    // `forces`; fills `atomic_energies` (one for each atom of the model).  Both may be null.
    double compute(const std::vector<OpenMM::Vec3>& positions, const OpenMM::Vec3* box,
                   double scale, std::vector<OpenMM::Vec3>* forces,
                   std::vector<double>* atomic_energies = nullptr);

  private:
    bool forces_are_zero_ = false;
    std::vector<double> positions_, forces_;  // Angstrom, eV/Angstrom
};

}  // namespace camlip_openmm

#endif
