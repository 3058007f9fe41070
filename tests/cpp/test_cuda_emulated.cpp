// SPDX-License-Identifier: MIT
// The kernels and the host side of the cuda backend against the reference backend, on the host:
// every thread of every block runs, between barriers in orders that a device might choose.
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "backend.hpp"
#include "check.hpp"
#include "cluster.hpp"
#include "cuda_emulator.hpp"
#include "device_backend.hpp"
#include "errors.hpp"
#include "neighbors.hpp"
#include "random_model.hpp"
#include "reference/backend_reference.hpp"

using namespace camlip;
using namespace cluster;
using emulator::Order;
using State = emulator::Runtime::State;

namespace {

BackendOptions options(Precision precision, std::vector<int> active = {0, 1}) {
    BackendOptions o;
    o.precision = precision;
    o.active_types = active;
    return o;
}

std::unique_ptr<Backend> make(const Model& model, Precision precision,
                              std::shared_ptr<State> state = std::make_shared<State>(),
                              const cuda::Limits& limits = {}) {
    emulator::Runtime runtime(std::move(state));
    if (precision == Precision::kDouble)
        return std::make_unique<cuda::DeviceBackend<double, emulator::Runtime>>(
            model, options(precision), runtime, limits);
    return std::make_unique<cuda::DeviceBackend<float, emulator::Runtime>>(
        model, options(precision), runtime, limits);
}

void check_close(const Results& found, const Results& expected, Precision precision) {
    const bool single = precision == Precision::kMixed;
    const double energy = single ? 1e-5 : 1e-10, force = single ? 1e-5 : 1e-8;
    CHECK(gap(found.atomic_energies, expected.atomic_energies) < energy);
    CHECK_CLOSE(found.energy, expected.energy,
                energy * largest(expected.atomic_energies) *
                    static_cast<double>(expected.atomic_energies.size()));
    CHECK(gap(found.forces, expected.forces) < force);
    CHECK(gap(found.virial, expected.virial) < force);
    CHECK(gap(found.centroid_virial, expected.centroid_virial) < force);
}

void check_against_reference(const Config& config, int count = 19) {
    const Model model = random_model::make_model(config);
    const Cluster cluster(count, 1.7, config.cutoff + 0.7, 5);
    const auto reference = make_reference_backend(model, options(Precision::kDouble));
    const Results expected = compute(model, *reference, cluster);
    CHECK(largest(expected.forces) > 0.1);
    for (const Precision precision : {Precision::kMixed, Precision::kDouble})
        check_close(compute(model, *make(model, precision), cluster), expected, precision);
}

}  // namespace

TEST(every_rank_and_number_of_layers_agrees_with_the_reference) {
    for (int rank = 0; rank <= 3; ++rank) {
        for (int layers = 1; layers <= (rank == 0 ? 1 : 3); ++layers)
            check_against_reference(random_model::small_config(rank, layers));
    }
}

TEST(the_message_rank_may_be_anything_up_to_the_rank) {
    for (int message_rank = 1; message_rank <= 3; ++message_rank) {
        Config config = random_model::small_config(3, 2);
        config.message_rank = message_rank;
        check_against_reference(config);
    }
}

TEST(sizes_need_not_fit_the_tiles) {
    Config config = random_model::small_config(3, 2);
    config.num_channels = 19;
    config.num_radial = 18;
    config.num_message_radial = 17;
    config.num_message_scalars = 1;
    config.num_message_vectors = 5;
    config.num_hidden = 33;
    check_against_reference(config);
    config.num_channels = config.num_radial = config.num_message_radial = 1;
    config.num_message_vectors = config.num_hidden = 1;
    check_against_reference(config);
}

TEST(sizes_of_the_presets) {
    Config small = random_model::small_config(3, 1), medium = random_model::small_config(3, 2);
    small.num_channels = 32;
    small.num_radial = 16;
    small.num_hidden = 64;
    check_against_reference(small, 11);
    medium.num_channels = medium.num_hidden = 64;
    medium.num_radial = 16;
    medium.num_message_radial = 8;
    medium.num_message_scalars = 8;
    medium.num_message_vectors = 4;
    check_against_reference(medium, 11);
    Config large = medium;
    large.num_channels = large.num_hidden = 128;
    large.num_radial = 32;
    large.message_rank = 3;
    large.num_message_scalars = 16;
    large.num_message_vectors = 8;
    check_against_reference(large, 5);
}

