// SPDX-License-Identifier: MIT
#include "neighbors.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <utility>

#include "errors.hpp"
#include "instruction_set.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace camlip {
namespace {

// Positions further away than this many cells have lost the digits that matter.
constexpr double kMaxCellsAway = 1e6;
constexpr std::int64_t kAtomsPerThread = 1000;  // fewer are not worth a thread

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

double square(const double* r) { return r[0] * r[0] + r[1] * r[1] + r[2] * r[2]; }

}  // namespace

Neighbors::Neighbors(double cutoff, double skin, bool wrap, int num_threads,
                     const std::string& simd)
    : cutoff_(cutoff),
      skin_(skin),
      wrap_(wrap),
      num_threads_(num_threads),
      functions_(search::choose(instruction_set(simd).c_str())) {
    if (!(cutoff > 0) || !std::isfinite(cutoff))
        throw ArgumentError("cutoff: value " + std::to_string(cutoff) +
                            ", expected a positive number of Angstrom");
    if (!(skin >= 0) || !std::isfinite(skin))
        throw ArgumentError("skin: value " + std::to_string(skin) +
                            ", expected at least 0 Angstrom");
}

void Neighbors::update(const System& system) {
    double sum = 0;  // 0 * x is NaN for NaN and infinity
    for (std::int64_t i = 0; i < 3 * system.num_atoms; ++i) sum += 0 * system.positions[i];
    for (std::int64_t i = 0; !(sum == 0) && i < 3 * system.num_atoms; ++i)
        if (!std::isfinite(system.positions[i]))
            throw NumericError("positions: atom " + std::to_string(i / 3) +
                               " is at NaN or infinity");
    const bool kept = std::exchange(valid_, false) && keep(system);
    if (!kept) rebuild(system);
    place_ghosts();
    valid_ = true;
}

// Moves the atoms of the list to where they are now; false when it may be short of a pair then.
bool Neighbors::keep(const System& system) {
    if (system.num_atoms != num_atoms_ || system.periodic != periodic_) return false;
    bool same_cell = true;
    for (std::size_t k = 0; k < 9; ++k)
        same_cell &= !periodic_[k / 3] || (system.cell && system.cell[k] == cell_[k]);
    double limit = 0.5 * skin_;
    if ((!same_cell || deformed_) && !deform(system.cell, &limit)) return false;
    const double limit2 = limit * limit;
    for (std::int64_t i = 0; i < num_atoms_; ++i) {
        const double* given = system.positions + 3 * i;
        const double* built = &built_positions_[at(3 * i)];
        double* r = &positions_[at(3 * i)];
        double start[3] = {built[0], built[1], built[2]};
        for (std::size_t x = 0; deformed_ && x < 3; ++x)
            start[x] = built[0] * deformation_[x] + built[1] * deformation_[3 + x] +
                       built[2] * deformation_[6 + x];
        for (std::size_t x = 0; x < 3; ++x) r[x] = given[x];
        if (wrap_ && !home_.empty()) {
            const Vector3 home = lattice_.vector(home_[at(i)]);
            for (std::size_t x = 0; x < 3; ++x) r[x] -= home[x];
        }
        const double moved[3] = {r[0] - start[0], r[1] - start[1], r[2] - start[2]};
        if (!(square(moved) <= limit2) && !unwrap(i, r, start, limit2)) return false;
    }
    return true;
}

// A list stays complete while the cell changes little.  With the linear map F from the old to the
// new cell and atoms u away from where F takes them, two atoms closer than the cutoff now were
// closer than (cutoff + 2 u) / s, s the smallest factor by which F stretches anything; and
// s >= 1 - |F - 1|.  False when no u is allowed.
bool Neighbors::deform(const double* cell, double* limit) {
    const Lattice lattice(cell, periodic_);
    if (!built_lattice_.map_to(lattice, deformation_.data())) return false;
    double strain = 0;
    for (std::size_t k = 0; k < 9; ++k) {
        const double e = deformation_[k] - (k % 4 == 0 ? 1 : 0);
        strain += e * e;
    }
    *limit = 0.5 * ((cutoff_ + skin_) * (1 - std::sqrt(strain)) - cutoff_);
    lattice_ = lattice;
    std::copy_n(cell, 9, cell_.begin());
    deformed_ = strain > 0;
    return *limit >= 0;
}

