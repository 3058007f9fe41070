// SPDX-License-Identifier: MIT
// Relaxation: the exponential and its adjoint, the gradient of the enthalpy, both optimizers on
// potentials whose minimum is known, no allocation on the way, and the C function.
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <new>
#include <random>
#include <vector>

#include "check.hpp"
#include "errors.hpp"
#include "relax/fire.hpp"
#include "relax/lbfgs.hpp"
#include "relax/relax.hpp"
#include "structures.hpp"

namespace {
std::atomic<long> allocations{0};
}

// Not inlined: gcc 12 would warn of free() on memory of operator new.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size ? size : 1)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size ? size : 1);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace camlip;

// Lennard-Jones between all atoms and their images within two cells, eps = 1 eV, sigma = 2 A.
class LennardJones final : public Potential {
  public:
    LennardJones(std::size_t num_atoms, bool periodic)
        : num_atoms_(num_atoms), reach_(periodic ? 2 : 0) {}

    double compute(const double* positions, const double* cell, double* forces,
                   double* virial) override {
        double energy = 0;
        std::fill_n(forces, 3 * num_atoms_, 0.0);
        if (virial) std::fill_n(virial, 9, 0.0);
        for (std::size_t i = 0; i < num_atoms_; ++i)
            for (std::size_t j = 0; j < num_atoms_; ++j)
                for (int a = -reach_; a <= reach_; ++a)
                    for (int b = -reach_; b <= reach_; ++b)
                        for (int c = -reach_; c <= reach_; ++c) {
                            if (i == j && a == 0 && b == 0 && c == 0) continue;
                            double r[3], r2 = 0;
                            for (int x = 0; x < 3; ++x) {
                                r[x] = positions[3 * j + x] - positions[3 * i + x];
                                if (reach_) r[x] += a * cell[x] + b * cell[3 + x] + c * cell[6 + x];
                                r2 += r[x] * r[x];
                            }
                            if (r2 < 0.01) throw NumericError("two atoms at the same place");
                            const double s6 = std::pow(4 / r2, 3);
                            energy += 2 * (s6 * s6 - s6);
                            const double slope = 2 * (-12 * s6 * s6 + 6 * s6) / r2;  // by r, / r
                            for (int x = 0; x < 3; ++x) {
                                forces[3 * i + x] += slope * r[x];
                                forces[3 * j + x] -= slope * r[x];
                                for (int y = 0; virial && y < 3; ++y)
                                    virial[3 * x + y] -= r[x] * slope * r[y];
                            }
                        }
        return energy;
    }

  private:
    std::size_t num_atoms_;
    int reach_;
};

Matrix3 random_matrix(unsigned seed, double size) {
    std::mt19937_64 engine(seed);
    std::normal_distribution<double> normal;
    Matrix3 m;
    for (double& value : m) value = size * normal(engine);
    return m;
}

Matrix3 symmetrized(const Matrix3& m) {
    Matrix3 result;
    for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t j = 0; j < 3; ++j) result[3 * i + j] = 0.5 * (m[3 * i + j] + m[3 * j + i]);
    return result;
}

double inner(const Matrix3& a, const Matrix3& b) {
    double sum = 0;
    for (std::size_t n = 0; n < 9; ++n) sum += a[n] * b[n];
    return sum;
}

// Four atoms in a skewed cell, not far from close packing.
struct Crystal {
    std::vector<double> positions = {0.1, 0, 0, 1.5, 1.6, 0.1, 1.6, 0, 1.5, 0, 1.5, 1.6};
    std::array<double, 9> cell = {3.2, 0.1, 0, -0.2, 3.1, 0.1, 0.1, 0, 3.3};
    System view() const {
        System s;
        s.num_atoms = 4;
        s.positions = positions.data();
        s.cell = cell.data();
        s.periodic = {true, true, true};
        return s;
    }
};

const std::array<bool, 6> kAll = {true, true, true, true, true, true};
const std::array<bool, 6> kSome = {true, false, true, true, false, false};

}  // namespace

