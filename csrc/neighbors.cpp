// SPDX-License-Identifier: MIT
#include "neighbors.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <limits>
#include <string>

#include "errors.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace camlip {
namespace {

// Positions further away than this many cells have lost the digits that matter.
constexpr double kMaxCellsAway = 1e6;
constexpr double kMaxImages = 1e6;
constexpr std::int64_t kChunk = 512;  // atoms that one thread searches at a time

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

}  // namespace

// Atoms sorted by bins of about half the reach, so that neighbors lie within `reach` bins.
struct Neighbors::Bins {
    std::array<std::int64_t, 3> count, reach;
    std::vector<std::int64_t> bin_of;  // (N), index of the atom's bin
    std::vector<std::int64_t> starts;  // (bins + 1)
    std::vector<std::int32_t> atoms;   // (N), ascending within each bin
    std::vector<double> positions;     // (N, 3), wrapped, in the order of atoms

    std::int64_t index(const std::array<std::int64_t, 3>& b) const {
        return (b[0] * count[1] + b[1]) * count[2] + b[2];
    }
    std::array<std::int64_t, 3> place(std::int64_t index) const {
        return {index / (count[1] * count[2]), index / count[2] % count[1], index % count[2]};
    }
};

Neighbors::Neighbors(double cutoff, double skin, bool wrap, int num_threads)
    : cutoff_(cutoff), skin_(skin), wrap_(wrap), num_threads_(num_threads) {
    if (!(cutoff > 0) || !std::isfinite(cutoff))
        throw ArgumentError("cutoff: value " + std::to_string(cutoff) +
                            ", expected a positive number of Angstrom");
    if (!(skin >= 0) || !std::isfinite(skin))
        throw ArgumentError("skin: value " + std::to_string(skin) +
                            ", expected at least 0 Angstrom");
}

void Neighbors::update(const System& system) {
    for (std::int64_t i = 0; i < 3 * system.num_atoms; ++i)
        if (!std::isfinite(system.positions[i]))
            throw NumericError("positions: atom " + std::to_string(i / 3) +
                               " is at NaN or infinity");
    if (!can_keep(system)) {
        valid_ = false;
        rebuild(system);
        valid_ = true;
    }
    refresh_positions(system);
}

bool Neighbors::can_keep(const System& system) const {
    if (!valid_ || system.num_atoms != num_atoms_ || system.periodic != periodic_) return false;
    for (std::size_t k = 0; k < 9; ++k)
        if (periodic_[k / 3] && !(system.cell && system.cell[k] == cell_[k])) return false;
    const double limit = 0.25 * skin_ * skin_;
    for (std::size_t i = 0; i < built_positions_.size(); i += 3) {
        const double x = system.positions[i] - built_positions_[i];
        const double y = system.positions[i + 1] - built_positions_[i + 1];
        const double z = system.positions[i + 2] - built_positions_[i + 2];
        if (x * x + y * y + z * z > limit) return false;
    }
    return true;
}

void Neighbors::rebuild(const System& system) {
    const Lattice lattice(system.cell, system.periodic);
    num_atoms_ = system.num_atoms;
    periodic_ = system.periodic;
    if (system.cell) std::copy_n(system.cell, 9, cell_.begin());
    built_positions_.assign(system.positions, system.positions + 3 * num_atoms_);

    home_.assign(at(num_atoms_), {0, 0, 0});
    wrapped_ = built_positions_;
    home_vectors_.assign(wrapped_.size(), 0.0);
    for (std::int64_t i = 0; i < num_atoms_; ++i) {
        const Vector3 fractional = lattice.fractional(&wrapped_[at(3 * i)]);
        for (std::size_t k = 0; k < 3; ++k) {
            if (!periodic_[k]) continue;
            const double cells = std::floor(fractional[k]);
            if (!(std::fabs(cells) < kMaxCellsAway))
                throw ArgumentError("positions: atom " + std::to_string(i) +
                                    " is more than a million cells away from the origin");
            home_[at(i)][k] = static_cast<std::int64_t>(cells);
        }
        const Vector3 home = lattice.vector(home_[at(i)]);
        for (std::size_t x = 0; x < 3; ++x) {
            wrapped_[at(3 * i) + x] -= home[x];
            if (wrap_) home_vectors_[at(3 * i) + x] = home[x];
        }
    }

    const Bins bins = sort_into_bins(lattice);
    first_ghost_.assign(at(num_atoms_), -1);
    next_ghost_.clear();
    ghost_owner_.clear();
    ghost_shift_.clear();
    indices_.clear();
    offsets_.assign(1, 0);

    // Chunks are searched in parallel and appended in order: the result does not depend on the
    // number of threads.
    int threads = 1;
#ifdef _OPENMP
    threads = num_threads_ > 0 ? num_threads_ : omp_get_max_threads();
#endif
    std::vector<std::int64_t> counts(at(num_atoms_));
    std::vector<std::vector<Candidate>> found(static_cast<std::size_t>(threads));
    for (std::int64_t start = 0; start < num_atoms_; start += kChunk * threads) {
        std::exception_ptr failure;
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(static, 1)
#endif
        for (int t = 0; t < threads; ++t) {
            try {
                const std::int64_t begin = std::min(start + t * kChunk, num_atoms_);
                const std::int64_t end = std::min(begin + kChunk, num_atoms_);
                found[static_cast<std::size_t>(t)].clear();
                search(lattice, bins, begin, end, found[static_cast<std::size_t>(t)],
                       counts.data());
            } catch (...) {
#ifdef _OPENMP
#pragma omp critical
#endif
                failure = std::current_exception();
            }
        }
        if (failure) std::rethrow_exception(failure);
        for (int t = 0; t < threads; ++t) {
            const std::int64_t begin = std::min(start + t * kChunk, num_atoms_);
            const std::int64_t end = std::min(begin + kChunk, num_atoms_);
            append(lattice, found[static_cast<std::size_t>(t)], begin, end, counts);
        }
    }
    ++revision_;
}

