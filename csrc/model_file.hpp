// SPDX-License-Identifier: MIT
// From the bytes of a model file to named tensors and metadata (docs/model_file.md).
//
// Two envelopes: a safetensors block, or a zip archive (TorchScript) that holds the block as the
// stored entry '<stem>/extra/model.safetensors'.  The bytes are trusted in nothing: every length
// and offset is checked before it is used, and each rejection is a FileError.
#ifndef CAMLIP_MODEL_FILE_HPP
#define CAMLIP_MODEL_FILE_HPP

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "json.hpp"

namespace camlip {

// Bytes that someone else keeps.
struct Bytes {
    const unsigned char* data = nullptr;
    std::size_t size = 0;
};

struct TensorView {
    bool is_double = false;  // F64, else F32
    std::vector<std::int64_t> shape;
    Bytes bytes;

    // All numbers as double.
    std::vector<double> values() const;
};

struct ModelFile {
    std::string name;                           // path or what the caller calls it, for messages
    std::map<std::string, TensorView> tensors;  // views into the bytes that were given
    json::Value metadata;                       // object of strings
    std::string metadata_json;                  // the same as text
    Bytes data;                                 // of all tensors

    // "model file 'x.pt'": how every message begins.
    std::string subject() const { return "model file '" + name + "'"; }
    // The text of a metadata key; throws FileError when it is absent.
    const std::string& text(const std::string& key) const;
    // Compares the data with metadata 'sha256'; throws FileError when they differ.
    void check_sum() const;
};

std::vector<unsigned char> read_file(const std::string& path);

// The bytes must outlive the result.
ModelFile parse_model_file(Bytes bytes, const std::string& name);

// The block inside an archive.
Bytes find_block(Bytes archive, const std::string& subject);

}  // namespace camlip

#endif
