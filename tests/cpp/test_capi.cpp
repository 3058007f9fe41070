// SPDX-License-Identifier: MIT
// The contract of camlip.h: statuses and messages, versions of structs, misuse.
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "camlip.h"
#include "check.hpp"
#include "structures.hpp"

namespace {

using namespace structures;
using random_model::small_config;

bool says(camlip_status found, camlip_status expected, const std::string& part) {
    if (found == expected &&
        (expected == CAMLIP_OK || std::string(camlip_last_error()).find(part) != std::string::npos))
        return true;
    std::printf("status %d (expected %d): %s (expected '%s')\n", found, expected,
                camlip_last_error(), part.c_str());
    return false;
}

// Two atoms, one list, and a call that tests break in one place.
struct Call {
    std::vector<double> positions = {0, 0, 0, 0, 0, 2};
    std::vector<std::int32_t> types = {0, 1};
    std::vector<std::int64_t> offsets = {0, 1, 2};
    std::vector<std::int32_t> indices = {1, 0};
    camlip_atoms atoms{};
    camlip_neighbor_list list{};
    camlip_results results{};
    double energy = 0;
    double forces[6] = {};

    Call() {
        atoms.struct_size = sizeof atoms;
        atoms.num_owned = 2;
        atoms.positions = positions.data();
        atoms.types = types.data();
        list = {sizeof list, offsets.data(), indices.data(), 1, 0};
        results.struct_size = sizeof results;
        results.energy = &energy;
        results.forces = forces;
    }

    camlip_status run(const Potential& potential, const camlip_exchange* exchange = nullptr) {
        return camlip_compute(potential.engine.get(), &atoms, &list, exchange, &results);
    }
};

camlip_status create(const Potential& potential, camlip_engine_options options) {
    options.struct_size = sizeof options;
    camlip_engine* engine = nullptr;
    const camlip_status status = camlip_engine_create(potential.model.get(), &options, &engine);
    camlip_engine_free(engine);
    return status;
}

}  // namespace

TEST(versions) {
    CHECK(camlip_abi_version() == CAMLIP_ABI_VERSION);
    CHECK(std::strlen(camlip_version()) >= 5);
    CHECK(camlip_last_error() != nullptr);
}

// Fields are only ever added at the end: what is here stays where it is.
TEST(layout_of_version_one_is_frozen) {
    if (sizeof(void*) != 8) return;
    CHECK(offsetof(camlip_model_info, metadata_json) == 40);
    CHECK(offsetof(camlip_engine_options, simd) == 48);
    CHECK(offsetof(camlip_engine_info, memory_bytes) == 56);
    CHECK(offsetof(camlip_neighbor_list, revision) == 24);
    CHECK(offsetof(camlip_exchange, reverse) == 24);
    CHECK(offsetof(camlip_atoms, types) == 48);
    CHECK(offsetof(camlip_results, centroid_virial) == 40);
    CHECK(offsetof(camlip_system, periodic) == 40);
    CHECK(offsetof(camlip_neighbors_view, revision) == 64);
}

TEST(models_from_files) {
    const std::string path = "test_capi_model.safetensors";
    const auto bytes = random_model::make_block(small_config(2, 2)).bytes();
    std::FILE* file = std::fopen(path.c_str(), "wb");
    std::fwrite(bytes.data(), 1, bytes.size(), file);
    std::fclose(file);
    camlip_model* model = nullptr;
    CHECK(camlip_model_load(path.c_str(), &model) == CAMLIP_OK);
    std::remove(path.c_str());
    camlip_model_info info{};
    info.struct_size = sizeof info;
    CHECK(camlip_model_get_info(model, &info) == CAMLIP_OK);
    CHECK(info.cutoff == 4.0 && info.num_types == 2 && info.num_layers == 2);
    CHECK(info.exchange_width == 3 + 3 * 2);
    CHECK(info.atomic_numbers[1] == 8);
    CHECK(std::string(info.metadata_json).find("\"format\":\"camlip\"") != std::string::npos);
    camlip_model_free(model);
    model = nullptr;
    CHECK(says(camlip_model_load("missing.pt", &model), CAMLIP_ERROR_FILE,
               "cannot open model file 'missing.pt': No such file or directory"));
    CHECK(says(camlip_model_load(".", &model), CAMLIP_ERROR_FILE, "is a directory"));
    CHECK(says(camlip_model_load(nullptr, &model), CAMLIP_ERROR_ARGUMENT, "path: null"));
    CHECK(says(camlip_model_load_memory("x", 1, nullptr, &model), CAMLIP_ERROR_FILE,
               "model file 'memory'"));
    CHECK(model == nullptr);
    camlip_model_free(nullptr);
    camlip_engine_free(nullptr);
    camlip_neighbors_free(nullptr);
}

