// SPDX-License-Identifier: MIT
// The CPU backend against the reference backend: every instruction set of this machine, both
// precisions, shapes of every kind, threads, atoms that are not the model's, empty domains.
#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "architectures/cartesian_moments.hpp"
#include "check.hpp"
#include "cluster.hpp"
#include "cpu/backend_cpu.hpp"
#include "errors.hpp"
#include "random_model.hpp"
#include "reference/backend_reference.hpp"

using namespace camlip;
using namespace cluster;

namespace {

BackendOptions options(Precision precision, const std::string& simd, int threads = 1) {
    BackendOptions o;
    o.precision = precision;
    o.simd = simd;
    o.num_threads = threads;
    o.active_types = {0, 1};
    return o;
}

std::vector<std::string> instruction_sets(const Model& model) {
    std::vector<std::string> found;
    for (const char* simd : {"baseline", "avx2", "avx512"}) {
        try {
            make_cpu_backend(model, options(Precision::kMixed, simd));
            found.push_back(simd);
        } catch (const BackendError&) {  // not of this machine
        } catch (const ArgumentError&) {  // not of this architecture
        }
    }
    return found;
}

void check_against_reference(const Config& config, const std::vector<std::string>& sets,
                             int count = 31) {
    const Model model = random_model::make_model(config);
    const Cluster cluster(count, 1.7, config.cutoff + 0.7, 5);
    const auto reference = make_reference_backend(model, options(Precision::kDouble, "auto"));
    const Results expected = compute(model, *reference, cluster);
    CHECK(largest(expected.forces) > 0.1);
    for (const std::string& simd : sets) {
        for (const Precision precision : {Precision::kMixed, Precision::kDouble}) {
            const bool single = precision == Precision::kMixed;
            const auto backend = make_cpu_backend(model, options(precision, simd));
            CHECK(backend->info().simd == simd);
            const Results found = compute(model, *backend, cluster);
            const double energy = single ? 1e-5 : 1e-10, force = single ? 1e-5 : 1e-8;
            CHECK(gap(found.atomic_energies, expected.atomic_energies) < energy);
            CHECK_CLOSE(found.energy, expected.energy,
                        energy * largest(expected.atomic_energies) * count);
            CHECK(gap(found.forces, expected.forces) < force);
            CHECK(gap(found.virial, expected.virial) < force);
            CHECK(gap(found.centroid_virial, expected.centroid_virial) < force);
        }
    }
}

const std::vector<std::string>& sets() {
    static const std::vector<std::string> found =
        instruction_sets(random_model::make_model(random_model::small_config()));
    return found;
}

}  // namespace

TEST(there_is_always_a_baseline) { CHECK(sets().front() == "baseline"); }

TEST(every_rank_and_number_of_layers_agrees_with_the_reference) {
    for (int rank = 0; rank <= 3; ++rank) {
        for (int layers = 1; layers <= (rank == 0 ? 1 : 3); ++layers)
            check_against_reference(random_model::small_config(rank, layers), sets());
    }
}

TEST(the_message_rank_may_be_anything_up_to_the_rank) {
    for (int message_rank = 1; message_rank <= 3; ++message_rank) {
        Config config = random_model::small_config(3, 2);
        config.message_rank = message_rank;
        check_against_reference(config, sets());
    }
}

TEST(sizes_need_not_fit_the_vectors) {
    Config config = random_model::small_config(3, 2);
    config.num_channels = 19;
    config.num_radial = 18;
    config.num_message_radial = 17;
    config.num_message_scalars = 1;
    config.num_message_vectors = 5;
    config.num_hidden = 33;
    check_against_reference(config, sets());
    config.num_channels = config.num_radial = config.num_message_radial = 1;
    config.num_message_vectors = config.num_hidden = 1;
    check_against_reference(config, {sets().back()});
}

TEST(more_neighbors_than_a_chunk_of_edges) {
    Config config = random_model::small_config(2, 2);
    config.cutoff = 6.0;
    config.average_num_neighbors = 60;
    check_against_reference(config, sets(), 90);
}

