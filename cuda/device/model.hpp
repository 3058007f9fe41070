// SPDX-License-Identifier: MIT
// The folded model as kernels see it: sizes, and pointers into one block of device memory.
//
// Padding  K is padded to 8 (a tile of every edge kernel), Q to 4, C, H and the width of what is
//          sent to 4, with zeros in every weight: padded places of results are zero.
// Sums     of an atom over its edges: ranks one after the other, rank l as (2l+1, depth[l]).
//          Layer 0: depth = K.  Above: q K + k of M (l <= Lm), then p K + k of T (l = 1, 2).
#ifndef CAMLIP_CUDA_DEVICE_MODEL_HPP
#define CAMLIP_CUDA_DEVICE_MODEL_HPP

#include "device/platform.hpp"

namespace camlip::cuda {

constexpr int kMaxComponents = 16;

// Coefficients of an interval of the radial tables, and up to which derivative they are smooth.
template <class T>
constexpr int kTableTerms = sizeof(T) == 4 ? 6 : 10;
template <class T>
constexpr int kTableOrder = kTableTerms<T> / 2 - 1;

template <class T>
struct LayerData {
    int radial;           // K, padded
    int depth[4];
    int sum_offset[4];    // of rank l in the sums of an atom
    int num_sums;         // of an atom
    const T* table;       // (pairs, intervals, terms, K): powers of t in [0, 1)
    const T* mixing[4];    // (depth[l], C)
    const T* mixing_t[4];  // (C, depth[l])
    const T* skip;         // (L+1, C), null in layer 0
    const T* path_weight;  // (T, P, C)
    const T* contract[4];  // (C, C)
    const T* contract_t[4];
    const T* contract_skip;   // (L+1, C)
    const T* hidden;          // ((3L+3) C, H), scaled
    const T* hidden_t;        // (H, (3L+3) C)
    const T* hidden_bias;     // (T, H)
    const T* readout;         // (H, H)
    const T* readout_t;       // (H, H)
    const T* readout_bias;    // (H)
    const T* readout_output;  // (H), in eV
    const T* message;         // (H, Q), null in the last layer
    const T* message_t;       // (Q, H)
    const T* vector;          // (C, P1)
    const T* vector_t;        // (P1, C)
};

struct Sizes {
    int max_rank, components;                  // L, (L+1)^2
    int message_rank, message_components;      // Lm
    int channels, hidden;                      // padded
    int scalars, vectors, sent, sent_padded;   // P0, P1, Q
    int vectors_padded;
    int width;      // P0 + 3 P1, of what an atom sends
    int num_sides;  // 8 P1, or 3 P1 where there is no rank 2
    int num_paths;
};

// Half of the repulsion (14); radii is null without it.  All (T).
struct Repulsion {
    const double* radii;
    const double* charges;    // Z
    const double* stretches;  // Z^0.23 / 0.4685
};

// A system whose list was made on the device.
struct Frame {
    double rows[9];  // what the lattice shifts of its pairs count, now
    // Since the list was made the cell changed by r -> r . deformation; how far, squared, an atom
    // may be from where that takes it.
    double deformation[9];
    double most_moved;
};

// The atoms and lists of one call.
struct Geometry {
    const double* positions;  // (N + G, 3)
    const std::int32_t* types;  // (N + G)
    const std::int64_t* offsets;  // (N + 1)
    const std::int32_t* indices;
    const std::int32_t* active;  // (T) rank among the active types
    int num_active, num_intervals;
    double square;  // of the cutoff
    double scale;  // intervals / cutoff
    // Of whole systems: lattice shifts of pairs, and where atoms were when the list was made.
    const std::int32_t* shifts;  // packed, or null
    const Frame* frames;
    const std::int32_t* system_of;  // (N), or null: there is one system
    const double* built;  // (N, 3), or null: nobody asks who moved
    std::uint32_t* moved;  // set to 1 when an atom went too far
};

// Energy and virial of the call, one slot per block of the grid, summed at the end in a fixed
// order.  Slot: energy, then the virial (3, 3).
constexpr int kSlot = 10;
constexpr int kMaxSlots = 4096;

}  // namespace camlip::cuda

#endif
