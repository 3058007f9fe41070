// SPDX-License-Identifier: MIT
// The one matrix product of the CPU kernels, for matrices of a few dozen rows.
//
//     C[r, :] (+)= sum over k < depth of A(r, k) B[k, :]
//
// A is read element by element with any strides (so it may be transposed), rows of B and C are
// contiguous and num_vectors SIMD vectors wide.  A tile of C stays in registers over a part of k and
// is added to what is there at the end.
#ifndef CAMLIP_CPU_LINEAR_HPP
#define CAMLIP_CPU_LINEAR_HPP

#include "cpu/simd.hpp"

namespace camlip::cpu::CAMLIP_ISA {

// A sum over k is made of parts of this length: rounding errors grow with the length of a sum.
constexpr int kLongestSum = 32;

template <class T>
struct Matrix {  // element (r, k) at data[r * row + k * column]
    const T* data;
    long row;
    long column;
};

template <class T, int R, int N, bool kAdd>
CAMLIP_INLINE void gemm_tile(int depth, Matrix<T> a, const T* b, long b_stride, T* c,
                             long c_stride) {
    using V = Vector<T>;
    constexpr int W = kLanes<T>;
    V sums[R][N];
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) {
            sums[r][n] = V{};
        }
    }
    for (int k = 0; k < depth; ++k) {
        V right[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) right[n] = load<T>(b + k * b_stride + n * W);
#pragma GCC unroll 12
        for (int r = 0; r < R; ++r) {
            const T left = a.data[r * a.row + k * a.column];
#pragma GCC unroll 4
            for (int n = 0; n < N; ++n) sums[r][n] += left * right[n];
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) {
            T* out = c + r * c_stride + n * W;
            store<T>(out, kAdd ? load<T>(out) + sums[r][n] : sums[r][n]);
        }
    }
}

// All rows of N vectors of columns; R rows at a time, then the rest.
template <class T, int R, int N, bool kAdd>
inline void gemm_rows(int rows, int depth, Matrix<T> a, const T* b, long b_stride, T* c,
                      long c_stride) {
    int r = 0;
    for (; r + R <= rows; r += R) {
        gemm_tile<T, R, N, kAdd>(depth, {a.data + r * a.row, a.row, a.column}, b, b_stride,
                                 c + r * c_stride, c_stride);
    }
    if constexpr (R > 1) {
        if (r < rows) {
            gemm_rows<T, R / 2, N, kAdd>(rows - r, depth, {a.data + r * a.row, a.row, a.column}, b,
                                         b_stride, c + r * c_stride, c_stride);
        }
    }
}

template <class T, bool kAdd>
inline void gemm_part(int rows, int depth, int num_vectors, Matrix<T> a, const T* b, long b_stride,
                      T* c, long c_stride) {
    constexpr int W = kLanes<T>;
    constexpr int kWide = CAMLIP_VECTOR_BYTES == 64 ? 4 : 2;  // registers: 32, otherwise 16
    int n = 0;
    for (; n + kWide <= num_vectors; n += kWide) {
        gemm_rows<T, 6, kWide, kAdd>(rows, depth, a, b + n * W, b_stride, c + n * W, c_stride);
    }
    if constexpr (kWide == 4) {
        if (num_vectors - n == 3) {
            gemm_rows<T, 6, 3, kAdd>(rows, depth, a, b + n * W, b_stride, c + n * W, c_stride);
            return;
        }
        if (num_vectors - n == 2) {
            gemm_rows<T, 12, 2, kAdd>(rows, depth, a, b + n * W, b_stride, c + n * W, c_stride);
            return;
        }
    }
    if (n < num_vectors) {
        gemm_rows<T, 8, 1, kAdd>(rows, depth, a, b + n * W, b_stride, c + n * W, c_stride);
    }
}

template <class T, bool kAdd>
inline void gemm(int rows, int depth, int num_vectors, Matrix<T> a, const T* b, long b_stride, T* c,
                 long c_stride) {
    const int first = depth < kLongestSum ? depth : kLongestSum;
    gemm_part<T, kAdd>(rows, first, num_vectors, a, b, b_stride, c, c_stride);
    for (int k = first; k < depth; k += kLongestSum) {
        const int part = depth - k < kLongestSum ? depth - k : kLongestSum;
        gemm_part<T, true>(rows, part, num_vectors, {a.data + k * a.column, a.row, a.column},
                           b + k * b_stride, b_stride, c, c_stride);
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
