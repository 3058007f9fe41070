// SPDX-License-Identifier: MIT
// The backend of a device, whatever Runtime runs its kernels: CUDA (runtime_cuda.hpp) or the
// emulator of the tests.
//
// Edge sums live in a workspace for a tile of atoms, so a stage runs tile by tile, and the calls of
// the engine are put off to where a tile can run through: edges_forward to the atoms stage after
// it, the last layer (when gradients are wanted) and atoms_backward to edges_backward.
//
// A whole system stays on the device: positions go there, results come back, and everything between
// is one step of the Runtime, which may be recorded and replayed (a CUDA graph).  An atom that moved
// beyond the skin is noticed with the results; then the list is made anew and the step done again.
//
// Where the caller's arrays are on the device, a step ends without waiting for it: the first kernel
// of the step looks for atoms that moved too far, the rest is queued behind it, and the host waits
// for the answer of that kernel alone, while the device goes on.  A step that turns out stale adds
// nothing to the caller's arrays and is queued again with a new list.
//
// One process of several (a rank of LAMMPS) gets its list made on the device as well.  Of the features
// only those of the boundary go to the host (halo.hpp), and while the host exchanges them the device
// goes on with the atoms that need none.
#ifndef CAMLIP_CUDA_DEVICE_BACKEND_HPP
#define CAMLIP_CUDA_DEVICE_BACKEND_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "backend.hpp"
#include "device/arrays.hpp"
#include "device/sums.hpp"
#include "halo.hpp"
#include "list_keys.hpp"
#include "stage_runs.hpp"

namespace camlip::cuda {

template <class T, class Runtime>
class DeviceBackend final : public Backend, private StageRuns<T, Runtime> {
    using Base = StageRuns<T, Runtime>;
    using Base::at, Base::backward, Base::batch_, Base::checks_moved_, Base::config_,
        Base::features_bar, Base::folded_, Base::forward, Base::kFeatureScale, Base::kForceScale,
        Base::kMoved, Base::kOverflow, Base::kWords, Base::last_, Base::limits_, Base::list_,
        Base::lists_, Base::num_owned_, Base::num_slots_, Base::num_total_, Base::outputs_,
        Base::parameters_, Base::runtime_, Base::shape, Base::sizes_, Base::skin_, Base::store_,
        Base::tile_, Base::turn, Base::wants_atomic_energies, Base::wants_centroid_virial,
        Base::whole_, Base::zero_features_bar;

  public:
    DeviceBackend(const Model& model, const BackendOptions& options, Runtime runtime,
                  const Limits& limits)
        : Base(model, options, std::move(runtime), limits),
          positions_(runtime_),
          types_(runtime_),
          halo_(runtime_, sizes_.width),
          results_(runtime_),
          fixed_(runtime_),
          flags_(runtime_) {
        results_.reserve(kSlot);
        flags_.reserve(kNumFlags);
    }

    bool makes_lists() const override { return true; }
    bool keeps_features() const override { return true; }

    void begin(const Atoms& atoms, const NeighborList& neighbors, const Outputs& outputs) override {
        outputs_ = outputs;
        whole_ = atoms.whole;
        batch_ = atoms.systems != nullptr;
        lists_ = !neighbors.offsets;
        num_owned_ = atoms.num_owned;
        num_total_ = atoms.num_total();
        ahead_ = 0;
        repeating_ = false;
        caller_positions_ = atoms.on_device ? atoms.positions : nullptr;
        checks_moved_ = !atoms.on_device;
        runtime_.use_stream(atoms.stream, !atoms.on_device);
        if (num_owned_ == 0) return;
        if (batch_) {
            begin_systems(atoms);
        } else if (whole_) {
            begin_whole(atoms);
        } else if (lists_) {
            begin_domain(atoms, neighbors);
        } else {
            begin_listed(atoms, neighbors);
        }
    }

    void edges_forward(int layer, const double* h) override {
        if (layer == 0 || num_owned_ == 0 || whole_) return;
        // Rows of owned atoms are there since atoms_forward.
        halo_.take_ghosts(h, store_.features[at(layer - 1)]);
    }

