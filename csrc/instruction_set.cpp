// SPDX-License-Identifier: MIT
#include "instruction_set.hpp"

#include <cstdlib>

#include "errors.hpp"

namespace camlip {

std::string instruction_set(const std::string& option) {
    std::string name = option, subject = "simd";
    const char* wanted = std::getenv("CAMLIP_SIMD");
    if (option == "auto" && wanted && *wanted) {
        name = wanted;
        subject = "environment variable CAMLIP_SIMD";
    }
    if (name != "auto" && name != "avx512" && name != "avx2" && name != "baseline")
        throw ArgumentError(subject + ": value '" + name +
                            "', expected auto, avx512, avx2 or baseline");
    return name;
}

}  // namespace camlip
