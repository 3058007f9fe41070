// SPDX-License-Identifier: MIT
// A strict reader of JSON (RFC 8259) for the headers of model files.
//
// Limits  nesting up to 16; keys of an object are distinct; strings are valid UTF-8.
#ifndef CAMLIP_JSON_HPP
#define CAMLIP_JSON_HPP

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace camlip::json {

enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };

struct Value {
    Kind kind = Kind::kNull;
    bool boolean = false;
    double number = 0;
    std::string string;
    std::vector<Value> items;                            // of an array
    std::vector<std::pair<std::string, Value>> members;  // of an object, as in the text
    std::size_t begin = 0, end = 0;                      // where it stands in the text

    bool is(Kind expected) const { return kind == expected; }
    // Null pointer when the object has no such key, or when this is no object.
    const Value* find(const std::string& key) const;
};

// Throws FileError("<subject>: ..."), with the byte at which the text is wrong.
Value parse(const char* text, std::size_t size, const std::string& subject);

// A string with JSON's quotes and escapes.
std::string quote(const std::string& text);

}  // namespace camlip::json

#endif
