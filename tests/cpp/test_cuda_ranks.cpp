// SPDX-License-Identifier: MIT
// Domain decomposition on the emulated device: ranks are threads with a backend each, their lists
// are made on the device, and features of the boundary alone travel between them.
#include <algorithm>
#include <array>
#include <cmath>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "architectures/cartesian_moments.hpp"
#include "check.hpp"
#include "emulated_backend.hpp"
#include "neighbors.hpp"
#include "random_model.hpp"
#include "reference/backend_reference.hpp"

using namespace camlip;
using State = emulator::Runtime::State;

namespace {

std::size_t at(std::int64_t n) { return static_cast<std::size_t>(n); }

// A long periodic box.
struct Structure {
    std::vector<double> positions;
    std::vector<std::int32_t> types;
    std::array<double, 3> box = {27, 4.6, 4.9};

    Structure(std::int64_t count, unsigned seed) {
        std::mt19937_64 engine(seed);
        std::uniform_real_distribution<double> noise(-0.3, 0.3);
        const std::int64_t rows = (count + 3) / 4;
        for (std::int64_t n = 0; n < count; ++n) {
            const double place[3] = {(static_cast<double>(n / 4) + 0.5) / static_cast<double>(rows),
                                     0.25 + 0.5 * static_cast<double>(n % 2),
                                     0.25 + 0.5 * static_cast<double>(n / 2 % 2)};
            for (std::size_t a = 0; a < 3; ++a)
                positions.push_back(place[a] * box[a] + noise(engine));
            types.push_back(n % 9 == 4 ? -1 : static_cast<std::int32_t>(n % 2));
        }
    }
    std::int64_t count() const { return static_cast<std::int64_t>(types.size()); }
};

struct Results {
    double energy = 0;
    std::vector<double> atomic_energies, forces, virial, centroid_virial;

    explicit Results(std::int64_t atoms)
        : atomic_energies(at(atoms)),
          forces(at(3 * atoms)),
          virial(9),
          centroid_virial(at(9 * atoms)) {}
};

// Of one rank: owned atoms are those of a slab, ghosts all images that any of them may have for
// neighbor; a row is an atom of the structure and an image.
struct Domain {
    std::vector<std::int64_t> atoms;
    std::vector<std::array<double, 3>> shifts;
    std::int64_t num_owned = 0;
    std::vector<std::int32_t> boundary;
    std::vector<double> positions;
    std::vector<std::int32_t> types;

    std::int64_t total() const { return static_cast<std::int64_t>(atoms.size()); }

    void move(const Structure& s) {
        positions.clear();
        types.clear();
        for (std::size_t n = 0; n < atoms.size(); ++n) {
            for (std::size_t a = 0; a < 3; ++a)
                positions.push_back(s.positions[3 * at(atoms[n]) + a] + shifts[n][a]);
            types.push_back(s.types[at(atoms[n])]);
        }
    }
};

std::vector<Domain> decompose(const Structure& s, int ranks, double radius) {
    std::vector<Domain> domains(static_cast<std::size_t>(ranks));
    for (int rank = 0; rank < ranks; ++rank) {
        Domain& d = domains[static_cast<std::size_t>(rank)];
        for (std::int64_t i = 0; i < s.count(); ++i) {
            const double place = s.positions[at(3 * i)] / s.box[0];
            if (std::min(std::max(static_cast<int>(place * ranks), 0), ranks - 1) != rank) continue;
            d.atoms.push_back(i);
            d.shifts.push_back({0, 0, 0});
        }
        d.num_owned = d.total();
        for (int x = -1; x <= 1; ++x)
            for (int y = -1; y <= 1; ++y)
                for (int z = -1; z <= 1; ++z)
                    for (std::int64_t j = 0; j < s.count(); ++j) {
                        const std::array<double, 3> shift = {x * s.box[0], y * s.box[1],
                                                             z * s.box[2]};
                        bool near = false, owned = false;
                        for (std::int64_t n = 0; n < d.num_owned; ++n) {
                            double square = 0;
                            for (std::size_t a = 0; a < 3; ++a) {
                                const double r = s.positions[3 * at(j) + a] + shift[a] -
                                                 s.positions[3 * at(d.atoms[at(n)]) + a];
                                square += r * r;
                            }
                            near |= square < radius * radius;
                            owned |= d.atoms[at(n)] == j && x == 0 && y == 0 && z == 0;
                        }
                        if (!near || owned) continue;
                        d.atoms.push_back(j);
                        d.shifts.push_back(shift);
                    }
    }
    for (Domain& d : domains)
        for (std::int64_t n = d.num_owned; n-- > 0;) {  // in no particular order
            bool ghost = false;
            for (const Domain& other : domains)
                for (std::int64_t g = other.num_owned; g < other.total(); ++g)
                    ghost |= other.atoms[at(g)] == d.atoms[at(n)];
            if (ghost) d.boundary.push_back(static_cast<std::int32_t>(n));
        }
    return domains;
}

// Where the threads meet; rows of all atoms of the structure.
class Board {
  public:
    Board(int ranks, std::int64_t atoms) : ranks_(ranks), atoms_(atoms) {}

    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        const int round = round_;
        if (++waiting_ == ranks_) {
            waiting_ = 0;
            ++round_;
            all_.notify_all();
        }
        all_.wait(lock, [&] { return round != round_; });
    }
    template <class Body>
    void locked(Body body) {
        std::lock_guard<std::mutex> lock(mutex_);
        body();
    }
    std::vector<double>& rows(int width) {
        rows_.resize(at(atoms_ * width));
        return rows_;
    }

