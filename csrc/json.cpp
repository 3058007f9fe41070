// SPDX-License-Identifier: MIT
#include "json.hpp"

#include <cmath>
#include <cstdint>
#include <locale>
#include <set>
#include <sstream>

#include "errors.hpp"

namespace camlip::json {
namespace {

constexpr int kMaxDepth = 16;

class Parser {
  public:
    Parser(const char* text, std::size_t size, const std::string& subject)
        : text_(text), size_(size), subject_(subject) {}

    Value document() {
        Value value = parse_value(0);
        skip_space();
        if (at_ != size_) fail("text after the end of the value");
        return value;
    }

  private:
    [[noreturn]] void fail(const std::string& what) const {
        throw FileError(subject_ + ": JSON is malformed at byte " + std::to_string(at_) + ": " +
                        what);
    }

    int peek() const { return at_ < size_ ? static_cast<unsigned char>(text_[at_]) : -1; }

    void skip_space() {
        while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
    }

    bool accept(char c) {
        if (peek() != c) return false;
        ++at_;
        return true;
    }

    void expect(char c) {
        if (!accept(c)) fail(std::string("expected '") + c + "'");
    }

    bool accept_word(const std::string& word) {
        if (size_ - at_ < word.size() || word.compare(0, word.size(), text_ + at_, word.size()))
            return false;
        at_ += word.size();
        return true;
    }

    Value parse_value(int depth) {
        if (depth > kMaxDepth) fail("nested deeper than " + std::to_string(kMaxDepth));
        skip_space();
        Value value;
        value.begin = at_;
        if (peek() == '{') {
            parse_object(value, depth);
        } else if (peek() == '[') {
            parse_array(value, depth);
        } else if (peek() == '"') {
            value.kind = Kind::kString;
            value.string = parse_string();
        } else if (accept_word("true")) {
            value.kind = Kind::kBool;
            value.boolean = true;
        } else if (accept_word("false")) {
            value.kind = Kind::kBool;
        } else if (!accept_word("null")) {
            value.kind = Kind::kNumber;
            value.number = parse_number();
        }
        value.end = at_;
        return value;
    }

    void parse_object(Value& value, int depth) {
        value.kind = Kind::kObject;
        std::set<std::string> keys;
        expect('{');
        skip_space();
        if (accept('}')) return;
        do {
            skip_space();
            if (peek() != '"') fail("expected a key in double quotes");
            std::string key = parse_string();
            if (!keys.insert(key).second) fail("key '" + key + "' appears twice");
            skip_space();
            expect(':');
            Value member = parse_value(depth + 1);
            value.members.emplace_back(std::move(key), std::move(member));
            skip_space();
        } while (accept(','));
        expect('}');
    }

    void parse_array(Value& value, int depth) {
        value.kind = Kind::kArray;
        expect('[');
        skip_space();
        if (accept(']')) return;
        do {
            value.items.push_back(parse_value(depth + 1));
            skip_space();
        } while (accept(','));
        expect(']');
    }

    bool digits() {
        const std::size_t start = at_;
        while (peek() >= '0' && peek() <= '9') ++at_;
        return at_ > start;
    }

    double parse_number() {
        const std::size_t start = at_;
        accept('-');
        if (!accept('0') && !digits()) fail("expected a value");
        bool is_integer = true;
        if (accept('.')) {
            is_integer = false;
            if (!digits()) fail("expected a digit after the decimal point");
        }
        if (accept('e') || accept('E')) {
            is_integer = false;
            if (!accept('-')) accept('+');
            if (!digits()) fail("expected a digit in the exponent");
        }
        // Short integers, nearly all there are, are exact by themselves.
        if (is_integer && at_ - start <= 15) {
            const bool negative = text_[start] == '-';
            double integer = 0;
            for (std::size_t n = start + negative; n < at_; ++n)
                integer = 10 * integer + (text_[n] - '0');
            return negative ? -integer : integer;
        }
        // A stream of the classic locale: strtod follows the locale of the host program.
        std::istringstream stream(std::string(text_ + start, at_ - start));
        stream.imbue(std::locale::classic());
        double number = 0;
        stream >> number;
        if (stream.fail() || !std::isfinite(number)) fail("number is out of range");
        return number;
    }

