// SPDX-License-Identifier: MIT
// What tells a list that is out of date.
#ifndef CAMLIP_CUDA_LIST_KEYS_HPP
#define CAMLIP_CUDA_LIST_KEYS_HPP

#include <array>
#include <cstdint>

namespace camlip::cuda {

// What the list of the caller was when it came to the device.
struct ListKey {
    const std::int64_t* offsets = nullptr;
    const std::int32_t* indices = nullptr;
    std::uint64_t revision = 0;
    std::int64_t atoms = -1, edges = 0;
    bool operator==(const ListKey& o) const {
        return offsets == o.offsets && indices == o.indices && revision == o.revision &&
               atoms == o.atoms && edges == o.edges;
    }
};

// What a list of owned atoms and ghosts was made for.
struct DomainKey {
    std::uint64_t revision = 0;
    std::int64_t owned = -1, total = 0;
    double radius = 0;
    bool operator==(const DomainKey& o) const {
        return revision == o.revision && owned == o.owned && total == o.total && radius == o.radius;
    }
};

// What a list of a whole system was made for.
struct WholeKey {
    std::int64_t atoms = -1;
    bool has_cell = false;
    std::array<double, 9> cell{};
    std::array<bool, 3> periodic{};
    bool same_but_cell(const WholeKey& o) const {
        return atoms == o.atoms && has_cell == o.has_cell && periodic == o.periodic;
    }
    bool operator==(const WholeKey& o) const { return same_but_cell(o) && cell == o.cell; }
};

}  // namespace camlip::cuda

#endif
