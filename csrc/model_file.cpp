// SPDX-License-Identifier: MIT
#include "model_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "errors.hpp"
#include "sha256.hpp"

namespace camlip {
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 33;
constexpr std::uint64_t kMaxHeaderBytes = std::uint64_t{1} << 24;
constexpr double kMaxExactInteger = 9007199254740992.0;  // 2^53

std::uint64_t little_endian(const unsigned char* data, int num_bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < num_bytes; ++i) value |= static_cast<std::uint64_t>(data[i]) << (8 * i);
    return value;
}

// A list of integers >= 0.
std::vector<std::int64_t> integers(const json::Value* value, std::size_t max_size,
                                   const std::string& subject) {
    if (!value || !value->is(json::Kind::kArray) || value->items.size() > max_size)
        throw FileError(subject + ": expected a list of at most " + std::to_string(max_size) +
                        " integers");
    std::vector<std::int64_t> list;
    for (const json::Value& item : value->items) {
        if (!item.is(json::Kind::kNumber) || !(item.number >= 0) ||
            item.number >= kMaxExactInteger ||
            item.number != static_cast<double>(static_cast<std::int64_t>(item.number)))
            throw FileError(subject + ": expected integers of at least 0");
        list.push_back(static_cast<std::int64_t>(item.number));
    }
    return list;
}

TensorView parse_tensor(const json::Value& entry, Bytes data, const std::string& subject) {
    const json::Value* dtype = entry.find("dtype");
    if (!dtype || !dtype->is(json::Kind::kString) ||
        (dtype->string != "F32" && dtype->string != "F64"))
        throw FileError(subject + " has dtype '" + (dtype ? dtype->string : std::string()) +
                        "', expected F32 or F64");
    TensorView tensor;
    tensor.is_double = dtype->string == "F64";
    tensor.shape = integers(entry.find("shape"), 8, subject + ", shape");
    const auto span = integers(entry.find("data_offsets"), 2, subject + ", data_offsets");
    if (span.size() != 2 || span[0] > span[1] || static_cast<std::uint64_t>(span[1]) > data.size)
        throw FileError(subject + " has data_offsets outside the " + std::to_string(data.size) +
                        " bytes of data; is the file truncated?");
    tensor.bytes = {data.data + span[0], static_cast<std::size_t>(span[1] - span[0])};
    std::uint64_t expected = tensor.is_double ? 8 : 4;
    for (const std::int64_t length : tensor.shape) {
        if (length > 0 && expected > tensor.bytes.size / static_cast<std::uint64_t>(length))
            throw FileError(subject + " is larger than its data_offsets");
        expected *= static_cast<std::uint64_t>(length);
    }
    if (expected != tensor.bytes.size)
        throw FileError(subject + " has " + std::to_string(tensor.bytes.size) +
                        " bytes, expected " + std::to_string(expected) + " from its shape");
    return tensor;
}

// Together the tensors cover the data without holes or overlaps.
void check_cover(const ModelFile& file) {
    std::vector<std::pair<std::size_t, std::size_t>> spans;
    for (const auto& [name, tensor] : file.tensors) {
        const auto begin = static_cast<std::size_t>(tensor.bytes.data - file.data.data);
        spans.emplace_back(begin, begin + tensor.bytes.size);
    }
    std::sort(spans.begin(), spans.end());
    std::size_t covered = 0;
    for (const auto& [begin, end] : spans) {
        if (begin != covered)
            throw FileError(file.subject() + ": tensors " +
                            (begin < covered ? "overlap" : "leave a hole") + " at byte " +
                            std::to_string(std::min(begin, covered)) + " of the data");
        covered = end;
    }
    if (covered != file.data.size)
        throw FileError(file.subject() + ": tensors cover " + std::to_string(covered) +
                        " bytes of data, the file has " + std::to_string(file.data.size));
}

}  // namespace

