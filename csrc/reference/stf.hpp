// SPDX-License-Identifier: MIT
// Packed symmetric trace-free (STF) tensors, from the definition of their basis.
//
//     Y^l_m(u) = E^l_m : u (x) ... (x) u  (l factors),    E^l_m : E^l_n = delta_mn      (S1)
//     K^abc_xyz ~ E^c_z : contract_k(E^a_x, E^b_y),  k = (a + b - c) / 2,
//                 scaled to |K|^2 = 2c + 1                                              (S2)
//
// Rank l occupies components l^2 ... (l+1)^2 - 1.
// Source  docs/derivations.md, "Packed STF tensors"; python/camlip/nn/stf.py
#ifndef CAMLIP_REFERENCE_STF_HPP
#define CAMLIP_REFERENCE_STF_HPP

#include <vector>

namespace camlip::reference {

constexpr int kMaxComponents = 16;

// Y ((L+1)^2) of a unit vector, and dY ((L+1)^2, 3): the gradient of the polynomials.
void stf_basis(const double u[3], int max_rank, double* Y, double (*dY)[3]);

// (2a+1, 2b+1, 2c+1), z fastest.
std::vector<double> coupling(int a, int b, int c);

}  // namespace camlip::reference

#endif
