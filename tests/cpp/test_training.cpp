// SPDX-License-Identifier: MIT
// Batches of structures and gradients by the parameters, against whole systems and finite
// differences.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "check.hpp"
#include "errors.hpp"
#include "parameters.hpp"
#include "registry.hpp"
#include "structures.hpp"
#include "training/trainer.hpp"

namespace {

using namespace camlip;
using namespace structures;
using random_model::small_config;

EngineOptions double_options(const std::string& backend) {
    EngineOptions options;
    options.backend = backend;
    options.precision = "double";
    options.num_threads = 2;
    return options;
}

// Backends that can train; the model in training has the parameters of the backend.
std::vector<std::string> backends() {
    std::vector<std::string> names = {"reference"};
    if (std::string(find_backend("auto").name) == "cpu") names.emplace_back("cpu");
    return names;
}

// The arrays of a batch, with edges found by comparing all images of all atoms.
struct Arrays {
    Arrays(const std::vector<Structure>& structures, double cutoff) {
        std::int32_t first = 0;
        for (const Structure& s : structures) {
            const auto n = static_cast<std::int32_t>(s.types.size());
            num_atoms.push_back(n);
            positions.insert(positions.end(), s.positions.begin(), s.positions.end());
            types.insert(types.end(), s.types.begin(), s.types.end());
            cells.insert(cells.end(), s.cell.begin(), s.cell.end());
            for (std::int32_t i = 0; i < n; ++i)
                for (std::int32_t j = 0; j < n; ++j)
                    for (int a = -2; a <= 2; ++a)
                        for (int b = -2; b <= 2; ++b)
                            for (int c = -2; c <= 2; ++c)
                                add_edge(s, cutoff, first, i, j, {a, b, c});
            first += n;
        }
    }

    void add_edge(const Structure& s, double cutoff, std::int32_t first, std::int32_t i,
                  std::int32_t j, const std::array<int, 3>& shift) {
        if (i == j && shift == std::array<int, 3>{0, 0, 0}) return;
        double r2 = 0;
        for (std::size_t x = 0; x < 3; ++x) {
            double d = s.positions[3 * static_cast<std::size_t>(j) + x] -
                       s.positions[3 * static_cast<std::size_t>(i) + x];
            for (std::size_t k = 0; k < 3; ++k) {
                if (shift[k] != 0 && !s.periodic[k]) return;
                d += shift[k] * s.cell[3 * k + x];
            }
            r2 += d * d;
        }
        if (r2 >= cutoff * cutoff) return;
        centers.push_back(first + i);
        neighbors.push_back(first + j);
        shifts.insert(shifts.end(), shift.begin(), shift.end());
    }

    BatchView view() const {
        return {static_cast<std::int64_t>(num_atoms.size()),
                static_cast<std::int64_t>(centers.size()),
                num_atoms.data(),
                positions.data(),
                types.data(),
                cells.data(),
                centers.data(),
                neighbors.data(),
                shifts.data()};
    }

    std::vector<std::int64_t> num_atoms;
    std::vector<double> positions, cells;
    std::vector<std::int32_t> types, centers, neighbors, shifts;
};

std::vector<Structure> some_structures() {
    return {make_structure(2, true), make_structure(3, false), make_structure(4, true)};
}

struct Outcome {
    Outcome(std::size_t structures, std::size_t atoms, std::size_t parameters)
        : energies(structures),
          forces(3 * atoms),
          virials(9 * structures),
          gradient(parameters, 0.0) {}
    TrainingOutputs view() {
        return {energies.data(), forces.data(), virials.data(), gradient.data()};
    }
    std::vector<double> energies, forces, virials, gradient;
};

struct Fixture {
    explicit Fixture(const Config& config, const std::string& backend = "reference")
        : trainer(random_model::make_model(config), double_options(backend)),
          model(trainer.model()),
          arrays(some_structures(), config.cutoff),
          batch(arrays.view(), model.num_types()) {}

    Outcome run(const TrainingPoint& point = {}) {
        Outcome outcome(arrays.num_atoms.size(), arrays.types.size(), num_parameters(model));
        trainer.compute(batch, point, outcome.view());
        return outcome;
    }

    Trainer trainer;
    const Model& model;
    Arrays arrays;
    TrainingBatch batch;
};

std::vector<Config> all_configs() {
    return {small_config(0, 1), small_config(2, 1), small_config(3, 1),
            small_config(1, 2), small_config(3, 2), small_config(2, 3)};
}

}  // namespace