TEST(engine_options_are_checked) {
    const Potential potential(small_config(2, 2));
    CHECK(create(potential, {}) == CAMLIP_OK);
    camlip_engine_options o{};
    o.backend = "gpu";
    CHECK(says(create(potential, o), CAMLIP_ERROR_BACKEND, "backend 'gpu': not built into"));
    o.backend = "cuda:9999";  // whether or not there are devices
    CHECK(says(create(potential, o), CAMLIP_ERROR_BACKEND, "backend 'cuda': "));
    o.backend = "cuda:current";
    CHECK(says(create(potential, o), CAMLIP_ERROR_BACKEND, "backend 'cuda': ") ||
          create(potential, o) == CAMLIP_OK);
    o.backend = "reference:x";
    CHECK(says(create(potential, o), CAMLIP_ERROR_ARGUMENT, "'reference:x'"));
    o = {};
    o.precision = "half";
    CHECK(says(create(potential, o), CAMLIP_ERROR_ARGUMENT, "expected mixed or double"));
    o = {};
    o.simd = "neon";
    CHECK(says(create(potential, o), CAMLIP_ERROR_ARGUMENT, "simd: value 'neon'"));
    o = {};
    o.num_threads = -1;
    CHECK(says(create(potential, o), CAMLIP_ERROR_ARGUMENT, "num_threads: value -1"));
    o = {};
    o.num_active_types = 1;
    CHECK(says(create(potential, o), CAMLIP_ERROR_ARGUMENT, "active_types: null"));
    const std::int32_t bad = 2;
    o.active_types = &bad;
    CHECK(says(create(potential, o), CAMLIP_ERROR_ARGUMENT, "value 2, expected 0 to 1"));
    o = {};
    o.skin = std::numeric_limits<double>::quiet_NaN();
    CHECK(says(create(potential, o), CAMLIP_ERROR_ARGUMENT, "skin"));
    camlip_engine* engine = nullptr;
    CHECK(says(camlip_engine_create(nullptr, nullptr, &engine), CAMLIP_ERROR_ARGUMENT,
               "model: null"));
    CHECK(camlip_engine_create(potential.model.get(), nullptr, &engine) == CAMLIP_OK);
    camlip_engine_free(engine);
}

TEST(inactive_types_are_refused) {
    const Potential potential(small_config(2, 2));
    const std::int32_t active = 0;
    camlip_engine_options options{};
    options.struct_size = sizeof options;
    options.backend = "reference";
    options.num_active_types = 1;
    options.active_types = &active;
    camlip_engine* engine = nullptr;
    require_ok(camlip_engine_create(potential.model.get(), &options, &engine));
    Call call;
    CHECK(says(camlip_compute(engine, &call.atoms, &call.list, nullptr, &call.results),
               CAMLIP_ERROR_ARGUMENT, "atom 1 has type 1, which is not among"));
    camlip_engine_free(engine);
}

