// SPDX-License-Identifier: MIT
#include "system_batch.hpp"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <limits>

#include "errors.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace camlip {
namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

int threads_of(int num_threads) {
#ifdef _OPENMP
    return num_threads > 0 ? num_threads : omp_get_max_threads();
#else
    return std::max(num_threads, 1);
#endif
}

// The exception being handled, of the same type, with the number of the system in front.
[[noreturn]] void fail(std::int64_t system) {
    const std::string name = "system " + std::to_string(system) + ": ";
    try {
        throw;
    } catch (const ArgumentError& error) {
        throw ArgumentError(name + error.what());
    } catch (const NumericError& error) {
        throw NumericError(name + error.what());
    }
}

}  // namespace

System Systems::system(std::int64_t s) const {
    System system;
    system.num_atoms = offsets[s + 1] - offsets[s];
    system.positions = positions + 3 * offsets[s];
    system.cell = cells ? cells + 9 * s : nullptr;
    for (std::size_t k = 0; periodic && k < 3; ++k)
        system.periodic[k] = periodic[3 * s + static_cast<std::int64_t>(k)] != 0;
    return system;
}

SystemBatch::SystemBatch(double cutoff, int num_threads, const std::string& simd) {
    const int threads = threads_of(num_threads);
    parts_.reserve(static_cast<std::size_t>(threads));
    // Lists are made anew for every batch: no skin.
    for (int t = 0; t < threads; ++t)
        parts_.push_back({Neighbors(cutoff, 0, true, 1, simd), 0, 0, {}, {}, {}, {}, {}, {}});
}

void SystemBatch::pack(const Systems& systems, std::int64_t first, std::int64_t last) {
    const std::int64_t begin = systems.offsets[first];
    num_owned_ = systems.offsets[last] - begin;
    const auto num_parts = static_cast<std::int64_t>(parts_.size());
    std::int64_t next = first;
    for (std::int64_t t = 0; t < num_parts; ++t) {  // about as many atoms in each
        parts_[at(t)].first = next;
        const std::int64_t end = begin + num_owned_ * (t + 1) / num_parts;
        while (next < last && (t + 1 == num_parts || systems.offsets[next + 1] <= end)) ++next;
        parts_[at(t)].last = next;
    }
    std::exception_ptr error;
    std::int64_t failed = num_parts;
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) \
    num_threads(static_cast<int>(num_parts)) if (num_parts > 1)
#endif
    for (std::int64_t t = 0; t < num_parts; ++t) {
        try {
            find(systems, parts_[at(t)]);
        } catch (...) {
#ifdef _OPENMP
#pragma omp critical(camlip_system_batch)
#endif
            if (t < failed) {  // the first one of all, whoever is quicker
                failed = t;
                error = std::current_exception();
            }
        }
    }
    if (error) std::rethrow_exception(error);

    std::vector<std::int64_t> owned = {0}, ghost = {0}, index = {0};  // where each part begins
    ghost_starts_.assign(1, 0);
    for (const Part& part : parts_) {
        owned.push_back(owned.back() + static_cast<std::int64_t>(part.list_counts.size()));
        ghost.push_back(ghost.back() + static_cast<std::int64_t>(part.ghost_owner.size()));
        index.push_back(index.back() + static_cast<std::int64_t>(part.indices.size()));
        for (const std::int64_t count : part.ghost_counts)
            ghost_starts_.push_back(ghost_starts_.back() + count);
    }
    if (num_owned_ + ghost.back() > std::numeric_limits<std::int32_t>::max())
        throw ArgumentError(
            "systems: more than 2^31 atoms and images; use fewer systems at a time");
    const std::int64_t total = num_owned_ + ghost.back();
    positions_.resize(at(3 * total));
    types_.resize(at(total));
    ghost_owner_.resize(at(ghost.back()));
    offsets_.resize(at(num_owned_ + 1));
    offsets_[0] = 0;
    indices_.resize(at(index.back()));
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) \
    num_threads(static_cast<int>(num_parts)) if (num_parts > 1)
#endif
    for (std::int64_t t = 0; t < num_parts; ++t)
        place(parts_[at(t)], owned[at(t)], ghost[at(t)], index[at(t)]);
    std::copy_n(systems.types + begin, num_owned_, types_.begin());
    for (std::size_t g = 0; g < ghost_owner_.size(); ++g)
        types_[at(num_owned_) + g] = types_[at(ghost_owner_[g])];
}

void SystemBatch::find(const Systems& systems, Part& part) {
    part.owned.clear();
    part.ghosts.clear();
    part.ghost_owner.clear();
    part.ghost_counts.clear();
    part.list_counts.clear();
    part.indices.clear();
    for (std::int64_t s = part.first; s < part.last; ++s) {
        Neighbors& list = part.neighbors;
        try {
            list.update(systems.system(s));
        } catch (const std::exception&) {
            fail(s);
        }
        const std::int64_t atoms = list.num_atoms(), ghosts = list.num_ghost();
        const auto first_row = static_cast<std::int64_t>(part.list_counts.size());
        const auto first_ghost = static_cast<std::int64_t>(part.ghost_owner.size());
        const auto middle = list.positions().begin() + 3 * atoms;
        part.owned.insert(part.owned.end(), list.positions().begin(), middle);
        part.ghosts.insert(part.ghosts.end(), middle, middle + 3 * ghosts);
        for (const std::int64_t owner : list.ghost_owner())
            part.ghost_owner.push_back(first_row + owner);
        part.ghost_counts.push_back(ghosts);
        for (std::int64_t i = 0; i < atoms; ++i)
            part.list_counts.push_back(list.offsets()[at(i + 1)] - list.offsets()[at(i)]);
        for (const std::int32_t j : list.indices()) {
            const std::int64_t row = j < atoms ? first_row + j : -1 - (first_ghost + (j - atoms));
            part.indices.push_back(static_cast<std::int32_t>(row));
        }
    }
}

void SystemBatch::place(const Part& part, std::int64_t owned, std::int64_t ghost,
                        std::int64_t index) {
    std::copy(part.owned.begin(), part.owned.end(), positions_.begin() + 3 * owned);
    std::copy(part.ghosts.begin(), part.ghosts.end(),
              positions_.begin() + 3 * (num_owned_ + ghost));
    for (std::size_t g = 0; g < part.ghost_owner.size(); ++g)
        ghost_owner_[at(ghost) + g] = owned + part.ghost_owner[g];
    std::int64_t end = index;
    for (std::size_t i = 0; i < part.list_counts.size(); ++i) {
        end += part.list_counts[i];
        offsets_[at(owned) + i + 1] = end;
    }
    for (std::size_t n = 0; n < part.indices.size(); ++n) {
        const std::int64_t row = part.indices[n];
        const std::int64_t placed = row >= 0 ? owned + row : num_owned_ + ghost - 1 - row;
        indices_[at(index) + n] = static_cast<std::int32_t>(placed);
    }
}

std::uint64_t SystemBatch::memory_bytes() const {
    std::uint64_t bytes = 8 * (ghost_owner_.capacity() + ghost_starts_.capacity() +
                               offsets_.capacity() + positions_.capacity()) +
                          4 * (types_.capacity() + indices_.capacity());
    for (const Part& part : parts_)
        bytes += part.neighbors.memory_bytes() + 4 * part.indices.capacity() +
                 8 * (part.owned.capacity() + part.ghosts.capacity() + part.ghost_owner.capacity() +
                      part.ghost_counts.capacity() + part.list_counts.capacity());
    return bytes;
}

}  // namespace camlip
