// SPDX-License-Identifier: MIT
#include "reference/backend_reference.hpp"

#include <algorithm>
#include <cmath>

#include "reference/contraction.hpp"
#include "reference/messages.hpp"
#include "reference/moments.hpp"
#include "reference/radial.hpp"
#include "reference/readout.hpp"
#include "reference/stf.hpp"
#include "reference/zbl.hpp"

namespace camlip {
namespace reference {
namespace {

struct Edge {
    std::size_t i, j;
    double vector[3];  // r_j - r_i
    double r;
    double u[3];
};

// One layer: its stages, and for each owned atom what later stages need (rows of the sizes given
// by the stages).
struct LayerState {
    LayerState(const Model& model, int layer)
        : radial(model, layer),
          contraction(model, layer),
          readout(model, layer),
          messages(model, layer),
          message_moments(model, layer) {}

    Radial radial;
    AtomContraction contraction;
    AtomReadout readout;
    Messages messages;               // not in the last layer
    MessageMoments message_moments;  // above layer 0
    std::size_t num_sums = 0;
    std::vector<double> sums, A, hidden;
    std::vector<double> sums_bar, A_bar;
};

class ReferenceBackend final : public Backend {
  public:
    explicit ReferenceBackend(const Model& model) : model_(model), moments_(model) {
        for (int t = 0; t < model.config.num_layers; ++t) {
            layers_.emplace_back(model, t);
            layers_.back().num_sums =
                t == 0 ? moments_.num_sums() : layers_.back().message_moments.num_sums();
        }
        num_moments_ =
            static_cast<std::size_t>(model.config.num_components()) * model.config.num_channels;
        num_hidden_ = static_cast<std::size_t>(model.config.num_hidden);
        width_ = static_cast<std::size_t>(model.config.exchange_width());
    }

    void begin(const Atoms& atoms, const NeighborList& neighbors, const Outputs& outputs) override {
        atoms_ = atoms;
        neighbors_ = neighbors;
        outputs_ = outputs;
        num_owned_ = static_cast<std::size_t>(atoms.num_owned);
        for (LayerState& layer : layers_) {
            layer.sums.assign(num_owned_ * layer.num_sums, 0.0);
            layer.A.assign(num_owned_ * num_moments_, 0.0);
            layer.hidden.assign(num_owned_ * num_hidden_, 0.0);
            layer.sums_bar.assign(outputs.gradients() ? layer.sums.size() : 0, 0.0);
            layer.A_bar.assign(outputs.gradients() ? layer.A.size() : 0, 0.0);
        }
        for (std::size_t i = 0; i < num_owned_; ++i)
            if (atoms_.types[i] >= 0) add_energy(i, model_.reference_energies[type(i)]);
        if (model_.config.zbl) add_zbl();
    }

    void edges_forward(int t, const double* h) override {
        LayerState& layer = layers_[static_cast<std::size_t>(t)];
        std::vector<double> g(static_cast<std::size_t>(model_.config.num_radial_of(t)));
        double Y[kMaxComponents], dY[kMaxComponents][3];
        for_each_edge([&](const Edge& e) {
            layer.radial.evaluate(atoms_.types[e.i], atoms_.types[e.j], e.r, g.data(), nullptr);
            stf_basis(e.u, model_.config.max_rank, Y, dY);
            double* sums = &layer.sums[e.i * layer.num_sums];
            if (t == 0)
                moments_.add(g.data(), Y, sums);
            else
                layer.message_moments.add(g.data(), Y, e.u, h + e.j * width_, sums);
        });
    }

    void atoms_forward(int t, double* h) override {
        LayerState& layer = layers_[static_cast<std::size_t>(t)];
        std::vector<double> D(num_moments_);
        for (std::size_t i = 0; i < num_owned_; ++i) {
            std::fill_n(h + i * width_, width_, 0.0);
            if (atoms_.types[i] < 0) continue;
            block_forward(t, i, D);
            layer.messages.forward(&layer.hidden[i * num_hidden_], D.data(), h + i * width_);
        }
    }

    void atoms_turn(int t) override {
        std::vector<double> D(num_moments_), D_bar, hidden_bar;
        for (std::size_t i = 0; i < num_owned_; ++i) {
            if (atoms_.types[i] < 0) continue;
            block_forward(t, i, D);
            if (!outputs_.gradients()) continue;
            hidden_bar.assign(num_hidden_, 0.0);
            D_bar.assign(num_moments_, 0.0);
            block_backward(t, i, D, hidden_bar, D_bar);
        }
    }

