// SPDX-License-Identifier: MIT
// An array in the memory of a device.  It grows and never shrinks; growing loses what it held.
#ifndef CAMLIP_CUDA_DEVICE_ARRAY_HPP
#define CAMLIP_CUDA_DEVICE_ARRAY_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace camlip::cuda {

inline std::string gigabytes(std::uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g GB", static_cast<double>(bytes) * 1e-9);
    return text;
}

template <class V, class Runtime>
class DeviceArray {
  public:
    explicit DeviceArray(Runtime& runtime) : runtime_(&runtime) {}
    DeviceArray(DeviceArray&& other) noexcept
        : runtime_(other.runtime_), data_(other.data_), capacity_(other.capacity_) {
        other.data_ = nullptr;
        other.capacity_ = 0;
    }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;
    ~DeviceArray() { runtime_->release(data_); }

    void reserve(std::int64_t count) {
        if (count <= capacity_) return;
        runtime_->release(data_);
        data_ = nullptr;
        capacity_ = 0;
        data_ = static_cast<V*>(runtime_->allocate(sizeof(V) * static_cast<std::size_t>(count)));
        capacity_ = count;
    }
    void zero(std::int64_t count) const {
        runtime_->zero(data_, sizeof(V) * static_cast<std::size_t>(count));
    }
    void upload(const V* values, std::int64_t first, std::int64_t count) {
        runtime_->upload(data_ + first, values, sizeof(V) * static_cast<std::size_t>(count));
    }
    void download(V* values, std::int64_t first, std::int64_t count) const {
        runtime_->download(values, data_ + first, sizeof(V) * static_cast<std::size_t>(count));
    }

    // From and to pinned memory, done when the runtime is synchronized.
    void upload_later(const V* values, std::int64_t first, std::int64_t count) const {
        runtime_->upload_later(data_ + first, values, sizeof(V) * static_cast<std::size_t>(count));
    }
    void download_later(V* values, std::int64_t first, std::int64_t count) const {
        runtime_->download_later(values, data_ + first,
                                 sizeof(V) * static_cast<std::size_t>(count));
    }

    V* data() const { return data_; }
    std::int64_t capacity() const { return capacity_; }
    std::uint64_t bytes() const { return sizeof(V) * static_cast<std::uint64_t>(capacity_); }

  private:
    Runtime* runtime_;
    V* data_ = nullptr;
    std::int64_t capacity_ = 0;
};

// An array in pinned memory of the host, which copies need that run while the host does not wait.
template <class V, class Runtime>
class HostArray {
  public:
    explicit HostArray(Runtime& runtime) : runtime_(&runtime) {}
    HostArray(const HostArray&) = delete;
    HostArray& operator=(const HostArray&) = delete;
    ~HostArray() { runtime_->release_host(data_); }

    void reserve(std::int64_t count) {
        if (count <= capacity_) return;
        runtime_->release_host(data_);
        data_ = nullptr;
        capacity_ = 0;
        data_ =
            static_cast<V*>(runtime_->allocate_host(sizeof(V) * static_cast<std::size_t>(count)));
        capacity_ = count;
    }
    V* data() const { return data_; }

  private:
    Runtime* runtime_;
    V* data_ = nullptr;
    std::int64_t capacity_ = 0;
};

}  // namespace camlip::cuda

#endif
