// SPDX-License-Identifier: MIT
// Many small systems in one call.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "engine.hpp"
#include "errors.hpp"

namespace camlip {
namespace {

// Systems are taken together until a thread has this many atoms: enough for it to be busy between
// two stages, few enough for memory.  Time does not depend on it (72 to 1024 measured).
constexpr std::int64_t kAtomsPerThread = 512;

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

}  // namespace

void Engine::check_systems(const Systems& systems) const {
    if (systems.count == 0) return;
    if (systems.offsets[0] != 0)
        throw ArgumentError("systems: offsets[0] is " + std::to_string(systems.offsets[0]) +
                            ", expected 0");
    for (std::int64_t s = 0; s < systems.count; ++s)
        if (systems.offsets[s + 1] < systems.offsets[s])
            throw ArgumentError("systems: offsets of system " + std::to_string(s) + " descend");
    Atoms atoms;
    atoms.num_owned = systems.num_atoms();
    atoms.positions = systems.positions;
    atoms.types = systems.types;
    check_atoms(atoms);
}

void Engine::compute_systems(const Systems& systems, const Outputs& outputs) {
    check_systems(systems);
    if (!batch_)
        batch_ = std::make_unique<SystemBatch>(model_.config.cutoff, options_.num_threads,
                                               options_.simd);
    const std::int64_t most = kAtomsPerThread * batch_->num_threads();
    std::int64_t last = 0;
    for (std::int64_t first = 0; first < systems.count; first = last) {
        last = first + 1;
        while (last < systems.count && systems.offsets[last + 1] - systems.offsets[first] <= most)
            ++last;
        batch_->pack(systems, first, last);
        compute_packed(systems, first, last, outputs);
    }
}

void Engine::compute_packed(const Systems& systems, std::int64_t first, std::int64_t last,
                            const Outputs& outputs) {
    const SystemBatch& batch = *batch_;
    const std::int64_t num_owned = batch.num_owned(), total = num_owned + batch.num_ghost();
    Atoms atoms;
    atoms.num_owned = num_owned;
    atoms.num_ghost = batch.num_ghost();
    atoms.positions = batch.positions().data();
    atoms.types = batch.types().data();
    // Numbers that no list of a caller or of compute_system has.
    const std::uint64_t revision = (std::uint64_t{1} << 63) + ++batch_revision_;
    const NeighborList list = {batch.offsets().data(), batch.indices().data(), revision};

    const bool gradients = outputs.forces || outputs.virial;
    energies_.assign(at(num_owned), 0.0);
    forces_.assign(gradients ? at(3 * total) : 0, 0.0);
    centroid_virial_.assign(outputs.centroid_virial ? at(9 * total) : 0, 0.0);
    Outputs wanted;
    wanted.atomic_energies = energies_.data();
    if (gradients) wanted.forces = forces_.data();
    if (outputs.centroid_virial) wanted.centroid_virial = centroid_virial_.data();
    ImageExchange exchange(num_owned, batch.ghost_owner());
    architecture_(model_, *backend_, atoms, list, wanted, exchange, workspace_);

    for (std::int64_t s = first; s < last; ++s) add_system(systems, first, s, outputs);
    const std::int64_t begin = systems.offsets[first];
    if (outputs.atomic_energies)
        for (std::int64_t i = 0; i < num_owned; ++i)
            outputs.atomic_energies[begin + i] += energies_[at(i)];
    const auto add_rows = [&](std::vector<double>& rows, int width, double* out) {
        exchange.reverse(rows.data(), width);
        for (std::int64_t n = 0; n < num_owned * width; ++n) out[begin * width + n] += rows[at(n)];
    };
    if (outputs.forces) add_rows(forces_, 3, outputs.forces);
    if (outputs.centroid_virial) add_rows(centroid_virial_, 9, outputs.centroid_virial);
}

// Energy and virial of one system, from the rows of its atoms and ghosts.  Every edge is a
// difference of two rows, so the derivative by a strain is W_ab = sum over rows of r_a F_b, before
// the forces of ghosts are added to their owners.
void Engine::add_system(const Systems& systems, std::int64_t first, std::int64_t s,
                        const Outputs& outputs) {
    const std::int64_t row = systems.offsets[s] - systems.offsets[first];
    const std::int64_t atoms = systems.offsets[s + 1] - systems.offsets[s];
    const std::int64_t ghost = batch_->num_owned() + batch_->ghost_starts()[at(s - first)];
    const std::int64_t ghost_end = batch_->num_owned() + batch_->ghost_starts()[at(s - first + 1)];
    double energy = 0, virial[9] = {}, sum = 0;
    for (std::int64_t i = row; i < row + atoms; ++i) energy += energies_[at(i)];
    const double* origin = batch_->positions().data() + 3 * row;
    const auto add = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            const double* r = batch_->positions().data() + 3 * i;
            const double* f = forces_.data() + 3 * i;
            for (std::size_t a = 0; a < 3; ++a) {
                sum += 0 * f[a];
                for (std::size_t b = 0; b < 3; ++b) virial[3 * a + b] += (r[a] - origin[a]) * f[b];
            }
        }
    };
    if (!forces_.empty()) {
        add(row, row + atoms);
        add(ghost, ghost_end);
    }
    if (!std::isfinite(energy) || !(sum == 0))
        throw NumericError("result: energy or forces of system " + std::to_string(s) +
                           " are NaN or infinity; are two of its atoms at the same place, or far "
                           "closer than in the training data");
    if (outputs.energy) outputs.energy[s] += energy;
    for (std::int64_t n = 0; outputs.virial && n < 9; ++n) outputs.virial[9 * s + n] += virial[n];
}

}  // namespace camlip
