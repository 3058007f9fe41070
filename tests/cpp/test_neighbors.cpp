// SPDX-License-Identifier: MIT
// The neighbor list against the brute-force definition: cells of every shape, any periodicity.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include "check.hpp"
#include "errors.hpp"
#include "neighbors.hpp"

using camlip::Neighbors;
using camlip::System;

namespace {

using Pairs = std::multiset<std::tuple<std::int64_t, std::int64_t, int, int, int>>;

struct Sample {
    std::vector<double> positions;
    std::array<double, 9> cell;
    std::array<bool, 3> periodic;

    System system() const {
        return {static_cast<std::int64_t>(positions.size() / 3), positions.data(), cell.data(),
                periodic};
    }
};

Pairs from_list(const Neighbors& list) {
    Pairs pairs;
    for (std::int64_t i = 0; i < list.num_atoms(); ++i) {
        for (auto n = list.offsets()[i]; n < list.offsets()[i + 1]; ++n) {
            const std::int64_t j = list.indices()[n], g = j - list.num_atoms();
            if (g < 0) {
                pairs.insert({i, j, 0, 0, 0});
            } else {
                const std::int32_t* s = &list.ghost_shift()[3 * g];
                pairs.insert({i, list.ghost_owner()[g], s[0], s[1], s[2]});
            }
        }
    }
    return pairs;
}

// All images up to `reach` cells away.
Pairs brute_force(const Sample& sample, double range, int reach) {
    Pairs pairs;
    const auto n = static_cast<std::int64_t>(sample.positions.size() / 3);
    const int r[3] = {sample.periodic[0] ? reach : 0, sample.periodic[1] ? reach : 0,
                      sample.periodic[2] ? reach : 0};
    for (int a = -r[0]; a <= r[0]; ++a)
        for (int b = -r[1]; b <= r[1]; ++b)
            for (int c = -r[2]; c <= r[2]; ++c)
                for (std::int64_t i = 0; i < n; ++i)
                    for (std::int64_t j = 0; j < n; ++j) {
                        double d2 = 0;
                        for (int x = 0; x < 3; ++x) {
                            const double d = sample.positions[3 * j + x] + a * sample.cell[x] +
                                             b * sample.cell[3 + x] + c * sample.cell[6 + x] -
                                             sample.positions[3 * i + x];
                            d2 += d * d;
                        }
                        if (d2 < range * range && (i != j || a || b || c))
                            pairs.insert({i, j, a, b, c});
                    }
    return pairs;
}

Sample random_sample(std::mt19937_64& engine, int num_atoms, double spread) {
    std::uniform_real_distribution<double> uniform(-1, 1);
    Sample sample;
    do {
        for (double& x : sample.cell) x = 6 * uniform(engine);
    } while (
        std::fabs(
            sample.cell[0] * (sample.cell[4] * sample.cell[8] - sample.cell[5] * sample.cell[7]) -
            sample.cell[1] * (sample.cell[3] * sample.cell[8] - sample.cell[5] * sample.cell[6]) +
            sample.cell[2] * (sample.cell[3] * sample.cell[7] - sample.cell[4] * sample.cell[6])) <
        30);
    for (bool& p : sample.periodic) p = uniform(engine) > 0;
    for (int n = 0; n < 3 * num_atoms; ++n) sample.positions.push_back(spread * uniform(engine));
    return sample;
}

}  // namespace

TEST(list_is_the_brute_force_list_for_random_triclinic_cells) {
    std::mt19937_64 engine(7);
    for (int round = 0; round < 60; ++round) {
        const Sample sample = random_sample(engine, 1 + round % 9, 4);
        Neighbors list(3.0, 0.4, false, 1);
        list.update(sample.system());
        const Pairs found = from_list(list), expected = brute_force(sample, 3.4, 14);
        CHECK(found == expected);
    }
}

