// SPDX-License-Identifier: MIT
// The backend of a device, whatever Runtime runs its kernels: CUDA (runtime_cuda.hpp) or the
// emulator of the tests.
//
// Edge sums live in a workspace for a tile of atoms, so a stage runs tile by tile, and the calls of
// the engine are put off to where a tile can run through: edges_forward to the atoms stage after
// it, the last layer (when gradients are wanted) and atoms_backward to edges_backward.
#ifndef CAMLIP_CUDA_DEVICE_BACKEND_HPP
#define CAMLIP_CUDA_DEVICE_BACKEND_HPP

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "backend.hpp"
#include "device/atom_block.hpp"
#include "device/messages_backward.hpp"
#include "device/moments.hpp"
#include "device/sums.hpp"
#include "errors.hpp"
#include "parameters.hpp"
#include "storage.hpp"

namespace camlip::cuda {

template <class T, class Runtime>
class DeviceBackend final : public Backend {
  public:
    DeviceBackend(const Model& model, const BackendOptions& options, Runtime runtime,
                  const Limits& limits)
        : runtime_(std::move(runtime)),
          folded_(model, options.active_types),
          sizes_(folded_.sizes()),
          config_(model.config),
          last_(model.config.num_layers - 1),
          limits_(limits),
          parameters_(runtime_),
          store_(runtime_, model.config.num_layers) {
        const std::vector<char>& bytes = folded_.bytes();
        parameters_.reserve(static_cast<std::int64_t>(bytes.size()));
        parameters_.upload(bytes.data(), 0, static_cast<std::int64_t>(bytes.size()));
        folded_.place(parameters_.data());
        choose_room(model.name);
    }

    void begin(const Atoms& atoms, const NeighborList& neighbors, const Outputs& outputs) override {
        outputs_ = outputs;
        num_owned_ = atoms.num_owned;
        num_total_ = atoms.num_total();
        if (num_owned_ == 0) return;
        const std::int64_t edges = neighbors.offsets[num_owned_];
        tile_ = store_.reserve(plan(edges), limits_);
        store_.positions.upload(atoms.positions, 0, 3 * num_total_);
        store_.types.upload(atoms.types, 0, num_total_);
        const ListKey key{neighbors.offsets, neighbors.indices, neighbors.revision, num_owned_,
                          edges};
        if (!(key == list_)) {
            store_.offsets.upload(neighbors.offsets, 0, num_owned_ + 1);
            store_.indices.upload(neighbors.indices, 0, edges);
            list_ = key;
        }
        store_.slots.zero(kMaxSlots * kSlot);
        store_.flags.zero(1);
        if (outputs.forces) store_.forces.zero(3 * num_total_ * kWords);
        if (outputs.centroid_virial) store_.centroid_virial.zero(9 * num_total_ * kWords);
        if (outputs.atomic_energies) store_.atomic_energies.zero(num_owned_);
        num_slots_ = 0;
    }

    void edges_forward(int layer, const double* h) override {
        if (layer == 0 || num_owned_ == 0) return;
        // Rows of owned atoms are there since atoms_forward.
        upload_rows(store_.features[at(layer - 1)], h, num_owned_, num_total_);
    }

    void atoms_forward(int layer, double* h) override {
        if (num_owned_ == 0) return;
        for_tiles([&](std::int64_t first, std::int64_t atoms) {
            sum_edges(layer, first, atoms, layer == 0);
            run_block(layer, BlockMode::kForward, first, atoms);
        });
        const std::int64_t count = num_owned_ * sizes_.width;
        staging_.resize(static_cast<std::size_t>(count));
        store_.features[at(layer)].download(staging_.data(), 0, count);
        std::copy(staging_.begin(), staging_.end(), h);
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
        if (num_owned_ > 0) upload_rows(store_.sent_bar, h_bar, 0, num_owned_);
    }

    void edges_backward(int layer, const double*, double* h_bar) override {
        if (num_owned_ == 0) return;
        if (layer > 0) store_.features_bar.zero(num_total_ * sizes_.width * kWords);
        for_tiles([&](std::int64_t first, std::int64_t atoms) {
            if (layer == last_) sum_edges(layer, first, atoms, false);
            run_block(layer, layer == last_ ? BlockMode::kTurn : BlockMode::kBackward, first,
                      atoms);
            scatter_edges(layer, first, atoms);
        });
        if (layer == 0) {
            finish();
        } else {
            add_fixed(store_.features_bar, num_total_ * sizes_.width, kFeatureScale, h_bar);
        }
    }

