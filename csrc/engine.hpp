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
    void (*prepare_training)(Model&, Precision);
    BackendOptions options;
};
BackendChoice choose_backend(const Model& model, const EngineOptions& options);

class Engine {
  public:
    // The model must outlive the engine.
    Engine(const Model& model, const EngineOptions& options);

    // exchange may be null when there are no ghosts or the model is strictly local.
    void compute(const Atoms& atoms, const NeighborList& neighbors, Exchange* exchange,
                 const Outputs& outputs);
    void compute_system(const System& system, const std::int32_t* types, const Outputs& outputs);

    const std::string& backend_name() const { return backend_name_; }
    BackendInfo info() const;  // as of now
    const Neighbors& neighbors() const { return neighbors_; }  // of compute_system

  private:
    void check_atoms(const Atoms& atoms) const;
    void check_neighbors(const Atoms& atoms, const NeighborList& neighbors) const;
    void run(const Atoms& atoms, const NeighborList& neighbors, Exchange& exchange,
             const Outputs& outputs);

    const Model& model_;
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
};

}  // namespace camlip

#endif
