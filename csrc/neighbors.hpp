// SPDX-License-Identifier: MIT
// Neighbor lists of whole systems: a cell list in linear time, kept while atoms move by less than
// half the skin, with periodic images as ghost atoms.
//
// Full list: neighbors j of i with |positions()[j] - positions()[i]| < cutoff + skin, as double
// arithmetic has it, ordered by nothing in particular but the same in every run, with any number
// of threads and any instruction set.  An image that neighbors some atom is a ghost; there are no
// other ghosts.
#ifndef CAMLIP_NEIGHBORS_HPP
#define CAMLIP_NEIGHBORS_HPP

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "lattice.hpp"
#include "neighbors/array.hpp"
#include "neighbors/grid.hpp"
#include "neighbors/search.hpp"

namespace camlip {

// Views of the caller's arrays.
struct System {
    std::int64_t num_atoms = 0;
    const double* positions = nullptr;  // (num_atoms, 3), need not lie inside the cell
    const double* cell = nullptr;       // (3, 3); may be null when nothing is periodic
    std::array<bool, 3> periodic = {false, false, false};
};

// Columns of the list as pairs, one row a pair; null: not wanted.
struct PairColumns {
    std::int64_t* first = nullptr;
    std::int64_t* second = nullptr;   // owned atoms both
    std::int32_t* shifts = nullptr;   // (num_pairs, 3) r_second + shift . cell is the neighbor
    double* distances = nullptr;
    double* vectors = nullptr;        // (num_pairs, 3) from first to the image of second
};

class Neighbors {
  public:
    // With wrap, the list is made for the images of the atoms that lie inside the cell: fewest
    // ghosts, also when atoms have travelled far.  Without, for the positions as they are given.
    Neighbors(double cutoff, double skin, bool wrap, int num_threads,
              const std::string& simd = "auto");

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
    const Array<double>& positions() const { return positions_; }                  // (N + G, 3)
    const std::vector<std::int64_t>& offsets() const { return offsets_; }
    const Array<std::int32_t>& indices() const { return indices_; }
    std::uint64_t revision() const { return revision_; }
    std::uint64_t memory_bytes() const;

    // The pairs of the list, skin included, in its order: indices().size() rows.
    void fill_pairs(const PairColumns& columns) const;

  private:
    bool keep(const System& system);
    bool deform(const double* cell, double* limit);
    bool unwrap(std::int64_t i, double* position, const double* reference, double limit2);
    void rebuild(const System& system);
    void find_homes(const System& system);
    void search();
    void restate_for_given_positions();
    std::int32_t ghost_row(std::int64_t owner, const Shift3& shift);
    void place_ghosts();
    int threads_for(std::int64_t num_atoms) const;

    double cutoff_, skin_;
    bool wrap_;
    int num_threads_;
    const search::Functions& functions_;

    bool valid_ = false;
    std::uint64_t revision_ = 0;
    std::int64_t num_atoms_ = 0;
    std::array<bool, 3> periodic_ = {false, false, false};
    std::array<double, 9> cell_ = {};      // as of the last update
    Lattice built_lattice_, lattice_;      // at the last rebuild, as of the last update
    std::array<double, 9> deformation_ = {};  // from one to the other: r -> r . deformation
    bool deformed_ = false;
    Array<double> built_positions_;        // what positions() began with, at the last rebuild

    // Reduced vectors between the given and the wrapped positions; empty: no atom has any.
    std::vector<Shift3> home_;

    Grid grid_;
    std::vector<search::Run> runs_;     // what each thread searches with
    Array<float> around_;
    Array<std::int32_t> lists_;
    Array<double> wrapped_;             // positions inside the cell, if not built_positions_
    std::vector<std::int32_t> first_ghost_, next_ghost_;  // chains of each atom's ghosts

    std::vector<std::int64_t> ghost_owner_;
    std::vector<std::int32_t> ghost_shift_;
    Array<double> positions_;
    std::vector<std::int64_t> offsets_;
    Array<std::int32_t> indices_;
};

}  // namespace camlip

#endif
