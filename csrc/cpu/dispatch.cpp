// SPDX-License-Identifier: MIT
// Chooses the kernels for the machine at hand.
#include <string>

#include "cpu/kernels.hpp"
#include "errors.hpp"

namespace camlip::cpu {

namespace baseline {
const Kernels<float>& float_kernels();
const Kernels<double>& double_kernels();
}  // namespace baseline
#if defined(__x86_64__)
namespace avx2 {
const Kernels<float>& float_kernels();
const Kernels<double>& double_kernels();
}  // namespace avx2
namespace avx512 {
const Kernels<float>& float_kernels();
const Kernels<double>& double_kernels();
}  // namespace avx512
#endif

namespace {

template <class T>
struct Candidate {
    const char* name;
    bool supported;
    const Kernels<T>& (*kernels)();
};

template <class T>
const Kernels<T>& choose(const std::string& simd, const Candidate<T>* first,
                         const Candidate<T>* last) {
    std::string known;
    for (const Candidate<T>* c = first; c != last; ++c) {
        if (simd == c->name && !c->supported) {
            throw BackendError("engine option simd: '" + simd +
                               "' is not an instruction set of this machine, use auto");
        }
        if (c->supported && (simd == "auto" || simd == c->name)) return c->kernels();
        known += std::string(", ") + c->name;
    }
    throw ArgumentError("engine option simd: unknown value '" + simd + "', expected auto" + known);
}

#if defined(__x86_64__)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

}  // namespace

template <>
const Kernels<float>& choose_kernels<float>(const char* simd) {
    const Candidate<float> all[] = {
#if defined(__x86_64__)
        {"avx512", has_avx512(), avx512::float_kernels},
        {"avx2", has_avx2(), avx2::float_kernels},
#endif
        {"baseline", true, baseline::float_kernels},
    };
    return choose<float>(simd, all, all + sizeof(all) / sizeof(all[0]));
}

template <>
const Kernels<double>& choose_kernels<double>(const char* simd) {
    const Candidate<double> all[] = {
#if defined(__x86_64__)
        {"avx512", has_avx512(), avx512::double_kernels},
        {"avx2", has_avx2(), avx2::double_kernels},
#endif
        {"baseline", true, baseline::double_kernels},
    };
    return choose<double>(simd, all, all + sizeof(all) / sizeof(all[0]));
}

}  // namespace camlip::cpu
