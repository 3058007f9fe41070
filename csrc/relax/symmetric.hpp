// SPDX-License-Identifier: MIT
// Symmetric 3x3 matrices: eigenvalues, exponential, and the adjoint of its derivative.
//
//     exp(U) = Q diag(e^u) Q^T                                  U = Q diag(u) Q^T
//     d exp(U)[V] = Q ((Q^T V Q) * phi) Q^T                     phi_ij = (e^ui - e^uj) / (ui - uj)
//
// Source     Daleckii and Krein; N. Higham, Functions of Matrices (2008), Theorem 3.11
// Tested by  tests/cpp/test_relax.cpp (finite differences)
#ifndef CAMLIP_RELAX_SYMMETRIC_HPP
#define CAMLIP_RELAX_SYMMETRIC_HPP

#include <array>

namespace camlip {

using Matrix3 = std::array<double, 9>;  // row-major

struct Eigen3 {
    std::array<double, 3> values;
    Matrix3 vectors;  // columns
};

// Jacobi rotations; reads the upper triangle.
Eigen3 eigen(const Matrix3& symmetric);

// exp of a symmetric matrix: symmetric and positive definite.
Matrix3 exponential(const Matrix3& u);

// dE/dU, symmetrized, from dE/dF where F = exp(U) and U is symmetric.  The derivative of exp is
// its own adjoint here, because phi is symmetric.
Matrix3 exponential_adjoint(const Matrix3& u, const Matrix3& gradient);

double determinant(const Matrix3& m);
Matrix3 inverse(const Matrix3& m);
Matrix3 multiply(const Matrix3& a, const Matrix3& b);   // a b
Matrix3 multiply_transposed(const Matrix3& a, const Matrix3& b);  // a b^T

}  // namespace camlip

#endif
