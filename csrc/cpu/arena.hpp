// SPDX-License-Identifier: MIT
// Memory: Arena, zeroed, for many aligned arrays declared first, allocated once, freed together;
// LargeArray, for arrays over atoms.
#ifndef CAMLIP_CPU_ARENA_HPP
#define CAMLIP_CPU_ARENA_HPP

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace camlip::cpu {

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};

// Grows, never shrinks, keeps nothing when it grows, and is not zeroed: the thread that writes a
// page first decides where it lies.  In huge pages where the system has them on request, for it is
// streamed through and would take many entries of the translation buffers.
template <class T>
class LargeArray {
  public:
    T* data() const { return static_cast<T*>(memory_.get()); }
    std::size_t bytes() const { return bytes_; }

    void resize(std::size_t count) {
        if (count * sizeof(T) <= bytes_) return;
        constexpr std::size_t kHuge = std::size_t{2} << 20;
        const std::size_t wanted = count * sizeof(T), page = wanted < kHuge ? 64 : kHuge;
        bytes_ = 0;
        memory_.reset();
        memory_.reset(std::aligned_alloc(page, (wanted + page - 1) / page * page));
        if (!memory_) throw std::bad_alloc();
        bytes_ = wanted;
#if defined(MADV_HUGEPAGE)
        if (page == kHuge) madvise(memory_.get(), (wanted + page - 1) / page * page, MADV_HUGEPAGE);
#endif
    }

  private:
    std::size_t bytes_ = 0;
    std::unique_ptr<void, Free> memory_;
};

class Arena {
  public:
    // `pointer` will point at `count` zeros, aligned to a cache line, after allocate().
    template <class T>
    void add(T*& pointer, std::size_t count) {
        requests_.push_back({reinterpret_cast<void**>(&pointer), size_});
        size_ += (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    }

    void allocate() {
        // One line more: a vector load of the last elements of an array may reach beyond it.
        memory_.reset(std::aligned_alloc(kAlignment, size_ + kAlignment));
        if (!memory_) throw std::bad_alloc();
        std::memset(memory_.get(), 0, size_ + kAlignment);
        for (const Request& request : requests_) {
            *request.pointer = static_cast<char*>(memory_.get()) + request.offset;
        }
        requests_.clear();
    }

    std::size_t bytes() const { return memory_ ? size_ : 0; }

  private:
    static constexpr std::size_t kAlignment = 64;
    struct Request {
        void** pointer;
        std::size_t offset;
    };
    std::vector<Request> requests_;
    std::size_t size_ = 0;
    std::unique_ptr<void, Free> memory_;
};

}  // namespace camlip::cpu

#endif
