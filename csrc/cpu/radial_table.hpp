// SPDX-License-Identifier: MIT
// The radial functions g_k(r) of one ordered pair of elements, exactly and as a table.
//
// Table      quintic Hermite on [0, cutoff], uniform knots: value, first and second derivative
//            are those of the network at every knot, so energies have two continuous derivatives.
//            (intervals, 6, stride): coefficients of 1, t, ..., t^5, t in [0, 1) per interval.
// Error      h^6 |g^(6)| / 46080 in the value; the caller measures it (RadialError).
#ifndef CAMLIP_CPU_RADIAL_TABLE_HPP
#define CAMLIP_CPU_RADIAL_TABLE_HPP

#include <vector>

#include "model.hpp"

namespace camlip::cpu {

// Value, first and second derivative.
struct Jet {
    double value = 0, first = 0, second = 0;
};

// g_k and derivatives by r, all k, for center type a and neighbor type b.
std::vector<Jet> radial_network(const Model& model, int layer, int a, int b, double r);

struct RadialError {
    double value = 0, derivative = 0;              // largest deviations
    double value_scale = 0, derivative_scale = 0;  // largest magnitudes of the network
    void include(const RadialError& other);
};

// Writes the table of one pair to `table` and measures it between the knots.
template <class T>
RadialError fill_radial_table(const Model& model, int layer, int a, int b, int num_intervals,
                              int stride, T* table);

}  // namespace camlip::cpu

#endif