TEST(more_neighbors_than_a_chunk_of_edges) {
    Config config = random_model::small_config(2, 2);
    config.cutoff = 6.0;
    config.average_num_neighbors = 60;
    check_against_reference(config, 70);
}

TEST(the_order_of_threads_and_blocks_changes_no_bit) {
    for (const int layers : {1, 2}) {
        const Model model = random_model::make_model(random_model::small_config(2, layers));
        const Cluster cluster(41, 1.7, 4.7, 3);
        for (const Precision precision : {Precision::kMixed, Precision::kDouble}) {
            auto state = std::make_shared<State>();
            const auto backend = make(model, precision, state);
            const Results first = compute(model, *backend, cluster);
            CHECK(std::isfinite(first.energy));
            for (const Order order : {Order::kDescending, Order::kShuffled}) {
                state->order = order;
                CHECK(compute(model, *backend, cluster) == first);
            }
        }
    }
}

TEST(tiles_of_atoms_change_no_force) {
    for (const int layers : {1, 2}) {
        const Model model = random_model::make_model(random_model::small_config(2, layers));
        const Cluster cluster(41, 1.7, 4.7, 3);
        cuda::Limits limits;
        const Results whole = compute(model, *make(model, Precision::kMixed), cluster);
        limits.tile = 7;
        const auto backend = make(model, Precision::kMixed, std::make_shared<State>(), limits);
        const Results tiled = compute(model, *backend, cluster);
        CHECK(tiled.forces == whole.forces && tiled.atomic_energies == whole.atomic_energies);
        CHECK_CLOSE(tiled.energy, whole.energy, 1e-12 * std::fabs(whole.energy));
        CHECK(gap(tiled.virial, whole.virial) < 1e-12);
    }
}

TEST(energies_alone_are_those_with_forces) {
    for (const int layers : {1, 2}) {
        const Model model = random_model::make_model(random_model::small_config(2, layers));
        const Cluster cluster(19, 1.7, 4.5, 2);
        const auto backend = make(model, Precision::kDouble);
        const Results with = compute(model, *backend, cluster);
        CHECK(compute(model, *backend, cluster, false).atomic_energies == with.atomic_energies);
    }
}

TEST(memory_is_taken_once_and_sizes_may_change) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    auto state = std::make_shared<State>();
    const auto backend = make(model, Precision::kMixed, state);
    const Cluster large(40, 1.7, 4.5, 2), small(5, 1.7, 4.5, 3), none(0, 1.7, 4.5, 4);
    const Results before = compute(model, *backend, large);
    const auto allocations = state->allocations, launches = state->launches;
    CHECK(backend->info().memory_bytes == state->used);
    CHECK(compute(model, *backend, none).energy == 0);
    CHECK(state->launches == launches);
    CHECK(largest(compute(model, *backend, small).forces) > 0);
    CHECK(compute(model, *backend, large) == before);
    CHECK(state->allocations == allocations);
    // moments, block, messages, block, messages', block', moments', sums
    CHECK(state->launches - launches == 16);
}

TEST(short_memory_means_smaller_tiles_and_then_an_error) {
    const Model model = random_model::make_model(random_model::small_config(3, 2));
    const Cluster cluster(40, 1.7, 4.5, 2);
    const Results expected = compute(model, *make(model, Precision::kMixed), cluster);
    auto state = std::make_shared<State>();
    cuda::Limits limits;
    limits.smallest_tile = 2;
    const auto roomy = make(model, Precision::kMixed, state, limits);
    compute(model, *roomy, cluster);
    const std::size_t needed = state->used;
    // The workspace of 40 atoms is 40 * 352 floats.
    for (const std::size_t less : {std::size_t{20000}, std::size_t{50000}}) {
        auto tight = std::make_shared<State>();
        tight->memory = needed - less;
        const auto backend = make(model, Precision::kMixed, tight, limits);
        CHECK(compute(model, *backend, cluster).forces == expected.forces);
        CHECK(tight->used <= tight->memory);
    }
    auto none = std::make_shared<State>();
    none->memory = needed / 2;
    const auto backend = make(model, Precision::kMixed, none, limits);
    try {
        compute(model, *backend, cluster);
        CHECK(!"memory is enough");
    } catch (const BackendError& error) {
        CHECK(std::string(error.what()).find("memory: 40 atoms") == 0);
    }
}

