// SPDX-License-Identifier: MIT
// The radial functions g_k(r) of ordered pairs of elements, from the network and as a table.
//
// Series     Taylor series of g_k in t = (x - x_i) / step, x = r / cutoff, carried through the
//            network exactly, at many points at once and in vectors over the points.
// Table      Hermite on [0, cutoff], uniform knots: value and the first `order` derivatives are
//            those of the network at every knot, so energies have `order` continuous ones.
//            (intervals, 2 order + 2, stride): coefficients of 1, t, ..., t in [0, 1) per interval.
// Error      h^n |g^(n)| / (n! 2^n), n = 2 order + 2, in the value; RadialCheck measures it.
#ifndef CAMLIP_CPU_RADIAL_TABLE_HPP
#define CAMLIP_CPU_RADIAL_TABLE_HPP

#include <vector>

#include "cpu/kernels.hpp"
#include "model.hpp"

namespace camlip::cpu {

// n over k; n may be negative.
double binomial(int n, int k);
// Taylor coefficients by x, up to `order`, of sqrt(2) sin(n pi x) / (pi x) and of the envelope
// 1 - 28 x^6 + 48 x^7 - 21 x^8, which ends at x = 1 with three zeros.
void bessel_series(int n, double x, int order, double* out);
void envelope_series(double x, int order, double* out);

// At fixed points, for all layers and pairs of a model, which must outlive it.
class RadialSeries {
  public:
    // points: x in [0, 1]
    RadialSeries(const Model& model, const SeriesKernels& kernels, int order, double step,
                 const std::vector<double>& points);

    int order() const { return order_; }
    int num_points() const { return num_points_; }
    // Coefficients (points, order + 1, num_radial) for center type a and neighbor type b.
    void evaluate(int layer, int a, int b, std::vector<double>& out) const;

  private:
    const Model& model_;
    const SeriesKernels& kernels_;
    int order_, num_points_;
    std::vector<double> factor_;  // (batches, order + 1, kSeriesPoints)
    std::vector<std::vector<double>> first_;  // per layer (batches, width, order + 1, ...)
};

// num_intervals + 1 knots, with the step of a table.
std::vector<double> table_knots(int num_intervals);

// Table of one pair from its series at the knots.
template <class T>
void fill_radial_table(const std::vector<double>& knots, int order, int num_intervals,
                       int num_radial, int stride, T* table);

struct RadialError {
    double value = 0, derivative = 0;  // largest deviations
    double value_scale = 0, derivative_scale = 0;  // largest magnitudes of the network
    void include(const RadialError& other);
};

// Compares tables with the network between the knots, where they are worst.
class RadialCheck {
  public:
    RadialCheck(const Model& model, const SeriesKernels& kernels, int order, int num_intervals);

    template <class T>
    RadialError measure(int layer, int a, int b, int stride, const T* table) const;

  private:
    const Model& model_;
    int order_, num_intervals_;
    std::vector<double> fractions_;  // of the intervals
    RadialSeries series_;
};

}  // namespace camlip::cpu

#endif
