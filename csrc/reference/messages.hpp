// SPDX-License-Identifier: MIT
// Message passing: what an atom sends, the sums over what its neighbors sent, and the adjoints.
//
//     m = SiLU(hidden) W_m,   h0 = m[:P0],   h1_p = m[P0 + p] sum_c Gamma_cp D^1_c       (9)
//     s = (h0_j ; h1_j . u)  of length Q
//     M[m, k Q + q]    = sum_e g_ek s_eq Y_m(u_e),  l <= Lm                              (10)
//     T1[x, k P1 + p]  = sum_e g_ek h1_jpx                                               (11)
//     T2[z, k P1 + p]  = sum_e g_ek K^112(h1_jp, u_e)_z                                  (12)
//     A^l = M^l U^l + T^l U_T^l + omega^l * A^l of the layer below                       (13)
//
// Shapes    h: (P0 + 3 P1), vectors as x of all p, y of all p, z of all p
//           sums: M ((Lm+1)^2, Kr Q), T1 (3, Kr P1), T2 (5, Kr P1) one after the other;
//           T2 only for L >= 2
// Contract  adjoints are added to, but mix_adjoint overwrites sums_bar
// Source    docs/derivations.md, eqs. (9) to (13); python/camlip/nn/messages.py
#ifndef CAMLIP_REFERENCE_MESSAGES_HPP
#define CAMLIP_REFERENCE_MESSAGES_HPP

#include <cstddef>
#include <vector>

#include "model.hpp"

namespace camlip::reference {

class Messages {
  public:
    Messages(const Model& model, int layer);

    void forward(const double* hidden, const double* D, double* h) const;
    // gradient may be null.
    void backward(const double* hidden, const double* D, const double* h_bar, double* hidden_bar,
                  double* D_bar, Message* gradient) const;

  private:
    // m and the projected vectors v (3, P1) that it gates.
    void intermediate(const double* hidden, const double* D, std::vector<double>& m,
                      std::vector<double>& v) const;

    const Config& config_;
    const Message& parameters_;
};

class MessageMoments {
  public:
    MessageMoments(const Model& model, int layer);

    std::size_t num_sums() const;
    void add(const double* g, const double* Y, const double u[3], const double* h,
             double* sums) const;
    void adjoint(const double* g, const double* Y, const double u[3], const double* h,
                 const double* sums_bar, double* g_bar, double* Y_bar, double u_bar[3],
                 double* h_bar) const;
    void mix(const double* sums, const double* A_below, double* A) const;
    void mix_adjoint(const double* A_bar, double* sums_bar, double* A_below_bar) const;
    void mix_gradient(const double* sums, const double* A_below, const double* A_bar,
                      Layer& gradient) const;

  private:
    // s of length Q, and t (5, P1), the rank-2 couplings of the vectors with u.
    void edge_features(const double u[3], const double* h, std::vector<double>& s,
                       std::vector<double>& t) const;

    const Config& config_;
    const Layer& layer_;
    std::vector<double> K112_;  // (3, 3, 5)
};

}  // namespace camlip::reference

#endif
