// SPDX-License-Identifier: MIT
// The parameters that training changes, by name and as one vector; gradients have the same shape.
//
// Names are those of the tensors in the model file; the order is that of for_each_parameter:
// layer after layer.  Reference energies, the energy scale, the scales of the invariants and the
// radii of the repulsion are constants of the data and not among them.
#ifndef CAMLIP_PARAMETERS_HPP
#define CAMLIP_PARAMETERS_HPP

#include <cstddef>
#include <string>
#include <vector>

#include "model.hpp"

namespace camlip {

// Calls body(name, values) for each parameter; Layers is std::vector<Layer>, const or not.
// Tensors that a layer does not have are left out.
template <class Layers, class Body>
void for_each_parameter(Layers& layers, Body body) {
    for (std::size_t t = 0; t < layers.size(); ++t) {
        auto& layer = layers[t];
        const std::string n = "." + std::to_string(t);
        const auto visit = [&body](const std::string& name, auto& values) {
            if (!values.empty()) body(name, values);
        };
        visit("radial" + n + ".bessel_weight", layer.radial.bessel_weight);
        visit("radial" + n + ".pair_bias", layer.radial.pair_bias);
        visit("radial" + n + ".hidden_weight", layer.radial.hidden_weight);
        visit("radial" + n + ".hidden_bias", layer.radial.hidden_bias);
        visit("radial" + n + ".output_weight", layer.radial.output_weight);
        visit("mixing" + n, layer.mixing);
        visit("transverse_mixing" + n, layer.transverse_mixing);
        visit("skip" + n, layer.skip);
        visit("contraction" + n + ".weight", layer.contraction.weight);
        visit("contraction" + n + ".mixing", layer.contraction.mixing);
        visit("contraction" + n + ".skip", layer.contraction.skip);
        visit("hidden" + n + ".weight", layer.hidden.weight);
        visit("hidden" + n + ".bias", layer.hidden.bias);
        visit("readout" + n + ".weight", layer.readout.weight);
        visit("readout" + n + ".bias", layer.readout.bias);
        visit("readout" + n + ".output", layer.readout.output);
        visit("message" + n + ".weight", layer.message.weight);
        visit("message" + n + ".vector", layer.message.vector);
    }
}

struct ParameterEntry {
    std::string name;
    std::size_t offset = 0;  // in the vector of all parameters
    std::size_t size = 0;
};

std::vector<ParameterEntry> parameter_layout(const Model& model);
std::size_t num_parameters(const Model& model);

// values: (num_parameters).
void get_parameters(const Model& model, double* values);
void set_parameters(const double* values, Model& model);

// Layers of the shapes of the model, all zero: dE/d(parameter) is added to them.
std::vector<Layer> zero_gradient(const Model& model);

}  // namespace camlip

#endif