TEST(exponential_is_the_power_series) {
    for (const double size : {0.0, 1e-9, 0.3, 1.5}) {
        const Matrix3 u = symmetrized(random_matrix(1, size));
        Matrix3 sum = {1, 0, 0, 0, 1, 0, 0, 0, 1}, power = sum;
        for (int n = 1; n < 60; ++n) {
            power = multiply(power, u);
            for (std::size_t k = 0; k < 9; ++k) sum[k] += power[k] /= n;
        }
        const Matrix3 found = exponential(u);
        for (std::size_t k = 0; k < 9; ++k) CHECK_CLOSE(found[k], sum[k], 1e-12 * (1 + sum[0]));
        CHECK_CLOSE(determinant(found), std::exp(u[0] + u[4] + u[8]), 1e-11 * determinant(found));
        const Matrix3 one = multiply(found, inverse(found));
        for (std::size_t k = 0; k < 9; ++k) CHECK_CLOSE(one[k], k % 4 == 0 ? 1 : 0, 1e-12);
    }
}

TEST(adjoint_of_the_exponential_is_its_derivative) {
    Matrix3 equal = {0.2, 0, 0, 0, 0.2, 0, 0, 0, 0.2};  // three equal eigenvalues
    for (const Matrix3& u : {symmetrized(random_matrix(2, 0.4)), equal, Matrix3{}}) {
        const Matrix3 gradient = random_matrix(3, 1.0);
        const Matrix3 direction = symmetrized(random_matrix(4, 1.0));
        const double step = 1e-5;
        Matrix3 up = u, down = u;
        for (std::size_t k = 0; k < 9; ++k) {
            up[k] += step * direction[k];
            down[k] -= step * direction[k];
        }
        const double slope =
            (inner(gradient, exponential(up)) - inner(gradient, exponential(down))) / (2 * step);
        CHECK_CLOSE(inner(exponential_adjoint(u, gradient), direction), slope, 1e-8);
    }
}

TEST(gradient_of_the_enthalpy_is_its_derivative) {
    const Crystal crystal;
    const std::uint8_t fixed[4] = {0, 1, 0, 0};
    for (const CellChange change :
         {CellChange::kNone, CellChange::kStrain, CellChange::kIsotropic}) {
        for (const auto& mask : {kAll, kSome}) {
            EnthalpyOptions options;
            options.cell_change = change;
            options.mask = mask;
            options.fixed = fixed;
            if (change != CellChange::kNone) options.pressure = 0.3;
            LennardJones potential(4, true);
            Enthalpy state(potential, crystal.view(), options);
            std::vector<double> x = state.start(), g(x.size()), unused(x.size());
            state.evaluate(x.data(), g.data());
            // First downhill, so that cell and atoms are not those of the start; then along the
            // gradient, which has no forbidden component.
            for (std::size_t n = 0; n < x.size(); ++n) x[n] -= 2e-3 * g[n];
            const double value = state.evaluate(x.data(), g.data());
            double square = 0;
            for (const double v : g) square += v * v;
            const double step = 1e-4 / std::sqrt(square);
            std::vector<double> up = x, down = x;
            for (std::size_t n = 0; n < x.size(); ++n) {
                up[n] += step * g[n];
                down[n] -= step * g[n];
            }
            const double slope = (state.evaluate(up.data(), unused.data()) -
                                  state.evaluate(down.data(), unused.data())) /
                                 (2 * step);
            CHECK_CLOSE(slope / square, 1.0, 1e-6);
            CHECK(std::isfinite(value));
            for (std::size_t k = 3; k < 6; ++k) CHECK(g[k] == 0);
        }
    }
}

TEST(a_pair_relaxes_to_its_distance) {
    for (const OptimizerKind kind : {OptimizerKind::kLbfgs, OptimizerKind::kFire}) {
        // 1.2 A is deep inside the repulsion, 4 A in the concave tail.
        for (const double distance : {1.2, 2.3, 4.0}) {
            const std::vector<double> positions = {0, 0, 0, 0, 0.6 * distance, 0.8 * distance};
            System pair;
            pair.num_atoms = 2;
            pair.positions = positions.data();
            LennardJones potential(2, false);
            RelaxOptions options;
            options.optimizer = kind;
            options.max_force = 1e-8;
            Enthalpy state(potential, pair, options.enthalpy);
            const RelaxReport report = relax(state, potential, options, nullptr);
            CHECK(report.end == RelaxEnd::kConverged);
            const auto& r = state.positions();
            CHECK_CLOSE(std::hypot(r[4] - r[1], r[5] - r[2]), 2 * std::pow(2.0, 1.0 / 6), 1e-8);
            CHECK_CLOSE(state.energy(), -1.0, 1e-12);
            CHECK(report.steps < (kind == OptimizerKind::kLbfgs ? 40 : 400));
        }
    }
}

