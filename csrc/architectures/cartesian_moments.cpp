// SPDX-License-Identifier: MIT
#include "architectures/cartesian_moments.hpp"

#include <cstddef>

namespace camlip {
namespace {

double* rows(std::vector<std::vector<double>>& h, int layer) {
    return h[static_cast<std::size_t>(layer)].data();
}

void forward(const Model& model, Backend& backend, Exchange& exchange, Workspace& w) {
    const int last = model.config.num_layers - 1;
    for (int layer = 0; layer < last; ++layer) {
        backend.edges_forward(layer, layer == 0 ? nullptr : rows(w.h, layer - 1));
        backend.atoms_forward(layer, rows(w.h, layer));
        exchange.forward(rows(w.h, layer), model.config.exchange_width());
    }
    backend.edges_forward(last, last == 0 ? nullptr : rows(w.h, last - 1));
    backend.atoms_turn(last);
}

void backward(const Model& model, Backend& backend, Exchange& exchange, Workspace& w) {
    for (int layer = model.config.num_layers - 1; layer > 0; --layer) {
        double* const h = rows(w.h, layer - 1);
        backend.edges_backward(layer, h);
        exchange.reverse(h, model.config.exchange_width());
        backend.atoms_backward(layer - 1, h);
    }
    backend.edges_backward(0, nullptr);
}

}  // namespace

void run_cartesian_moments(const Model& model, Backend& backend, const Atoms& atoms,
                           const NeighborList& neighbors, const Outputs& outputs,
                           Exchange& exchange, Workspace& workspace) {
    const std::size_t size = atoms.whole
                                 ? 0
                                 : static_cast<std::size_t>(atoms.num_total()) *
                                       static_cast<std::size_t>(model.config.exchange_width());
    workspace.h.resize(static_cast<std::size_t>(model.config.num_layers - 1));
    for (std::vector<double>& h : workspace.h) h.resize(size);
    backend.begin(atoms, neighbors, outputs);
    forward(model, backend, exchange, workspace);
    if (outputs.gradients()) backward(model, backend, exchange, workspace);
}

}  // namespace camlip
