// SPDX-License-Identifier: MIT
// The stages of the reference backend against their definitions and finite differences.
#include <functional>
#include <random>
#include <vector>

#include "check.hpp"
#include "random_model.hpp"
#include "reference/contraction.hpp"
#include "reference/messages.hpp"
#include "reference/moments.hpp"
#include "reference/radial.hpp"
#include "reference/readout.hpp"
#include "reference/stf.hpp"
#include "reference/zbl.hpp"

using namespace camlip;
using namespace camlip::reference;

namespace {

std::vector<double> random_vector(std::size_t size, unsigned seed, double scale = 1) {
    std::mt19937_64 engine(seed);
    std::normal_distribution<double> normal;
    std::vector<double> v(size);
    for (double& x : v) x = scale * normal(engine);
    return v;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t n = 0; n < a.size(); ++n) sum += a[n] * b[n];
    return sum;
}

// df/dx along every component by central differences of the fourth order.
std::vector<double> gradient(std::vector<double> x,
                             const std::function<double(const std::vector<double>&)>& f) {
    const double h = 1e-3;
    std::vector<double> g(x.size());
    for (std::size_t n = 0; n < x.size(); ++n) {
        const double x0 = x[n];
        const auto at = [&](double d) {
            x[n] = x0 + d;
            return f(x);
        };
        g[n] = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
        x[n] = x0;
    }
    return g;
}

void check_all_close(const std::vector<double>& found, const std::vector<double>& expected,
                     double tolerance) {
    CHECK(found.size() == expected.size());
    double largest = 1;
    for (const double x : expected) largest = std::max(largest, std::fabs(x));
    for (std::size_t n = 0; n < found.size(); ++n)
        CHECK_CLOSE(found[n], expected[n], tolerance * largest);
}

}  // namespace

TEST(stf_basis_is_normalized_and_its_gradient_is_right) {
    std::vector<double> u = random_vector(3, 3);
    const double length = std::sqrt(dot(u, u));
    for (double& x : u) x /= length;
    double Y[kMaxComponents], dY[kMaxComponents][3];
    stf_basis(u.data(), 3, Y, dY);
    const double expected[4] = {1, 1, 2.0 / 3, 2.0 / 5};
    for (int l = 0; l <= 3; ++l) {
        double norm = 0;
        for (int m = l * l; m < (l + 1) * (l + 1); ++m) norm += Y[m] * Y[m];
        CHECK_CLOSE(norm, expected[l], 1e-14);
    }
    for (int m = 0; m < kMaxComponents; ++m) {
        const auto g = gradient(u, [m](const std::vector<double>& x) {
            double values[kMaxComponents], slopes[kMaxComponents][3];
            stf_basis(x.data(), 3, values, slopes);
            return values[m];
        });
        check_all_close({dY[m][0], dY[m][1], dY[m][2]}, g, 1e-10);
    }
}

// For unit vectors, K^abc(Y^a(u), Y^b(u)) is a multiple of Y^c(u): nothing else is symmetric,
// trace-free and made of u.
TEST(coupling_takes_stf_tensors_to_stf_tensors) {
    const double u[3] = {0.36, 0.48, 0.8};
    double Y[kMaxComponents], dY[kMaxComponents][3];
    stf_basis(u, 3, Y, dY);
    for (const Path& p : contraction_paths(3)) {
        const std::vector<double> K = coupling(p.a, p.b, p.c);
        CHECK_CLOSE(dot(K, K), 2 * p.c + 1, 1e-13);
        std::vector<double> product;
        for (int z = 0; z <= 2 * p.c; ++z) {
            double sum = 0;
            for (int x = 0; x <= 2 * p.a; ++x)
                for (int y = 0; y <= 2 * p.b; ++y)
                    sum +=
                        K[static_cast<std::size_t>((x * (2 * p.b + 1) + y) * (2 * p.c + 1) + z)] *
                        Y[p.a * p.a + x] * Y[p.b * p.b + y];
            product.push_back(sum);
        }
        const std::vector<double> direction(Y + p.c * p.c, Y + (p.c + 1) * (p.c + 1));
        const double factor = dot(product, direction) / dot(direction, direction);
        CHECK(std::fabs(factor) > 0.01);
        for (std::size_t z = 0; z < product.size(); ++z)
            CHECK_CLOSE(product[z], factor * direction[z], 1e-14);
    }
    CHECK(contraction_paths(0).empty());
    CHECK(contraction_paths(3).size() == 11);
}