  private:
    int ranks_, waiting_ = 0, round_ = 0;
    std::int64_t atoms_;
    std::mutex mutex_;
    std::condition_variable all_;
    std::vector<double> rows_;
};

// Touches what it said it would, and spoils all other rows of owned atoms.
class BoardExchange final : public Exchange {
  public:
    BoardExchange(Board& board, const Domain& domain) : board_(board), d_(domain) {}

    void forward(double* h, int width) override {
        board_.locked([&] {
            std::vector<double>& rows = board_.rows(width);
            for (const std::int32_t n : d_.boundary)
                std::copy_n(h + std::int64_t{n} * width, width,
                            rows.begin() + d_.atoms[at(n)] * width);
        });
        board_.wait();
        for (std::int64_t g = d_.num_owned; g < d_.total(); ++g)
            std::copy_n(board_.rows(width).begin() + d_.atoms[at(g)] * width, width, h + g * width);
        board_.wait();
        spoil(h, width);
    }
    void reverse(double* h, int width) override {
        board_.locked([&] {
            std::vector<double>& rows = board_.rows(width);
            std::fill(rows.begin(), rows.end(), 0.0);
        });
        board_.wait();
        board_.locked([&] {
            std::vector<double>& rows = board_.rows(width);
            for (std::int64_t g = d_.num_owned; g < d_.total(); ++g)
                for (int q = 0; q < width; ++q)
                    rows[at(d_.atoms[at(g)] * width + q)] += h[g * width + q];
        });
        board_.wait();
        for (const std::int32_t n : d_.boundary)
            for (int q = 0; q < width; ++q)
                h[std::int64_t{n} * width + q] +=
                    board_.rows(width)[at(d_.atoms[at(n)] * width + q)];
        board_.wait();
        spoil(h, width);
    }

  private:
    void spoil(double* h, int width) const {
        std::vector<char> known(at(d_.num_owned));
        for (const std::int32_t n : d_.boundary) known[at(n)] = 1;
        for (std::int64_t n = 0; n < d_.num_owned; ++n)
            if (!known[at(n)])
                std::fill_n(h + n * width, width, std::numeric_limits<double>::quiet_NaN());
    }
    Board& board_;
    const Domain& d_;
};

// All ranks at once; results of ghosts are added to their atoms.
Results on_ranks(const Model& model, const Structure& s, std::vector<Domain>& domains,
                 std::vector<std::unique_ptr<Backend>>& backends, std::uint64_t revision,
                 double radius, bool gradients = true) {
    Results all(s.count());
    Board board(static_cast<int>(domains.size()), s.count());
    std::vector<std::thread> threads;
    std::string trouble;
    for (std::size_t rank = 0; rank < domains.size(); ++rank)
        threads.emplace_back([&, rank] {
            Domain& d = domains[rank];
            d.move(s);
            Results r(d.total());
            Atoms atoms;
            atoms.num_owned = d.num_owned;
            atoms.num_ghost = d.total() - d.num_owned;
            atoms.positions = d.positions.data();
            atoms.types = d.types.data();
            const std::int32_t none = 0;
            atoms.boundary = d.boundary.empty() ? &none : d.boundary.data();
            atoms.num_boundary = static_cast<std::int64_t>(d.boundary.size());
            NeighborList list;
            list.revision = revision;
            list.radius = radius;
            Outputs outputs;
            outputs.energy = &r.energy;
            outputs.atomic_energies = r.atomic_energies.data();
            if (gradients) {
                outputs.forces = r.forces.data();
                outputs.virial = r.virial.data();
                outputs.centroid_virial = r.centroid_virial.data();
            }
            BoardExchange exchange(board, d);
            Workspace workspace;
            run_cartesian_moments(model, *backends[rank], atoms, list, outputs, exchange,
                                  workspace);
            board.locked([&] {
                all.energy += r.energy;
                for (std::size_t n = 0; n < 9; ++n) all.virial[n] += r.virial[n];
                for (std::int64_t n = 0; n < d.total(); ++n) {
                    const std::int64_t atom = d.atoms[at(n)];
                    if (n < d.num_owned) all.atomic_energies[at(atom)] += r.atomic_energies[at(n)];
                    for (std::size_t a = 0; a < 3; ++a)
                        all.forces[3 * at(atom) + a] += r.forces[3 * at(n) + a];
                    for (std::size_t a = 0; a < 9; ++a)
                        all.centroid_virial[9 * at(atom) + a] += r.centroid_virial[9 * at(n) + a];
                }
            });
        });
    for (std::thread& thread : threads) thread.join();
    return all;
}

