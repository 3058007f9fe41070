// SPDX-License-Identifier: MIT
#include "training/structure.hpp"

#include <algorithm>

namespace camlip {

TrainingStructure::TrainingStructure(const System& system, const std::int32_t* atom_types,
                                     double cutoff)
    : types(atom_types, atom_types + system.num_atoms) {
    Neighbors neighbors(cutoff, kTrainingSkin, true, 1);
    neighbors.update(system);
    if (system.cell) std::copy_n(system.cell, 9, cell.begin());
    const std::vector<double>& all = neighbors.positions();
    const auto end_of_atoms = all.begin() + static_cast<std::ptrdiff_t>(3 * types.size());
    positions.assign(all.begin(), end_of_atoms);
    for (const std::int64_t owner : neighbors.ghost_owner()) {
        const auto o = static_cast<std::size_t>(owner);
        const std::size_t g = types.size() + ghost_owner.size();
        ghost_owner.push_back(static_cast<std::int32_t>(owner));
        for (std::size_t x = 0; x < 3; ++x) ghost_vector.push_back(all[3 * g + x] - all[3 * o + x]);
    }
    const std::vector<std::int64_t>& offsets = neighbors.offsets();
    for (std::size_t i = 0; i < types.size(); ++i)
        counts.push_back(static_cast<std::int32_t>(offsets[i + 1] - offsets[i]));
    indices = neighbors.indices();
}

}  // namespace camlip
