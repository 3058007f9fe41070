// SPDX-License-Identifier: MIT
// Compiled with AVX-512 F, DQ, BW, VL.
#define CAMLIP_ISA avx512

#include "neighbors/search_loops.hpp"

namespace camlip::search::avx512 {

extern const Functions functions;
const Functions functions = {"avx512", count_bin, list_bin};

}  // namespace camlip::search::avx512
