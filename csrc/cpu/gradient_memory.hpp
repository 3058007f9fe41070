// SPDX-License-Identifier: MIT
// The sums of a thread for the gradient by the parameters, and their way back to the tensors of the
// model: what FoldedModel folds, scales and pads is undone here.
#ifndef CAMLIP_CPU_GRADIENT_MEMORY_HPP
#define CAMLIP_CPU_GRADIENT_MEMORY_HPP

#include <cstddef>
#include <vector>

#include "cpu/arena.hpp"
#include "cpu/gradient_data.hpp"
#include "model.hpp"

namespace camlip::cpu {

template <class T>
class GradientMemory {
  public:
    // All sums are zero afterwards.
    void begin(const Parameters<T>& p);
    void add(const GradientMemory& other);  // its totals
    // Adds the totals to the gradient, but for those of the knots.
    void unfold(const Model& model, const Parameters<T>& p, std::vector<Layer>& gradient) const;
    const double* knots(int layer) const { return total(data.layers[layer].knots); }
    std::size_t bytes() const { return arena_.bytes(); }

    GradientData<T> data{};

  private:
    void place(const Parameters<T>& p, T* start);
    void unfold_moments(const Model& model, const Parameters<T>& p, int layer,
                        std::vector<Layer>& gradient) const;
    void unfold_block(const Model& model, const Parameters<T>& p, int layer, Layer& out) const;
    const double* total(const T* sum) const { return data.totals + (sum - data.sums); }

    Arena arena_;
    std::size_t num_totals_ = 0;
};

}  // namespace camlip::cpu

#endif
