// SPDX-License-Identifier: MIT
// A step of dynamics allocates nothing: small systems would pay for it more than for arithmetic.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "camlip.h"
#include "check.hpp"
#include "structures.hpp"

namespace {
std::atomic<long> allocations{0};
}

// Everything that allocates, of the standard library and of C: the engine uses both.  A sanitizer
// has these functions itself, so they are counted only without one, and only where the C library
// lets a program replace them.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CAMLIP_COUNTED 1
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t size) {
    ++allocations;
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
    ++allocations;
    return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
    ++allocations;
    return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
    ++allocations;
    return __libc_memalign(alignment, size);
}
}
#else
#define CAMLIP_COUNTED 0
#endif

namespace {

using namespace structures;
using random_model::small_config;

EnginePointer make_engine(const Potential& potential, int threads) {
    camlip_engine_options options{};
    options.struct_size = sizeof options;
    options.backend = "cpu";
    options.num_threads = threads;
    options.skin = 0.3;
    camlip_engine* engine = nullptr;
    require_ok(camlip_engine_create(potential.model.get(), &options, &engine));
    return EnginePointer(engine);
}

// Atoms on the way, far enough to rebuild the list now and then, and a cell that breathes.
void move(Structure& s, const Structure& start, int step) {
    s.cell[0] = start.cell[0] * (1 + 1e-4 * (step % 3));
    for (std::size_t n = 0; n < s.positions.size(); ++n)
        s.positions[n] = start.positions[n] + 0.02 * (step % 9) * (n % 3 == 0 ? 1 : -1);
}

// The list of a system with its ghosts, as a host like LAMMPS has it.
struct Host {
    explicit Host(const Structure& s) {
        camlip_neighbors* n = nullptr;
        require_ok(camlip_neighbors_create(4.0, 0.3, &n));
        const camlip_system system = s.view();
        require_ok(camlip_neighbors_update(n, &system));
        view.struct_size = sizeof view;
        require_ok(camlip_neighbors_get(n, &view));
        neighbors = n;
        types = s.types;
        for (std::int64_t g = 0; g < view.num_ghost; ++g)
            types.push_back(s.types[static_cast<std::size_t>(view.ghost_owner[g])]);
        forces.resize(3 * types.size());
    }
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    ~Host() { camlip_neighbors_free(neighbors); }

    static int forward(void* context, double* features, std::int32_t width) {
        const camlip_neighbors_view& v = static_cast<Host*>(context)->view;
        for (std::int64_t g = 0; g < v.num_ghost; ++g)
            std::copy_n(features + v.ghost_owner[g] * width, width,
                        features + (v.num_atoms + g) * width);
        return 0;
    }
    static int reverse(void* context, double* features, std::int32_t width) {
        const camlip_neighbors_view& v = static_cast<Host*>(context)->view;
        for (std::int64_t g = 0; g < v.num_ghost; ++g)
            for (std::int32_t n = 0; n < width; ++n)
                features[v.ghost_owner[g] * width + n] += features[(v.num_atoms + g) * width + n];
        return 0;
    }

    void step(camlip_engine* engine) {
        camlip_atoms atoms{};
        atoms.struct_size = sizeof atoms;
        atoms.num_owned = view.num_atoms;
        atoms.num_ghost = view.num_ghost;
        atoms.positions = view.positions;
        atoms.types = types.data();
        const camlip_neighbor_list list{sizeof list, view.offsets, view.indices, view.revision, 0};
        const camlip_exchange exchange{sizeof exchange, this, forward, reverse, 0, nullptr};
        camlip_results results{};
        results.struct_size = sizeof results;
        results.energy = &energy;
        results.forces = forces.data();
        require_ok(camlip_compute(engine, &atoms, &list, &exchange, &results));
    }

    camlip_neighbors* neighbors = nullptr;
    camlip_neighbors_view view{};
    std::vector<std::int32_t> types;
    std::vector<double> forces;
    double energy = 0;
};

}  // namespace

TEST(whole_systems_allocate_nothing_after_the_first_steps) {
    for (const int layers : {1, 2}) {
        const Potential potential(small_config(3, layers));
        for (const int threads : {1, 2})
            for (const bool periodic : {true, false}) {
                const EnginePointer engine = make_engine(potential, threads);
                const Structure start = make_structure(2, periodic);
                Structure s = start;
                Results results(s.types.size());
                camlip_results view = results.view();
                const camlip_system system = s.view();
                const auto steps = [&](int count) {
                    for (int step = 0; step < count; ++step) {
                        move(s, start, step);
                        require_ok(camlip_compute_system(engine.get(), &system, &view));
                    }
                };
                steps(18);
                const long before = allocations;
                steps(18);
                CHECK(allocations == before);
            }
    }
}

TEST(one_domain_allocates_nothing_after_the_first_step) {
    for (const int layers : {1, 2}) {
        const Potential potential(small_config(3, layers));
        for (const int threads : {1, 2}) {
            const EnginePointer engine = make_engine(potential, threads);
            Host host(make_structure(2, true));
            host.step(engine.get());
            const long before = allocations;
            for (int step = 0; step < 5; ++step) host.step(engine.get());
            CHECK(allocations == before);
        }
    }
}

// That the counter counts what the engine does.
TEST(making_an_engine_is_noticed) {
    const Potential potential(small_config(2, 1));
    const long before = allocations;
    make_engine(potential, 1);
    CHECK(allocations > before || !CAMLIP_COUNTED);
}

int main() { return check::run(); }
