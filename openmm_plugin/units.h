// SPDX-License-Identifier: MIT
// The border between OpenMM (kJ/mol, nm) and the engine (eV, Angstrom), all of it.
#ifndef CAMLIP_OPENMM_UNITS_H
#define CAMLIP_OPENMM_UNITS_H

namespace camlip_openmm {

// Exact since 2019: elementary charge times Avogadro constant.
inline constexpr double kJPerMolPerEV = 1.602176634e-19 * 6.02214076e23 / 1000.0;
inline constexpr double nmPerAngstrom = 0.1;

}  // namespace camlip_openmm

#endif