std::vector<double> TensorView::values() const {
    const std::size_t width = is_double ? 8 : 4;
    std::vector<double> numbers(bytes.size / width);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const std::uint64_t bits = little_endian(bytes.data + width * i, static_cast<int>(width));
        if (is_double) {
            std::memcpy(&numbers[i], &bits, sizeof(double));
        } else {
            const auto low = static_cast<std::uint32_t>(bits);
            float number = 0;
            std::memcpy(&number, &low, sizeof(float));
            numbers[i] = number;
        }
    }
    return numbers;
}

const std::string& ModelFile::text(const std::string& key) const {
    const json::Value* value = metadata.find(key);
    if (!value) throw FileError(subject() + ": metadata has no '" + key + "'");
    return value->string;
}

void ModelFile::check_sum() const {
    const std::string found = sha256(data.data, data.size);
    if (text("sha256") != found)
        throw FileError(subject() + ": sha256 of the tensors is " + found + ", expected '" +
                        text("sha256") + "'; the file is damaged, export or copy it again");
}

std::vector<unsigned char> read_file(const std::string& path) {
    const std::string subject = "model file '" + path + "'";
    std::error_code code;
    if (std::filesystem::is_directory(path, code))
        throw FileError(subject + ": is a directory, expected a file");
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                               std::fclose);
    if (!file) throw FileError("cannot open " + subject + ": " + std::strerror(errno));
    // Read in pieces: the size that the file system tells is not to be trusted for a pipe.
    std::vector<unsigned char> bytes;
    std::vector<unsigned char> piece(std::size_t{1} << 20);
    while (const std::size_t count = std::fread(piece.data(), 1, piece.size(), file.get())) {
        bytes.insert(bytes.end(), piece.begin(), piece.begin() + static_cast<long>(count));
        if (bytes.size() > kMaxFileBytes)
            throw FileError(subject + ": larger than " + std::to_string(kMaxFileBytes) + " bytes");
    }
    if (std::ferror(file.get())) throw FileError("cannot read " + subject);
    return bytes;
}

ModelFile parse_model_file(Bytes bytes, const std::string& name) {
    ModelFile file;
    file.name = name;
    const std::string subject = file.subject();
    if (bytes.size >= 4 && std::memcmp(bytes.data, "PK\x03\x04", 4) == 0)
        bytes = find_block(bytes, subject);
    if (bytes.size < 8)
        throw FileError(subject + ": " + std::to_string(bytes.size) +
                        " bytes, expected a safetensors block; is the file truncated?");
    const std::uint64_t length = little_endian(bytes.data, 8);
    if (length > kMaxHeaderBytes)
        throw FileError(subject + ": neither an archive (.pt) nor a safetensors block");
    if (length > bytes.size - 8)
        throw FileError(subject + ": header of " + std::to_string(length) + " bytes in a file of " +
                        std::to_string(bytes.size) + " bytes; is the file truncated?");
    const char* text = reinterpret_cast<const char*>(bytes.data) + 8;
    file.data = {bytes.data + 8 + length, bytes.size - 8 - static_cast<std::size_t>(length)};
    json::Value header = json::parse(text, static_cast<std::size_t>(length), subject + ", header");
    if (!header.is(json::Kind::kObject)) throw FileError(subject + ": header is not a JSON object");
    for (auto& [key, entry] : header.members) {
        if (key == "__metadata__") {
            file.metadata_json.assign(text + entry.begin, entry.end - entry.begin);
            file.metadata = std::move(entry);
        } else {
            file.tensors.emplace(
                key, parse_tensor(entry, file.data, subject + ": tensor '" + key + "'"));
        }
    }
    if (!file.metadata.is(json::Kind::kObject))
        throw FileError(subject +
                        ": header has no '__metadata__'; was the file written by camlip?");
    for (const auto& [key, value] : file.metadata.members)
        if (!value.is(json::Kind::kString))
            throw FileError(subject + ": metadata '" + key + "' is not a string");
    check_cover(file);
    return file;
}

}  // namespace camlip
