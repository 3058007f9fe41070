// SPDX-License-Identifier: MIT
#include "neighbors/grid.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "errors.hpp"

namespace camlip {
namespace {

constexpr double kMaxImages = 1e6;
// Bins per range.  Small ones hold little that is out of range, large ones cost less for each; the
// smallest that hold kAtomsPerBin on average are the fastest (measured).
constexpr double kBinsPerRange[][3] = {{2, 2, 2}, {2, 2, 1}, {1, 1, 2}};
constexpr double kAtomsPerBin = 4;
// Rounding of fractional coordinates, far more than there is.
constexpr double kSafe = 1e-6;

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

[[noreturn]] void fail_size() {
    throw ArgumentError(
        "system: more than 2^31 atoms and images; use a larger cell or fewer atoms");
}

}  // namespace

void Grid::build(const Lattice& lattice, const double* cell, double range, const double* positions,
                 std::int64_t num_atoms) {
    for (int k = 0; k < 3; ++k) periodic_[static_cast<std::size_t>(k)] = lattice.periodic(k);
    low_ = {0, 0, 0};
    extent_ = {1, 1, 1};
    if (num_atoms > 0 && !(periodic_[0] && periodic_[1] && periodic_[2])) {
        Vector3 high = lattice.fractional(positions);
        Vector3 low = high;
        for (std::int64_t i = 1; i < num_atoms; ++i) {
            const Vector3 place = lattice.fractional(positions + 3 * i);
            for (std::size_t k = 0; k < 3; ++k) {
                low[k] = std::min(low[k], place[k]);
                high[k] = std::max(high[k], place[k]);
            }
        }
        for (std::size_t k = 0; k < 3; ++k) {
            if (periodic_[k]) continue;
            low_[k] = low[k];
            extent_[k] = high[k] - low[k];
        }
    }
    choose_bins(lattice, range, num_atoms);
    find_columns(lattice, range);

    const std::int64_t num_bins = std::int64_t{size_[0]} * size_[1] * size_[2];
    starts_.assign(at(num_bins) + 2, 0);
    bin_of_.resize(at(num_atoms));
    images_.clear();
    Vector3 scale;
    for (std::size_t k = 0; k < 3; ++k) scale[k] = extent_[k] > 0 ? count_[k] / extent_[k] : 0;
    for (std::int64_t i = 0; i < num_atoms; ++i) {
        const Vector3 place = lattice.fractional(positions + 3 * i);
        std::array<std::int32_t, 3> bin;
        bool inner = true;
        for (std::size_t k = 0; k < 3; ++k) {
            const double x = (place[k] - low_[k]) * scale[k];
            bin[k] = static_cast<std::int32_t>(std::min(std::max(x, 0.0), count_[k] - 1.0));
            inner &= !periodic_[k] || (place[k] > reach_[k] && place[k] < 1 - reach_[k]);
        }
        const std::int32_t b = index(bin[0], bin[1], bin[2]);
        bin_of_[at(i)] = b;
        ++starts_[at(b) + 2];
        if (!inner) find_images(place, static_cast<std::int32_t>(i), bin);
    }
    sort_entries(lattice, cell, range, positions, num_atoms);
}

void Grid::choose_bins(const Lattice& lattice, double range, std::int64_t num_atoms) {
    double ideal[3], images = 1;
    Vector3 length;
    for (std::size_t k = 0; k < 3; ++k) {
        const double height = lattice.height(static_cast<int>(k));
        length[k] = extent_[k] * height;
        reach_[k] = range / height * (1 + kSafe);
        if (periodic_[k]) images *= 1 + 2 * std::ceil(range / length[k]);
    }
    if (!(images < kMaxImages))
        throw ArgumentError("cell: too small, an atom would have about " + std::to_string(images) +
                            " images within the cutoff");
    for (const auto& per_range : kBinsPerRange) {
        for (std::size_t k = 0; k < 3; ++k)
            ideal[k] = std::max(1.0, std::floor(per_range[k] * length[k] / range));
        if (kAtomsPerBin * ideal[0] * ideal[1] * ideal[2] <= static_cast<double>(num_atoms)) break;
    }
    // No more bins than a few per atom, however far apart the atoms are.
    const double most = std::min(4.0 * static_cast<double>(num_atoms) + 64, 1e9);
    for (double& count : ideal) count = std::min(count, most);
    for (;;) {
        double bins = 1, home_bins = 1;
        for (std::size_t k = 0; k < 3; ++k) {
            const double width = length[k] / ideal[k];
            const double reach = std::floor(range / width + kSafe) + 1;
            const double margin = periodic_[k] ? reach : std::min(reach, ideal[k] - 1);
            count_[k] = static_cast<std::int32_t>(ideal[k]);
            margin_[k] = static_cast<std::int32_t>(margin);
            size_[k] = count_[k] + 2 * margin_[k];
            home_bins *= ideal[k];
            bins *= ideal[k] + 2 * margin;
        }
        if (home_bins <= most && bins < 2e9) return;
        double& longest = *std::max_element(ideal, ideal + 3);
        if (!(longest > 1)) fail_size();
        longest = std::floor((longest + 1) / 2);
    }
}

// The bins in which a neighbor of an atom in bin 0 can be: those no further away than the range,
// by the distance of lattice planes and by that of boxes along x, y and z around the bins.
void Grid::find_columns(const Lattice& lattice, double range) {
    const double limit = range * range * (1 + kSafe);
    Vector3 edge[3], half = {0, 0, 0}, width;
    for (std::size_t k = 0; k < 3; ++k) {
        edge[k] = lattice.row(static_cast<int>(k));
        width[k] = extent_[k] * lattice.height(static_cast<int>(k)) / count_[k];
        for (std::size_t x = 0; x < 3; ++x) {
            edge[k][x] *= extent_[k] / count_[k];
            half[x] += std::fabs(edge[k][x]);
        }
    }
    const auto in_range = [&](const std::array<std::int32_t, 3>& b) {
        double square = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            const double planes = (std::abs(b[k]) - 1) * width[k];
            if (planes > 0 && planes * planes > limit) return false;
        }
        for (std::size_t x = 0; x < 3; ++x) {
            const double middle =
                std::fabs(b[0] * edge[0][x] + b[1] * edge[1][x] + b[2] * edge[2][x]);
            const double apart = std::max(0.0, middle - half[x]);
            square += apart * apart;
        }
        return square <= limit;
    };
    spread_ = 0;
    for (std::size_t k = 0; k < 3; ++k)
        spread_ += (margin_[k] + 1) * std::sqrt(edge[k][0] * edge[k][0] + edge[k][1] * edge[k][1] +
                                                edge[k][2] * edge[k][2]);
    columns_.clear();
    for (std::int32_t a = -margin_[0]; a <= margin_[0]; ++a)
        for (std::int32_t b = -margin_[1]; b <= margin_[1]; ++b) {
            std::int32_t first = -margin_[2], last = margin_[2];
            while (first <= last && !in_range({a, b, first})) ++first;
            while (first < last && !in_range({a, b, last})) --last;
            if (first > last) continue;
            const std::int32_t middle = (a * size_[1] + b) * size_[2];
            columns_.push_back({middle + first, middle + last + 1});
            if (a == 0 && b == 0) std::swap(columns_.front(), columns_.back());
        }
}

