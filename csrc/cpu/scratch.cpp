// SPDX-License-Identifier: MIT
#include "cpu/scratch.hpp"

#include <algorithm>
#include <iterator>

namespace camlip::cpu {

void ThreadRows::begin(std::int64_t num_rows, int width, bool own) {
    own_ = own;
    width_ = width;
    num_rows_ = num_rows;
    direct_ = nullptr;
    if (!own || width == 0) return;
    const std::int64_t pages = (num_rows + kPageRows - 1) / kPageRows;
    const std::size_t size = static_cast<std::size_t>(pages * kPageRows * width);
    if (size > capacity_) {
        data_.reset(new double[size]);
        capacity_ = size;
    }
    dirty_.assign(static_cast<std::size_t>(pages), 0);
}

RowBuffer ThreadRows::buffer() {
    if (width_ == 0) return {nullptr, nullptr, 0};
    if (!own_) return {direct_, nullptr, width_};
    return {data_.get(), dirty_.data(), width_};
}

void ThreadRows::add_page(std::int64_t page, double* out) {
    std::uint8_t& dirty = dirty_[static_cast<std::size_t>(page)];
    if (!dirty) return;
    const std::int64_t last = std::min(num_rows_, (page + 1) * kPageRows) * width_;
    for (std::int64_t n = page * kPageRows * width_; n < last; ++n) {
        out[n] += data_[static_cast<std::size_t>(n)];
    }
    dirty = 0;
}

template <class T>
void ThreadMemory<T>::begin(const Parameters<T>& p, int max_neighbors, std::int64_t num_total,
                            const Outputs& outputs, bool own_rows) {
    if (chunk_.bytes() == 0) {
        size_chunk(p);
        size_block(p);
    }
    if (max_neighbors + kChunk > scratch.capacity) {
        scratch.capacity = max_neighbors + max_neighbors / 4 + kChunk;
        const std::size_t size = static_cast<std::size_t>(kBlock * scratch.capacity);
        neighbors_ = Arena();
        neighbors_.add(scratch.neighbor, size);
        neighbors_.add(scratch.pair, size);
        for (T*& component : scratch.difference) neighbors_.add(component, size);
        neighbors_.add(scratch.knot, size);
        neighbors_.add(scratch.fraction, size);
        neighbors_.add(scratch.square, static_cast<std::size_t>(scratch.capacity));
        neighbors_.allocate();
    }
    scratch.clock = stage_clocks_wanted() ? &clock : nullptr;
    scratch.energy = 0;
    std::fill(std::begin(scratch.virial), std::end(scratch.virial), 0.0);
    const bool gradients = outputs.gradients();
    scratch.with_energies = outputs.energy || outputs.atomic_energies;
    scratch.with_forces = outputs.forces || outputs.virial || outputs.centroid_virial;
    forces.begin(num_total, outputs.forces ? 3 : 0, own_rows);
    forces.use(outputs.forces);
    centroid.begin(num_total, outputs.centroid_virial ? 9 : 0, own_rows);
    centroid.use(outputs.centroid_virial);
    features_bar.begin(num_total, gradients ? p.width : 0, own_rows);
}

template <class T>
void ThreadMemory<T>::aim() {
    scratch.forces = forces.buffer();
    scratch.centroid = centroid.buffer();
    scratch.features_bar = features_bar.buffer();
}

template <class T>
std::size_t ThreadMemory<T>::bytes() const {
    return neighbors_.bytes() + chunk_.bytes() + block_.bytes() + forces.bytes() +
           centroid.bytes() + features_bar.bytes();
}

template <class T>
void ThreadMemory<T>::size_chunk(const Parameters<T>& p) {
    Scratch<T>& s = scratch;
    int stride = 0;
    for (int n = 0; n < p.num_layers; ++n) stride = std::max(stride, p.layers[n].radial_stride);
    stride = std::max(stride, p.radial_padded);
    const auto rows = [&](T*& pointer, int count) {
        chunk_.add(pointer, static_cast<std::size_t>(count) * kChunk);
    };
    rows(s.inverse, 1);
    for (T*& x : s.direction) rows(x, 1);
    for (T*& x : s.force) rows(x, 1);
    rows(s.basis, p.num_components);
    rows(s.basis_bar, p.num_components);
    rows(s.row, stride);
    rows(s.row_derivative, stride);
    rows(s.radial, stride);
    rows(s.derivative, stride);
    if (p.num_layers > 1) {
        rows(s.product_row, p.product_stride);
        rows(s.features, p.feature_stride);
        rows(s.sent_bar, p.feature_stride);
        rows(s.axial, p.vector_stride);
        rows(s.side, 5 * p.num_vectors);
        rows(s.side_bar, 8 * p.num_vectors);
        rows(s.radial_bar, stride);
        chunk_.add(s.side_sum, static_cast<std::size_t>(4 * 3 * p.side_columns));
    }
    chunk_.allocate();
}

template <class T>
void ThreadMemory<T>::size_block(const Parameters<T>& p) {
    Scratch<T>& s = scratch;
    int depth = 0;
    for (int n = 0; n < p.num_layers; ++n) depth = std::max(depth, p.layers[n].depth_stride);
    const auto rows = [&](T*& pointer, int components, int stride) {
        block_.add(pointer, static_cast<std::size_t>(components) * kBlock *
                                static_cast<std::size_t>(stride));
    };
    rows(s.edge_sums, p.num_components, depth);
    if (p.num_layers > 1) rows(s.lower, p.num_components, p.layers[0].depth_stride);
    for (T** x : {&s.a, &s.b, &s.d, &s.a_bar}) {
        rows(*x, p.num_components, p.channel_stride);
    }
    rows(s.invariants, 3 * (p.max_rank + 1), p.channel_stride);
    for (T** x : {&s.hidden, &s.active, &s.layer1, &s.hidden_bar}) rows(*x, 1, p.hidden_stride);
    if (p.num_layers > 1) {
        rows(s.gates, 1, p.sent_stride);
        rows(s.gates_bar, 1, p.sent_stride);
        rows(s.vectors, 3, p.vector_stride);
        rows(s.vectors_bar, 3, p.vector_stride);
    }
    block_.allocate();
}

template <class T>
void AtomStore<T>::resize(const Parameters<T>& p, std::size_t bytes, bool all, Job<T>& job) {
    const std::int64_t blocks = job.num_blocks, hidden = kBlock * p.hidden_stride;
    const auto components = [&](int stride) {
        return static_cast<std::int64_t>(kBlock) * p.num_components * stride;
    };
    const std::int64_t moments = components(p.channel_stride);
    const int below = p.num_layers - 1;
    std::int64_t size = 0;  // of everything
    const auto reserve = [&](BlockStore<T>& store, std::int64_t block_size, std::int64_t kept) {
        store.size = block_size;
        store.kept = kept;
        size += block_size * kept;
    };
    for (int n = 0; n < below; ++n) {
        LayerStore<T>& store = job.stores[n];
        reserve(store.hidden, hidden, job.gradients ? blocks : 0);
        if (n == 0) continue;
        reserve(store.moments, moments, blocks);
        reserve(store.moments_bar, moments, job.gradients ? blocks : 0);
    }
    std::int64_t left = static_cast<std::int64_t>(bytes / sizeof(T)) - size;
    const auto room_for = [&](std::int64_t block_size) {
        const std::int64_t count = std::clamp<std::int64_t>(left / block_size, 0, blocks);
        left -= count * block_size;
        return count;
    };
    // In the order of the time that a byte saves.
    const std::int64_t gradients = job.gradients ? 1 : 0;
    for (int n = 0; n < below; ++n) {
        const std::int64_t count = job.gradients ? room_for(hidden) : 0;
        reserve(job.stores[n].hidden_bar, hidden, all ? blocks : count);
    }
    // A of layer 0 takes more room than its sums, from which it is made in a moment: for small
    // systems.
    job.keeps_sums = all || (1 + gradients * (1 + below)) * moments * blocks > left;
    const std::int64_t sums = job.keeps_sums ? components(p.layers[0].depth_stride) : moments;
    if (below > 0) {
        const std::int64_t count = room_for((1 + gradients) * sums);
        reserve(job.stores[0].moments, sums, all ? blocks : count);
        reserve(job.stores[0].moments_bar, sums, gradients * (all ? blocks : count));
    }
    for (int n = below - 1; n >= 0; --n) {
        reserve(job.stores[n].contracted, moments, gradients * room_for(moments));
    }
    data_.resize(static_cast<std::size_t>(size));
    T* next = data_.data();
    for (int n = 0; n < below; ++n) {
        LayerStore<T>& s = job.stores[n];
        for (BlockStore<T>* store :
             {&s.moments, &s.moments_bar, &s.hidden, &s.hidden_bar, &s.contracted}) {
            store->data = next;
            next += store->size * store->kept;
        }
    }
}

template class ThreadMemory<float>;
template class ThreadMemory<double>;
template class AtomStore<float>;
template class AtomStore<double>;

}  // namespace camlip::cpu
