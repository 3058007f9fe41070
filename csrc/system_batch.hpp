// SPDX-License-Identifier: MIT
// Many small systems as one: their atoms, then the periodic images that neighbor any of them, with
// the neighbor lists of all.  A backend sees one system whose parts do not touch, so that its
// blocks of atoms are full and its threads have work, however small the systems are.
#ifndef CAMLIP_SYSTEM_BATCH_HPP
#define CAMLIP_SYSTEM_BATCH_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "neighbors.hpp"

namespace camlip {

// Views of the caller's arrays: systems one after the other.
struct Systems {
    std::int64_t count = 0;
    const std::int64_t* offsets = nullptr;  // (count + 1): atoms of system s from offsets[s] on
    const double* positions = nullptr;      // (N, 3), Angstrom
    const std::int32_t* types = nullptr;    // (N)
    const double* cells = nullptr;  // (count, 3, 3); may be null when nothing is periodic
    const std::int32_t* periodic = nullptr;  // (count, 3); null: nothing is

    std::int64_t num_atoms() const { return count > 0 ? offsets[count] : 0; }
    System system(std::int64_t s) const;
};

class SystemBatch {
  public:
    // num_threads: 0 = what OpenMP would use.
    SystemBatch(double cutoff, int num_threads, const std::string& simd);

    // Takes systems [first, last).  Throws what Neighbors throws, with the number of the system.
    void pack(const Systems& systems, std::int64_t first, std::int64_t last);

    int num_threads() const { return static_cast<int>(parts_.size()); }
    std::int64_t num_owned() const { return num_owned_; }
    std::int64_t num_ghost() const { return static_cast<std::int64_t>(ghost_owner_.size()); }
    const std::vector<std::int64_t>& ghost_owner() const { return ghost_owner_; }
    // Ghosts of system first + s begin at num_owned() + ghost_starts()[s]; (last - first + 1).
    const std::vector<std::int64_t>& ghost_starts() const { return ghost_starts_; }
    const Array<double>& positions() const { return positions_; }  // (N + G, 3)
    const std::vector<std::int32_t>& types() const { return types_; }  // (N + G)
    const std::vector<std::int64_t>& offsets() const { return offsets_; }
    const Array<std::int32_t>& indices() const { return indices_; }
    std::uint64_t memory_bytes() const;

  private:
    // What one thread finds; rows count from its first atom, ghosts g are stored as -1 - g.
    struct Part {
        Neighbors neighbors;
        std::int64_t first = 0, last = 0;  // systems
        std::vector<double> owned, ghosts;
        std::vector<std::int64_t> ghost_owner, ghost_counts, list_counts;
        std::vector<std::int32_t> indices;
    };

    void find(const Systems& systems, Part& part);
    void place(const Part& part, std::int64_t owned, std::int64_t ghost, std::int64_t index);

    std::vector<Part> parts_;
    std::int64_t num_owned_ = 0;
    std::vector<std::int64_t> ghost_owner_, ghost_starts_, offsets_;
    Array<double> positions_;
    std::vector<std::int32_t> types_;
    Array<std::int32_t> indices_;
};

}  // namespace camlip

#endif
