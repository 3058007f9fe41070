// SPDX-License-Identifier: MIT
// Folds a model's parameters into the padded arrays that the kernels read.
#ifndef CAMLIP_CPU_PARAMETERS_HPP
#define CAMLIP_CPU_PARAMETERS_HPP

#include <memory>
#include <vector>

#include "cpu/arena.hpp"
#include "cpu/kernels.hpp"
#include "cpu/radial_table.hpp"
#include "cpu/training_tables.hpp"
#include "model.hpp"

namespace camlip::cpu {

// Owns what its Parameters point at.
template <class T>
class FoldedModel {
  public:
    // Radial tables are made for pairs of `active_types` only, by `num_threads` threads.
    FoldedModel(const Model& model, const std::vector<int>& active_types, const Kernels<T>& kernels,
                int num_threads, bool training);

    // The same model with other weights, in training; nothing is allocated.
    void refold(const Model& model);
    // In training, for the gradient by the radial networks.
    const KnotNetworks<T>& networks() const { return *networks_; }
    const Parameters<T>& parameters() const { return parameters_; }
    const RadialError& radial_error() const { return radial_error_; }
    std::size_t bytes() const;

  private:
    void fold(const Model& model);
    T* room(std::size_t count);
    // A (rows, columns) matrix, or its transpose, with rows padded to `stride`.
    const T* place(const double* values, int rows, int columns, int stride);
    const T* place_transposed(const double* values, int rows, int columns, int stride);
    // The transpose in panels of `width` columns, (rows / width, columns, width), the last one
    // perhaps narrower: the cache lines of a panel share no sets, those of a row as long as a page do.
    const T* place_panels(const double* values, int rows, int columns, int width);
    void fold_sizes(const Model& model, const std::vector<int>& active_types, int lanes);
    void fold_mixing(const Model& model, int index, int lanes);
    void fold_lower(const Model& model);
    void fold_contraction(const Model& model, int index);
    void fold_readout(const Model& model, int index, int lanes);
    // In folded_tables.cpp
    void fill_tables(const Model& model);
    void fill_training_tables(const Model& model);

    std::vector<int> active_types_;
    const Kernels<T>* kernels_;
    int num_threads_;
    Parameters<T> parameters_{};
    RadialError radial_error_;
    std::vector<Arena> arrays_;
    std::vector<T*> places_;  // of the arrays, in the order in which fold() asks for them
    std::size_t next_ = 0;
    // For training; knots are evaluated in double, so that the table is as good as its weights.
    std::unique_ptr<KnotNetworks<double>> knots_;
    std::unique_ptr<KnotNetworks<T>> networks_;
    std::vector<RadialNetwork> tabulated_;  // what the tables are of
    std::vector<std::int32_t> active_;
    std::vector<double> radii_, charges_, stretches_, reference_energies_;
};

}  // namespace camlip::cpu

#endif
