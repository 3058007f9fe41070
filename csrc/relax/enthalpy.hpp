// SPDX-License-Identifier: MIT
// The enthalpy E + P V as a function of generalized coordinates of atoms and cell.
//
//     r_i = z_i F^T,  cell = cell0 F^T,  F = exp(U),  U symmetric
//     x   = (z, s U),                    s = N^(1/2) (V0 / N)^(1/3)
//
// Rows are vectors.  A symmetric U leaves out rotations of the cell.  U is zero where the mask
// says so, or a multiple of 1.  Fixed atoms have a fixed z: they move with the cell.
//
//     dE/dz_i = -F_i F         dH/dF = -(W - P V 1) F^-T         dH/dU: see symmetric.hpp
//
// Source     cell by the logarithm of the deformation: the "Frechet cell filter" of ASE and
//            JuLIP.jl; the factor s, with which atoms and cell are about equally stiff:
//            D. Sheppard et al., J. Chem. Phys. 136, 074103 (2012).
//            Derivation in docs/relaxation.md
// Tested by  tests/cpp/test_relax.cpp (finite differences), tests/test_relax.py (against ASE)
#ifndef CAMLIP_RELAX_ENTHALPY_HPP
#define CAMLIP_RELAX_ENTHALPY_HPP

#include <array>
#include <cstdint>
#include <vector>

#include "neighbors.hpp"
#include "relax/objective.hpp"
#include "relax/symmetric.hpp"

namespace camlip {

enum class CellChange { kNone, kStrain, kIsotropic };

struct EnthalpyOptions {
    CellChange cell_change = CellChange::kNone;
    // Of U, in Voigt order xx, yy, zz, yz, xz, xy; for kStrain.
    std::array<bool, 6> mask = {true, true, true, true, true, true};
    double pressure = 0;                  // eV/A^3
    double max_step = 0.2;                // Angstrom: how far one step may move an atom
    const std::uint8_t* fixed = nullptr;  // (N), may be null
};

class Enthalpy final : public Objective {
  public:
    // Throws ArgumentError when the cell cannot change as asked.
    Enthalpy(Potential& potential, const System& start, const EnthalpyOptions& options);

    std::size_t size() const {
        return 3 * num_atoms_ + (options_.cell_change != CellChange::kNone ? 9 : 0);
    }
    // Generalized coordinates of the structure that this was made with.
    const std::vector<double>& start() const { return start_; }

    double evaluate(const double* x, double* gradient) override;
    double step_factor(const double* step) const override;
    double noise() const override;

    // As of the last evaluation.
    std::size_t num_atoms() const { return num_atoms_; }
    double energy() const { return energy_; }
    const std::vector<double>& positions() const { return positions_; }
    const std::vector<double>& forces() const { return forces_; }
    const Matrix3& cell() const { return cell_; }
    bool has_stress() const { return volume0_ > 0; }
    double volume() const { return volume_; }
    double start_volume() const { return volume0_; }
    Matrix3 stress() const;     // eV/A^3, ASE's sign
    double max_force() const;   // largest norm, of atoms that are not fixed
    double max_stress() const;  // largest principal value of what drives the cell
    std::int64_t num_evaluations() const { return num_evaluations_; }

  private:
    bool is_fixed(std::size_t atom) const { return options_.fixed && options_.fixed[atom]; }
    void check(const System& start) const;
    void place(const double* x);
    void constrain(Matrix3& symmetric) const;

    Potential& potential_;
    EnthalpyOptions options_;
    std::size_t num_atoms_;
    double scale_ = 1;     // s
    double volume0_ = 0;   // 0: nothing is periodic, or the cell has no volume
    Matrix3 cell0_ = {};
    bool has_cell_;
    std::vector<double> start_;

    double energy_ = 0, volume_ = 0;
    Matrix3 cell_ = {}, strain_ = {}, deformation_ = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    Matrix3 virial_ = {}, cell_gradient_ = {};
    std::vector<double> positions_, forces_;
    std::int64_t num_evaluations_ = 0;
};

}  // namespace camlip

#endif