    unsigned hex4() {
        unsigned code = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const int c = peek();
            unsigned digit = 0;
            if (c >= '0' && c <= '9')
                digit = static_cast<unsigned>(c - '0');
            else if (c >= 'a' && c <= 'f')
                digit = static_cast<unsigned>(c - 'a' + 10);
            else if (c >= 'A' && c <= 'F')
                digit = static_cast<unsigned>(c - 'A' + 10);
            else
                fail("expected four hexadecimal digits after \\u");
            code = code * 16 + digit;
        }
        return code;
    }

    static void append_utf8(std::string& out, unsigned code) {
        const auto put = [&](unsigned byte) { out.push_back(static_cast<char>(byte)); };
        if (code < 0x80) {
            put(code);
        } else if (code < 0x800) {
            put(0xC0 | code >> 6);
            put(0x80 | (code & 0x3F));
        } else if (code < 0x10000) {
            put(0xE0 | code >> 12);
            put(0x80 | (code >> 6 & 0x3F));
            put(0x80 | (code & 0x3F));
        } else {
            put(0xF0 | code >> 18);
            put(0x80 | (code >> 12 & 0x3F));
            put(0x80 | (code >> 6 & 0x3F));
            put(0x80 | (code & 0x3F));
        }
    }

    void parse_escape(std::string& out) {
        static const std::string from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
        const int c = peek();
        ++at_;
        if (c == 'u') {
            unsigned code = hex4();
            if (code >= 0xD800 && code < 0xDC00) {
                if (!accept_word("\\u")) fail("half of a surrogate pair");
                const unsigned low = hex4();
                if (low < 0xDC00 || low > 0xDFFF) fail("half of a surrogate pair");
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            } else if (code >= 0xDC00 && code <= 0xDFFF) {
                fail("half of a surrogate pair");
            }
            append_utf8(out, code);
            return;
        }
        const std::size_t index = c < 0 ? std::string::npos : from.find(static_cast<char>(c));
        if (index == std::string::npos) fail("unknown escape");
        out.push_back(to[index]);
    }

    // Copies one character of two to four bytes; overlong forms and surrogates are not UTF-8.
    void parse_multibyte(std::string& out) {
        const auto first = static_cast<unsigned>(peek());
        const int length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
        if (first < 0xC2 || first > 0xF4) fail("string is not UTF-8");
        unsigned code = first & (0xFFu >> (length + 1));
        for (int i = 0; i < length; ++i, ++at_) {
            const int c = peek();
            if (i > 0 && (c & 0xC0) != 0x80) fail("string is not UTF-8");
            if (i > 0) code = code << 6 | (static_cast<unsigned>(c) & 0x3F);
            out.push_back(static_cast<char>(c));
        }
        const unsigned least = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80;
        if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            fail("string is not UTF-8");
    }

    std::string parse_string() {
        std::string out;
        expect('"');
        while (true) {
            const int c = peek();
            if (c < 0) fail("string does not end");
            if (c < 0x20) fail("control character in a string");
            if (accept('"')) return out;
            if (accept('\\')) {
                parse_escape(out);
            } else if (c < 0x80) {
                out.push_back(static_cast<char>(c));
                ++at_;
            } else {
                parse_multibyte(out);
            }
        }
    }

    const char* text_;
    std::size_t size_;
    std::size_t at_ = 0;
    const std::string& subject_;
};

}  // namespace

const Value* Value::find(const std::string& key) const {
    for (const auto& member : members)
        if (member.first == key) return &member.second;
    return nullptr;
}

Value parse(const char* text, std::size_t size, const std::string& subject) {
    return Parser(text, size, subject).document();
}

std::string quote(const std::string& text) {
    std::ostringstream out;
    out.imbue(std::locale::classic());
    out << '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out << '\\' << c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            static const char hex[] = "0123456789abcdef";
            out << "\\u00" << hex[static_cast<unsigned char>(c) >> 4] << hex[c & 15];
        } else {
            out << c;
        }
    }
    out << '"';
    return out.str();
}

}  // namespace camlip::json