    BackendInfo info() const override {
        BackendInfo info;
        info.precision = sizeof(T) == 4 ? "mixed" : "double";
        info.simd = runtime_.name();
        info.radial_table_error = folded_.radial_error().value;
        info.radial_table_derivative_error = folded_.radial_error().derivative;
        info.memory_bytes = parameters_.bytes() + store_.bytes();
        return info;
    }

  private:
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

    static std::size_t at(int layer) { return static_cast<std::size_t>(layer); }

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
        for (int n = 0; n <= last_; ++n) p.sums.push_back(folded_.layer(n).num_sums);
        return p;
    }

    // As many atoms per block as the shared memory likes, and never more than it has.
    void choose_room(const std::string& name) {
        AtomBlock<T> block = block_of(last_ > 0 ? 0 : last_);
        for (block.room = 32; block.room > 1; block.room /= 2) {
            if (block.shared_bytes() <= limits_.preferred_shared) break;
        }
        room_ = block.room;
        const std::size_t most =
            std::max({block.shared_bytes(), moments_forward(0, 0, nullptr).shared_bytes(),
                      moments_backward(0, 0).shared_bytes(),
                      last_ > 0 ? messages_forward(1, 0, 0).shared_bytes() : 0,
                      last_ > 0 ? messages_backward(1, 0, 0).shared_bytes() : 0});
        if (most > runtime_.shared_limit() || sizes_.channels > 4 * AtomBlock<T>::kMaxThreads)
            throw BackendError("backend 'cuda': model '" + name + "' needs " +
                               std::to_string(most) + " bytes of shared memory, the device has " +
                               std::to_string(runtime_.shared_limit()) +
                               "; use backend cpu or precision mixed");
    }

    template <class Body>
    void for_tiles(Body body) {
        for (std::int64_t first = 0; first < num_owned_; first += tile_)
            body(first, std::min(tile_, num_owned_ - first));
    }

    template <class Kernel>
    void launch(const Kernel& kernel, std::int64_t work, int threads) {
        const int blocks = static_cast<int>(std::min<std::int64_t>(work, kMaxSlots));
        num_slots_ = std::max(num_slots_, blocks);
        runtime_.launch(kernel, blocks, threads, kernel.shared_bytes());
    }

    static int round_up(int threads, int most) {
        return std::min(most, (threads + kWarp - 1) / kWarp * kWarp);
    }

    Geometry geometry() const {
        Geometry g;
        g.positions = store_.positions.data();
        g.types = store_.types.data();
        g.offsets = store_.offsets.data();
        g.indices = store_.indices.data();
        g.active = folded_.active();
        g.num_active = folded_.num_active();
        g.num_intervals = folded_.num_intervals();
        g.square = config_.cutoff * config_.cutoff;
        g.scale = folded_.num_intervals() / config_.cutoff;
        return g;
    }

    Gradients<T> gradients() const {
        Gradients<T> g{};
        g.forces = outputs_.forces ? store_.forces.data() : nullptr;
        g.centroid_virial = outputs_.centroid_virial ? store_.centroid_virial.data() : nullptr;
        g.slots = outputs_.virial || outputs_.centroid_virial ? store_.slots.data() : nullptr;
        g.fixed = FixedPoint<T>{kForceScale, store_.flags.data()};
        return g;
    }

    // The sums of layer 0 are kept for all atoms where a layer above needs them again.
    T* kept_sums(std::int64_t first) const {
        return last_ == 0 ? store_.sums.data()
                          : store_.moments[0].data() + first * folded_.layer(0).num_sums;
    }
    T* kept_sums_bar(std::int64_t first) const {
        return last_ == 0 ? store_.sums.data()
                          : store_.moments_bar[0].data() + first * folded_.layer(0).num_sums;
    }
    T* moments(const std::vector<DeviceArray<T, Runtime>>& from, int layer,
               std::int64_t first) const {
        return from[at(layer)].data() + first * sizes_.components * sizes_.channels;
    }

