// SPDX-License-Identifier: MIT
// Packed STF components of a direction and the adjoint of their gradient (docs/derivations.md, S1),
// the radial table, and the pair repulsion (14), for one edge.
#ifndef CAMLIP_CUDA_DEVICE_BASIS_HPP
#define CAMLIP_CUDA_DEVICE_BASIS_HPP

#include "device/model.hpp"

namespace camlip::cuda {

// Component m to out[m * stride], no more than max_rank asks for.
template <class T>
CAMLIP_SHARED_CODE void basis_of(T x, T y, T z, int max_rank, T* out, int stride) {
    out[0] = 1;
    if (max_rank < 1) return;
    out[1 * stride] = x;
    out[2 * stride] = y;
    out[3 * stride] = z;
    if (max_rank < 2) return;
    const T s2 = T(1.4142135623730951), s6 = T(0.40824829046386302);
    const T xx = x * x, yy = y * y, zz = z * z;
    out[4 * stride] = s2 * x * y;
    out[5 * stride] = s2 * y * z;
    out[6 * stride] = s2 * x * z;
    out[7 * stride] = (s2 / 2) * (xx - yy);
    out[8 * stride] = s6 * (2 * zz - xx - yy);
    if (max_rank < 3) return;
    const T k = T(0.31622776601683794), k15 = T(0.38729833462074170), k6 = T(1.2247448713915890);
    const T q = 4 * zz - xx - yy;
    out[9 * stride] = T(0.5) * y * (3 * xx - yy);
    out[10 * stride] = (2 * k6) * x * y * z;
    out[11 * stride] = k15 * y * q;
    out[12 * stride] = k * z * (2 * zz - 3 * xx - 3 * yy);
    out[13 * stride] = k15 * x * q;
    out[14 * stride] = k6 * z * (xx - yy);
    out[15 * stride] = T(0.5) * x * (xx - 3 * yy);
}

// Adds sum_m y_bar_m dY_m/du (as polynomials) to g; y_bar_m is bar[m * stride].
template <class T>
CAMLIP_SHARED_CODE void basis_adjoint(T x, T y, T z, int max_rank, const T* bar, int stride, T* g) {
    if (max_rank < 1) return;
    g[0] += bar[1 * stride];
    g[1] += bar[2 * stride];
    g[2] += bar[3 * stride];
    if (max_rank < 2) return;
    const T s2 = T(1.4142135623730951), s6 = T(0.81649658092772603);
    const T b4 = s2 * bar[4 * stride], b5 = s2 * bar[5 * stride], b6 = s2 * bar[6 * stride];
    const T b7 = s2 * bar[7 * stride], b8 = s6 * bar[8 * stride];
    g[0] += b4 * y + b6 * z + b7 * x - b8 * x;
    g[1] += b4 * x + b5 * z - b7 * y - b8 * y;
    g[2] += b5 * y + b6 * x + 2 * (b8 * z);
    if (max_rank < 3) return;
    const T k = T(0.31622776601683794), k15 = T(0.38729833462074170), k6 = T(1.2247448713915890);
    const T xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, xz = x * z;
    const T b9 = bar[9 * stride], b10 = (2 * k6) * bar[10 * stride], b11 = k15 * bar[11 * stride];
    const T b12 = k * bar[12 * stride], b13 = k15 * bar[13 * stride], b14 = k6 * bar[14 * stride];
    const T b15 = bar[15 * stride], difference = T(1.5) * (xx - yy);
    g[0] += 3 * (b9 * xy) + b10 * yz - 2 * (b11 * xy) - 6 * (b12 * xz) +
            b13 * (4 * zz - 3 * xx - yy) + 2 * (b14 * xz) + b15 * difference;
    g[1] += b9 * difference + b10 * xz + b11 * (4 * zz - xx - 3 * yy) - 6 * (b12 * yz) -
            2 * (b13 * xy) - 2 * (b14 * yz) - 3 * (b15 * xy);
    g[2] += b10 * xy + 8 * (b11 * yz) + b12 * (6 * zz - 3 * (xx + yy)) + 8 * (b13 * xz) +
            b14 * (xx - yy);
}

// K112_z(v, u) = v . E2_z . u, five components.
template <class T>
CAMLIP_SHARED_CODE void couple_vectors(const T* v, const T* u, T* out) {
    const T s2 = T(0.70710678118654752), s6 = T(0.40824829046386302);
    const T xx = v[0] * u[0], yy = v[1] * u[1], zz = v[2] * u[2];
    out[0] = s2 * (v[0] * u[1] + v[1] * u[0]);
    out[1] = s2 * (v[1] * u[2] + v[2] * u[1]);
    out[2] = s2 * (v[0] * u[2] + v[2] * u[0]);
    out[3] = s2 * (xx - yy);
    out[4] = s6 * (2 * zz - xx - yy);
}

// Adds (sum_z bar_z E2_z) . u to v_bar and the same matrix times v to u_bar.
template <class T>
CAMLIP_SHARED_CODE void couple_vectors_adjoint(const T* v, const T* u, const T* bar, T* v_bar,
                                               T* u_bar) {
    const T s2 = T(0.70710678118654752), s6 = T(0.40824829046386302);
    const T xy = s2 * bar[0], yz = s2 * bar[1], xz = s2 * bar[2], w3 = s2 * bar[3];
    const T w4 = s6 * bar[4];
    const T xx = w3 - w4, yy = -w3 - w4, zz = 2 * w4;
    v_bar[0] += xx * u[0] + xy * u[1] + xz * u[2];
    v_bar[1] += xy * u[0] + yy * u[1] + yz * u[2];
    v_bar[2] += xz * u[0] + yz * u[1] + zz * u[2];
    u_bar[0] += xx * v[0] + xy * v[1] + xz * v[2];
    u_bar[1] += xy * v[0] + yy * v[1] + yz * v[2];
    u_bar[2] += xz * v[0] + yz * v[1] + zz * v[2];
}

// A polynomial of the radial table at t in [0, 1): coefficient p is c[p * stride].
template <class T>
CAMLIP_SHARED_CODE T radial_value(const T* c, std::int64_t stride, T t) {
    T value = c[(kTableTerms<T> - 1) * stride];
    CAMLIP_UNROLL
    for (int power = kTableTerms<T> - 2; power >= 0; --power) value = value * t + c[power * stride];
    return value;
}

// The same with its derivative by t.
template <class T>
CAMLIP_SHARED_CODE void radial_jet(const T* c, std::int64_t stride, T t, T& value, T& slope) {
    value = c[(kTableTerms<T> - 1) * stride];
    slope = 0;
    CAMLIP_UNROLL
    for (int power = kTableTerms<T> - 2; power >= 0; --power) {
        slope = slope * t + value;
        value = value * t + c[power * stride];
    }
}

// From df/dr (`along`) and d/du (`across`) to f = dE/dr_ij, eq. (16).
template <class T>
CAMLIP_SHARED_CODE void edge_gradient(const T* u, T r, T along, const T* across, T* f) {
    const T inverse = T(1) / r;
    const T radial = along - inverse * (u[0] * across[0] + u[1] * across[1] + u[2] * across[2]);
    for (int a = 0; a < 3; ++a) f[a] = radial * u[a] + inverse * across[a];
}

// Half of the screened repulsion of a pair, for the center; inverse is 1 / r, charge Z_i Z_j,
// stretch the inverse screening length.
CAMLIP_SHARED_CODE void zbl_pair(double r, double inverse, double charge, double stretch,
                                 double reach, double& energy, double& slope) {
    const double weight[4] = {0.18175, 0.50986, 0.28022, 0.02817};
    const double decay[4] = {3.1998, 0.94229, 0.4029, 0.20162};
    double phi = 0, phi_slope = 0;
    for (int n = 0; n < 4; ++n) {
        const double term = weight[n] * exp(-decay[n] * stretch * r);
        phi += term;
        phi_slope -= decay[n] * stretch * term;
    }
    const double inverse_reach = 1 / reach, x = r * inverse_reach, x5 = x * x * x * x * x;
    const double f = 1 - x5 * x * (28 - 48 * x + 21 * x * x);
    const double f_slope = -168 * x5 * (1 - x) * (1 - x) * inverse_reach;
    const double factor = 0.5 * 14.3996 * charge * inverse;
    energy = factor * phi * f;
    slope = factor * (phi_slope * f + phi * f_slope - phi * f * inverse);
}

}  // namespace camlip::cuda

#endif
