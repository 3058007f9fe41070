// SPDX-License-Identifier: MIT
// From moments to invariants, hidden features and the energy of an atom, and the adjoints.
//
//     I = (A^0;  A^l.A^l, l >= 1;  D^l.A^l, l >= 0;  D^l.D^l, l >= 0)                    (7)
//     h = (I * s) W_h + beta
//     e = sigma w . SiLU(SiLU(h) W + c)                                                  (8)
//
// Shapes    A, D: ((L+1)^2, C)     hidden: (H)
// Contract  hidden_bar comes in with what the messages add to it; D_bar, A_bar are added to
// Source    docs/derivations.md, eqs. (7) and (8); python/camlip/nn/readout.py
#ifndef CAMLIP_REFERENCE_READOUT_HPP
#define CAMLIP_REFERENCE_READOUT_HPP

#include <vector>

#include "model.hpp"

namespace camlip::reference {

class AtomReadout {
  public:
    AtomReadout(const Model& model, int layer);

    // Overwrites hidden; returns the energy in eV.
    double forward(int type, const double* A, const double* D, double* hidden) const;
    // seed is the adjoint of the energy; gradient may be null.
    void backward(int type, const double* A, const double* D, const double* hidden, double seed,
                  double* hidden_bar, double* A_bar, double* D_bar, Layer* gradient) const;

  private:
    std::vector<double> invariants(const double* A, const double* D) const;  // I * s

    const Config& config_;
    const Hidden& hidden_;
    const Readout& readout_;
    double energy_scale_;
};

}  // namespace camlip::reference

#endif
