// SPDX-License-Identifier: MIT
// Atoms of a cell and their periodic images, sorted by bins: what the neighbor search walks over.
#ifndef CAMLIP_NEIGHBORS_GRID_HPP
#define CAMLIP_NEIGHBORS_GRID_HPP

#include <array>
#include <cstdint>
#include <vector>

#include "lattice.hpp"
#include "neighbors/array.hpp"
#include "neighbors/search.hpp"

namespace camlip {

// r_owner + shift . cell, the same sum wherever an image is placed.
inline void place_image(const double* owner, const std::int32_t* shift, const double* cell,
                        double* image) {
    for (int x = 0; x < 3; ++x) {
        double r = owner[x];
        for (int k = 0; k < 3; ++k)
            if (shift[k] != 0) r += shift[k] * cell[3 * k + x];
        image[x] = r;
    }
}

// Bins divide the box that the reduced lattice vectors span (along directions that are not
// periodic: the extent of the atoms); beyond it lie `margin` further bins on each side, which hold
// the images within range of the box.  Bin (b0, b1, b2) has index ((b0 + margin0) size1 + ...).
class Grid {
  public:
    // Positions are those of the images inside the box.  Keeps its memory from call to call.
    void build(const Lattice& lattice, const double* cell, double range, const double* positions,
               std::int64_t num_atoms);

    // The images that neighbor an atom, ordered by bin; image g is in row num_atoms + g of what the search finds.
    std::int64_t num_images() const { return static_cast<std::int64_t>(owner_.size()); }
    const std::vector<std::int64_t>& owner() const { return owner_; }
    const std::vector<std::int32_t>& shift() const { return shift_; }  // by the given vectors

    // Rows of bins along the last direction, to be searched one by one.
    std::int64_t num_rods() const { return std::int64_t{count_[0]} * count_[1]; }
    std::int32_t first_bin(std::int64_t rod) const;
    std::int32_t rod_length() const { return count_[2]; }
    search::Input input(double range) const;
    // No bin has more entries around it.
    std::int64_t most_around() const;
    std::int32_t num_columns() const { return static_cast<std::int32_t>(columns_.size()); }
    std::uint64_t memory_bytes() const;

  private:
    struct Image {
        std::int32_t owner, bin;
        std::array<std::int32_t, 3> shift;  // by the reduced vectors
    };

    void choose_bins(const Lattice& lattice, double range, std::int64_t num_atoms);
    void find_columns(const Lattice& lattice, double range);
    void find_images(const Vector3& place, std::int32_t atom,
                     const std::array<std::int32_t, 3>& bin);
    void sort_entries(const Lattice& lattice, const double* cell, double range,
                      const double* positions, std::int64_t num_atoms);
    bool has_neighbor(std::int32_t bin, const double* position, double range2) const;
    std::int32_t index(std::int32_t a, std::int32_t b, std::int32_t c) const {
        return ((a + margin_[0]) * size_[1] + b + margin_[1]) * size_[2] + c + margin_[2];
    }

    std::array<bool, 3> periodic_;
    Vector3 low_, extent_;  // fractional coordinates of the box
    Vector3 reach_;         // range, in fractional coordinates
    std::array<std::int32_t, 3> count_, margin_, size_;
    std::vector<search::Column> columns_;
    double spread_;  // no two entries around a bin are further apart

    Array<std::int32_t> bin_of_;  // (N)
    std::vector<Image> images_;
    std::vector<std::int32_t> starts_;
    Array<double> x_, y_, z_;
    Array<std::int32_t> rows_;
    std::vector<std::int64_t> owner_;
    std::vector<std::int32_t> shift_;
};

}  // namespace camlip

#endif
