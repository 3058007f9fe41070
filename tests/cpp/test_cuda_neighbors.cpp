// SPDX-License-Identifier: MIT
// Neighbor lists of the cuda backend against those of the engine, on the emulated device.
#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <tuple>
#include <vector>

#include "check.hpp"
#include "cuda_emulator.hpp"
#include "device_neighbors.hpp"
#include "errors.hpp"
#include "neighbors.hpp"

using namespace camlip;
using emulator::Order;
using State = emulator::Runtime::State;
using List = cuda::DeviceNeighbors<emulator::Runtime>;

namespace {

struct Pair {
    std::int64_t i, j;
    std::array<long, 3> vector;  // r_j + shift - r_i in 1e-6 Angstrom
    bool operator<(const Pair& o) const {
        return std::tie(i, j, vector) < std::tie(o.i, o.j, o.vector);
    }
    bool operator==(const Pair& o) const { return i == o.i && j == o.j && vector == o.vector; }
};

std::array<long, 3> rounded(const double* r) {
    return {std::lround(1e6 * r[0]), std::lround(1e6 * r[1]), std::lround(1e6 * r[2])};
}

struct Input {
    std::vector<double> positions;
    std::vector<double> cell;  // empty: none
    std::array<bool, 3> periodic{};
    double radius = 3;
    std::int64_t owned = -1;  // of a system without a cell: all

    std::int64_t total() const { return static_cast<std::int64_t>(positions.size()) / 3; }
    const double* box() const { return cell.empty() ? nullptr : cell.data(); }
};

Input random_input(std::int64_t count, std::vector<double> cell, std::array<bool, 3> periodic,
                   double radius, unsigned seed, double spread = 1) {
    Input in{{}, cell, periodic, radius, -1};
    std::mt19937_64 engine(seed);
    std::uniform_real_distribution<double> uniform(-spread / 2, spread / 2);
    const std::vector<double> box =
        cell.empty() ? std::vector<double>{9, 0, 0, 0, 11, 0, 0, 0, 7} : cell;
    for (std::int64_t n = 0; n < count; ++n) {
        const double f[3] = {uniform(engine), uniform(engine), uniform(engine)};
        for (std::size_t a = 0; a < 3; ++a)
            in.positions.push_back(f[0] * box[a] + f[1] * box[3 + a] + f[2] * box[6 + a]);
    }
    return in;
}

// What the engine finds; membership without a skin.
std::vector<Pair> expected_pairs(const Input& in) {
    Neighbors neighbors(in.radius, 0.0, true, 1);
    neighbors.update({in.total(), in.positions.data(), in.box(), in.periodic});
    std::vector<Pair> pairs;
    const double* r = neighbors.positions().data();
    for (std::int64_t i = 0; i < in.total(); ++i) {
        if (in.owned >= 0 && i >= in.owned) continue;
        for (std::int64_t n = neighbors.offsets()[static_cast<std::size_t>(i)];
             n < neighbors.offsets()[static_cast<std::size_t>(i) + 1]; ++n) {
            const std::int64_t j = neighbors.indices()[static_cast<std::size_t>(n)];
            double d[3];
            for (int a = 0; a < 3; ++a) d[a] = r[3 * j + a] - r[3 * i + a];
            if (d[0] * d[0] + d[1] * d[1] + d[2] * d[2] >= in.radius * in.radius) continue;
            const std::int64_t g = j - in.total();
            pairs.push_back(
                {i, g < 0 ? j : neighbors.ghost_owner()[static_cast<std::size_t>(g)], rounded(d)});
        }
    }
    std::sort(pairs.begin(), pairs.end());
    return pairs;
}

struct Made {
    std::vector<std::int64_t> offsets;
    std::vector<std::int32_t> indices, shifts;
    bool operator==(const Made& o) const {
        return offsets == o.offsets && indices == o.indices && shifts == o.shifts;
    }
};

// The emulated device's memory is the host's.
Made make(emulator::Runtime& runtime, List& list, const Input& in) {
    const std::int64_t owned = in.owned < 0 ? in.total() : in.owned;
    list.build(in.positions.data(), owned, in.total(), in.box(), in.periodic);
    runtime.synchronize();
    Made made;
    made.offsets.assign(list.offsets(), list.offsets() + owned + 1);
    made.indices.assign(list.indices(), list.indices() + list.num_edges());
    if (list.shifts()) made.shifts.assign(list.shifts(), list.shifts() + list.num_edges());
    return made;
}

std::vector<Pair> pairs_of(const Made& made, const Input& in, const cuda::Grid& grid) {
    std::vector<Pair> pairs;
    for (std::size_t i = 0; i + 1 < made.offsets.size(); ++i) {
        for (std::int64_t n = made.offsets[i]; n < made.offsets[i + 1]; ++n) {
            const auto at = static_cast<std::size_t>(n);
            const auto j = static_cast<std::size_t>(made.indices[at]);
            double d[3];
            for (std::size_t a = 0; a < 3; ++a) {
                d[a] = in.positions[3 * j + a] - in.positions[3 * i + a];
                for (std::size_t k = 0; k < 3 && !made.shifts.empty(); ++k)
                    d[a] +=
                        cuda::shift_of(made.shifts[at], static_cast<int>(k)) * grid.rows[3 * k + a];
            }
            pairs.push_back({static_cast<std::int64_t>(i), made.indices[at], rounded(d)});
        }
    }
    std::sort(pairs.begin(), pairs.end());
    return pairs;
}

// By bins and, where it can, by all pairs.
void check_against_engine(const Input& in, bool some = true) {
    const std::vector<Pair> expected = expected_pairs(in);
    CHECK(some == !expected.empty());
    for (const int all_pairs : {0, 512}) {
        emulator::Runtime runtime(std::make_shared<State>());
        List list(runtime, in.radius, 0, all_pairs);
        const Made made = make(runtime, list, in);
        CHECK(made.offsets.front() == 0 && made.offsets.back() == list.num_edges());
        CHECK(pairs_of(made, in, list.grid()) == expected);
    }
}

const std::vector<double> kSkewed = {9, 0, 0, 13.5, 8, 0, -6, 5, 10};

}  // namespace

