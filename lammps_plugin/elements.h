// SPDX-License-Identifier: GPL-2.0-only
// Symbols and standard atomic weights, to read pair_coeff and to notice swapped elements.
#ifndef CAMLIP_LAMMPS_ELEMENTS_H
#define CAMLIP_LAMMPS_ELEMENTS_H

#include <array>
#include <string>

namespace camlip_lammps {

struct Element {
    const char* symbol;
    double mass;
};

// clang-format off
inline constexpr std::array<Element, 119> elements = {{
    {"?", 1.00}, {"H", 1.01}, {"He", 4.00}, {"Li", 6.94}, {"Be", 9.01}, {"B", 10.81},
    {"C", 12.01}, {"N", 14.01}, {"O", 16.00}, {"F", 19.00}, {"Ne", 20.18}, {"Na", 22.99},
    {"Mg", 24.30}, {"Al", 26.98}, {"Si", 28.09}, {"P", 30.97}, {"S", 32.06}, {"Cl", 35.45},
    {"Ar", 39.95}, {"K", 39.10}, {"Ca", 40.08}, {"Sc", 44.96}, {"Ti", 47.87}, {"V", 50.94},
    {"Cr", 52.00}, {"Mn", 54.94}, {"Fe", 55.84}, {"Co", 58.93}, {"Ni", 58.69}, {"Cu", 63.55},
    {"Zn", 65.38}, {"Ga", 69.72}, {"Ge", 72.63}, {"As", 74.92}, {"Se", 78.97}, {"Br", 79.90},
    {"Kr", 83.80}, {"Rb", 85.47}, {"Sr", 87.62}, {"Y", 88.91}, {"Zr", 91.22}, {"Nb", 92.91},
    {"Mo", 95.95}, {"Tc", 97.91}, {"Ru", 101.07}, {"Rh", 102.91}, {"Pd", 106.42}, {"Ag", 107.87},
    {"Cd", 112.41}, {"In", 114.82}, {"Sn", 118.71}, {"Sb", 121.76}, {"Te", 127.60},
    {"I", 126.90}, {"Xe", 131.29}, {"Cs", 132.91}, {"Ba", 137.33}, {"La", 138.91},
    {"Ce", 140.12}, {"Pr", 140.91}, {"Nd", 144.24}, {"Pm", 144.91}, {"Sm", 150.36},
    {"Eu", 151.96}, {"Gd", 157.25}, {"Tb", 158.93}, {"Dy", 162.50}, {"Ho", 164.93},
    {"Er", 167.26}, {"Tm", 168.93}, {"Yb", 173.05}, {"Lu", 174.97}, {"Hf", 178.49},
    {"Ta", 180.95}, {"W", 183.84}, {"Re", 186.21}, {"Os", 190.23}, {"Ir", 192.22},
    {"Pt", 195.08}, {"Au", 196.97}, {"Hg", 200.59}, {"Tl", 204.38}, {"Pb", 207.20},
    {"Bi", 208.98}, {"Po", 208.98}, {"At", 209.99}, {"Rn", 222.02}, {"Fr", 223.02},
    {"Ra", 226.03}, {"Ac", 227.03}, {"Th", 232.04}, {"Pa", 231.04}, {"U", 238.03},
    {"Np", 237.05}, {"Pu", 244.06}, {"Am", 243.06}, {"Cm", 247.07}, {"Bk", 247.07},
    {"Cf", 251.08}, {"Es", 252.08}, {"Fm", 257.10}, {"Md", 258.10}, {"No", 259.10},
    {"Lr", 262.11}, {"Rf", 267.12}, {"Db", 268.13}, {"Sg", 271.13}, {"Bh", 270.13},
    {"Hs", 269.13}, {"Mt", 278.16}, {"Ds", 281.17}, {"Rg", 281.17}, {"Cn", 285.18},
    {"Nh", 286.18}, {"Fl", 289.19}, {"Mc", 289.19}, {"Lv", 293.20}, {"Ts", 293.21},
    {"Og", 294.21}
}};
// clang-format on

inline std::string symbol(int atomic_number) {
    const bool known = atomic_number > 0 && atomic_number < static_cast<int>(elements.size());
    return known ? elements[atomic_number].symbol : "Z=" + std::to_string(atomic_number);
}

}  // namespace camlip_lammps

#endif