TEST(wrapped_list_has_the_same_distances_and_only_ghosts_that_are_neighbors) {
    std::mt19937_64 engine(8);
    for (int round = 0; round < 30; ++round) {
        const Sample sample = random_sample(engine, 6, 30);
        Neighbors given(3.0, 0.4, false, 2), wrapped(3.0, 0.4, true, 2);
        given.update(sample.system());
        wrapped.update(sample.system());
        const auto distances = [](const Neighbors& list) {
            std::vector<double> all;
            for (std::int64_t i = 0; i < list.num_atoms(); ++i)
                for (auto n = list.offsets()[i]; n < list.offsets()[i + 1]; ++n) {
                    double d2 = 0;
                    for (int x = 0; x < 3; ++x) {
                        const double d = list.positions()[3 * list.indices()[n] + x] -
                                         list.positions()[3 * i + x];
                        d2 += d * d;
                    }
                    all.push_back(std::sqrt(d2));
                }
            std::sort(all.begin(), all.end());
            return all;
        };
        const auto a = distances(given), b = distances(wrapped);
        CHECK(a.size() == b.size());
        for (std::size_t n = 0; n < std::min(a.size(), b.size()); ++n)
            CHECK_CLOSE(a[n], b[n], 1e-9);
        CHECK(b.empty() || b.back() < 3.4);
        std::set<std::int32_t> used(wrapped.indices().begin(), wrapped.indices().end());
        std::int64_t ghosts = 0;
        for (const std::int32_t j : used) ghosts += j >= wrapped.num_atoms();
        CHECK(ghosts == wrapped.num_ghost());
    }
}

TEST(many_atoms_in_many_bins) {
    std::mt19937_64 engine(9);
    std::uniform_real_distribution<double> uniform(0, 1);
    for (const bool periodic : {false, true}) {
        Sample sample;
        sample.cell = {24, 0, 0, 3, 21, 0, -5, 2, 19};
        sample.periodic = {periodic, periodic, periodic};
        for (int i = 0; i < 400; ++i) {
            const double s[3] = {uniform(engine), uniform(engine), uniform(engine)};
            for (int x = 0; x < 3; ++x)
                sample.positions.push_back(s[0] * sample.cell[x] + s[1] * sample.cell[3 + x] +
                                           s[2] * sample.cell[6 + x]);
        }
        for (const int threads : {1, 3}) {
            Neighbors list(3.5, 0.5, false, threads);
            list.update(sample.system());
            CHECK(from_list(list) == brute_force(sample, 4.0, 1));
        }
    }
}

TEST(threads_do_not_change_the_list) {
    std::mt19937_64 engine(10);
    std::uniform_real_distribution<double> uniform(0, 30);
    Sample sample;
    sample.cell = {30, 0, 0, 0, 30, 0, 0, 0, 30};
    sample.periodic = {true, true, true};
    for (int n = 0; n < 3 * 1500; ++n) sample.positions.push_back(uniform(engine));
    Neighbors one(4.0, 0.5, true, 1), three(4.0, 0.5, true, 3);
    one.update(sample.system());
    three.update(sample.system());
    CHECK(one.indices() == three.indices());
    CHECK(one.ghost_owner() == three.ghost_owner());
}

TEST(slabs_wires_and_cells_with_zero_rows) {
    Sample sample;
    sample.positions = {0, 0, 0, 0.5, 0.5, 4.0, 0.1, 0.2, -80.0};
    sample.cell = {2.5, 0, 0, 1.0, 2.4, 0, 0, 0, 0};
    sample.periodic = {true, true, false};
    Neighbors slab(5.0, 0.0, false, 1);
    slab.update(sample.system());
    CHECK(from_list(slab) == brute_force(sample, 5.0, 4));
    sample.cell = {0, 0, 0, 0, 0, 0, 0.3, 0.2, 3.1};
    sample.periodic = {false, false, true};
    Neighbors wire(5.0, 0.0, false, 1);
    wire.update(sample.system());
    CHECK(from_list(wire) == brute_force(sample, 5.0, 40));
}