    MomentsForward<T> moments_forward(std::int64_t first, std::int64_t atoms, T* sums) const {
        MomentsForward<T> k{};
        k.geometry = geometry();
        k.repulsion = folded_.repulsion();
        k.sizes = sizes_;
        k.table = folded_.layer(0).table;
        k.radial = folded_.layer(0).radial;
        k.first = first;
        k.atoms = atoms;
        k.sums = sums;
        k.atomic_energies = outputs_.atomic_energies ? store_.atomic_energies.data() : nullptr;
        k.slots = store_.slots.data();
        return k;
    }

    MessagesForward<T> messages_forward(int layer, std::int64_t first, std::int64_t atoms) const {
        MessagesForward<T> k{};
        k.geometry = geometry();
        k.sizes = sizes_;
        k.layer = folded_.layer(layer);
        k.first = first;
        k.atoms = atoms;
        k.features = store_.features[at(layer - 1)].data();
        k.sums = store_.sums.data();
        return k;
    }

    MomentsBackward<T> moments_backward(std::int64_t first, std::int64_t atoms) const {
        MomentsBackward<T> k{};
        k.geometry = geometry();
        k.repulsion = folded_.repulsion();
        k.sizes = sizes_;
        k.table = folded_.layer(0).table;
        k.radial = folded_.layer(0).radial;
        k.first = first;
        k.atoms = atoms;
        k.sums_bar = kept_sums_bar(first);
        k.gradients = gradients();
        return k;
    }

    MessagesBackward<T> messages_backward(int layer, std::int64_t first, std::int64_t atoms) const {
        MessagesBackward<T> k{};
        k.geometry = geometry();
        k.sizes = sizes_;
        k.layer = folded_.layer(layer);
        k.first = first;
        k.atoms = atoms;
        k.features = store_.features[at(layer - 1)].data();
        k.sums_bar = store_.sums.data();
        k.features_bar = store_.features_bar.data();
        k.features_fixed = FixedPoint<T>{kFeatureScale, store_.flags.data()};
        k.gradients = gradients();
        return k;
    }

    // Only what decides its shared memory.
    AtomBlock<T> block_of(int layer) const {
        AtomBlock<T> k{};
        k.sizes = sizes_;
        k.layer = folded_.layer(layer);
        k.room = room_;
        return k;
    }

    void sum_edges(int layer, std::int64_t first, std::int64_t atoms, bool keep) {
        if (layer == 0) {
            const auto k =
                moments_forward(first, atoms, keep ? kept_sums(first) : store_.sums.data());
            launch(k, atoms, round_up(k.tiles(), k.kMaxThreads));
        } else {
            const auto k = messages_forward(layer, first, atoms);
            launch(k, atoms, round_up(k.tiles(), k.kMaxThreads));
        }
    }

    void scatter_edges(int layer, std::int64_t first, std::int64_t atoms) {
        if (layer == 0) {
            launch(moments_backward(first, atoms), atoms, kWarp);
        } else {
            launch(messages_backward(layer, first, atoms), atoms, kWarp);
        }
    }

    void run_block(int layer, BlockMode mode, std::int64_t first, std::int64_t atoms) {
        AtomBlock<T> k = block_of(layer);
        k.mode = mode;
        k.gradients = outputs_.gradients();
        k.atoms = atoms;
        k.types = store_.types.data() + first;
        const bool backward = mode == BlockMode::kBackward;
        if (layer == 0) {
            k.sums = last_ == 0 ? store_.sums.data() : kept_sums(first);
        } else {
            k.below = folded_.layer(layer - 1);
            if (backward) {
                k.kept = moments(store_.moments, layer, first);
            } else {
                k.sums = store_.sums.data();
                if (mode == BlockMode::kForward) k.keep = moments(store_.moments, layer, first);
            }
            if (layer == 1) {
                k.below_sums = kept_sums(first);
                k.below_sums_bar = k.gradients ? kept_sums_bar(first) : nullptr;
            } else {
                k.below_kept = moments(store_.moments, layer - 1, first);
                if (k.gradients) k.below_kept_bar = moments(store_.moments_bar, layer - 1, first);
            }
        }
        if (k.gradients) {
            if (backward && layer > 0) k.kept_bar = moments(store_.moments_bar, layer, first);
            k.sums_bar = layer == 0 ? kept_sums_bar(first) : store_.sums.data();
            k.add_sums_bar = layer == 0 && backward;
        }
        if (layer < last_) {
            k.sent = store_.features[at(layer)].data() + first * sizes_.width;
            if (k.gradients) {
                k.hidden = store_.hidden[at(layer)].data() + first * sizes_.hidden;
                k.hidden_bar = store_.hidden_bar[at(layer)].data() + first * sizes_.hidden;
                k.sent_bar = store_.sent_bar.data() + first * sizes_.width;
            }
        }
        if (outputs_.atomic_energies) k.atomic_energies = store_.atomic_energies.data() + first;
        k.reference_energies = folded_.reference_energies();
        k.slots = store_.slots.data();
        launch(k, (atoms + room_ - 1) / room_, k.kMaxThreads);
    }