Neighbors::Bins Neighbors::sort_into_bins(const Lattice& lattice) const {
    const double range = cutoff_ + skin_;
    std::vector<Vector3> place(at(num_atoms_));
    Vector3 low = {0, 0, 0}, extent = {1, 1, 1};
    for (std::int64_t i = 0; i < num_atoms_; ++i)
        place[at(i)] = lattice.fractional(&wrapped_[at(3 * i)]);
    for (std::size_t k = 0; k < 3 && num_atoms_ > 0; ++k) {
        if (periodic_[k]) continue;
        const auto by_k = [k](const Vector3& a, const Vector3& b) { return a[k] < b[k]; };
        const auto bounds = std::minmax_element(place.begin(), place.end(), by_k);
        low[k] = (*bounds.first)[k];
        extent[k] = (*bounds.second)[k] - low[k];
    }

    Bins bins;
    double ideal[3], images = 1;
    for (std::size_t k = 0; k < 3; ++k) {
        const double length = extent[k] * lattice.height(static_cast<int>(k));
        ideal[k] = std::max(1.0, std::floor(2 * length / range));
        if (periodic_[k]) images *= 1 + 2 * std::ceil(range / length);
    }
    if (!(images < kMaxImages))
        throw ArgumentError("cell: too small, an atom would have about " + std::to_string(images) +
                            " images within the cutoff");
    // No more bins than a few per atom, however far apart the atoms are.
    const double most = 4.0 * static_cast<double>(num_atoms_) + 64;
    for (double& count : ideal) count = std::min(count, most);
    while (ideal[0] * ideal[1] * ideal[2] > most) {
        double& longest = *std::max_element(ideal, ideal + 3);
        longest = std::floor((longest + 1) / 2);
    }
    for (std::size_t k = 0; k < 3; ++k) {
        bins.count[k] = static_cast<std::int64_t>(ideal[k]);
        const double width = extent[k] * lattice.height(static_cast<int>(k)) / ideal[k];
        const double reach = std::floor(range / width) + 1;
        bins.reach[k] =
            periodic_[k] || reach < ideal[k] ? static_cast<std::int64_t>(reach) : bins.count[k] - 1;
    }

    bins.bin_of.resize(at(num_atoms_));
    bins.starts.assign(at(bins.count[0] * bins.count[1] * bins.count[2]) + 1, 0);
    for (std::int64_t i = 0; i < num_atoms_; ++i) {
        std::array<std::int64_t, 3> b;
        for (std::size_t k = 0; k < 3; ++k) {
            const double scale = extent[k] > 0 ? ideal[k] / extent[k] : 0;
            const double x = std::floor((place[at(i)][k] - low[k]) * scale);
            b[k] = static_cast<std::int64_t>(std::min(std::max(x, 0.0), ideal[k] - 1));
        }
        bins.bin_of[at(i)] = bins.index(b);
        ++bins.starts[at(bins.bin_of[at(i)]) + 1];
    }
    for (std::size_t b = 1; b < bins.starts.size(); ++b) bins.starts[b] += bins.starts[b - 1];
    std::vector<std::int64_t> next(bins.starts.begin(), bins.starts.end() - 1);
    bins.atoms.resize(at(num_atoms_));
    bins.positions.resize(wrapped_.size());
    for (std::int64_t i = 0; i < num_atoms_; ++i) {
        const std::int64_t n = next[at(bins.bin_of[at(i)])]++;
        bins.atoms[at(n)] = static_cast<std::int32_t>(i);
        std::copy_n(&wrapped_[at(3 * i)], 3, &bins.positions[at(3 * n)]);
    }
    return bins;
}

