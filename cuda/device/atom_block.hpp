// SPDX-License-Identifier: MIT
// The block of an atom, A -> B -> D -> invariants -> h -> energy, and its adjoint (eqs. 4-9, 13 and
// their primes), for `room` atoms at a time so that weights are read once for all of them.
//
// Three tensors (rows, atoms, channels) in shared memory, of whose columns a thread owns some:
//
//     a       A
//     b       B -> D in place -> A_bar
//     c       invariants -> their adjoint -> D_bar -> B_bar in place
#ifndef CAMLIP_CUDA_DEVICE_ATOM_BLOCK_HPP
#define CAMLIP_CUDA_DEVICE_ATOM_BLOCK_HPP

#include "device/atom_block_forward.hpp"

namespace camlip::cuda {

template <class T>
struct AtomBlock : AtomBlockForward<T> {
    using Forward = AtomBlockForward<T>;
    using Forward::add_sums_bar, Forward::atoms, Forward::below, Forward::below_kept_bar,
        Forward::below_sums_bar, Forward::contract, Forward::for_columns, Forward::gradients,
        Forward::hidden, Forward::hidden_bar, Forward::hidden_stride, Forward::invariants,
        Forward::kept_bar, Forward::layer, Forward::message, Forward::message_parts, Forward::mode,
        Forward::moments, Forward::num_invariants, Forward::readout, Forward::room,
        Forward::sent_bar_fixed, Forward::sent_bar_scale, Forward::sizes, Forward::slots,
        Forward::stride, Forward::sums, Forward::sums_bar, Forward::types;
    using typename Forward::Contract;
    using typename Forward::MixingAdjoint;
    using typename Forward::Shared;

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        Carver carver(block.shared());
        const Shared s(carver, *this);
        double energy = 0;
        for (std::int64_t at = std::int64_t{block.index()} * room; at < atoms;
             at += std::int64_t{block.count()} * room) {
            const int size = atoms - at < room ? static_cast<int>(atoms - at) : room;
            block.sync();
            for (int n = block.thread(); n < room; n += block.threads()) {
                const std::int32_t type = types[at + (n < size ? n : size - 1)];
                s.types[n] = type < 0 ? 0 : type;
                s.present[n] = type >= 0 && n < size;
            }
            block.sync();
            run(block, s, at, size, energy);
        }
        if (mode != BlockMode::kBackward && block.thread() == 0)
            slots[block.index() * kSlot] += energy;
    }

  private:
    template <class Block>
    CAMLIP_DEVICE void run(Block& block, const Shared& s, std::int64_t at, int size,
                           double& energy) const {
        moments(block, s, at, size);
        contract(block, s);
        if (mode == BlockMode::kBackward) {
            recall_hidden(block, s, at, size);
            message_adjoint(block, s, at);
        } else {
            invariants(block, s);
            readout(block, s, at, size, energy);
            if (mode == BlockMode::kForward) {
                message(block, s, at, size);
                return;
            }
            if (!gradients) return;
        }
        block_adjoint(block, s, at, size);
        moments_adjoint(block, s, at, size);
    }

    template <class Block>
    CAMLIP_DEVICE void recall_hidden(Block& block, const Shared& s, std::int64_t at,
                                     int size) const {
        for (int n = block.thread(); n < room * sizes.hidden; n += block.threads()) {
            const int atom = n / sizes.hidden, column = n % sizes.hidden;
            const int place = atom * hidden_stride() + column;
            const std::int64_t from =
                (at + (atom < size ? atom : size - 1)) * sizes.hidden + column;
            s.hidden[place] = hidden[from];
            s.hidden_bar[place] = hidden_bar[from];
            s.active[place] = silu(s.hidden[place]);
        }
        block.sync();
    }

    CAMLIP_DEVICE T sent_adjoint(std::int64_t n) const {
        return static_cast<T>(FixedPoint<T>::value(sent_bar_fixed, n, sent_bar_scale));
    }

    // Adds to hidden_bar and leaves D_bar of components 1 to 3 in d1_bar.
    template <class Block>
    CAMLIP_DEVICE void message_adjoint(Block& block, const Shared& s, std::int64_t at) const {
        message_parts(block, s);
        const int gs = sizes.sent_padded + 4, vs = sizes.vectors_padded + 4, p0 = sizes.scalars;
        for (int n = block.thread(); n < room * sizes.sent_padded; n += block.threads()) {
            const int atom = n / sizes.sent_padded, q = n % sizes.sent_padded, p = q - p0;
            T gate_bar = 0;
            if (s.present[atom] && q < sizes.sent) {
                const std::int64_t bar = (at + atom) * sizes.width;
                if (p < 0) {
                    gate_bar = sent_adjoint(bar + q);
                } else {
                    for (int x = 0; x < 3; ++x) {
                        gate_bar += sent_adjoint(bar + p0 + x * sizes.vectors + p) *
                                    s.vectors[(x * room + atom) * vs + p];
                    }
                }
            }
            s.gates_bar[atom * gs + q] = gate_bar;
        }
        for (int n = block.thread(); n < 3 * room * sizes.vectors_padded; n += block.threads()) {
            const int row = n / sizes.vectors_padded, p = n % sizes.vectors_padded;
            const int atom = row % room, x = row / room;
            T bar = 0;
            if (s.present[atom] && p < sizes.vectors) {
                bar = sent_adjoint((at + atom) * sizes.width + p0 + x * sizes.vectors + p) *
                      s.gates[atom * gs + p0 + p];
            }
            s.vectors_bar[row * vs + p] = bar;
        }
        block.sync();
        multiply<T>(
            block, 3 * room, sizes.channels, sizes.vectors_padded,
            [&](int row) { return s.vectors_bar + row * vs; }, layer.vector_t,
            [&](int row, int column, Four<T> value) {
                store4(s.d1_bar + row * stride() + column, value);
            });
        multiply<T>(
            block, room, sizes.hidden, sizes.sent_padded,
            [&](int row) { return s.gates_bar + row * gs; }, layer.message_t,
            [&](int atom, int column, Four<T> value) {
                for (int x = 0; x < 4; ++x) {
                    const int place = atom * hidden_stride() + column + x;
                    s.hidden_bar[place] += value.v[x] * silu_derivative(s.hidden[place]);
                }
            });
        block.sync();
    }

