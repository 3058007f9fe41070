// SPDX-License-Identifier: MIT
// Contraction of an atom's moments and its adjoint.
//
//     B^c = sum over paths of w^abc * K^abc(A^a, A^b)                                    (5)
//     D^l = B^l V^l + omega^l * A^l                                                      (6)
//
// Shapes    A, D: ((L+1)^2, C)
// Contract  forward overwrites D; backward adds to A_bar
// Source    docs/derivations.md, eqs. (5) and (6); python/camlip/nn/contraction.py
#ifndef CAMLIP_REFERENCE_CONTRACTION_HPP
#define CAMLIP_REFERENCE_CONTRACTION_HPP

#include <vector>

#include "model.hpp"

namespace camlip::reference {

class AtomContraction {
  public:
    AtomContraction(const Model& model, int layer);

    void forward(int type, const double* A, double* D) const;
    // gradient may be null: then only A_bar is wanted.
    void backward(int type, const double* A, const double* D_bar, double* A_bar,
                  Contraction* gradient) const;

  private:
    void products(int type, const double* A, std::vector<double>& B) const;

    const Contraction& parameters_;
    int max_rank_, num_channels_;
    std::vector<Path> paths_;
    std::vector<std::vector<double>> couplings_;  // of each path
};

}  // namespace camlip::reference

#endif
