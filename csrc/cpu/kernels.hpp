// SPDX-License-Identifier: MIT
// What the kernels of every instruction set share with the backend: plain structs of pointers and
// a table of functions.  T is float ("mixed") or double.
//
// Padding   C, K, H, Q and P1 that are a fastest index are padded to the SIMD lanes ("stride"),
//           with zeros in every weight, so padded lanes of results are zero.
// Blocks    Atoms are worked on kBlock at a time: block b holds the owned atoms from b * kBlock.
//           A tensor of a block is (components, atoms of the block, stride).
// Chunks    Edges of one atom are worked on kChunk at a time, (rows, kChunk): lane = edge.
#ifndef CAMLIP_CPU_KERNELS_HPP
#define CAMLIP_CPU_KERNELS_HPP

#include <cstdint>

#include "cpu/stage_clock.hpp"

namespace camlip::cpu {

constexpr int kBlock = 12;
constexpr int kChunk = 32;
constexpr int kPanel = 4;
constexpr int kMaxLayers = 8;
constexpr int kVirialLanes = 8;  // sums of each component that a thread keeps apart
constexpr int kDirtyShift = 8;  // rows of a RowBuffer are zeroed 2^kDirtyShift at a time

// Parameters of one layer, folded: radial_table with 1/sqrt(n_bar), hidden with its scale,
// readout_output with the energy scale.  "_t" is the transpose.
template <class T>
struct LayerData {
    int num_radial, radial_stride;
    const T* radial_table;  // (pairs, intervals, degree + 1, radial_stride): powers of t in [0, 1)
    // Edge sums to moments, per rank: mixing[l] (depth[l], C), mixing_t[l] (C, depth_stride).
    // Layer 0: depth = K.  Above, with k up to radial_padded: message_columns rows (q, k) of M
    // (l <= Lm), then side_columns rows (p, k) of T (l = 1, 2).
    int depth[4], depth_stride;
    const T* mixing[4];
    const T* mixing_t[4];
    const T* skip;  // (L+1, C), nullptr in layer 0
    // Layer 1: from the edge sums of layer 0 to what its moments add here, mixing and skip in one:
    // lower[l] (K, C), lower_t[l] (C, depth_stride of layer 0).
    const T* lower[4];
    const T* lower_t[4];
    const T* path_weight;  // (T, P, C)
    const T* contract[4];  // (C, C)
    const T* contract_t[4];
    const T* contract_skip;  // (L+1, C)
    const T* hidden;  // ((3L+3) C, H)
    const T* hidden_t;  // (H, (3L+3) C), in panels of kPanel vectors of columns
    const T* hidden_bias;  // (T, H)
    const T* readout;  // (H, H)
    const T* readout_t;  // (H, H)
    const T* readout_bias;  // (H)
    const T* readout_output;  // (H)
    const T* message;  // (H, Q), nullptr in the last layer
    const T* message_t;  // (Q, H)
    const T* vector;  // (C, P1)
    const T* vector_t;  // (P1, C)
};

template <class T>
struct Parameters {
    double cutoff;
    int num_layers, max_rank, num_components, message_rank, num_message_components;
    int num_channels, channel_stride;
    int num_hidden, hidden_stride;
    int num_scalars, num_vectors, num_sent, sent_stride, vector_stride, width;
    int num_paths, num_types;
    int num_intervals, table_degree;  // of the radial tables: 5, or 9 in double
    // Layers above 0: k padded, rows of M and T, a row of both for one edge, node features
    int radial_padded, message_columns, side_columns, product_stride, feature_stride;
    const std::int32_t* active;  // (T) rank among the active types
    int num_active;
    const double* zbl_radii;  // (T), nullptr without ZBL
    const double* charges;  // (T) Z
    const double* stretches;  // (T) Z^0.23 / 0.4685
    const double* reference_energies;  // (T)
    double zbl_reach;  // largest sum of two radii
    LayerData<T> layers[kMaxLayers];
};

// Sums over atoms that several threads add to.  Thread 0 adds to the caller's array (dirty is
// null), every other one to rows of its own, which it zeroes when it first comes near them.
struct RowBuffer {
    double* data;
    std::uint8_t* dirty;
    int width;
};

template <class T>
struct GradientData;  // gradient_data.hpp

// An array over blocks of atoms that has room for `kept` of them, spread evenly.
template <class T>
struct BlockStore {
    T* data;
    std::int64_t size;  // of a block, in T
    std::int64_t kept;