    void atoms_backward(int t, const double* h_bar) override {
        const LayerState& layer = layers_[static_cast<std::size_t>(t)];
        std::vector<double> D(num_moments_), D_bar, hidden_bar;
        for (std::size_t i = 0; i < num_owned_; ++i) {
            if (atoms_.types[i] < 0) continue;
            layer.contraction.forward(atoms_.types[i], &layer.A[i * num_moments_], D.data());
            hidden_bar.assign(num_hidden_, 0.0);
            D_bar.assign(num_moments_, 0.0);
            Layer* gradient = gradient_of(t);
            layer.messages.backward(&layer.hidden[i * num_hidden_], D.data(), h_bar + i * width_,
                                    hidden_bar.data(), D_bar.data(),
                                    gradient ? &gradient->message : nullptr);
            block_backward(t, i, D, hidden_bar, D_bar);
        }
    }

    void edges_backward(int t, double* h_bar) override {
        std::vector<double> h;
        if (t > 0) {
            h.assign(h_bar, h_bar + static_cast<std::size_t>(atoms_.num_total()) * width_);
            std::fill_n(h_bar, h.size(), 0.0);
        }
        const LayerState& layer = layers_[static_cast<std::size_t>(t)];
        const auto num_radial = static_cast<std::size_t>(model_.config.num_radial_of(t));
        std::vector<double> g(num_radial), dg(num_radial), g_bar;
        double Y[kMaxComponents], dY[kMaxComponents][3];
        for_each_edge([&](const Edge& e) {
            layer.radial.evaluate(atoms_.types[e.i], atoms_.types[e.j], e.r, g.data(), dg.data());
            stf_basis(e.u, model_.config.max_rank, Y, dY);
            g_bar.assign(num_radial, 0.0);
            double Y_bar[kMaxComponents] = {}, u_bar[3] = {};
            const double* sums_bar = &layer.sums_bar[e.i * layer.num_sums];
            if (t == 0)
                moments_.adjoint(g.data(), Y, sums_bar, g_bar.data(), Y_bar);
            else
                layer.message_moments.adjoint(g.data(), Y, e.u, &h[e.j * width_], sums_bar,
                                              g_bar.data(), Y_bar, u_bar, h_bar + e.j * width_);
            if (Layer* gradient = gradient_of(t))
                layer.radial.gradient(atoms_.types[e.i], atoms_.types[e.j], e.r, g_bar.data(),
                                      gradient->radial);
            double r_bar = 0;
            for (std::size_t k = 0; k < num_radial; ++k) r_bar += g_bar[k] * dg[k];
            for (int m = 0; m < model_.config.num_components(); ++m)
                for (int x = 0; x < 3; ++x) u_bar[x] += Y_bar[m] * dY[m][x];
            add_gradient(e, r_bar, u_bar);
        });
    }

    bool has_parameter_gradient() const override { return true; }

    BackendInfo info() const override {
        BackendInfo info;
        info.precision = "double";
        info.simd = "baseline";
        for (const LayerState& layer : layers_)
            info.memory_bytes +=
                sizeof(double) *
                (layer.sums.capacity() + layer.A.capacity() + layer.hidden.capacity() +
                 layer.sums_bar.capacity() + layer.A_bar.capacity());
        return info;
    }

  private:
    std::size_t type(std::size_t i) const { return static_cast<std::size_t>(atoms_.types[i]); }

    // Of one layer, null when no gradient by the parameters is wanted.
    Layer* gradient_of(int t) const {
        return outputs_.parameters ? &(*outputs_.parameters)[static_cast<std::size_t>(t)] : nullptr;
    }

    template <class Body>
    void for_each_edge(Body body) const {
        for (std::size_t i = 0; i < num_owned_; ++i) {
            if (atoms_.types[i] < 0) continue;
            for (std::int64_t n = neighbors_.offsets[i]; n < neighbors_.offsets[i + 1]; ++n) {
                Edge e = {i, static_cast<std::size_t>(neighbors_.indices[n]), {}, 0, {}};
                if (atoms_.types[e.j] < 0) continue;
                for (int x = 0; x < 3; ++x)
                    e.vector[x] = atoms_.positions[3 * e.j + x] - atoms_.positions[3 * i + x];
                e.r = std::sqrt(e.vector[0] * e.vector[0] + e.vector[1] * e.vector[1] +
                                e.vector[2] * e.vector[2]);
                if (!(e.r < model_.config.cutoff)) continue;
                for (int x = 0; x < 3; ++x) e.u[x] = e.vector[x] / e.r;
                body(e);
            }
        }
    }