TEST(running_sums_of_any_length) {
    for (const std::int64_t count : {1, 2047, 2048, 2049, 70000}) {
        emulator::Runtime runtime(std::make_shared<State>());
        std::vector<std::int64_t> values, expected, totals(1000, -1);
        std::int64_t sum = 0;
        for (std::int64_t n = 0; n < count; ++n) {
            values.push_back(n % 7 + (n % 1000 == 0 ? std::int64_t{1} << 33 : 0));
            expected.push_back(sum += values.back());
        }
        const auto chunks = static_cast<int>((count + cuda::kScanChunk - 1) / cuda::kScanChunk);
        const cuda::ScanChunks first{values.data(), count, totals.data()};
        const cuda::ScanChunks second{totals.data(), chunks, nullptr};
        const cuda::AddTotals third{values.data(), count, totals.data()};
        runtime.launch(first, chunks, 256, first.shared_bytes());
        runtime.launch(second, 1, 256, second.shared_bytes());
        runtime.launch(third, 3, 256, 0);
        runtime.synchronize();
        CHECK(values == expected);
    }
}

TEST(every_periodicity_agrees_with_the_engine) {
    for (int mask = 0; mask < 8; ++mask) {
        const std::array<bool, 3> periodic = {(mask & 1) != 0, (mask & 2) != 0, (mask & 4) != 0};
        check_against_engine(random_input(90, {10, 0, 0, 0, 12, 0, 0, 0, 9}, periodic, 3, 1));
        check_against_engine(random_input(90, kSkewed, periodic, 3, 2));
    }
}

TEST(cells_smaller_than_the_radius) {
    const std::array<bool, 3> all = {true, true, true};
    check_against_engine(random_input(1, {2.5, 0, 0, 0.4, 2.6, 0, -0.3, 0.2, 2.4}, all, 5, 3));
    check_against_engine(random_input(3, {2.5, 0, 0, 0, 30, 0, 0, 0, 4}, all, 5, 4));
    check_against_engine(random_input(40, kSkewed, all, 8.7, 5));
}

