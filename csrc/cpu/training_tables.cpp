// SPDX-License-Identifier: MIT
#include "cpu/training_tables.hpp"

#include <algorithm>
#include <cstddef>

#include "cpu/backend_cpu.hpp"
#include "cpu/radial_table.hpp"

namespace camlip {

void tabulate_radial_functions(Model& model, Precision precision) {
    // At the highest frequency, num_bessel pi / cutoff, 8 intervals span half a wave: then the
    // table is off by 1e-8 of the values and 1e-6 of the slopes, or 1e-12 and 1e-9.
    const int coarse = std::max(64, 8 * model.config.num_bessel);
    const int intervals = precision == Precision::kMixed ? coarse : 4 * coarse;
    const double h = model.config.cutoff / intervals, unit[3] = {1, 1 / h, 2 / (h * h)};
    const cpu::RadialSeries series(model, cpu::choose_kernels<double>("auto").series, 2,
                                   1.0 / intervals, cpu::table_knots(intervals));
    std::vector<double> pair;
    for (int layer = 0; layer < model.config.num_layers; ++layer) {
        std::vector<double>& knots = model.layers[static_cast<std::size_t>(layer)].radial.knots;
        const auto radial = static_cast<std::size_t>(model.config.num_radial_of(layer));
        knots.clear();
        for (int a = 0; a < model.num_types(); ++a) {
            for (int b = 0; b < model.num_types(); ++b) {
                series.evaluate(layer, a, b, pair);
                for (std::size_t n = 0; n < pair.size(); ++n) {
                    knots.push_back(pair[n] * unit[n / radial % 3]);
                }
            }
        }
    }
}

namespace cpu {

int num_training_intervals(const Model& model) {
    const std::size_t rows = 3 * static_cast<std::size_t>(model.num_types() * model.num_types() *
                                                          model.config.num_radial);
    return static_cast<int>(model.layers[0].radial.knots.size() / rows) - 1;
}

template <class T>
void fill_training_table(const Model& model, int layer, const std::vector<int>& active_types,
                         int stride, T* table) {
    const int intervals = num_training_intervals(model), K = model.config.num_radial_of(layer);
    const double h = model.config.cutoff / intervals;
    const double* knots = model.layers[static_cast<std::size_t>(layer)].radial.knots.data();
    for (const int a : active_types) {
        for (const int b : active_types) {
            const double* left = knots + (a * model.num_types() + b) * (intervals + 1L) * 3 * K;
            for (int n = 0; n < intervals; ++n, left += 3 * K, table += 6 * stride) {
                for (int k = 0; k < K; ++k) {
                    const double* right = left + 3 * K;
                    const double d0 = left[K + k] * h, d1 = right[K + k] * h;
                    const double s0 = left[2 * K + k] * h * h, s1 = right[2 * K + k] * h * h;
                    const double step = right[k] - left[k];
                    T* c = table + k;
                    c[0] = static_cast<T>(left[k]);
                    c[stride] = static_cast<T>(d0);
                    c[2 * stride] = static_cast<T>(0.5 * s0);
                    c[3 * stride] =
                        static_cast<T>(10 * step - 6 * d0 - 4 * d1 - 1.5 * s0 + 0.5 * s1);
                    c[4 * stride] = static_cast<T>(-15 * step + 8 * d0 + 7 * d1 + 1.5 * s0 - s1);
                    c[5 * stride] =
                        static_cast<T>(6 * step - 3 * d0 - 3 * d1 - 0.5 * s0 + 0.5 * s1);
                }
            }
        }
    }
}

template void fill_training_table<float>(const Model&, int, const std::vector<int>&, int, float*);
template void fill_training_table<double>(const Model&, int, const std::vector<int>&, int, double*);

}  // namespace cpu
}  // namespace camlip
