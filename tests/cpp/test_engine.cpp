// SPDX-License-Identifier: MIT
// Whole models through camlip.h with the reference backend: derivatives and symmetries.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "camlip.h"
#include "check.hpp"
#include "structures.hpp"

namespace {

using namespace structures;
using random_model::small_config;

double energy_of(const Potential& potential, const Structure& s) {
    double energy = 0;
    const camlip_system system = s.view();
    camlip_results view{sizeof(camlip_results), &energy, nullptr, nullptr, nullptr, nullptr};
    require_ok(camlip_compute_system(potential.engine.get(), &system, &view));
    return energy;
}

// r -> (1 + strain) r for positions and cell.
Structure strained(const Structure& s, int a, int b, double amount) {
    Structure t = s;
    for (std::size_t i = 0; i < s.types.size(); ++i)
        t.positions[3 * i + static_cast<std::size_t>(a)] +=
            amount * s.positions[3 * i + static_cast<std::size_t>(b)];
    for (std::size_t k = 0; k < 3; ++k)
        t.cell[3 * k + static_cast<std::size_t>(a)] +=
            amount * s.cell[3 * k + static_cast<std::size_t>(b)];
    return t;
}

std::vector<camlip::Config> all_configs() {
    return {small_config(0, 1), small_config(1, 1), small_config(2, 1), small_config(3, 1),
            small_config(1, 2), small_config(2, 2), small_config(3, 2), small_config(2, 3)};
}

}  // namespace

TEST(forces_are_the_negative_gradient_of_the_energy) {
    for (const camlip::Config& config : all_configs()) {
        const Potential potential(config);
        for (const bool periodic : {true, false}) {
            Structure s = make_structure(2, periodic);
            const Results results = evaluate(potential, s);
            const double h = 1e-4;
            for (const std::size_t n : {std::size_t{0}, std::size_t{7}, std::size_t{23}}) {
                const double x = s.positions[n];
                double e[4];
                int index = 0;
                for (const double d : {-2 * h, -h, h, 2 * h}) {
                    s.positions[n] = x + d;
                    e[index++] = energy_of(potential, s);
                }
                s.positions[n] = x;
                const double slope = (8 * (e[2] - e[1]) - (e[3] - e[0])) / (12 * h);
                CHECK_CLOSE(results.forces[n], -slope, 1e-7 * std::max(1.0, std::fabs(slope)));
            }
        }
    }
}

TEST(virial_is_the_negative_derivative_by_strain) {
    for (const camlip::Config& config : {small_config(3, 1), small_config(2, 2)}) {
        const Potential potential(config, 0.0);
        const Structure s = make_structure(3, true);
        const Results results = evaluate(potential, s);
        const double h = 1e-4;
        for (int a = 0; a < 3; ++a)
            for (int b = 0; b < 3; ++b) {
                const auto at = [&](double d) {
                    return energy_of(potential, strained(s, a, b, d));
                };
                const double slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
                CHECK_CLOSE(results.virial[static_cast<std::size_t>(3 * a + b)], -slope,
                            1e-6 * std::max(1.0, std::fabs(slope)));
                CHECK_CLOSE(results.virial[static_cast<std::size_t>(3 * a + b)],
                            results.virial[static_cast<std::size_t>(3 * b + a)], 1e-9);
            }
    }
}

TEST(parts_add_up) {
    const Potential potential(small_config(3, 2));
    const Structure s = make_structure(4, true);
    const Results r = evaluate(potential, s);
    double energy = 0, total[3] = {}, centroid[9] = {};
    for (std::size_t i = 0; i < s.types.size(); ++i) {
        energy += r.atomic[i];
        for (std::size_t x = 0; x < 3; ++x) total[x] += r.forces[3 * i + x];
        for (std::size_t x = 0; x < 9; ++x) centroid[x] += r.centroid[9 * i + x];
    }
    CHECK_CLOSE(energy, r.energy, 1e-11);
    for (const double f : total) CHECK_CLOSE(f, 0, 1e-10);
    for (std::size_t x = 0; x < 9; ++x) CHECK_CLOSE(centroid[x], r.virial[x], 1e-10);
}

TEST(energy_does_not_depend_on_the_frame) {
    const Potential potential(small_config(3, 2));
    const Structure s = make_structure(5, true);
    const Results before = evaluate(potential, s);
    // A rotation by quaternion (1, 2, 3, 4)/sqrt(30), then an inversion.
    const double R[9] = {-20, 4, 22, 20, -10, 20, 10, 28, 4};
    const auto turn = [&](const double* in, double* out) {
        for (int a = 0; a < 3; ++a)
            out[a] = -(R[3 * a] * in[0] + R[3 * a + 1] * in[1] + R[3 * a + 2] * in[2]) / 30;
    };
    Structure t = s;
    for (std::size_t i = 0; i < s.types.size(); ++i) turn(&s.positions[3 * i], &t.positions[3 * i]);
    for (std::size_t k = 0; k < 3; ++k) turn(&s.cell[3 * k], &t.cell[3 * k]);
    for (double& x : t.positions) x += 0.77;
    for (std::size_t x = 0; x < 3; ++x) t.positions[x] += 3 * t.cell[x] - t.cell[3 + x];
    const Results after = evaluate(potential, t);
    CHECK_CLOSE(after.energy, before.energy, 1e-9);
    for (std::size_t i = 0; i < s.types.size(); ++i) {
        double f[3];
        turn(&before.forces[3 * i], f);
        for (std::size_t x = 0; x < 3; ++x) CHECK_CLOSE(after.forces[3 * i + x], f[x], 1e-9);
    }
}

