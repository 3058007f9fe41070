// SPDX-License-Identifier: MIT
#include "reference/contraction.hpp"

#include "reference/linear.hpp"
#include "reference/stf.hpp"

namespace camlip::reference {
namespace {

// Calls body(x, y, z, K_xyz) for the non-zero coefficients of a path; x, y, z count components
// of all ranks.
template <class Body>
void for_each_coefficient(const Path& path, const std::vector<double>& K, Body body) {
    std::size_t index = 0;
    for (int x = path.a * path.a; x < (path.a + 1) * (path.a + 1); ++x)
        for (int y = path.b * path.b; y < (path.b + 1) * (path.b + 1); ++y)
            for (int z = path.c * path.c; z < (path.c + 1) * (path.c + 1); ++z, ++index)
                if (K[index] != 0) body(x, y, z, K[index]);
}

}  // namespace

AtomContraction::AtomContraction(const Model& model, int layer)
    : parameters_(model.layers[static_cast<std::size_t>(layer)].contraction),
      max_rank_(model.config.max_rank),
      num_channels_(model.config.num_channels),
      paths_(contraction_paths(model.config.max_rank)) {
    for (const Path& path : paths_) couplings_.push_back(coupling(path.a, path.b, path.c));
}

void AtomContraction::products(int type, const double* A, std::vector<double>& B) const {
    const int C = num_channels_;
    B.assign(static_cast<std::size_t>((max_rank_ + 1) * (max_rank_ + 1)) * C, 0.0);
    for (std::size_t p = 0; p < paths_.size(); ++p) {
        const double* w = &parameters_.weight[(type * paths_.size() + p) * C];
        for_each_coefficient(paths_[p], couplings_[p], [&](int x, int y, int z, double K) {
            for (int c = 0; c < C; ++c) B[z * C + c] += w[c] * K * A[x * C + c] * A[y * C + c];
        });
    }
}

void AtomContraction::forward(int type, const double* A, double* D) const {
    const int C = num_channels_;
    std::vector<double> B;
    products(type, A, B);
    for (int l = 0; l <= max_rank_; ++l) {
        const double* V = &parameters_.mixing[static_cast<std::size_t>(l) * C * C];
        const double* omega = &parameters_.skip[static_cast<std::size_t>(l) * C];
        for (int m = l * l; m < (l + 1) * (l + 1); ++m) {
            for (int c = 0; c < C; ++c) D[m * C + c] = omega[c] * A[m * C + c];
            add_linear(&B[static_cast<std::size_t>(m) * C], V, C, C, D + m * C);
        }
    }
}

void AtomContraction::backward(int type, const double* A, const double* D_bar, double* A_bar,
                               Contraction* gradient) const {
    const int C = num_channels_;
    std::vector<double> B;
    if (gradient) products(type, A, B);
    const std::size_t size = static_cast<std::size_t>((max_rank_ + 1) * (max_rank_ + 1)) * C;
    std::vector<double> B_bar(size, 0.0);
    for (int l = 0; l <= max_rank_; ++l) {
        const double* V = &parameters_.mixing[static_cast<std::size_t>(l) * C * C];
        const double* omega = &parameters_.skip[static_cast<std::size_t>(l) * C];
        for (int m = l * l; m < (l + 1) * (l + 1); ++m) {
            for (int c = 0; c < C; ++c) A_bar[m * C + c] += omega[c] * D_bar[m * C + c];
            add_linear_adjoint(D_bar + m * C, V, C, C, &B_bar[static_cast<std::size_t>(m) * C]);
            if (!gradient) continue;
            for (int c = 0; c < C; ++c)
                gradient->skip[static_cast<std::size_t>(l * C + c)] +=
                    A[m * C + c] * D_bar[m * C + c];
            add_outer(&B[static_cast<std::size_t>(m) * C], D_bar + m * C, C, C,
                      &gradient->mixing[static_cast<std::size_t>(l) * C * C]);
        }
    }
    for (std::size_t p = 0; p < paths_.size(); ++p) {
        const std::size_t row = (type * paths_.size() + p) * C;
        const double* w = &parameters_.weight[row];
        for_each_coefficient(paths_[p], couplings_[p], [&](int x, int y, int z, double K) {
            for (int c = 0; c < C; ++c) {
                if (gradient)
                    gradient->weight[row + static_cast<std::size_t>(c)] +=
                        K * A[x * C + c] * A[y * C + c] * B_bar[z * C + c];
                const double seed = w[c] * K * B_bar[z * C + c];
                A_bar[x * C + c] += seed * A[y * C + c];
                A_bar[y * C + c] += seed * A[x * C + c];
            }
        });
    }
}

}  // namespace camlip::reference
