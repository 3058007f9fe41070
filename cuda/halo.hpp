// SPDX-License-Identifier: MIT
// One process of several: in which order the device has the atoms, and the features that travel.
//
// Owned atoms that are nobody's ghosts come first, those of the boundary after them, then ghosts.
// So what travels lies in one piece at either end, and stages of the first ones can run while the
// host exchanges: they have no ghosts for neighbors, and nothing of theirs comes back.
#ifndef CAMLIP_CUDA_HALO_HPP
#define CAMLIP_CUDA_HALO_HPP

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend.hpp"
#include "device/rows.hpp"
#include "device_array.hpp"
#include "device_neighbors.hpp"

namespace camlip::cuda {

template <class T, class Runtime>
class Halo {
  public:
    Halo(Runtime& runtime, int width)
        : runtime_(runtime), width_(width), rows_(runtime), staged_(runtime), reaching_(runtime) {}

    // As the caller has them; all owned atoms may travel, or none.
    void keep_order(const Atoms& atoms) {
        owned_ = atoms.num_owned;
        total_ = atoms.num_total();
        first_ = atoms.boundary && atoms.num_boundary == 0 ? owned_ : 0;
        inner_ = 0;
        order_.clear();
    }

    // The boundary last.  For lists that are made afterwards.
    void arrange(const Atoms& atoms) {
        keep_order(atoms);
        if (!atoms.boundary) return;
        std::vector<char> travels(static_cast<std::size_t>(owned_), 0);
        for (std::int64_t n = 0; n < atoms.num_boundary; ++n)
            travels[static_cast<std::size_t>(atoms.boundary[n])] = 1;
        order_.reserve(travels.size());
        for (const char wanted : {0, 1}) {
            if (wanted == 1) first_ = static_cast<std::int64_t>(order_.size());
            for (std::size_t i = 0; i < travels.size(); ++i)
                if (travels[i] == wanted) order_.push_back(static_cast<std::int32_t>(i));
        }
    }

    // Looks whether the atoms before the boundary really have no ghosts for neighbors.
    void find_inner(const DeviceNeighbors<Runtime>& list) {
        inner_ = 0;
        if (first_ == 0) return;
        reaching_.reserve(1);
        reaching_.zero(1);
        const CountReaching count{first_, owned_, list.offsets(), list.indices(), reaching_.data()};
        launch(count, first_, CountReaching::kMaxThreads / kWarp);
        std::int64_t reaching = 0;
        reaching_.download(&reaching, 0, 1);
        if (reaching == 0) inner_ = first_;
    }

    // Owned atoms whose stages need not wait for an exchange.
    std::int64_t num_inner() const { return inner_; }
    // The caller's row of a row of the device.
    std::int64_t row(std::int64_t n) const {
        return n < owned_ && !order_.empty() ? order_[static_cast<std::size_t>(n)] : n;
    }
    // Copies rows of the caller, `width` values each, to the order of the device.
    template <class V>
    void place(const V* from, int width, V* to) const {
        const std::int64_t placed = order_.empty() ? 0 : owned_;
        for (std::int64_t n = 0; n < placed; ++n)
            std::copy_n(from + row(n) * width, width, to + n * width);
        std::copy(from + placed * width, from + total_ * width, to + placed * width);
    }

    std::int64_t most_rows() const { return std::max(owned_ - first_, total_ - owned_); }
    void reserve() {
        rows_.reserve(most_rows() * width_);
        staged_.reserve(most_rows() * width_);
    }
    std::uint64_t bytes() const { return staged_.bytes() + reaching_.bytes(); }

    // Features of the boundary to the host: begun, and when they are there.
    void fetch(const DeviceArray<T, Runtime>& features) {
        runtime_.download_later(rows_.data(), features.data() + first_ * width_,
                                bytes_of(owned_ - first_));
        runtime_.record_event();
    }
    void deliver(double* h) {
        runtime_.wait_for_event();
        for (std::int64_t n = first_; n < owned_; ++n)
            std::copy_n(rows_.data() + (n - first_) * width_, width_, h + row(n) * width_);
    }
    // Features of ghosts to the device.
    void take_ghosts(const double* h, const DeviceArray<T, Runtime>& features) {
        const std::int64_t count = (total_ - owned_) * width_;
        if (count == 0) return;
        runtime_.wait_for_event();  // until nothing is copied from or to rows_
        for (std::int64_t n = 0; n < count; ++n)
            rows_.data()[n] = static_cast<T>(h[owned_ * width_ + n]);
        features.upload_later(rows_.data(), owned_ * width_, count);
        runtime_.record_event();
    }

    // The adjoint: of ghosts to the host ...
    void fetch_ghosts(const DeviceArray<std::int64_t, Runtime>& bar, double scale) {
        const std::int64_t count = (total_ - owned_) * width_;
        if (count == 0) return;
        const std::int64_t* from = bar.data() + owned_ * width_ * FixedPoint<T>::kWords;
        launch(RowsFromFixed<T>{from, count, scale, staged_.data()}, count,
               RowsFromFixed<T>::kMaxThreads);
        staged_.download_later(rows_.data(), 0, count);
        runtime_.record_event();
    }
    void deliver_ghosts(double* h_bar) {
        for (std::int64_t n = first_; n < owned_; ++n)
            std::fill_n(h_bar + row(n) * width_, width_, 0.0);  // what others add
        const std::int64_t count = (total_ - owned_) * width_;
        if (count == 0) return;
        runtime_.wait_for_event();
        std::copy_n(rows_.data(), count, h_bar + owned_ * width_);
    }
    // ... and what the boundary got, to the device.
    void take(const double* h_bar, const FixedPoint<T>& fixed,
              const DeviceArray<std::int64_t, Runtime>& bar) {
        const std::int64_t count = (owned_ - first_) * width_;
        if (count == 0) return;
        runtime_.wait_for_event();
        for (std::int64_t n = first_; n < owned_; ++n) {
            const double* from = h_bar + row(n) * width_;
            for (int q = 0; q < width_; ++q)
                rows_.data()[(n - first_) * width_ + q] = static_cast<T>(from[q]);
        }
        staged_.upload_later(rows_.data(), 0, count);
        runtime_.record_event();
        std::int64_t* to = bar.data() + first_ * width_ * FixedPoint<T>::kWords;
        launch(RowsToFixed<T>{staged_.data(), count, fixed, to}, count,
               RowsToFixed<T>::kMaxThreads);
    }

  private:
    std::size_t bytes_of(std::int64_t rows) const {
        return sizeof(T) * static_cast<std::size_t>(rows * width_);
    }
    template <class Kernel>
    void launch(const Kernel& kernel, std::int64_t items, int each) {
        const std::int64_t blocks = std::clamp<std::int64_t>((items + each - 1) / each, 1, 8192);
        runtime_.launch(kernel, static_cast<int>(blocks), Kernel::kMaxThreads,
                        kernel.shared_bytes());
    }

    Runtime& runtime_;
    int width_;
    std::int64_t owned_ = 0, total_ = 0, first_ = 0, inner_ = 0;
    std::vector<std::int32_t> order_;  // (owned): the caller's row; empty: as they are
    HostArray<T, Runtime> rows_;
    DeviceArray<T, Runtime> staged_;
    DeviceArray<std::int64_t, Runtime> reaching_;
};

}  // namespace camlip::cuda

#endif
