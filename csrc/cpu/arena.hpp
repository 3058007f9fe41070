// SPDX-License-Identifier: MIT
// Zeroed memory for many aligned arrays: declared first, allocated once, freed together.
#ifndef CAMLIP_CPU_ARENA_HPP
#define CAMLIP_CPU_ARENA_HPP

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace camlip::cpu {

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
    struct Free {
        void operator()(void* memory) const { std::free(memory); }
    };
    std::vector<Request> requests_;
    std::size_t size_ = 0;
    std::unique_ptr<void, Free> memory_;
};

}  // namespace camlip::cpu

#endif
