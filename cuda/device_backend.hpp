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
#include "stage_kernels.hpp"

namespace camlip::cuda {

template <class T, class Runtime>
class DeviceBackend final : public Backend, private StageKernels<T, Runtime> {
    using Base = StageKernels<T, Runtime>;
    using Base::at, Base::checks_moved_, Base::config_, Base::features_bar, Base::folded_,
        Base::kFeatureScale, Base::kForceScale, Base::kMoved, Base::kOverflow, Base::kWords,
        Base::last_, Base::limits_, Base::list_, Base::num_slots_, Base::outputs_,
        Base::parameters_, Base::run_block, Base::runtime_, Base::scatter_edges, Base::sizes_,
        Base::skin_, Base::store_, Base::sum_edges, Base::whole_;

  public:
    DeviceBackend(const Model& model, const BackendOptions& options, Runtime runtime,
                  const Limits& limits)
        : Base(model, options, std::move(runtime), limits),
          positions_(runtime_),
          types_(runtime_),
          rows_(runtime_),
          results_(runtime_),
          fixed_(runtime_),
          flags_(runtime_) {
        results_.reserve(kSlot);
        flags_.reserve(kNumFlags);
    }

    bool makes_lists() const override { return true; }

    void begin(const Atoms& atoms, const NeighborList& neighbors, const Outputs& outputs) override {
        outputs_ = outputs;
        whole_ = atoms.whole;
        num_owned_ = atoms.num_owned;
        num_total_ = atoms.num_total();
        repeating_ = false;
        caller_positions_ = atoms.on_device ? atoms.positions : nullptr;
        checks_moved_ = !atoms.on_device;
        runtime_.use_stream(atoms.stream, !atoms.on_device);
        if (num_owned_ == 0) return;
        const std::int64_t edges = whole_ ? 0 : neighbors.offsets[num_owned_];
        const Plan needs = plan(edges);
        tile_ = store_.reserve(needs, limits_);
        take_types(atoms);
        if (!on_device()) {
            positions_.reserve(3 * num_total_);
            std::copy_n(atoms.positions, 3 * num_total_, positions_.data());
        }
        if (whole_) {
            keep_list(atoms);
            reserve_results();
            start_step();
            return;
        }
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

    void edges_forward(int layer, const double* h) override {
        if (layer == 0 || num_owned_ == 0 || whole_) return;
        // Rows of owned atoms are there since atoms_forward.
        upload_rows(store_.features[at(layer - 1)], h, num_owned_, num_total_);
    }

    void atoms_forward(int layer, double* h) override {
        if (num_owned_ == 0) return;
        for_tiles([&](std::int64_t first, std::int64_t atoms) {
            sum_edges(layer, first, atoms, layer == 0);
            run_block(layer, BlockMode::kForward, first, atoms);
        });
        if (whole_ || !h) return;
        const std::int64_t count = num_owned_ * sizes_.width;
        store_.features[at(layer)].download_later(rows_.data(), 0, count);
        runtime_.synchronize();
        std::copy_n(rows_.data(), count, h);
    }

    void atoms_turn(int layer) override {
        if (num_owned_ == 0 || outputs_.gradients()) return;
        for_tiles([&](std::int64_t first, std::int64_t atoms) {
            sum_edges(layer, first, atoms, false);
            run_block(layer, BlockMode::kTurn, first, atoms);
        });
        finish();
    }

    void atoms_backward(int, const double* h_bar) override {
        if (num_owned_ > 0 && !whole_) upload_rows(store_.sent_bar, h_bar, 0, num_owned_);
    }

    void edges_backward(int layer, double* h) override {
        const std::int64_t rows = num_total_ * sizes_.width;
        if (layer > 0 && h) std::fill_n(h, rows, 0.0);  // the features are on the device
        if (num_owned_ == 0) return;
        if (layer > 0) features_bar(layer).zero(rows * kWords);
        for_tiles([&](std::int64_t first, std::int64_t atoms) {
            if (layer == last_) sum_edges(layer, first, atoms, false);
            run_block(layer, layer == last_ ? BlockMode::kTurn : BlockMode::kBackward, first,
                      atoms);
            scatter_edges(layer, first, atoms);
        });
        if (layer == 0) {
            finish();
        } else if (!whole_) {
            features_bar(layer).download_later(fixed_.data(), 0, rows * kWords);
            runtime_.synchronize();
            add_fixed(fixed_.data(), rows, kFeatureScale, h);
        }
    }

    BackendInfo info() const override {
        BackendInfo info;
        info.precision = sizeof(T) == 4 ? "mixed" : "double";
        info.simd = runtime_.name();
        info.radial_table_error = folded_.radial_error().value;
        info.radial_table_derivative_error = folded_.radial_error().derivative;
        info.memory_bytes = parameters_.bytes() + store_.bytes() + list_.bytes();
        return info;
    }

  private:
    static constexpr int kNumFlags = Storage<T, Runtime>::kNumFlags;

    struct ListKey {
        const std::int64_t* offsets = nullptr;
        const std::int32_t* indices = nullptr;
        std::uint64_t revision = 0;
        std::int64_t atoms = -1, edges = 0;
        bool operator==(const ListKey& o) const {
            return offsets == o.offsets && indices == o.indices && revision == o.revision &&
                   atoms == o.atoms && edges == o.edges;
        }
    };

    // What a list of a whole system was made for.
    struct Frame {
        std::int64_t atoms = -1;
        bool has_cell = false;
        std::array<double, 9> cell{};
        std::array<bool, 3> periodic{};
        bool operator==(const Frame& o) const {
            return atoms == o.atoms && has_cell == o.has_cell && cell == o.cell &&
                   periodic == o.periodic;
        }
    };

    Plan plan(std::int64_t edges) const {
        Plan p;
        p.owned = num_owned_;
        p.total = num_total_;
        p.edges = edges;
        p.width = sizes_.width;
        p.hidden = sizes_.hidden;
        p.moments = sizes_.components * sizes_.channels;
        p.gradients = outputs_.gradients();
        p.forces = outputs_.forces != nullptr;
        p.centroid_virial = outputs_.centroid_virial != nullptr;
        p.atomic_energies = outputs_.atomic_energies != nullptr;
        p.whole = whole_;
        for (int n = 0; n <= last_; ++n) p.sums.push_back(folded_.layer(n).num_sums);
        return p;
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
        std::copy_n(atoms.types, num_total_, types_.data());
        num_types_ = -1;
        if (!on_device()) return;
        store_.types.upload_later(types_.data(), 0, num_total_);
        num_types_ = num_total_;
    }

    template <class Body>
    void for_tiles(Body body) {
        for (std::int64_t first = 0; first < num_owned_; first += tile_)
            body(first, std::min(tile_, num_owned_ - first));
    }

    // The list of the last call, where it may still hold.
    void keep_list(const Atoms& atoms) {
        Frame frame;
        frame.atoms = num_owned_;
        frame.has_cell = atoms.cell != nullptr;
        if (atoms.cell) std::copy_n(atoms.cell, 9, frame.cell.begin());
        frame.periodic = atoms.periodic;
        if (frame == frame_) return;
        frame_ = frame;
        make_list();
    }

    void make_list() {
        Frame frame;
        std::swap(frame, frame_);  // a failure leaves none
        if (!on_device()) store_.positions.upload_later(positions_.data(), 0, 3 * num_total_);
        list_.build(on_device() ? caller_positions_ : store_.positions.data(), num_owned_,
                    num_total_, frame.has_cell ? frame.cell.data() : nullptr, frame.periodic);
        frame_ = frame;
        ++num_lists_;
    }

    // Pinned memory for all that comes back, before a step is recorded.
    void reserve_results() {
        std::int64_t most = 0;
        if (on_device()) return;
        if (outputs_.forces) most += 3 * num_total_ * kWords;
        if (outputs_.centroid_virial) most += 9 * num_total_ * kWords;
        if (!whole_) {
            most = std::max(most, num_total_ * sizes_.width * kWords);
            rows_.reserve(num_total_ * sizes_.width);
        }
        fixed_.reserve(most);
        results_.reserve(kSlot + (outputs_.atomic_energies ? num_owned_ : 0));
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
        if (outputs_.centroid_virial) store_.centroid_virial.zero(9 * num_total_ * kWords);
        if (outputs_.atomic_energies) store_.atomic_energies.zero(num_owned_);
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

    // Rows of h, doubles on the host.
    void upload_rows(DeviceArray<T, Runtime>& to, const double* rows, std::int64_t begin,
                     std::int64_t end) {
        const std::int64_t first = begin * sizes_.width, count = (end - begin) * sizes_.width;
        for (std::int64_t n = 0; n < count; ++n) rows_.data()[n] = static_cast<T>(rows[first + n]);
        to.upload_later(rows_.data(), first, count);
    }

    static void add_fixed(const std::int64_t* from, std::int64_t count, double scale, double* to) {
        for (std::int64_t n = 0; n < count; ++n) to[n] += FixedPoint<T>::value(from, n, scale);
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
        if (whole_) runtime_.end_step();
        runtime_.synchronize();
        if (whole_ && flags_.data()[kMoved] != 0) {
            make_list();
            repeat();
            return;
        }
        // A sum that did not fit: the engine says what that means.
        const double* totals = results_.data();
        const bool overflow = flags_.data()[kOverflow] != 0;
        if (outputs_.energy)
            *outputs_.energy += overflow ? std::numeric_limits<double>::quiet_NaN() : totals[0];
        for (int n = 0; n < 9 && outputs_.virial; ++n) outputs_.virial[n] += totals[1 + n];
        if (outputs_.forces) add_fixed(fixed_.data(), 3 * num_total_, kForceScale, outputs_.forces);
        if (outputs_.centroid_virial)
            add_fixed(fixed_.data() + forces, 9 * num_total_, kForceScale,
                      outputs_.centroid_virial);
        for (std::int64_t n = 0; n < num_owned_ && outputs_.atomic_energies; ++n)
            outputs_.atomic_energies[n] += totals[kSlot + n];
    }

    std::int64_t num_owned_ = 0, num_total_ = 0, tile_ = 1;
    const double* caller_positions_ = nullptr;  // on the device
    std::int64_t num_types_ = -1;  // on the device, the same as in types_
    bool repeating_ = false;
    bool handed_over_ = false;  // the last step's flags are still to be looked at
    ListKey given_;
    Frame frame_;
    std::int64_t num_lists_ = 0;
    // Pinned memory of the host
    template <class V>
    using Pinned = HostArray<V, Runtime>;
    Pinned<double> positions_;
    Pinned<std::int32_t> types_;
    Pinned<T> rows_;
    Pinned<double> results_;
    Pinned<std::int64_t> fixed_;
    Pinned<std::uint32_t> flags_;
};

}  // namespace camlip::cuda

#endif
