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
#include <cstdint>
#include <utility>
#include <vector>

#include "backend.hpp"
#include "list_keys.hpp"
#include "step_data.hpp"

namespace camlip::cuda {

template <class T, class Runtime>
class DeviceBackend final : public Backend, private StepData<T, Runtime> {
    using Base = StepData<T, Runtime>;
    using Base::add_to_caller, Base::at, Base::backward, Base::batch_, Base::caller_positions_,
        Base::checks_moved_, Base::config_, Base::deliver_results, Base::features_bar,
        Base::fetch_results, Base::flags_, Base::folded_, Base::forward, Base::halo_,
        Base::kFeatureScale, Base::kMoved, Base::kOverflow, Base::last_, Base::limits_, Base::list_,
        Base::lists_, Base::num_owned_, Base::num_total_, Base::on_device, Base::outputs_,
        Base::parameters_, Base::plan, Base::positions_, Base::reserve_results, Base::runtime_,
        Base::shape, Base::sizes_, Base::skin_, Base::start, Base::store_, Base::sum_slots,
        Base::systems_, Base::take_atoms, Base::take_positions, Base::tile_, Base::turn,
        Base::whole_, Base::zero_features_bar;

  public:
    DeviceBackend(const Model& model, const BackendOptions& options, Runtime runtime,
                  const Limits& limits)
        : Base(model, options, std::move(runtime), limits) {}

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

    void start_step() {
        // Everything that arguments of kernels and copies depend on, but for addresses of arrays.
        const std::int64_t wanted = (outputs_.forces ? 1 : 0) + (outputs_.virial ? 2 : 0) +
                                    (outputs_.centroid_virial ? 4 : 0) +
                                    (outputs_.atomic_energies ? 8 : 0) + (on_device() ? 16 : 0);
        if (on_device()) take_positions();
        runtime_.begin_step({num_owned_, num_lists_, wanted, tile_});
        start();
    }

    // Results to arrays on the device, behind what is queued.
    void hand_over() {
        if (whole_) runtime_.end_step();
        add_to_caller();
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

    void finish() {
        sum_slots();
        if (on_device()) {
            hand_over();
            return;
        }
        handed_over_ = false;
        fetch_results();
        if (whole_ && flags_.data()[kMoved] != 0) {
            make_list();
            repeat();
            return;
        }
        deliver_results();
    }

    bool repeating_ = false;
    bool was_on_device_ = false;  // the arrays of the last whole system
    bool handed_over_ = false;  // the last step's flags are still to be looked at
    std::int64_t ahead_ = 0;  // atoms of the next stage that are done
    ListKey given_;
    DomainKey domain_;
    WholeKey key_;
    std::int64_t num_lists_ = 0;
};

}  // namespace camlip::cuda

#endif
