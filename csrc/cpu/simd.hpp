// SPDX-License-Identifier: MIT
// Vectors of one instruction set.  A kernels_<isa>.cpp defines CAMLIP_ISA (a namespace of its own)
// and CAMLIP_VECTOR_BYTES and then includes the kernels; everything below lives in that namespace,
// and nothing here or in the kernels calls an inline function of the standard library: the linker
// would keep one copy for the whole library, perhaps the one compiled with wide instructions.
#ifndef CAMLIP_CPU_SIMD_HPP
#define CAMLIP_CPU_SIMD_HPP

#define CAMLIP_INLINE inline __attribute__((always_inline))

namespace camlip::cpu::CAMLIP_ISA {

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
    typedef float type __attribute__((vector_size(CAMLIP_VECTOR_BYTES)));
    typedef int integers __attribute__((vector_size(CAMLIP_VECTOR_BYTES)));
};
template <>
struct VectorOf<double> {
    typedef double type __attribute__((vector_size(CAMLIP_VECTOR_BYTES)));
    typedef long long integers __attribute__((vector_size(CAMLIP_VECTOR_BYTES)));
};

// Vectors of half the size, for rows that are short.
template <class T>
struct HalfVectorOf;
template <>
struct HalfVectorOf<float> {
    typedef float type __attribute__((vector_size(CAMLIP_VECTOR_BYTES / 2)));
};
template <>
struct HalfVectorOf<double> {
    typedef double type __attribute__((vector_size(CAMLIP_VECTOR_BYTES / 2)));
};

template <class T>
using Vector = typename VectorOf<T>::type;
template <class T>
using Integers = typename VectorOf<T>::integers;
template <class T>
constexpr int kLanes = CAMLIP_VECTOR_BYTES / static_cast<int>(sizeof(T));

template <class T>
CAMLIP_INLINE Vector<T> load(const T* p) {
    Vector<T> v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
}

template <class T>
CAMLIP_INLINE void store(T* p, Vector<T> v) {
    __builtin_memcpy(p, &v, sizeof(v));
}

template <class T>
using HalfVector = typename HalfVectorOf<T>::type;
template <class T>
constexpr int kHalfLanes = kLanes<T> / 2;

template <class T>
CAMLIP_INLINE HalfVector<T> load_half(const T* p) {
    HalfVector<T> v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
}

template <class T>
CAMLIP_INLINE Vector<T> join_halves(HalfVector<T> low, HalfVector<T> high) {
    Vector<T> v;
    __builtin_memcpy(&v, &low, sizeof(low));
    __builtin_memcpy(reinterpret_cast<char*>(&v) + sizeof(low), &high, sizeof(high));
    return v;
}

template <class T>
CAMLIP_INLINE void store_half(T* p, HalfVector<T> v) {
    __builtin_memcpy(p, &v, sizeof(v));
}

// out[n] += in[n] in double.
template <class T>
CAMLIP_INLINE void add_widened(double* out, const T* in, int count) {
    int n = 0;
    if constexpr (sizeof(T) == 4) {
        using D = Vector<double>;
        for (; n + kLanes<double> <= count; n += kLanes<double>) {
            const D value = __builtin_convertvector(load_half<float>(in + n), D);
            store<double>(out + n, load<double>(out + n) + value);
        }
    } else {
        for (; n + kLanes<double> <= count; n += kLanes<double>) {
            store<double>(out + n, load<double>(out + n) + load<double>(in + n));
        }
    }
    for (; n < count; ++n) out[n] += static_cast<double>(in[n]);
}

template <class T>
CAMLIP_INLINE Vector<double> load_widened(const T* p) {
    if constexpr (sizeof(T) == 4) {
        return __builtin_convertvector(load_half<float>(p), Vector<double>);
    } else {
        return load<double>(p);
    }
}

// A vector of doubles as T.
template <class T>
CAMLIP_INLINE void store_narrowed(T* p, Vector<double> v) {
    if constexpr (sizeof(T) == 4) {
        store_half<float>(p, __builtin_convertvector(v, HalfVector<float>));
    } else {
        store<double>(p, v);
    }
}

template <class T>
CAMLIP_INLINE T sum(Vector<T> v) {
    T total = 0;
    for (int i = 0; i < kLanes<T>; ++i) total += v[i];
    return total;
}

// Square root; the loop becomes one instruction.
template <class T>
CAMLIP_INLINE Vector<T> square_root(Vector<T> x) {
    Vector<T> y;
    for (int i = 0; i < kLanes<T>; ++i) {
        if constexpr (sizeof(T) == 4) {
            y[i] = __builtin_sqrtf(x[i]);
        } else {
            y[i] = __builtin_sqrt(x[i]);
        }
    }
    return y;
}

// exp(x) = 2^n exp(r), |r| <= ln(2)/2: the last digits of the precision for |x| < 87 (float) or
// 708 (double), saturated beyond; NaN stays NaN.
CAMLIP_INLINE Vector<float> exponential(Vector<float> x) {
    using V = Vector<float>;
    const V low = V{} - 87.0f, high = V{} + 88.0f;
    x = x < low ? low : x;
    x = x > high ? high : x;
    const V shifted = x * 1.44269504f + 12582912.0f;
    const V n = shifted - 12582912.0f;
    const V r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const Integers<float> power = (__builtin_convertvector(n, Integers<float>) + 127) << 23;
    V scale;
    __builtin_memcpy(&scale, &power, sizeof(scale));
    return p * scale;
}