    void atoms_forward(int layer, double* h) override {
        if (num_owned_ == 0) return;
        forward(layer, take_ahead(), num_owned_);
        if (whole_) return;
        halo_.fetch(store_.features[at(layer)]);
        // Behind it, what needs no ghosts, while the host exchanges.
        run_ahead([&](std::int64_t inner) {
            if (layer + 1 < last_) {
                forward(layer + 1, 0, inner);
            } else if (outputs_.gradients()) {
                zero_features_bar(last_);
                backward(last_, 0, inner);
            } else {
                turn(0, inner);
            }
        });
        halo_.deliver(h);
    }

    void atoms_turn(int) override {
        if (num_owned_ == 0 || outputs_.gradients()) return;
        turn(take_ahead(), num_owned_);
        finish();
    }

    void atoms_backward(int layer, const double* h_bar) override {
        if (num_owned_ == 0 || whole_) return;
        halo_.take(h_bar, FixedPoint<T>{kFeatureScale, store_.flags.data()},
                   features_bar(layer + 1));
    }

    void edges_backward(int layer, double* h) override {
        if (num_owned_ == 0) {
            if (layer > 0 && !whole_) std::fill_n(h, num_total_ * sizes_.width, 0.0);
            return;
        }
        const std::int64_t done = take_ahead();
        if (done == 0) zero_features_bar(layer);
        backward(layer, done, num_owned_);
        if (layer == 0) {
            finish();
        } else if (!whole_) {
            halo_.fetch_ghosts(features_bar(layer), kFeatureScale);
            run_ahead([&](std::int64_t inner) {
                zero_features_bar(layer - 1);
                backward(layer - 1, 0, inner);
            });
            halo_.deliver_ghosts(h);
        }
    }

    BackendInfo info() const override {
        BackendInfo info;
        info.precision = sizeof(T) == 4 ? "mixed" : "double";
        info.simd = runtime_.name();
        info.radial_table_error = folded_.radial_error().value;
        info.radial_table_derivative_error = folded_.radial_error().derivative;
        info.memory_bytes = parameters_.bytes() + store_.bytes() + list_.bytes() + halo_.bytes();
        return info;
    }

    void estimate_memory(MemoryEstimate& m) const override {
        Plan p = shape();
        p.owned = m.num_owned;
        p.total = m.num_owned + m.num_ghost;
        p.gradients = p.forces = true;
        p.lists = false;
        p.exchanged = last_ > 0 ? m.num_ghost : 0;
        const std::uint64_t fixed = parameters_.bytes() + store_.fixed_bytes(p) +
                                    list_.bytes_of(p.owned, p.total, m.num_edges, m.periodic);
        m.needed = fixed + store_.tile_bytes(p, std::min(limits_.tile, p.owned));
        m.least = fixed + store_.tile_bytes(p, std::min(limits_.smallest_tile, p.owned));
        m.available = runtime_.free_bytes() + info().memory_bytes;
    }

    std::uint64_t list_revision() const override { return static_cast<std::uint64_t>(num_lists_); }
    void count_neighbors(std::vector<std::int64_t>& counts) override {
        const auto atoms = static_cast<std::size_t>(num_owned_);
        counts.clear();
        if (atoms == 0) return;
        std::vector<std::int64_t> offsets(atoms + 1);
        runtime_.download(offsets.data(), list_.offsets(), 8 * (atoms + 1));
        counts.resize(atoms);
        for (std::size_t i = 0; i < atoms; ++i) counts[i] = offsets[i + 1] - offsets[i];
    }

  private:
    static constexpr int kNumFlags = Storage<T, Runtime>::kNumFlags;

    Plan plan(std::int64_t edges) const {
        Plan p = shape();
        p.owned = num_owned_;
        p.total = num_total_;
        p.edges = edges;
        p.gradients = outputs_.gradients();
        p.forces = outputs_.forces != nullptr;
        p.centroid_virial = wants_centroid_virial();
        p.atomic_energies = wants_atomic_energies();
        p.systems = batch_ ? systems_ : 0;
        p.lists = !lists_;
        if (!whole_ && last_ > 0) p.exchanged = halo_.most_rows();
        return p;
    }

    void begin_whole(const Atoms& atoms) {
        halo_.keep_order(atoms);
        tile_ = store_.reserve(plan(0), limits_);
        take_atoms(atoms);
        keep_list(atoms);
        reserve_results();
        start_step();
    }

    void begin_systems(const Atoms& atoms) {
        halo_.keep_order(atoms);
        systems_ = atoms.systems->count;
        tile_ = store_.reserve(plan(0), limits_);
        take_atoms(atoms);
        domain_ = DomainKey{};
        key_ = WholeKey{};
        list_.set_skin(0);
        store_.positions.upload_later(positions_.data(), 0, 3 * num_total_);
        list_.build(store_.positions.data(), *atoms.systems);
        reserve_results();
        start();
    }