TEST(radial_functions_end_smoothly_and_their_derivative_is_right) {
    const Model model = random_model::make_model(random_model::small_config());
    for (int layer = 0; layer < 2; ++layer) {
        const Radial radial(model, layer);
        const int K = model.config.num_radial_of(layer);
        std::vector<double> g(static_cast<std::size_t>(K)), dg(g);
        for (const double r : {0.4, 1.0, 2.7, 3.9}) {
            radial.evaluate(0, 1, r, g.data(), dg.data());
            for (int k = 0; k < K; ++k) {
                const auto slope = gradient({r}, [&](const std::vector<double>& x) {
                    std::vector<double> values(g.size());
                    radial.evaluate(0, 1, x[0], values.data(), nullptr);
                    return values[k];
                });
                CHECK_CLOSE(dg[k], slope[0], 1e-8);
            }
        }
        radial.evaluate(0, 1, model.config.cutoff - 1e-4, g.data(), dg.data());
        for (int k = 0; k < K; ++k) CHECK(std::fabs(g[k]) < 1e-11 && std::fabs(dg[k]) < 1e-7);
    }
}

TEST(zbl_ends_smoothly_and_its_derivative_is_right) {
    double e = 0, de = 0;
    for (const double r : {0.1, 0.5, 1.1, 1.59}) {
        zbl(r, 14, 8, 1.6, e, de);
        const auto slope = gradient({r}, [](const std::vector<double>& x) {
            double energy = 0, derivative = 0;
            zbl(x[0], 14, 8, 1.6, energy, derivative);
            return energy;
        });
        CHECK(e > 0 && de < 0);
        CHECK_CLOSE(de / slope[0], 1, 1e-5);
    }
    zbl(1.6, 14, 8, 1.6, e, de);
    CHECK(e == 0 && de == 0);
    // Two bare silicon nuclei: half of Z^2 e^2 / r.
    zbl(1e-6, 14, 14, 2.2, e, de);
    CHECK_CLOSE(e * 1e-6 / (0.5 * 14.3996 * 14 * 14), 1, 1e-4);
}

TEST(adjoints_of_the_moments_match_finite_differences) {
    const Model model = random_model::make_model(random_model::small_config(3));
    const Moments stage(model);
    const auto K = static_cast<std::size_t>(model.config.num_radial);
    const std::vector<double> g = random_vector(K, 1), Y = random_vector(16, 2);
    const std::vector<double> seed = random_vector(stage.num_sums(), 3);
    const auto value = [&](const std::vector<double>& g_, const std::vector<double>& Y_) {
        std::vector<double> sums(stage.num_sums(), 0.0);
        stage.add(g_.data(), Y_.data(), sums.data());
        return dot(seed, sums);
    };
    std::vector<double> g_bar(K, 0.0), Y_bar(16, 0.0);
    stage.adjoint(g.data(), Y.data(), seed.data(), g_bar.data(), Y_bar.data());
    check_all_close(g_bar, gradient(g, [&](const auto& x) { return value(x, Y); }), 1e-10);
    check_all_close(Y_bar, gradient(Y, [&](const auto& x) { return value(g, x); }), 1e-10);

    const std::size_t size = 16 * static_cast<std::size_t>(model.config.num_channels);
    const std::vector<double> A_seed = random_vector(size, 4);
    const std::vector<double> sums = random_vector(stage.num_sums(), 5);
    std::vector<double> sums_bar(stage.num_sums());
    stage.mix_adjoint(A_seed.data(), sums_bar.data());
    const auto mixed = [&](const std::vector<double>& x) {
        std::vector<double> A(size);
        stage.mix(x.data(), A.data());
        return dot(A_seed, A);
    };
    check_all_close(sums_bar, gradient(sums, mixed), 1e-10);
}

TEST(adjoint_of_the_contraction_matches_finite_differences) {
    for (int L = 0; L <= 3; ++L) {
        const Model model = random_model::make_model(random_model::small_config(L, 1));
        const AtomContraction stage(model, 0);
        const auto size = static_cast<std::size_t>((L + 1) * (L + 1) * model.config.num_channels);
        const std::vector<double> A = random_vector(size, 1), seed = random_vector(size, 2);
        std::vector<double> A_bar(size, 0.0);
        stage.backward(1, A.data(), seed.data(), A_bar.data(), nullptr);
        const auto value = [&](const std::vector<double>& x) {
            std::vector<double> D(size);
            stage.forward(1, x.data(), D.data());
            return dot(seed, D);
        };
        check_all_close(A_bar, gradient(A, value), 1e-9);
    }
}

