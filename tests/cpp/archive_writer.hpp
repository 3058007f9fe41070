// SPDX-License-Identifier: MIT
// Zip archives of stored entries, as torch.jit.save writes them.
#ifndef CAMLIP_TESTS_ARCHIVE_WRITER_HPP
#define CAMLIP_TESTS_ARCHIVE_WRITER_HPP

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace archive {

using ByteVector = std::vector<unsigned char>;

inline std::uint32_t crc32(const ByteVector& bytes) {
    std::uint32_t crc = 0xFFFFFFFFu;
    for (const unsigned char byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? 0xEDB88320u ^ crc >> 1 : crc >> 1;
    }
    return crc ^ 0xFFFFFFFFu;
}

inline void put(ByteVector& out, std::uint64_t value, int num_bytes) {
    for (int n = 0; n < num_bytes; ++n)
        out.push_back(n < 8 ? static_cast<unsigned char>(value >> (8 * n) & 0xFF) : 0);
}

// With zip64 the sizes and offsets stand in the 64-bit fields; with descriptor the local headers
// leave checksum and sizes to a descriptor after the data.
inline ByteVector write(const std::vector<std::pair<std::string, ByteVector>>& entries,
                        bool zip64 = false, bool descriptor = false) {
    ByteVector out, directory;
    for (const auto& [name, bytes] : entries) {
        const std::uint64_t at = out.size(), size = bytes.size();
        const std::uint32_t crc = crc32(bytes);
        put(out, 0x04034b50, 4);
        put(out, 20, 2);
        put(out, descriptor ? 8 : 0, 2);
        put(out, 0, 6);  // stored; time and date
        put(out, descriptor ? 0 : crc, 4);
        put(out, descriptor ? 0 : size, 4);
        put(out, descriptor ? 0 : size, 4);
        put(out, name.size(), 2);
        put(out, 6, 2);
        out.insert(out.end(), name.begin(), name.end());
        put(out, 0x4246, 2);  // padding, as torch writes it
        put(out, 2, 2);
        put(out, 0x5A5A, 2);
        out.insert(out.end(), bytes.begin(), bytes.end());
        if (descriptor) {
            put(out, 0x08074b50, 4);
            put(out, crc, 4);
            put(out, size, 4);
            put(out, size, 4);
        }
        put(directory, 0x02014b50, 4);
        put(directory, 45, 2);
        put(directory, 20, 2);
        put(directory, descriptor ? 8 : 0, 2);
        put(directory, 0, 6);
        put(directory, crc, 4);
        put(directory, zip64 ? 0xFFFFFFFF : size, 4);
        put(directory, zip64 ? 0xFFFFFFFF : size, 4);
        put(directory, name.size(), 2);
        put(directory, zip64 ? 28 : 0, 2);
        put(directory, 0, 10);
        put(directory, zip64 ? 0xFFFFFFFF : at, 4);
        directory.insert(directory.end(), name.begin(), name.end());
        if (zip64) {
            put(directory, 1, 2);
            put(directory, 24, 2);
            put(directory, size, 8);
            put(directory, size, 8);
            put(directory, at, 8);
        }
    }
    const std::uint64_t start = out.size();
    out.insert(out.end(), directory.begin(), directory.end());
    if (zip64) {
        const std::uint64_t end64 = out.size();
        put(out, 0x06064b50, 4);
        put(out, 44, 8);
        put(out, 45, 2);
        put(out, 45, 2);
        put(out, 0, 8);
        put(out, entries.size(), 8);
        put(out, entries.size(), 8);
        put(out, directory.size(), 8);
        put(out, start, 8);
        put(out, 0x07064b50, 4);
        put(out, 0, 4);
        put(out, end64, 8);
        put(out, 1, 4);
    }
    put(out, 0x06054b50, 4);
    put(out, 0, 4);
    put(out, entries.size(), 2);
    put(out, entries.size(), 2);
    put(out, directory.size(), 4);
    put(out, zip64 ? 0xFFFFFFFF : start, 4);
    put(out, 0, 2);
    return out;
}

}  // namespace archive

#endif
