// SPDX-License-Identifier: MIT
#include "reference/messages.hpp"

#include <algorithm>

#include "reference/linear.hpp"
#include "reference/stf.hpp"

namespace camlip::reference {

Messages::Messages(const Model& model, int layer)
    : config_(model.config), parameters_(model.layers[static_cast<std::size_t>(layer)].message) {}

void Messages::intermediate(const double* hidden, const double* D, std::vector<double>& m,
                            std::vector<double>& v) const {
    const int H = config_.num_hidden, C = config_.num_channels;
    const int P1 = config_.num_message_vectors, Q = config_.num_sent();
    m.assign(static_cast<std::size_t>(Q), 0.0);
    v.assign(static_cast<std::size_t>(3 * P1), 0.0);
    std::vector<double> active(static_cast<std::size_t>(H));
    for (int n = 0; n < H; ++n) active[n] = silu(hidden[n]);
    add_linear(active.data(), parameters_.weight.data(), H, Q, m.data());
    for (int x = 0; x < 3; ++x)
        add_linear(D + (1 + x) * C, parameters_.vector.data(), C, P1, &v[x * P1]);
}

void Messages::forward(const double* hidden, const double* D, double* h) const {
    const int P0 = config_.num_message_scalars, P1 = config_.num_message_vectors;
    std::vector<double> m, v;
    intermediate(hidden, D, m, v);
    std::copy_n(m.data(), P0, h);
    for (int x = 0; x < 3; ++x)
        for (int p = 0; p < P1; ++p) h[P0 + x * P1 + p] = m[P0 + p] * v[x * P1 + p];
}

void Messages::backward(const double* hidden, const double* D, const double* h_bar,
                        double* hidden_bar, double* D_bar, Message* gradient) const {
    const int H = config_.num_hidden, C = config_.num_channels;
    const int P0 = config_.num_message_scalars, P1 = config_.num_message_vectors;
    const int Q = config_.num_sent();
    std::vector<double> m, v;
    intermediate(hidden, D, m, v);
    std::vector<double> m_bar(h_bar, h_bar + P0), v_bar(v.size());
    m_bar.resize(static_cast<std::size_t>(Q), 0.0);
    for (int x = 0; x < 3; ++x) {
        for (int p = 0; p < P1; ++p) {
            const double seed = h_bar[P0 + x * P1 + p];
            m_bar[P0 + p] += seed * v[x * P1 + p];
            v_bar[x * P1 + p] = seed * m[P0 + p];
        }
        add_linear_adjoint(&v_bar[x * P1], parameters_.vector.data(), C, P1, D_bar + (1 + x) * C);
        if (gradient) add_outer(D + (1 + x) * C, &v_bar[x * P1], C, P1, gradient->vector.data());
    }
    std::vector<double> active_bar(static_cast<std::size_t>(H), 0.0);
    add_linear_adjoint(m_bar.data(), parameters_.weight.data(), H, Q, active_bar.data());
    for (int n = 0; n < H; ++n) hidden_bar[n] += active_bar[n] * silu_derivative(hidden[n]);
    if (!gradient) return;
    std::vector<double> active(static_cast<std::size_t>(H));
    for (int n = 0; n < H; ++n) active[n] = silu(hidden[n]);
    add_outer(active.data(), m_bar.data(), H, Q, gradient->weight.data());
}

MessageMoments::MessageMoments(const Model& model, int layer)
    : config_(model.config),
      layer_(model.layers[static_cast<std::size_t>(layer)]),
      K112_(coupling(1, 1, 2)) {}

std::size_t MessageMoments::num_sums() const {
    const int transverse = config_.num_transverse() == 2 ? 8 : 3;
    return static_cast<std::size_t>(config_.num_message_radial) *
           (config_.num_message_components() * config_.num_sent() +
            transverse * config_.num_message_vectors);
}

void MessageMoments::edge_features(const double u[3], const double* h, std::vector<double>& s,
                                   std::vector<double>& t) const {
    const int P0 = config_.num_message_scalars, P1 = config_.num_message_vectors;
    s.assign(h, h + P0);
    s.resize(static_cast<std::size_t>(P0 + P1), 0.0);
    t.assign(static_cast<std::size_t>(5 * P1), 0.0);
    for (int p = 0; p < P1; ++p) {
        for (int x = 0; x < 3; ++x) {
            const double h1 = h[P0 + x * P1 + p];
            s[P0 + p] += h1 * u[x];
            for (int y = 0; y < 3; ++y)
                for (int z = 0; z < 5; ++z) t[z * P1 + p] += K112_[(x * 3 + y) * 5 + z] * h1 * u[y];
        }
    }
}

void MessageMoments::add(const double* g, const double* Y, const double u[3], const double* h,
                         double* sums) const {
    const int P0 = config_.num_message_scalars, P1 = config_.num_message_vectors;
    const int K = config_.num_message_radial, Q = config_.num_sent();
    std::vector<double> s, t;
    edge_features(u, h, s, t);
    for (int m = 0; m < config_.num_message_components(); ++m)
        for (int k = 0; k < K; ++k)
            for (int q = 0; q < Q; ++q) *sums++ += g[k] * s[q] * Y[m];
    for (int x = 0; x < 3; ++x)
        for (int k = 0; k < K; ++k)
            for (int p = 0; p < P1; ++p) *sums++ += g[k] * h[P0 + x * P1 + p];
    if (config_.num_transverse() < 2) return;
    for (int z = 0; z < 5; ++z)
        for (int k = 0; k < K; ++k)
            for (int p = 0; p < P1; ++p) *sums++ += g[k] * t[z * P1 + p];
}

void MessageMoments::adjoint(const double* g, const double* Y, const double u[3], const double* h,
                             const double* sums_bar, double* g_bar, double* Y_bar, double u_bar[3],
                             double* h_bar) const {
    const int P0 = config_.num_message_scalars, P1 = config_.num_message_vectors;
    const int K = config_.num_message_radial, Q = config_.num_sent();
    std::vector<double> s, t;
    edge_features(u, h, s, t);
    std::vector<double> s_bar(s.size(), 0.0), t_bar(t.size(), 0.0);
    for (int m = 0; m < config_.num_message_components(); ++m) {
        for (int k = 0; k < K; ++k) {
            for (int q = 0; q < Q; ++q) {
                const double M_bar = *sums_bar++;
                g_bar[k] += M_bar * s[q] * Y[m];
                s_bar[q] += M_bar * g[k] * Y[m];
                Y_bar[m] += M_bar * g[k] * s[q];
            }
        }
    }
    for (int x = 0; x < 3; ++x) {
        for (int k = 0; k < K; ++k) {
            for (int p = 0; p < P1; ++p) {
                const double T1_bar = *sums_bar++;
                g_bar[k] += T1_bar * h[P0 + x * P1 + p];
                h_bar[P0 + x * P1 + p] += T1_bar * g[k];
            }
        }
    }
    for (int z = 0; z < 5 && config_.num_transverse() == 2; ++z) {
        for (int k = 0; k < K; ++k) {
            for (int p = 0; p < P1; ++p) {
                const double T2_bar = *sums_bar++;
                g_bar[k] += T2_bar * t[z * P1 + p];
                t_bar[z * P1 + p] += T2_bar * g[k];
            }
        }
    }
    for (int p = 0; p < P0; ++p) h_bar[p] += s_bar[p];
    for (int p = 0; p < P1; ++p) {
        for (int x = 0; x < 3; ++x) {
            const double h1 = h[P0 + x * P1 + p];
            double& h1_bar = h_bar[P0 + x * P1 + p];
            h1_bar += s_bar[P0 + p] * u[x];
            u_bar[x] += s_bar[P0 + p] * h1;
            for (int y = 0; y < 3; ++y) {
                for (int z = 0; z < 5; ++z) {
                    const double seed = K112_[(x * 3 + y) * 5 + z] * t_bar[z * P1 + p];
                    h1_bar += seed * u[y];
                    u_bar[y] += seed * h1;
                }
            }
        }
    }
}

void MessageMoments::mix(const double* sums, const double* A_below, double* A) const {
    const int C = config_.num_channels, KQ = config_.num_message_radial * config_.num_sent();
    const int KP = config_.num_message_radial * config_.num_message_vectors;
    for (int l = 0; l <= config_.max_rank; ++l)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m)
            for (int c = 0; c < C; ++c) A[m * C + c] = layer_.skip[l * C + c] * A_below[m * C + c];
    for (int l = 0; l <= config_.message_rank; ++l)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m, sums += KQ)
            add_linear(sums, &layer_.mixing[static_cast<std::size_t>(l) * KQ * C], KQ, C,
                       A + m * C);
    for (int l = 1; l <= config_.num_transverse(); ++l)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m, sums += KP)
            add_linear(sums, &layer_.transverse_mixing[static_cast<std::size_t>(l - 1) * KP * C],
                       KP, C, A + m * C);
}

