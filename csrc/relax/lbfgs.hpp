// SPDX-License-Identifier: MIT
// L-BFGS: a quasi-Newton method that remembers the last steps, with a limit on the step and a
// backtracking line search that rounding of the energy cannot stop.
//
// Source     J. Nocedal, S. Wright, Numerical Optimization (2006), algorithm 7.4 (two loops) and
//            eq. 7.20 (scale of the initial inverse Hessian);
//            D. Li, M. Fukushima, SIAM J. Optim. 11, 1054 (2001): only pairs of positive curvature;
//            W. Hager, H. Zhang, SIAM J. Optim. 16, 170 (2005), eq. 4.1: near the minimum, where
//            differences of the energy are rounding, the slope decides ("approximate Wolfe")
// Tested by  tests/cpp/test_relax.cpp, tests/test_relax.py
#ifndef CAMLIP_RELAX_LBFGS_HPP
#define CAMLIP_RELAX_LBFGS_HPP

#include "relax/objective.hpp"

namespace camlip {

class Lbfgs final : public Optimizer {
  public:
    explicit Lbfgs(std::size_t size);
    bool step(Objective& objective, Point& point) override;

  private:
    void forget();
    void find_direction(const std::vector<double>& gradient);
    bool search(Objective& objective, Point& point, double slope);
    void remember(const Point& point);

    std::size_t size_, capacity_;
    std::vector<double> steps_, changes_;  // (capacity, size): s and y, a ring
    std::vector<double> curvature_;  // (capacity) 1 / (s . y)
    std::vector<double> coefficients_;  // (capacity)
    std::size_t newest_ = 0, count_ = 0;
    double initial_;  // the inverse Hessian before the first pair, A^2/eV
    std::vector<double> direction_;
    Point trial_;
};

}  // namespace camlip

#endif
