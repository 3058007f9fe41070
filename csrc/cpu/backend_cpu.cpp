// SPDX-License-Identifier: MIT
// Threads split the blocks of atoms statically, so a result depends on the number of threads only.
//
// Edges and atoms of a layer run in one go, and those of the last layer forward and backward, so
// that their tensors never leave the cache: edges_forward and atoms_backward only remember h, and
// the rest happens in atoms_forward, edges_backward, or in atoms_turn when no gradients are wanted.
#include "cpu/backend_cpu.hpp"

#include <omp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cpu/arena.hpp"
#include "cpu/gradient_memory.hpp"
#include "cpu/kernels.hpp"
#include "cpu/parameters.hpp"
#include "cpu/scratch.hpp"

namespace camlip {
namespace {

using namespace cpu;

template <class T>
class CpuBackend final : public Backend {
  public:
    CpuBackend(const Model& model, const BackendOptions& options)
        : kernels_(choose_kernels<T>(options.simd.c_str())),
          num_threads_(options.num_threads > 0 ? options.num_threads : omp_get_max_threads()),
          model_(model),
          active_types_(options.active_types),
          folded_(model, options.active_types, kernels_, num_threads_, options.training),
          p_(folded_.parameters()),
          last_(p_.num_layers - 1),
          memory_limit_(static_cast<std::size_t>(options.memory_limit)),
          threads_(static_cast<std::size_t>(num_threads_)) {}

    void begin(const Atoms& atoms, const NeighborList& neighbors, const Outputs& outputs) override {
        outputs_ = outputs;
        features_layer_ = -1;
        num_total_ = atoms.num_total();
        job_.num_owned = atoms.num_owned;
        job_.num_blocks = (atoms.num_owned + kBlock - 1) / kBlock;
        job_.positions = atoms.positions;
        job_.types = atoms.types;
        job_.offsets = neighbors.offsets;
        job_.indices = neighbors.indices;
        job_.atomic_energies = outputs.atomic_energies;
        job_.seeds = outputs.seeds;
        job_.gradients = outputs.gradients();
        // h and what load_features makes of it count, too.
        const std::size_t exchanged = sizeof(double) * static_cast<std::size_t>(p_.width) +
                                      sizeof(T) * static_cast<std::size_t>(p_.feature_stride);
        const std::size_t spent = static_cast<std::size_t>(num_total_) * exchanged;
        store_.resize(p_, memory_limit_ > spent ? memory_limit_ - spent : 0,
                      outputs.parameters != nullptr, job_);
        int neighbors_most = 0;
#pragma omp parallel for schedule(static) num_threads(num_threads_) reduction(max : neighbors_most)
        for (std::int64_t i = 0; i < atoms.num_owned; ++i) {
            const std::int64_t count = neighbors.offsets[i + 1] - neighbors.offsets[i];
            neighbors_most = std::max(neighbors_most, static_cast<int>(count));
        }
#pragma omp parallel for schedule(static, 1) num_threads(num_threads_)
        for (int t = 0; t < num_threads_; ++t) {
            threads_[static_cast<std::size_t>(t)].begin(p_, neighbors_most, atoms.num_total(),
                                                        outputs, t > 0);
        }
        begin_gradient();
    }

    void edges_forward(int layer, const double* h) override { load_features(layer, h); }

    void atoms_forward(int layer, double* h) override {
        job_.sent = h;
        for_blocks(kernels_.forward, layer);
        add_energies();
    }

    void atoms_turn(int layer) override {
        if (job_.gradients) return;
        for_blocks(kernels_.turn, layer);
        add_energies();
    }

    void atoms_backward(int, const double* h_bar) override { job_.sent_bar = h_bar; }

    void edges_backward(int layer, double* h) override {
        load_features(layer, h);
        if (layer > 0) clear_features(h);
        for (std::size_t t = 0; t < threads_.size(); ++t) {
            threads_[t].features_bar.use(layer > 0 && t == 0 ? h : nullptr);
        }
        for_blocks(layer == last_ ? kernels_.turn : kernels_.backward, layer);
        if (layer == last_) add_energies();
        if (layer > 0) {
            add_rows(&ThreadMemory<T>::features_bar, h);
            return;
        }
        finish_gradient();
        add_rows(&ThreadMemory<T>::forces, outputs_.forces);
        add_rows(&ThreadMemory<T>::centroid, outputs_.centroid_virial);
        for (ThreadMemory<T>& thread : threads_) {
            for (int n = 0; n < 9 * kVirialLanes && outputs_.virial; ++n) {
                outputs_.virial[n / kVirialLanes] += thread.scratch.virial[n];
            }
        }
    }

    bool has_parameter_gradient() const override { return true; }

    void parameters_changed() override { folded_.refold(model_); }

    BackendInfo info() const override {
        BackendInfo info;
        info.precision = sizeof(T) == 4 ? "mixed" : "double";
        info.simd = kernels_.name;
        info.num_threads = num_threads_;
        info.radial_table_error = folded_.radial_error().value;
        info.radial_table_derivative_error = folded_.radial_error().derivative;
        info.memory_bytes = folded_.bytes() + store_.bytes() + features_.bytes();
        for (const ThreadMemory<T>& thread : threads_) info.memory_bytes += thread.bytes();
        for (const GradientMemory<T>& one : gradients_) info.memory_bytes += one.bytes();
        return info;
    }