    T* at(std::int64_t block, std::int64_t num_blocks) const {
        const std::int64_t slot = block * kept / num_blocks;
        return (block + 1) * kept / num_blocks > slot ? data + slot * size : nullptr;
    }
};

// What layers below the last keep between the passes over the atoms.  Whatever `at` has no room
// for is computed again.
template <class T>
struct LayerStore {
    // A, (components, atoms, C); of layer 0, where Job::keeps_sums, the sums a instead,
    // (components, atoms, radial_stride).  Their adjoints are what the layer above leaves.  Above
    // layer 0 there is room for all.
    BlockStore<T> moments, moments_bar;
    BlockStore<T> hidden;  // (atoms, hidden_stride), of all blocks
    BlockStore<T> hidden_bar;  // of the readout alone
    BlockStore<T> contracted;  // D, like A
};

// Everything of one call.
template <class T>
struct Job {
    std::int64_t num_owned, num_blocks;
    const double* positions;
    const std::int32_t* types;
    const std::int64_t* offsets;
    const std::int32_t* indices;
    const T* node_features;  // h of the layer below, (N+G, feature_stride)
    double* sent;  // h that `forward` writes
    const double* sent_bar;  // adjoint of what the layer sent
    double* atomic_energies;
    const double* seeds;  // (N), or nullptr for 1
    bool gradients;
    bool keeps_sums;
    LayerStore<T> stores[kMaxLayers];
};

// What one thread needs; sizes in backend_cpu.cpp.
template <class T>
struct Scratch {
    StageClock* clock;  // nullptr where nobody asks
    double energy;
    double virial[9 * kVirialLanes];  // summed up at the end
    RowBuffer forces, centroid, features_bar;
    // Compacted neighbors of the atoms of a block, (kBlock, capacity)
    int capacity;
    int count[kBlock];
    std::int32_t *neighbor, *pair;
    T *difference[3], *knot, *fraction;  // r = (knot + fraction) cutoff / num_intervals
    double* square;  // (capacity), of one atom
    // One chunk of edges, (rows, kChunk) unless said
    T *inverse, *direction[3], *basis, *row, *row_derivative;  // row: (kChunk, K)
    T *radial, *derivative, *basis_bar, *force[3], *product_row;  // product_row: (kChunk, ...)
    T *features, *axial, *side, *radial_bar, *sent_bar, *side_bar;
    T* side_sum;  // of one atom
    // One block of atoms, (components, kBlock, stride)
    T *edge_sums, *lower, *a, *b, *d, *a_bar, *invariants, *hidden, *active, *layer1, *hidden_bar;
    T *gates, *gates_bar, *vectors, *vectors_bar;
    bool with_energies;
    bool with_forces;  // or virials; without them the adjoints of the geometry are left out
    GradientData<T>* gradient;  // by the parameters, nullptr when it is not wanted
};

// The radial network of one pair at kSeriesPoints points: Taylor series up to t^order, order 1, 2
// or 4, as (rows, order + 1, kSeriesPoints).
constexpr int kSeriesPoints = 16;

struct SeriesJob {
    int order, width, num_radial;
    const double* first;  // (width, ...) inputs of the first layer but for the bias
    const double* factor;  // (...) what the output is multiplied by
    const double *bias, *hidden_weight, *hidden_bias, *output_weight;
    double *active, *hidden;  // (width, ...) scratch
    double* out;  // (num_radial, ...)
};

struct SeriesKernels {
    void (*series)(const SeriesJob&);
    // y (rows, columns) = weight^T x, weight (depth, rows); columns a multiple of kSeriesPoints
    void (*multiply)(int rows, int depth, int columns, const double* weight, const double* x,
                     double* y);
};

// The radial network of one pair at up to kKnotBatch knots of a training table, with slopes and
// curvatures by t; matrices are padded to whole vectors, with zeros in the weights.
constexpr int kKnotBatch = 16;

template <class T>
struct KnotJob {
    int count, num_bessel, width, width_stride, num_radial, radial_stride;
    const T *basis, *factor;  // (3, count, num_bessel), (3, count)
    const T *bessel_weight, *pair_bias;  // (num_bessel, ...), (...): rows of width_stride
    const T *hidden_weight, *hidden_weight_t, *hidden_bias;  // (width, ...), (...)
    const T *output_weight, *output_weight_t;  // (width, radial_stride), (num_radial, ...)
    T *first, *second, *active1, *active2, *output;  // scratch, (3, count, stride)
    T* knots;  // (count, 3, radial_stride): the result, or its adjoint
    // Added to, of the shapes of the weights
    T *bessel_weight_bar, *pair_bias_bar, *hidden_weight_bar, *hidden_bias_bar, *output_weight_bar;
};

// Stages of one block of atoms; all of them leave sums over atoms in the scratch of the thread.
template <class T>
struct Kernels {
    const char* name;
    int lanes;
    // Below the last layer, edges and atoms
    void (*forward)(const Parameters<T>&, const Job<T>&, Scratch<T>&, int layer,
                    std::int64_t block);
    void (*backward)(const Parameters<T>&, const Job<T>&, Scratch<T>&, int layer,
                     std::int64_t block);
    // The last layer, from its edges forward to its edges backward
    void (*turn)(const Parameters<T>&, const Job<T>&, Scratch<T>&, int layer, std::int64_t block);
    // For training: adds what is left of the sums of a layer to its totals.
    void (*flush_gradient)(GradientData<T>&, int layer, bool always);
    void (*knots_forward)(const KnotJob<T>&);
    void (*knots_backward)(const KnotJob<T>&);
    SeriesKernels series;  // for radial tables
};

// The best instruction set of this machine, or the one that is asked for ("auto", "avx512",
// "avx2", "baseline"); throws BackendError where the machine or the build lacks it.
template <class T>
const Kernels<T>& choose_kernels(const char* simd);
template <>
const Kernels<float>& choose_kernels<float>(const char* simd);
template <>
const Kernels<double>& choose_kernels<double>(const char* simd);

}  // namespace camlip::cpu

#endif
