// SPDX-License-Identifier: MIT
// Compiled with AVX2 and FMA.
#define CAMLIP_ISA avx2

#include "neighbors/search_loops.hpp"

namespace camlip::search::avx2 {

extern const Functions functions;
const Functions functions = {"avx2", count_bin, list_bin};

}  // namespace camlip::search::avx2