TEST(a_batch_gives_each_structure_what_it_has_alone) {
    for (const Config& config : {small_config(3, 1), small_config(2, 2)}) {
        Fixture fixture(config);
        const Outcome outcome = fixture.run();
        const Potential potential(config);
        std::size_t atom = 0, k = 0;
        for (Structure& s : some_structures()) {
            const Results alone = evaluate(potential, s);
            CHECK_CLOSE(outcome.energies[k], alone.energy, 1e-10);
            for (std::size_t n = 0; n < alone.forces.size(); ++n)
                CHECK_CLOSE(outcome.forces[3 * atom + n], alone.forces[n], 1e-9);
            for (std::size_t n = 0; n < 9; ++n)
                CHECK_CLOSE(outcome.virials[9 * k + n], alone.virial[n], 1e-8);
            atom += s.types.size();
            ++k;
        }
    }
}

void check_gradient(const std::string& backend) {
    for (const Config& config : all_configs()) {
        Fixture fixture(config, backend);
        const std::vector<double> seeds = {0.7, -1.3, 0.4};
        TrainingPoint point;
        point.seeds = seeds.data();
        const Outcome outcome = fixture.run(point);
        std::vector<double> values(num_parameters(fixture.model));
        get_parameters(fixture.model, values.data());
        double largest = 0;
        for (const double g : outcome.gradient) largest = std::max(largest, std::fabs(g));
        const auto total = [&] {
            std::vector<double> energies(seeds.size());
            fixture.trainer.set_parameters(values.data());
            fixture.trainer.compute(fixture.batch, {},
                                    {energies.data(), nullptr, nullptr, nullptr});
            double sum = 0;
            for (std::size_t k = 0; k < seeds.size(); ++k) sum += seeds[k] * energies[k];
            return sum;
        };
        for (const ParameterEntry& entry : parameter_layout(fixture.model)) {
            double of_tensor = 0;
            for (std::size_t n = 0; n < entry.size; ++n)
                of_tensor = std::max(of_tensor, std::fabs(outcome.gradient[entry.offset + n]));
            // Without products (rank 0) nothing enters the mixing of the contraction.
            if (config.max_rank > 0) CHECK(of_tensor > 1e-6 * largest);
            for (std::size_t n = 0; n < entry.size; n += 1 + entry.size / 4) {
                const std::size_t p = entry.offset + n;
                const double middle = values[p], h = 1e-4;
                double e[4];
                int at = 0;
                for (const double d : {-2 * h, -h, h, 2 * h}) {
                    values[p] = middle + d;
                    e[at++] = total();
                }
                values[p] = middle;
                const double slope = (8 * (e[2] - e[1]) - (e[3] - e[0])) / (12 * h);
                CHECK_CLOSE(outcome.gradient[p], slope, 1e-7 * std::max(1.0, largest));
            }
        }
    }
}

TEST(gradient_by_every_tensor_matches_finite_differences) {
    for (const std::string& backend : backends()) check_gradient(backend);
}

TEST(seeds_scale_forces_and_virials) {
    Fixture fixture(small_config(2, 2));
    const Outcome plain = fixture.run();
    const std::vector<double> seeds = {2.0, 0.0, -0.5};
    TrainingPoint point;
    point.seeds = seeds.data();
    const Outcome seeded = fixture.run(point);
    std::size_t atom = 0;
    for (std::size_t k = 0; k < seeds.size(); ++k) {
        CHECK_CLOSE(seeded.energies[k], plain.energies[k], 1e-12);
        for (std::size_t n = 0; n < 9; ++n)
            CHECK_CLOSE(seeded.virials[9 * k + n], seeds[k] * plain.virials[9 * k + n], 1e-9);
        for (std::int64_t i = 0; i < fixture.arrays.num_atoms[k]; ++i, ++atom)
            for (std::size_t x = 3 * atom; x < 3 * atom + 3; ++x)
                CHECK_CLOSE(seeded.forces[x], seeds[k] * plain.forces[x], 1e-10);
    }
}

