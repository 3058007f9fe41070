// SPDX-License-Identifier: MIT
// What a backend computes: the stages of the model and their adjoints, one virtual each.
// architectures/*.cpp call them in order and know nothing of how; a backend knows nothing of the
// order beyond what is written here.  Formulas: docs/derivations.md.
//
//     begin
//     for layer < n-1:        edges_forward(layer)   atoms_forward(layer)   [halo exchange of h]
//     the last layer:         edges_forward          atoms_turn             edges_backward
//     for layer = n-2 .. 0:   [reverse exchange of h_bar]   atoms_backward  edges_backward
//
// Everything after atoms_turn is left out when no Outputs ask for gradients.
//
// N owned atoms come first, then G ghosts.  Edges of owned atom i are its list entries j with
// types[j] >= 0 and |r_j - r_i| < cutoff; an owned atom of type -1 has no edges, no energy, and
// its rows of h are zero.  N = 0 is legal everywhere.
#ifndef CAMLIP_BACKEND_HPP
#define CAMLIP_BACKEND_HPP

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model.hpp"

namespace camlip {

struct Systems;

// Views of the caller's arrays, checked by the engine; valid until the last stage of the call.
struct Atoms {
    std::int64_t num_owned = 0;
    std::int64_t num_ghost = 0;
    const double* positions = nullptr;    // (N + G, 3), Angstrom
    const std::int32_t* types = nullptr;  // (N + G), -1 .. T-1
    bool on_device = false;               // positions, lists and Outputs are in device memory
    void* stream = nullptr;
    // A whole system without ghosts, for a backend that makes its own list: none comes with the
    // call, and h and h_bar are null, because nobody exchanges them.
    bool whole = false;
    const Systems* systems = nullptr;  // many whole systems; Outputs has energy and virial of each
    const double* cell = nullptr;  // (3, 3), null when nothing is periodic
    std::array<bool, 3> periodic{};
    // The rows of owned atoms that the halo exchange reads and adds to, in any order; null: it may
    // be all of them.  Only a backend that keeps_features() cares.
    const std::int32_t* boundary = nullptr;
    std::int64_t num_boundary = 0;

    std::int64_t num_total() const { return num_owned + num_ghost; }
};

struct NeighborList {
    const std::int64_t* offsets = nullptr;  // (N + 1)
    const std::int32_t* indices = nullptr;  // (offsets[N])
    std::uint64_t revision = 0;  // changes whenever the list does
    // Without offsets the backend makes the list of pairs closer than this, again when the
    // revision changes.
    double radius = 0;
};

// What is wanted; a null pointer is not computed.  Arrays are added to.
//
// With seeds c_i everything that is a derivative is one of sum_i c_i E_i instead of sum_i E_i;
// energies stay what they are.  Training asks for parameters, nobody else.
struct Outputs {
    double* energy = nullptr;  // (1)
    double* atomic_energies = nullptr;  // (N)
    double* forces = nullptr;  // (N + G, 3)
    double* virial = nullptr;  // (3, 3)
    double* centroid_virial = nullptr;  // (N + G, 3, 3)
    const double* seeds = nullptr;  // (N)
    std::vector<Layer>* parameters = nullptr;  // dE/d(parameter), shapes of the model

