// SPDX-License-Identifier: MIT
// FIRE 2.0: dynamics with a velocity that turns towards the force and stops when it goes uphill.
//
// Source     J. Guenole et al., Comput. Mater. Sci. 175, 109584 (2020), semi-implicit
//            Euler integration, unit masses; one evaluation per step, as in the authors' LAMMPS
//            version: after the half step back, the forces are those of the point before it.
// Tested by  tests/cpp/test_relax.cpp, tests/test_relax.py
#ifndef CAMLIP_RELAX_FIRE_HPP
#define CAMLIP_RELAX_FIRE_HPP

#include "relax/objective.hpp"

namespace camlip {

class Fire final : public Optimizer {
  public:
    explicit Fire(std::size_t size);
    bool step(Objective& objective, Point& point) override;

  private:
    std::vector<double> velocity_, move_, before_;
    double time_step_, mixing_;
    bool started_ = false;
    int downhill_ = 0, uphill_ = 0;  // steps in a row
};

}  // namespace camlip

#endif