// An atom that jumped by lattice vectors (the host wrapped it) is where it was: takes its position
// back.  False when it moved too far anyway.
bool Neighbors::unwrap(std::int64_t i, double* position, const double* start, double limit2) {
    if (!wrap_) return false;  // the shifts of its ghosts would change
    const double moved[3] = {position[0] - start[0], position[1] - start[1],
                             position[2] - start[2]};
    const Vector3 cells = lattice_.fractional(moved);
    Shift3 jump = {0, 0, 0};
    for (std::size_t k = 0; k < 3; ++k) {
        if (!periodic_[k]) continue;
        if (!(std::fabs(cells[k]) < kMaxCellsAway)) return false;
        jump[k] = std::llround(cells[k]);
    }
    if (jump == Shift3{0, 0, 0}) return false;
    if (home_.empty()) home_.assign(at(num_atoms_), {0, 0, 0});
    for (std::size_t k = 0; k < 3; ++k) home_[at(i)][k] += jump[k];
    const Vector3 r = lattice_.vector(jump);
    for (std::size_t x = 0; x < 3; ++x) position[x] -= r[x];
    const double rest[3] = {position[0] - start[0], position[1] - start[1], position[2] - start[2]};
    return square(rest) <= limit2;
}

void Neighbors::rebuild(const System& system) {
    built_lattice_ = lattice_ = Lattice(system.cell, system.periodic);
    deformed_ = false;
    num_atoms_ = system.num_atoms;
    periodic_ = system.periodic;
    if (system.cell) std::copy_n(system.cell, 9, cell_.begin());
    find_homes(system);
    const bool restated = !wrap_ && !home_.empty();
    grid_.build(lattice_, cell_.data(), cutoff_ + skin_,
                restated ? wrapped_.data() : built_positions_.data(), num_atoms_);
    search();
    if (restated) {
        restate_for_given_positions();
    } else {
        ghost_owner_ = grid_.owner();
        ghost_shift_ = grid_.shift();
    }
    positions_.resize(at(3 * (num_atoms_ + num_ghost())));
    std::copy(built_positions_.begin(), built_positions_.end(), positions_.begin());
    ++revision_;
}

// Which cell each atom is in.
void Neighbors::find_homes(const System& system) {
    built_positions_.resize(at(3 * num_atoms_));
    std::copy_n(system.positions, 3 * num_atoms_, built_positions_.begin());
    home_.clear();
    for (std::int64_t i = 0; i < num_atoms_; ++i) {
        const Vector3 place = lattice_.fractional(system.positions + 3 * i);
        Shift3 home = {0, 0, 0};
        for (std::size_t k = 0; k < 3; ++k) {
            if (!periodic_[k]) continue;
            const double cells = std::floor(place[k]);
            if (!(std::fabs(cells) < kMaxCellsAway))
                throw ArgumentError("positions: atom " + std::to_string(i) +
                                    " is more than a million cells away from the origin");
            home[k] = static_cast<std::int64_t>(cells);
        }
        if (home == Shift3{0, 0, 0}) continue;
        if (home_.empty()) home_.assign(at(num_atoms_), {0, 0, 0});
        home_[at(i)] = home;
    }
    if (home_.empty()) return;
    Array<double>& wrapped = wrap_ ? built_positions_ : wrapped_;
    wrapped.resize(at(3 * num_atoms_));
    for (std::int64_t i = 0; i < num_atoms_; ++i) {
        const Vector3 home = lattice_.vector(home_[at(i)]);
        for (std::size_t x = 0; x < 3; ++x)
            wrapped[at(3 * i) + x] = system.positions[at(3 * i) + x] - home[x];
    }
}

