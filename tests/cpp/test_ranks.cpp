// SPDX-License-Identifier: MIT
// Domain decomposition: owned atoms, ghosts and the halo exchange of camlip_compute.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "camlip.h"
#include "check.hpp"
#include "structures.hpp"

namespace {

using namespace structures;
using random_model::small_config;

// What one of two ranks owns and sees of a structure.
struct Rank {
    std::vector<std::int64_t> atoms;  // owned first, then ghosts: atoms of the whole system
    std::int64_t num_owned = 0;
    std::vector<double> positions, energies, forces;
    std::vector<std::int32_t> types, indices;
    std::vector<std::int64_t> offsets;
};

// Splits a cluster: owned atoms of a rank by parity of their index, all others are ghosts.
Rank make_rank(const Structure& s, int parity, double cutoff) {
    Rank rank;
    const auto n = static_cast<std::int64_t>(s.types.size());
    for (const bool owned : {true, false}) {
        for (std::int64_t i = 0; i < n; ++i)
            if ((i % 2 == parity) == owned) rank.atoms.push_back(i);
        if (owned) rank.num_owned = static_cast<std::int64_t>(rank.atoms.size());
    }
    for (const std::int64_t i : rank.atoms) {
        for (std::int64_t x = 0; x < 3; ++x)
            rank.positions.push_back(s.positions[static_cast<std::size_t>(3 * i + x)]);
        rank.types.push_back(s.types[static_cast<std::size_t>(i)]);
    }
    rank.offsets.push_back(0);
    for (std::int64_t i = 0; i < rank.num_owned; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
            double d2 = 0;
            for (std::int64_t x = 0; x < 3; ++x) {
                const double d = rank.positions[static_cast<std::size_t>(3 * j + x)] -
                                 rank.positions[static_cast<std::size_t>(3 * i + x)];
                d2 += d * d;
            }
            // Some pairs beyond the cutoff are in the list, too: they must not count.
            if (i != j && d2 < (cutoff + 0.5) * (cutoff + 0.5))
                rank.indices.push_back(static_cast<std::int32_t>(j));
        }
        rank.offsets.push_back(static_cast<std::int64_t>(rank.indices.size()));
    }
    rank.energies.resize(static_cast<std::size_t>(rank.num_owned));
    rank.forces.resize(3 * rank.atoms.size());
    return rank;
}

// Features of the whole system, as each rank knew them when it last came to an exchange.
struct Board {
    std::vector<std::vector<double>> forward, reverse;  // of each exchange: rows of all atoms
    std::size_t num_forward = 0, num_reverse = 0;
    const Rank* rank = nullptr;
    std::size_t num_atoms = 0;
};

int exchange(Board& board, std::vector<std::vector<double>>& said, std::size_t& count,
             double* features, std::int32_t width, bool forward) {
    if (said.size() <= count) said.resize(count + 1);
    std::vector<double>& rows = said[count++];
    rows.resize(board.num_atoms * static_cast<std::size_t>(width));
    const auto w = static_cast<std::size_t>(width);
    const auto owned = static_cast<std::size_t>(board.rank->num_owned);
    for (std::size_t n = 0; n < board.rank->atoms.size(); ++n) {
        double* mine = features + n * w;
        double* shared = &rows[static_cast<std::size_t>(board.rank->atoms[n]) * w];
        for (std::size_t k = 0; k < w; ++k) {
            if (forward && n < owned) shared[k] = mine[k];
            if (forward && n >= owned) mine[k] = shared[k];
            if (!forward && n >= owned) shared[k] = mine[k];
        }
    }
    if (!forward) {
        // Ghost rows of the other rank stand where they belong: add those of the atoms owned here.
        for (std::size_t n = 0; n < owned; ++n)
            for (std::size_t k = 0; k < w; ++k)
                features[n * w + k] += rows[static_cast<std::size_t>(board.rank->atoms[n]) * w + k];
    }
    return 0;
}

int forward(void* context, double* features, std::int32_t width) {
    Board& board = *static_cast<Board*>(context);
    return exchange(board, board.forward, board.num_forward, features, width, true);
}