void MessageMoments::mix_adjoint(const double* A_bar, double* sums_bar, double* A_below_bar) const {
    const int C = config_.num_channels, KQ = config_.num_message_radial * config_.num_sent();
    const int KP = config_.num_message_radial * config_.num_message_vectors;
    std::fill_n(sums_bar, num_sums(), 0.0);
    for (int l = 0; l <= config_.max_rank; ++l)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m)
            for (int c = 0; c < C; ++c)
                A_below_bar[m * C + c] += layer_.skip[l * C + c] * A_bar[m * C + c];
    for (int l = 0; l <= config_.message_rank; ++l)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m, sums_bar += KQ)
            add_linear_adjoint(A_bar + m * C, &layer_.mixing[static_cast<std::size_t>(l) * KQ * C],
                               KQ, C, sums_bar);
    for (int l = 1; l <= config_.num_transverse(); ++l)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m, sums_bar += KP)
            add_linear_adjoint(A_bar + m * C,
                               &layer_.transverse_mixing[static_cast<std::size_t>(l - 1) * KP * C],
                               KP, C, sums_bar);
}

void MessageMoments::mix_gradient(const double* sums, const double* A_below, const double* A_bar,
                                  Layer& gradient) const {
    const int C = config_.num_channels, KQ = config_.num_message_radial * config_.num_sent();
    const int KP = config_.num_message_radial * config_.num_message_vectors;
    for (int l = 0; l <= config_.max_rank; ++l)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m)
            for (int c = 0; c < C; ++c)
                gradient.skip[l * C + c] += A_below[m * C + c] * A_bar[m * C + c];
    for (int l = 0; l <= config_.message_rank; ++l)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m, sums += KQ)
            add_outer(sums, A_bar + m * C, KQ, C,
                      &gradient.mixing[static_cast<std::size_t>(l) * KQ * C]);
    for (int l = 1; l <= config_.num_transverse(); ++l)
        for (int m = l * l; m < (l + 1) * (l + 1); ++m, sums += KP)
            add_outer(sums, A_bar + m * C, KP, C,
                      &gradient.transverse_mixing[static_cast<std::size_t>(l - 1) * KP * C]);
}

}  // namespace camlip::reference