CAMLIP_INLINE Vector<double> exponential(Vector<double> x) {
    using V = Vector<double>;
    const V low = V{} - 708.0, high = V{} + 709.0;
    x = x < low ? low : x;
    x = x > high ? high : x;
    const V shifted = x * 1.4426950408889634 + 6755399441055744.0;
    const V n = shifted - 6755399441055744.0;
    const V r = (x - n * 6.93147180369123816490e-1) - n * 1.90821492927058770002e-10;
    V p = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * (r * r) + r + 1.0;
    const Integers<double> power = (__builtin_convertvector(n, Integers<double>) + 1023) << 52;
    V scale;
    __builtin_memcpy(&scale, &power, sizeof(scale));
    return p * scale;
}

// SiLU(x) = x sigma(x) and its derivative sigma (1 + x (1 - sigma)).
template <class T>
CAMLIP_INLINE Vector<T> sigmoid(Vector<T> x) {
    return T(1) / (T(1) + exponential(-x));
}

template <class T>
CAMLIP_INLINE Vector<T> silu_derivative(Vector<T> x) {
    const Vector<T> s = sigmoid<T>(x);
    return s * (T(1) + x * (T(1) - s));
}

// One step of a transposition: swaps the off-diagonal S x S blocks of each 2S x 2S block.
template <class T, int S>
CAMLIP_INLINE void exchange_blocks(Vector<T>& a, Vector<T>& b) {
#if defined(__GNUC__) && !defined(__clang__)
    constexpr int W = kLanes<T>;
    Integers<T> low, high;
    for (int i = 0; i < W; ++i) {
        low[i] = (i & S) ? W + i - S : i;
        high[i] = (i & S) ? W + i : i + S;
    }
    const Vector<T> x = __builtin_shuffle(a, b, low);
    b = __builtin_shuffle(a, b, high);
    a = x;
#else
    Vector<T> x = a, y = b;
    for (int i = 0; i < kLanes<T>; ++i) {
        x[i] = (i & S) ? b[i - S] : a[i];
        y[i] = (i & S) ? b[i] : a[i + S];
    }
    a = x;
    b = y;
#endif
}

// Transposes the (N, N) blocks of N vectors; S is half of N.
template <class T, int S, int N = kLanes<T>>
CAMLIP_INLINE void transpose_steps(Vector<T>* v) {
    if constexpr (S >= 1) {
#pragma GCC unroll 16
        for (int i = 0; i < N; ++i) {
            if (!(i & S)) exchange_blocks<T, S>(v[i], v[i + S]);
        }
        transpose_steps<T, S / 2, N>(v);
    }
}

// Transposes rows x columns, both multiples of the lanes: to[c * to_stride + r] = from[r ...+ c].
template <class T>
CAMLIP_INLINE void transpose(const T* from, long from_stride, int rows, int columns, T* to,
                             long to_stride) {
    constexpr int W = kLanes<T>;
    for (int r = 0; r < rows; r += W) {
        for (int c = 0; c < columns; c += W) {
            Vector<T> v[W];
#pragma GCC unroll 16
            for (int i = 0; i < W; ++i) v[i] = load<T>(from + (r + i) * from_stride + c);
            transpose_steps<T, W / 2>(v);
#pragma GCC unroll 16
            for (int i = 0; i < W; ++i) store<T>(to + (c + i) * to_stride + r, v[i]);
        }
    }
}

// The same for rows of half a vector, one after the other; rows a multiple of the lanes.
template <class T>
CAMLIP_INLINE void transpose_halves(const T* from, int rows, T* to, long to_stride) {
    constexpr int W = kLanes<T>, H = kHalfLanes<T>;
    for (int r = 0; r < rows; r += W) {
        Vector<T> v[H];
#pragma GCC unroll 8
        for (int i = 0; i < H; ++i) {
            const HalfVector<T> low = load_half<T>(from + (r + i) * H);
            const HalfVector<T> high = load_half<T>(from + (r + H + i) * H);
            v[i] = join_halves<T>(low, high);
        }
        transpose_steps<T, H / 2, H>(v);
#pragma GCC unroll 8
        for (int i = 0; i < H; ++i) store<T>(to + i * to_stride + r, v[i]);
    }
}

// The same for one row of `columns` elements at each of the pointers, whose rows may be read up to
// the next multiple of the lanes: to[c * to_stride + lane] = rows[lane][c].
template <class T>
CAMLIP_INLINE void transpose_rows(const T* const* rows, int columns, T* to, long to_stride) {
    constexpr int W = kLanes<T>;
    for (int c = 0; c < columns; c += W) {
        Vector<T> v[W];
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) v[i] = load<T>(rows[i] + c);
        transpose_steps<T, W / 2>(v);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) store<T>(to + (c + i) * to_stride, v[i]);
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
