// SPDX-License-Identifier: MIT
// The grid of bins in which the device looks for neighbors: what the host decides about it.
#ifndef CAMLIP_CUDA_LIST_GRID_HPP
#define CAMLIP_CUDA_LIST_GRID_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>

#include "device/model.hpp"
#include "device/search.hpp"
#include "errors.hpp"
#include "lattice.hpp"

namespace camlip::cuda {

class ListGrid {
  public:
    ListGrid(double cutoff, double skin) : cutoff_(cutoff), radius_(cutoff + skin) {}

    void set_skin(double skin) { radius_ = cutoff_ + skin; }
    // With reduced lattice vectors, which shifts count.
    const Grid& grid() const { return grid_; }

    // One bin that covers everything, and how far images reach.
    void set_lattice(const double* cell, const std::array<bool, 3>& periodic) {
        const Lattice lattice(cell, periodic);
        built_lattice_ = lattice;
        grid_.square = radius_ * radius_;
        for (int k = 0; k < 3; ++k) {
            height_[k] = lattice.height(k);
            const Vector3& row = lattice.row(k);
            for (int a = 0; a < 3; ++a) {
                grid_.rows[3 * k + a] = row[static_cast<std::size_t>(a)];
                double unit[3] = {0, 0, 0};
                unit[a] = 1;
                grid_.inverse[3 * a + k] = lattice.fractional(unit)[static_cast<std::size_t>(k)];
            }
            grid_.periodic[k] = periodic[static_cast<std::size_t>(k)];
            grid_.origin[k] = 0;
            grid_.scale[k] = grid_.bins[k] = 1;
            grid_.reach[k] = grid_.periodic[k] ? reach_of(height_[k]) : 0;
        }
    }

    // Whether images bound the fractions, which then go from 0 to 1.
    bool bounded() const { return grid_.periodic[0] && grid_.periodic[1] && grid_.periodic[2]; }
    static std::array<double, 6> unit_range() { return {0, 0, 0, 1, 1, 1}; }

    // Bins as wide as the radius, fewer where most of them would be empty; `range` is that of the
    // fractions of all atoms, the three least and the three greatest.
    void set_bins(const std::array<double, 6>& range, std::int64_t total) {
        double bins[3];
        for (std::size_t k = 0; k < 3; ++k) {
            const double extent = grid_.periodic[k] ? 1 : range[3 + k] - range[k];
            grid_.origin[k] = grid_.periodic[k] ? 0 : range[k];
            bins[k] = std::max(1.0, std::floor(extent * height_[k] / radius_));
            extent_[k] = std::max(extent, 1e-12);
        }
        const double most = std::min(4096.0 + 2.0 * static_cast<double>(total), 1e9);
        while (bins[0] * bins[1] * bins[2] > most) {
            double& widest = *std::max_element(bins, bins + 3);
            widest = std::floor(widest / 2);
        }
        for (std::size_t k = 0; k < 3; ++k) {
            grid_.bins[k] = static_cast<int>(bins[k]);
            grid_.scale[k] = bins[k] / extent_[k];
            grid_.reach[k] = std::max(grid_.periodic[k] ? 0 : 1,
                                      grid_.bins[k] == 1 && !grid_.periodic[k]
                                          ? 0
                                          : reach_of(extent_[k] * height_[k] / bins[k]));
        }
    }

    // Of a list that was made now.
    Frame frame() const {
        Frame frame{};
        std::copy_n(grid_.rows, 9, frame.rows);
        for (int k = 0; k < 9; k += 4) frame.deformation[k] = 1;
        frame.most_moved = 0.25 * (radius_ - cutoff_) * (radius_ - cutoff_);
        return frame;
    }

    // Of that list in a cell that changed; false where it may not hold: csrc/neighbors.cpp says why.
    bool deform(const double* cell, const std::array<bool, 3>& periodic, Frame& frame) const {
        const Lattice lattice(cell, periodic);
        if (!built_lattice_.map_to(lattice, frame.deformation)) return false;
        double strain = 0;
        for (int k = 0; k < 9; ++k) {
            const double e = frame.deformation[k] - (k % 4 == 0 ? 1 : 0);
            strain += e * e;
        }
        const double limit = 0.5 * (radius_ * (1 - std::sqrt(strain)) - cutoff_);
        if (!(limit >= 0)) return false;
        frame.most_moved = limit * limit;
        for (int k = 0; k < 3; ++k) std::copy_n(lattice.row(k).begin(), 3, frame.rows + 3 * k);
        return true;
    }

  private:
    static constexpr int kMostReach = 200;  // that fits into a packed shift, with homes

    int reach_of(double width) const {
        // A little more, for rounding of the fractions.
        const double reach = std::ceil(radius_ * (1 + 1e-9) / width);
        if (!(reach <= kMostReach))
            throw ArgumentError("cell: height " + std::to_string(width) + " for a cutoff of " +
                                std::to_string(radius_) + ", expected at least " +
                                std::to_string(radius_ / kMostReach) +
                                "; repeat the cell, or use backend cpu");
        return static_cast<int>(reach);
    }

    double cutoff_, radius_;
    Grid grid_{};
    Lattice built_lattice_;
    double height_[3] = {1, 1, 1}, extent_[3] = {1, 1, 1};
};

}  // namespace camlip::cuda

#endif
