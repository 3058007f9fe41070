// SPDX-License-Identifier: MIT
#include "training/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "errors.hpp"
#include "parameters.hpp"
#include "registry.hpp"

namespace camlip {
namespace {

// Ghosts are images of atoms of the same batch.
class BatchExchange final : public Exchange {
  public:
    BatchExchange(std::int64_t num_owned, const std::vector<std::int64_t>& ghost_owner)
        : num_owned_(num_owned), ghost_owner_(ghost_owner) {}

    void forward(double* features, int width) override {
        double* ghost = features + num_owned_ * width;
        for (const std::int64_t owner : ghost_owner_)
            ghost = std::copy_n(features + owner * width, width, ghost);
    }
    void reverse(double* features, int width) override {
        const double* ghost = features + num_owned_ * width;
        for (const std::int64_t owner : ghost_owner_)
            for (int n = 0; n < width; ++n) features[owner * width + n] += *ghost++;
    }

  private:
    std::int64_t num_owned_;
    const std::vector<std::int64_t>& ghost_owner_;
};

}  // namespace

Trainer::Trainer(const Model& model, const EngineOptions& options)
    : model_(model), architecture_(find_architecture(model.architecture)) {
    const BackendChoice chosen = choose_backend(model_, options);
    backend_ = chosen.make(model_, chosen.options);
    if (!backend_->has_parameter_gradient())
        throw BackendError("training: backend '" + std::string(chosen.name) +
                           "' has no gradient by the parameters, expected reference");
}

void Trainer::set_parameters(const double* values) {
    const std::vector<ParameterEntry> layout = parameter_layout(model_);
    for (const ParameterEntry& entry : layout)
        for (std::size_t n = 0; n < entry.size; ++n)
            if (!std::isfinite(values[entry.offset + n]))
                throw NumericError("parameters: '" + entry.name + "' holds NaN or infinity at " +
                                   std::to_string(n));
    camlip::set_parameters(values, model_);
    backend_->parameters_changed();
}

void Trainer::assemble(const TrainingBatch& batch) {
    num_owned_ = 0;
    for (const TrainingStructure* s : batch.structures) num_owned_ += s->num_atoms();
    positions_.clear();
    types_.clear();
    indices_.clear();
    ghost_owner_.clear();
    seeds_.clear();
    offsets_.assign(1, 0);
    // Ghost rows begin after the owned rows of the whole batch.
    std::int64_t first_atom = 0, first_ghost = num_owned_;
    for (std::size_t k = 0; k < batch.structures.size(); ++k) {
        const TrainingStructure& s = *batch.structures[k];
        const std::int64_t n = s.num_atoms();
        positions_.insert(positions_.end(), s.positions.begin(), s.positions.end());
        types_.insert(types_.end(), s.types.begin(), s.types.end());
        seeds_.insert(seeds_.end(), s.types.size(), batch.seeds ? batch.seeds[k] : 1.0);
        for (const std::int32_t count : s.counts) offsets_.push_back(offsets_.back() + count);
        for (const std::int32_t j : s.indices)
            indices_.push_back(
                static_cast<std::int32_t>(j < n ? first_atom + j : first_ghost + j - n));
        for (const std::int32_t owner : s.ghost_owner) ghost_owner_.push_back(first_atom + owner);
        first_atom += n;
        first_ghost += s.num_ghost();
    }
    for (const TrainingStructure* s : batch.structures)
        for (std::size_t g = 0; g < s->ghost_owner.size(); ++g)
            types_.push_back(s->types[static_cast<std::size_t>(s->ghost_owner[g])]);
    positions_.resize(3 * types_.size());

    // The strain moves everything; then atoms are displaced, and their ghosts with them.
    double* atom = positions_.data();
    double* ghost = positions_.data() + 3 * num_owned_;
    const double* displacement = batch.displacements;
    for (std::size_t k = 0; k < batch.structures.size(); ++k) {
        const TrainingStructure& s = *batch.structures[k];
        const double* strain = batch.strains ? batch.strains + 9 * k : nullptr;
        const auto add_strained = [strain](const double* r, double* to) {
            for (int x = 0; x < 3 && strain; ++x)
                to[x] += strain[3 * x] * r[0] + strain[3 * x + 1] * r[1] + strain[3 * x + 2] * r[2];
        };
        const double* first = atom;
        for (std::size_t i = 0; i < s.types.size(); ++i, atom += 3) {
            add_strained(&s.positions[3 * i], atom);
            for (int x = 0; x < 3 && displacement; ++x) atom[x] += *displacement++;
        }
        for (std::size_t g = 0; g < s.ghost_owner.size(); ++g, ghost += 3) {
            const double* owner = first + 3 * s.ghost_owner[g];
            for (int x = 0; x < 3; ++x) ghost[x] = owner[x] + s.ghost_vector[3 * g + x];
            add_strained(&s.ghost_vector[3 * g], ghost);
        }
    }
}

void Trainer::collect(const TrainingBatch& batch, const TrainingOutputs& outputs) const {
    std::size_t atom = 0, ghost = static_cast<std::size_t>(num_owned_);
    for (std::size_t k = 0; k < batch.structures.size(); ++k) {
        const TrainingStructure& s = *batch.structures[k];
        const auto end = atom + s.types.size(), ghost_end = ghost + s.ghost_owner.size();
        if (outputs.energies) {
            outputs.energies[k] = 0;
            for (std::size_t i = atom; i < end; ++i) outputs.energies[k] += atomic_energies_[i];
        }
        // W_ab = sum_i r_ia F_ib over atoms and images, each with the force on itself alone.
        if (outputs.virials) {
            double* W = std::fill_n(outputs.virials + 9 * k, 9, 0.0) - 9;
            const auto add = [&](std::size_t i) {
                for (int x = 0; x < 3; ++x)
                    for (int y = 0; y < 3; ++y)
                        W[3 * x + y] += positions_[3 * i + static_cast<std::size_t>(x)] *
                                        forces_[3 * i + static_cast<std::size_t>(y)];
            };
            for (std::size_t i = atom; i < end; ++i) add(i);
            for (std::size_t i = ghost; i < ghost_end; ++i) add(i);
        }
        atom = end;
        ghost = ghost_end;
    }
}

void Trainer::compute(const TrainingBatch& batch, const TrainingOutputs& outputs) {
    assemble(batch);
    Atoms atoms;
    atoms.num_owned = num_owned_;
    atoms.num_ghost = static_cast<std::int64_t>(ghost_owner_.size());
    atoms.positions = positions_.data();
    atoms.types = types_.data();
    const NeighborList list = {offsets_.data(), indices_.data(), ++revision_};

    double energy = 0;
    std::vector<Layer> gradient;
    Outputs wanted;
    wanted.energy = &energy;
    wanted.seeds = seeds_.data();
    if (outputs.energies) {
        atomic_energies_.assign(static_cast<std::size_t>(num_owned_), 0.0);
        wanted.atomic_energies = atomic_energies_.data();
    }
    if (outputs.forces || outputs.virials) {
        forces_.assign(positions_.size(), 0.0);
        wanted.forces = forces_.data();
    }
    if (outputs.gradient) {
        gradient = zero_gradient(model_);
        wanted.parameters = &gradient;
    }
    BatchExchange exchange(num_owned_, ghost_owner_);
    architecture_(model_, *backend_, atoms, list, wanted, exchange, workspace_);
    if (!std::isfinite(energy))
        throw NumericError("training: the energy of a batch is NaN or infinity");

    collect(batch, outputs);
    if (outputs.forces) {
        exchange.reverse(forces_.data(), 3);
        std::copy_n(forces_.data(), 3 * num_owned_, outputs.forces);
    }
    if (outputs.gradient) {
        double* to = outputs.gradient;
        for_each_parameter(gradient, [&to](const std::string&, const std::vector<double>& values) {
            for (const double value : values) *to++ += value;
        });
    }
}

}  // namespace camlip