TEST(a_model_too_large_for_a_block_is_refused) {
    const Model model = random_model::make_model(random_model::small_config(3, 2));
    auto state = std::make_shared<State>();
    state->shared = 4 * 1024;
    CHECK_THROWS(make(model, Precision::kMixed, state), BackendError);
}

TEST(forces_that_no_number_holds_are_not_finite) {
    const Model model = random_model::make_model(random_model::small_config(2, 1));
    Cluster cluster(4, 1.7, 4.5, 2);
    for (int a = 0; a < 3; ++a)
        cluster.positions[static_cast<std::size_t>(3 + a)] =
            cluster.positions[static_cast<std::size_t>(a)] + 1e-7;
    CHECK(!std::isfinite(compute(model, *make(model, Precision::kMixed), cluster).energy));
}

// Images of a periodic system as ghosts, whose features come by the exchange.
class ImageExchange final : public Exchange {
  public:
    explicit ImageExchange(const Neighbors& neighbors) : neighbors_(neighbors) {}
    void forward(double* rows, int width) override {
        each(rows, width, [](double& ghost, double& owner) { ghost = owner; });
    }
    void reverse(double* rows, int width) override {
        each(rows, width, [](double& ghost, double& owner) { owner += ghost; });
    }

  private:
    template <class Body>
    void each(double* rows, int width, Body body) const {
        double* ghost = rows + neighbors_.num_atoms() * width;
        for (const std::int64_t owner : neighbors_.ghost_owner())
            for (int n = 0; n < width; ++n) body(*ghost++, rows[owner * width + n]);
    }
    const Neighbors& neighbors_;
};

TEST(ghosts_agree_with_the_reference) {
    const Cluster cluster(8, 2.3, 0.1, 9);
    const double cell[9] = {5.1, 0, 0, 1.2, 4.7, 0, -0.6, 0.8, 4.9};
    for (const int layers : {1, 2, 3}) {
        const Model model = random_model::make_model(random_model::small_config(2, layers));
        Neighbors neighbors(model.config.cutoff, 0.4, true, 1);
        neighbors.update({8, cluster.positions.data(), cell, {true, true, true}});
        std::vector<std::int32_t> types = cluster.types;
        for (const std::int64_t owner : neighbors.ghost_owner())
            types.push_back(cluster.types[static_cast<std::size_t>(owner)]);
        Atoms atoms;
        atoms.num_owned = 8;
        atoms.num_ghost = neighbors.num_ghost();
        atoms.positions = neighbors.positions().data();
        atoms.types = types.data();
        const NeighborList list{neighbors.offsets().data(), neighbors.indices().data(), 1};
        ImageExchange exchange(neighbors);
        const auto reference = make_reference_backend(model, options(Precision::kDouble));
        const Results expected = compute(model, *reference, atoms, list, exchange, true);
        for (const Precision precision : {Precision::kMixed, Precision::kDouble})
            check_close(compute(model, *make(model, precision), atoms, list, exchange, true),
                        expected, precision);
    }
}

// The same system as owned atoms and ghosts for the reference, and whole for the device.
struct Periodic {
    Cluster cluster;
    std::vector<double> cell{5.1, 0, 0, 1.2, 4.7, 0, -0.6, 0.8, 4.9};
    std::array<bool, 3> periodic = {true, true, true};

    std::int64_t count() const { return static_cast<std::int64_t>(cluster.types.size()); }

    Results on_device(const Model& model, Backend& backend, bool gradients = true) const {
        Atoms atoms;
        atoms.num_owned = count();
        atoms.positions = cluster.positions.data();
        atoms.types = cluster.types.data();
        atoms.whole = true;
        atoms.cell = cell.data();
        atoms.periodic = periodic;
        NoGhosts none;
        return compute(model, backend, atoms, {}, none, gradients);
    }

