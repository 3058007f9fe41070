// SPDX-License-Identifier: MIT
// A cluster of atoms without ghosts, evaluated by a backend without the engine around it.
#ifndef CAMLIP_TESTS_CLUSTER_HPP
#define CAMLIP_TESTS_CLUSTER_HPP

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "architectures/cartesian_moments.hpp"
#include "backend.hpp"

namespace cluster {

// Atoms on a jittered grid, some of them not the model's (type -1), and a full neighbor list that
// may reach beyond the cutoff.
struct Cluster {
    std::vector<double> positions;
    std::vector<std::int32_t> types, indices;
    std::vector<std::int64_t> offsets;

    Cluster(int count, double spacing, double reach, unsigned seed) {
        std::mt19937_64 engine(seed);
        std::uniform_real_distribution<double> noise(-0.25, 0.25);
        int side = 1;
        while (side * side * side < count) ++side;
        for (int n = 0; n < count; ++n) {
            for (const int place : {n % side, n / side % side, n / side / side})
                positions.push_back(spacing * (place + noise(engine)));
            types.push_back(n % 7 == 3 ? -1 : n % 2);
        }
        offsets.push_back(0);
        for (int i = 0; i < count; ++i) {
            for (int j = 0; j < count; ++j) {
                double square = 0;
                for (int a = 0; a < 3; ++a) {
                    const double d = positions[static_cast<std::size_t>(3 * j + a)] -
                                     positions[static_cast<std::size_t>(3 * i + a)];
                    square += d * d;
                }
                if (i != j && square < reach * reach) indices.push_back(j);
            }
            offsets.push_back(static_cast<std::int64_t>(indices.size()));
        }
    }
};

struct Results {
    double energy = 0;
    std::vector<double> atomic_energies, forces, virial, centroid_virial;
    bool operator==(const Results& o) const {
        return energy == o.energy && atomic_energies == o.atomic_energies && forces == o.forces &&
               virial == o.virial && centroid_virial == o.centroid_virial;
    }
};

class NoGhosts final : public camlip::Exchange {
    void forward(double*, int) override {}
    void reverse(double*, int) override {}
};

// Of num_owned atoms; the rest of the arrays are ghosts.
inline Results compute(const camlip::Model& model, camlip::Backend& backend,
                       const camlip::Atoms& atoms, const camlip::NeighborList& list,
                       camlip::Exchange& exchange, bool gradients) {
    const auto owned = static_cast<std::size_t>(atoms.num_owned);
    const auto total = static_cast<std::size_t>(atoms.num_total());
    Results r{0, std::vector<double>(owned), std::vector<double>(3 * total), std::vector<double>(9),
              std::vector<double>(9 * total)};
    camlip::Outputs outputs{&r.energy, r.atomic_energies.data(), nullptr, nullptr, nullptr};
    if (gradients) {
        outputs.forces = r.forces.data();
        outputs.virial = r.virial.data();
        outputs.centroid_virial = r.centroid_virial.data();
    }
    camlip::Workspace workspace;
    camlip::run_cartesian_moments(model, backend, atoms, list, outputs, exchange, workspace);
    return r;
}

inline Results compute(const camlip::Model& model, camlip::Backend& backend, const Cluster& c,
                       bool gradients = true) {
    camlip::Atoms atoms;
    atoms.num_owned = static_cast<std::int64_t>(c.types.size());
    atoms.positions = c.positions.data();
    atoms.types = c.types.data();
    atoms.boundary = c.types.data();  // none of them
    NoGhosts exchange;
    return compute(model, backend, atoms, {c.offsets.data(), c.indices.data(), 1}, exchange,
                   gradients);
}

inline double largest(const std::vector<double>& v) {
    double m = 0;
    for (const double x : v) m = std::max(m, std::fabs(x));
    return m;
}

// Largest |a - b| relative to the largest |b|; NaN counts as infinite.
inline double gap(const std::vector<double>& a, const std::vector<double>& b) {
    double m = 0;
    for (std::size_t n = 0; n < a.size(); ++n) {
        const double d = std::fabs(a[n] - b[n]);
        m = d >= 0 ? std::max(m, d) : HUGE_VAL;
    }
    return m / std::max(1e-3, largest(b));
}

}  // namespace cluster

#endif
