// SPDX-License-Identifier: MIT
// What the parts of a relaxation expect of each other: a potential gives energies to the
// enthalpy, and the enthalpy is the function that an optimizer makes small.
#ifndef CAMLIP_RELAX_OBJECTIVE_HPP
#define CAMLIP_RELAX_OBJECTIVE_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

namespace camlip {

class Potential {
  public:
    virtual ~Potential() = default;

    // The energy; forces (N, 3) and virial (3, 3) are overwritten, virial may be null.  Throws
    // NumericError where there is no finite result.
    virtual double compute(const double* positions, const double* cell, double* forces,
                           double* virial) = 0;
    // An atom that had neighbors in the first call and had none in the last, or -1.
    virtual std::int64_t lost_atom() const { return -1; }
};

// A function of many variables, its gradient, and how far one step may go.
class Objective {
  public:
    virtual ~Objective() = default;

    virtual double evaluate(const double* x, double* gradient) = 0;
    // The largest factor, at most 1, by which a step may be multiplied and stay moderate.
    virtual double step_factor(const double* step) const = 0;
    // Differences of values below this are rounding.
    virtual double noise() const = 0;
};

// A place and the function there.
struct Point {
    std::vector<double> x, gradient;
    double value = 0;
};

class Optimizer {
  public:
    virtual ~Optimizer() = default;

    // Moves the point.  Returns false when it cannot find a better one; the point is then where it
    // was.  In both cases the objective was last evaluated at the point.  Allocates nothing.
    virtual bool step(Objective& objective, Point& point) = 0;
};

}  // namespace camlip

#endif
