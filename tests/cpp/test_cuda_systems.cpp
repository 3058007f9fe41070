// SPDX-License-Identifier: MIT
// Whole systems on the emulated device against the engine with backend reference: many in one call,
// a cell that changes, and how much memory they take.
#include <array>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

// Its CAMLIP_DEVICE is a macro of the kernels.
#include "engine.hpp"

#include "architectures/cartesian_moments.hpp"
#include "check.hpp"
#include "emulated_backend.hpp"
#include "errors.hpp"
#include "random_model.hpp"

using namespace camlip;
using emulator::Order;
using State = emulator::Runtime::State;

namespace {

std::size_t at(std::int64_t n) { return static_cast<std::size_t>(n); }

constexpr std::array<double, 9> kSkewed = {5.1, 0, 0, 1.2, 4.7, 0, -0.6, 0.8, 4.9};

struct Batch {
    std::vector<std::int64_t> offsets = {0};
    std::vector<double> positions, cells;
    std::vector<std::int32_t> types, periodic;

    void add(int atoms, std::array<double, 9> cell, std::array<int, 3> pbc, unsigned seed) {
        std::mt19937_64 engine(seed);
        std::uniform_real_distribution<double> noise(-0.25, 0.25);
        for (int n = 0; n < atoms; ++n) {
            // Not all of them in the cell.
            for (const int place : {n % 2, n / 2 % 2, n / 4})
                positions.push_back(2.3 * (place - (seed % 2 == 0 ? 2 : 0)) + noise(engine));
            types.push_back(n % 7 == 5 ? -1 : n % 2);
        }
        offsets.push_back(offsets.back() + atoms);
        cells.insert(cells.end(), cell.begin(), cell.end());
        periodic.insert(periodic.end(), pbc.begin(), pbc.end());
    }
    Systems view() const {
        return {static_cast<std::int64_t>(offsets.size()) - 1,
                offsets.data(),
                positions.data(),
                types.data(),
                cells.data(),
                periodic.data()};
    }
};

Batch mixed() {
    Batch b;
    b.add(8, kSkewed, {1, 1, 1}, 1);
    b.add(5, {}, {0, 0, 0}, 2);
    b.add(0, {}, {0, 0, 0}, 3);
    b.add(1, {2.5, 0, 0, 0, 2.7, 0, 0.3, 0, 2.9}, {1, 1, 1}, 4);
    b.add(1, {}, {0, 0, 0}, 5);
    b.add(8, kSkewed, {1, 0, 1}, 6);
    b.add(6, {9, 0, 0, 0, 9, 0, 0, 0, 9}, {0, 1, 0}, 7);
    return b;
}

struct Results {
    std::vector<double> energy, atomic_energies, forces, virial, centroid_virial;
    Results(std::int64_t systems, std::int64_t atoms)
        : energy(at(systems)),
          atomic_energies(at(atoms)),
          forces(at(3 * atoms)),
          virial(at(9 * systems)),
          centroid_virial(at(9 * atoms)) {}
    Outputs outputs() {
        Outputs o;
        o.energy = energy.data();
        o.atomic_energies = atomic_energies.data();
        o.forces = forces.data();
        o.virial = virial.data();
        o.centroid_virial = centroid_virial.data();
        return o;
    }
    bool operator==(const Results& o) const {
        return energy == o.energy && atomic_energies == o.atomic_energies && forces == o.forces &&
               virial == o.virial && centroid_virial == o.centroid_virial;
    }
};

BackendOptions options(Precision precision, double skin = 0.5) {
    BackendOptions o;
    o.precision = precision;
    o.active_types = {0, 1};
    o.skin = skin;
    return o;
}

Results on_device(const Model& model, Backend& backend, const Batch& b, const Outputs* only = {}) {
    const Systems systems = b.view();
    Results r(systems.count, systems.num_atoms());
    Atoms atoms;
    atoms.num_owned = systems.num_atoms();
    atoms.positions = systems.positions;
    atoms.types = systems.types;
    atoms.whole = true;
    atoms.systems = &systems;
    Outputs outputs = r.outputs();
    if (only) {
        outputs = Outputs{};
        outputs.energy = r.energy.data();
        if (only->forces) outputs.forces = r.forces.data();
        if (only->virial) outputs.virial = r.virial.data();
    }
    NoExchange none;
    Workspace workspace;
    run_cartesian_moments(model, backend, atoms, {}, outputs, none, workspace);
    return r;
}

EngineOptions reference() {
    EngineOptions o;
    o.backend = "reference";
    o.precision = "double";
    return o;
}

Results expected(const Model& model, const Batch& b) {
    Engine engine(model, reference());
    Results r(b.view().count, b.view().num_atoms());
    engine.compute_systems(b.view(), r.outputs());
    return r;
}

void check_close(const Results& found, const Results& wanted, Precision precision) {
    const double limit = precision == Precision::kMixed ? 2e-5 : 1e-8;
    CHECK(check::gap(found.energy, wanted.energy) < limit);
    CHECK(check::gap(found.atomic_energies, wanted.atomic_energies) < limit);
    CHECK(check::gap(found.forces, wanted.forces) < limit);
    CHECK(check::gap(found.virial, wanted.virial) < limit);
    CHECK(check::gap(found.centroid_virial, wanted.centroid_virial) < limit);
}

// One periodic system, whose cell may change.
struct Crystal {
    std::vector<double> positions, cell{kSkewed.begin(), kSkewed.end()};
    std::vector<std::int32_t> types;
    Crystal() {
        Batch b;
        b.add(8, kSkewed, {1, 1, 1}, 8);
        positions = b.positions;
        types = b.types;
    }
    System view() const {
        return {static_cast<std::int64_t>(types.size()),
                positions.data(),
                cell.data(),
                {true, true, true}};
    }
    Results on_device(const Model& model, Backend& backend) const {
        Results r(1, static_cast<std::int64_t>(types.size()));
        Atoms atoms;
        atoms.num_owned = static_cast<std::int64_t>(types.size());
        atoms.positions = positions.data();
        atoms.types = types.data();
        atoms.whole = true;
        atoms.cell = cell.data();
        atoms.periodic = {true, true, true};
        NoExchange none;
        Workspace workspace;
        run_cartesian_moments(model, backend, atoms, {}, r.outputs(), none, workspace);
        return r;
    }
    Results expected(const Model& model) const {
        Engine engine(model, reference());
        Results r(1, static_cast<std::int64_t>(types.size()));
        engine.compute_system(view(), types.data(), r.outputs());
        return r;
    }
    void strain(const std::array<double, 9>& map) {
        for (std::vector<double>* rows : {&positions, &cell})
            for (std::size_t n = 0; n < rows->size(); n += 3) {
                const double r[3] = {(*rows)[n], (*rows)[n + 1], (*rows)[n + 2]};
                for (std::size_t a = 0; a < 3; ++a)
                    (*rows)[n + a] = r[0] * map[a] + r[1] * map[3 + a] + r[2] * map[6 + a];
            }
    }
};

}  // namespace

