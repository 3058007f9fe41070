// SPDX-License-Identifier: MIT
// A model whose parameters change, evaluated on batches, with gradients by the parameters.
//
// Force matching needs the derivative of forces by the parameters.  It is the derivative of
// parameter gradients along a displacement (docs/training.md), so that all a backend must offer
// is the first-order gradient of sum_s c_s E_s at displaced positions.
#ifndef CAMLIP_TRAINING_TRAINER_HPP
#define CAMLIP_TRAINING_TRAINER_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "architectures/architecture.hpp"
#include "backend.hpp"
#include "engine.hpp"
#include "model.hpp"
#include "training/batch.hpp"

namespace camlip {

// Where to evaluate and what to sum; null means zero displacement and strain, and seeds of 1.
struct TrainingPoint {
    const double* displacements = nullptr;  // (N, 3), Angstrom
    const double* strains = nullptr;        // (S, 3, 3), symmetric
    const double* seeds = nullptr;          // (S), c_s
};

// What is wanted; null is not computed.  Overwritten, but gradient is added to.
struct TrainingOutputs {
    double* energies = nullptr;  // (S) eV, with the reference energies
    double* forces = nullptr;    // (N, 3) eV/Angstrom, of sum_s c_s E_s
    double* virials = nullptr;   // (S, 3, 3) eV, of c_s E_s
    double* gradient = nullptr;  // (num_parameters), of sum_s c_s E_s
};

class Trainer {
  public:
    // Copies the model.  Throws BackendError when the backend has no gradient by the parameters.
    Trainer(const Model& model, const EngineOptions& options);

    const Model& model() const { return model_; }
    const std::string& backend_name() const { return backend_name_; }
    BackendInfo info() const { return backend_->info(); }
    // values: (num_parameters).  Throws NumericError when one is not finite.
    void set_parameters(const double* values);
    void compute(const TrainingBatch& batch, const TrainingPoint& point,
                 const TrainingOutputs& outputs);

  private:
    void collect_energies(const TrainingBatch& batch, double* energies) const;
    void collect_virials(const TrainingBatch& batch, double* virials) const;

    Model model_;
    Architecture architecture_;
    std::string backend_name_;
    std::unique_ptr<Backend> backend_;
    Workspace workspace_;
    std::uint64_t revision_ = 0;
    std::vector<Layer> gradient_;  // kept from call to call, all zero; or empty
    std::vector<double> positions_, seeds_, atomic_energies_, forces_;
};

}  // namespace camlip

#endif
