// SPDX-License-Identifier: MIT
// Radial functions in training: a coarse table, filled by the network at its knots only, which the
// gradient by the table's knots goes back through.  The cost depends on the number of pairs of
// elements, not on that of edges.
#ifndef CAMLIP_CPU_TRAINING_TABLES_HPP
#define CAMLIP_CPU_TRAINING_TABLES_HPP

#include <vector>

#include "cpu/arena.hpp"
#include "cpu/kernels.hpp"
#include "model.hpp"

namespace camlip::cpu {

// Intervals from 0 to the cutoff.
int num_training_intervals(const Config& config, bool mixed);

// The networks of a model with the arrays that the kernels need, in the arithmetic U.
template <class U>
class KnotNetworks {
  public:
    KnotNetworks(const Model& model, const Kernels<U>& kernels, int num_intervals, int num_threads);

    void load(const Model& model);  // its weights as they are now
    int radial_stride(int layer) const { return layers_[static_cast<std::size_t>(layer)].stride; }
    // Knots (intervals + 1, 3, radial_stride) of one pair.
    void forward(int layer, int pair, U* knots) const;
    // Adds the gradient, by all pairs of `active`, from the adjoint (active pairs, intervals + 1, 3,
    // stride) of the knots.
    void backward(int layer, const std::vector<int>& active, const double* knots_bar, int stride,
                  RadialNetwork& gradient) const;

  private:
    struct LayerArrays {
        int num_radial, stride;
        U *bessel_weight, *pair_bias, *hidden_weight, *hidden_weight_t, *hidden_bias;
        U *output_weight, *output_weight_t;
    };
    KnotJob<U> job(int layer, int pair, int first, U* room) const;
    std::size_t room() const;

    const Kernels<U>& kernels_;
    int num_types_, num_bessel_, width_, width_stride_, num_knots_, num_threads_, most_radial_ = 0;
    std::vector<LayerArrays> layers_;
    std::vector<U> basis_, factor_;  // batch after batch
    Arena arena_;
};

// Polynomials (intervals, 6, stride) of one pair from its knots.
template <class T>
void fill_training_table(int num_intervals, int num_radial, int knots_stride, const double* knots,
                         int stride, T* table);

}  // namespace camlip::cpu

#endif
