// SPDX-License-Identifier: MIT
// Radial functions of an ordered pair of elements and their derivative, from the network itself.
//
//     g_k(r) = n_bar^-1/2 f(x) SiLU(SiLU(b(x) W_b + beta_ij) W_h + c) W_o,   x = r / cutoff
//
// Contract  0 < r < cutoff; g and dg (K) are overwritten; dg = dg/dr in 1/Angstrom
// Source    docs/derivations.md, eqs. (1) and (2); python/camlip/nn/radial.py
#ifndef CAMLIP_REFERENCE_RADIAL_HPP
#define CAMLIP_REFERENCE_RADIAL_HPP

#include "model.hpp"

namespace camlip::reference {

// f(x) = 1 - 28 x^6 + 48 x^7 - 21 x^8 for x < 1, else 0; value and d/dx.
void envelope(double x, double& f, double& df);

class Radial {
  public:
    Radial(const Model& model, int layer);

    // g may be evaluated alone: dg null.
    void evaluate(int center_type, int neighbor_type, double r, double* g, double* dg) const;
    // Adds sum_k g_bar_k dg_k/d(parameter).
    void gradient(int center_type, int neighbor_type, double r, const double* g_bar,
                  RadialNetwork& gradient) const;

  private:
    const Config& config_;
    const RadialNetwork& network_;
    int num_types_;
    int num_radial_;
};

}  // namespace camlip::reference

#endif