TEST(threads_change_nothing_but_rounding) {
    const Model model = random_model::make_model(random_model::small_config(3, 3));
    const Cluster cluster(70, 1.7, 4.5, 2);
    const auto one = make_cpu_backend(model, options(Precision::kMixed, "auto", 1));
    const auto three = make_cpu_backend(model, options(Precision::kMixed, "auto", 3));
    const Results a = compute(model, *one, cluster);
    for (int repeat = 0; repeat < 2; ++repeat) {  // the second finds dirty pages of the first
        const Results b = compute(model, *three, cluster);
        CHECK_CLOSE(b.energy, a.energy, 1e-9 * std::fabs(a.energy));
        CHECK(gap(b.forces, a.forces) < 1e-6);
        CHECK(gap(b.virial, a.virial) < 1e-6);
        CHECK(gap(b.centroid_virial, a.centroid_virial) < 1e-6);
    }
    CHECK(compute(model, *three, cluster).forces == compute(model, *three, cluster).forces);
}

// What is not kept is computed again: all of it, more and more kept, all kept.
TEST(results_do_not_depend_on_the_memory) {
    for (const int layers : {2, 3}) {
        const Model model = random_model::make_model(random_model::small_config(3, layers));
        const Cluster cluster(70, 1.7, 4.5, 2);
        for (const std::string& simd : sets()) {
            for (const int threads : {1, 3}) {
                BackendOptions chosen = options(Precision::kDouble, simd, threads);
                const auto roomy = make_cpu_backend(model, chosen);
                const Results expected = compute(model, *roomy, cluster);
                const std::uint64_t most = roomy->info().memory_bytes;
                std::set<std::uint64_t> sizes;
                for (std::uint64_t limit = 0; sizes.count(most) == 0; limit += 48 << 10) {
                    chosen.memory_limit = limit;
                    const auto tight = make_cpu_backend(model, chosen);
                    const Results found = compute(model, *tight, cluster);
                    CHECK_CLOSE(found.energy, expected.energy, 1e-12 * std::fabs(expected.energy));
                    CHECK(gap(found.atomic_energies, expected.atomic_energies) < 1e-12);
                    CHECK(gap(found.forces, expected.forces) < 1e-12);
                    CHECK(gap(found.virial, expected.virial) < 1e-12);
                    CHECK(gap(found.centroid_virial, expected.centroid_virial) < 1e-12);
                    sizes.insert(tight->info().memory_bytes);
                    const Results energies = compute(model, *tight, cluster, false);
                    CHECK(gap(energies.atomic_energies, expected.atomic_energies) < 1e-12);
                }
                CHECK(sizes.size() >= 3);
            }
        }
    }
}

TEST(energies_alone_are_those_with_forces) {
    for (const int layers : {1, 2}) {
        const Model model = random_model::make_model(random_model::small_config(2, layers));
        const Cluster cluster(31, 1.7, 4.5, 2);
        const auto backend = make_cpu_backend(model, options(Precision::kDouble, "auto"));
        const Results with = compute(model, *backend, cluster);
        CHECK(compute(model, *backend, cluster, false).atomic_energies == with.atomic_energies);
    }
}

TEST(sizes_may_change_from_call_to_call_and_be_zero) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    const auto backend = make_cpu_backend(model, options(Precision::kDouble, "auto", 2));
    const Cluster large(60, 1.7, 4.5, 2), small(5, 1.7, 4.5, 3), none(0, 1.7, 4.5, 4);
    const Results before = compute(model, *backend, large);
    const auto bytes = backend->info().memory_bytes;
    CHECK(compute(model, *backend, none).energy == 0);
    CHECK(largest(compute(model, *backend, small).forces) > 0);
    CHECK(compute(model, *backend, large).forces == before.forces);
    CHECK(backend->info().memory_bytes == bytes);
}

TEST(tables_are_as_good_as_they_say) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    const BackendInfo mixed = make_cpu_backend(model, options(Precision::kMixed, "auto"))->info();
    const BackendInfo exact = make_cpu_backend(model, options(Precision::kDouble, "auto"))->info();
    CHECK(mixed.radial_table_error > 0 && mixed.radial_table_error < 2e-7);
    CHECK(mixed.radial_table_derivative_error < 2e-6);
    CHECK(exact.radial_table_error < 1e-12 && exact.radial_table_derivative_error < 1e-10);
    CHECK(exact.precision == "double" && mixed.precision == "mixed");
}

TEST(unknown_instruction_sets_are_refused) {
    const Model model = random_model::make_model(random_model::small_config());
    CHECK_THROWS(make_cpu_backend(model, options(Precision::kMixed, "avx9")), ArgumentError);
}

int main() { return check::run(); }
