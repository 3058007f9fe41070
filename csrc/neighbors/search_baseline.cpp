// SPDX-License-Identifier: MIT
// Compiled for every machine.
#define CAMLIP_ISA baseline

#include "neighbors/search_loops.hpp"

namespace camlip::search::baseline {

extern const Functions functions;
const Functions functions = {"baseline", count_bin, list_bin};

}  // namespace camlip::search::baseline
