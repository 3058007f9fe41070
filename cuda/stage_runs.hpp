// SPDX-License-Identifier: MIT
// The stages of a range of owned atoms, tile by tile.
#ifndef CAMLIP_CUDA_STAGE_RUNS_HPP
#define CAMLIP_CUDA_STAGE_RUNS_HPP

#include <algorithm>
#include <cstdint>

#include "stage_kernels.hpp"

namespace camlip::cuda {

template <class T, class Runtime>
class StageRuns : protected StageKernels<T, Runtime> {
  protected:
    using Base = StageKernels<T, Runtime>;
    using Base::Base;
    using Base::features_bar, Base::folded_, Base::kWords, Base::last_, Base::run_block,
        Base::scatter_edges, Base::sizes_, Base::sum_edges;

    // Of the model.
    Plan shape() const {
        Plan p;
        p.width = sizes_.width;
        p.hidden = sizes_.hidden;
        p.moments = sizes_.components * sizes_.channels;
        for (int n = 0; n <= last_; ++n) p.sums.push_back(folded_.layer(n).num_sums);
        return p;
    }

    // Stages of owned atoms [from, end).
    template <class Body>
    void for_tiles(std::int64_t from, std::int64_t end, Body body) {
        for (std::int64_t first = from; first < end; first += tile_)
            body(first, std::min(tile_, end - first));
    }
    void forward(int layer, std::int64_t from, std::int64_t end) {
        for_tiles(from, end, [&](std::int64_t first, std::int64_t atoms) {
            sum_edges(layer, first, atoms, layer == 0);
            run_block(layer, BlockMode::kForward, first, atoms);
        });
    }
    void turn(std::int64_t from, std::int64_t end) {
        for_tiles(from, end, [&](std::int64_t first, std::int64_t atoms) {
            sum_edges(last_, first, atoms, false);
            run_block(last_, BlockMode::kTurn, first, atoms);
        });
    }
    // With the turn, in the last layer.
    void backward(int layer, std::int64_t from, std::int64_t end) {
        for_tiles(from, end, [&](std::int64_t first, std::int64_t atoms) {
            if (layer == last_) sum_edges(layer, first, atoms, false);
            run_block(layer, layer == last_ ? BlockMode::kTurn : BlockMode::kBackward, first,
                      atoms);
            scatter_edges(layer, first, atoms);
        });
    }
    void zero_features_bar(int layer) {
        if (layer > 0) features_bar(layer).zero(num_total_ * sizes_.width * kWords);
    }

    std::int64_t num_owned_ = 0, num_total_ = 0, tile_ = 1;
};

}  // namespace camlip::cuda

#endif
