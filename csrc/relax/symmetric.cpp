// SPDX-License-Identifier: MIT
#include "relax/symmetric.hpp"

#include <cmath>
#include <cstddef>

namespace camlip {
namespace {

Matrix3 to_basis(const Matrix3& q, const Matrix3& m) {  // Q^T m Q
    Matrix3 result = {};
    for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t j = 0; j < 3; ++j)
            for (std::size_t a = 0; a < 3; ++a)
                for (std::size_t b = 0; b < 3; ++b)
                    result[3 * i + j] += q[3 * a + i] * m[3 * a + b] * q[3 * b + j];
    return result;
}

Matrix3 from_basis(const Matrix3& q, const Matrix3& m) {  // Q m Q^T
    return multiply_transposed(multiply(q, m), q);
}

// One Jacobi rotation in the plane (p, q), which makes a_pq zero.
void rotate(Matrix3& a, Matrix3& vectors, std::size_t p, std::size_t q) {
    if (a[3 * p + q] == 0) return;
    const double theta = (a[3 * q + q] - a[3 * p + p]) / (2 * a[3 * p + q]);
    const double t = (theta >= 0 ? 1.0 : -1.0) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
    const double c = 1 / std::sqrt(t * t + 1), s = t * c;
    for (std::size_t k = 0; k < 3; ++k) {
        const double kp = a[3 * k + p], kq = a[3 * k + q];
        a[3 * k + p] = c * kp - s * kq;
        a[3 * k + q] = s * kp + c * kq;
    }
    for (std::size_t k = 0; k < 3; ++k) {
        const double pk = a[3 * p + k], qk = a[3 * q + k];
        a[3 * p + k] = c * pk - s * qk;
        a[3 * q + k] = s * pk + c * qk;
        const double vp = vectors[3 * k + p], vq = vectors[3 * k + q];
        vectors[3 * k + p] = c * vp - s * vq;
        vectors[3 * k + q] = s * vp + c * vq;
    }
}

}  // namespace

Eigen3 eigen(const Matrix3& symmetric) {
    Matrix3 a = symmetric;
    a[3] = a[1];
    a[6] = a[2];
    a[7] = a[5];
    Eigen3 result = {{}, {1, 0, 0, 0, 1, 0, 0, 0, 1}};
    // Convergence is quadratic: five sweeps are exact, the rest is for odd cases.
    for (int sweep = 0; sweep < 12; ++sweep) {
        const double off = std::fabs(a[1]) + std::fabs(a[2]) + std::fabs(a[5]);
        const double on = std::fabs(a[0]) + std::fabs(a[4]) + std::fabs(a[8]);
        if (off <= 1e-300 + 1e-17 * on) break;
        rotate(a, result.vectors, 0, 1);
        rotate(a, result.vectors, 0, 2);
        rotate(a, result.vectors, 1, 2);
    }
    result.values = {a[0], a[4], a[8]};
    return result;
}

Matrix3 exponential(const Matrix3& u) {
    const Eigen3 e = eigen(u);
    const Matrix3 diagonal = {std::exp(e.values[0]), 0, 0, 0, std::exp(e.values[1]), 0, 0, 0,
                              std::exp(e.values[2])};
    return from_basis(e.vectors, diagonal);
}

Matrix3 exponential_adjoint(const Matrix3& u, const Matrix3& gradient) {
    const Eigen3 e = eigen(u);
    Matrix3 g = to_basis(e.vectors, gradient);
    for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t j = 0; j < 3; ++j) {
            // phi without the cancellation of equal eigenvalues.
            const double half = 0.5 * (e.values[i] - e.values[j]);
            const double ratio =
                std::fabs(half) < 1e-4 ? 1 + half * half / 6 : std::sinh(half) / half;
            g[3 * i + j] *= std::exp(0.5 * (e.values[i] + e.values[j])) * ratio;
        }
    const Matrix3 full = from_basis(e.vectors, g);
    Matrix3 result;
    for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t j = 0; j < 3; ++j)
            result[3 * i + j] = 0.5 * (full[3 * i + j] + full[3 * j + i]);
    return result;
}

double determinant(const Matrix3& m) {
    return m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
           m[2] * (m[3] * m[7] - m[4] * m[6]);
}

Matrix3 inverse(const Matrix3& m) {
    const double d = 1 / determinant(m);
    return {d * (m[4] * m[8] - m[5] * m[7]), d * (m[2] * m[7] - m[1] * m[8]),
            d * (m[1] * m[5] - m[2] * m[4]), d * (m[5] * m[6] - m[3] * m[8]),
            d * (m[0] * m[8] - m[2] * m[6]), d * (m[2] * m[3] - m[0] * m[5]),
            d * (m[3] * m[7] - m[4] * m[6]), d * (m[1] * m[6] - m[0] * m[7]),
            d * (m[0] * m[4] - m[1] * m[3])};
}

Matrix3 multiply(const Matrix3& a, const Matrix3& b) {
    Matrix3 result = {};
    for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t j = 0; j < 3; ++j)
            for (std::size_t k = 0; k < 3; ++k) result[3 * i + j] += a[3 * i + k] * b[3 * k + j];
    return result;
}

Matrix3 multiply_transposed(const Matrix3& a, const Matrix3& b) {
    Matrix3 result = {};
    for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t j = 0; j < 3; ++j)
            for (std::size_t k = 0; k < 3; ++k) result[3 * i + j] += a[3 * i + k] * b[3 * j + k];
    return result;
}

}  // namespace camlip
