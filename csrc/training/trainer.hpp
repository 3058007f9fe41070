// SPDX-License-Identifier: MIT
// Batches of structures through a backend, with gradients by the parameters.
//
// Force matching needs the derivative of forces by the parameters.  It is a derivative of
// parameter gradients along a displacement (docs/training.md, eq. T3), so that everything a
// backend must offer is the first-order gradient of sum_s c_s E_s at displaced positions.
#ifndef CAMLIP_TRAINING_TRAINER_HPP
#define CAMLIP_TRAINING_TRAINER_HPP

#include <cstdint>
#include <memory>
#include <vector>

#include "architectures/architecture.hpp"
#include "backend.hpp"
#include "engine.hpp"
#include "model.hpp"
#include "training/structure.hpp"

namespace camlip {

// S structures with N atoms together, one after the other.
struct TrainingBatch {
    std::vector<const TrainingStructure*> structures;
    // Null, or what is added to the positions after the strain: r -> (1 + strain) r + displacement.
    const double* displacements = nullptr;  // (N, 3), Angstrom
    const double* strains = nullptr;        // (S, 3, 3), symmetric
    const double* seeds = nullptr;          // (S), null = 1
};

// What is wanted; null is not computed.  Overwritten, except for gradient, which is added to.
struct TrainingOutputs {
    double* energies = nullptr;  // (S) eV, with the reference energies
    double* forces = nullptr;    // (N, 3) eV/Angstrom, of sum_s c_s E_s
    double* virials = nullptr;   // (S, 3, 3) eV, of sum_s c_s E_s
    double* gradient = nullptr;  // (num_parameters)
};

class Trainer {
  public:
    // Copies the model.  Throws BackendError when the backend has no gradient by the parameters.
    Trainer(const Model& model, const EngineOptions& options);

    const Model& model() const { return model_; }
    BackendInfo info() const { return backend_->info(); }
    // values: (num_parameters), finite.
    void set_parameters(const double* values);
    void compute(const TrainingBatch& batch, const TrainingOutputs& outputs);

  private:
    void assemble(const TrainingBatch& batch);
    void collect(const TrainingBatch& batch, const TrainingOutputs& outputs) const;

    Model model_;
    Architecture architecture_;
    std::unique_ptr<Backend> backend_;
    Workspace workspace_;
    std::uint64_t revision_ = 0;

    // The batch as one system: the atoms of all structures, then the ghosts of all structures.
    std::int64_t num_owned_ = 0;
    std::vector<double> positions_, seeds_, atomic_energies_, forces_;
    std::vector<std::int32_t> types_, indices_;
    std::vector<std::int64_t> offsets_, ghost_owner_;
};

}  // namespace camlip

#endif