int reverse(void* context, double* features, std::int32_t width) {
    Board& board = *static_cast<Board*>(context);
    return exchange(board, board.reverse, board.num_reverse, features, width, false);
}

}  // namespace

// The ranks are run one after the other until what they exchange no longer changes: n layers need
// 2n - 1 rounds, and then every rank has seen what it would see in a parallel run.
TEST(two_ranks_agree_with_one) {
    for (const camlip::Config& config :
         {small_config(2, 1), small_config(2, 2), small_config(2, 3)}) {
        const Potential potential(config);
        const Structure s = make_structure(10, false);
        const Results whole = evaluate(potential, s);
        std::array<Rank, 2> ranks = {make_rank(s, 0, config.cutoff),
                                     make_rank(s, 1, config.cutoff)};
        Board board;
        board.num_atoms = s.types.size();
        std::vector<double> forces, energies;
        for (int round = 0; round < 2 * config.num_layers; ++round) {
            forces.assign(whole.forces.size(), 0.0);
            energies.assign(s.types.size(), 0.0);
            for (Rank& rank : ranks) {
                board.rank = &rank;
                board.num_forward = board.num_reverse = 0;
                std::fill(rank.energies.begin(), rank.energies.end(), 0.0);
                std::fill(rank.forces.begin(), rank.forces.end(), 0.0);
                camlip_atoms atoms{};
                atoms.struct_size = sizeof atoms;
                atoms.num_owned = rank.num_owned;
                atoms.num_ghost = static_cast<std::int64_t>(rank.atoms.size()) - rank.num_owned;
                atoms.positions = rank.positions.data();
                atoms.types = rank.types.data();
                const camlip_neighbor_list list{sizeof list, rank.offsets.data(),
                                                rank.indices.data(), 1, 0};
                const camlip_exchange callbacks{sizeof callbacks, &board, forward,
                                                reverse,          0,      nullptr};
                camlip_results results{sizeof results,     nullptr, rank.energies.data(),
                                       rank.forces.data(), nullptr, nullptr};
                require_ok(
                    camlip_compute(potential.engine.get(), &atoms, &list, &callbacks, &results));
                for (std::size_t n = 0; n < rank.atoms.size(); ++n)
                    for (std::size_t x = 0; x < 3; ++x)
                        forces[3 * static_cast<std::size_t>(rank.atoms[n]) + x] +=
                            rank.forces[3 * n + x];
                for (std::size_t n = 0; n < rank.energies.size(); ++n)
                    energies[static_cast<std::size_t>(rank.atoms[n])] = rank.energies[n];
                CHECK(board.num_forward == static_cast<std::size_t>(config.num_layers - 1));
                CHECK(board.num_reverse == static_cast<std::size_t>(config.num_layers - 1));
            }
        }
        for (std::size_t n = 0; n < energies.size(); ++n)
            CHECK_CLOSE(energies[n], whole.atomic[n], 1e-11);
        for (std::size_t n = 0; n < forces.size(); ++n)
            CHECK_CLOSE(forces[n], whole.forces[n], 1e-10);
    }
}

TEST(a_rank_without_atoms_takes_part_in_every_exchange) {
    const Potential potential(small_config(2, 3));
    Rank empty;
    Board board;
    board.rank = &empty;
    const std::int64_t offsets[1] = {0};
    camlip_atoms atoms{};
    atoms.struct_size = sizeof atoms;
    const camlip_neighbor_list list{sizeof list, offsets, nullptr, 1, 0};
    const camlip_exchange callbacks{sizeof callbacks, &board, forward, reverse, 0, nullptr};
    double energy = 0, virial[9] = {};
    camlip_results results{sizeof results, &energy, nullptr, nullptr, virial, nullptr};
    require_ok(camlip_compute(potential.engine.get(), &atoms, &list, &callbacks, &results));
    CHECK(board.num_forward == 2 && board.num_reverse == 2 && energy == 0);
}

int main() { return check::run(); }
