// SPDX-License-Identifier: MIT
// The stages of a block of atoms, put together from the kernels, and the table of them.
#ifndef CAMLIP_CPU_STAGES_HPP
#define CAMLIP_CPU_STAGES_HPP

#include "cpu/atom_block.hpp"
#include "cpu/compact.hpp"
#include "cpu/knot_network.hpp"
#include "cpu/messages_adjoint.hpp"
#include "cpu/moments.hpp"
#include "cpu/radial_series.hpp"
#include "cpu/zbl.hpp"

namespace camlip::cpu::CAMLIP_ISA {

// Where the job keeps an array of the block, or nullptr.
template <class T>
CAMLIP_INLINE T* kept(const BlockStore<T>& store, const Job<T>& job, const Block& block) {
    return store.at(block.index, job.num_blocks);
}

template <class T>
CAMLIP_INLINE void compact_block(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s,
                                 const Block& block) {
    for (int n = 0; n < block.size; ++n) compact_neighbors<T>(p, job, s, block.first + n, n);
    lap(s, Stage::kNeighbors);
}

// The sums a of layer 0, (components, atoms, depth_stride), over the edges that the scratch holds.
template <class T>
inline void sum_moments(const Parameters<T>& p, Scratch<T>& s, const Block& block, T* sums) {
    const int stride = p.layers[0].depth_stride;
    for (int n = 0; n < block.size; ++n) {
        moments_forward<T>(p, s, n, sums + n * stride, static_cast<long>(block.size) * stride);
    }
    lap(s, Stage::kMoments);
}

// The same for a layer above.
template <class T>
inline void sum_messages(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                         const Block& block, T* sums) {
    const LayerData<T>& data = p.layers[layer];
    const long row_stride = static_cast<long>(block.size) * data.depth_stride;
    for (int n = 0; n < block.size; ++n) {
        messages_forward<T>(p, job, s, data, n, sums + n * data.depth_stride, row_stride);
    }
    lap(s, Stage::kMessages);
}

// The repulsion at short distances.
template <class T>
inline void add_zbl(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, const Block& block) {
    if (!p.zbl_radii || (!s.with_energies && !s.with_forces)) return;
    for (int n = 0; n < block.size; ++n) {
        if (!block.present[n]) continue;
        const double energy = zbl_atom<T>(p, job, s, block.first + n, n);
        s.energy += energy;
        if (job.atomic_energies) job.atomic_energies[block.first + n] += energy;
    }
    lap(s, Stage::kMoments);
}

// Adjoint of the edge sums of a layer, for the edges that the scratch holds.
template <class T>
inline void scatter_edges(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                          const Block& block, const T* sums_bar) {
    const LayerData<T>& data = p.layers[layer];
    const long row_stride = static_cast<long>(block.size) * data.depth_stride;
    for (int n = 0; n < block.size; ++n) {
        const T* bar = sums_bar + n * data.depth_stride;
        if (layer > 0) {
            messages_backward<T>(p, job, s, layer, block.first + n, n, bar, row_stride);
        } else {
            moments_backward<T>(p, s, block.first + n, n, bar, row_stride);
        }
    }
    lap(s, layer > 0 ? Stage::kMessagesAdjoint : Stage::kMomentsAdjoint);
}

// What the layer below hands on: A, or for layer 0 its edge sums, kept or made again in s.lower.
template <class T>
inline const T* moments_below(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                              const Block& block) {
    const T* below = kept<T>(job.stores[layer - 1].moments, job, block);
    if (below) return below;
    sum_moments<T>(p, s, block, s.lower);
    return s.lower;
}

// A of a layer from its edge sums and, above layer 0, from what the layer below hands on.
template <class T>
inline void moments_of(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                       const Block& block, const T* sums, T* a) {
    const LayerData<T>& data = p.layers[layer];
    const T* below = layer > 0 ? moments_below<T>(p, job, s, layer, block) : nullptr;
    if (layer == 1 && job.keeps_sums) {
        mix<T, false>(p, data.lower, p.layers[0].depth, block.size, below, p.layers[0].depth_stride,
                      a);
        mix<T, true>(p, data.mixing, data.depth, block.size, sums, data.depth_stride, a);
    } else {
        mix<T, false>(p, data.mixing, data.depth, block.size, sums, data.depth_stride, a);
        if (layer > 0) scale_by_rank<T>(p, data.skip, block.size, below, a, true);
    }
    lap(s, Stage::kMixing);
}

// Gradient of moments_of; there is room for everything that it reads.
template <class T>
inline void moments_gradient(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                             const Block& block, const T* sums, const T* a_bar) {
    const LayerData<T>& data = p.layers[layer];
    LayerGradient<T>& g = s.gradient->layers[layer];
    mix_gradient<T>(p, block.size, data.depth, sums, data.depth_stride, a_bar, g.mixing);
    if (layer == 0) return;
    const T* below = kept<T>(job.stores[layer - 1].moments, job, block);
    if (layer > 1) {
        add_products_by_rank<T>(p, block.size, below, a_bar, g.skip);
        return;
    }
    mix_gradient<T>(p, block.size, p.layers[0].depth, below, p.layers[0].depth_stride, a_bar,
                    g.lower);
}

// Adjoint of moments_of and of the edge sums (s.edge_sums).  That of what the layer below hands on
// is kept for it, or goes all the way to its edges at once.
template <class T>
inline void moments_adjoint(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                            const Block& block, const T* a_bar) {
    const LayerData<T>& data = p.layers[layer];
    if (s.gradient) moments_gradient<T>(p, job, s, layer, block, s.edge_sums, a_bar);
    mix_adjoint<T, false>(p, data.mixing_t, data.depth, block.size, a_bar, s.edge_sums,
                          data.depth_stride);
    if (layer == 0) {
        lap(s, Stage::kMixingAdjoint);
        scatter_edges<T>(p, job, s, layer, block, s.edge_sums);
        return;
    }
    T* const room = kept<T>(job.stores[layer - 1].moments_bar, job, block);
    if (layer == 1 && job.keeps_sums) {
        mix_adjoint<T, false>(p, data.lower_t, p.layers[0].depth, block.size, a_bar,
                              room ? room : s.lower, p.layers[0].depth_stride);
    } else {
        scale_by_rank<T>(p, data.skip, block.size, a_bar, room, false);
    }
    lap(s, Stage::kMixingAdjoint);
    scatter_edges<T>(p, job, s, layer, block, s.edge_sums);
    if (!room) scatter_edges<T>(p, job, s, 0, block, s.lower);
}

// Below the last layer.
template <class T>
void forward(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
             std::int64_t index) {
    const Block block = block_of(job, index);
    const LayerData<T>& data = p.layers[layer];
    const LayerStore<T>& store = job.stores[layer];
    T* const moments = kept<T>(store.moments, job, block);
    compact_block<T>(p, job, s, block);
    const bool keeps_sums = layer == 0 && job.keeps_sums;
    T* const a = keeps_sums ? s.a : moments;
    T* const sums = keeps_sums && moments ? moments : s.edge_sums;
    if (layer == 0) {
        add_zbl<T>(p, job, s, block);
        sum_moments<T>(p, s, block, sums);
    } else {
        sum_messages<T>(p, job, s, layer, block, sums);
    }
    moments_of<T>(p, job, s, layer, block, sums, a);
    T* const contracted = kept<T>(store.contracted, job, block);
    T* const d = contracted ? contracted : s.d;
    contract<T>(p, data, s, block, a, d);
    readout<T>(p, layer, job, s, block);
    message_forward<T>(p, data, job, s, block, d);
    lap(s, Stage::kSend);
    if (!job.gradients) return;
    const long bytes = block.size * p.hidden_stride * static_cast<long>(sizeof(T));
    __builtin_memcpy(kept<T>(store.hidden, job, block), s.hidden, bytes);
    T* const hidden_bar = kept<T>(store.hidden_bar, job, block);
    if (hidden_bar) __builtin_memcpy(hidden_bar, s.hidden_bar, bytes);
    if (s.gradient) flush_gradient<T>(*s.gradient, layer, false);
}

// Hidden features and their adjoint from the readout, as `forward` left them.
template <class T>
inline void recall_hidden(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                          const Block& block) {
    const LayerStore<T>& store = job.stores[layer];
    const long bytes = block.size * p.hidden_stride * static_cast<long>(sizeof(T));
    __builtin_memcpy(s.hidden, kept<T>(store.hidden, job, block), bytes);
    const T* hidden_bar = kept<T>(store.hidden_bar, job, block);
    if (hidden_bar) {
        __builtin_memcpy(s.hidden_bar, hidden_bar, bytes);
    } else {
        readout_hidden<T>(p, p.layers[layer], job, s, block, false);
    }
}

// Adjoint of `forward`.
template <class T>
void backward(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
              std::int64_t index) {
    const Block block = block_of(job, index);
    const LayerData<T>& data = p.layers[layer];
    const LayerStore<T>& store = job.stores[layer];
    const T* const moments = kept<T>(store.moments, job, block);
    T* const moments_bar = kept<T>(store.moments_bar, job, block);
    compact_block<T>(p, job, s, block);
    const bool keeps_sums = layer == 0 && job.keeps_sums;
    const T *a = moments, *sums = moments ? moments : s.edge_sums;
    if (keeps_sums) {
        if (!moments) sum_moments<T>(p, s, block, s.edge_sums);
        moments_of<T>(p, job, s, layer, block, sums, s.a);
        a = s.a;
    }
    recall_hidden<T>(p, job, s, layer, block);
    const T* d = kept<T>(store.contracted, job, block);
    if (!d) {
        contract_again<T>(p, data, s, block, a, s.d);
        d = s.d;
    }
    message_adjoint<T>(p, layer, job, s, block, d);
    lap(s, Stage::kSend);
    if (keeps_sums) {
        block_adjoint<T>(p, layer, s, block, a, d, s.a_bar, true, false);
        if (s.gradient) moments_gradient<T>(p, job, s, layer, block, sums, s.a_bar);
        T* const sums_bar = moments_bar ? moments_bar : s.edge_sums;
        if (moments_bar) {
            mix_adjoint<T, true>(p, data.mixing_t, data.depth, block.size, s.a_bar, sums_bar,
                                 data.depth_stride);
        } else {
            mix_adjoint<T, false>(p, data.mixing_t, data.depth, block.size, s.a_bar, sums_bar,
                                  data.depth_stride);
        }
        lap(s, Stage::kMixingAdjoint);
        scatter_edges<T>(p, job, s, layer, block, sums_bar);
    } else {
        block_adjoint<T>(p, layer, s, block, a, d, moments_bar, true, true);
        if (s.gradient) sum_messages<T>(p, job, s, layer, block, s.edge_sums);
        moments_adjoint<T>(p, job, s, layer, block, moments_bar);
    }
    if (s.gradient) flush_gradient<T>(*s.gradient, layer, false);
}

// The last layer, forward and backward.
template <class T>
void turn(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer, std::int64_t index) {
    const Block block = block_of(job, index);
    const LayerData<T>& data = p.layers[layer];
    compact_block<T>(p, job, s, block);
    if (layer == 0) {
        add_zbl<T>(p, job, s, block);
        sum_moments<T>(p, s, block, s.edge_sums);
    } else {
        sum_messages<T>(p, job, s, layer, block, s.edge_sums);
    }
    moments_of<T>(p, job, s, layer, block, s.edge_sums, s.a);
    contract<T>(p, data, s, block, s.a, s.d);
    readout<T>(p, layer, job, s, block);
    for (int n = 0; n < block.size; ++n) {
        if (!block.present[n]) continue;
        const double reference = p.reference_energies[block.types[n]];
        s.energy += reference;
        if (job.atomic_energies) job.atomic_energies[block.first + n] += reference;
    }
    if (!job.gradients) return;
    block_adjoint<T>(p, layer, s, block, s.a, s.d, s.a_bar, false, false);
    moments_adjoint<T>(p, job, s, layer, block, s.a_bar);
    if (s.gradient) flush_gradient<T>(*s.gradient, layer, false);
}

template <class T>
const Kernels<T>& kernels() {
    static constexpr Kernels<T> table{
        CAMLIP_ISA_NAME,  kLanes<T>,         forward<T>,
        backward<T>,      turn<T>,           flush_gradient<T>,
        knots_forward<T>, knots_backward<T>, {radial_series, multiply_columns}};
    return table;
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