TEST(adjoint_of_the_readout_matches_finite_differences) {
    for (int L = 0; L <= 3; ++L) {
        const Model model = random_model::make_model(random_model::small_config(L, 1));
        const AtomReadout stage(model, 0);
        const auto size = static_cast<std::size_t>((L + 1) * (L + 1) * model.config.num_channels);
        const auto H = static_cast<std::size_t>(model.config.num_hidden);
        const std::vector<double> A = random_vector(size, 1, 0.5), D = random_vector(size, 2, 0.5);
        const std::vector<double> seed = random_vector(H, 3);
        // The hidden features feed the energy and, by the seed, a message.
        const auto value = [&](const std::vector<double>& A_, const std::vector<double>& D_) {
            std::vector<double> hidden(H);
            const double energy = stage.forward(1, A_.data(), D_.data(), hidden.data());
            return energy + dot(seed, hidden);
        };
        std::vector<double> hidden(H), hidden_bar = seed, A_bar(size, 0.0), D_bar(size, 0.0);
        stage.forward(1, A.data(), D.data(), hidden.data());
        stage.backward(1, A.data(), D.data(), hidden.data(), 1.0, hidden_bar.data(), A_bar.data(),
                       D_bar.data(), nullptr);
        check_all_close(A_bar, gradient(A, [&](const auto& x) { return value(x, D); }), 1e-8);
        check_all_close(D_bar, gradient(D, [&](const auto& x) { return value(A, x); }), 1e-8);
    }
}

TEST(adjoints_of_the_messages_match_finite_differences) {
    const Model model = random_model::make_model(random_model::small_config());
    const Messages stage(model, 0);
    const auto H = static_cast<std::size_t>(model.config.num_hidden);
    const auto size = static_cast<std::size_t>(model.config.num_components()) *
                      static_cast<std::size_t>(model.config.num_channels);
    const auto width = static_cast<std::size_t>(model.config.exchange_width());
    const std::vector<double> hidden = random_vector(H, 1), D = random_vector(size, 2);
    const std::vector<double> seed = random_vector(width, 3);
    const auto value = [&](const std::vector<double>& hidden_, const std::vector<double>& D_) {
        std::vector<double> h(width);
        stage.forward(hidden_.data(), D_.data(), h.data());
        return dot(seed, h);
    };
    std::vector<double> hidden_bar(H, 0.0), D_bar(size, 0.0);
    stage.backward(hidden.data(), D.data(), seed.data(), hidden_bar.data(), D_bar.data(), nullptr);
    check_all_close(hidden_bar, gradient(hidden, [&](const auto& x) { return value(x, D); }), 1e-8);
    check_all_close(D_bar, gradient(D, [&](const auto& x) { return value(hidden, x); }), 1e-8);
}

TEST(adjoints_of_the_message_moments_match_finite_differences) {
    for (int L = 1; L <= 3; ++L) {
        const Model model = random_model::make_model(random_model::small_config(L));
        const Config& c = model.config;
        const MessageMoments stage(model, 1);
        const std::size_t num_sums = stage.num_sums();
        const std::vector<double> g =
            random_vector(static_cast<std::size_t>(c.num_message_radial), 1);
        const std::vector<double> Y = random_vector(16, 2), u = random_vector(3, 3);
        const std::vector<double> h =
            random_vector(static_cast<std::size_t>(c.exchange_width()), 4);
        const std::vector<double> seed = random_vector(num_sums, 5);
        using V = const std::vector<double>&;
        const auto value = [&](V g_, V Y_, V u_, V h_) {
            std::vector<double> sums(num_sums, 0.0);
            stage.add(g_.data(), Y_.data(), u_.data(), h_.data(), sums.data());
            return dot(seed, sums);
        };
        std::vector<double> g_bar(g.size(), 0.0), Y_bar(16, 0.0), u_bar(3, 0.0), h_bar(h.size());
        stage.adjoint(g.data(), Y.data(), u.data(), h.data(), seed.data(), g_bar.data(),
                      Y_bar.data(), u_bar.data(), h_bar.data());
        check_all_close(g_bar, gradient(g, [&](V x) { return value(x, Y, u, h); }), 1e-9);
        check_all_close(Y_bar, gradient(Y, [&](V x) { return value(g, x, u, h); }), 1e-9);
        check_all_close(u_bar, gradient(u, [&](V x) { return value(g, Y, x, h); }), 1e-9);
        check_all_close(h_bar, gradient(h, [&](V x) { return value(g, Y, u, x); }), 1e-9);

        const auto size = static_cast<std::size_t>(c.num_components() * c.num_channels);
        const std::vector<double> sums = random_vector(num_sums, 6);
        const std::vector<double> below = random_vector(size, 7), A_seed = random_vector(size, 8);
        std::vector<double> sums_bar(num_sums), below_bar(size, 0.0);
        stage.mix_adjoint(A_seed.data(), sums_bar.data(), below_bar.data());
        const auto mixed = [&](V sums_, V below_) {
            std::vector<double> A(size);
            stage.mix(sums_.data(), below_.data(), A.data());
            return dot(A_seed, A);
        };
        check_all_close(sums_bar, gradient(sums, [&](V x) { return mixed(x, below); }), 1e-9);
        check_all_close(below_bar, gradient(below, [&](V x) { return mixed(sums, x); }), 1e-9);
    }
}

int main() { return check::run(); }