    void begin_domain(const Atoms& atoms, const NeighborList& neighbors) {
        const DomainKey key{neighbors.revision, num_owned_, num_total_, neighbors.radius};
        const bool anew = !(key == domain_);
        if (anew) halo_.arrange(atoms);
        tile_ = store_.reserve(plan(0), limits_);
        take_atoms(atoms);
        if (anew) {
            domain_ = DomainKey{};  // a failure leaves none
            key_ = WholeKey{};
            store_.positions.upload_later(positions_.data(), 0, 3 * num_total_);
            list_.set_skin(neighbors.radius - config_.cutoff);
            list_.build(store_.positions.data(), num_owned_, num_total_, nullptr, {});
            halo_.find_inner(list_);
            domain_ = key;
        }
        reserve_results();
        start();
    }

    void begin_listed(const Atoms& atoms, const NeighborList& neighbors) {
        halo_.keep_order(atoms);
        domain_ = DomainKey{};  // its order of atoms
        const std::int64_t edges = neighbors.offsets[num_owned_];
        tile_ = store_.reserve(plan(edges), limits_);
        take_atoms(atoms);
        const ListKey key{neighbors.offsets, neighbors.indices, neighbors.revision, num_owned_,
                          edges};
        if (!(key == given_)) {
            store_.offsets.upload(neighbors.offsets, 0, num_owned_ + 1);
            store_.indices.upload(neighbors.indices, 0, edges);
            given_ = key;
        }
        reserve_results();
        start();
    }

    bool on_device() const { return caller_positions_ != nullptr; }

    // Into pinned memory.  Those of arrays on the device go there only when they change: nobody
    // knows when a copy that was queued is done.
    void take_types(const Atoms& atoms) {
        const bool same = on_device() && num_types_ == num_total_ &&
                          std::equal(atoms.types, atoms.types + num_total_, types_.data());
        if (same) return;
        if (num_types_ >= 0) runtime_.synchronize();
        types_.reserve(num_total_);
        halo_.place(atoms.types, 1, types_.data());
        num_types_ = -1;
        if (!on_device()) return;
        store_.types.upload_later(types_.data(), 0, num_total_);
        num_types_ = num_total_;
    }

    void take_atoms(const Atoms& atoms) {
        take_types(atoms);
        if (on_device()) return;
        positions_.reserve(3 * num_total_);
        halo_.place(atoms.positions, 3, positions_.data());
    }

    // The next stage of the atoms that have nothing to do with other processes.
    template <class Body>
    void run_ahead(Body body) {
        if (halo_.num_inner() == 0) return;
        body(halo_.num_inner());
        ahead_ = halo_.num_inner();
    }
    std::int64_t take_ahead() { return std::exchange(ahead_, 0); }

    // The list of the last call, where it may still hold.
    void keep_list(const Atoms& atoms) {
        WholeKey key;
        key.atoms = num_owned_;
        key.has_cell = atoms.cell != nullptr;
        if (atoms.cell) std::copy_n(atoms.cell, 9, key.cell.begin());
        key.periodic = atoms.periodic;
        const bool same_place = was_on_device_ == on_device();
        was_on_device_ = on_device();
        if (key == key_ && same_place) return;
        // Arrays of the caller are compared with where atoms were by a kernel that knows no strain.
        if (!on_device() && same_place && key.has_cell && key.same_but_cell(key_) &&
            list_.deform(atoms.cell, atoms.periodic)) {
            key_ = key;
            return;
        }
        key_ = key;
        domain_ = DomainKey{};
        list_.set_skin(skin_);
        make_list();
    }

    void make_list() {
        WholeKey key;
        std::swap(key, key_);  // a failure leaves none
        if (!on_device()) store_.positions.upload_later(positions_.data(), 0, 3 * num_total_);
        list_.build(on_device() ? caller_positions_ : store_.positions.data(), num_owned_,
                    num_total_, key.has_cell ? key.cell.data() : nullptr, key.periodic);
        key_ = key;
        ++num_lists_;
    }

