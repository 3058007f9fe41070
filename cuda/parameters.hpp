// SPDX-License-Identifier: MIT
// Folds a model's parameters into one block of bytes that is copied to the device as it is.
#ifndef CAMLIP_CUDA_PARAMETERS_HPP
#define CAMLIP_CUDA_PARAMETERS_HPP

#include <cstddef>
#include <vector>

#include "cpu/radial_table.hpp"
#include "device/model.hpp"
#include "model.hpp"

namespace camlip::cuda {

const cpu::SeriesKernels& series_kernels();

template <class T>
class FoldedModel {
  public:
    // Radial tables are made for pairs of `active_types` only.
    FoldedModel(const Model& model, const std::vector<int>& active_types);

    const std::vector<char>& bytes() const { return bytes_; }
    // Says where the bytes lie on the device: all pointers below point there from now on.
    void place(const char* base);

    const Sizes& sizes() const { return sizes_; }
    const LayerData<T>& layer(int n) const { return layers_[static_cast<std::size_t>(n)]; }
    const Repulsion& repulsion() const { return repulsion_; }
    const double* reference_energies() const { return reference_energies_; }
    const std::int32_t* active() const { return active_; }
    int num_active() const { return num_active_; }
    int num_intervals() const { return num_intervals_; }
    // Relative to the largest value and slope of their layers.
    const cpu::RadialError& radial_error() const { return radial_error_; }

  private:
    template <class V>
    V* room(const V*& pointer, std::size_t count);
    template <class V, class From>
    void put(const V*& pointer, const From* values, std::size_t count);
    // A (rows, columns) matrix or its transpose, with zeros up to the padded sizes.
    void put_matrix(const T*& pointer, const double* values, int rows, int columns, int padded_rows,
                    int padded_columns, bool transposed = false);
    void fold_sizes(const Model& model, const std::vector<int>& active_types);
    void fold_mixing(const Model& model, int index);
    void fold_contraction(const Model& model, int index);
    void fold_readout(const Model& model, int index);
    void fill_tables(const Model& model, const std::vector<int>& active_types);

    struct Pointer {
        const void** pointer;
        std::size_t offset;
    };

    Sizes sizes_{};
    std::vector<LayerData<T>> layers_;
    Repulsion repulsion_{};
    const double* reference_energies_ = nullptr;
    const std::int32_t* active_ = nullptr;
    int num_active_ = 0, num_intervals_ = 0;
    cpu::RadialError radial_error_;
    std::vector<char> bytes_;
    std::vector<Pointer> pointers_;
};

}  // namespace camlip::cuda

#endif