TEST(arrays_are_checked) {
    const Potential potential(small_config(2, 2));
    CHECK(Call().run(potential) == CAMLIP_OK);
    const auto broken = [&](auto change) {
        Call call;
        change(call);
        return call.run(potential);
    };
    const auto argument = CAMLIP_ERROR_ARGUMENT;
    CHECK(says(broken([](Call& c) { c.types[1] = 2; }), argument, "atom 1 has type 2"));
    CHECK(says(broken([](Call& c) { c.types[0] = -2; }), argument, "atom 0 has type -2"));
    CHECK(says(broken([](Call& c) { c.indices[1] = 2; }), argument, "atom 1"));
    CHECK(says(broken([](Call& c) { c.indices[0] = -1; }), argument, "atom 0"));
    CHECK(says(broken([](Call& c) { c.indices[0] = 0; }), argument, "atom 0"));
    CHECK(says(broken([](Call& c) { c.offsets[1] = 3; }), argument, "offsets of atom 1 descend"));
    CHECK(says(broken([](Call& c) { c.offsets[0] = 1; }), argument, "offsets[0] is 1"));
    CHECK(says(broken([](Call& c) { c.list.offsets = nullptr; }), argument, "offsets is null"));
    CHECK(says(broken([](Call& c) { c.list.indices = nullptr; }), argument, "indices is null"));
    CHECK(says(broken([](Call& c) { c.atoms.positions = nullptr; }), argument, "positions"));
    CHECK(says(broken([](Call& c) { c.atoms.num_owned = -1; }), argument, "-1 owned"));
    CHECK(says(broken([](Call& c) { c.atoms.num_ghost = INT64_MAX; }), argument, "expected 0 to"));
    CHECK(says(broken([](Call& c) {
                   c.atoms.num_owned = 1;
                   c.atoms.num_ghost = 1;
               }),
               argument, "exchange: null, expected callbacks for 1 ghost atoms"));
    CHECK(says(broken([](Call& c) { c.atoms.memory = CAMLIP_DEVICE; }), CAMLIP_ERROR_BACKEND,
               "device memory"));
    camlip_system system{};
    system.struct_size = sizeof system;
    system.memory = CAMLIP_DEVICE;
    camlip_results results{};
    results.struct_size = sizeof results;
    CHECK(says(camlip_compute_system(Potential(small_config(2, 2)).engine.get(), &system, &results),
               CAMLIP_ERROR_BACKEND, "'reference' reads host memory; use backend cuda"));
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK(says(broken([&](Call& c) { c.positions[4] = nan; }), CAMLIP_ERROR_NUMERIC,
               "atom 1 is at NaN or infinity"));
    CHECK(says(broken([](Call& c) { c.positions[5] = 0; }), CAMLIP_ERROR_NUMERIC,
               "two atoms at the same place"));
    CHECK(says(camlip_compute(nullptr, nullptr, nullptr, nullptr, nullptr), argument, "engine"));
}

TEST(failing_exchanges_are_reported) {
    const Potential potential(small_config(2, 2));
    const auto fine = [](void*, double*, std::int32_t) { return 0; };
    const auto fails = [](void*, double*, std::int32_t) { return 7; };
    Call call;
    camlip_exchange exchange{sizeof exchange, nullptr, fails, fine, 0, nullptr};
    CHECK(says(call.run(potential, &exchange), CAMLIP_ERROR_EXCHANGE, "'forward' returned 7"));
    exchange = {sizeof exchange, nullptr, fine, fails, 0, nullptr};
    CHECK(says(call.run(potential, &exchange), CAMLIP_ERROR_EXCHANGE, "'reverse' returned 7"));
    exchange = {sizeof exchange, nullptr, fine, nullptr, 0, nullptr};
    CHECK(says(call.run(potential, &exchange), CAMLIP_ERROR_ARGUMENT, "expected both"));
    CHECK(call.run(potential) == CAMLIP_OK);  // and the engine goes on
}