    // Rows of ghosts brought home.
    Results expected(const Model& model) const {
        Neighbors neighbors(model.config.cutoff, 0.0, true, 1);
        neighbors.update({count(), cluster.positions.data(), cell.data(), periodic});
        std::vector<std::int32_t> types = cluster.types;
        for (const std::int64_t owner : neighbors.ghost_owner())
            types.push_back(cluster.types[static_cast<std::size_t>(owner)]);
        Atoms atoms;
        atoms.num_owned = count();
        atoms.num_ghost = neighbors.num_ghost();
        atoms.positions = neighbors.positions().data();
        atoms.types = types.data();
        ImageExchange exchange(neighbors);
        const auto reference = make_reference_backend(model, options(Precision::kDouble));
        Results r =
            compute(model, *reference, atoms,
                    {neighbors.offsets().data(), neighbors.indices().data(), 1}, exchange, true);
        exchange.reverse(r.forces.data(), 3);
        exchange.reverse(r.centroid_virial.data(), 9);
        r.forces.resize(static_cast<std::size_t>(3 * count()));
        r.centroid_virial.resize(static_cast<std::size_t>(9 * count()));
        return r;
    }
};

std::unique_ptr<Backend> make_with_skin(const Model& model, Precision precision, double skin,
                                        std::shared_ptr<State> state, int all_pairs = 256) {
    BackendOptions o = options(precision);
    o.skin = skin;
    cuda::Limits limits;
    limits.all_pairs = all_pairs;
    emulator::Runtime runtime(std::move(state));
    if (precision == Precision::kDouble)
        return std::make_unique<cuda::DeviceBackend<double, emulator::Runtime>>(model, o, runtime,
                                                                                limits);
    return std::make_unique<cuda::DeviceBackend<float, emulator::Runtime>>(model, o, runtime,
                                                                           limits);
}

TEST(whole_systems_agree_with_the_reference) {
    for (const int layers : {1, 2, 3}) {
        const Model model = random_model::make_model(random_model::small_config(2, layers));
        const Periodic system{Cluster(8, 2.3, 0.1, 9)};
        Periodic slab = system;
        slab.periodic = {true, false, true};
        for (const Periodic& each : {system, slab}) {
            const Results expected = each.expected(model);
            for (const Precision precision : {Precision::kMixed, Precision::kDouble}) {
                for (const int all_pairs : {0, 256}) {
                    const auto backend =
                        make_with_skin(model, precision, 0.3, std::make_shared<State>(), all_pairs);
                    check_close(each.on_device(model, *backend), expected, precision);
                }
            }
        }
    }
}

TEST(a_steady_step_waits_once_allocates_nothing_and_is_replayed) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    Periodic system{Cluster(8, 2.3, 0.1, 9)};
    auto state = std::make_shared<State>();
    const auto backend = make_with_skin(model, Precision::kDouble, 0.5, state);
    for (int step = 0; step < 6; ++step) {
        for (double& x : system.cluster.positions) x += 0.01 * std::sin(x + step);
        if (step == 3) system.cluster.types[0] = 1 - system.cluster.types[0];
        const emulator::Runtime::Counters before = *state;
        const Results found = system.on_device(model, *backend);
        check_close(found, system.expected(model), Precision::kDouble);
        if (step == 0) continue;
        CHECK(state->allocations == before.allocations);
        CHECK(state->synchronizations == before.synchronizations + 1);
        // moments, block, messages, block, messages', block', moments', sums
        CHECK(state->launches == before.launches + 8);
        CHECK(state->recorded == 1 && state->replayed == before.replayed + (step > 1));
    }
}