TEST(displacements_and_strains_are_followed_by_forces_and_virials) {
    Fixture fixture(small_config(2, 2));
    const Outcome start = fixture.run();
    std::vector<double> displacements(3 * fixture.arrays.types.size()), strains(27);
    double slope = 0;
    for (std::size_t n = 0; n < displacements.size(); ++n) {
        displacements[n] = std::sin(1.0 + 3.7 * static_cast<double>(n));
        slope -= displacements[n] * start.forces[n];
    }
    for (std::size_t k = 0; k < 3; ++k)
        for (std::size_t a = 0; a < 3; ++a)
            for (std::size_t b = 0; b < 3; ++b) {
                const double s = 0.1 * std::cos(static_cast<double>(k + (a + 1) * (b + 1)));
                strains[9 * k + 3 * a + b] = s;
                slope -= s * start.virials[9 * k + 3 * a + b];
            }
    const auto total = [&](double amount) {
        std::vector<double> d = displacements, s = strains;
        for (double& value : d) value *= amount;
        for (double& value : s) value *= amount;
        double sum = 0;
        for (const double energy : fixture.run({d.data(), s.data(), nullptr}).energies)
            sum += energy;
        return sum;
    };
    const double h = 1e-3;
    const double found = (8 * (total(h) - total(-h)) - (total(2 * h) - total(-2 * h))) / (12 * h);
    CHECK_CLOSE(found, slope, 1e-7 * std::fabs(slope));
}

TEST(batches_of_one_structure_are_put_together) {
    Fixture fixture(small_config(2, 2));
    const Outcome whole = fixture.run();
    std::vector<TrainingBatch> single;
    for (const Structure& s : some_structures()) {
        const Arrays arrays({s}, fixture.model.config.cutoff);
        single.emplace_back(arrays.view(), fixture.model.num_types());
    }
    const std::vector<std::size_t> order = {2, 0, 2, 1};
    std::vector<const TrainingBatch*> parts;
    std::size_t atoms = 0;
    for (const std::size_t k : order) {
        parts.push_back(&single[k]);
        atoms += static_cast<std::size_t>(single[k].num_owned());
    }
    const TrainingBatch joined(parts);
    Outcome outcome(order.size(), atoms, num_parameters(fixture.model));
    fixture.trainer.compute(joined, {}, outcome.view());
    std::size_t at = 0;
    for (std::size_t k = 0; k < order.size(); ++k) {
        CHECK_CLOSE(outcome.energies[k], whole.energies[order[k]], 1e-10);
        for (std::size_t n = 0; n < 9; ++n)
            CHECK_CLOSE(outcome.virials[9 * k + n], whole.virials[9 * order[k] + n], 1e-9);
        std::size_t first = 0;
        for (std::size_t s = 0; s < order[k]; ++s)
            first += static_cast<std::size_t>(fixture.arrays.num_atoms[s]);
        const auto count = 3 * static_cast<std::size_t>(fixture.arrays.num_atoms[order[k]]);
        for (std::size_t n = 0; n < count; ++n)
            CHECK_CLOSE(outcome.forces[at++], whole.forces[3 * first + n], 1e-10);
    }
}

TEST(parameters_that_are_not_finite_are_refused_by_name) {
    Fixture fixture(small_config(2, 1));
    std::vector<double> values(num_parameters(fixture.model), 0.1);
    values[parameter_layout(fixture.model)[5].offset] = NAN;
    std::string message;
    try {
        fixture.trainer.set_parameters(values.data());
    } catch (const NumericError& error) {
        message = error.what();
    }
    CHECK(message.find("'mixing.0' holds NaN") != std::string::npos);
}

TEST(edges_that_cannot_be_are_refused) {
    const Model model = random_model::make_model(small_config(2, 1));
    const Arrays good(some_structures(), model.config.cutoff);
    Arrays bad = good;
    bad.neighbors[3] = 1000;
    CHECK_THROWS(TrainingBatch(bad.view(), model.num_types()), ArgumentError);
    bad = good;
    bad.neighbors[0] = bad.centers.back();
    CHECK_THROWS(TrainingBatch(bad.view(), model.num_types()), ArgumentError);
    bad = good;
    std::swap(bad.centers.front(), bad.centers.back());
    CHECK_THROWS(TrainingBatch(bad.view(), model.num_types()), ArgumentError);
    bad = good;
    bad.types[1] = 2;
    CHECK_THROWS(TrainingBatch(bad.view(), model.num_types()), ArgumentError);
    bad = good;
    bad.positions[4] = NAN;
    CHECK_THROWS(TrainingBatch(bad.view(), model.num_types()), NumericError);
}

int main() { return check::run(); }
