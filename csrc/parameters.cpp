// SPDX-License-Identifier: MIT
#include "parameters.hpp"

#include <algorithm>

namespace camlip {

std::vector<ParameterEntry> parameter_layout(const Model& model) {
    std::vector<ParameterEntry> layout;
    std::size_t offset = 0;
    for_each_parameter(model.layers,
                       [&](const std::string& name, const std::vector<double>& values) {
                           layout.push_back({name, offset, values.size()});
                           offset += values.size();
                       });
    return layout;
}

std::size_t num_parameters(const Model& model) {
    std::size_t count = 0;
    for_each_parameter(model.layers, [&](const std::string&, const std::vector<double>& values) {
        count += values.size();
    });
    return count;
}

void get_parameters(const Model& model, double* values) {
    for_each_parameter(model.layers, [&](const std::string&, const std::vector<double>& tensor) {
        values = std::copy(tensor.begin(), tensor.end(), values);
    });
}

void set_parameters(const double* values, Model& model) {
    for_each_parameter(model.layers, [&](const std::string&, std::vector<double>& tensor) {
        std::copy_n(values, tensor.size(), tensor.begin());
        values += tensor.size();
    });
}

std::vector<Layer> zero_gradient(const Model& model) {
    std::vector<Layer> gradient = model.layers;
    for_each_parameter(gradient, [](const std::string&, std::vector<double>& tensor) {
        std::fill(tensor.begin(), tensor.end(), 0.0);
    });
    return gradient;
}

}  // namespace camlip
