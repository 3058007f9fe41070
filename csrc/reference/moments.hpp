// SPDX-License-Identifier: MIT
// Moments of layer 0: one edge's share, the mixing to channels, and the adjoints.
//
//     a[m, k] = sum_e g_ek Y_m(u_e)                                                      (3)
//     A^l     = a^l U^l                                                                  (4)
//
// Shapes    g: (K)   Y: ((L+1)^2)   sums a: ((L+1)^2, K)   A: ((L+1)^2, C)
// Contract  everything is added to, but mix overwrites A and mix_adjoint overwrites sums_bar
// Source    docs/derivations.md, eqs. (3) and (4); python/camlip/nn/moments.py
#ifndef CAMLIP_REFERENCE_MOMENTS_HPP
#define CAMLIP_REFERENCE_MOMENTS_HPP

#include <cstddef>

#include "model.hpp"

namespace camlip::reference {

class Moments {
  public:
    explicit Moments(const Model& model);

    std::size_t num_sums() const;
    void add(const double* g, const double* Y, double* sums) const;
    void adjoint(const double* g, const double* Y, const double* sums_bar, double* g_bar,
                 double* Y_bar) const;
    void mix(const double* sums, double* A) const;
    void mix_adjoint(const double* A_bar, double* sums_bar) const;
    void mix_gradient(const double* sums, const double* A_bar, Layer& gradient) const;

  private:
    const Config& config_;
    const Layer& layer_;
};

}  // namespace camlip::reference

#endif