TEST(a_crystal_becomes_cubic_and_has_the_pressure) {
    std::array<double, 2> energy = {};
    for (const OptimizerKind kind : {OptimizerKind::kLbfgs, OptimizerKind::kFire}) {
        const Crystal crystal;
        LennardJones potential(4, true);
        RelaxOptions options;
        options.optimizer = kind;
        options.max_force = 1e-7;
        options.max_stress = 1e-9;
        options.max_steps = 5000;
        options.enthalpy.cell_change = CellChange::kStrain;
        options.enthalpy.pressure = 0.05;
        Enthalpy state(potential, crystal.view(), options.enthalpy);
        const RelaxReport report = relax(state, potential, options, nullptr);
        CHECK(report.end == RelaxEnd::kConverged);
        const Matrix3 metric = multiply_transposed(state.cell(), state.cell());
        for (const std::size_t k : {1, 2, 5}) CHECK_CLOSE(metric[k], 0.0, 1e-6);
        for (const std::size_t k : {4, 8}) CHECK_CLOSE(metric[k], metric[0], 1e-6);
        const Matrix3 stress = state.stress();
        for (std::size_t k = 0; k < 9; ++k) CHECK_CLOSE(stress[k], k % 4 == 0 ? -0.05 : 0.0, 1e-8);
        energy[kind == OptimizerKind::kFire] = state.energy();
    }
    CHECK_CLOSE(energy[0], energy[1], 1e-9);
}

TEST(a_bounded_quadratic_takes_few_steps) {
    // Curvatures from 1 to 100 and a step limit: L-BFGS must not crawl.
    class Quadratic final : public Objective {
      public:
        double evaluate(const double* x, double* gradient) override {
            double value = 0;
            for (std::size_t n = 0; n < 30; ++n) {
                const double k = std::pow(100.0, static_cast<double>(n) / 29);
                gradient[n] = k * x[n];
                value += 0.5 * k * x[n] * x[n];
            }
            return value;
        }
        double step_factor(const double* step) const override {
            double longest = 0;
            for (std::size_t n = 0; n < 30; ++n) longest = std::max(longest, std::fabs(step[n]));
            return std::min(1.0, 0.2 / longest);
        }
        double noise() const override { return 1e-12; }
    } quadratic;
    Lbfgs optimizer(30);
    Point point;
    point.x.assign(30, 1.0);
    point.gradient.resize(30);
    point.value = quadratic.evaluate(point.x.data(), point.gradient.data());
    int steps = 0;
    while (point.value > 1e-12 && steps < 200) {
        const double before = point.value;
        CHECK(optimizer.step(quadratic, point));
        CHECK(point.value < before);
        ++steps;
    }
    CHECK(steps < 80);
}

TEST(nothing_is_allocated_between_steps) {
    class Watch final : public RelaxObserver {
      public:
        bool step(std::int64_t number, const Enthalpy&) override {
            const long now = allocations;
            if (number > 1) CHECK(now == before_);
            before_ = now;
            ++steps_;
            return true;
        }
        long steps_ = 0;

      private:
        long before_ = 0;
    };
    for (const OptimizerKind kind : {OptimizerKind::kLbfgs, OptimizerKind::kFire}) {
        const Crystal crystal;
        LennardJones potential(4, true);
        RelaxOptions options;
        options.optimizer = kind;
        options.enthalpy.cell_change = CellChange::kStrain;
        Enthalpy state(potential, crystal.view(), options.enthalpy);
        Watch watch;
        relax(state, potential, options, &watch);
        CHECK(watch.steps_ > 5);
    }
}

