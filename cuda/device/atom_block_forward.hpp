// SPDX-License-Identifier: MIT
// The forward half of the block of an atom (atom_block.hpp).
#ifndef CAMLIP_CUDA_DEVICE_ATOM_BLOCK_FORWARD_HPP
#define CAMLIP_CUDA_DEVICE_ATOM_BLOCK_FORWARD_HPP

#include "device/atom_block_layout.hpp"
#include "device/contraction_generated.hpp"

namespace camlip::cuda {

template <class T>
struct AtomBlockForward : AtomBlockLayout<T> {
    using Layout = AtomBlockLayout<T>;
    using Layout::atomic_energies, Layout::atoms, Layout::below, Layout::below_kept,
        Layout::below_sums, Layout::for_columns, Layout::gradients, Layout::hidden,
        Layout::hidden_bar, Layout::hidden_stride, Layout::keep, Layout::kept, Layout::layer,
        Layout::mode, Layout::num_invariants, Layout::reference_energies, Layout::room,
        Layout::sent, Layout::sizes, Layout::stride, Layout::sums;
    using typename Layout::Contract;
    using typename Layout::Mixing;
    using typename Layout::Shared;

  protected:
    // Copies A (atoms, components, C) of the tile between device and shared memory.
    template <class Block>
    CAMLIP_DEVICE void load_moments(Block& block, const T* from, std::int64_t at, int size,
                                    T* to) const {
        const int fours = sizes.channels / 4;
        for (int n = block.thread(); n < room * sizes.components * fours; n += block.threads()) {
            const int row = n / fours, atom = row % room, m = row / room, c = n % fours * 4;
            const std::int64_t i = at + (atom < size ? atom : size - 1);
            store4(to + row * stride() + c,
                   load4(from + (i * sizes.components + m) * sizes.channels + c));
        }
    }

    template <class Block>
    CAMLIP_DEVICE void mix(Block& block, const LayerData<T>& data, const T* from, std::int64_t at,
                           int size, const T* skipped, T* to) const {
        multiply_ranks<false, T>(
            block, sizes.max_rank, room, Mixing{&data, sizes.channels},
            [&](int l, int row) {
                const int atom = row % room;
                return from + (at + (atom < size ? atom : size - 1)) * data.num_sums +
                       data.sum_offset[l] + row / room * data.depth[l];
            },
            [&](int l, int row, int column, Four<T> value) {
                const int place = (l * l * room + row) * stride() + column;
                if (skipped) {
                    const Four<T> w = load4(layer.skip + l * sizes.channels + column);
                    const Four<T> lower = load4(skipped + place);
                    for (int x = 0; x < 4; ++x) value.v[x] += w.v[x] * lower.v[x];
                }
                store4(to + place, value);
            });
    }

    template <class Block>
    CAMLIP_DEVICE void moments(Block& block, const Shared& s, std::int64_t at, int size) const {
        if (!sums) {
            load_moments(block, kept, at, size, s.a);
        } else if (!layer.skip) {
            mix(block, layer, sums, at, size, nullptr, s.a);
        } else {
            if (below_sums) {
                mix(block, below, below_sums, at, size, nullptr, s.b);
            } else {
                load_moments(block, below_kept, at, size, s.b);
            }
            block.sync();
            mix(block, layer, sums, at, size, s.b, s.a);
        }
        block.sync();
        if (!keep) return;
        const int fours = sizes.channels / 4;
        for (int n = block.thread(); n < room * sizes.components * fours; n += block.threads()) {
            const int row = n / fours, atom = row % room, m = row / room, c = n % fours * 4;
            if (atom < size)
                store4(keep + ((at + atom) * sizes.components + m) * sizes.channels + c,
                       load4(s.a + row * stride() + c));
        }
    }

    // D (b) from A (a), by way of B.
    template <class Block>
    CAMLIP_DEVICE void contract(Block& block, const Shared& s) const {
        const int step = room * stride(), channels = sizes.channels;
        for_columns(block, [&](int atom, int c) {
            const int at = atom * stride() + c;
            const T* w = layer.path_weight + s.types[atom] * sizes.num_paths * channels + c;
            switch (sizes.max_rank) {
                case 0: s.b[at] = 0; break;
                case 1: contraction_forward_1(s.a + at, w, s.b + at, step, channels); break;
                case 2: contraction_forward_2(s.a + at, w, s.b + at, step, channels); break;
                default: contraction_forward_3(s.a + at, w, s.b + at, step, channels); break;
            }
        });
        block.sync();
        multiply_ranks<true, T>(
            block, sizes.max_rank, room, Contract{layer.contract, channels},
            [&](int l, int row) { return s.b + (l * l * room + row) * stride(); },
            [&](int l, int row, int column, Four<T> value) {
                const int place = (l * l * room + row) * stride() + column;
                const Four<T> w = load4(layer.contract_skip + l * channels + column);
                const Four<T> a = load4(s.a + place);
                for (int x = 0; x < 4; ++x) value.v[x] += w.v[x] * a.v[x];
                store4(s.b + place, value);
            });
        block.sync();
    }