    // From hidden_bar to A_bar (b).
    template <class Block>
    CAMLIP_DEVICE void block_adjoint(Block& block, const Shared& s, std::int64_t at,
                                     int size) const {
        const int step = room * stride(), channels = sizes.channels, ranks = sizes.max_rank + 1;
        multiply<T>(
            block, room, num_invariants() * channels, sizes.hidden,
            [&](int row) { return s.hidden_bar + row * hidden_stride(); }, layer.hidden_t,
            [&](int atom, int column, Four<T> value) {
                store4(s.c + column / channels * step + atom * stride() + column % channels, value);
            });
        block.sync();
        for_columns(block, [&](int atom, int c) {
            const int column = atom * stride() + c;
            T bar[3][4];
            CAMLIP_UNROLL
            for (int l = 0; l < 4; ++l) {
                CAMLIP_UNROLL
                for (int n = 0; n < 3; ++n)
                    bar[n][l] = l < ranks ? s.c[(n * ranks + l) * step + column] : T(0);
            }
            const std::int64_t i = at + (atom < size ? atom : size - 1);
            CAMLIP_UNROLL
            for (int l = 0; l < 4; ++l) {
                if (l >= ranks) break;
                const T skip = layer.contract_skip[l * channels + c];
                for (int m = l * l; m < (l + 1) * (l + 1); ++m) {
                    const int place = m * step + column;
                    const T x = s.a[place], y = s.b[place];
                    T d_bar = bar[1][l] * x + 2 * bar[2][l] * y;
                    if (mode == BlockMode::kBackward && l == 1)
                        d_bar += s.d1_bar[(m - 1) * step + column];
                    T a_bar =
                        bar[1][l] * y + skip * d_bar + (l == 0 ? bar[0][l] : 2 * bar[0][l] * x);
                    if (kept_bar) a_bar += kept_bar[(i * sizes.components + m) * channels + c];
                    s.b[place] = a_bar;
                    s.c[place] = d_bar;
                }
            }
        });
        block.sync();
        multiply_ranks<true, T>(
            block, sizes.max_rank, room, Contract{layer.contract_t, channels},
            [&](int l, int row) { return s.c + (l * l * room + row) * stride(); },
            [&](int l, int row, int column, Four<T> value) {
                store4(s.c + (l * l * room + row) * stride() + column, value);
            });
        block.sync();
        for_columns(block, [&](int atom, int c) {
            const int column = atom * stride() + c;
            const T* w = layer.path_weight + s.types[atom] * sizes.num_paths * channels + c;
            const T *a = s.a + column, *b_bar = s.c + column;
            T* a_bar = s.b + column;
            switch (sizes.max_rank) {
                case 0: break;
                case 1: contraction_adjoint_1(a, w, b_bar, a_bar, step, channels); break;
                case 2: contraction_adjoint_2(a, w, b_bar, a_bar, step, channels); break;
                default: contraction_adjoint_3(a, w, b_bar, a_bar, step, channels); break;
            }
        });
        block.sync();
    }

    template <class Block>
    CAMLIP_DEVICE void mix_adjoint(Block& block, const LayerData<T>& data, const T* from,
                                   std::int64_t at, int size, bool add, T* to) const {
        multiply_ranks<false, T>(
            block, sizes.max_rank, room, MixingAdjoint{&data, sizes.channels},
            [&](int l, int row) { return from + (l * l * room + row) * stride(); },
            [&](int l, int row, int column, Four<T> value) {
                const int atom = row % room;
                if (atom >= size) return;
                T* out = to + (at + atom) * data.num_sums + data.sum_offset[l] +
                         row / room * data.depth[l] + column;
                if (add) {
                    const Four<T> old = load4(out);
                    for (int x = 0; x < 4; ++x) value.v[x] += old.v[x];
                }
                store4(out, value);
            });
    }

    // From A_bar (b) to the adjoints of the edge sums and of the moments of the layer below.
    template <class Block>
    CAMLIP_DEVICE void moments_adjoint(Block& block, const Shared& s, std::int64_t at,
                                       int size) const {
        mix_adjoint(block, layer, s.b, at, size, add_sums_bar, sums_bar);
        if (!layer.skip) return;
        const int step = room * stride();
        for_columns(block, [&](int atom, int c) {
            for (int l = 0; l <= sizes.max_rank; ++l) {
                const T skip = layer.skip[l * sizes.channels + c];
                for (int m = l * l; m < (l + 1) * (l + 1); ++m) {
                    const T value = skip * s.b[m * step + atom * stride() + c];
                    if (below_sums_bar) {
                        s.c[m * step + atom * stride() + c] = value;
                    } else if (atom < size) {
                        below_kept_bar[((at + atom) * sizes.components + m) * sizes.channels + c] =
                            value;
                    }
                }
            }
        });
        if (!below_sums_bar) return;
        block.sync();
        mix_adjoint(block, below, s.c, at, size, false, below_sums_bar);
    }
};

}  // namespace camlip::cuda

#endif