TEST(an_atom_that_moves_beyond_the_skin_makes_a_new_list) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    Periodic system{Cluster(8, 2.3, 0.1, 9)};
    auto state = std::make_shared<State>();
    const auto backend = make_with_skin(model, Precision::kDouble, 0.5, state);
    system.on_device(model, *backend);
    system.on_device(model, *backend);
    system.on_device(model, *backend);
    CHECK(state->replayed == 1);
    // An atom that goes far, one that is put back into the cell, and another cell.
    system.cluster.positions[4] += 0.8;
    check_close(system.on_device(model, *backend), system.expected(model), Precision::kDouble);
    for (std::size_t a = 0; a < 3; ++a) system.cluster.positions[6 + a] += system.cell[3 + a];
    check_close(system.on_device(model, *backend), system.expected(model), Precision::kDouble);
    system.cell[0] += 0.4;
    check_close(system.on_device(model, *backend), system.expected(model), Precision::kDouble);
    CHECK(state->replayed == 2);  // and the step that noticed the first
    const Results with = system.on_device(model, *backend);
    CHECK(system.on_device(model, *backend, false).atomic_energies == with.atomic_energies);
    CHECK(system.on_device(model, *backend) == with);
}

// A caller whose arrays are on the device, in a stream of its own.  It reads results when it has
// waited for them, and lets the engine's positions go as soon as a call returns.
class DeviceCaller {
  public:
    DeviceCaller(std::shared_ptr<State> state, std::size_t count)
        : state_(state), runtime_(state), count_(count) {
        for (const std::size_t size :
             {3 * count, std::size_t{1}, count, 3 * count, std::size_t{9}, 9 * count})
            arrays_.push_back(static_cast<double*>(runtime_.allocate(sizeof(double) * size)));
        clear();
    }
    ~DeviceCaller() {
        for (double* array : arrays_) runtime_.release(array);
    }

    // Leaves the step in the queue.
    void start(const Model& model, Backend& backend, const Periodic& system,
               bool gradients = true) {
        std::copy_n(system.cluster.positions.data(), 3 * count_, arrays_[0]);
        std::vector<std::int32_t> types = system.cluster.types;  // gone when this returns
        Atoms atoms;
        atoms.num_owned = system.count();
        atoms.positions = arrays_[0];
        atoms.types = types.data();
        atoms.whole = atoms.on_device = true;
        atoms.stream = this;
        atoms.cell = system.cell.data();
        atoms.periodic = system.periodic;
        Outputs outputs;
        outputs.energy = arrays_[1];
        outputs.atomic_energies = arrays_[2];
        if (gradients) {
            outputs.forces = arrays_[3];
            outputs.virial = arrays_[4];
            outputs.centroid_virial = arrays_[5];
        }
        NoGhosts none;
        Workspace workspace;
        run_cartesian_moments(model, backend, atoms, {}, outputs, none, workspace);
        CHECK(state_->stream == this);
        std::fill_n(arrays_[0], 3 * count_, 1e9);
    }

    Results finish() {
        runtime_.synchronize();
        const auto copy = [&](std::size_t n, std::size_t size) {
            return std::vector<double>(arrays_[n], arrays_[n] + size);
        };
        Results r{*arrays_[1], copy(2, count_), copy(3, 3 * count_), copy(4, 9),
                  copy(5, 9 * count_)};
        clear();
        return r;
    }

    Results compute(const Model& model, Backend& backend, const Periodic& system,
                    bool gradients = true) {
        start(model, backend, system, gradients);
        return finish();
    }

    double energy_now() const { return *arrays_[1]; }

  private:
    void clear() {
        *arrays_[1] = 0;
        std::fill_n(arrays_[2], count_, 0.0);
        std::fill_n(arrays_[3], 3 * count_, 0.0);
        std::fill_n(arrays_[4], 9, 0.0);
        std::fill_n(arrays_[5], 9 * count_, 0.0);
    }
    std::shared_ptr<State> state_;
    emulator::Runtime runtime_;
    std::size_t count_;
    std::vector<double*> arrays_;
};

TEST(arrays_on_the_device_give_what_arrays_of_the_host_give) {
    for (const int layers : {1, 2, 3}) {
        const Model model = random_model::make_model(random_model::small_config(2, layers));
        const Periodic system{Cluster(8, 2.3, 0.1, 9)};
        for (const Precision precision : {Precision::kMixed, Precision::kDouble}) {
            for (const int all_pairs : {0, 256}) {
                auto state = std::make_shared<State>();
                const auto backend = make_with_skin(model, precision, 0.3, state, all_pairs);
                const Results expected = system.on_device(model, *backend);
                DeviceCaller caller(state, 8);
                for (int step = 0; step < 3; ++step)  // direct, recorded, replayed
                    CHECK(caller.compute(model, *backend, system) == expected);
                CHECK(state->replayed == 1);
                CHECK(system.on_device(model, *backend) == expected);
                CHECK(caller.compute(model, *backend, system) == expected);
            }
        }
    }
}

