// SPDX-License-Identifier: MIT
// A vector whose new elements are not set: for large arrays that are written at once.
#ifndef CAMLIP_NEIGHBORS_ARRAY_HPP
#define CAMLIP_NEIGHBORS_ARRAY_HPP

#include <memory>
#include <utility>
#include <vector>

namespace camlip {

template <class T>
struct UnsetAllocator : std::allocator<T> {
    UnsetAllocator() = default;
    template <class U>
    UnsetAllocator(const UnsetAllocator<U>&) noexcept {}
    template <class U>
    struct rebind {
        using other = UnsetAllocator<U>;
    };
    template <class U>
    void construct(U* place) noexcept {
        ::new (static_cast<void*>(place)) U;
    }
    template <class U, class... Arguments>
    void construct(U* place, Arguments&&... arguments) {
        ::new (static_cast<void*>(place)) U(std::forward<Arguments>(arguments)...);
    }
};

template <class T>
using Array = std::vector<T, UnsetAllocator<T>>;

}  // namespace camlip

#endif
