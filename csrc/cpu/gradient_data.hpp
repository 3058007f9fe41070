// SPDX-License-Identifier: MIT
// Where a thread sums the gradient by the parameters, as plain pointers for the kernels.
//
// Every array has the shape of its namesake in LayerData, folded and padded; gradient_memory.hpp
// turns them into the gradient by the tensors of the model.  Sums of a few blocks of atoms are made
// in T and then added to totals in double.
#ifndef CAMLIP_CPU_GRADIENT_DATA_HPP
#define CAMLIP_CPU_GRADIENT_DATA_HPP

#include "cpu/kernels.hpp"

namespace camlip::cpu {

constexpr int kBlocksPerFlush = 32;

template <class T>
struct LayerGradient {
    T *mixing[4], *lower[4], *skip;
    T *path_weight, *contract[4], *contract_skip;
    T *hidden, *hidden_bias, *readout, *readout_bias, *readout_output;
    T *message, *vector;
    T* knots;  // (pairs, intervals + 1, 3, radial_stride): value, slope, curvature in t
    int blocks;  // since the last flush
};

template <class T>
struct GradientData {
    LayerGradient<T> layers[kMaxLayers];
    T* sums;  // all arrays of T of all layers, one after the other
    double* totals;  // as many
    long begin[kMaxLayers + 1];  // where those of a layer begin
    T* weights;  // (6, kChunk) of the radial table
};

}  // namespace camlip::cpu

#endif
