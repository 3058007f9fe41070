// SPDX-License-Identifier: MIT
// The device arrays of one MLIPForce, between OpenMM's (layout.hpp) and the engine's.  Everything
// happens in the CUDA context that is current and in the stream that is given; a failure is a
// std::runtime_error.  No header of CUDA: the host's compiler reads this.
#ifndef CAMLIP_OPENMM_CUDA_ARRAYS_H
#define CAMLIP_OPENMM_CUDA_ARRAYS_H

#include <cstdint>
#include <vector>

namespace camlip_openmm {

// What OpenMM has, on the device.
struct Source {
    const void* posq = nullptr;
    const void* correction = nullptr;  // null but in mixed precision
    bool is_double = false;
    double box[9] = {};  // nm
};

class DeviceArrays {
  public:
    explicit DeviceArrays(std::int64_t num_atoms) : num_atoms_(num_atoms) {}
    DeviceArrays(const DeviceArrays&) = delete;
    DeviceArrays& operator=(const DeviceArrays&) = delete;
    ~DeviceArrays();

    // (N) on the host; may change afterwards.
    void set_slots(const std::vector<std::int32_t>& slots, void* stream);
    // (N, 3) lattice vectors to add to positions; empty: none.
    void set_shifts(const std::vector<std::int32_t>& shifts, void* stream);

    // Fills positions(), zeroes forces() and energy().  With wrap, shifts are those that put atoms
    // inside the box now; they stay until the next wrap.
    void gather(const Source& source, bool wrap, void* stream);
    // Adds forces() times unit to OpenMM's buffer of (3, padded).
    void scatter(void* buffer, std::int64_t padded, double unit, void* stream);
    // Both wait for the stream.
    double fetch_energy(void* stream);
    std::vector<double> fetch_atomic_energies(void* stream);

    double* positions() const { return positions_; }
    double* forces() const { return forces_; }
    double* energy() const { return energy_; }
    double* zero_atomic_energies(void* stream);

  private:
    template <class V>
    void reserve(V*& array, std::int64_t count);

    std::int64_t num_atoms_;
    bool has_shifts_ = false;
    std::int32_t *slots_ = nullptr, *shifts_ = nullptr;
    double *positions_ = nullptr, *forces_ = nullptr, *energy_ = nullptr;
    double* atomic_energies_ = nullptr;
    double* pinned_ = nullptr;  // (1), of the host
};

}  // namespace camlip_openmm

#endif