BackendOptions options(Precision precision) {
    BackendOptions o;
    o.precision = precision;
    o.active_types = {0, 1};
    return o;
}

// The reference backend on the whole, with images as ghosts: one rank that knows all.
Results expected(const Model& model, const Structure& s) {
    std::vector<Domain> domains = decompose(s, 1, model.config.cutoff + 0.5);
    Domain& d = domains[0];
    d.move(s);
    std::vector<std::int64_t> offsets = {0};
    std::vector<std::int32_t> indices;
    for (std::int64_t i = 0; i < d.num_owned; ++i) {
        for (std::int64_t j = 0; j < d.total(); ++j) {
            double square = 0;
            for (std::size_t a = 0; a < 3; ++a) {
                const double r = d.positions[3 * at(j) + a] - d.positions[3 * at(i) + a];
                square += r * r;
            }
            if (i != j && square < 1.1 * model.config.cutoff * model.config.cutoff)
                indices.push_back(static_cast<std::int32_t>(j));
        }
        offsets.push_back(static_cast<std::int64_t>(indices.size()));
    }
    Atoms atoms;
    atoms.num_owned = d.num_owned;
    atoms.num_ghost = d.total() - d.num_owned;
    atoms.positions = d.positions.data();
    atoms.types = d.types.data();
    class Images final : public Exchange {
      public:
        explicit Images(const Domain& d) : d_(d) {}
        void forward(double* h, int w) override {
            for (std::int64_t g = d_.num_owned; g < d_.total(); ++g)
                std::copy_n(h + d_.atoms[at(g)] * w, w, h + g * w);
        }
        void reverse(double* h, int w) override {
            for (std::int64_t g = d_.num_owned; g < d_.total(); ++g)
                for (int q = 0; q < w; ++q) h[d_.atoms[at(g)] * w + q] += h[g * w + q];
        }

      private:
        const Domain& d_;
    } images(d);
    Results r(d.total());
    Outputs outputs;
    outputs.energy = &r.energy;
    outputs.atomic_energies = r.atomic_energies.data();
    outputs.forces = r.forces.data();
    outputs.virial = r.virial.data();
    outputs.centroid_virial = r.centroid_virial.data();
    Workspace workspace;
    const auto reference = make_reference_backend(model, options(Precision::kDouble));
    run_cartesian_moments(model, *reference, atoms, {offsets.data(), indices.data(), 1}, outputs,
                          images, workspace);
    images.reverse(r.forces.data(), 3);
    images.reverse(r.centroid_virial.data(), 9);
    r.forces.resize(at(3 * s.count()));
    r.centroid_virial.resize(at(9 * s.count()));
    r.atomic_energies.resize(at(s.count()));
    return r;
}

void check_close(const Results& found, const Results& wanted, Precision precision) {
    const double limit = precision == Precision::kMixed ? 2e-5 : 1e-8;
    CHECK(check::gap(found.atomic_energies, wanted.atomic_energies) < limit);
    CHECK(check::gap(found.forces, wanted.forces) < limit);
    CHECK(check::gap(found.virial, wanted.virial) < limit);
    CHECK(check::gap(found.centroid_virial, wanted.centroid_virial) < limit);
    CHECK(check::gap({found.energy}, {wanted.energy}) < limit);
}

struct Ranks {
    std::vector<std::shared_ptr<State>> states;
    std::vector<std::unique_ptr<Backend>> backends;

