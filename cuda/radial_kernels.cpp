// SPDX-License-Identifier: MIT
// The series behind the radial tables, for the host that folds a model: csrc/cpu's, with the vectors
// that every machine has.
#define CAMLIP_ISA host_of_cuda
#define CAMLIP_ISA_NAME "host of cuda"
#define CAMLIP_VECTOR_BYTES 16

#include "cpu/radial_series.hpp"
#include "parameters.hpp"

namespace camlip::cuda {

const cpu::SeriesKernels& series_kernels() {
    static const cpu::SeriesKernels kernels = {cpu::host_of_cuda::radial_series,
                                               cpu::host_of_cuda::multiply_columns};
    return kernels;
}

}  // namespace camlip::cuda
