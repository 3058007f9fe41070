// SPDX-License-Identifier: MIT
// The stages of a block of atoms, put together from the kernels, and the table of them.
#ifndef CAMLIP_CPU_STAGES_HPP
#define CAMLIP_CPU_STAGES_HPP

#include "cpu/atom_block.hpp"
#include "cpu/messages.hpp"
#include "cpu/moments.hpp"
#include "cpu/radial_series.hpp"
#include "cpu/zbl.hpp"

namespace camlip::cpu::CAMLIP_ISA {

// Row length of what job.moments[layer] holds: edge sums for layer 0, A above.
template <class T>
CAMLIP_INLINE int stored_stride(const Parameters<T>& p, int layer) {
    return layer == 0 ? p.layers[0].depth_stride : p.channel_stride;
}

template <class T>
CAMLIP_INLINE T* stored(const Parameters<T>& p, T* const* arrays, int layer, const Block& block) {
    return arrays[layer] + block.first * p.num_components * stored_stride(p, layer);
}

// D of the block, where the job keeps it.
template <class T>
CAMLIP_INLINE T* stored_contracted(const Parameters<T>& p, const Job<T>& job, int layer,
                                   const Block& block) {
    if (!job.contracted[layer]) return nullptr;
    return job.contracted[layer] + block.first * p.num_components * p.channel_stride;
}

template <class T>
CAMLIP_INLINE void compact_block(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s,
                                 const Block& block) {
    for (int n = 0; n < block.size; ++n) compact_neighbors<T>(p, job, s, block.first + n, n);
    lap(s, Stage::kNeighbors);
}

// Compacts the neighbors of the block and sums over its edges, (components, atoms, depth_stride).
template <class T>
inline void sum_edges(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                      const Block& block, T* sums) {
    const LayerData<T>& data = p.layers[layer];
    const long row_stride = static_cast<long>(block.size) * data.depth_stride;
    compact_block<T>(p, job, s, block);
    for (int n = 0; n < block.size; ++n) {
        const long i = block.first + n;
        T* out = sums + n * data.depth_stride;
        if (layer > 0) {
            messages_forward<T>(p, job, s, data, n, out, row_stride);
            continue;
        }
        if (p.zbl_radii && block.present[n] && (s.with_energies || s.with_forces)) {
            const double energy = zbl_atom<T>(p, job, s, i, n);
            s.energy += energy;
            if (job.atomic_energies) job.atomic_energies[i] += energy;
        }
        moments_forward<T>(p, s, n, out, row_stride);
    }
    lap(s, layer > 0 ? Stage::kMessages : Stage::kMoments);
}

// Adjoint of sum_edges for the neighbors that the scratch holds.
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

// A of a layer below the last: stored, or for layer 0 mixed again into `room`.
template <class T>
inline const T* recall_moments(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                               const Block& block, T* room) {
    const T* kept = stored<T>(p, job.moments, layer, block);
    if (layer > 0) return kept;
    const LayerData<T>& data = p.layers[0];
    mix<T, false>(p, data.mixing, data.depth, block.size, kept, data.depth_stride, room);
    lap(s, Stage::kMixing);
    return room;
}

// A of a layer from its edge sums and, above layer 0, the moments of the layer below.
template <class T>
inline void moments_of(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                       const Block& block, T* a) {
    const LayerData<T>& data = p.layers[layer];
    if (layer == 1) {
        const T* below = stored<T>(p, job.moments, 0, block);
        mix<T, false>(p, data.lower, p.layers[0].depth, block.size, below, p.layers[0].depth_stride,
                      a);
        mix<T, true>(p, data.mixing, data.depth, block.size, s.edge_sums, data.depth_stride, a);
    } else {
        mix<T, false>(p, data.mixing, data.depth, block.size, s.edge_sums, data.depth_stride, a);
        if (layer > 1) {
            const T* below = stored<T>(p, job.moments, layer - 1, block);
            scale_by_rank<T>(p, data.skip, block.size, below, a, true);
        }
    }
    lap(s, Stage::kMixing);
}

// Gradient of moments_of, where s.edge_sums holds the edge sums.
template <class T>
inline void moments_gradient(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                             const Block& block, const T* a_bar) {
    const LayerData<T>& data = p.layers[layer];
    LayerGradient<T>& g = s.gradient->layers[layer];
    mix_gradient<T>(p, block.size, data.depth, s.edge_sums, data.depth_stride, a_bar, g.mixing);
    if (layer == 0) return;
    const T* below = stored<T>(p, job.moments, layer - 1, block);
    if (layer > 1) {
        add_products_by_rank<T>(p, block.size, below, a_bar, g.skip);
        return;
    }
    mix_gradient<T>(p, block.size, p.layers[0].depth, below, p.layers[0].depth_stride, a_bar,
                    g.lower);
}

// Adjoint of moments_of: leaves that of the edge sums in s.edge_sums and writes that of the moments
// of the layer below.
template <class T>
inline void moments_adjoint(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                            const Block& block, const T* a_bar) {
    const LayerData<T>& data = p.layers[layer];
    if (s.gradient) moments_gradient<T>(p, job, s, layer, block, a_bar);
    mix_adjoint<T, false>(p, data.mixing_t, data.depth, block.size, a_bar, s.edge_sums,
                          data.depth_stride);
    T* below = layer > 0 ? stored<T>(p, job.moments_bar, layer - 1, block) : nullptr;
    if (layer == 1) {
        mix_adjoint<T, false>(p, data.lower_t, p.layers[0].depth, block.size, a_bar, below,
                              p.layers[0].depth_stride);
    } else if (layer > 1) {
        scale_by_rank<T>(p, data.skip, block.size, a_bar, below, false);
    }
    lap(s, Stage::kMixingAdjoint);
}

template <class T>
void edges_forward(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                   std::int64_t index) {
    const Block block = block_of(job, index);
    T* out = stored<T>(p, job.moments, layer, block);
    if (layer == 0) {
        sum_edges<T>(p, job, s, layer, block, out);
    } else {
        sum_edges<T>(p, job, s, layer, block, s.edge_sums);
        moments_of<T>(p, job, s, layer, block, out);
    }
}

template <class T>
void atoms_forward(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                   std::int64_t index) {
    const Block block = block_of(job, index);
    const LayerData<T>& data = p.layers[layer];
    const T* a = recall_moments<T>(p, job, s, layer, block, s.a);
    T* const kept = stored_contracted<T>(p, job, layer, block);
    T* const d = kept ? kept : s.d;
    contract<T>(p, data, s, block, a, d);
    invariants_forward<T, true>(p, data, s, block.size, a, d);
    readout<T>(p, layer, job, s, block);
    message_forward<T>(p, data, job, s, block, d);
    lap(s, Stage::kSend);
    if (!job.gradients) return;
    const long size = static_cast<long>(block.size) * p.hidden_stride;
    const long at = block.first * p.hidden_stride;
    __builtin_memcpy(job.hidden[layer] + at, s.hidden, size * sizeof(T));
    __builtin_memcpy(job.hidden_bar[layer] + at, s.hidden_bar, size * sizeof(T));
    if (s.gradient) flush_gradient<T>(*s.gradient, layer, false);
}

template <class T>
void atoms_backward(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                    std::int64_t index) {
    const Block block = block_of(job, index);
    const LayerData<T>& data = p.layers[layer];
    const long size = static_cast<long>(block.size) * p.hidden_stride;
    const long at = block.first * p.hidden_stride;
    __builtin_memcpy(s.hidden, job.hidden[layer] + at, size * sizeof(T));
    __builtin_memcpy(s.hidden_bar, job.hidden_bar[layer] + at, size * sizeof(T));
    const T* a = recall_moments<T>(p, job, s, layer, block, s.a);
    const T* d = stored_contracted<T>(p, job, layer, block);
    if (!d) {
        contract<T>(p, data, s, block, a, s.d);
        scale_by_rank<T>(p, data.contract_skip, block.size, a, s.d, true);
        d = s.d;
    }
    message_adjoint<T>(p, layer, job, s, block, d);
    lap(s, Stage::kSend);
    T* bar = stored<T>(p, job.moments_bar, layer, block);
    if (layer == 0) {
        block_adjoint<T>(p, layer, s, block, a, d, s.a_bar, true, false);
        if (s.gradient) {
            mix_gradient<T>(p, block.size, data.depth, stored<T>(p, job.moments, 0, block),
                            data.depth_stride, s.a_bar, s.gradient->layers[0].mixing);
        }
        mix_adjoint<T, true>(p, data.mixing_t, data.depth, block.size, s.a_bar, bar,
                             data.depth_stride);
        lap(s, Stage::kMixingAdjoint);
    } else {
        block_adjoint<T>(p, layer, s, block, a, d, bar, true, true);
    }
    if (s.gradient) flush_gradient<T>(*s.gradient, layer, false);
}

template <class T>
void edges_backward(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer,
                    std::int64_t index) {
    const Block block = block_of(job, index);
    const T* bar = stored<T>(p, job.moments_bar, layer, block);
    if (s.gradient && layer > 0) {
        sum_edges<T>(p, job, s, layer, block, s.edge_sums);  // its mixing needs them again
    } else {
        compact_block<T>(p, job, s, block);
    }
    if (layer > 0) {
        moments_adjoint<T>(p, job, s, layer, block, bar);
        bar = s.edge_sums;
    }
    scatter_edges<T>(p, job, s, layer, block, bar);
    if (s.gradient && layer > 0) flush_gradient<T>(*s.gradient, layer, false);
}

template <class T>
void turn(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, int layer, std::int64_t index) {
    const Block block = block_of(job, index);
    const LayerData<T>& data = p.layers[layer];
    sum_edges<T>(p, job, s, layer, block, s.edge_sums);
    moments_of<T>(p, job, s, layer, block, s.a);
    contract<T>(p, data, s, block, s.a, s.d);
    invariants_forward<T, true>(p, data, s, block.size, s.a, s.d);
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
    scatter_edges<T>(p, job, s, layer, block, s.edge_sums);
    if (s.gradient) flush_gradient<T>(*s.gradient, layer, false);
}

template <class T>
const Kernels<T>& kernels() {
    static constexpr Kernels<T> table{
        CAMLIP_ISA_NAME,  kLanes<T>,         edges_forward<T>,
        atoms_forward<T>, atoms_backward<T>, edges_backward<T>,
        turn<T>,          flush_gradient<T>, {radial_series, multiply_columns}};
    return table;
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
