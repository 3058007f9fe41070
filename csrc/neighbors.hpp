// SPDX-License-Identifier: MIT
// Neighbor lists of whole systems: a cell list in linear time, kept while atoms move by less than
// half the skin, with periodic images as ghost atoms.
//
// Full list: neighbors j of i with |r_j + shift . cell - r_i| < cutoff + skin, ordered by nothing
// in particular but the same in every run.  An image that neighbors some atom is a ghost; there
// are no other ghosts.
#ifndef CAMLIP_NEIGHBORS_HPP
#define CAMLIP_NEIGHBORS_HPP

#include <array>
#include <cstdint>
#include <vector>

#include "lattice.hpp"

namespace camlip {

// Views of the caller's arrays.
struct System {
    std::int64_t num_atoms = 0;
    const double* positions = nullptr;  // (num_atoms, 3), need not lie inside the cell
    const double* cell = nullptr;       // (3, 3); may be null when nothing is periodic
    std::array<bool, 3> periodic = {false, false, false};
};

class Neighbors {
  public:
    // With wrap, the list is made for the images of the atoms that lie inside the cell: fewest
    // ghosts, also when atoms have travelled far.  Without, for the positions as they are given.
    Neighbors(double cutoff, double skin, bool wrap, int num_threads);

    // Throws ArgumentError for a cell without volume and when there would be too many ghosts;
    // NumericError for positions that are not finite.
    void update(const System& system);
    // The next update makes the list anew.
    void invalidate() { valid_ = false; }

    // False before the first update and after one that failed: the lists are not to be used.
    bool valid() const { return valid_; }

    std::int64_t num_atoms() const { return num_atoms_; }
    std::int64_t num_ghost() const { return static_cast<std::int64_t>(ghost_owner_.size()); }
    const std::vector<std::int64_t>& ghost_owner() const { return ghost_owner_; }
    const std::vector<std::int32_t>& ghost_shift() const { return ghost_shift_; }  // (G, 3)
    const std::vector<double>& positions() const { return positions_; }            // (N + G, 3)
    const std::vector<std::int64_t>& offsets() const { return offsets_; }
    const std::vector<std::int32_t>& indices() const { return indices_; }
    std::uint64_t revision() const { return revision_; }
    std::uint64_t memory_bytes() const;

  private:
    // A neighbor found by the search, before its image has a row.
    struct Candidate {
        std::int32_t atom;
        std::array<std::int32_t, 3> shift;  // by the reduced vectors, between wrapped positions
    };
    struct Bins;

    bool can_keep(const System& system) const;
    void rebuild(const System& system);
    Bins sort_into_bins(const Lattice& lattice) const;
    void search(const Lattice& lattice, const Bins& bins, std::int64_t begin, std::int64_t end,
                std::vector<Candidate>& found, std::int64_t* counts) const;
    void append(const Lattice& lattice, const std::vector<Candidate>& found, std::int64_t begin,
                std::int64_t end, const std::vector<std::int64_t>& counts);
    std::int32_t ghost_row(std::int64_t owner, const Shift3& shift);
    void refresh_positions(const System& system);

    double cutoff_, skin_;
    bool wrap_;
    int num_threads_;

    bool valid_ = false;
    std::uint64_t revision_ = 0;
    std::int64_t num_atoms_ = 0;
    std::array<bool, 3> periodic_ = {false, false, false};
    std::array<double, 9> cell_ = {};
    std::vector<double> built_positions_;  // as given at the last rebuild

    std::vector<Shift3> home_;               // (N) reduced vectors between given and wrapped
    std::vector<double> wrapped_;            // (N, 3) at the last rebuild
    std::vector<double> home_vectors_;       // (N, 3) given - positions(), with wrap
    std::vector<std::int32_t> first_ghost_;  // (N) chain of each atom's ghosts, -1 ends it
    std::vector<std::int32_t> next_ghost_;   // (G)

    std::vector<std::int64_t> ghost_owner_;
    std::vector<std::int32_t> ghost_shift_;
    std::vector<double> positions_;
    std::vector<std::int64_t> offsets_;
    std::vector<std::int32_t> indices_;
};

}  // namespace camlip

#endif