    template <class Block>
    CAMLIP_DEVICE void invariants(Block& block, const Shared& s) const {
        const int step = room * stride(), ranks = sizes.max_rank + 1;
        for_columns(block, [&](int atom, int c) {
            const int at = atom * stride() + c;
            for (int l = 0; l < ranks; ++l) {
                T aa = 0, da = 0, dd = 0;
                for (int m = l * l; m < (l + 1) * (l + 1); ++m) {
                    const T x = s.a[m * step + at], y = s.b[m * step + at];
                    aa += x * x;
                    da += x * y;
                    dd += y * y;
                }
                s.c[l * step + at] = l == 0 ? s.a[at] : aa;
                s.c[(ranks + l) * step + at] = da;
                s.c[(2 * ranks + l) * step + at] = dd;
            }
        });
        block.sync();
    }

    // x (atoms, H) times a matrix (H, columns)
    template <class Block, class Out>
    CAMLIP_DEVICE void multiply_hidden(Block& block, const Shared& s, const T* x, const T* w,
                                       int columns, Out out) const {
        const int length = sizes.hidden % 8 == 0 ? 8 : 4;
        multiply_split<T>(
            block, room, columns, sizes.hidden / length, length, length,
            [&](int row) { return x + row * hidden_stride(); }, w, s.partial, out);
    }

    template <class Block>
    CAMLIP_DEVICE void readout(Block& block, const Shared& s, std::int64_t at, int size,
                               double& energy) const {
        const int hs = hidden_stride();
        multiply_split<T>(
            block, room, sizes.hidden, num_invariants(), sizes.channels, room * stride(),
            [&](int row) { return s.c + row * stride(); }, layer.hidden, s.partial,
            [&](int atom, int n, T value) {
                value += layer.hidden_bias[s.types[atom] * sizes.hidden + n];
                s.hidden[atom * hs + n] = value;
                s.active[atom * hs + n] = silu(value);
            });
        multiply_hidden(block, s, s.active, layer.readout, sizes.hidden,
                        [&](int atom, int n, T value) {
                            value += layer.readout_bias[n];
                            const T w = layer.readout_output[n];
                            s.slope[atom * hs + n] = w * silu_derivative(value);
                            s.hidden_bar[atom * hs + n] = w * silu(value);
                        });
        const int lane = block.thread() % kWarp;
        for (int atom = block.thread() / kWarp; atom < room; atom += block.threads() / kWarp) {
            double sum = 0;
            for (int n = lane; n < sizes.hidden; n += kWarp) sum += s.hidden_bar[atom * hs + n];
            sum = sum_warp(block, sum);
            if (lane != 0) continue;
            if (mode == BlockMode::kTurn) sum += reference_energies[s.types[atom]];
            s.energies[atom] = s.present[atom] ? sum : 0;
            if (atomic_energies && s.present[atom]) atomic_energies[at + atom] += sum;
        }
        block.sync();
        if (block.thread() == 0) {
            for (int atom = 0; atom < size; ++atom) energy += s.energies[atom];
        }
        if (!gradients) return;
        multiply_hidden(
            block, s, s.slope, layer.readout_t, sizes.hidden, [&](int atom, int n, T value) {
                s.hidden_bar[atom * hs + n] = value * silu_derivative(s.hidden[atom * hs + n]);
            });
    }

    // Gates SiLU(h) W_m and vectors Gamma D1 of a message; SiLU(h) is in `active`.
    template <class Block>
    CAMLIP_DEVICE void message_parts(Block& block, const Shared& s) const {
        const int gs = sizes.sent_padded + 4, vs = sizes.vectors_padded + 4;
        multiply_hidden(block, s, s.active, layer.message, sizes.sent_padded,
                        [&](int atom, int q, T value) { s.gates[atom * gs + q] = value; });
        multiply_split<T>(
            block, 3 * room, sizes.vectors_padded, sizes.channels / 4, 4, 4,
            [&](int row) { return s.b + (room + row) * stride(); }, layer.vector, s.partial,
            [&](int row, int p, T value) { s.vectors[row * vs + p] = value; });
    }

    template <class Block>
    CAMLIP_DEVICE void message(Block& block, const Shared& s, std::int64_t at, int size) const {
        message_parts(block, s);
        const int gs = sizes.sent_padded + 4, vs = sizes.vectors_padded + 4;
        for (int n = block.thread(); n < size * sizes.width; n += block.threads()) {
            const int atom = n / sizes.width, c = n % sizes.width - sizes.scalars;
            T value = 0;
            if (s.present[atom]) {
                if (c < 0) {
                    value = s.gates[atom * gs + c + sizes.scalars];
                } else {
                    const int x = c / sizes.vectors, p = c % sizes.vectors;
                    value = s.gates[atom * gs + sizes.scalars + p] *
                            s.vectors[(x * room + atom) * vs + p];
                }
            }
            sent[at * sizes.width + n] = value;
        }
        if (!gradients) return;
        for (int n = block.thread(); n < size * sizes.hidden; n += block.threads()) {
            const int place = n / sizes.hidden * hidden_stride() + n % sizes.hidden;
            hidden[at * sizes.hidden + n] = s.hidden[place];
            hidden_bar[at * sizes.hidden + n] = s.hidden_bar[place];
        }
    }
};

}  // namespace camlip::cuda

#endif
