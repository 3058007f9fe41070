// SPDX-License-Identifier: MIT
// Structures of a data set as one system for a backend: the atoms of all of them, then the
// periodic images that their edges reach.
#ifndef CAMLIP_TRAINING_BATCH_HPP
#define CAMLIP_TRAINING_BATCH_HPP

#include <cstdint>
#include <vector>

#include "architectures/architecture.hpp"

namespace camlip {

// Views of the caller's arrays: S structures with N atoms and E edges in total, one after the
// other.  Edge e: neighbor at r_j + shift . cell, of the same structure as its center.
struct BatchView {
    std::int64_t num_structures = 0;
    std::int64_t num_edges = 0;
    const std::int64_t* num_atoms = nullptr;  // (S)
    const double* positions = nullptr;        // (N, 3), Angstrom
    const std::int32_t* types = nullptr;      // (N), 0 .. T-1
    const double* cells = nullptr;            // (S, 3, 3), rows are lattice vectors
    const std::int32_t* centers = nullptr;    // (E), ascending
    const std::int32_t* neighbors = nullptr;  // (E)
    const std::int32_t* shifts = nullptr;     // (E, 3)
};

class TrainingBatch {
  public:
    // Throws ArgumentError for indices out of range, NumericError for positions that are not
    // finite.
    TrainingBatch(const BatchView& view, int num_types);
    // The structures of several batches, one after the other.  Throws ArgumentError when they are
    // too many.
    explicit TrainingBatch(const std::vector<const TrainingBatch*>& parts);
    // Every structure and atom twice, next to each other.
    TrainingBatch doubled() const;

    std::int64_t num_structures() const { return static_cast<std::int64_t>(num_atoms_.size()); }
    std::int64_t num_owned() const { return num_owned_; }
    const std::vector<std::int32_t>& types() const { return types_; }          // (N + G)
    const std::vector<std::int64_t>& offsets() const { return offsets_; }      // (N + 1)
    const std::vector<std::int32_t>& indices() const { return indices_; }      // (E)
    const std::vector<std::int32_t>& structures() const { return structure_; } // (N + G)

    // Positions (N + G, 3) after r -> (1 + strain) r + displacement; a null pointer is zero.
    // displacements (N, 3), strains (S, 3, 3).
    void place(const double* displacements, const double* strains,
               std::vector<double>& positions) const;

    // Rows of owners to ghosts, and ghosts added onto owners.
    void copy_to_ghosts(double* features, int width) const;
    void add_ghosts(double* features, int width) const;

  private:
    TrainingBatch() = default;
    void read_atoms(const BatchView& view, int num_types);
    void read_edges(const BatchView& view);
    void append(const TrainingBatch& part, std::int64_t num_owned);
    void describe_ghosts();

    std::int64_t num_owned_ = 0;
    std::vector<std::int64_t> num_atoms_;      // (S)
    std::vector<double> positions_;            // (N, 3)
    std::vector<std::int32_t> types_, structure_;
    std::vector<std::int32_t> ghost_owner_;    // (G)
    std::vector<double> ghost_vector_;         // (G, 3) from the owner to the image
    std::vector<std::int64_t> offsets_;
    std::vector<std::int32_t> indices_;
};

}  // namespace camlip

#endif
