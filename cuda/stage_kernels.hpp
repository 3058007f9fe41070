// SPDX-License-Identifier: MIT
// The kernels of the stages with their arguments, for a tile of atoms: what DeviceBackend launches.
#ifndef CAMLIP_CUDA_STAGE_KERNELS_HPP
#define CAMLIP_CUDA_STAGE_KERNELS_HPP

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "backend.hpp"
#include "device/atom_block.hpp"
#include "device/messages_backward.hpp"
#include "device/moments.hpp"
#include "device_neighbors.hpp"
#include "errors.hpp"
#include "parameters.hpp"
#include "storage.hpp"

namespace camlip::cuda {

template <class T, class Runtime>
class StageKernels {
  protected:
    StageKernels(const Model& model, const BackendOptions& options, Runtime runtime,
                 const Limits& limits)
        : runtime_(std::move(runtime)),
          folded_(model, options.active_types),
          sizes_(folded_.sizes()),
          config_(model.config),
          last_(model.config.num_layers - 1),
          limits_(limits),
          skin_(options.skin),
          parameters_(runtime_),
          store_(runtime_, model.config.num_layers),
          list_(runtime_, model.config.cutoff, options.skin, limits.all_pairs) {
        const std::vector<char>& bytes = folded_.bytes();
        parameters_.reserve(static_cast<std::int64_t>(bytes.size()));
        parameters_.upload(bytes.data(), 0, static_cast<std::int64_t>(bytes.size()));
        folded_.place(parameters_.data());
        choose_room(model.name);
    }

    // Sums of each of many systems are those of its atoms.
    bool wants_atomic_energies() const { return outputs_.atomic_energies || batch_; }
    bool wants_centroid_virial() const {
        return outputs_.centroid_virial || (batch_ && outputs_.virial);
    }

    static std::size_t at(int layer) { return static_cast<std::size_t>(layer); }

    // The adjoint of what layer - 1 sends.  The block below reads it while the edges below write the
    // next one.
    const DeviceArray<std::int64_t, Runtime>& features_bar(int layer) const {
        return store_.features_bar[at(layer % 2)];
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
        Geometry g{};
        g.positions = store_.positions.data();
        g.types = store_.types.data();
        if (lists_) {
            g.offsets = list_.offsets();
            g.indices = list_.indices();
            g.shifts = list_.shifts();
        } else {
            g.offsets = store_.offsets.data();
            g.indices = store_.indices.data();
        }
        if (whole_) {
            g.frames = list_.frames();
            g.system_of = batch_ ? list_.system_of() : nullptr;
            g.built = checks_moved_ && !batch_ ? list_.built() : nullptr;
            g.moved = store_.flags.data() + kMoved;
        }
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
        g.centroid_virial = wants_centroid_virial() ? store_.centroid_virial.data() : nullptr;
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
        k.atomic_energies = wants_atomic_energies() ? store_.atomic_energies.data() : nullptr;
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
        k.features_bar = features_bar(layer).data();
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
                k.sent_bar_fixed = features_bar(layer + 1).data() + first * sizes_.width * kWords;
                k.sent_bar_scale = kFeatureScale;
            }
        }
        if (wants_atomic_energies()) k.atomic_energies = store_.atomic_energies.data() + first;
        k.reference_energies = folded_.reference_energies();
        k.slots = store_.slots.data();
        launch(k, (atoms + room_ - 1) / room_, k.kMaxThreads);
    }

    static constexpr std::int64_t kWords = FixedPoint<T>::kWords;
    // Of the sums in fixed point.  Forces: steps of 2e-10 eV/A and up to 2e8 eV/A in float; adjoints of
    // the features, whose scale is the model's, finer and not so far.
    static constexpr double kForceScale = sizeof(T) == 4 ? 4294967296.0 : 1048576.0;
    static constexpr double kFeatureScale = sizeof(T) == 4 ? 68719476736.0 : 1048576.0;

    static constexpr int kOverflow = 0, kMoved = 1;  // of the flags

    Runtime runtime_;
    FoldedModel<T> folded_;
    const Sizes& sizes_;
    Config config_;
    int last_;
    Limits limits_;
    double skin_;
    DeviceArray<char, Runtime> parameters_;
    Storage<T, Runtime> store_;
    DeviceNeighbors<Runtime> list_;  // the one that the device makes
    int room_ = 1;
    bool whole_ = false;
    bool batch_ = false;  // many systems, each whole
    bool checks_moved_ = true;  // layer 0 looks for atoms that moved too far
    bool lists_ = false;  // list_ is used, not the caller's
    Outputs outputs_;
    int num_slots_ = 0;
};

}  // namespace camlip::cuda

#endif
