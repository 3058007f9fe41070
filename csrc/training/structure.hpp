// SPDX-License-Identifier: MIT
// A structure of a data set with its neighbor list, made once and used in every epoch.
#ifndef CAMLIP_TRAINING_STRUCTURE_HPP
#define CAMLIP_TRAINING_STRUCTURE_HPP

#include <array>
#include <cstdint>
#include <vector>

#include "neighbors.hpp"

namespace camlip {

// Displacements (Angstrom) of training evaluations stay below half of this.
constexpr double kTrainingSkin = 0.1;

struct TrainingStructure {
    // Throws as Neighbors does.
    TrainingStructure(const System& system, const std::int32_t* types, double cutoff);

    std::int64_t num_atoms() const { return static_cast<std::int64_t>(types.size()); }
    std::int64_t num_ghost() const { return static_cast<std::int64_t>(ghost_owner.size()); }

    std::vector<double> positions;     // (n, 3), inside the cell
    std::vector<std::int32_t> types;   // (n)
    std::array<double, 9> cell = {};   // rows are lattice vectors; zero when nothing is periodic
    std::vector<std::int32_t> ghost_owner;  // (g)
    std::vector<double> ghost_vector;  // (g, 3), r_ghost - r_owner
    std::vector<std::int32_t> counts;  // (n) neighbors of each atom
    std::vector<std::int32_t> indices; // rows of atoms, then of ghosts, of this structure
};

}  // namespace camlip

#endif
