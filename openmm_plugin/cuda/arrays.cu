// SPDX-License-Identifier: MIT
#include "arrays.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "../units.h"
#include "device/block_cuda.hpp"
#include "layout.hpp"

namespace camlip_openmm {
namespace {

void check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    cudaGetLastError();  // the next call begins without it
    throw std::runtime_error(std::string("MLIPForce: platform CUDA: ") + what + ": " +
                             cudaGetErrorString(error));
}

template <class Kernel>
void launch(const Kernel& kernel, std::int64_t atoms, void* stream) {
    const std::int64_t blocks = (atoms + Kernel::kMaxThreads - 1) / Kernel::kMaxThreads;
    camlip::cuda::launch_kernel(kernel, static_cast<int>(std::clamp<std::int64_t>(blocks, 1, 4096)),
                                Kernel::kMaxThreads, 0, static_cast<cudaStream_t>(stream));
    check(cudaGetLastError(), "launch of a kernel");
}

template <class Real>
GatherPositions<Real> gather_of(const Source& source) {
    GatherPositions<Real> kernel{};
    kernel.posq = static_cast<const Real*>(source.posq);
    kernel.correction = static_cast<const float*>(source.correction);
    std::copy_n(source.box, 9, kernel.box);
    return kernel;
}

}  // namespace

template <class V>
void DeviceArrays::reserve(V*& array, std::int64_t count) {
    if (array) return;
    void* memory = nullptr;
    const auto bytes = sizeof(V) * static_cast<std::size_t>(std::max<std::int64_t>(count, 1));
    check(cudaMalloc(&memory, bytes), "memory");
    array = static_cast<V*>(memory);
}

DeviceArrays::~DeviceArrays() {
    for (void* array : {static_cast<void*>(slots_), static_cast<void*>(shifts_),
                        static_cast<void*>(positions_), static_cast<void*>(forces_),
                        static_cast<void*>(energy_), static_cast<void*>(atomic_energies_)})
        if (array) cudaFree(array);
    if (pinned_) cudaFreeHost(pinned_);
}

// From memory that is not pinned a copy is done, or kept by the driver, when the call returns.
void DeviceArrays::set_slots(const std::vector<std::int32_t>& slots, void* stream) {
    reserve(slots_, num_atoms_);
    check(cudaMemcpyAsync(slots_, slots.data(), sizeof(std::int32_t) * slots.size(),
                          cudaMemcpyHostToDevice, static_cast<cudaStream_t>(stream)),
          "order of the atoms");
}

void DeviceArrays::set_shifts(const std::vector<std::int32_t>& shifts, void* stream) {
    has_shifts_ = !shifts.empty();
    if (!has_shifts_) return;
    reserve(shifts_, 3 * num_atoms_);
    check(cudaMemcpyAsync(shifts_, shifts.data(), sizeof(std::int32_t) * shifts.size(),
                          cudaMemcpyHostToDevice, static_cast<cudaStream_t>(stream)),
          "shifts of the atoms");
}

void DeviceArrays::gather(const Source& source, bool wrap, void* stream) {
    reserve(positions_, 3 * num_atoms_);
    reserve(forces_, 3 * num_atoms_);
    reserve(energy_, 1);
    if (wrap) {
        reserve(shifts_, 3 * num_atoms_);
        has_shifts_ = true;
    }
    const auto run = [&](auto kernel) {
        kernel.atoms = num_atoms_;
        kernel.slots = slots_;
        kernel.shifts = has_shifts_ ? shifts_ : nullptr;
        kernel.wrap = wrap;
        kernel.angstrom = 1 / nmPerAngstrom;
        kernel.positions = positions_;
        kernel.forces = forces_;
        kernel.energy = energy_;
        launch(kernel, num_atoms_, stream);
    };
    if (source.is_double)
        run(gather_of<double>(source));
    else
        run(gather_of<float>(source));
}

void DeviceArrays::scatter(void* buffer, std::int64_t padded, double unit, void* stream) {
    ScatterForces kernel{};
    kernel.atoms = num_atoms_;
    kernel.padded = padded;
    kernel.slots = slots_;
    kernel.forces = forces_;
    kernel.unit = unit;
    kernel.buffer = static_cast<std::int64_t*>(buffer);
    launch(kernel, num_atoms_, stream);
}

double DeviceArrays::fetch_energy(void* stream) {
    if (!pinned_) {
        void* memory = nullptr;
        check(cudaMallocHost(&memory, sizeof(double)), "pinned memory");
        pinned_ = static_cast<double*>(memory);
    }
    const auto queue = static_cast<cudaStream_t>(stream);
    check(cudaMemcpyAsync(pinned_, energy_, sizeof(double), cudaMemcpyDeviceToHost, queue),
          "energy");
    check(cudaStreamSynchronize(queue), "energy");
    return *pinned_;
}

double* DeviceArrays::zero_atomic_energies(void* stream) {
    reserve(atomic_energies_, num_atoms_);
    check(
        cudaMemsetAsync(atomic_energies_, 0, sizeof(double) * static_cast<std::size_t>(num_atoms_),
                        static_cast<cudaStream_t>(stream)),
        "energies of the atoms");
    return atomic_energies_;
}

std::vector<double> DeviceArrays::fetch_atomic_energies(void* stream) {
    std::vector<double> energies(static_cast<std::size_t>(num_atoms_));
    const auto queue = static_cast<cudaStream_t>(stream);
    check(cudaMemcpyAsync(energies.data(), atomic_energies_, sizeof(double) * energies.size(),
                          cudaMemcpyDeviceToHost, queue),
          "energies of the atoms");
    check(cudaStreamSynchronize(queue), "energies of the atoms");
    return energies;
}

}  // namespace camlip_openmm
