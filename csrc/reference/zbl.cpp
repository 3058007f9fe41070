// SPDX-License-Identifier: MIT
#include "reference/zbl.hpp"

#include <cmath>

#include "reference/radial.hpp"

namespace camlip::reference {

void zbl(double r, int Zi, int Zj, double reach, double& energy, double& derivative) {
    static constexpr double weight[4] = {0.18175, 0.50986, 0.28022, 0.02817};
    static constexpr double rate[4] = {3.1998, 0.94229, 0.4029, 0.20162};
    double f = 0, df = 0;
    envelope(r / reach, f, df);
    const double inverse_a = (std::pow(Zi, 0.23) + std::pow(Zj, 0.23)) / 0.4685;
    double phi = 0, dphi = 0;
    for (int n = 0; n < 4; ++n) {
        const double term = weight[n] * std::exp(-rate[n] * r * inverse_a);
        phi += term;
        dphi -= rate[n] * inverse_a * term;
    }
    const double coulomb = 0.5 * 14.3996 * Zi * Zj / r;
    energy = coulomb * phi * f;
    derivative = coulomb * (dphi * f + phi * df / reach - phi * f / r);
}

}  // namespace camlip::reference