    void add_energy(std::size_t i, double energy) {
        if (outputs_.energy) *outputs_.energy += energy;
        if (outputs_.atomic_energies) outputs_.atomic_energies[i] += energy;
    }

    // f = dE/dr_ij from the adjoints of the distance and of the direction (eq. 16), to forces and
    // virials with the signs of docs/conventions.md.
    void add_gradient(const Edge& e, double r_bar, const double u_bar[3]) {
        const double axial = u_bar[0] * e.u[0] + u_bar[1] * e.u[1] + u_bar[2] * e.u[2];
        double f[3];
        for (int x = 0; x < 3; ++x) f[x] = r_bar * e.u[x] + (u_bar[x] - axial * e.u[x]) / e.r;
        for (int x = 0; x < 3; ++x) {
            if (outputs_.forces) {
                outputs_.forces[3 * e.i + x] += f[x];
                outputs_.forces[3 * e.j + x] -= f[x];
            }
            for (int y = 0; y < 3; ++y) {
                if (outputs_.virial) outputs_.virial[3 * x + y] -= e.vector[x] * f[y];
                if (outputs_.centroid_virial)
                    outputs_.centroid_virial[9 * e.j + 3 * x + y] -= e.vector[x] * f[y];
            }
        }
    }

    void add_zbl() {
        for_each_edge([&](const Edge& e) {
            const std::size_t ti = type(e.i), tj = type(e.j);
            double energy = 0, derivative = 0;
            zbl(e.r, model_.atomic_numbers[ti], model_.atomic_numbers[tj],
                model_.zbl_radii[ti] + model_.zbl_radii[tj], energy, derivative);
            add_energy(e.i, energy);
            const double none[3] = {};
            if (outputs_.gradients()) add_gradient(e, outputs_.seed(e.i) * derivative, none);
        });
    }

    void block_forward(int t, std::size_t i, std::vector<double>& D) {
        LayerState& layer = layers_[static_cast<std::size_t>(t)];
        const double* sums = &layer.sums[i * layer.num_sums];
        double* A = &layer.A[i * num_moments_];
        if (t == 0)
            moments_.mix(sums, A);
        else
            layer.message_moments.mix(
                sums, &layers_[static_cast<std::size_t>(t - 1)].A[i * num_moments_], A);
        layer.contraction.forward(atoms_.types[i], A, D.data());
        add_energy(
            i, layer.readout.forward(atoms_.types[i], A, D.data(), &layer.hidden[i * num_hidden_]));
    }

    // hidden_bar and D_bar come in with what the messages add to them; layer.A_bar with what the
    // layer above skips from.
    void block_backward(int t, std::size_t i, const std::vector<double>& D,
                        std::vector<double>& hidden_bar, std::vector<double>& D_bar) {
        LayerState& layer = layers_[static_cast<std::size_t>(t)];
        const double* A = &layer.A[i * num_moments_];
        double* A_bar = &layer.A_bar[i * num_moments_];
        Layer* gradient = gradient_of(t);
        layer.readout.backward(atoms_.types[i], A, D.data(), &layer.hidden[i * num_hidden_],
                               outputs_.seed(i), hidden_bar.data(), A_bar, D_bar.data(), gradient);
        layer.contraction.backward(atoms_.types[i], A, D_bar.data(), A_bar,
                                   gradient ? &gradient->contraction : nullptr);
        const double* sums = &layer.sums[i * layer.num_sums];
        double* sums_bar = &layer.sums_bar[i * layer.num_sums];
        if (t == 0) {
            moments_.mix_adjoint(A_bar, sums_bar);
            if (gradient) moments_.mix_gradient(sums, A_bar, *gradient);
            return;
        }
        LayerState& below = layers_[static_cast<std::size_t>(t - 1)];
        layer.message_moments.mix_adjoint(A_bar, sums_bar, &below.A_bar[i * num_moments_]);
        if (gradient)
            layer.message_moments.mix_gradient(sums, &below.A[i * num_moments_], A_bar, *gradient);
    }

    const Model& model_;
    Moments moments_;
    std::vector<LayerState> layers_;
    std::size_t num_moments_ = 0, num_hidden_ = 0, width_ = 0, num_owned_ = 0;
    Atoms atoms_;
    NeighborList neighbors_;
    Outputs outputs_;
};

}  // namespace
}  // namespace reference

std::unique_ptr<Backend> make_reference_backend(const Model& model, const BackendOptions&) {
    return std::make_unique<reference::ReferenceBackend>(model);
}

}  // namespace camlip
