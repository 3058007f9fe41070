// SPDX-License-Identifier: MIT
// The part of the zip format (APPNOTE.TXT) that finds one stored entry.
#include <array>
#include <cstring>

#include "errors.hpp"
#include "model_file.hpp"

namespace camlip {
namespace {

constexpr const char* kEntry = "/extra/model.safetensors";
constexpr std::uint64_t kIn64 = 0xFFFFFFFF;  // the true number stands in a zip64 field

class Archive {
  public:
    Archive(Bytes bytes, const std::string& subject) : bytes_(bytes), subject_(subject) {}

    Bytes block() const {
        const Directory directory = find_directory();
        std::uint64_t at = directory.offset;
        Bytes found;
        for (std::uint64_t i = 0; i < directory.num_entries; ++i) {
            need(at, 46, "directory");
            if (number(at, 4) != 0x02014b50) fail("directory is damaged");
            const std::uint64_t name_size = number(at + 28, 2);
            const std::uint64_t extra_size = number(at + 30, 2);
            const std::uint64_t comment_size = number(at + 32, 2);
            need(at + 46, name_size + extra_size + comment_size, "directory");
            const std::string name(reinterpret_cast<const char*>(bytes_.data) + at + 46,
                                   static_cast<std::size_t>(name_size));
            if (is_block(name)) {
                if (found.data)
                    fail("archive has more than one entry '*" + std::string(kEntry) + "'");
                found = entry(at, at + 46 + name_size, extra_size);
            }
            at += 46 + name_size + extra_size + comment_size;
        }
        if (!found.data)
            fail("archive has no entry '*" + std::string(kEntry) +
                 "'; is this a checkpoint rather than an exported model?");
        return found;
    }

  private:
    struct Directory {
        std::uint64_t num_entries, offset;
    };

    [[noreturn]] void fail(const std::string& what) const {
        throw FileError(subject_ + ": " + what);
    }

    void need(std::uint64_t at, std::uint64_t size, const char* what) const {
        if (at > bytes_.size || size > bytes_.size - at)
            fail(std::string("archive's ") + what + " lies outside the file; is it truncated?");
    }

    std::uint64_t number(std::uint64_t at, int num_bytes) const {
        std::uint64_t value = 0;
        for (int i = 0; i < num_bytes; ++i)
            value |= static_cast<std::uint64_t>(bytes_.data[at + static_cast<unsigned>(i)])
                     << (8 * i);
        return value;
    }

    // '<stem>/extra/model.safetensors', where the stem is one folder.
    static bool is_block(const std::string& name) {
        const std::size_t stem = name.find('/');
        return stem != std::string::npos && stem > 0 &&
               name.compare(stem, std::string::npos, kEntry) == 0;
    }

    Directory find_directory() const {
        constexpr std::uint64_t end_size = 22, max_comment = 0xFFFF;
        if (bytes_.size < end_size) fail("archive is truncated");
        const std::uint64_t last = bytes_.size - end_size;
        for (std::uint64_t back = 0; back <= last && back <= max_comment; ++back) {
            const std::uint64_t at = last - back;
            if (number(at, 4) != 0x06054b50 || number(at + 20, 2) != back) continue;
            Directory directory = {number(at + 10, 2), number(at + 16, 4)};
            const bool wants64 = directory.num_entries == 0xFFFF || directory.offset == kIn64;
            if (wants64 && at >= 20 && number(at - 20, 4) == 0x07064b50) {
                const std::uint64_t end64 = number(at - 12, 8);
                need(end64, 56, "end record");
                if (number(end64, 4) != 0x06064b50) fail("archive's end record is damaged");
                directory = {number(end64 + 32, 8), number(end64 + 48, 8)};
            }
            return directory;
        }
        fail("archive has no end record; is the file truncated?");
    }

    // The bytes of the entry with its directory record at `record`.
    Bytes entry(std::uint64_t record, std::uint64_t extra, std::uint64_t extra_size) const {
        const std::string subject = "entry '*" + std::string(kEntry) + "'";
        if (number(record + 8, 2) & 1) fail(subject + " is encrypted");
        if (number(record + 10, 2) != 0)
            fail(subject + " is compressed, expected it stored; export the model again");
        std::uint64_t size = number(record + 24, 4);
        std::uint64_t stored = number(record + 20, 4);
        std::uint64_t header = number(record + 42, 4);
        // Zip64: the fields that overflow, in this order.
        for (std::uint64_t at = extra; at + 4 <= extra + extra_size;) {
            const std::uint64_t end = at + 4 + number(at + 2, 2);
            if (end > extra + extra_size) fail(subject + " has a damaged directory record");
            if (number(at, 2) == 1) {
                at += 4;
                for (std::uint64_t* field : {&size, &stored, &header}) {
                    if (*field != kIn64) continue;
                    if (at + 8 > end) fail(subject + " has a damaged directory record");
                    *field = number(at, 8);
                    at += 8;
                }
            }
            at = end;
        }
        if (size != stored) fail(subject + " has two sizes");
        need(header, 30, "entry");
        if (number(header, 4) != 0x04034b50) fail(subject + " has no header where it should");
        const std::uint64_t data = header + 30 + number(header + 26, 2) + number(header + 28, 2);
        need(data, size, "entry");
        const Bytes bytes = {bytes_.data + data, static_cast<std::size_t>(size)};
        if (crc32(bytes) != number(record + 16, 4))
            fail(subject + " fails its checksum; the file is damaged, export or copy it again");
        return bytes;
    }

    static std::uint32_t crc32(Bytes bytes) {
        static const std::array<std::uint32_t, 256> table = [] {
            std::array<std::uint32_t, 256> t = {};
            for (std::uint32_t i = 0; i < 256; ++i) {
                std::uint32_t c = i;
                for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
                t[i] = c;
            }
            return t;
        }();
        std::uint32_t crc = 0xFFFFFFFFu;
        for (std::size_t i = 0; i < bytes.size; ++i)
            crc = table[(crc ^ bytes.data[i]) & 0xFF] ^ crc >> 8;
        return crc ^ 0xFFFFFFFFu;
    }

    Bytes bytes_;
    const std::string& subject_;
};

}  // namespace

Bytes find_block(Bytes archive, const std::string& subject) {
    return Archive(archive, subject).block();
}

}  // namespace camlip