// Images of an atom that are within range of the box.
void Grid::find_images(const Vector3& place, std::int32_t atom,
                       const std::array<std::int32_t, 3>& bin) {
    std::array<std::int32_t, 3> low = {0, 0, 0}, high = {0, 0, 0}, b;
    for (std::size_t k = 0; k < 3; ++k) {
        if (!periodic_[k]) continue;
        low[k] = static_cast<std::int32_t>(std::ceil(-reach_[k] - place[k]));
        high[k] = static_cast<std::int32_t>(std::floor(1 + reach_[k] - place[k]));
    }
    std::array<std::int32_t, 3> s;
    for (s[0] = low[0]; s[0] <= high[0]; ++s[0])
        for (s[1] = low[1]; s[1] <= high[1]; ++s[1])
            for (s[2] = low[2]; s[2] <= high[2]; ++s[2]) {
                if (s[0] == 0 && s[1] == 0 && s[2] == 0) continue;
                bool inside = true;
                for (std::size_t k = 0; k < 3; ++k) {
                    b[k] = bin[k] + s[k] * count_[k];
                    inside &= b[k] >= -margin_[k] && b[k] < count_[k] + margin_[k];
                }
                if (!inside) continue;
                const std::int32_t n = index(b[0], b[1], b[2]);
                images_.push_back({atom, n, s});
                ++starts_[at(n) + 2];
            }
}

