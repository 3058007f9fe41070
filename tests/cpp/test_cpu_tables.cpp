// SPDX-License-Identifier: MIT
// The radial tables of the CPU backend against the network as the reference backend evaluates it:
// another code, without series.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "cpu/kernels.hpp"
#include "cpu/radial_table.hpp"
#include "errors.hpp"
#include "random_model.hpp"
#include "reference/radial.hpp"

using namespace camlip;
using namespace camlip::cpu;

namespace {

struct Deviation {
    double value = 0, slope = 0;
};

// Largest deviations of a table, relative to the largest value and slope, between the knots.
template <class T>
Deviation deviation(const Model& model, const SeriesKernels& kernels, int layer, int order,
                    int num_intervals) {
    const int radial = model.config.num_radial_of(layer), stride = radial + 3;
    const RadialSeries series(model, kernels, order, 1.0 / num_intervals,
                              table_knots(num_intervals));
    std::vector<double> knots;
    series.evaluate(layer, 0, 1, knots);
    std::vector<T> table(static_cast<std::size_t>(num_intervals * (2 * order + 2) * stride));
    fill_radial_table<T>(knots, order, num_intervals, radial, stride, table.data());

    const reference::Radial exact(model, layer);
    std::vector<double> g(static_cast<std::size_t>(radial)), dg(g);
    const double h = model.config.cutoff / num_intervals;
    Deviation found, scale;
    for (int n = 0; n < num_intervals; ++n) {
        for (const double t : {0.003, 0.29, 0.5, 0.81, 0.999}) {
            exact.evaluate(0, 1, (n + t) * h, g.data(), dg.data());
            for (int k = 0; k < radial; ++k) {
                double value = 0, slope = 0;
                for (int power = 2 * order + 1; power >= 0; --power) {
                    slope = slope * t + value;
                    value =
                        value * t +
                        table[static_cast<std::size_t>((n * (2 * order + 2) + power) * stride + k)];
                }
                const auto at = static_cast<std::size_t>(k);
                found.value = std::max(found.value, std::fabs(value - g[at]));
                found.slope = std::max(found.slope, std::fabs(slope / h - dg[at]));
                scale.value = std::max(scale.value, std::fabs(g[at]));
                scale.slope = std::max(scale.slope, std::fabs(dg[at]));
            }
        }
    }
    return {found.value / scale.value, found.slope / scale.slope};
}

}  // namespace

TEST(tables_of_every_instruction_set_hold_the_network) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    for (const char* simd : {"baseline", "avx2", "avx512"}) {
        const Kernels<double>* kernels = nullptr;
        try {
            kernels = &choose_kernels<double>(simd);
        } catch (const std::exception&) {
            continue;  // not of this machine
        }
        for (const int layer : {0, 1}) {
            const Deviation fine = deviation<double>(model, kernels->series, layer, 4, 256);
            CHECK(fine.value < 1e-13 && fine.slope < 1e-11);
            const Deviation coarse = deviation<double>(model, kernels->series, layer, 4, 16);
            CHECK(coarse.value > 10 * fine.value);  // the test sees errors of this kind
            const Deviation mixed = deviation<float>(model, kernels->series, layer, 2, 256);
            CHECK(mixed.value < 2e-7 && mixed.slope < 2e-6);
        }
    }
}

TEST(the_check_finds_the_largest_deviation) {
    const Model model = random_model::make_model(random_model::small_config(2, 2));
    const SeriesKernels& kernels = choose_kernels<double>("auto").series;
    for (const int order : {2, 4}) {
        const int intervals = 16, radial = model.config.num_radial_of(0);
        const RadialSeries series(model, kernels, order, 1.0 / intervals, table_knots(intervals));
        std::vector<double> knots;
        series.evaluate(0, 0, 1, knots);
        std::vector<double> table(static_cast<std::size_t>(intervals * (2 * order + 2) * radial));
        fill_radial_table<double>(knots, order, intervals, radial, radial, table.data());
        const RadialError error =
            RadialCheck(model, kernels, order, intervals).measure(0, 0, 1, radial, table.data());
        const Deviation found = deviation<double>(model, kernels, 0, order, intervals);
        const double value = error.value / error.value_scale;
        const double slope = error.derivative / error.derivative_scale;
        CHECK(value > 0.95 * found.value && value < 1.5 * found.value);
        CHECK(slope > 0.95 * found.slope && slope < 1.5 * found.slope);
    }
}

int main() { return check::run(); }