    Ranks(const Model& model, int ranks, Precision precision, const cuda::Limits& limits = {}) {
        for (int rank = 0; rank < ranks; ++rank) {
            states.push_back(std::make_shared<State>());
            backends.push_back(
                emulator::make_backend(model, options(precision), states.back(), limits));
        }
    }
};

constexpr double kSkin = 0.4;

}  // namespace

TEST(ranks_agree_with_the_reference) {
    const Structure s(44, 3);
    for (const int layers : {1, 2, 3}) {
        const Model model = random_model::make_model(random_model::small_config(2, layers));
        const double radius = model.config.cutoff + kSkin;
        const Results wanted = expected(model, s);
        CHECK(check::gap(wanted.forces, Results(s.count()).forces) > 0.1);
        for (const int ranks : {1, 2, 3}) {
            for (const Precision precision : {Precision::kMixed, Precision::kDouble}) {
                std::vector<Domain> domains = decompose(s, ranks, radius);
                Ranks all(model, ranks, precision);
                check_close(on_ranks(model, s, domains, all.backends, 1, radius), wanted,
                            precision);
            }
        }
    }
}

TEST(atoms_without_ghosts_are_computed_while_the_host_exchanges) {
    const Structure s(44, 4);
    for (const int layers : {2, 3}) {
        const Model model = random_model::make_model(random_model::small_config(2, layers));
        const double radius = model.config.cutoff + kSkin;
        // The box is two atoms wide: only where nothing is periodic across it are there inner atoms.
        Structure open = s;
        open.box[1] = open.box[2] = 30;
        std::vector<Domain> domains = decompose(open, 2, radius);
        CHECK(domains[0].boundary.size() + 4 < static_cast<std::size_t>(domains[0].num_owned));
        Ranks all(model, 2, Precision::kDouble);
        const Results wanted = expected(model, open);
        check_close(on_ranks(model, open, domains, all.backends, 1, radius), wanted,
                    Precision::kDouble);
        for (const auto& state : all.states)
            CHECK(state->overlapped == 2 * static_cast<std::uint64_t>(layers - 1));
        // Energies alone, by the same way.
        const Results energies = on_ranks(model, open, domains, all.backends, 1, radius, false);
        CHECK(check::gap(energies.atomic_energies, wanted.atomic_energies) < 1e-10);
        // In tiles that end among them.
        cuda::Limits limits;
        limits.tile = 3;
        Ranks tiled(model, 2, Precision::kDouble, limits);
        check_close(on_ranks(model, open, domains, tiled.backends, 1, radius), wanted,
                    Precision::kDouble);
        // Who calls all of them boundary waits.
        for (Domain& d : domains) {
            d.boundary.clear();
            for (std::int64_t n = 0; n < d.num_owned; ++n)
                d.boundary.push_back(static_cast<std::int32_t>(n));
        }
        Ranks plain(model, 2, Precision::kDouble);
        check_close(on_ranks(model, open, domains, plain.backends, 1, radius), wanted,
                    Precision::kDouble);
        for (const auto& state : plain.states) CHECK(state->overlapped == 0);
    }
}

TEST(lists_last_as_long_as_their_revision) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    const double radius = model.config.cutoff + kSkin;
    Structure s(44, 5);
    std::vector<Domain> domains = decompose(s, 2, radius);
    Ranks all(model, 2, Precision::kDouble);
    std::uint64_t allocations = 0, synchronizations = 0;
    for (int step = 0; step < 6; ++step) {
        for (double& x : s.positions) x += 0.03 * std::sin(7 * x + step);
        if (step == 3) {
            domains = decompose(s, 2, radius);
            s.types[0] = -1;
        }
        const emulator::Runtime::Counters before = *all.states[0];
        check_close(on_ranks(model, s, domains, all.backends, step < 3 ? 1 : 2, radius),
                    expected(model, s), Precision::kDouble);
        if (step == 0 || step == 3) continue;
        allocations = all.states[0]->allocations - before.allocations;
        synchronizations = all.states[0]->synchronizations - before.synchronizations;
        CHECK(allocations == 0 && synchronizations == 1);
    }
}

TEST(a_rank_without_atoms_takes_part) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    const double radius = model.config.cutoff + kSkin;
    Structure s(24, 6);
    for (std::size_t n = 0; n < s.positions.size(); n += 3) s.positions[n] *= 0.45;
    s.box = {30, 30, 30};
    std::vector<Domain> domains = decompose(s, 3, radius);
    CHECK(domains[2].num_owned == 0);
    Ranks all(model, 3, Precision::kMixed);
    check_close(on_ranks(model, s, domains, all.backends, 1, radius), expected(model, s),
                Precision::kMixed);
}

int main() { return check::run(); }
