// SPDX-License-Identifier: MIT
// Many systems in one call: the same numbers as one by one, and errors that name the system.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "camlip.h"
#include "check.hpp"
#include "structures.hpp"

namespace {

using namespace structures;
using random_model::small_config;

// Structures one after the other, and results of all of them.
struct Batch {
    std::vector<std::int64_t> offsets = {0};
    std::vector<double> positions, cells;
    std::vector<std::int32_t> types, periodic;

    void add(const Structure& s) {
        positions.insert(positions.end(), s.positions.begin(), s.positions.end());
        types.insert(types.end(), s.types.begin(), s.types.end());
        cells.insert(cells.end(), s.cell.begin(), s.cell.end());
        periodic.insert(periodic.end(), s.periodic.begin(), s.periodic.end());
        offsets.push_back(static_cast<std::int64_t>(types.size()));
    }

    camlip_systems view() const {
        camlip_systems b{};
        b.struct_size = sizeof b;
        b.num_systems = static_cast<std::int64_t>(offsets.size()) - 1;
        b.offsets = offsets.data();
        b.positions = positions.data();
        b.types = types.data();
        b.cells = cells.data();
        b.periodic = periodic.data();
        return b;
    }
};

struct BatchResults {
    explicit BatchResults(const Batch& b)
        : energy(b.offsets.size() - 1),
          atomic(b.types.size()),
          forces(3 * b.types.size()),
          virial(9 * energy.size()),
          centroid(9 * b.types.size()) {}

    camlip_results view() {
        return {sizeof(camlip_results), energy.data(), atomic.data(),
                forces.data(),          virial.data(), centroid.data()};
    }

    std::vector<double> energy, atomic, forces, virial, centroid;
};

// Bulk, molecule, slab, one atom, no atom, bulk again far outside of its cell, many times over.
std::vector<Structure> variety(std::size_t repeats) {
    std::vector<Structure> all;
    for (std::size_t n = 0; n < repeats; ++n) {
        const auto seed = static_cast<unsigned>(10 * n);
        all.push_back(make_structure(seed, true));
        all.push_back(make_structure(seed + 1, false));
        all.push_back(make_structure(seed + 2, true));
        all.back().periodic[2] = 0;
        all.emplace_back();
        all.emplace_back();
        all.back().positions = {1, 2, 3};
        all.back().types = {1};
        all.back().periodic = {0, 0, 0};
        all.push_back(make_structure(seed + 3, true));
        for (double& x : all.back().positions) x += 17;
    }
    return all;
}

void compare(const std::vector<double>& all, std::size_t first, const double* one,
             std::size_t count) {
    for (std::size_t n = 0; n < count; ++n)
        CHECK_CLOSE(all[first + n], one[n], 1e-10 * std::max(1.0, std::fabs(one[n])));
}

EnginePointer with_threads(const Potential& potential, int threads) {
    camlip_engine_options options{};
    options.struct_size = sizeof options;
    options.backend = "reference";
    options.num_threads = threads;
    camlip_engine* engine = nullptr;
    require_ok(camlip_engine_create(potential.model.get(), &options, &engine));
    return EnginePointer(engine);
}

bool fails(const Potential& potential, const Batch& batch, camlip_status status,
           const std::string& text) {
    BatchResults results(batch);
    const camlip_systems view = batch.view();
    camlip_results out = results.view();
    const camlip_status found = camlip_compute_systems(potential.engine.get(), &view, &out);
    return found == status && std::string(camlip_last_error()).find(text) != std::string::npos;
}

}  // namespace

TEST(a_batch_has_the_results_of_each_system) {
    for (const int layers : {1, 2, 3}) {
        const Potential potential(small_config(2, layers));
        Batch batch;
        const std::vector<Structure> all = variety(3);
        for (const Structure& s : all) batch.add(s);
        for (const int threads : {1, 3}) {
            const EnginePointer engine = with_threads(potential, threads);
            BatchResults results(batch);
            const camlip_systems view = batch.view();
            camlip_results out = results.view();
            require_ok(camlip_compute_systems(engine.get(), &view, &out));
            for (std::size_t s = 0; s < all.size(); ++s) {
                const Results one = evaluate(potential, all[s]);
                const auto first = static_cast<std::size_t>(batch.offsets[s]);
                const std::size_t atoms = all[s].types.size();
                compare(results.energy, s, &one.energy, 1);
                compare(results.virial, 9 * s, one.virial.data(), 9);
                compare(results.atomic, first, one.atomic.data(), atoms);
                compare(results.forces, 3 * first, one.forces.data(), 3 * atoms);
                compare(results.centroid, 9 * first, one.centroid.data(), 9 * atoms);
            }
        }
    }
}

