// SPDX-License-Identifier: MIT
// Random models and small structures, evaluated through camlip.h with the reference backend.
#ifndef CAMLIP_TESTS_STRUCTURES_HPP
#define CAMLIP_TESTS_STRUCTURES_HPP

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "camlip.h"
#include "random_model.hpp"

namespace structures {

struct Freed {
    void operator()(camlip_model* model) const { camlip_model_free(model); }
    void operator()(camlip_engine* engine) const { camlip_engine_free(engine); }
};
using ModelPointer = std::unique_ptr<camlip_model, Freed>;
using EnginePointer = std::unique_ptr<camlip_engine, Freed>;

inline void require_ok(camlip_status status) {
    if (status != CAMLIP_OK) throw std::runtime_error(camlip_last_error());
}

struct Potential {
    explicit Potential(const camlip::Config& config, double skin = 0.3) {
        const auto bytes = random_model::make_block(config).bytes();
        camlip_model* m = nullptr;
        require_ok(camlip_model_load_memory(bytes.data(), bytes.size(), "random", &m));
        model.reset(m);
        camlip_engine_options options{};
        options.struct_size = sizeof options;
        options.backend = "reference";
        options.skin = skin;
        camlip_engine* e = nullptr;
        require_ok(camlip_engine_create(m, &options, &e));
        engine.reset(e);
    }

    ModelPointer model;
    EnginePointer engine;
};

struct Results {
    explicit Results(std::size_t rows) : atomic(rows), forces(3 * rows), centroid(9 * rows) {}

    camlip_results view() {
        return {sizeof(camlip_results), &energy,       atomic.data(),
                forces.data(),          virial.data(), centroid.data()};
    }

    double energy = 0;
    std::vector<double> atomic, forces;
    std::array<double, 9> virial = {};
    std::vector<double> centroid;
};

struct Structure {
    std::vector<double> positions;
    std::vector<std::int32_t> types;
    std::array<double, 9> cell = {5.1, 0, 0, 1.2, 4.7, 0, -0.6, 0.8, 4.9};
    std::array<std::int32_t, 3> periodic = {1, 1, 1};

    camlip_system view() const {
        camlip_system s{};
        s.struct_size = sizeof s;
        s.num_atoms = static_cast<std::int64_t>(types.size());
        s.positions = positions.data();
        s.types = types.data();
        s.cell = cell.data();
        std::copy(periodic.begin(), periodic.end(), s.periodic);
        return s;
    }
};

// Atoms on a jittered grid: none too close, so that the ZBL term stays moderate.
inline Structure make_structure(unsigned seed, bool periodic) {
    std::mt19937_64 engine(seed);
    std::uniform_real_distribution<double> jitter(-0.3, 0.3);
    Structure s;
    for (int n = 0; n < 8; ++n) {
        const double f[3] = {0.5 * (n & 1), 0.5 * (n >> 1 & 1), 0.5 * (n >> 2)};
        for (int x = 0; x < 3; ++x)
            s.positions.push_back(f[0] * s.cell[x] + f[1] * s.cell[3 + x] + f[2] * s.cell[6 + x] +
                                  jitter(engine));
        s.types.push_back(static_cast<std::int32_t>(engine() % 2));
    }
    if (!periodic) s.periodic = {0, 0, 0};
    return s;
}

inline Results evaluate(const Potential& potential, const Structure& s) {
    Results results(s.types.size());
    const camlip_system system = s.view();
    camlip_results view = results.view();
    require_ok(camlip_compute_system(potential.engine.get(), &system, &view));
    return results;
}

}  // namespace structures

#endif