TEST(skewed_and_left_handed_cells_are_reduced) {
    std::mt19937_64 engine(11);
    std::uniform_real_distribution<double> uniform(-3, 3);
    Sample sample;
    sample.cell = {3, 0, 0, 0, 3.1, 0, 0, 0, -3.2};
    sample.periodic = {true, true, true};
    for (int n = 0; n < 12; ++n) sample.positions.push_back(uniform(engine));
    Sample skewed = sample;
    for (int x = 0; x < 3; ++x) {
        skewed.cell[3 + x] += 41 * sample.cell[x];
        skewed.cell[6 + x] += -17 * sample.cell[3 + x] + 1000 * sample.cell[x];
    }
    Neighbors a(4.0, 0.3, false, 1), b(4.0, 0.3, false, 1);
    a.update(sample.system());
    b.update(skewed.system());
    CHECK(a.indices().size() == b.indices().size());
    CHECK(a.num_ghost() == b.num_ghost());
    // The shifts count the vectors as given: the ghosts are where the shifts say.
    for (std::int64_t g = 0; g < b.num_ghost(); ++g)
        for (int x = 0; x < 3; ++x) {
            double r = skewed.positions[3 * b.ghost_owner()[g] + x];
            for (int k = 0; k < 3; ++k) r += b.ghost_shift()[3 * g + k] * skewed.cell[3 * k + x];
            CHECK_CLOSE(b.positions()[3 * (b.num_atoms() + g) + x], r, 1e-9);
        }
}

TEST(list_is_kept_within_the_skin_and_rebuilt_beyond) {
    std::mt19937_64 engine(12);
    Sample sample = random_sample(engine, 8, 5);
    sample.periodic = {true, true, true};
    Neighbors list(3.0, 0.4, false, 1);
    list.update(sample.system());
    list.update(sample.system());
    CHECK(list.revision() == 1);
    sample.positions[4] += 0.199;
    list.update(sample.system());
    CHECK(list.revision() == 1);
    CHECK(list.positions()[4] == sample.positions[4]);
    // Kept, and still complete within the cutoff.
    const Pairs kept = from_list(list);
    for (const auto& pair : brute_force(sample, 3.0, 12)) CHECK(kept.count(pair) == 1);
    sample.positions[4] += 0.01;
    list.update(sample.system());
    CHECK(list.revision() == 2);
    CHECK(from_list(list) == brute_force(sample, 3.4, 12));

    // A host wraps an atom: other shifts between the positions as they are given.
    for (int x = 0; x < 3; ++x) sample.positions[x] += sample.cell[x];
    list.update(sample.system());
    CHECK(list.revision() == 3);
    CHECK(from_list(list) == brute_force(sample, 3.4, 12));
    sample.periodic[1] = false;
    list.update(sample.system());
    CHECK(list.revision() == 4);
    sample.positions.resize(sample.positions.size() - 3);
    list.update(sample.system());
    CHECK(list.revision() == 5);
    CHECK(from_list(list) == brute_force(sample, 3.4, 12));
}

TEST(list_is_kept_while_the_cell_changes_little) {
    std::mt19937_64 engine(13);
    std::uniform_real_distribution<double> uniform(-1, 1);
    for (int round = 0; round < 20; ++round) {
        Sample sample = random_sample(engine, 8, 5);
        sample.periodic = {true, true, round % 2 == 0};
        Neighbors list(3.0, 0.4, false, 1);
        list.update(sample.system());
        // A strain of up to 1.5 %, of the atoms too, and some movement of each.
        double strain[9];
        for (double& e : strain) e = 0.005 * uniform(engine);
        const auto deform = [&](double* r) {
            const double x[3] = {r[0], r[1], r[2]};
            for (int a = 0; a < 3; ++a)
                for (int b = 0; b < 3; ++b) r[b] += x[a] * strain[3 * a + b];
        };
        for (int k = 0; k < 3; ++k) deform(&sample.cell[3 * k]);
        for (std::size_t i = 0; i < sample.positions.size(); i += 3) {
            deform(&sample.positions[i]);
            for (int x = 0; x < 3; ++x) sample.positions[i + x] += 0.05 * uniform(engine);
        }
        list.update(sample.system());
        CHECK(list.revision() == 1 || !sample.periodic[2]);
        const Pairs kept = from_list(list);
        for (const auto& pair : brute_force(sample, 3.0, 12)) CHECK(kept.count(pair) == 1);
        for (std::int64_t g = 0; g < list.num_ghost(); ++g)
            for (int x = 0; x < 3; ++x) {
                double r = sample.positions[3 * list.ghost_owner()[g] + x];
                for (int k = 0; k < 3; ++k)
                    r += list.ghost_shift()[3 * g + k] * sample.cell[3 * k + x];
                CHECK_CLOSE(list.positions()[3 * (list.num_atoms() + g) + x], r, 1e-9);
            }
        // More strain than the skin can bear.
        for (int k = 0; k < 9; ++k) sample.cell[k] *= 1.2;
        for (double& x : sample.positions) x *= 1.2;
        const std::uint64_t before = list.revision();
        list.update(sample.system());
        CHECK(list.revision() == before + 1);
        CHECK(from_list(list) == brute_force(sample, 3.4, 12));
    }
}

