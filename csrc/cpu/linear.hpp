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

#include "cpu/kernels.hpp"
#include "cpu/simd.hpp"

namespace camlip::cpu::CAMLIP_ISA {

// A sum over k is made of parts of this length: rounding errors grow with the length of a sum.
constexpr int kLongestSum = 64;

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
#pragma GCC unroll 24
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 6
        for (int n = 0; n < N; ++n) {
            sums[r][n] = V{};
        }
    }
    for (int k = 0; k < depth; ++k) {
        V right[N];
#pragma GCC unroll 6
        for (int n = 0; n < N; ++n) right[n] = load<T>(b + k * b_stride + n * W);
#pragma GCC unroll 24
        for (int r = 0; r < R; ++r) {
            const T left = a.data[r * a.row + k * a.column];
#pragma GCC unroll 6
            for (int n = 0; n < N; ++n) sums[r][n] += left * right[n];
        }
    }
#pragma GCC unroll 24
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 6
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
        gemm_rows<T, CAMLIP_VECTOR_BYTES == 64 ? 24 : 8, 1, kAdd>(rows, depth, a, b + n * W,
                                                                  b_stride, c + n * W, c_stride);
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

// C[r, :] (+)= sum over edges of basis[r, e] B[e, :] for the few rows of a basis (rows, kChunk):
// tiles as high as the basis, so that B is read once or twice.
template <class T, int R, bool kAdd>
inline void sum_outer_rows(int count, int num_vectors, const T* basis, const T* b, long b_stride,
                           T* c, long c_stride) {
    constexpr int W = kLanes<T>;
    // Registers: R N sums and N of a row of B
    constexpr int kMost = (CAMLIP_VECTOR_BYTES == 64 ? 30 : 14) / (R + 1);
    constexpr int N = kMost < 1 ? 1 : kMost > 6 ? 6 : kMost;
    const Matrix<T> a{basis, kChunk, 1};
    int n = 0;
    for (; n + N <= num_vectors; n += N) {
        gemm_tile<T, R, N, kAdd>(count, a, b + n * W, b_stride, c + n * W, c_stride);
    }
    if constexpr (N > 2) {
        for (; n + 2 <= num_vectors; n += 2) {
            gemm_tile<T, R, 2, kAdd>(count, a, b + n * W, b_stride, c + n * W, c_stride);
        }
    }
    for (; n < num_vectors; ++n) {
        gemm_tile<T, R, 1, kAdd>(count, a, b + n * W, b_stride, c + n * W, c_stride);
    }
}

template <class T, bool kAdd>
inline void sum_outer_part(int rows, int count, int num_vectors, const T* basis, const T* b,
                           long b_stride, T* c, long c_stride) {
    switch (rows) {  // (L+1)^2, or R of the messages
        case 1:
            sum_outer_rows<T, 1, kAdd>(count, num_vectors, basis, b, b_stride, c, c_stride);
            break;
        case 4:
            sum_outer_rows<T, 4, kAdd>(count, num_vectors, basis, b, b_stride, c, c_stride);
            break;
        case 9:
            sum_outer_rows<T, 9, kAdd>(count, num_vectors, basis, b, b_stride, c, c_stride);
            break;
        default:
            if constexpr (CAMLIP_VECTOR_BYTES == 64) {
                sum_outer_rows<T, 16, kAdd>(count, num_vectors, basis, b, b_stride, c, c_stride);
            } else {
                sum_outer_rows<T, 8, kAdd>(count, num_vectors, basis, b, b_stride, c, c_stride);
                sum_outer_rows<T, 8, kAdd>(count, num_vectors, basis + 8 * kChunk, b, b_stride,
                                           c + 8 * c_stride, c_stride);
            }
    }
}

template <class T>
inline void sum_outer(bool add, int rows, int count, int num_vectors, const T* basis, const T* b,
                      long b_stride, T* c, long c_stride) {
    if (add) {
        sum_outer_part<T, true>(rows, count, num_vectors, basis, b, b_stride, c, c_stride);
    } else {
        sum_outer_part<T, false>(rows, count, num_vectors, basis, b, b_stride, c, c_stride);
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
