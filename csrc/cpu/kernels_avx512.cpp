// SPDX-License-Identifier: MIT
// Compiled with AVX-512 F, DQ, BW, VL.
#define CAMLIP_ISA avx512
#define CAMLIP_ISA_NAME "avx512"
#define CAMLIP_VECTOR_BYTES 64

#include "cpu/stages.hpp"

namespace camlip::cpu::avx512 {

const Kernels<float>& float_kernels() { return kernels<float>(); }
const Kernels<double>& double_kernels() { return kernels<double>(); }

}  // namespace camlip::cpu::avx512