TEST(wrapped_list_does_not_mind_that_the_host_wraps) {
    std::mt19937_64 engine(14);
    std::uniform_real_distribution<double> uniform(-1, 1);
    for (int round = 0; round < 20; ++round) {
        Sample sample = random_sample(engine, 8, 8);
        sample.periodic = {true, round % 2 == 0, true};
        Neighbors list(3.0, 0.4, true, 1);
        list.update(sample.system());
        const auto distances = [&] {
            std::vector<double> all;
            for (std::int64_t i = 0; i < list.num_atoms(); ++i)
                for (auto n = list.offsets()[i]; n < list.offsets()[i + 1]; ++n) {
                    double d2 = 0;
                    for (int x = 0; x < 3; ++x) {
                        const double d = list.positions()[3 * list.indices()[n] + x] -
                                         list.positions()[3 * i + x];
                        d2 += d * d;
                    }
                    all.push_back(std::sqrt(d2));
                }
            return all;
        };
        const auto before = distances();
        for (std::size_t i = 0; i < sample.positions.size(); i += 3)
            for (int k = 0; k < 3; ++k) {
                const int times = sample.periodic[k] ? static_cast<int>(4 * uniform(engine)) : 0;
                for (int x = 0; x < 3; ++x)
                    sample.positions[i + x] += times * sample.cell[3 * k + x];
            }
        list.update(sample.system());
        CHECK(list.revision() == 1);
        const auto after = distances();
        CHECK(before.size() == after.size());
        for (std::size_t n = 0; n < std::min(before.size(), after.size()); ++n)
            CHECK_CLOSE(before[n], after[n], 1e-9);
        sample.positions[3] += 0.3;
        list.update(sample.system());
        CHECK(list.revision() == 2);
    }
}

TEST(every_instruction_set_finds_the_pairs_of_double_arithmetic) {
    // A crystal whose shells lie at the cutoff, shaken by less than float can see.
    std::mt19937_64 engine(15);
    std::uniform_real_distribution<double> uniform(-1, 1);
    for (const bool wrap : {false, true}) {
        Sample sample;
        sample.cell = {24, 0, 0, 0, 24, 0, 0, 0, 24};
        sample.periodic = {true, true, true};
        for (int a = 0; a < 8; ++a)
            for (int b = 0; b < 8; ++b)
                for (int c = 0; c < 8; ++c)
                    for (const int n : {a, b, c})
                        sample.positions.push_back(3 * n + 1.5 + 1e-9 * uniform(engine));
        Neighbors baseline(6.0, 0.0, wrap, 1, "baseline"), avx2(6.0, 0.0, wrap, 2, "avx2");
        Neighbors avx512(6.0, 0.0, wrap, 2, "avx512");
        for (Neighbors* list : {&baseline, &avx2, &avx512}) {
            list->update(sample.system());
            CHECK(list->indices() == baseline.indices());
            CHECK(list->ghost_owner() == baseline.ghost_owner());
        }
        const Pairs pairs = from_list(baseline);
        CHECK(pairs == brute_force(sample, 6.0, 1));
        CHECK(pairs.size() > 512 * 26 && pairs.size() < 512 * 32);  // not all or none of a shell
    }
}

