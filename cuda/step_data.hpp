// SPDX-License-Identifier: MIT
// What goes to the device before the stages of a step and what comes back after them: from and to
// pinned memory of the host, or arrays of the caller on the device.
#ifndef CAMLIP_CUDA_STEP_DATA_HPP
#define CAMLIP_CUDA_STEP_DATA_HPP

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "device/arrays.hpp"
#include "device/sums.hpp"
#include "halo.hpp"
#include "stage_runs.hpp"

namespace camlip::cuda {

template <class T, class Runtime>
class StepData : protected StageRuns<T, Runtime> {
  protected:
    using Base = StageRuns<T, Runtime>;
    using Base::batch_, Base::kForceScale, Base::kMoved, Base::kOverflow, Base::kWords, Base::last_,
        Base::list_, Base::lists_, Base::num_owned_, Base::num_slots_, Base::num_total_,
        Base::outputs_, Base::runtime_, Base::shape, Base::sizes_, Base::skin_, Base::store_,
        Base::wants_atomic_energies, Base::wants_centroid_virial, Base::whole_;

    StepData(const Model& model, const BackendOptions& options, Runtime runtime,
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

    void sum_slots() {
        SumSlots sum;
        sum.slots = store_.slots.data();
        sum.num_slots = num_slots_;
        sum.totals = store_.totals.data();
        runtime_.launch(sum, 1, SumSlots::kMaxThreads, sum.shared_bytes());
    }

    // To arrays on the device, behind what is queued.
    void add_to_caller() {
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
    }

    // To pinned memory; waits for the device.
    void fetch_results() {
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
    }

    // From there to the caller.
    void deliver_results() {
        const std::int64_t forces = outputs_.forces ? 3 * num_total_ * kWords : 0;
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

    std::int64_t systems_ = 0;
    const double* caller_positions_ = nullptr;  // on the device
    // Pinned memory of the host
    template <class V>
    using Pinned = HostArray<V, Runtime>;
    Pinned<double> positions_;
    Pinned<std::int32_t> types_;
    Halo<T, Runtime> halo_;
    Pinned<double> results_;
    Pinned<std::int64_t> fixed_;
    Pinned<std::uint32_t> flags_;

  private:
    static constexpr int kNumFlags = Storage<T, Runtime>::kNumFlags;

    static int blocks_for(std::int64_t items) {
        return static_cast<int>(std::min<std::int64_t>((items + 255) / 256, 2048));
    }

    // Rows of all atoms, to the order of the caller.
    void add_rows(const std::int64_t* from, int width, double* to) const {
        for (std::int64_t n = 0; n < num_total_; ++n) {
            double* row = to + halo_.row(n) * width;
            for (int x = 0; x < width; ++x)
                row[x] += FixedPoint<T>::value(from, n * width + x, kForceScale);
        }
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

    std::int64_t num_types_ = -1;  // on the device, the same as in types_
};

}  // namespace camlip::cuda

#endif