TEST(positions_need_not_lie_in_the_cell) {
    check_against_engine(random_input(60, kSkewed, {true, true, true}, 3, 6, 12));
    check_against_engine(random_input(60, kSkewed, {true, false, true}, 3, 7, 4));
}

TEST(owned_and_ghost_atoms) {
    Input in = random_input(150, {}, {}, 3, 8);
    in.owned = 61;
    check_against_engine(in);
    in.owned = 0;
    check_against_engine(in, false);
}

TEST(atoms_far_apart_make_no_more_bins_than_atoms) {
    Input in = random_input(80, {}, {}, 3, 9);
    for (int a = 0; a < 3; ++a) in.positions[static_cast<std::size_t>(a)] = 1e7 * (a - 1);
    check_against_engine(in);
    check_against_engine(random_input(9, {}, {}, 1e-3, 10), false);
    // All atoms at one height, all in a row, and one atom.
    for (std::size_t n = 2; n < in.positions.size(); n += 3) in.positions[n] = 0.25;
    check_against_engine(in);
    for (std::size_t n = 1; n < in.positions.size(); n += 3) in.positions[n] = -4;
    check_against_engine(in);
    check_against_engine(random_input(1, {}, {}, 3, 11), false);
}

TEST(the_list_grows_and_may_shrink) {
    auto state = std::make_shared<State>();
    emulator::Runtime runtime(state);
    for (const int all_pairs : {0, 512}) {
        List list(runtime, 3, 0, all_pairs);
        const Input thin = random_input(60, kSkewed, {true, true, true}, 3, 12);
        Input dense = thin;  // three times the atoms, so nine times the pairs
        for (const unsigned seed : {13u, 14u}) {
            const Input more = random_input(60, kSkewed, {true, true, true}, 3, seed);
            dense.positions.insert(dense.positions.end(), more.positions.begin(),
                                   more.positions.end());
        }
        CHECK(pairs_of(make(runtime, list, thin), thin, list.grid()) == expected_pairs(thin));
        CHECK(pairs_of(make(runtime, list, dense), dense, list.grid()) == expected_pairs(dense));
        const auto allocations = state->allocations;
        CHECK(pairs_of(make(runtime, list, thin), thin, list.grid()) == expected_pairs(thin));
        CHECK(pairs_of(make(runtime, list, dense), dense, list.grid()) == expected_pairs(dense));
        CHECK(state->allocations == allocations);
    }
}

TEST(the_order_of_threads_changes_nothing) {
    const Input in = random_input(120, kSkewed, {true, true, false}, 3, 15);
    auto state = std::make_shared<State>();
    emulator::Runtime runtime(state);
    for (const int all_pairs : {0, 512}) {
        List list(runtime, in.radius, 0, all_pairs);
        state->order = Order::kAscending;
        const Made first = make(runtime, list, in);
        for (const Order order : {Order::kDescending, Order::kShuffled}) {
            state->order = order;
            CHECK(make(runtime, list, in) == first);
        }
    }
}

TEST(what_cannot_be_is_refused) {
    const Input in = random_input(60, kSkewed, {true, true, true}, 3, 16, 1000);
    const Input flat = random_input(60, {1, 0, 0, 2, 0, 0, 0, 0, 1}, {true, true, true}, 3, 17);
    const Input thin = random_input(60, {1e-3, 0, 0, 0, 9, 0, 0, 0, 9}, {true, true, true}, 3, 18);
    for (const int all_pairs : {0, 512}) {
        emulator::Runtime runtime(std::make_shared<State>());
        List list(runtime, 3, 0, all_pairs);
        CHECK_THROWS(make(runtime, list, in), ArgumentError);
        CHECK_THROWS(make(runtime, list, flat), ArgumentError);
        CHECK_THROWS(make(runtime, list, thin), ArgumentError);
    }
}

int main() { return check::run(); }
