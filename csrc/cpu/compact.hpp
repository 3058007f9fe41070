// SPDX-License-Identifier: MIT
// Neighbors of an atom within the cutoff, from the list, and their places in the radial tables.
#ifndef CAMLIP_CPU_COMPACT_HPP
#define CAMLIP_CPU_COMPACT_HPP

#include "cpu/kernels.hpp"
#include "cpu/simd.hpp"

#if CAMLIP_VECTOR_BYTES == 64
#include <immintrin.h>
// GCC 12 takes the undefined values that its own intrinsics begin with for mistakes.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#endif

namespace camlip::cpu::CAMLIP_ISA {

// Places of `count` distances in the radial tables.  In double: a rounding error of r in float
// would be magnified by the slope of the radial functions, to the largest error of all.
template <class T>
inline void place_in_table(const Parameters<T>& p, const double* square, int count, T* knot,
                           T* fraction) {
    using D = Vector<double>;
    constexpr int W = kLanes<double>;
    const double scale = p.num_intervals / p.cutoff;
    const D most = D{} + (p.num_intervals - 1.0);
    for (int e = 0; e < count; e += W) {
        const D x = square_root<double>(load<double>(square + e)) * scale;
        // floor(x), or one less at a knot, where the two intervals agree
        D n = ((x - 0.5) + 6755399441055744.0) - 6755399441055744.0;
        n = n > most ? most : n;
        store_narrowed<T>(knot + e, n);
        store_narrowed<T>(fraction + e, x - n);
    }
}

// Where the neighbors of an atom go; up to eight elements beyond the last are written.
template <class T>
struct CompactRows {
    std::int32_t *neighbor, *pair;
    T* difference[3];
    double* square;
};

#if CAMLIP_VECTOR_BYTES == 64

// Components of the positions of eight atoms.
CAMLIP_INLINE void gather_positions(const double* positions, const std::int32_t* atoms,
                                    __m512d* out) {
    const auto row = [&](int n) {  // nothing is read beyond the third component
        return _mm256_maskz_loadu_pd(7, positions + 3 * static_cast<long>(atoms[n]));
    };
    const auto rows = [&](int n) {
        return _mm512_insertf64x4(_mm512_castpd256_pd512(row(n)), row(n + 2), 1);
    };
    const __m512d a = rows(0), b = rows(1), c = rows(4), d = rows(5);
    const __m512d low = _mm512_unpacklo_pd(a, b), high = _mm512_unpacklo_pd(c, d);
    out[0] = _mm512_shuffle_f64x2(low, high, 0x88);
    out[1] = _mm512_shuffle_f64x2(_mm512_unpackhi_pd(a, b), _mm512_unpackhi_pd(c, d), 0x88);
    out[2] = _mm512_shuffle_f64x2(low, high, 0xDD);
}

CAMLIP_INLINE void store_compressed(float* to, __mmask8 mask, __m512d values) {
    _mm256_storeu_ps(to, _mm256_maskz_compress_ps(mask, _mm512_cvtpd_ps(values)));
}

CAMLIP_INLINE void store_compressed(double* to, __mmask8 mask, __m512d values) {
    _mm512_storeu_pd(to, _mm512_maskz_compress_pd(mask, values));
}

// Copies the listed neighbors of atom i that are within the cutoff; returns their number.
template <class T>
inline int compact_list(const Parameters<T>& p, const Job<T>& job, long i, int first_pair,
                        CompactRows<T> out) {
    const double* center = job.positions + 3 * i;
    const __m512d limit = _mm512_set1_pd(p.cutoff * p.cutoff);
    const __m256i pairs = _mm256_set1_epi32(first_pair), none = _mm256_set1_epi32(-1);
    alignas(32) std::int32_t atoms[8];
    int count = 0;
    const long end = job.offsets[i + 1];
    for (long n = job.offsets[i]; n < end; n += 8) {
        const int left = end - n < 8 ? static_cast<int>(end - n) : 8;
        const auto listed = static_cast<__mmask8>((1 << left) - 1);
        const __m256i index = _mm256_maskz_loadu_epi32(listed, job.indices + n);
        _mm256_store_si256(reinterpret_cast<__m256i*>(atoms), index);
        __m512d r[3];
        gather_positions(job.positions, atoms, r);
        for (int a = 0; a < 3; ++a) r[a] = _mm512_sub_pd(r[a], _mm512_set1_pd(center[a]));
        const __m512d square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
        const __m256i types = _mm256_mmask_i32gather_epi32(none, listed, index, job.types, 4);
        const __mmask8 present = _mm256_cmpge_epi32_mask(types, _mm256_setzero_si256());
        const auto mask =
            static_cast<__mmask8>(present & _mm512_cmp_pd_mask(square, limit, _CMP_LT_OQ));
        __m256i pair = pairs;
        if (p.num_active > 1) {
            pair = _mm256_add_epi32(
                pairs, _mm256_mmask_i32gather_epi32(none, present, types, p.active, 4));
        }
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.neighbor + count),
                            _mm256_maskz_compress_epi32(mask, index));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.pair + count),
                            _mm256_maskz_compress_epi32(mask, pair));
        for (int a = 0; a < 3; ++a) store_compressed(out.difference[a] + count, mask, r[a]);
        store_compressed(out.square + count, mask, square);
        count += __builtin_popcount(mask);
    }
    return count;
}

#else

template <class T>
inline int compact_list(const Parameters<T>& p, const Job<T>& job, long i, int first_pair,
                        CompactRows<T> out) {
    const double x = job.positions[3 * i], y = job.positions[3 * i + 1];
    const double z = job.positions[3 * i + 2], limit = p.cutoff * p.cutoff;
    int count = 0;
    for (long n = job.offsets[i]; n < job.offsets[i + 1]; ++n) {
        const long j = job.indices[n];
        const double* r = job.positions + 3 * j;
        const double a = r[0] - x, b = r[1] - y, c = r[2] - z;
        const int other = job.types[j];
        const double square = a * a + b * b + c * c;
        // Written always, kept by advancing: no branch to mispredict.
        out.neighbor[count] = static_cast<std::int32_t>(j);
        out.pair[count] = first_pair + p.active[other < 0 ? 0 : other];
        out.difference[0][count] = static_cast<T>(a);
        out.difference[1][count] = static_cast<T>(b);
        out.difference[2][count] = static_cast<T>(c);
        out.square[count] = square;
        count += (square < limit) & (other >= 0);
    }
    return count;
}

#endif

// Neighbors of atom i within the cutoff, into slot `slot` of the block: index, pair of types and
// the vector r_j - r_i, whose difference is taken in double.
template <class T>
inline void compact_neighbors(const Parameters<T>& p, const Job<T>& job, Scratch<T>& s, long i,
                              int slot) {
    const int type = job.types[i];
    s.count[slot] = 0;
    if (type < 0) return;
    const long at = static_cast<long>(slot) * s.capacity;
    const int count =
        compact_list<T>(p, job, i, p.active[type] * p.num_active,
                        {s.neighbor + at,
                         s.pair + at,
                         {s.difference[0] + at, s.difference[1] + at, s.difference[2] + at},
                         s.square});
    place_in_table<T>(p, s.square, count, s.knot + at, s.fraction + at);
    s.count[slot] = count;
}

}  // namespace camlip::cpu::CAMLIP_ISA

#if CAMLIP_VECTOR_BYTES == 64 && defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