TEST(a_step_with_arrays_on_the_device_waits_for_its_first_kernel_alone) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    Periodic system{Cluster(8, 2.3, 0.1, 9)};
    auto state = std::make_shared<State>();
    const auto backend = make_with_skin(model, Precision::kDouble, 0.5, state);
    DeviceCaller caller(state, 8);
    for (int step = 0; step < 8; ++step) {
        for (double& x : system.cluster.positions) x += 0.01 * std::sin(x + step);
        const bool changed = step == 4;
        if (changed) system.cluster.types[0] = 1 - system.cluster.types[0];
        const emulator::Runtime::Counters before = *state;
        caller.start(model, *backend, system);
        if (step > 0) {
            CHECK(state->allocations == before.allocations);
            CHECK(state->synchronizations == before.synchronizations + changed);
            CHECK(state->event_waits == before.event_waits + 1);
            // positions in, those of a step (8), results out
            const bool replayed = step > 1;
            CHECK(state->launches == before.launches + 10);
            CHECK(state->replayed == before.replayed + replayed);
            CHECK(caller.energy_now() == 0);  // still in the queue
        }
        check_close(caller.finish(), system.expected(model), Precision::kDouble);
    }
    CHECK(state->recorded == 1);
}

TEST(a_stale_list_is_made_anew_before_results_reach_the_caller) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    Periodic system{Cluster(8, 2.3, 0.1, 9)};
    auto state = std::make_shared<State>();
    const auto backend = make_with_skin(model, Precision::kDouble, 0.5, state);
    DeviceCaller caller(state, 8);
    const auto agrees = [&] {
        check_close(caller.compute(model, *backend, system), system.expected(model),
                    Precision::kDouble);
    };
    for (int step = 0; step < 3; ++step) agrees();
    system.cluster.positions[4] += 0.8;
    agrees();
    for (std::size_t a = 0; a < 3; ++a) system.cluster.positions[6 + a] += system.cell[3 + a];
    agrees();
    system.cell[0] += 0.4;
    agrees();
    // Two steps in the queue, the second with a list of its own.
    caller.start(model, *backend, system);
    system.cluster.positions[10] += 0.9;
    const Results before = [&] {
        caller.start(model, *backend, system);
        return caller.finish();
    }();
    const Results last = caller.compute(model, *backend, system);
    CHECK(std::isfinite(before.energy) && before.energy != last.energy);
    agrees();
    // Energies alone.
    const Results alone = caller.compute(model, *backend, system, false);
    CHECK(alone.atomic_energies == last.atomic_energies && alone.energy == last.energy);
}

TEST(what_fails_on_the_device_is_seen_by_the_next_call) {
    const Model model = random_model::make_model(random_model::small_config(2, 1));
    Periodic system{Cluster(4, 1.7, 4.5, 2)};
    auto state = std::make_shared<State>();
    const auto backend = make_with_skin(model, Precision::kMixed, 0.5, state);
    DeviceCaller caller(state, 4);
    const std::vector<double> good = system.cluster.positions;
    for (std::size_t a = 0; a < 3; ++a)
        system.cluster.positions[3 + a] = system.cluster.positions[a] + 1e-7;
    const Results r = caller.compute(model, *backend, system);
    CHECK(!std::isfinite(r.energy) && !std::isfinite(r.forces[0]));
    system.cluster.positions = good;
    CHECK_THROWS(caller.start(model, *backend, system), NumericError);
    caller.finish();
    CHECK(std::isfinite(caller.compute(model, *backend, system).energy));
    // Nowhere: no list helps.
    system.cluster.positions[0] = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS(caller.start(model, *backend, system), Error);
    caller.finish();
    system.cluster.positions = good;
    CHECK(std::isfinite(caller.compute(model, *backend, system).energy));
}

int main() { return check::run(); }
