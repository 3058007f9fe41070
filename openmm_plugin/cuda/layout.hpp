// SPDX-License-Identifier: MIT
// Between the arrays of OpenMM's CUDA platform and those of the engine: positions of the model's
// atoms out of posq, forces into the fixed-point buffer.  Kernels as device/platform.hpp says, so
// the tests run them on the host.
//
// OpenMM keeps its atoms in slots that it reorders: slot n holds atom atomIndex[n].  `slots` is the
// inverse, for the atoms of the model in their own order.
#ifndef CAMLIP_OPENMM_CUDA_LAYOUT_HPP
#define CAMLIP_OPENMM_CUDA_LAYOUT_HPP

#include "device/platform.hpp"

namespace camlip_openmm {

// posq is (slots, 4) nm, Real as the platform's precision has it, and in mixed precision float with
// a correction to add.  Positions are those plus shift . box, in Angstrom.
template <class Real>
struct GatherPositions {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 4;
    std::int64_t atoms;
    const std::int32_t* slots;
    const Real* posq;
    const float* correction;  // (slots, 4), or null
    double box[9];  // nm, reduced, rows are lattice vectors; periodic or with shifts only
    std::int32_t* shifts;  // (atoms, 3), or null
    bool wrap;  // find shifts anew that put the atoms inside the box
    double angstrom;  // of a nm
    double* positions;  // (atoms, 3)
    double* forces;  // (atoms, 3), become zero
    double* energy;  // (1), becomes zero

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        const std::int64_t stride = std::int64_t{block.threads()} * block.count();
        std::int64_t k = std::int64_t{block.index()} * block.threads() + block.thread();
        if (k == 0) *energy = 0;
        for (; k < atoms; k += stride) {
            const std::int64_t from = 4 * std::int64_t{slots[k]};
            double x[3];
            for (int a = 0; a < 3; ++a) {
                x[a] = static_cast<double>(posq[from + a]);
                if (correction) x[a] += static_cast<double>(correction[from + a]);
            }
            if (shifts) {
                std::int32_t* own = shifts + 3 * k;
                if (wrap) {
                    // The last vector first: it has components along all axes.
                    double y[3] = {x[0], x[1], x[2]};
                    for (int c = 2; c >= 0; --c) {
                        const double n = -floor(y[c] / box[4 * c]);
                        for (int a = 0; a < 3; ++a) y[a] += n * box[3 * c + a];
                        own[c] = static_cast<std::int32_t>(n);
                    }
                }
                for (int c = 0; c < 3; ++c)
                    for (int a = 0; a < 3; ++a) x[a] += own[c] * box[3 * c + a];
            }
            for (int a = 0; a < 3; ++a) {
                positions[3 * k + a] = angstrom * x[a];
                forces[3 * k + a] = 0;
            }
        }
    }
};

// OpenMM's forces are 32.32 fixed point in kJ/mol/nm, all x, then all y, then all z.
struct ScatterForces {
    static constexpr int kMaxThreads = 256;
    static constexpr int kMinBlocks = 4;
    static constexpr double kOne = 4294967296.0;  // 2^32
    // What a force that is NaN or has no such number becomes: large enough to be noticed.
    static constexpr std::int64_t kFailed = std::int64_t{1} << 61;
    std::int64_t atoms, padded;  // padded: slots of the buffer
    const std::int32_t* slots;
    const double* forces;  // (atoms, 3), eV/A
    double unit;  // of an eV/A, times the scale of the force
    std::int64_t* buffer;  // (3, padded)

    std::size_t shared_bytes() const { return 0; }

    template <class Block>
    CAMLIP_DEVICE void operator()(Block& block) const {
        const std::int64_t stride = std::int64_t{block.threads()} * block.count();
        for (std::int64_t k = std::int64_t{block.index()} * block.threads() + block.thread();
             k < atoms; k += stride) {
            for (int a = 0; a < 3; ++a) {
                const double value = forces[3 * k + a] * unit * kOne;
                const bool fits = value < 2e18 && value > -2e18;
                // Other forces may be adding at the same time, in another stream.
                block.add(buffer + slots[k] + a * padded,
                          fits ? static_cast<std::int64_t>(rint(value)) : kFailed);
            }
        }
    }
};

}  // namespace camlip_openmm

#endif
