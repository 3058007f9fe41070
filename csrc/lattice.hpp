// SPDX-License-Identifier: MIT
// A lattice with one, two, three or no periodic vectors, in a form that cell lists can use.
//
// The periodic rows of the cell are reduced (shorter vectors, the same lattice), so that a skewed
// cell costs no more than a cubic one; the other rows are replaced by unit vectors at right
// angles to them.  Shifts count the vectors of the cell as it was given.
#ifndef CAMLIP_LATTICE_HPP
#define CAMLIP_LATTICE_HPP

#include <array>
#include <cstdint>

namespace camlip {

using Vector3 = std::array<double, 3>;
using Shift3 = std::array<std::int64_t, 3>;

class Lattice {
  public:
    Lattice() : Lattice(nullptr, {false, false, false}) {}
    // cell: (3, 3), rows are lattice vectors; may be null when nothing is periodic.  Throws
    // ArgumentError for a cell without volume, NumericError for one that is not finite.
    Lattice(const double* cell, const std::array<bool, 3>& periodic);

    bool periodic(int k) const { return periodic_[static_cast<std::size_t>(k)]; }
    // Distance between neighboring lattice planes along vector k.
    double height(int k) const { return height_[static_cast<std::size_t>(k)]; }
    // Reduced vector k.
    const Vector3& row(int k) const { return rows_[static_cast<std::size_t>(k)]; }
    // Coordinates of a position by the reduced vectors.
    Vector3 fractional(const double* position) const;
    // Vector of a shift by the reduced vectors.
    Vector3 vector(const Shift3& reduced_shift) const;
    // The same shift counted by the given vectors.
    Shift3 given(const Shift3& reduced_shift) const;
    // Writes the linear map, r -> r . map (3, 3), that takes this lattice to another one; false
    // where the two were reduced in different ways.
    bool map_to(const Lattice& other, double* map) const;

  private:
    void reduce();

    std::array<bool, 3> periodic_;
    std::array<Vector3, 3> rows_;      // reduced
    std::array<Vector3, 3> inverse_;   // columns: fractional = position . inverse
    std::array<Shift3, 3> transform_;  // reduced row k = sum_l transform[k][l] given row l
    Vector3 height_;
};

}  // namespace camlip

#endif
