// SPDX-License-Identifier: MIT
#include "relax/enthalpy.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "errors.hpp"

namespace camlip {
namespace {

constexpr double kNoisePerAtom = 5e-7;  // eV: float32 energies of atoms
constexpr double kMaxStrain = 0.03;     // of one step
constexpr const char* kVoigtNames[6] = {"xx", "yy", "zz", "yz", "xz", "xy"};
constexpr std::size_t kVoigt[6][2] = {{0, 0}, {1, 1}, {2, 2}, {1, 2}, {0, 2}, {0, 1}};

double longest_row(const double* rows, std::size_t count) {
    double longest = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const double* r = rows + 3 * i;
        longest = std::max(longest, r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
    }
    return std::sqrt(longest);
}

// Whether Cartesian direction x is a combination of the periodic lattice vectors.
bool is_periodic_along(std::size_t x, const Matrix3& inverse_cell, const System& start) {
    // e_x = sum_k (inverse)_xk a_k
    for (std::size_t k = 0; k < 3; ++k)
        if (!start.periodic[k] && std::fabs(inverse_cell[3 * x + k]) * 10 > 1e-6) return false;
    return true;
}

}  // namespace

Enthalpy::Enthalpy(Potential& potential, const System& start, const EnthalpyOptions& options)
    : potential_(potential),
      options_(options),
      num_atoms_(static_cast<std::size_t>(start.num_atoms)),
      has_cell_(start.cell != nullptr) {
    if (has_cell_) std::copy_n(start.cell, 9, cell0_.begin());
    const bool periodic = start.periodic[0] || start.periodic[1] || start.periodic[2];
    if (has_cell_ && periodic) volume0_ = std::fabs(determinant(cell0_));
    if (!std::isfinite(volume0_))
        throw NumericError("cell: NaN or infinity, expected finite numbers");
    check(start);
    if (options.cell_change != CellChange::kNone) {
        const double n = static_cast<double>(num_atoms_);
        scale_ = std::sqrt(n) * std::cbrt(volume0_ / n);
    }
    start_.assign(size(), 0.0);
    std::copy_n(start.positions, 3 * num_atoms_, start_.begin());
    positions_.resize(3 * num_atoms_);
    forces_.resize(3 * num_atoms_);
}

void Enthalpy::check(const System& start) const {
    if (!std::isfinite(options_.pressure)) throw ArgumentError("pressure: not a finite number");
    if (options_.cell_change == CellChange::kNone) {
        if (options_.pressure != 0)
            throw ArgumentError("pressure: " + std::to_string(options_.pressure) +
                                " eV/A^3 with a fixed cell, expected 0, or a cell that is relaxed");
        return;
    }
    if (num_atoms_ == 0) throw ArgumentError("cell: relaxation of a structure without atoms");
    if (!(volume0_ > 0))
        throw ArgumentError(
            "cell: relaxation of a structure that is not periodic or has no volume, expected three "
            "lattice vectors; relax the positions alone");
    const Matrix3 inverse_cell = inverse(cell0_);
    bool free[6];
    bool any = false;
    for (std::size_t v = 0; v < 6; ++v) {
        free[v] = options_.cell_change == CellChange::kIsotropic ? v < 3 : options_.mask[v];
        any = any || free[v];
    }
    if (!any)
        throw ArgumentError("cell: no component of the strain is free, expected at least one");
    for (std::size_t v = 0; v < 6; ++v)
        for (const std::size_t x : kVoigt[v])
            if (free[v] && !is_periodic_along(x, inverse_cell, start))
                throw ArgumentError(std::string("cell: strain ") + kVoigtNames[v] +
                                    " is free, but the structure is not periodic along " +
                                    "xyz"[x] + "; free the components of periodic directions only");
}

// Sets positions, cell and deformation from x.
void Enthalpy::place(const double* x) {
    cell_ = cell0_;
    volume_ = volume0_;
    if (options_.cell_change == CellChange::kNone) {
        std::copy_n(x, 3 * num_atoms_, positions_.begin());
        return;
    }
    for (std::size_t n = 0; n < 9; ++n) strain_[n] = x[3 * num_atoms_ + n] / scale_;
    deformation_ = exponential(strain_);
    cell_ = multiply_transposed(cell0_, deformation_);
    volume_ = std::fabs(determinant(cell_));
    for (std::size_t i = 0; i < num_atoms_; ++i)
        for (std::size_t a = 0; a < 3; ++a)
            positions_[3 * i + a] = x[3 * i] * deformation_[3 * a] +
                                    x[3 * i + 1] * deformation_[3 * a + 1] +
                                    x[3 * i + 2] * deformation_[3 * a + 2];
}

double Enthalpy::evaluate(const double* x, double* gradient) {
    place(x);
    ++num_evaluations_;
    energy_ = potential_.compute(positions_.data(), has_cell_ ? cell_.data() : nullptr,
                                 forces_.data(), has_stress() ? virial_.data() : nullptr);
    const Matrix3& f = deformation_;
    for (std::size_t i = 0; i < num_atoms_; ++i)
        for (std::size_t a = 0; a < 3; ++a)
            gradient[3 * i + a] = is_fixed(i)
                                      ? 0.0
                                      : -(forces_[3 * i] * f[a] + forces_[3 * i + 1] * f[3 + a] +
                                          forces_[3 * i + 2] * f[6 + a]);
    if (options_.cell_change == CellChange::kNone) return energy_;

    Matrix3 w = virial_;
    for (std::size_t k = 0; k < 3; ++k) w[4 * k] -= options_.pressure * volume_;
    Matrix3 by_deformation = multiply_transposed(w, inverse(f));
    for (double& value : by_deformation) value = -value;
    cell_gradient_ = exponential_adjoint(strain_, by_deformation);
    constrain(cell_gradient_);
    for (std::size_t n = 0; n < 9; ++n) gradient[3 * num_atoms_ + n] = cell_gradient_[n] / scale_;
    return energy_ + options_.pressure * volume_;
}

// Takes the forbidden components out of a symmetric matrix.
void Enthalpy::constrain(Matrix3& m) const {
    if (options_.cell_change == CellChange::kIsotropic) {
        const double mean = (m[0] + m[4] + m[8]) / 3;
        m = {mean, 0, 0, 0, mean, 0, 0, 0, mean};
        return;
    }
    for (std::size_t v = 0; v < 6; ++v)
        if (!options_.mask[v])
            m[3 * kVoigt[v][0] + kVoigt[v][1]] = m[3 * kVoigt[v][1] + kVoigt[v][0]] = 0;
}

double Enthalpy::step_factor(const double* step) const {
    const double longest = longest_row(step, num_atoms_);
    double factor = longest > options_.max_step ? options_.max_step / longest : 1;
    if (options_.cell_change == CellChange::kNone) return factor;
    // The Frobenius norm does not depend on the axes.
    const double* u = step + 3 * num_atoms_;
    double square = 0;
    for (std::size_t n = 0; n < 9; ++n) square += u[n] * u[n];
    const double strain = std::sqrt(square) / scale_;
    return strain * factor > kMaxStrain ? kMaxStrain / strain : factor;
}

double Enthalpy::noise() const { return kNoisePerAtom * static_cast<double>(num_atoms_); }

Matrix3 Enthalpy::stress() const {
    Matrix3 result;
    for (std::size_t a = 0; a < 3; ++a)
        for (std::size_t b = 0; b < 3; ++b)
            result[3 * a + b] = -0.5 * (virial_[3 * a + b] + virial_[3 * b + a]) / volume_;
    return result;
}

double Enthalpy::max_force() const {
    double longest = 0;
    for (std::size_t i = 0; i < num_atoms_; ++i)
        if (!is_fixed(i)) longest = std::max(longest, longest_row(&forces_[3 * i], 1));
    return longest;
}

double Enthalpy::max_stress() const {
    if (options_.cell_change == CellChange::kNone) return 0;
    // With all six components free the Cauchy stress and the derivative by U vanish together, and
    // the former is what the user knows.
    const bool all =
        options_.cell_change == CellChange::kStrain &&
        std::all_of(options_.mask.begin(), options_.mask.end(), [](bool m) { return m; });
    Matrix3 driving = cell_gradient_;
    for (double& value : driving) value /= volume_;
    if (all) {
        driving = stress();
        for (std::size_t k = 0; k < 3; ++k) driving[4 * k] += options_.pressure;
    }
    // Principal values do not depend on the axes, as components do.
    double largest = 0;
    for (const double value : eigen(driving).values) largest = std::max(largest, std::fabs(value));
    return largest;
}

}  // namespace camlip