TEST(pairs_are_what_the_list_says) {
    std::mt19937_64 engine(16);
    for (int round = 0; round < 10; ++round) {
        const Sample sample = random_sample(engine, 7, 6);
        Neighbors list(3.0, 0.0, round % 2 == 0, 1);
        list.update(sample.system());
        const std::size_t count = list.indices().size();
        std::vector<std::int64_t> first(count), second(count);
        std::vector<std::int32_t> shifts(3 * count);
        std::vector<double> distances(count), vectors(3 * count);
        list.fill_pairs(
            {first.data(), second.data(), shifts.data(), distances.data(), vectors.data()});
        list.fill_pairs({});
        Pairs pairs;
        for (std::size_t n = 0; n < count; ++n) {
            const std::int32_t* s = &shifts[3 * n];
            pairs.insert({first[n], second[n], s[0], s[1], s[2]});
            double d2 = 0;
            for (int x = 0; x < 3; ++x) {
                double r = sample.positions[3 * second[n] + x] - sample.positions[3 * first[n] + x];
                for (int k = 0; k < 3; ++k) r += s[k] * sample.cell[3 * k + x];
                CHECK_CLOSE(vectors[3 * n + x], r, 1e-9);
                d2 += r * r;
            }
            CHECK_CLOSE(distances[n], std::sqrt(d2), 1e-9);
        }
        CHECK(pairs == brute_force(sample, 3.0, 14));
    }
}

TEST(no_atoms_one_atom_and_no_cell) {
    const System none = {0, nullptr, nullptr, {false, false, false}};
    Neighbors list(3.0, 0.4, true, 1);
    list.update(none);
    CHECK(list.num_atoms() == 0 && list.num_ghost() == 0 && list.offsets().size() == 1);
    const double far[6] = {1e9, -1e9, 0, -1e200, 1e9, 3};
    list.update({2, far, nullptr, {false, false, false}});
    CHECK(list.indices().empty() && list.offsets().size() == 3);
    const double same[6] = {1, 2, 3, 1, 2, 3};
    list.update({2, same, nullptr, {false, false, false}});
    CHECK(list.indices().size() == 2);
}

TEST(impossible_systems_are_refused) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double positions[6] = {0, 0, 0, 1, 1, 1}, bad[6] = {0, 0, 0, 1, nan, 1};
    const double far[6] = {0, 0, 0, 1e12, 0, 0};
    const double flat[9] = {3, 0, 0, 0, 3, 0, 3, 3, 0}, zero[9] = {};
    const double tiny[9] = {1e-7, 0, 0, 0, 1e-7, 0, 0, 0, 1e-7};
    const double broken[9] = {3, 0, 0, 0, nan, 0, 0, 0, 3}, cube[9] = {3, 0, 0, 0, 3, 0, 0, 0, 3};
    const std::array<bool, 3> all = {true, true, true};
    Neighbors list(3.0, 0.4, true, 1);
    CHECK_THROWS(list.update({2, positions, flat, all}), camlip::ArgumentError);
    CHECK_THROWS(list.update({2, positions, zero, all}), camlip::ArgumentError);
    CHECK_THROWS(list.update({2, positions, tiny, all}), camlip::ArgumentError);
    CHECK_THROWS(list.update({2, positions, nullptr, all}), camlip::ArgumentError);
    CHECK_THROWS(list.update({2, positions, broken, all}), camlip::NumericError);
    CHECK_THROWS(list.update({2, bad, cube, all}), camlip::NumericError);
    CHECK_THROWS(list.update({2, far, cube, all}), camlip::ArgumentError);
    CHECK(!list.valid());
    list.update({2, positions, cube, all});  // and is of use again afterwards
    CHECK(list.valid() && list.num_ghost() > 0);
    CHECK_THROWS(Neighbors(0.0, 0.4, true, 1), camlip::ArgumentError);
    CHECK_THROWS(Neighbors(3.0, -0.1, true, 1), camlip::ArgumentError);
    CHECK_THROWS(Neighbors(nan, 0.1, true, 1), camlip::ArgumentError);
}

int main() { return check::run(); }