TEST(atoms_that_fly_apart_and_dead_ends_are_told) {
    // Repulsion alone; the potential says who is lost, as the engine does by its neighbor list.
    class Repulsion final : public Potential {
      public:
        double compute(const double* r, const double*, double* forces, double*) override {
            distance_ = r[3] - r[0];
            forces[0] = -0.3;
            forces[3] = 0.3;
            forces[1] = forces[2] = forces[4] = forces[5] = 0;
            return -0.3 * distance_;
        }
        std::int64_t lost_atom() const override { return distance_ > 6 ? 1 : -1; }

      private:
        double distance_ = 0;
    };
    const std::vector<double> positions = {0, 0, 0, 2, 0, 0};
    System pair;
    pair.num_atoms = 2;
    pair.positions = positions.data();
    for (const OptimizerKind kind : {OptimizerKind::kLbfgs, OptimizerKind::kFire}) {
        Repulsion potential;
        RelaxOptions options;
        options.optimizer = kind;
        Enthalpy state(potential, pair, options.enthalpy);
        const RelaxReport report = relax(state, potential, options, nullptr);
        CHECK(report.end == RelaxEnd::kDiverged);
        CHECK(report.lost_atom == 1);
    }
    // Forces that are not those of the energy: there is no way down.
    class Wrong final : public Potential {
      public:
        double compute(const double* r, const double*, double* forces, double*) override {
            std::fill_n(forces, 6, 0.0);
            forces[3] = 1;
            return r[3];
        }
    } wrong;
    RelaxOptions options;
    Enthalpy state(wrong, pair, options.enthalpy);
    CHECK(relax(state, wrong, options, nullptr).end == RelaxEnd::kStalled);
    CHECK(state.positions() == positions);
}

TEST(the_c_function_relaxes_a_structure) {
    const structures::Potential potential(random_model::small_config(), 0.3);
    structures::Structure s = structures::make_structure(1, true);
    const camlip_system system = s.view();
    const std::uint8_t fixed[8] = {1, 0, 0, 0, 0, 0, 0, 0};
    struct Seen {
        std::vector<double> energies;
        int stop_after = 1000;
    } seen;
    camlip_relax_options options{};
    options.struct_size = sizeof options;
    options.fixed = fixed;
    options.max_steps = 15;
    options.max_force = 1e-3;
    options.context = &seen;
    options.callback = [](void* context, const camlip_relax_step* step) {
        auto& self = *static_cast<Seen*>(context);
        self.energies.push_back(step->energy);
        return static_cast<int>(self.energies.size()) > self.stop_after ? 1 : 0;
    };
    std::vector<double> positions(24), forces(24);
    std::array<double, 9> cell = {};
    camlip_relax_result result{};
    result.struct_size = sizeof result;
    result.positions = positions.data();
    result.forces = forces.data();
    result.cell = cell.data();
    structures::require_ok(camlip_relax(potential.engine.get(), &system, &options, &result));
    CHECK(result.end == CAMLIP_RELAX_STEPS || result.end == CAMLIP_RELAX_CONVERGED);
    CHECK(result.num_evaluations >= result.num_steps + 1);
    CHECK(seen.energies.size() == static_cast<std::size_t>(result.num_steps) + 1);
    CHECK(seen.energies.front() == result.start_energy);
    CHECK(seen.energies.back() == result.energy && result.energy < result.start_energy);
    CHECK(cell == s.cell);
    for (std::size_t x = 0; x < 3; ++x) CHECK(positions[x] == s.positions[x]);
    // The result is what the engine says of it.
    structures::Structure end = s;
    end.positions = positions;
    const structures::Results again = structures::evaluate(potential, end);
    CHECK_CLOSE(again.energy, result.energy, 1e-9);
    for (std::size_t n = 0; n < 24; ++n) CHECK_CLOSE(again.forces[n], forces[n], 1e-8);

    seen.stop_after = 3;
    seen.energies.clear();
    structures::require_ok(camlip_relax(potential.engine.get(), &system, &options, &result));
    CHECK(result.end == CAMLIP_RELAX_STOPPED && result.num_steps == 3);

    options.pressure = 0.1;  // with a fixed cell
    CHECK(camlip_relax(potential.engine.get(), &system, &options, &result) ==
          CAMLIP_ERROR_ARGUMENT);
    options.pressure = 0;
    options.optimizer = 7;
    CHECK(camlip_relax(potential.engine.get(), &system, &options, &result) ==
          CAMLIP_ERROR_ARGUMENT);
    options.optimizer = CAMLIP_FIRE;
    s.positions[4] = std::numeric_limits<double>::quiet_NaN();
    const std::vector<double> before = positions;
    CHECK(camlip_relax(potential.engine.get(), &system, &options, &result) == CAMLIP_ERROR_NUMERIC);
    CHECK(positions == before);
    CHECK(camlip_relax(potential.engine.get(), &system, nullptr, &result) == CAMLIP_ERROR_ARGUMENT);
}

int main() { return check::run(); }
