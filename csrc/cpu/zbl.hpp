// SPDX-License-Identifier: MIT
// Screened nuclear repulsion of Ziegler, Biersack and Littmark, in double: half of each directed
// edge's energy belongs to its center; ends smoothly at the sum of two radii of the model.
#ifndef CAMLIP_CPU_ZBL_HPP
#define CAMLIP_CPU_ZBL_HPP

#include "cpu/edges.hpp"
#include "cpu/gradient.hpp"

namespace camlip::cpu::CAMLIP_ISA {

struct PairEnergy {
    double energy, slope;
};

// charge is Z_i Z_j, stretch the inverse screening length.
inline PairEnergy zbl_pair(double r, double charge, double stretch, double reach) {
    constexpr double kWeight[4] = {0.18175, 0.50986, 0.28022, 0.02817};
    constexpr double kDecay[4] = {3.1998, 0.94229, 0.4029, 0.20162};
    double phi = 0, phi_slope = 0;
    for (int n = 0; n < 4; ++n) {
        const double term = kWeight[n] * __builtin_exp(-kDecay[n] * stretch * r);
        phi += term;
        phi_slope -= kDecay[n] * stretch * term;
    }
    const double x = r / reach, x5 = x * x * x * x * x;
    const double f = 1 - x5 * x * (28 - 48 * x + 21 * x * x);
    const double f_slope = -168 * x5 * (1 - x) * (1 - x) / reach;
    const double factor = 0.5 * 14.3996 * charge / r;
    return {factor * phi * f, factor * (phi_slope * f + phi * f_slope - phi * f / r)};
}

// The repulsion of the compacted neighbors of atom i; returns the energy of i.
template <class T>
inline double zbl_atom(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, long i, int slot) {
    const long at = static_cast<long>(slot) * s.capacity;
    const int type = job.types[i];
    const double seed = seed_of<T>(job, i);
    const T limit = static_cast<T>(p.zbl_reach * p.zbl_reach * 1.000001);
    double energy = 0;
    for (int e = 0; e < s.count[slot]; ++e) {
        const T x = s.difference[0][at + e], y = s.difference[1][at + e];
        const T z = s.difference[2][at + e];
        if (x * x + y * y + z * z > limit) continue;
        const long j = s.neighbor[at + e];
        const double* ri = job.positions + 3 * i;
        const double* rj = job.positions + 3 * j;
        const double d[3] = {rj[0] - ri[0], rj[1] - ri[1], rj[2] - ri[2]};
        const double r = __builtin_sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
        const int other = job.types[j];
        const double reach = p.zbl_radii[type] + p.zbl_radii[other];
        if (r >= reach) continue;
        const PairEnergy pair = zbl_pair(r, p.charges[type] * p.charges[other],
                                         p.stretches[type] + p.stretches[other], reach);
        energy += pair.energy;
        if (!job.gradients) continue;
        double* centroid = s.centroid.data ? row_of(s.centroid, j) : nullptr;
        for (int a = 0; a < 3; ++a) {
            const double f = seed * pair.slope * d[a] / r;
            if (s.forces.data) {
                row_of(s.forces, i)[a] += f;
                row_of(s.forces, j)[a] -= f;
            }
            for (int b = 0; b < 3; ++b) {
                s.virial[(3 * b + a) * kVirialLanes] -= d[b] * f;
                if (centroid) centroid[3 * b + a] -= d[b] * f;
            }
        }
    }
    return energy;
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