int Neighbors::threads_for(std::int64_t num_atoms) const {
    int threads = 1;
#ifdef _OPENMP
    threads = num_threads_ > 0 ? num_threads_ : omp_get_max_threads();
#endif
    return static_cast<int>(std::min<std::int64_t>(threads, 1 + num_atoms / kAtomsPerThread));
}

// Counts, then lists: every row goes straight to its place, whichever thread finds it.
void Neighbors::search() {
    const int threads = threads_for(num_atoms_);
    const search::Input input = grid_.input(cutoff_ + skin_);
    const std::int64_t num_rods = num_atoms_ > 0 ? grid_.num_rods() : 0;
    offsets_.resize(at(num_atoms_) + 1);
    offsets_[0] = 0;
    const std::size_t num_runs = at(grid_.num_columns());
    const std::size_t size = at(grid_.most_around()) + 2 * search::kMaxLanes;
    runs_.resize(static_cast<std::size_t>(threads) * num_runs);
    around_.resize(static_cast<std::size_t>(threads) * 3 * size);
    lists_.resize(static_cast<std::size_t>(threads) * 2 * size);
    const auto for_bins = [&](auto body) {
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4) if (threads > 1)
#endif
        for (std::int64_t rod = 0; rod < num_rods; ++rod) {
            std::size_t t = 0;
#ifdef _OPENMP
            t = static_cast<std::size_t>(omp_get_thread_num());
#endif
            float* around = around_.data() + t * 3 * size;
            std::int32_t* lists = lists_.data() + t * 2 * size;
            const search::Room room = {runs_.data() + t * num_runs, around, around + size,
                                       around + 2 * size,           lists,  lists + size};
            const std::int32_t first = grid_.first_bin(rod);
            for (std::int32_t b = 0; b < grid_.rod_length(); ++b) body(first + b, room);
        }
    };
    for_bins([&](std::int32_t bin, const search::Room& room) {
        functions_.count(input, bin, room, offsets_.data() + 1);
    });
    for (std::size_t i = 1; i < offsets_.size(); ++i) offsets_[i] += offsets_[i - 1];
    indices_.resize(at(offsets_.back()));
    for_bins([&](std::int32_t bin, const search::Room& room) {
        functions_.list(input, bin, room, offsets_.data(), indices_.data());
    });
}

// From shifts between wrapped positions to shifts between the given ones: other images.
void Neighbors::restate_for_given_positions() {
    first_ghost_.assign(at(num_atoms_), -1);
    next_ghost_.clear();
    ghost_owner_.clear();
    ghost_shift_.clear();
    for (std::int64_t i = 0; i < num_atoms_; ++i) {
        const Shift3 from = lattice_.given(home_[at(i)]);
        for (std::int64_t n = offsets_[at(i)]; n < offsets_[at(i) + 1]; ++n) {
            const std::int64_t image = indices_[at(n)] - num_atoms_;
            const std::int64_t owner = image < 0 ? indices_[at(n)] : grid_.owner()[at(image)];
            const Shift3 to = lattice_.given(home_[at(owner)]);
            Shift3 shift = {0, 0, 0};
            for (std::size_t k = 0; k < 3; ++k) {
                if (image >= 0) shift[k] = grid_.shift()[at(3 * image) + k];
                shift[k] += from[k] - to[k];
            }
            indices_[at(n)] = shift == Shift3{0, 0, 0} ? static_cast<std::int32_t>(owner)
                                                       : ghost_row(owner, shift);
        }
    }
}

