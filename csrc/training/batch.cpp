// SPDX-License-Identifier: MIT
#include "training/batch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "errors.hpp"

namespace camlip {
namespace {

std::string edge_text(std::int64_t e) { return "batch: edge " + std::to_string(e); }

}  // namespace

TrainingBatch::TrainingBatch(const BatchView& view, int num_types) {
    read_atoms(view, num_types);
    read_edges(view);
    describe_ghosts();
}

TrainingBatch::TrainingBatch(const std::vector<const TrainingBatch*>& parts) {
    std::int64_t owned = 0;
    std::size_t rows = 0, edges = 0;
    for (const TrainingBatch* part : parts) {
        owned += part->num_owned_;
        rows += part->types_.size();
        edges += part->indices_.size();
    }
    if (rows > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
        throw ArgumentError("batch: " + std::to_string(rows) + " atoms and images together");
    positions_.reserve(3 * static_cast<std::size_t>(owned));
    types_.reserve(rows);
    structure_.reserve(rows);
    indices_.reserve(edges);
    offsets_.reserve(static_cast<std::size_t>(owned) + 1);
    offsets_.push_back(0);
    for (const TrainingBatch* part : parts) append(*part, owned);
    describe_ghosts();
}

TrainingBatch TrainingBatch::doubled() const {
    if (types_.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max() / 2))
        throw ArgumentError("batch: " + std::to_string(types_.size()) +
                            " atoms and images, too many to have twice");
    const auto twice = [](const auto& rows, std::size_t first, std::size_t last, std::size_t width,
                          auto& out) {
        for (std::size_t row = first; row < last; ++row)
            for (int copy = 0; copy < 2; ++copy)
                out.insert(out.end(), rows.begin() + static_cast<std::ptrdiff_t>(row * width),
                           rows.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
    };
    const auto owned = static_cast<std::size_t>(num_owned_);
    TrainingBatch both;
    both.num_owned_ = 2 * num_owned_;
    twice(num_atoms_, 0, num_atoms_.size(), 1, both.num_atoms_);
    twice(positions_, 0, owned, 3, both.positions_);
    twice(types_, 0, owned, 1, both.types_);
    twice(ghost_vector_, 0, ghost_owner_.size(), 3, both.ghost_vector_);
    both.indices_.reserve(2 * indices_.size());
    both.offsets_.reserve(2 * owned + 1);
    both.offsets_.push_back(0);
    for (std::size_t i = 0; i < owned; ++i)
        for (std::int32_t copy = 0; copy < 2; ++copy) {
            both.structure_.push_back(2 * structure_[i] + copy);
            for (std::int64_t e = offsets_[i]; e < offsets_[i + 1]; ++e)
                both.indices_.push_back(2 * indices_[static_cast<std::size_t>(e)] + copy);
            both.offsets_.push_back(static_cast<std::int64_t>(both.indices_.size()));
        }
    for (const std::int32_t owner : ghost_owner_)
        for (std::int32_t copy = 0; copy < 2; ++copy) both.ghost_owner_.push_back(2 * owner + copy);
    both.describe_ghosts();
    return both;
}

// num_owned: of the whole batch, behind which the images come.
void TrainingBatch::append(const TrainingBatch& part, std::int64_t num_owned) {
    const auto first_atom = static_cast<std::int32_t>(num_owned_);
    const auto first_structure = static_cast<std::int32_t>(num_atoms_.size());
    const auto part_owned = static_cast<std::int32_t>(part.num_owned_);
    const auto first_image =
        static_cast<std::int32_t>(num_owned + static_cast<std::int64_t>(ghost_owner_.size()));
    const std::int64_t first_edge = offsets_.back();
    const auto add = [](auto& to, const auto& from) {
        to.insert(to.end(), from.begin(), from.end());
    };
    add(num_atoms_, part.num_atoms_);
    add(positions_, part.positions_);
    add(ghost_vector_, part.ghost_vector_);
    types_.insert(types_.end(), part.types_.begin(), part.types_.begin() + part_owned);
    for (std::int32_t i = 0; i < part_owned; ++i) {
        const auto n = static_cast<std::size_t>(i);
        structure_.push_back(first_structure + part.structure_[n]);
        offsets_.push_back(first_edge + part.offsets_[n + 1]);
    }
    for (const std::int32_t owner : part.ghost_owner_) ghost_owner_.push_back(first_atom + owner);
    for (const std::int32_t j : part.indices_)
        indices_.push_back(j < part_owned ? first_atom + j : first_image + (j - part_owned));
    num_owned_ += part.num_owned_;
}

void TrainingBatch::describe_ghosts() {
    for (const std::int32_t owner : ghost_owner_) {
        types_.push_back(types_[static_cast<std::size_t>(owner)]);
        structure_.push_back(structure_[static_cast<std::size_t>(owner)]);
    }
}

void TrainingBatch::read_atoms(const BatchView& view, int num_types) {
    num_atoms_.assign(view.num_atoms, view.num_atoms + view.num_structures);
    for (std::int64_t k = 0; k < view.num_structures; ++k) {
        if (view.num_atoms[k] < 0 ||
            view.num_atoms[k] > std::numeric_limits<std::int32_t>::max() - num_owned_)
            throw ArgumentError("batch: structure " + std::to_string(k) + " has " +
                                std::to_string(view.num_atoms[k]) + " atoms");
        num_owned_ += view.num_atoms[k];
        structure_.resize(static_cast<std::size_t>(num_owned_), static_cast<std::int32_t>(k));
    }
    positions_.assign(view.positions, view.positions + 3 * num_owned_);
    types_.assign(view.types, view.types + num_owned_);
    for (std::int64_t i = 0; i < num_owned_; ++i) {
        if (types_[static_cast<std::size_t>(i)] < 0 ||
            types_[static_cast<std::size_t>(i)] >= num_types)
            throw ArgumentError("batch: atom " + std::to_string(i) + " has type " +
                                std::to_string(types_[static_cast<std::size_t>(i)]) +
                                ", expected 0 to " + std::to_string(num_types - 1));
        for (int x = 0; x < 3; ++x)
            if (!std::isfinite(view.positions[3 * i + x]))
                throw NumericError("batch: atom " + std::to_string(i) + " is at NaN or infinity");
    }
}

void TrainingBatch::read_edges(const BatchView& view) {
    // Images of an atom form a chain; there are few of each.
    struct Image {
        std::int32_t shift[3];
        std::int32_t next;
    };
    std::vector<Image> images;
    std::vector<std::int32_t> first(static_cast<std::size_t>(num_owned_), -1);
    offsets_.assign(static_cast<std::size_t>(num_owned_) + 1, 0);
    indices_.resize(static_cast<std::size_t>(view.num_edges));
    std::int32_t last = 0;
    for (std::int64_t e = 0; e < view.num_edges; ++e) {
        const std::int32_t i = view.centers[e], j = view.neighbors[e];
        if (i < last || i >= num_owned_ || j < 0 || j >= num_owned_ ||
            structure_[static_cast<std::size_t>(i)] != structure_[static_cast<std::size_t>(j)])
            throw ArgumentError(edge_text(e) + " goes from atom " + std::to_string(i) + " to " +
                                std::to_string(j) +
                                ", expected ascending centers and two atoms of one structure");
        last = i;
        ++offsets_[static_cast<std::size_t>(i) + 1];
        const std::int32_t* s = view.shifts + 3 * e;
        if (s[0] == 0 && s[1] == 0 && s[2] == 0) {
            if (i == j) throw ArgumentError(edge_text(e) + " joins an atom to itself");
            indices_[static_cast<std::size_t>(e)] = j;
            continue;
        }
        std::int32_t g = first[static_cast<std::size_t>(j)];
        while (g >= 0 && !std::equal(s, s + 3, images[static_cast<std::size_t>(g)].shift))
            g = images[static_cast<std::size_t>(g)].next;
        if (g < 0) {
            g = static_cast<std::int32_t>(images.size());
            images.push_back({{s[0], s[1], s[2]}, first[static_cast<std::size_t>(j)]});
            first[static_cast<std::size_t>(j)] = g;
            ghost_owner_.push_back(j);
            const double* cell = view.cells + 9 * structure_[static_cast<std::size_t>(j)];
            for (int x = 0; x < 3; ++x)
                ghost_vector_.push_back(s[0] * cell[x] + s[1] * cell[3 + x] + s[2] * cell[6 + x]);
        }
        indices_[static_cast<std::size_t>(e)] = static_cast<std::int32_t>(num_owned_) + g;
    }
    for (std::size_t i = 1; i < offsets_.size(); ++i) offsets_[i] += offsets_[i - 1];
}

void TrainingBatch::place(const double* displacements, const double* strains,
                          std::vector<double>& positions) const {
    positions.resize(3 * types_.size());
    const auto add_strained = [&](std::size_t row, const double* r, double* to) {
        for (int x = 0; x < 3; ++x) {
            to[x] += r[x];
            if (!strains) continue;
            const double* s = strains + 9 * structure_[row] + 3 * x;
            to[x] += s[0] * r[0] + s[1] * r[1] + s[2] * r[2];
        }
    };
    const auto num_owned = static_cast<std::size_t>(num_owned_);
    for (std::size_t i = 0; i < num_owned; ++i) {
        double* to = &positions[3 * i];
        for (std::size_t x = 0; x < 3; ++x) to[x] = displacements ? displacements[3 * i + x] : 0;
        add_strained(i, &positions_[3 * i], to);
    }
    for (std::size_t g = 0; g < ghost_owner_.size(); ++g) {
        double* to = &positions[3 * (num_owned + g)];
        std::copy_n(&positions[3 * static_cast<std::size_t>(ghost_owner_[g])], 3, to);
        add_strained(num_owned + g, &ghost_vector_[3 * g], to);
    }
}

void TrainingBatch::copy_to_ghosts(double* features, int width) const {
    double* ghost = features + num_owned_ * width;
    for (const std::int32_t owner : ghost_owner_)
        ghost = std::copy_n(features + static_cast<std::int64_t>(owner) * width, width, ghost);
}

void TrainingBatch::add_ghosts(double* features, int width) const {
    const double* ghost = features + num_owned_ * width;
    for (const std::int32_t owner : ghost_owner_)
        for (int n = 0; n < width; ++n)
            features[static_cast<std::int64_t>(owner) * width + n] += *ghost++;
}

}  // namespace camlip
