// SPDX-License-Identifier: MIT
// The instruction set that every machine of the architecture has.
#define CAMLIP_ISA baseline
#define CAMLIP_ISA_NAME "baseline"
#define CAMLIP_VECTOR_BYTES 16

#include "cpu/stages.hpp"

namespace camlip::cpu::baseline {

const Kernels<float>& float_kernels() { return kernels<float>(); }
const Kernels<double>& double_kernels() { return kernels<double>(); }

}  // namespace camlip::cpu::baseline
