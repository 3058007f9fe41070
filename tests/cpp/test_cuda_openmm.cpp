// SPDX-License-Identifier: MIT
// Positions out of the arrays of OpenMM's CUDA platform and forces into them, on the host.
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.hpp"
#include "cuda_emulator.hpp"
#include "layout.hpp"

using namespace camlip_openmm;
using emulator::Order;

namespace {

constexpr int kAtoms = 300, kSlots = 416;  // more than a block; the model's atoms are a part
const std::array<double, 9> kBox = {2.0, 0, 0, 0.5, 1.8, 0, -0.7, 0.6, 1.9};

template <class Kernel>
void run(const Kernel& kernel, Order order) {
    emulator::Scheduler scheduler;
    scheduler.run(kernel, 2, Kernel::kMaxThreads, 0, order, 7);
}

std::vector<std::int32_t> slots() {
    std::vector<std::int32_t> s;
    for (int k = 0; k < kAtoms; ++k) s.push_back((37 * k + 5) % kSlots);
    return s;
}

// Atoms up to five boxes away.
template <class Real>
struct Platform {
    std::vector<Real> posq = std::vector<Real>(4 * kSlots, Real(-1e6));
    std::vector<float> correction = std::vector<float>(4 * kSlots, 1e6f);
    std::vector<double> exact;

    Platform() {
        const std::vector<std::int32_t> s = slots();
        for (int n = 0; n < 3 * kAtoms; ++n) {
            const double x = 10 * std::sin(0.7 * n) + 1.0 / 3;
            exact.push_back(x);
            const auto at =
                static_cast<std::size_t>(4 * s[static_cast<std::size_t>(n / 3)] + n % 3);
            posq[at] = static_cast<Real>(x);
            correction[at] = static_cast<float>(x - static_cast<double>(posq[at]));
        }
    }
};

struct Gathered {
    std::vector<double> positions = std::vector<double>(3 * kAtoms, NAN), forces = positions;
    double energy = NAN;
};

template <class Real>
Gathered gather(const Platform<Real>& p, bool corrected, std::vector<std::int32_t>* shifts,
                bool wrap, Order order = Order::kAscending) {
    const std::vector<std::int32_t> s = slots();
    Gathered g;
    GatherPositions<Real> k{};
    k.atoms = kAtoms;
    k.slots = s.data();
    k.posq = p.posq.data();
    k.correction = corrected ? p.correction.data() : nullptr;
    std::copy(kBox.begin(), kBox.end(), k.box);
    k.shifts = shifts ? shifts->data() : nullptr;
    k.wrap = wrap;
    k.angstrom = 10;
    k.positions = g.positions.data();
    k.forces = g.forces.data();
    k.energy = &g.energy;
    run(k, order);
    return g;
}

template <class Real>
double largest_error(const Platform<Real>& p, const Gathered& g) {
    double most = 0;
    for (std::size_t n = 0; n < 3 * kAtoms; ++n)
        most = std::max(most, std::fabs(g.positions[n] - 10 * p.exact[n]));
    return most;
}

}  // namespace

TEST(positions_of_reordered_atoms_in_each_precision) {
    const Platform<float> single;
    const Platform<double> full;
    for (const Order order : {Order::kAscending, Order::kShuffled}) {
        const Gathered g = gather(single, false, nullptr, false, order);
        const double error = largest_error(single, g);
        CHECK(error > 1e-8 && error < 1e-4);  // float has no more
        CHECK(largest_error(single, gather(single, true, nullptr, false, order)) < 1e-12);
        CHECK(largest_error(full, gather(full, false, nullptr, false, order)) < 1e-13);
        CHECK(g.energy == 0);
        for (const double f : g.forces) CHECK(f == 0);
    }
}

TEST(wrapping_puts_atoms_into_the_box_and_stays_until_the_next) {
    Platform<double> p;
    std::vector<std::int32_t> shifts(3 * kAtoms, 99);
    const Gathered inside = gather(p, false, &shifts, true);
    for (std::size_t k = 0; k < kAtoms; ++k) {
        const double* x = inside.positions.data() + 3 * k;
        for (std::size_t a = 0; a < 3; ++a) CHECK(x[a] > -1e-9 && x[a] < 10 * kBox[4 * a] + 1e-9);
        for (std::size_t a = 0; a < 3; ++a) {
            double moved = 10 * p.exact[3 * k + a];
            for (std::size_t n = 0; n < 3; ++n) moved += 10 * shifts[3 * k + n] * kBox[3 * n + a];
            CHECK_CLOSE(x[a], moved, 1e-12);
        }
    }
    // An atom that leaves the box is not put back: that would be far from where a list knows it.
    p.posq[static_cast<std::size_t>(4 * slots()[0])] += 1.5;
    const std::vector<std::int32_t> before = shifts;
    const Gathered later = gather(p, false, &shifts, false);
    CHECK(shifts == before);
    CHECK_CLOSE(later.positions[0], inside.positions[0] + 15, 1e-12);
}

TEST(forces_are_added_in_fixed_point_and_failures_are_large) {
    const std::vector<std::int32_t> s = slots();
    std::vector<double> forces;
    for (int n = 0; n < 3 * kAtoms; ++n) forces.push_back(7 * std::sin(1.3 * n));
    forces[4] = std::numeric_limits<double>::quiet_NaN();
    forces[5] = 1e12;
    std::vector<std::int64_t> buffer(3 * kSlots, 1000);
    ScatterForces k{};
    k.atoms = kAtoms;
    k.padded = kSlots;
    k.slots = s.data();
    k.forces = forces.data();
    k.unit = 0.5 * 964.8533;
    k.buffer = buffer.data();
    run(k, Order::kShuffled);
    std::size_t touched = 0;
    for (const std::int64_t value : buffer) touched += value != 1000;
    CHECK(touched >= 3 * kAtoms - 3);
    for (std::size_t n = 0; n < 3 * kAtoms; ++n) {
        const std::size_t at = static_cast<std::size_t>(s[n / 3]) + (n % 3) * kSlots;
        const double found = static_cast<double>(buffer[at] - 1000) / 4294967296.0;
        if (n == 4 || n == 5)
            CHECK(found > 1e8);
        else
            CHECK_CLOSE(found, 0.5 * 964.8533 * forces[n], 3e-10);
    }
}

int main() { return check::run(); }