TEST(supercell_has_twice_the_energy) {
    const Potential potential(small_config(2, 2));
    const Structure s = make_structure(6, true);
    Structure twice = s;
    for (std::size_t i = 0; i < s.types.size(); ++i) {
        for (std::size_t x = 0; x < 3; ++x)
            twice.positions.push_back(s.positions[3 * i + x] + s.cell[3 + x]);
        twice.types.push_back(s.types[i]);
    }
    for (std::size_t x = 0; x < 3; ++x) twice.cell[3 + x] *= 2;
    const Results one = evaluate(potential, s), two = evaluate(potential, twice);
    CHECK_CLOSE(two.energy, 2 * one.energy, 1e-10);
    for (std::size_t n = 0; n < one.forces.size(); ++n)
        CHECK_CLOSE(two.forces[n], one.forces[n], 1e-10);
}

TEST(energy_and_forces_are_continuous_through_the_cutoff) {
    const Potential potential(small_config(3, 2));
    Structure pair;
    pair.types = {0, 1};
    pair.periodic = {0, 0, 0};
    pair.positions = {0, 0, 0, 0, 0, 4.0 - 1e-5};
    const Results inside = evaluate(potential, pair);
    pair.positions[5] = 4.0 + 1e-5;
    const Results outside = evaluate(potential, pair);
    CHECK_CLOSE(inside.energy, outside.energy, 1e-12);
    CHECK_CLOSE(inside.forces[2], 0, 1e-8);
    CHECK(outside.forces[2] == 0);
}

TEST(atoms_of_other_types_are_invisible) {
    const Potential potential(small_config(2, 2));
    Structure s = make_structure(7, true);
    const Results alone = evaluate(potential, s);
    s.types.push_back(-1);
    for (const double x : {1.3, 1.4, 1.5}) s.positions.push_back(x);
    const Results together = evaluate(potential, s);
    CHECK(together.energy == alone.energy);
    CHECK(together.atomic.back() == 0);
    for (std::size_t n = 0; n < alone.forces.size(); ++n)
        CHECK_CLOSE(together.forces[n], alone.forces[n], 1e-12);
    for (std::size_t x = 1; x <= 3; ++x) CHECK(together.forces[together.forces.size() - x] == 0);
}

TEST(types_may_change_between_calls) {
    const Potential potential(small_config(2, 2));
    Structure s = make_structure(8, true);
    const double first = energy_of(potential, s);
    s.types[0] = 1 - s.types[0];
    const double second = energy_of(potential, s);
    CHECK_CLOSE(second, energy_of(Potential(small_config(2, 2)), s), 1e-12);
    CHECK(std::fabs(first - second) > 1e-6);
}

TEST(results_are_added_to_and_may_be_left_out) {
    const Potential potential(small_config(2, 2));
    const Structure s = make_structure(9, true);
    const Results once = evaluate(potential, s);
    Results twice(s.types.size());
    const camlip_system system = s.view();
    for (int n = 0; n < 2; ++n) {
        camlip_results view = twice.view();
        require_ok(camlip_compute_system(potential.engine.get(), &system, &view));
    }
    CHECK_CLOSE(twice.energy, 2 * once.energy, 1e-11);
    CHECK_CLOSE(twice.forces[5], 2 * once.forces[5], 1e-11);
    CHECK_CLOSE(twice.virial[1], 2 * once.virial[1], 1e-11);
    CHECK_CLOSE(twice.centroid[9], 2 * once.centroid[9], 1e-11);
    std::vector<double> forces(once.forces.size());
    camlip_results only{sizeof(camlip_results), nullptr, nullptr, forces.data(), nullptr, nullptr};
    require_ok(camlip_compute_system(potential.engine.get(), &system, &only));
    CHECK(forces == once.forces);
}

TEST(systems_without_atoms_and_single_atoms) {
    const Potential potential(small_config(2, 2));
    Structure s;
    CHECK(energy_of(potential, s) == 0);
    s.periodic = {0, 0, 0};
    s.positions = {1, 2, 3};
    s.types = {1};
    const Results one = evaluate(potential, s);
    CHECK(std::isfinite(one.energy) && one.forces[0] == 0 && one.virial[0] == 0);
}

int main() { return check::run(); }
