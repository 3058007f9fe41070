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

// On a device: systems up to this size look at all pairs, together until there are so many atoms.
constexpr std::int64_t kAtomsAllPairs = 1024;
constexpr std::int64_t kAtomsAtOnce = 1 << 19;

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
    if (backend_->makes_lists()) {
        compute_on_device(systems, outputs);
        return;
    }
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

// Small systems together, all pairs of each; large ones by themselves, with bins.
void Engine::compute_on_device(const Systems& systems, const Outputs& outputs) {
    std::vector<std::int64_t> offsets;
    std::int64_t last = 0;
    for (std::int64_t first = 0; first < systems.count; first = last) {
        const std::int64_t begin = systems.offsets[first];
        offsets.assign(1, 0);
        for (last = first; last < systems.count; ++last) {
            const std::int64_t size = systems.offsets[last + 1] - systems.offsets[last];
            if (size > kAtomsAllPairs || offsets.back() + size > kAtomsAtOnce) break;
            offsets.push_back(offsets.back() + size);
        }
        if (last == first) {
            compute_alone(systems, last++, outputs);
            continue;
        }
        Systems part = systems;
        part.count = last - first;
        part.offsets = offsets.data();
        part.positions += 3 * begin;
        part.types += begin;
        if (part.cells) part.cells += 9 * first;
        if (part.periodic) part.periodic += 3 * first;
        Atoms atoms;
        atoms.num_owned = offsets.back();
        atoms.positions = part.positions;
        atoms.types = part.types;
        atoms.whole = true;
        atoms.systems = &part;
        Outputs wanted = outputs;
        energies_.assign(at(part.count), 0.0);
        wanted.energy = energies_.data();
        if (outputs.atomic_energies) wanted.atomic_energies += begin;
        if (outputs.forces) wanted.forces += 3 * begin;
        if (outputs.centroid_virial) wanted.centroid_virial += 9 * begin;
        if (outputs.virial) wanted.virial += 9 * first;
        NoExchange none;
        bool refused = false, failed = false;
        try {
            architecture_(model_, *backend_, atoms, {}, wanted, none, workspace_);
        } catch (const ArgumentError&) {
            refused = true;
        }
        for (const double energy : energies_) failed |= !std::isfinite(energy);
        // Which one it is, is told by what it says alone.
        for (std::int64_t s = first; (refused || failed) && s < last; ++s)
            compute_alone(systems, s, outputs);
        if (failed)
            throw NumericError("result: energy or forces of systems " + std::to_string(first) +
                               " to " + std::to_string(last - 1) + " are NaN or infinity");
        for (std::int64_t s = first; outputs.energy && s < last; ++s)
            outputs.energy[s] += energies_[at(s - first)];
    }
}

void Engine::compute_alone(const Systems& systems, std::int64_t s, const Outputs& outputs) {
    const std::int64_t begin = systems.offsets[s];
    Outputs wanted = outputs;
    if (outputs.energy) wanted.energy += s;
    if (outputs.atomic_energies) wanted.atomic_energies += begin;
    if (outputs.forces) wanted.forces += 3 * begin;
    if (outputs.centroid_virial) wanted.centroid_virial += 9 * begin;
    if (outputs.virial) wanted.virial += 9 * s;
    const std::string name = "system " + std::to_string(s) + ": ";
    try {
        compute_system(systems.system(s), systems.types + begin, wanted);
    } catch (const ArgumentError& error) {
        throw ArgumentError(name + error.what());
    } catch (const NumericError& error) {
        throw NumericError(name + error.what());
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
