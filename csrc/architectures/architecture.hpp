// SPDX-License-Identifier: MIT
// What an architecture is to the engine: one function that runs the stages of a backend in order.
#ifndef CAMLIP_ARCHITECTURES_ARCHITECTURE_HPP
#define CAMLIP_ARCHITECTURES_ARCHITECTURE_HPP

#include <vector>

#include "backend.hpp"

namespace camlip {

// Halo exchange of rows of (N + G, width) doubles.  Collective: a rank that owns no atoms takes
// part as well.
class Exchange {
  public:
    virtual ~Exchange() = default;
    virtual void forward(double* features, int width) = 0;  // owned -> ghost
    virtual void reverse(double* features, int width) = 0;  // ghost -> owned, adds
};

// What a model without exchange callbacks does: nothing, there are no ghosts.
class NoExchange final : public Exchange {
  public:
    void forward(double*, int) override {}
    void reverse(double*, int) override {}
};

// Memory that an architecture keeps between calls.
struct Workspace {
    // Node features of each layer but the last, later their adjoint: (N + G, exchange_width)
    std::vector<std::vector<double>> h;
};

using Architecture = void (*)(const Model&, Backend&, const Atoms&, const NeighborList&,
                              const Outputs&, Exchange&, Workspace&);

}  // namespace camlip

#endif