    // Pinned memory for all that comes back, before a step is recorded.
    void reserve_results() {
        std::int64_t most = 0;
        if (on_device()) return;
        if (outputs_.forces) most += 3 * num_total_ * kWords;
        if (outputs_.centroid_virial) most += 9 * num_total_ * kWords;
        if (!whole_ && last_ > 0) halo_.reserve();
        fixed_.reserve(most);
        results_.reserve(kSlot + (outputs_.atomic_energies ? num_owned_ : 0) +
                         (batch_ ? 10 * systems_ : 0));
    }

    void start_step() {
        // Everything that arguments of kernels and copies depend on, but for addresses of arrays.
        const std::int64_t wanted = (outputs_.forces ? 1 : 0) + (outputs_.virial ? 2 : 0) +
                                    (outputs_.centroid_virial ? 4 : 0) +
                                    (outputs_.atomic_energies ? 8 : 0) + (on_device() ? 16 : 0);
        if (on_device()) take_positions();
        runtime_.begin_step({num_owned_, num_lists_, wanted, tile_});
        start();
    }

    void start() {
        if (on_device()) {
            runtime_.zero(store_.flags.data() + kOverflow, sizeof(std::uint32_t));
        } else {
            store_.positions.upload_later(positions_.data(), 0, 3 * num_total_);
            store_.types.upload_later(types_.data(), 0, num_total_);
            store_.flags.zero(kNumFlags);
        }
        store_.slots.zero(kMaxSlots * kSlot);
        if (outputs_.forces) store_.forces.zero(3 * num_total_ * kWords);
        if (wants_centroid_virial()) store_.centroid_virial.zero(9 * num_total_ * kWords);
        if (wants_atomic_energies()) store_.atomic_energies.zero(num_owned_);
        num_slots_ = 0;
    }

    // The caller's positions.  What the flags say of the step before comes along.
    void take_positions() {
        TakePositions k{};
        k.atoms = num_owned_;
        k.from = caller_positions_;
        k.to = store_.positions.data();
        k.built = list_.built();
        k.most_moved = 0.25 * skin_ * skin_;
        k.moved = store_.flags.data() + kMoved;
        runtime_.zero(k.moved, sizeof(std::uint32_t));
        runtime_.launch(k, blocks_for(num_owned_), k.kMaxThreads, 0);
        store_.flags.download_later(flags_.data(), 0, kNumFlags);
        runtime_.record_event();
    }

    static int blocks_for(std::int64_t items) {
        return static_cast<int>(std::min<std::int64_t>((items + 255) / 256, 2048));
    }

    // Results to arrays on the device, behind what is queued.
    void hand_over() {
        if (whole_) runtime_.end_step();
        AddResults<T> k{};
        k.atoms = num_owned_;
        k.overflow = store_.flags.data() + kOverflow;
        k.moved = store_.flags.data() + kMoved;
        k.not_a_number = std::numeric_limits<double>::quiet_NaN();
        k.scale = kForceScale;
        k.totals = store_.totals.data();
        k.forces = store_.forces.data();
        k.centroid_virial = store_.centroid_virial.data();
        k.atomic_energies = store_.atomic_energies.data();
        k.to_energy = outputs_.energy;
        k.to_virial = outputs_.virial;
        k.to_forces = outputs_.forces;
        k.to_centroid_virial = outputs_.centroid_virial;
        k.to_atomic_energies = outputs_.atomic_energies;
        runtime_.launch(k, blocks_for(num_owned_), k.kMaxThreads, 0);
        runtime_.wait_for_event();
        const bool failed = handed_over_ && flags_.data()[kOverflow] != 0;
        handed_over_ = true;
        if (flags_.data()[kMoved] != 0) {
            handed_over_ = false;  // a stale step may fail for want of neighbors
            if (repeating_)  // an atom that is not where it is
                throw NumericError("positions: an atom is at NaN or infinity");
            make_list();
            repeating_ = true;
            repeat();
        }
        if (failed)
            throw NumericError(
                "result: energy, forces or virial of the step before are NaN or infinity; are two "
                "atoms at the same place, or far closer than in the training data");
    }

    // The stages of a whole system once more, with a new list.
    void repeat() {
        start_step();
        for (int layer = 0; layer < last_; ++layer) atoms_forward(layer, nullptr);
        atoms_turn(last_);
        if (!outputs_.gradients()) return;
        for (int layer = last_; layer >= 0; --layer) edges_backward(layer, nullptr);
    }

