// SPDX-License-Identifier: MIT
// Compiled with -mavx2 -mfma.
#define CAMLIP_ISA avx2
#define CAMLIP_ISA_NAME "avx2"
#define CAMLIP_VECTOR_BYTES 32

#include "cpu/stages.hpp"

namespace camlip::cpu::avx2 {

const Kernels<float>& float_kernels() { return kernels<float>(); }
const Kernels<double>& double_kernels() { return kernels<double>(); }

}  // namespace camlip::cpu::avx2