void Grid::sort_entries(const Lattice& lattice, const double* cell, double range,
                        const double* positions, std::int64_t num_atoms) {
    const std::size_t num_entries = at(num_atoms) + images_.size();
    if (num_entries > at(std::numeric_limits<std::int32_t>::max() - search::kMaxLanes)) fail_size();
    for (std::size_t b = 2; b < starts_.size(); ++b) starts_[b] += starts_[b - 1];
    // starts_[b + 1] is where bin b begins, and where it ends once its entries are placed.
    const std::size_t padded = num_entries + search::kMaxLanes;
    for (Array<double>* coordinate : {&x_, &y_, &z_}) {
        coordinate->resize(padded);
        std::fill(coordinate->end() - search::kMaxLanes, coordinate->end(), 0.0);
    }
    rows_.resize(padded);
    std::fill(rows_.end() - search::kMaxLanes, rows_.end(), 0);
    for (std::int64_t i = 0; i < num_atoms; ++i) {
        const std::size_t n = at(starts_[at(bin_of_[at(i)]) + 1]++);
        rows_[n] = static_cast<std::int32_t>(i);
        x_[n] = positions[3 * i];
        y_[n] = positions[3 * i + 1];
        z_[n] = positions[3 * i + 2];
    }
    for (std::size_t g = 0; g < images_.size(); ++g) {
        const std::size_t n = at(starts_[at(images_[g].bin) + 1]++);
        rows_[n] = -1 - static_cast<std::int32_t>(g);
    }

    // Images in the order of bins, and only those that some atom has as a neighbor.
    owner_.clear();
    shift_.clear();
    for (std::size_t n = 0; n < num_entries; ++n) {
        if (rows_[n] >= 0) continue;
        const Image& image = images_[at(-1 - rows_[n])];
        const Shift3 given = lattice.given({image.shift[0], image.shift[1], image.shift[2]});
        std::int32_t shift[3];
        for (std::size_t k = 0; k < 3; ++k) {
            if (std::abs(given[k]) > std::numeric_limits<std::int32_t>::max())
                throw ArgumentError("cell: too skewed, an image of atom " +
                                    std::to_string(image.owner) +
                                    " is more than 2^31 cells away; reduce the lattice vectors");
            shift[k] = static_cast<std::int32_t>(given[k]);
        }
        double r[3];
        place_image(positions + 3 * std::int64_t{image.owner}, shift, cell, r);
        x_[n] = r[0];
        y_[n] = r[1];
        z_[n] = r[2];
        if (!has_neighbor(image.bin, r, range * range)) {
            rows_[n] = -1;
            continue;
        }
        rows_[n] = static_cast<std::int32_t>(num_atoms + static_cast<std::int64_t>(owner_.size()));
        owner_.push_back(image.owner);
        shift_.insert(shift_.end(), shift, shift + 3);
    }
}

std::int32_t Grid::first_bin(std::int64_t rod) const {
    return index(static_cast<std::int32_t>(rod / count_[1]),
                 static_cast<std::int32_t>(rod % count_[1]), 0);
}

// Whether an atom of the box is within range of an image in the given bin.
bool Grid::has_neighbor(std::int32_t bin, const double* r, double range2) const {
    const std::int32_t b[3] = {bin / (size_[1] * size_[2]) - margin_[0],
                               bin / size_[2] % size_[1] - margin_[1], bin % size_[2] - margin_[2]};
    std::int32_t low[3], high[3];
    for (std::size_t k = 0; k < 3; ++k) {
        low[k] = std::max(b[k] - margin_[k], 0);
        high[k] = std::min(b[k] + margin_[k], count_[k] - 1);
    }
    for (std::int32_t i = low[0]; i <= high[0]; ++i)
        for (std::int32_t j = low[1]; j <= high[1]; ++j) {
            const std::size_t end = at(starts_[at(index(i, j, high[2])) + 1]);
            for (std::size_t n = at(starts_[at(index(i, j, low[2]))]); n < end; ++n) {
                const double x = x_[n] - r[0], y = y_[n] - r[1], z = z_[n] - r[2];
                if (x * x + y * y + z * z < range2) return true;
            }
        }
    return false;
}

search::Input Grid::input(double range) const {
    // Errors of a squared distance in float, with coordinates of up to spread_ rounded to float.
    const double error = 4 * range * (range + 2 * spread_) * 0x1p-24;
    const double range2 = range * range;
    return {x_.data(),
            y_.data(),
            z_.data(),
            rows_.data(),
            starts_.data(),
            columns_.data(),
            num_columns(),
            range2,
            static_cast<float>(range2 - error),
            static_cast<float>(range2 + error)};
}

std::int64_t Grid::most_around() const {
    std::int64_t bins = 0, most = 0;
    for (const search::Column& column : columns_) bins += column.last - column.first;
    for (std::size_t b = 0; b + 1 < starts_.size(); ++b)
        most = std::max<std::int64_t>(most, starts_[b + 1] - starts_[b]);
    return std::min(most * bins, static_cast<std::int64_t>(rows_.size()));
}

std::uint64_t Grid::memory_bytes() const {
    return 8 * (x_.capacity() + y_.capacity() + z_.capacity() + owner_.capacity()) +
           4 * (rows_.capacity() + starts_.capacity() + bin_of_.capacity() + shift_.capacity()) +
           sizeof(Image) * images_.capacity() + sizeof(search::Column) * columns_.capacity();
}

}  // namespace camlip
