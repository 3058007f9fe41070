// SPDX-License-Identifier: MIT
// Half of the screened nuclear repulsion of a pair (Ziegler, Biersack, Littmark), for the center.
//
//     e(r) = 1/2 14.3996 Z_i Z_j / r phi(r / a) f(r / (R_i + R_j)),
//     a = 0.4685 / (Z_i^0.23 + Z_j^0.23)
//
// Source  docs/derivations.md, eq. (14); python/camlip/nn/zbl.py
#ifndef CAMLIP_REFERENCE_ZBL_HPP
#define CAMLIP_REFERENCE_ZBL_HPP

namespace camlip::reference {

// Energy in eV and its derivative by r in eV/Angstrom; Z atomic numbers, reach = R_i + R_j.
void zbl(double r, int Zi, int Zj, double reach, double& energy, double& derivative);

}  // namespace camlip::reference

#endif
