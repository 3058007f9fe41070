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

#include "device/contraction_generated.hpp"
#include "device/linear.hpp"
#include "device/model.hpp"

namespace camlip::cuda {

enum class BlockMode { kForward, kTurn, kBackward };

template <class T>
struct AtomBlock {
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
    const T* sent_bar;
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
        CAMLIP_SHARED_CODE Shared(Carver& carver, const AtomBlock& k) {
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

    // Calls body(atom, channel) for all columns, spread over the threads.
    template <class Block, class Body>
    CAMLIP_DEVICE void for_columns(Block& block, Body body) const {
        for (int n = block.thread(); n < room * sizes.channels; n += block.threads())
            body(n / sizes.channels, n % sizes.channels);
    }

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

    // Adds to hidden_bar and leaves D_bar of components 1 to 3 in d1_bar.
    template <class Block>
    CAMLIP_DEVICE void message_adjoint(Block& block, const Shared& s, std::int64_t at) const {
        message_parts(block, s);
        const int gs = sizes.sent_padded + 4, vs = sizes.vectors_padded + 4, p0 = sizes.scalars;
        for (int n = block.thread(); n < room * sizes.sent_padded; n += block.threads()) {
            const int atom = n / sizes.sent_padded, q = n % sizes.sent_padded, p = q - p0;
            T gate_bar = 0;
            if (s.present[atom] && q < sizes.sent) {
                const T* bar = sent_bar + (at + atom) * sizes.width;
                if (p < 0) {
                    gate_bar = bar[q];
                } else {
                    for (int x = 0; x < 3; ++x) {
                        gate_bar +=
                            bar[p0 + x * sizes.vectors + p] * s.vectors[(x * room + atom) * vs + p];
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
                bar = sent_bar[(at + atom) * sizes.width + p0 + x * sizes.vectors + p] *
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