    bool gradients() const { return forces || virial || centroid_virial || parameters; }
    double seed(std::size_t i) const { return seeds ? seeds[i] : 1.0; }
};

enum class Precision { kMixed, kDouble };

// The device of the CUDA context that is current to the calling thread, in that context.
constexpr int kCurrentContext = -1;

struct BackendOptions {
    Precision precision = Precision::kMixed;
    int num_threads = 0;  // 0 = what OpenMP would use
    std::string simd = "auto";  // "auto", "avx512", "avx2", "baseline"
    int device = 0;  // of an accelerator, or kCurrentContext
    double skin = 0;  // of lists that the backend makes, Angstrom
    // Bytes that arrays over atoms may take; results that do not fit are computed again instead.
    // What cannot be computed again is kept in any case.
    std::uint64_t memory_limit = std::uint64_t{704} << 20;
    std::vector<int> active_types;  // ascending, never empty; no other type will appear
    bool training = false;  // parameters will change, and Outputs ask for them
};

struct BackendInfo {
    std::string precision;  // "double" or "mixed": what is really used
    std::string simd;  // instruction set of the kernels in use
    int num_threads = 1;
    double radial_table_error = 0;  // max |table - network| / max |network|
    double radial_table_derivative_error = 0;  // the same for d/dr
    std::uint64_t memory_bytes = 0;  // held now
};

// What calls of a size would take.  Zero: not known.
struct MemoryEstimate {
    std::int64_t num_owned = 0, num_ghost = 0, num_edges = 0;
    bool periodic = false, virial = false;
    std::uint64_t needed = 0, least = 0, available = 0;  // bytes; the answer
};

// One per engine; owns its folded parameters and all scratch memory.  The model outlives it.
class Backend {
  public:
    virtual ~Backend() = default;

    // Sizes the scratch memory.  Reference energies and the ZBL repulsion (with its forces and
    // virial) may be added here or in any later stage, once.
    virtual void begin(const Atoms& atoms, const NeighborList& neighbors,
                       const Outputs& outputs) = 0;

    // Layer 0: moments a of the owned atoms; h is null.  Above: message moments of the owned
    // atoms from h (N + G, exchange_width), the node features sent by layer - 1.
    virtual void edges_forward(int layer, const double* h) = 0;

    // Not the last layer: mixing, contraction, readout (energies are added), message.  Writes the
    // rows of the owned atoms of h (N + G, exchange_width).
    virtual void atoms_forward(int layer, double* h) = 0;

    // The last layer: the block forward (energies are added) and, when gradients are wanted,
    // backward at once: leaves the adjoint of this layer's edge sums, and of the moments of the
    // layer below that it skips from.
    virtual void atoms_turn(int layer) = 0;

    // Below the last layer: adjoint of the block from h_bar (its owned rows) and from the moments
    // that the layer above skips from; leaves the same as atoms_turn.  h_bar stays what it is until
    // edges_backward of this layer is done.
    virtual void atoms_backward(int layer, const double* h_bar) = 0;

    // Adds forces, virial and centroid virial of the edges of this layer.  Above layer 0, h comes
    // with the node features sent by layer - 1 and leaves with their adjoint (N + G,
    // exchange_width), owned and ghost rows; layer 0: null.
    virtual void edges_backward(int layer, double* h) = 0;

    virtual BackendInfo info() const = 0;

    // For forces: what all goes best with, what it goes with at all, and what there is.
    virtual void estimate_memory(MemoryEstimate&) const {}

    // Whether calls may be of a whole system, or bring a list without offsets.
    virtual bool makes_lists() const { return false; }
    // Whether features stay with the backend.  Then only rows of Atoms::boundary and of ghosts are
    // used of h; edges_backward leaves zero in rows of the boundary, and atoms_backward takes what
    // the exchange made of them in addition to what the backend knows.
    virtual bool keeps_features() const { return false; }
    // Of the list of a whole system: how often it was made, and the neighbors of each atom (N).
    virtual std::uint64_t list_revision() const { return 0; }
    virtual void count_neighbors(std::vector<std::int64_t>&) {}

    // Whether Outputs may ask for parameters and give seeds, where BackendOptions::training ...
    virtual bool has_parameter_gradient() const { return false; }
    // ... and what to do after the model's parameters changed: folds and tabulates anew.
    virtual void parameters_changed() {}
};

// Each backend offers make_<name>_backend of this type, declared in <name>/backend_<name>.hpp and
// listed in registry.cpp.
using MakeBackend = std::unique_ptr<Backend> (*)(const Model&, const BackendOptions&);

}  // namespace camlip

#endif
