// SPDX-License-Identifier: MIT
#include "training/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "errors.hpp"
#include "parameters.hpp"
#include "registry.hpp"

namespace camlip {
namespace {

class BatchExchange final : public Exchange {
  public:
    explicit BatchExchange(const TrainingBatch& batch) : batch_(batch) {}
    void forward(double* features, int width) override { batch_.copy_to_ghosts(features, width); }
    void reverse(double* features, int width) override { batch_.add_ghosts(features, width); }

  private:
    const TrainingBatch& batch_;
};

}  // namespace

Trainer::Trainer(const Model& model, const EngineOptions& options)
    : model_(model), architecture_(find_architecture(model.architecture)) {
    BackendChoice chosen = choose_backend(model_, options);
    backend_name_ = chosen.name;
    chosen.options.training = true;
    backend_ = chosen.make(model_, chosen.options);
    if (!backend_->has_parameter_gradient())
        throw BackendError("training: backend '" + backend_name_ +
                           "' has no gradient by the parameters, expected cpu or reference");
}

void Trainer::set_parameters(const double* values) {
    for (const ParameterEntry& entry : parameter_layout(model_))
        for (std::size_t n = 0; n < entry.size; ++n)
            if (!std::isfinite(values[entry.offset + n]))
                throw NumericError("parameters: '" + entry.name + "' holds NaN or infinity at " +
                                   std::to_string(n));
    camlip::set_parameters(values, model_);
    backend_->parameters_changed();
}

void Trainer::collect_energies(const TrainingBatch& batch, double* energies) const {
    std::fill_n(energies, batch.num_structures(), 0.0);
    for (std::size_t i = 0; i < atomic_energies_.size(); ++i)
        energies[batch.structures()[i]] += atomic_energies_[i];
}

// W_ab = sum_i r_ia F_ib over atoms and images, each with the force on itself alone.
void Trainer::collect_virials(const TrainingBatch& batch, double* virials) const {
    std::fill_n(virials, 9 * batch.num_structures(), 0.0);
    for (std::size_t i = 0; i < batch.structures().size(); ++i) {
        const double *r = &positions_[3 * i], *F = &forces_[3 * i];
        double* W = virials + 9 * batch.structures()[i];
        for (int a = 0; a < 3; ++a)
            for (int b = 0; b < 3; ++b) W[3 * a + b] += r[a] * F[b];
    }
}

void Trainer::compute(const TrainingBatch& batch, const TrainingPoint& point,
                      const TrainingOutputs& outputs) {
    batch.place(point.displacements, point.strains, positions_);
    Atoms atoms;
    atoms.num_owned = batch.num_owned();
    atoms.num_ghost = static_cast<std::int64_t>(batch.types().size()) - batch.num_owned();
    atoms.positions = positions_.data();
    atoms.types = batch.types().data();
    const NeighborList list = {batch.offsets().data(), batch.indices().data(), ++revision_};

    const auto num_owned = static_cast<std::size_t>(batch.num_owned());
    double energy = 0;
    std::vector<Layer> gradient;
    Outputs wanted;
    if (point.seeds) {
        seeds_.resize(num_owned);
        for (std::size_t i = 0; i < num_owned; ++i) seeds_[i] = point.seeds[batch.structures()[i]];
        wanted.seeds = seeds_.data();
    }
    if (outputs.energies) {
        atomic_energies_.assign(num_owned, 0.0);
        wanted.energy = &energy;
        wanted.atomic_energies = atomic_energies_.data();
    }
    if (outputs.forces || outputs.virials) {
        forces_.assign(positions_.size(), 0.0);
        wanted.forces = forces_.data();
    }
    if (outputs.gradient) {
        gradient = gradient_.empty() ? zero_gradient(model_) : std::move(gradient_);
        gradient_.clear();
        wanted.parameters = &gradient;
    }
    BatchExchange exchange(batch);
    architecture_(model_, *backend_, atoms, list, wanted, exchange, workspace_);

    if (outputs.energies) collect_energies(batch, outputs.energies);
    if (outputs.virials) collect_virials(batch, outputs.virials);
    if (outputs.forces) {
        exchange.reverse(forces_.data(), 3);
        std::copy_n(forces_.data(), 3 * num_owned, outputs.forces);
    }
    if (outputs.gradient) {
        double* to = outputs.gradient;
        for_each_parameter(gradient, [&to](const std::string&, std::vector<double>& values) {
            for (double& value : values) {
                *to++ += value;
                value = 0;
            }
        });
        gradient_ = std::move(gradient);
    }
}

}  // namespace camlip
