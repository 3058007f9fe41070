// SPDX-License-Identifier: MIT
// The engine: a model and a backend, the checks of the caller's arrays, and whole systems with
// their own neighbor list.
#ifndef CAMLIP_ENGINE_HPP
#define CAMLIP_ENGINE_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "architectures/architecture.hpp"
#include "backend.hpp"
#include "camlip.h"
#include "neighbors.hpp"
#include "system_batch.hpp"

namespace camlip {

struct EngineOptions {
    std::string backend = "auto";
    std::string precision = "mixed";
    std::string simd = "auto";
    int num_threads = 0;
    std::vector<int> active_types;  // empty = all
    double skin = -1;               // < 0 = default
};

// The backend that the options name, and what to make it with.  Throws ArgumentError for values
// that make no sense, BackendError for a backend that is not built in.
struct BackendChoice {
    const char* name;
    MakeBackend make;
    BackendOptions options;
};
BackendChoice choose_backend(const Model& model, const EngineOptions& options);

// Ghosts that are images of atoms of the same process.
class ImageExchange final : public Exchange {
  public:
    ImageExchange(std::int64_t num_owned, const std::vector<std::int64_t>& ghost_owner)
        : num_owned_(num_owned), ghost_owner_(ghost_owner) {}

    void forward(double* features, int width) override;
    void reverse(double* features, int width) override;

  private:
    std::int64_t num_owned_;
    const std::vector<std::int64_t>& ghost_owner_;
};

class Engine {
  public:
    // The model must outlive the engine.
    Engine(const Model& model, const EngineOptions& options);

    // exchange may be null when there are no ghosts or the model is strictly local.
    void compute(const Atoms& atoms, const NeighborList& neighbors, Exchange* exchange,
                 const Outputs& outputs);
    // The backend makes the list where it can.
    void compute_system(const System& system, const std::int32_t* types, const Outputs& outputs);
    // Of the list of compute_system: how often it was made, and the neighbors of each atom (N).
    std::uint64_t list_revision() const;
    void count_neighbors(std::vector<std::int64_t>& counts) const;

    // The same with positions and outputs in device memory: queued in the stream.
    void compute_system_on_device(const System& system, const std::int32_t* types, void* stream,
                                  const Outputs& outputs);

    // Of outputs, energy has a row for each system, virial (3, 3) for each, the others one for each
    // atom.
    void compute_systems(const Systems& systems, const Outputs& outputs);

    const std::string& backend_name() const { return backend_name_; }
    bool makes_lists() const { return backend_->makes_lists(); }
    BackendInfo info() const;  // as of now
    // neighbors_per_atom <= 0: as many as in training, more with a skin.
    MemoryEstimate estimate_memory(std::int64_t num_owned, std::int64_t num_ghost, bool periodic,
                                   double neighbors_per_atom) const;

  private:
    void check_atoms(const Atoms& atoms) const;
    void check_count(const Atoms& atoms) const;
    void check_types(const Atoms& atoms) const;
    void check_boundary(const Atoms& atoms) const;
    void check_neighbors(const Atoms& atoms, const NeighborList& neighbors) const;
    void run(const Atoms& atoms, const NeighborList& neighbors, Exchange& exchange,
             const Outputs& outputs);
    void check_systems(const Systems& systems) const;
    void compute_packed(const Systems& systems, std::int64_t first, std::int64_t last,
                        const Outputs& outputs);
    void compute_on_device(const Systems& systems, const Outputs& outputs);
    void compute_alone(const Systems& systems, std::int64_t s, const Outputs& outputs);
    void add_system(const Systems& systems, std::int64_t first, std::int64_t s,
                    const Outputs& outputs);

    const Model& model_;
    EngineOptions options_;
    std::string backend_name_;
    Architecture architecture_;
    std::vector<bool> active_;  // (T)
    std::unique_ptr<Backend> backend_;
    Workspace workspace_;

    // Of compute_system: the list, and rows for owned atoms and ghosts.
    Neighbors neighbors_;
    std::vector<std::int32_t> types_;  // (N), of the last call
    std::vector<std::int32_t> all_types_;
    std::vector<double> forces_, centroid_virial_;

    // Of compute_systems, made by the first.
    std::unique_ptr<SystemBatch> batch_;
    std::vector<double> energies_;
    std::uint64_t batch_revision_ = 0;
};

}  // namespace camlip

#endif
