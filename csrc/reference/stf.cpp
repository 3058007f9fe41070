// SPDX-License-Identifier: MIT
#include "reference/stf.hpp"

#include <cmath>
#include <cstddef>

namespace camlip::reference {
namespace {

struct Monomial {
    int power[3];  // of x, y, z
    double coefficient;
};
using Polynomial = std::vector<Monomial>;

// The polynomials of rank l on the unit sphere, in the order of the components.
std::vector<Polynomial> polynomials(int rank) {
    const double s2 = std::sqrt(2.0), h = std::sqrt(0.5), s6 = 1 / std::sqrt(6.0);
    const double k = 1 / std::sqrt(10.0);
    const double a = k * std::sqrt(2.5), b = k * std::sqrt(15.0), c = k * std::sqrt(1.5);
    switch (rank) {
        case 0: return {{{{0, 0, 0}, 1}}};
        case 1: return {{{{1, 0, 0}, 1}}, {{{0, 1, 0}, 1}}, {{{0, 0, 1}, 1}}};
        case 2:
            return {{{{1, 1, 0}, s2}},
                    {{{0, 1, 1}, s2}},
                    {{{1, 0, 1}, s2}},
                    {{{2, 0, 0}, h}, {{0, 2, 0}, -h}},
                    {{{0, 0, 2}, 2 * s6}, {{2, 0, 0}, -s6}, {{0, 2, 0}, -s6}}};
        default:
            return {{{{2, 1, 0}, 3 * a}, {{0, 3, 0}, -a}},
                    {{{1, 1, 1}, 2 * b}},
                    {{{0, 1, 2}, 4 * c}, {{2, 1, 0}, -c}, {{0, 3, 0}, -c}},
                    {{{0, 0, 3}, 2 * k}, {{2, 0, 1}, -3 * k}, {{0, 2, 1}, -3 * k}},
                    {{{1, 0, 2}, 4 * c}, {{3, 0, 0}, -c}, {{1, 2, 0}, -c}},
                    {{{2, 0, 1}, b}, {{0, 2, 1}, -b}},
                    {{{3, 0, 0}, a}, {{1, 2, 0}, -3 * a}}};
    }
}

double power(double x, int n) { return n <= 0 ? 1 : x * power(x, n - 1); }

int factorial(int n) { return n <= 1 ? 1 : n * factorial(n - 1); }

int power_of_three(int n) { return n == 0 ? 1 : 3 * power_of_three(n - 1); }

// E^l_m in full Cartesian form: (2l+1, 3^l); index i1..il is read as digits to base 3.
std::vector<std::vector<double>> full_tensors(int rank) {
    std::vector<std::vector<double>> tensors;
    for (const Polynomial& polynomial : polynomials(rank)) {
        std::vector<double> tensor(static_cast<std::size_t>(power_of_three(rank)), 0.0);
        for (int index = 0; index < power_of_three(rank); ++index) {
            int powers[3] = {0, 0, 0};
            for (int digit = 0, rest = index; digit < rank; ++digit, rest /= 3) ++powers[rest % 3];
            // A coefficient is shared by all orderings of its factors.
            const double orderings =
                static_cast<double>(factorial(rank)) /
                (factorial(powers[0]) * factorial(powers[1]) * factorial(powers[2]));
            for (const Monomial& term : polynomial)
                if (term.power[0] == powers[0] && term.power[1] == powers[1] &&
                    term.power[2] == powers[2])
                    tensor[static_cast<std::size_t>(index)] = term.coefficient / orderings;
        }
        tensors.push_back(tensor);
    }
    return tensors;
}

}  // namespace

void stf_basis(const double u[3], int max_rank, double* Y, double (*dY)[3]) {
    static const std::vector<Polynomial> all[4] = {polynomials(0), polynomials(1), polynomials(2),
                                                   polynomials(3)};
    int component = 0;
    for (int rank = 0; rank <= max_rank; ++rank) {
        for (const Polynomial& polynomial : all[rank]) {
            Y[component] = 0;
            for (int axis = 0; axis < 3; ++axis) dY[component][axis] = 0;
            for (const Monomial& term : polynomial) {
                double factor[3], derivative[3];
                for (int axis = 0; axis < 3; ++axis) {
                    const int n = term.power[axis];
                    factor[axis] = power(u[axis], n);
                    derivative[axis] = n == 0 ? 0 : n * power(u[axis], n - 1);
                }
                Y[component] += term.coefficient * factor[0] * factor[1] * factor[2];
                dY[component][0] += term.coefficient * derivative[0] * factor[1] * factor[2];
                dY[component][1] += term.coefficient * factor[0] * derivative[1] * factor[2];
                dY[component][2] += term.coefficient * factor[0] * factor[1] * derivative[2];
            }
            ++component;
        }
    }
}

std::vector<double> coupling(int a, int b, int c) {
    const auto A = full_tensors(a), B = full_tensors(b), C = full_tensors(c);
    const int k = (a + b - c) / 2;
    const int num_left = power_of_three(a - k), num_right = power_of_three(b - k);
    const int num_inner = power_of_three(k);
    std::vector<double> K;
    double norm = 0;
    for (const auto& x : A) {
        for (const auto& y : B) {
            for (const auto& z : C) {
                double sum = 0;
                for (int left = 0; left < num_left; ++left)
                    for (int right = 0; right < num_right; ++right)
                        for (int inner = 0; inner < num_inner; ++inner)
                            sum += x[static_cast<std::size_t>(left * num_inner + inner)] *
                                   y[static_cast<std::size_t>(right * num_inner + inner)] *
                                   z[static_cast<std::size_t>(left * num_right + right)];
                K.push_back(sum);
                norm += sum * sum;
            }
        }
    }
    for (double& value : K) {
        value *= std::sqrt((2 * c + 1) / norm);
        if (std::fabs(value) < 1e-14) value = 0;
    }
    return K;
}

}  // namespace camlip::reference
