// SPDX-License-Identifier: MIT
// Symbols of the elements, for messages.
#ifndef CAMLIP_OPENMM_ELEMENTS_H
#define CAMLIP_OPENMM_ELEMENTS_H

#include <iterator>
#include <string>

namespace camlip_openmm {

inline std::string symbol(int atomic_number) {
    // clang-format off
    static constexpr const char* symbols[] = {
        "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S",
        "Cl", "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga",
        "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd",
        "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm",
        "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os",
        "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa",
        "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg",
        "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og"};
    // clang-format on
    const bool known = atomic_number > 0 && atomic_number <= static_cast<int>(std::size(symbols));
    return known ? symbols[atomic_number - 1] : "Z=" + std::to_string(atomic_number);
}

}  // namespace camlip_openmm

#endif
