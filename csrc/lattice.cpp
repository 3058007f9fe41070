// SPDX-License-Identifier: MIT
#include "lattice.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "errors.hpp"

namespace camlip {
namespace {

// Relative volume below which lattice vectors count as linearly dependent.
constexpr double kFlat = 1e-10;

double dot(const Vector3& a, const Vector3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

Vector3 cross(const Vector3& a, const Vector3& b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

Vector3 scaled(const Vector3& a, double factor) {
    return {a[0] * factor, a[1] * factor, a[2] * factor};
}

double norm(const Vector3& a) { return std::sqrt(dot(a, a)); }

[[noreturn]] void fail_flat() {
    throw ArgumentError(
        "cell: the periodic lattice vectors are zero or linearly dependent, expected a cell with "
        "a volume");
}

// Any unit vector at a right angle to a.
Vector3 perpendicular(const Vector3& a) {
    Vector3 axis = {0, 0, 0};
    const auto smallest = std::min_element(
        a.begin(), a.end(), [](double x, double y) { return std::fabs(x) < std::fabs(y); });
    axis[static_cast<std::size_t>(smallest - a.begin())] = 1;
    const Vector3 side = cross(a, axis);
    return scaled(side, 1 / norm(side));
}

}  // namespace

Lattice::Lattice(const double* cell, const std::array<bool, 3>& periodic) : periodic_(periodic) {
    transform_ = {Shift3{1, 0, 0}, Shift3{0, 1, 0}, Shift3{0, 0, 1}};
    rows_ = {Vector3{1, 0, 0}, Vector3{0, 1, 0}, Vector3{0, 0, 1}};
    const auto count = std::count(periodic.begin(), periodic.end(), true);
    if (count > 0 && !cell)
        throw ArgumentError("cell: null, expected a cell since the system is periodic");
    std::array<std::size_t, 3> order;  // periodic vectors first; std::stable_partition allocates
    std::size_t place = 0;
    for (const bool wanted : {true, false})
        for (std::size_t k = 0; k < 3; ++k)
            if (periodic[k] == wanted) order[place++] = k;
    for (std::size_t n = 0; n < static_cast<std::size_t>(count); ++n) {
        const std::size_t k = order[n];
        rows_[k] = {cell[3 * k], cell[3 * k + 1], cell[3 * k + 2]};
        for (const double x : rows_[k])
            if (!std::isfinite(x)) throw NumericError("cell: holds NaN or infinity");
        if (!(norm(rows_[k]) > 0)) fail_flat();
    }
    if (count >= 2) reduce();
    Vector3 &first = rows_[order[0]], &second = rows_[order[1]], &third = rows_[order[2]];
    if (count == 1) second = perpendicular(first);
    const Vector3 normal = cross(first, second);
    if (count > 0 && count < 3) {
        if (!(norm(normal) > kFlat * norm(first) * norm(second))) fail_flat();
        third = scaled(normal, 1 / norm(normal));
    }
    const double volume = dot(normal, third);
    if (!(std::fabs(volume) > kFlat * norm(first) * norm(second) * norm(third)) ||
        !std::isfinite(volume))
        fail_flat();
    const double oriented = dot(cross(rows_[0], rows_[1]), rows_[2]);
    for (std::size_t k = 0; k < 3; ++k) {
        inverse_[k] = scaled(cross(rows_[(k + 1) % 3], rows_[(k + 2) % 3]), 1 / oriented);
        height_[k] = 1 / norm(inverse_[k]);
    }
}

// Subtracts vectors from one another while that makes one shorter.
void Lattice::reduce() {
    bool changed = true;
    for (int round = 0; changed && round < 1000; ++round) {
        changed = false;
        for (std::size_t i = 0; i < 3; ++i) {
            for (std::size_t j = 0; j < 3; ++j) {
                if (i == j || !periodic_[i] || !periodic_[j]) continue;
                const double ratio = dot(rows_[i], rows_[j]) / dot(rows_[j], rows_[j]);
                if (!(std::fabs(ratio) > 0.5 + 1e-9)) continue;
                if (!(std::fabs(ratio) < 1e6)) fail_flat();
                const auto times = static_cast<std::int64_t>(std::llround(ratio));
                for (std::size_t x = 0; x < 3; ++x) {
                    rows_[i][x] -= static_cast<double>(times) * rows_[j][x];
                    transform_[i][x] -= times * transform_[j][x];
                    if (std::abs(transform_[i][x]) > 1000000) fail_flat();
                }
                if (!(norm(rows_[i]) > 0)) fail_flat();
                changed = true;
            }
        }
    }
}

Vector3 Lattice::fractional(const double* position) const {
    const Vector3 r = {position[0], position[1], position[2]};
    return {dot(r, inverse_[0]), dot(r, inverse_[1]), dot(r, inverse_[2])};
}

Vector3 Lattice::vector(const Shift3& reduced_shift) const {
    Vector3 r = {0, 0, 0};
    for (std::size_t k = 0; k < 3; ++k)
        for (std::size_t x = 0; x < 3; ++x)
            r[x] += static_cast<double>(reduced_shift[k]) * rows_[k][x];
    return r;
}

Shift3 Lattice::given(const Shift3& reduced_shift) const {
    Shift3 shift = {0, 0, 0};
    for (std::size_t k = 0; k < 3; ++k)
        for (std::size_t l = 0; l < 3; ++l) shift[l] += reduced_shift[k] * transform_[k][l];
    return shift;
}

bool Lattice::map_to(const Lattice& other, double* map) const {
    if (periodic_ != other.periodic_ || transform_ != other.transform_) return false;
    for (std::size_t a = 0; a < 3; ++a)
        for (std::size_t b = 0; b < 3; ++b) {
            map[3 * a + b] = 0;
            for (std::size_t k = 0; k < 3; ++k)
                map[3 * a + b] += inverse_[k][a] * other.rows_[k][b];
        }
    return true;
}

}  // namespace camlip