TEST(many_systems_agree_with_the_reference) {
    const Batch b = mixed();
    for (const int layers : {1, 2, 3}) {
        const Model model = random_model::make_model(random_model::small_config(2, layers));
        const Results wanted = expected(model, b);
        CHECK(check::gap(wanted.virial, Results(7, 0).virial) > 0.1);
        for (const Precision precision : {Precision::kMixed, Precision::kDouble}) {
            const auto backend = emulator::make_backend(model, options(precision));
            check_close(on_device(model, *backend, b), wanted, precision);
        }
    }
}

TEST(only_what_is_asked_for) {
    const Batch b = mixed();
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    const auto backend = emulator::make_backend(model, options(Precision::kDouble));
    const Results all = on_device(model, *backend, b);
    double any = 0;
    Outputs only;
    CHECK(check::gap(on_device(model, *backend, b, &only).energy, all.energy) < 1e-10);
    only.virial = &any;
    CHECK(check::gap(on_device(model, *backend, b, &only).virial, all.virial) < 1e-10);
    only.virial = nullptr;
    only.forces = &any;
    CHECK(check::gap(on_device(model, *backend, b, &only).forces, all.forces) < 1e-10);
}

TEST(batches_of_any_size_follow_each_other_and_whole_systems) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    auto state = std::make_shared<State>();
    const auto backend = emulator::make_backend(model, options(Precision::kDouble), state);
    const Batch b = mixed();
    Batch open;
    open.add(7, {}, {0, 0, 0}, 2);
    const Crystal crystal;
    const Results first = on_device(model, *backend, b), alone = crystal.on_device(model, *backend);
    const auto allocations = state->allocations;
    for (const Order order : {Order::kDescending, Order::kShuffled}) {
        state->order = order;
        check_close(on_device(model, *backend, open), expected(model, open), Precision::kDouble);
        CHECK(crystal.on_device(model, *backend) == alone);
        CHECK(on_device(model, *backend, b) == first);
    }
    CHECK(state->allocations == allocations);
}

