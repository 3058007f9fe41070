// SPDX-License-Identifier: MIT
// Distance tests and compressed copies for one instruction set, for search_loops.hpp.
#ifndef CAMLIP_NEIGHBORS_SEARCH_LANES_HPP
#define CAMLIP_NEIGHBORS_SEARCH_LANES_HPP

#include "neighbors/search.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define CAMLIP_INLINE inline __attribute__((always_inline))

// In every variant:
//   Center    an atom and the limits of Input
//   test      mask of the lanes that are neighbors for sure; *maybe: these and the undecided ones
//   compress  writes the values of the lanes of the mask, one after the other, and then anything,
//             kLanes values in all
namespace camlip::search::CAMLIP_ISA {

#if defined(__AVX512VL__)

constexpr int kLanes = 16;

struct Center {
    __m512 x, y, z, sure, never;
    CAMLIP_INLINE Center(float x_, float y_, float z_, float sure_, float never_)
        : x(_mm512_set1_ps(x_)),
          y(_mm512_set1_ps(y_)),
          z(_mm512_set1_ps(z_)),
          sure(_mm512_set1_ps(sure_)),
          never(_mm512_set1_ps(never_)) {}
};

CAMLIP_INLINE unsigned test(const float* px, const float* py, const float* pz, const Center& c,
                            unsigned* maybe) {
    const __m512 x = _mm512_sub_ps(_mm512_loadu_ps(px), c.x);
    const __m512 y = _mm512_sub_ps(_mm512_loadu_ps(py), c.y);
    const __m512 z = _mm512_sub_ps(_mm512_loadu_ps(pz), c.z);
    const __m512 square = _mm512_fmadd_ps(x, x, _mm512_fmadd_ps(y, y, _mm512_mul_ps(z, z)));
    *maybe = _mm512_cmp_ps_mask(square, c.never, _CMP_NGE_UQ);
    return _mm512_cmp_ps_mask(square, c.sure, _CMP_LT_OQ);
}

CAMLIP_INLINE void compress(std::int32_t* to, const std::int32_t* from, unsigned mask) {
    _mm512_storeu_si512(
        to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(mask), _mm512_loadu_si512(from)));
}

#elif defined(__AVX2__)

constexpr int kLanes = 8;

struct Center {
    __m256 x, y, z, sure, never;
    CAMLIP_INLINE Center(float x_, float y_, float z_, float sure_, float never_)
        : x(_mm256_set1_ps(x_)),
          y(_mm256_set1_ps(y_)),
          z(_mm256_set1_ps(z_)),
          sure(_mm256_set1_ps(sure_)),
          never(_mm256_set1_ps(never_)) {}
};

CAMLIP_INLINE unsigned test(const float* px, const float* py, const float* pz, const Center& c,
                            unsigned* maybe) {
    const __m256 x = _mm256_sub_ps(_mm256_loadu_ps(px), c.x);
    const __m256 y = _mm256_sub_ps(_mm256_loadu_ps(py), c.y);
    const __m256 z = _mm256_sub_ps(_mm256_loadu_ps(pz), c.z);
    const __m256 square = _mm256_fmadd_ps(x, x, _mm256_fmadd_ps(y, y, _mm256_mul_ps(z, z)));
    *maybe = static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(square, c.never, _CMP_NGE_UQ)));
    return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(square, c.sure, _CMP_LT_OQ)));
}

// Lanes of the bits that are set, lowest first, one in each byte.
struct SetLanes {
    unsigned long long of[256];
    constexpr SetLanes() : of() {
        for (unsigned mask = 0; mask < 256; ++mask) {
            int count = 0;
            for (unsigned long long lane = 0; lane < 8; ++lane) {
                if (mask >> lane & 1) of[mask] |= lane << (8 * count++);
            }
        }
    }
};
constexpr SetLanes kSetLanes;

CAMLIP_INLINE void compress(std::int32_t* to, const std::int32_t* from, unsigned mask) {
    const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    const __m256i order =
        _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(kSetLanes.of[mask])));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permutevar8x32_epi32(values, order));
}

#else

constexpr int kLanes = 8;

struct Center {
    float x, y, z, sure, never;
    CAMLIP_INLINE Center(float x_, float y_, float z_, float sure_, float never_)
        : x(x_), y(y_), z(z_), sure(sure_), never(never_) {}
};

CAMLIP_INLINE unsigned test(const float* px, const float* py, const float* pz, const Center& c,
                            unsigned* maybe) {
    float square[kLanes];
    for (int k = 0; k < kLanes; ++k) {
        const float x = px[k] - c.x, y = py[k] - c.y, z = pz[k] - c.z;
        square[k] = x * x + y * y + z * z;
    }
    unsigned mask = 0;
    *maybe = 0;
#if defined(__SSE2__)
    for (int k = 0; k < kLanes; k += 4) {
        const __m128 four = _mm_loadu_ps(square + k);
        mask |= static_cast<unsigned>(_mm_movemask_ps(_mm_cmplt_ps(four, _mm_set1_ps(c.sure))))
                << k;
        *maybe |= static_cast<unsigned>(_mm_movemask_ps(_mm_cmpnge_ps(four, _mm_set1_ps(c.never))))
                  << k;
    }
#else
    for (int k = 0; k < kLanes; ++k) {
        mask |= static_cast<unsigned>(square[k] < c.sure) << k;
        *maybe |= static_cast<unsigned>(!(square[k] >= c.never)) << k;
    }
#endif
    return mask;
}

CAMLIP_INLINE void compress(std::int32_t* to, const std::int32_t* from, unsigned mask) {
    for (int k = 0, count = 0; k < kLanes; ++k) {
        to[count] = from[k];
        count += mask >> k & 1;
    }
}

#endif

}  // namespace camlip::search::CAMLIP_ISA

#endif