// The row of an image; a new one when it has none yet.
std::int32_t Neighbors::ghost_row(std::int64_t owner, const Shift3& shift) {
    for (std::int32_t g = first_ghost_[at(owner)]; g >= 0; g = next_ghost_[at(g)]) {
        const std::int32_t* s = &ghost_shift_[at(3 * std::int64_t{g})];
        if (s[0] == shift[0] && s[1] == shift[1] && s[2] == shift[2])
            return static_cast<std::int32_t>(num_atoms_ + g);
    }
    const auto g = static_cast<std::int64_t>(ghost_owner_.size());
    if (num_atoms_ + g >= std::numeric_limits<std::int32_t>::max())
        throw ArgumentError(
            "system: more than 2^31 atoms and images; use a larger cell or fewer "
            "atoms");
    for (const std::int64_t s : shift)
        if (std::abs(s) > std::numeric_limits<std::int32_t>::max())
            throw ArgumentError("cell: too skewed, an image of atom " + std::to_string(owner) +
                                " is more than 2^31 cells away; reduce the lattice vectors");
    ghost_owner_.push_back(owner);
    for (const std::int64_t s : shift) ghost_shift_.push_back(static_cast<std::int32_t>(s));
    next_ghost_.push_back(first_ghost_[at(owner)]);
    first_ghost_[at(owner)] = static_cast<std::int32_t>(g);
    return static_cast<std::int32_t>(num_atoms_ + g);
}

void Neighbors::place_ghosts() {
    double* ghost = positions_.data() + 3 * num_atoms_;
    for (std::size_t g = 0; g < ghost_owner_.size(); ++g)
        place_image(&positions_[at(3 * ghost_owner_[g])], &ghost_shift_[3 * g], cell_.data(),
                    ghost + 3 * g);
}

void Neighbors::fill_pairs(const PairColumns& columns) const {
    const int threads = threads_for(num_atoms_);
    const PairColumns out = columns;
    const std::int64_t num_atoms = num_atoms_;
    const double* positions = positions_.data();
    const std::int64_t *offsets = offsets_.data(), *owner = ghost_owner_.data();
    const std::int32_t *indices = indices_.data(), *shift = ghost_shift_.data();
    // Shifts of the list are between positions(), those of the pairs between the given ones.
    const Shift3* home = wrap_ && !home_.empty() ? home_.data() : nullptr;
    const auto fill = [=](std::int64_t i) {
        const double* center = positions + 3 * i;
        for (std::int64_t n = offsets[i]; n < offsets[i + 1]; ++n) {
            const std::int64_t j = indices[n], g = j - num_atoms;
            const double* other = positions + 3 * j;
            const double r[3] = {other[0] - center[0], other[1] - center[1], other[2] - center[2]};
            if (out.first) out.first[n] = i;
            if (out.second) out.second[n] = g < 0 ? j : owner[g];
            if (out.shifts)
                for (int k = 0; k < 3; ++k) out.shifts[3 * n + k] = g < 0 ? 0 : shift[3 * g + k];
            if (out.distances) out.distances[n] = std::sqrt(square(r));
            if (out.vectors)
                for (int k = 0; k < 3; ++k) out.vectors[3 * n + k] = r[k];
        }
    };
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
#endif
    for (std::int64_t i = 0; i < num_atoms; ++i) {
        fill(i);
        if (!home || !out.shifts) continue;
        const Shift3 from = lattice_.given(home[i]);
        for (std::int64_t n = offsets[i]; n < offsets[i + 1]; ++n) {
            const std::int64_t g = indices[n] - num_atoms;
            const Shift3 to = lattice_.given(home[g < 0 ? indices[n] : owner[g]]);
            for (std::size_t k = 0; k < 3; ++k)
                out.shifts[3 * n + static_cast<std::int64_t>(k)] +=
                    static_cast<std::int32_t>(from[k] - to[k]);
        }
    }
}

std::uint64_t Neighbors::memory_bytes() const {
    return 8 * (built_positions_.capacity() + positions_.capacity() + wrapped_.capacity() +
                offsets_.capacity() + ghost_owner_.capacity() + 3 * home_.capacity() +
                runs_.capacity()) +
           4 * (indices_.capacity() + ghost_shift_.capacity() + next_ghost_.capacity() +
                first_ghost_.capacity() + lists_.capacity() + around_.capacity()) +
           grid_.memory_bytes();
}

}  // namespace camlip