TEST(structs_of_older_and_newer_callers) {
    const Potential potential(small_config(2, 2));
    // Older: knows the energy only; the rest of its struct is not ours to read or write.
    Call call;
    call.results.struct_size = offsetof(camlip_results, atomic_energies);
    call.results.forces = reinterpret_cast<double*>(8);
    CHECK(call.run(potential) == CAMLIP_OK);
    camlip_model_info info;
    std::memset(&info, 0x55, sizeof info);
    info.struct_size = offsetof(camlip_model_info, num_layers);
    CHECK(camlip_model_get_info(potential.model.get(), &info) == CAMLIP_OK);
    CHECK(info.num_types == 2 && info.num_layers == 0x55555555);
    CHECK(info.struct_size == offsetof(camlip_model_info, num_layers));
    // Newer: a larger struct, whose tail stays as it is.
    struct {
        camlip_engine_info known;
        double unknown;
    } newer = {{}, 4.5};
    newer.known.struct_size = sizeof newer;
    CHECK(camlip_engine_get_info(potential.engine.get(), &newer.known) == CAMLIP_OK);
    CHECK(newer.unknown == 4.5 && std::string(newer.known.backend) == "reference");
    CHECK(std::string(newer.known.precision) == "double" && newer.known.memory_bytes > 0);
    // Forgotten.
    Call forgotten;
    forgotten.atoms.struct_size = 0;
    CHECK(says(forgotten.run(potential), CAMLIP_ERROR_ARGUMENT,
               "atoms: struct_size is 0, expected sizeof(camlip_atoms)"));
}

TEST(messages_belong_to_their_thread) {
    camlip_model* model = nullptr;
    camlip_model_load("here.pt", &model);
    std::string there;
    std::thread other([&] {
        there = camlip_last_error();
        camlip_model_load("there.pt", &model);
    });
    other.join();
    CHECK(there.empty());
    CHECK(std::string(camlip_last_error()).find("here.pt") != std::string::npos);
    CHECK(std::string(camlip_last_error()).find("there.pt") == std::string::npos);
}

TEST(systems_and_neighbor_lists_are_checked) {
    const Potential potential(small_config(2, 2));
    Structure s = make_structure(1, true);
    camlip_results results{sizeof results, nullptr, nullptr, nullptr, nullptr, nullptr};
    const auto run = [&](const camlip_system& system) {
        return camlip_compute_system(potential.engine.get(), &system, &results);
    };
    CHECK(run(s.view()) == CAMLIP_OK);
    camlip_system system = s.view();
    system.types = nullptr;
    CHECK(says(run(system), CAMLIP_ERROR_ARGUMENT, "types: null"));
    system = s.view();
    system.num_atoms = -1;
    CHECK(says(run(system), CAMLIP_ERROR_ARGUMENT, "num_atoms is -1"));
    system = s.view();
    system.cell = nullptr;
    CHECK(says(run(system), CAMLIP_ERROR_ARGUMENT, "cell: null"));
    s.types[3] = 5;
    CHECK(says(run(s.view()), CAMLIP_ERROR_ARGUMENT, "atom 3 has type 5"));
    s.types[3] = 1;
    s.positions[9] = std::numeric_limits<double>::infinity();
    CHECK(says(run(s.view()), CAMLIP_ERROR_NUMERIC, "atom 3 is at NaN or infinity"));

    camlip_neighbors* list = nullptr;
    CHECK(says(camlip_neighbors_create(-1, 0, &list), CAMLIP_ERROR_ARGUMENT, "cutoff"));
    require_ok(camlip_neighbors_create(3.0, 0.5, &list));
    camlip_neighbors_view view{};
    view.struct_size = sizeof view;
    CHECK(says(camlip_neighbors_get(list, &view), CAMLIP_ERROR_ARGUMENT, "no list yet"));
    s.positions[9] = 0;
    system = s.view();
    system.types = nullptr;  // not needed for a list
    CHECK(camlip_neighbors_update(list, &system) == CAMLIP_OK);
    CHECK(camlip_neighbors_get(list, &view) == CAMLIP_OK);
    CHECK(view.num_atoms == 8 && view.num_ghost > 0 && view.revision == 1);
    CHECK(view.positions[0] == s.positions[0]);
    camlip_neighbors_free(list);
}

int main() { return check::run(); }
