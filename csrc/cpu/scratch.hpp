// SPDX-License-Identifier: MIT
// Memory of a call: per atom (AtomStore) and per thread (ThreadMemory).  It grows with the largest
// call so far and is never shrunk, so nothing is allocated from step to step.
#ifndef CAMLIP_CPU_SCRATCH_HPP
#define CAMLIP_CPU_SCRATCH_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "backend.hpp"
#include "cpu/arena.hpp"
#include "cpu/kernels.hpp"

namespace camlip::cpu {

constexpr std::int64_t kPageRows = std::int64_t{1} << kDirtyShift;

// A thread's share of an array over atoms (RowBuffer).  Its pages are touched, and by the operating
// system given, only where the thread's atoms have neighbors.
class ThreadRows {
  public:
    // width 0: not wanted.  `own`: memory of its own, else the caller's array, see use().
    void begin(std::int64_t num_rows, int width, bool own);
    void use(double* direct) { direct_ = direct; }
    RowBuffer buffer();
    void add_page(std::int64_t page, double* out);  // and clears it
    std::int64_t num_rows() const { return num_rows_; }
    std::size_t bytes() const { return own_ ? capacity_ * sizeof(double) : 0; }

  private:
    bool own_ = false;
    int width_ = 0;
    std::int64_t num_rows_ = 0;
    std::size_t capacity_ = 0;
    double* direct_ = nullptr;
    std::unique_ptr<double[]> data_;
    std::vector<std::uint8_t> dirty_;
};

template <class T>
class ThreadMemory {
  public:
    void begin(const Parameters<T>& p, int max_neighbors, std::int64_t num_total,
               const Outputs& outputs, bool own_rows);
    void aim();  // lets the scratch see the rows as they are now
    std::size_t bytes() const;

    Scratch<T> scratch{};
    ThreadRows forces, centroid, features_bar;
    StageClock clock;

  private:
    void size_chunk(const Parameters<T>& p);
    void size_block(const Parameters<T>& p);

    Arena neighbors_, chunk_, block_;
};

// What layers below the last keep of their atoms between passes (Job::stores).
template <class T>
class AtomStore {
  public:
    // What can be computed again is kept for as many blocks as fit into `bytes`; with `all`, as
    // training needs it, everything but D for all of them.
    void resize(const Parameters<T>& p, std::size_t bytes, bool all, Job<T>& job);
    std::size_t bytes() const { return data_.bytes(); }

  private:
    LargeArray<T> data_;
};

}  // namespace camlip::cpu

#endif