    // Rows of h, doubles on the host.
    void upload_rows(DeviceArray<T, Runtime>& to, const double* rows, std::int64_t begin,
                     std::int64_t end) {
        const std::int64_t first = begin * sizes_.width, count = (end - begin) * sizes_.width;
        staging_.resize(static_cast<std::size_t>(count));
        for (std::int64_t n = 0; n < count; ++n)
            staging_[static_cast<std::size_t>(n)] = static_cast<T>(rows[first + n]);
        to.upload(staging_.data(), first, count);
    }

    void add_fixed(const DeviceArray<std::int64_t, Runtime>& from, std::int64_t count, double scale,
                   double* to) {
        fixed_staging_.resize(static_cast<std::size_t>(count * kWords));
        from.download(fixed_staging_.data(), 0, count * kWords);
        for (std::int64_t n = 0; n < count; ++n)
            to[n] += FixedPoint<T>::value(fixed_staging_.data(), n, scale);
    }

    void finish() {
        SumSlots sum;
        sum.slots = store_.slots.data();
        sum.num_slots = num_slots_;
        sum.totals = store_.totals.data();
        runtime_.launch(sum, 1, SumSlots::kMaxThreads, sum.shared_bytes());
        double totals[kSlot];
        std::uint32_t flags = 0;
        store_.totals.download(totals, 0, kSlot);
        store_.flags.download(&flags, 0, 1);
        // A sum that did not fit: the engine says what that means.
        if (flags != 0) totals[0] = std::numeric_limits<double>::quiet_NaN();
        if (outputs_.energy) *outputs_.energy += totals[0];
        for (int n = 0; n < 9 && outputs_.virial; ++n) outputs_.virial[n] += totals[1 + n];
        if (outputs_.forces) add_fixed(store_.forces, 3 * num_total_, kForceScale, outputs_.forces);
        if (outputs_.centroid_virial)
            add_fixed(store_.centroid_virial, 9 * num_total_, kForceScale,
                      outputs_.centroid_virial);
        if (outputs_.atomic_energies) {
            std::vector<double> energies(static_cast<std::size_t>(num_owned_));
            store_.atomic_energies.download(energies.data(), 0, num_owned_);
            for (std::int64_t n = 0; n < num_owned_; ++n)
                outputs_.atomic_energies[n] += energies[static_cast<std::size_t>(n)];
        }
    }

    static constexpr std::int64_t kWords = FixedPoint<T>::kWords;
    // Of the sums in fixed point.  Forces: steps of 2e-10 eV/A and up to 2e8 eV/A in float; adjoints of
    // the features, whose scale is the model's, finer and not so far.
    static constexpr double kForceScale = sizeof(T) == 4 ? 4294967296.0 : 1048576.0;
    static constexpr double kFeatureScale = sizeof(T) == 4 ? 68719476736.0 : 1048576.0;

    Runtime runtime_;
    FoldedModel<T> folded_;
    const Sizes& sizes_;
    Config config_;
    int last_;
    Limits limits_;
    DeviceArray<char, Runtime> parameters_;
    Storage<T, Runtime> store_;
    int room_ = 1;
    Outputs outputs_;
    std::int64_t num_owned_ = 0, num_total_ = 0, tile_ = 1;
    int num_slots_ = 0;
    ListKey list_;
    std::vector<T> staging_;
    std::vector<std::int64_t> fixed_staging_;
};

}  // namespace camlip::cuda

#endif
