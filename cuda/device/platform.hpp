// SPDX-License-Identifier: MIT
// What device code needs of its compiler: nvcc, or the host's for the emulated device of the tests.
//
// Every kernel is a struct of plain data with `template <class Block> void operator()(Block&)`,
// run by every thread of every block.  Block is how a thread knows its place and its block:
//
//     thread(), threads()        this thread, and how many the block has (a multiple of 32)
//     index(), count()           this block, and how many the grid has
//     shared()                   the dynamic shared memory, aligned to 16 bytes
//     sync(), sync_warp()        barriers
//     ballot(bool)               bit n is lane n's
//     shuffle_xor(value, mask)   value of lane `lane ^ mask`
//     add(address, int64)        atomic
//     fetch_add(address, int32)  atomic, returns what was there
//
// There is one for nvcc (device/block_cuda.hpp) and one that runs the threads of a block as fibers
// on the host (tests/cpp/cuda_emulator.hpp), so the same source is checked without a device.
#ifndef CAMLIP_CUDA_DEVICE_PLATFORM_HPP
#define CAMLIP_CUDA_DEVICE_PLATFORM_HPP

#include <cmath>
#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__)
#define CAMLIP_DEVICE __device__ __forceinline__
#define CAMLIP_SHARED_CODE __host__ __device__ __forceinline__
#else
#define CAMLIP_DEVICE inline
#define CAMLIP_SHARED_CODE inline
#endif

// The host half of nvcc does not know the pragma.
#if defined(__CUDA_ARCH__)
#define CAMLIP_UNROLL _Pragma("unroll")
#else
#define CAMLIP_UNROLL
#include <cstdlib>
#endif

namespace camlip::cuda {

constexpr int kWarp = 32;

// Four neighbors in memory, moved by vector loads and stores.
template <class T>
struct alignas(16) Four {
    T v[4];
};

// p is aligned to 16 bytes, which the host checks because a device would fault.
template <class T>
CAMLIP_SHARED_CODE Four<T> load4(const T* p) {
#if !defined(__CUDA_ARCH__)
    if (reinterpret_cast<std::uintptr_t>(p) % 16 != 0) std::abort();
#endif
    return *reinterpret_cast<const Four<T>*>(p);
}

template <class T>
CAMLIP_SHARED_CODE void store4(T* p, const Four<T>& value) {
#if !defined(__CUDA_ARCH__)
    if (reinterpret_cast<std::uintptr_t>(p) % 16 != 0) std::abort();
#endif
    *reinterpret_cast<Four<T>*>(p) = value;
}

CAMLIP_SHARED_CODE float exponential(float x) { return expf(x); }
CAMLIP_SHARED_CODE double exponential(double x) { return exp(x); }

template <class T>
CAMLIP_SHARED_CODE T sigmoid(T x) {
    return T(1) / (T(1) + exponential(-x));
}

template <class T>
CAMLIP_SHARED_CODE T silu(T x) {
    return x * sigmoid(x);
}

template <class T>
CAMLIP_SHARED_CODE T silu_derivative(T x) {
    const T s = sigmoid(x);
    return s * (1 + x * (1 - s));
}

CAMLIP_SHARED_CODE int count_bits(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
    return __popc(bits);
#else
    return __builtin_popcount(bits);
#endif
}

CAMLIP_SHARED_CODE int up4(int n) { return (n + 3) / 4 * 4; }
CAMLIP_SHARED_CODE int up8(int n) { return (n + 7) / 8 * 8; }

// Hands out pieces of shared memory; with a null base it only counts, which is how the host knows
// how much to ask for.
class Carver {
  public:
    CAMLIP_SHARED_CODE explicit Carver(char* base) : base_(base) {}

    template <class V>
    CAMLIP_SHARED_CODE V* take(int count) {
        V* piece = reinterpret_cast<V*>(base_ ? base_ + used_ : nullptr);
        used_ += (sizeof(V) * static_cast<std::size_t>(count) + 15) / 16 * 16;
        return piece;
    }
    CAMLIP_SHARED_CODE std::size_t bytes() const { return used_; }

  private:
    char* base_;
    std::size_t used_ = 0;
};

// Sums over edges that end at an atom come from many blocks in no particular order.  They are kept
// in fixed point, where addition is associative, so that every run gives the same bits: one word of
// 1 / scale for float; for double a second word of 2^-42 of that.
template <class T>
struct FixedPoint {
    static constexpr int kWords = sizeof(T) == 4 ? 1 : 2;
    static constexpr double kSecond = 4398046511104.0;  // 2^42

    double scale;  // units per 1, a power of two
    std::uint32_t* flags;  // bit 0: a value did not fit, or was NaN

    // Number n of an array.
    template <class Block>
    CAMLIP_DEVICE void add(Block& block, std::int64_t* array, std::int64_t n, double value) const {
        const double scaled = value * scale;
        if (!(scaled < 1e18 && scaled > -1e18)) {
            *flags = 1;  // every writer writes the same
            return;
        }
        const double whole = rint(scaled);
        block.add(array + n * kWords, static_cast<std::int64_t>(whole));
        if (kWords == 2) {
            block.add(array + n * kWords + 1,
                      static_cast<std::int64_t>(rint((scaled - whole) * kSecond)));
        }
    }

    static CAMLIP_SHARED_CODE double value(const std::int64_t* array, std::int64_t n,
                                           double scale) {
        const auto whole = static_cast<double>(array[n * kWords]);
        if (kWords == 1) return whole / scale;
        return (whole + static_cast<double>(array[n * kWords + 1]) / kSecond) / scale;
    }
};

// Sum over the lanes of a warp, in every lane.
template <class V, class Block>
CAMLIP_DEVICE V sum_warp(Block& block, V value) {
    for (int mask = 1; mask < kWarp; mask *= 2) value += block.shuffle_xor(value, mask);
    return value;
}

}  // namespace camlip::cuda

#endif