    // Rows of all atoms, to the order of the caller.
    void add_rows(const std::int64_t* from, int width, double* to) const {
        for (std::int64_t n = 0; n < num_total_; ++n) {
            double* row = to + halo_.row(n) * width;
            for (int x = 0; x < width; ++x)
                row[x] += FixedPoint<T>::value(from, n * width + x, kForceScale);
        }
    }

    void finish() {
        SumSlots sum;
        sum.slots = store_.slots.data();
        sum.num_slots = num_slots_;
        sum.totals = store_.totals.data();
        runtime_.launch(sum, 1, SumSlots::kMaxThreads, sum.shared_bytes());
        if (on_device()) {
            hand_over();
            return;
        }
        handed_over_ = false;
        const std::int64_t forces = outputs_.forces ? 3 * num_total_ * kWords : 0;
        store_.totals.download_later(results_.data(), 0, kSlot);
        store_.flags.download_later(flags_.data(), 0, kNumFlags);
        if (outputs_.forces) store_.forces.download_later(fixed_.data(), 0, forces);
        if (outputs_.centroid_virial)
            store_.centroid_virial.download_later(fixed_.data() + forces, 0,
                                                  9 * num_total_ * kWords);
        if (outputs_.atomic_energies)
            store_.atomic_energies.download_later(results_.data() + kSlot, 0, num_owned_);
        if (batch_) sum_systems();
        if (whole_ && !batch_) runtime_.end_step();
        runtime_.synchronize();
        if (whole_ && flags_.data()[kMoved] != 0) {
            make_list();
            repeat();
            return;
        }
        // A sum that did not fit: the engine says what that means.
        const double* totals = results_.data();
        const bool overflow = flags_.data()[kOverflow] != 0;
        const double nan = overflow ? std::numeric_limits<double>::quiet_NaN() : 0;
        const double* each = batch_ ? sums_of_systems() : totals;
        const std::int64_t count = batch_ ? systems_ : 1;
        for (std::int64_t n = 0; n < count && outputs_.energy; ++n)
            outputs_.energy[n] += each[n] + nan;
        for (std::int64_t n = 0; n < 9 * count && outputs_.virial; ++n)
            outputs_.virial[n] += each[count + n];
        if (outputs_.forces) add_rows(fixed_.data(), 3, outputs_.forces);
        if (outputs_.centroid_virial) add_rows(fixed_.data() + forces, 9, outputs_.centroid_virial);
        for (std::int64_t n = 0; n < num_owned_ && outputs_.atomic_energies; ++n)
            outputs_.atomic_energies[halo_.row(n)] += totals[kSlot + n];
    }

    // Energies, then virials.
    double* sums_of_systems() const {
        return results_.data() + kSlot + (outputs_.atomic_energies ? num_owned_ : 0);
    }

    void sum_systems() {
        SumSystems<T> k{};
        k.systems = systems_;
        k.starts = list_.system_starts();
        k.atomic_energies = store_.atomic_energies.data();
        k.centroid_virial = outputs_.virial ? store_.centroid_virial.data() : nullptr;
        k.scale = kForceScale;
        k.energies = store_.system_sums.data();
        k.virials = store_.system_sums.data() + systems_;
        const std::int64_t blocks = std::min<std::int64_t>((systems_ + 3) / 4, 8192);
        runtime_.launch(k, static_cast<int>(blocks), k.kMaxThreads, 0);
        store_.system_sums.download_later(sums_of_systems(), 0,
                                          (outputs_.virial ? 10 : 1) * systems_);
    }

    std::int64_t systems_ = 0;
    const double* caller_positions_ = nullptr;  // on the device
    std::int64_t num_types_ = -1;  // on the device, the same as in types_
    bool repeating_ = false;
    bool was_on_device_ = false;  // the arrays of the last whole system
    bool handed_over_ = false;  // the last step's flags are still to be looked at
    std::int64_t ahead_ = 0;  // atoms of the next stage that are done
    ListKey given_;
    DomainKey domain_;
    WholeKey key_;
    std::int64_t num_lists_ = 0;
    // Pinned memory of the host
    template <class V>
    using Pinned = HostArray<V, Runtime>;
    Pinned<double> positions_;
    Pinned<std::int32_t> types_;
    Halo<T, Runtime> halo_;
    Pinned<double> results_;
    Pinned<std::int64_t> fixed_;
    Pinned<std::uint32_t> flags_;
};

}  // namespace camlip::cuda

#endif
