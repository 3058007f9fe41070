// SPDX-License-Identifier: MIT
// Chooses the search for the machine at hand.
#include "neighbors/search.hpp"

#include <cstring>

namespace camlip::search {

namespace baseline {
extern const Functions functions;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Functions functions;
}
namespace avx512 {
extern const Functions functions;
}
#endif

const Functions& choose(const char* simd) {
#if defined(__x86_64__)
    const bool any = std::strcmp(simd, "auto") == 0 || std::strcmp(simd, "avx512") == 0;
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("popcnt");
    const bool has_avx512 =
        has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (any && has_avx512) return avx512::functions;
    if ((any || std::strcmp(simd, "avx2") == 0) && has_avx2) return avx2::functions;
#else
    (void)simd;
#endif
    return baseline::functions;
}

}  // namespace camlip::search