// 250 systems are more atoms than one pass takes; and arrays are added to.
TEST(large_batches_are_worked_on_in_parts) {
    const Potential potential(small_config(1, 2));
    const Structure unit = make_structure(1, true);
    Batch batch;
    for (int n = 0; n < 250; ++n) batch.add(unit);
    const Results one = evaluate(potential, unit);
    BatchResults results(batch);
    const camlip_systems view = batch.view();
    camlip_results out = results.view();
    out.centroid_virial = nullptr;
    for (int n = 0; n < 2; ++n)
        require_ok(camlip_compute_systems(potential.engine.get(), &view, &out));
    for (std::size_t s = 0; s < 250; ++s) {
        CHECK_CLOSE(results.energy[s], 2 * one.energy, 1e-9);
        CHECK_CLOSE(results.virial[9 * s + 4], 2 * one.virial[4], 1e-9);
        CHECK_CLOSE(results.forces[24 * s + 5], 2 * one.forces[5], 1e-9);
    }
}

TEST(parts_of_the_results_may_be_left_out) {
    const Potential potential(small_config(2, 2));
    Batch batch;
    for (const Structure& s : variety(1)) batch.add(s);
    BatchResults all(batch), some(batch);
    camlip_systems view = batch.view();
    camlip_results out = all.view();
    require_ok(camlip_compute_systems(potential.engine.get(), &view, &out));
    for (const int which : {0, 1, 2}) {
        camlip_results part{};
        part.struct_size = sizeof part;
        if (which == 0) part.energy = some.energy.data();
        if (which == 1) part.virial = some.virial.data();
        if (which == 2) part.forces = some.forces.data();
        require_ok(camlip_compute_systems(potential.engine.get(), &view, &part));
    }
    compare(some.energy, 0, all.energy.data(), all.energy.size());
    compare(some.virial, 0, all.virial.data(), all.virial.size());
    compare(some.forces, 0, all.forces.data(), all.forces.size());
    view.num_systems = 0;
    view.offsets = nullptr;
    require_ok(camlip_compute_systems(potential.engine.get(), &view, &out));
}

TEST(errors_name_the_system) {
    const Potential potential(small_config(2, 1));
    const auto broken = [](auto change) {
        Batch batch;
        for (const Structure& s : variety(1)) batch.add(s);
        change(batch);
        return batch;
    };
    CHECK(fails(potential, broken([](Batch& b) {
                    for (std::size_t x = 0; x < 3; ++x)
                        b.positions[3 * 9 + x] = b.positions[3 * 8 + x];
                }),
                CAMLIP_ERROR_NUMERIC, "of system 1 are NaN"));
    CHECK(fails(potential, broken([](Batch& b) {
                    for (std::size_t x = 0; x < 9; ++x) b.cells[9 * 2 + x] = 0;
                }),
                CAMLIP_ERROR_ARGUMENT, "system 2: cell: the periodic lattice vectors"));
    CHECK(fails(potential, broken([](Batch& b) {
                    b.positions[3 * 5] = std::numeric_limits<double>::quiet_NaN();
                }),
                CAMLIP_ERROR_NUMERIC, "positions: atom 5 is at NaN"));
    CHECK(fails(potential, broken([](Batch& b) { b.types[3] = 7; }), CAMLIP_ERROR_ARGUMENT,
                "types: atom 3 has type 7"));
    CHECK(fails(potential, broken([](Batch& b) { b.offsets[0] = 1; }), CAMLIP_ERROR_ARGUMENT,
                "offsets[0] is 1"));
    CHECK(fails(potential, broken([](Batch& b) { b.offsets[2] = 3; }), CAMLIP_ERROR_ARGUMENT,
                "offsets of system 1 descend"));
    Batch batch;
    batch.add(make_structure(1, true));
    camlip_systems view = batch.view();
    view.cells = nullptr;
    double energy = 0;
    camlip_results out{};
    out.struct_size = sizeof out;
    out.energy = &energy;
    CHECK(camlip_compute_systems(potential.engine.get(), &view, &out) == CAMLIP_ERROR_ARGUMENT);
    view.num_systems = -1;
    CHECK(camlip_compute_systems(potential.engine.get(), &view, &out) == CAMLIP_ERROR_ARGUMENT);
    CHECK(camlip_compute_systems(potential.engine.get(), nullptr, &out) == CAMLIP_ERROR_ARGUMENT);
}

int main() { return check::run(); }
