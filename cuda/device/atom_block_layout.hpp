// SPDX-License-Identifier: MIT
// What the block of an atom (atom_block.hpp) reads and writes, and its shared memory.
#ifndef CAMLIP_CUDA_DEVICE_ATOM_BLOCK_LAYOUT_HPP
#define CAMLIP_CUDA_DEVICE_ATOM_BLOCK_LAYOUT_HPP

#include "device/linear.hpp"
#include "device/model.hpp"

namespace camlip::cuda {

enum class BlockMode { kForward, kTurn, kBackward };

template <class T>
struct AtomBlockLayout {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = sizeof(T) == 4 ? 2 : 1;
    Sizes sizes;
    LayerData<T> layer, below;  // `below` above layer 0
    BlockMode mode;
    bool gradients;
    int room;
    // Pointers to atoms begin at the first atom of the tile.
    std::int64_t atoms;
    const std::int32_t* types;
    const T* sums;  // (atoms, num_sums) of this layer, or null: A is in `kept`
    const T* kept;  // (atoms, components, C)
    T* keep;  // the same to write, or null
    const T* below_sums;  // of layer 0, or null: `below_kept`
    const T* below_kept;
    // Adjoints
    const T* kept_bar;  // what the layer above left of A_bar, or null
    T* sums_bar;
    bool add_sums_bar;
    T* below_sums_bar;  // (layer 0), or null: `below_kept_bar`
    T* below_kept_bar;
    T *hidden, *hidden_bar;  // (atoms, H), from kForward to kBackward
    T* sent;  // (atoms, width), written
    const std::int64_t* sent_bar_fixed;  // (atoms, width)
    double sent_bar_scale;
    double* atomic_energies;  // (atoms), or null
    const double* reference_energies;  // (T), added by kTurn
    double* slots;

    CAMLIP_SHARED_CODE int stride() const { return sizes.channels + 4; }
    CAMLIP_SHARED_CODE int hidden_stride() const { return sizes.hidden + 4; }
    CAMLIP_SHARED_CODE int num_invariants() const { return 3 * (sizes.max_rank + 1); }

    struct Shared {
        T *a, *b, *c, *d1_bar, *partial;
        T *hidden, *hidden_bar, *active, *slope;  // (atoms, H)
        T *gates, *gates_bar, *vectors, *vectors_bar;  // (atoms, Q), (3, atoms, P1)
        double* energies;
        std::int32_t *types, *present;
        CAMLIP_SHARED_CODE Shared(Carver& carver, const AtomBlockLayout& k) {
            const int n = k.room, wide = n * k.stride(), narrow = n * k.hidden_stride();
            const int inner =
                k.num_invariants() > k.sizes.components ? k.num_invariants() : k.sizes.components;
            a = carver.take<T>(k.sizes.components * wide);
            b = carver.take<T>(k.sizes.components * wide);
            c = carver.take<T>(inner * wide);
            int most = split_room(n, k.sizes.hidden, kMaxThreads);
            if (k.layer.message) {
                d1_bar = carver.take<T>(3 * wide);
                gates = carver.take<T>(n * (k.sizes.sent_padded + 4));
                gates_bar = carver.take<T>(n * (k.sizes.sent_padded + 4));
                vectors = carver.take<T>(3 * n * (k.sizes.vectors_padded + 4));
                vectors_bar = carver.take<T>(3 * n * (k.sizes.vectors_padded + 4));
                const int sent = split_room(n, k.sizes.sent_padded, kMaxThreads);
                const int vector = split_room(3 * n, k.sizes.vectors_padded, kMaxThreads);
                most = most > sent ? most : sent;
                most = most > vector ? most : vector;
            }
            partial = carver.take<T>(most);
            hidden = carver.take<T>(narrow);
            hidden_bar = carver.take<T>(narrow);
            active = carver.take<T>(narrow);
            slope = carver.take<T>(narrow);
            energies = carver.take<double>(n);
            types = carver.take<std::int32_t>(n);
            present = carver.take<std::int32_t>(n);
        }
    };

    std::size_t shared_bytes() const {
        Carver carver(nullptr);
        const Shared s(carver, *this);
        return carver.bytes();
    }

  protected:
    // Matrices of the ranks
    struct Mixing {  // edge sums to A
        const LayerData<T>* layer;
        int channels;
        CAMLIP_DEVICE int depth(int l) const { return layer->depth[l]; }
        CAMLIP_DEVICE int columns(int) const { return channels; }
        CAMLIP_DEVICE const T* weight(int l) const { return layer->mixing[l]; }
    };
    struct MixingAdjoint {
        const LayerData<T>* layer;
        int channels;
        CAMLIP_DEVICE int depth(int) const { return channels; }
        CAMLIP_DEVICE int columns(int l) const { return layer->depth[l]; }
        CAMLIP_DEVICE const T* weight(int l) const { return layer->mixing_t[l]; }
    };
    struct Contract {
        const T* const* matrices;
        int channels;
        CAMLIP_DEVICE int depth(int) const { return channels; }
        CAMLIP_DEVICE int columns(int) const { return channels; }
        CAMLIP_DEVICE const T* weight(int l) const { return matrices[l]; }
    };

    // Calls body(atom, channel) for all columns, spread over the threads.
    template <class Block, class Body>
    CAMLIP_DEVICE void for_columns(Block& block, Body body) const {
        for (int n = block.thread(); n < room * sizes.channels; n += block.threads())
            body(n / sizes.channels, n % sizes.channels);
    }
};

}  // namespace camlip::cuda

#endif