void Neighbors::search(const Lattice& lattice, const Bins& bins, std::int64_t begin,
                       std::int64_t end, std::vector<Candidate>& found,
                       std::int64_t* counts) const {
    const double range2 = (cutoff_ + skin_) * (cutoff_ + skin_);
    for (std::int64_t i = begin; i < end; ++i) {
        const std::size_t before = found.size();
        const double* ri = &wrapped_[at(3 * i)];
        const auto center = bins.place(bins.bin_of[at(i)]);
        // Images of the box that the bins within reach lie in, and the run of bins in each.
        const auto first_image = [&](std::size_t k) {
            return periodic_[k] ? floor_divide(center[k] - bins.reach[k], bins.count[k]) : 0;
        };
        const auto last_image = [&](std::size_t k) {
            return periodic_[k] ? floor_divide(center[k] + bins.reach[k], bins.count[k]) : 0;
        };
        const auto low = [&](std::size_t k, std::int64_t image) {
            return std::max(center[k] - bins.reach[k] - image * bins.count[k], std::int64_t{0});
        };
        const auto high = [&](std::size_t k, std::int64_t image) {
            return std::min(center[k] + bins.reach[k] - image * bins.count[k], bins.count[k] - 1);
        };
        Shift3 s;
        for (s[0] = first_image(0); s[0] <= last_image(0); ++s[0])
            for (s[1] = first_image(1); s[1] <= last_image(1); ++s[1])
                for (s[2] = first_image(2); s[2] <= last_image(2); ++s[2]) {
                    const Vector3 image = lattice.vector(s);
                    const double origin[3] = {ri[0] - image[0], ri[1] - image[1], ri[2] - image[2]};
                    const std::array<std::int32_t, 3> shift = {static_cast<std::int32_t>(s[0]),
                                                               static_cast<std::int32_t>(s[1]),
                                                               static_cast<std::int32_t>(s[2])};
                    const bool home = s == Shift3{0, 0, 0};
                    for (std::int64_t x = low(0, s[0]); x <= high(0, s[0]); ++x)
                        for (std::int64_t y = low(1, s[1]); y <= high(1, s[1]); ++y) {
                            // Bins along the last direction are neighbors in memory.
                            const std::int64_t row = bins.index({x, y, 0});
                            const std::int64_t n1 = bins.starts[at(row + high(2, s[2]) + 1)];
                            for (std::int64_t n = bins.starts[at(row + low(2, s[2]))]; n < n1;
                                 ++n) {
                                const double* rj = &bins.positions[at(3 * n)];
                                const double dx = rj[0] - origin[0], dy = rj[1] - origin[1];
                                const double dz = rj[2] - origin[2];
                                if (dx * dx + dy * dy + dz * dz >= range2) continue;
                                if (home && bins.atoms[at(n)] == i) continue;
                                found.push_back({bins.atoms[at(n)], shift});
                            }
                        }
                }
        counts[i] = static_cast<std::int64_t>(found.size() - before);
    }
}

void Neighbors::append(const Lattice& lattice, const std::vector<Candidate>& found,
                       std::int64_t begin, std::int64_t end,
                       const std::vector<std::int64_t>& counts) {
    auto candidate = found.begin();
    for (std::int64_t i = begin; i < end; ++i) {
        for (std::int64_t n = 0; n < counts[at(i)]; ++n, ++candidate) {
            Shift3 shift;
            for (std::size_t k = 0; k < 3; ++k) {
                shift[k] = candidate->shift[k];
                if (!wrap_) shift[k] += home_[at(i)][k] - home_[at(candidate->atom)][k];
            }
            indices_.push_back(shift == Shift3{0, 0, 0}
                                   ? candidate->atom
                                   : ghost_row(candidate->atom, lattice.given(shift)));
        }
        offsets_.push_back(static_cast<std::int64_t>(indices_.size()));
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

void Neighbors::refresh_positions(const System& system) {
    positions_.resize(at(3 * (num_atoms_ + num_ghost())));
    for (std::size_t i = 0; i < home_vectors_.size(); ++i)
        positions_[i] = system.positions[i] - home_vectors_[i];
    for (std::size_t g = 0; g < ghost_owner_.size(); ++g) {
        for (std::size_t x = 0; x < 3; ++x) {
            double r = positions_[at(3 * ghost_owner_[g]) + x];
            for (std::size_t k = 0; k < 3; ++k)
                if (ghost_shift_[3 * g + k] != 0) r += ghost_shift_[3 * g + k] * cell_[3 * k + x];
            positions_[at(3 * (num_atoms_ + static_cast<std::int64_t>(g))) + x] = r;
        }
    }
}

std::uint64_t Neighbors::memory_bytes() const {
    return 8 * (built_positions_.capacity() + wrapped_.capacity() + home_vectors_.capacity() +
                positions_.capacity() + offsets_.capacity() + ghost_owner_.capacity() +
                3 * home_.capacity()) +
           4 * (indices_.capacity() + ghost_shift_.capacity() + next_ghost_.capacity() +
                first_ghost_.capacity());
}

}  // namespace camlip