TEST(a_cell_that_changes_little_keeps_its_list) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    for (const int all_pairs : {0, 256}) {
        Crystal crystal;
        auto state = std::make_shared<State>();
        cuda::Limits limits;
        limits.all_pairs = all_pairs;
        const auto backend =
            emulator::make_backend(model, options(Precision::kDouble, 0.8), state, limits);
        crystal.on_device(model, *backend);
        const std::uint64_t lists = backend->list_revision();
        for (int step = 0; step < 4; ++step) {
            crystal.strain({1.004, 0.003, 0, -0.002, 0.997, 0, 0.001, 0.002, 1.003});
            crystal.positions[4] += 0.02;
            check_close(crystal.on_device(model, *backend), crystal.expected(model),
                        Precision::kDouble);
        }
        CHECK(backend->list_revision() == lists);
        CHECK(state->replayed > 0);
        // Further than the skin allows, and an atom that goes too far in a cell that changed.
        crystal.strain({1.15, 0, 0, 0, 1, 0, 0, 0, 1});
        check_close(crystal.on_device(model, *backend), crystal.expected(model),
                    Precision::kDouble);
        CHECK(backend->list_revision() == lists + 1);
        crystal.strain({1.01, 0, 0, 0, 1, 0, 0, 0, 1});
        crystal.positions[0] += 0.9;
        check_close(crystal.on_device(model, *backend), crystal.expected(model),
                    Precision::kDouble);
        CHECK(backend->list_revision() == lists + 2);
        std::vector<std::int64_t> counts;
        backend->count_neighbors(counts);
        CHECK(counts.size() == crystal.types.size() && counts[0] > 0);
    }
}

TEST(the_estimate_of_memory_is_what_is_taken) {
    for (const int layers : {1, 2, 3}) {
        const Model model = random_model::make_model(random_model::small_config(2, layers));
        const Crystal crystal;
        auto state = std::make_shared<State>();
        cuda::Limits limits;
        limits.all_pairs = 0;  // with bins, as large systems have
        const auto backend =
            emulator::make_backend(model, options(Precision::kMixed), state, limits);
        MemoryEstimate estimate;
        estimate.num_owned = 8;
        estimate.periodic = true;
        const std::size_t before = state->used;
        backend->estimate_memory(estimate);
        CHECK(estimate.available == state->memory);
        Results r(1, 8);
        Outputs outputs;
        outputs.energy = r.energy.data();
        outputs.forces = r.forces.data();
        Atoms atoms;
        atoms.num_owned = 8;
        atoms.positions = crystal.positions.data();
        atoms.types = crystal.types.data();
        atoms.whole = true;
        atoms.cell = crystal.cell.data();
        atoms.periodic = {true, true, true};
        NoExchange none;
        Workspace workspace;
        run_cartesian_moments(model, *backend, atoms, {}, outputs, none, workspace);
        std::vector<std::int64_t> counts;
        backend->count_neighbors(counts);
        for (const std::int64_t count : counts) estimate.num_edges += count;
        backend->estimate_memory(estimate);
        CHECK(state->used > before);
        CHECK(static_cast<double>(estimate.needed) > 0.98 * static_cast<double>(state->used));
        CHECK(estimate.needed < state->used + 60000);  // bins for thousands of atoms
        CHECK(estimate.least <= estimate.needed);
        CHECK(backend->info().memory_bytes == state->used);
    }
}

TEST(a_list_that_does_not_fit_is_an_error_that_says_so) {
    const Model model = random_model::make_model(random_model::small_config(2, 1));
    auto state = std::make_shared<State>();
    const auto backend = emulator::make_backend(model, options(Precision::kMixed), state);
    Batch b;
    for (unsigned n = 0; n < 40; ++n) b.add(8, kSkewed, {1, 1, 1}, n);
    Batch few;
    for (unsigned n = 0; n < 40; ++n) few.add(8, {}, {0, 0, 0}, n);
    on_device(model, *backend, few);
    state->memory = state->used + 30000;
    try {
        on_device(model, *backend, b);
        CHECK(!"memory is enough");
    } catch (const BackendError& error) {
        CHECK(std::string(error.what()).find("memory: a list of ") == 0);
    }
}

int main() { return check::run(); }