  private:
    using Stage = void (*)(const Parameters<T>&, const Job<T>&, Scratch<T>&, int, std::int64_t);

    void for_blocks(Stage stage, int layer) {
#pragma omp parallel num_threads(num_threads_)
        {
            ThreadMemory<T>& thread = threads_[static_cast<std::size_t>(omp_get_thread_num())];
            thread.aim();
            if (thread.scratch.clock) thread.clock.start();
#pragma omp for schedule(static) nowait
            for (std::int64_t block = 0; block < job_.num_blocks; ++block) {
                stage(p_, job_, thread.scratch, layer, block);
            }
            if (thread.scratch.clock) thread.clock.collect();
        }
    }

    // The node features that a layer reads, as rows of T; kept from its forward stage on.
    void load_features(int layer, const double* h) {
        if (layer == 0 || layer == features_layer_) return;
        features_layer_ = layer;
        const std::int64_t stride = p_.feature_stride;
        features_.resize(static_cast<std::size_t>(num_total_ * stride));
        T* const features = features_.data();
#pragma omp parallel for schedule(static) num_threads(num_threads_)
        for (std::int64_t i = 0; i < num_total_; ++i) {
            const double* from = h + i * p_.width;
            T* to = features + i * stride;
            for (int n = 0; n < p_.width; ++n) to[n] = static_cast<T>(from[n]);
            for (std::int64_t n = p_.width; n < stride; ++n) to[n] = 0;
        }
        job_.node_features = features;
    }

    void clear_features(double* h) {
#pragma omp parallel for schedule(static) num_threads(num_threads_)
        for (std::int64_t i = 0; i < num_total_; ++i) std::fill_n(h + i * p_.width, p_.width, 0.0);
    }

    void begin_gradient() {
        if (outputs_.parameters) gradients_.resize(threads_.size());
#pragma omp parallel for schedule(static, 1) num_threads(num_threads_)
        for (int t = 0; t < num_threads_; ++t) {
            const auto n = static_cast<std::size_t>(t);
            if (outputs_.parameters) gradients_[n].begin(p_);
            threads_[n].scratch.gradient = outputs_.parameters ? &gradients_[n].data : nullptr;
        }
    }

    void finish_gradient() {
        if (!outputs_.parameters) return;
#pragma omp parallel for schedule(static, 1) num_threads(num_threads_)
        for (int t = 0; t < num_threads_; ++t) {
            for (int layer = 0; layer < p_.num_layers; ++layer) {
                kernels_.flush_gradient(gradients_[static_cast<std::size_t>(t)].data, layer, true);
            }
        }
        for (std::size_t t = 1; t < gradients_.size(); ++t) gradients_[0].add(gradients_[t]);
        gradients_[0].unfold(model_, p_, *outputs_.parameters);
        for (int layer = 0; layer < p_.num_layers; ++layer) {
            folded_.networks().backward(
                layer, active_types_, gradients_[0].knots(layer), p_.layers[layer].radial_stride,
                (*outputs_.parameters)[static_cast<std::size_t>(layer)].radial);
        }
    }

    void add_energies() {
        for (ThreadMemory<T>& thread : threads_) {
            if (outputs_.energy) *outputs_.energy += thread.scratch.energy;
            thread.scratch.energy = 0;
        }
    }

    // Adds what the threads above 0 hold of an array over atoms, and clears it.
    void add_rows(ThreadRows ThreadMemory<T>::* member, double* out) {
        if (!out || num_threads_ == 1) return;
        const std::int64_t rows = (threads_[0].*member).num_rows();
        const std::int64_t pages = (rows + kPageRows - 1) / kPageRows;
#pragma omp parallel for schedule(static) num_threads(num_threads_)
        for (std::int64_t page = 0; page < pages; ++page) {
            for (std::size_t t = 1; t < threads_.size(); ++t) {
                (threads_[t].*member).add_page(page, out);
            }
        }
    }

    const Kernels<T>& kernels_;
    int num_threads_;
    const Model& model_;
    std::vector<int> active_types_;
    FoldedModel<T> folded_;
    const Parameters<T>& p_;
    int last_;
    std::size_t memory_limit_;  // bytes of arrays over atoms
    Outputs outputs_;
    Job<T> job_{};
    AtomStore<T> store_;
    LargeArray<T> features_;
    std::int64_t num_total_ = 0;
    int features_layer_ = -1;
    std::vector<ThreadMemory<T>> threads_;
    std::vector<GradientMemory<T>> gradients_;  // of the threads, for training
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const Model& model, const BackendOptions& options) {
    if (options.precision == Precision::kDouble) {
        return std::make_unique<CpuBackend<double>>(model, options);
    }
    return std::make_unique<CpuBackend<float>>(model, options);
}

}  // namespace camlip
