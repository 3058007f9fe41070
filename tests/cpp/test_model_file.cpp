// SPDX-License-Identifier: MIT
// The reader of model files: what it accepts, what it says, and that nothing breaks it.
#include <algorithm>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "archive_writer.hpp"
#include "check.hpp"
#include "errors.hpp"
#include "json.hpp"
#include "model.hpp"
#include "model_file.hpp"
#include "random_model.hpp"
#include "sha256.hpp"

using namespace camlip;
using random_model::Block;
using random_model::ByteVector;

namespace {

Config tiny_config() {
    Config c = random_model::small_config(1, 2);
    c.num_channels = c.num_radial = c.num_hidden = c.num_bessel = c.radial_width = 2;
    c.num_message_radial = c.num_message_scalars = c.num_message_vectors = 1;
    return c;
}

Block tiny_block(bool is_double = false) {
    return random_model::make_block(tiny_config(), {1, 8}, 3, is_double);
}

// What the reader says; empty when it accepts.
std::string message(const ByteVector& bytes) {
    try {
        random_model::load(bytes);
        return "";
    } catch (const FileError& error) {
        return error.what();
    }
}

std::string message(const std::function<void(Block&)>& change) {
    Block block = tiny_block();
    change(block);
    return message(block.bytes());
}

bool contains(const std::string& text, const std::string& part) {
    if (text.find(part) != std::string::npos) return true;
    std::printf("expected '%s' in '%s'\n", part.c_str(), text.c_str());
    return false;
}

void replace(std::string& text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
}

// A copy that ends where the memory ends, so that the sanitizer sees a read past the end.
std::string message_of(const unsigned char* bytes, std::size_t size) {
    return message(ByteVector(bytes, bytes + size));
}

}  // namespace

TEST(json_reads_what_it_should) {
    const std::string text =
        R"( {"a": [1, -2.5e-3, true, false, null], "b": {"\u00e9\n": "\ud83d\ude00/"}, "c": ""} )";
    const json::Value value = json::parse(text.data(), text.size(), "test");
    CHECK(value.find("a")->items.size() == 5);
    CHECK(value.find("a")->items[1].number == -2.5e-3);
    CHECK(value.find("b")->members[0].first == "\xc3\xa9\n");
    CHECK(value.find("b")->members[0].second.string == "\xf0\x9f\x98\x80/");
    CHECK(value.find("d") == nullptr);
    const std::string back = json::quote("a\"\\\n\x01z");
    CHECK(back == R"("a\"\\\u000a\u0001z")");
}

TEST(json_refuses_what_it_should) {
    const std::vector<std::string> wrong = {"",
                                            "{",
                                            "[1,]",
                                            "{\"a\":1,}",
                                            "{\"a\" 1}",
                                            "{a:1}",
                                            "01",
                                            "1.",
                                            "+1",
                                            ".5",
                                            "1e",
                                            "-",
                                            "nul",
                                            "truefalse",
                                            "\"",
                                            "\"\\x\"",
                                            "\"\\u12\"",
                                            "\"\\ud800\"",
                                            "\"\\udc00\"",
                                            "\"\n\"",
                                            "\"\xff\"",
                                            "\"\xc0\x80\"",
                                            "\"\xed\xa0\x80\"",
                                            "\"\xf0\x80\x80\x80\"",
                                            "\"\xe2\x82\"",
                                            "1 2",
                                            "1e999",
                                            "{\"a\":1,\"a\":2}",
                                            std::string(40, '['),
                                            "NaN",
                                            "Infinity"};
    for (const std::string& text : wrong)
        CHECK_THROWS(json::parse(text.data(), text.size(), "test"), FileError);
}

TEST(sha256_matches_fips_180) {
    const auto digest = [](const std::string& text) {
        return sha256(reinterpret_cast<const unsigned char*>(text.data()), text.size());
    };
    CHECK(digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(digest(std::string(1000000, 'a')) ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(models_are_read_as_they_were_written) {
    for (const bool is_double : {true, false}) {
        for (int L = 0; L <= 3; ++L) {
            const Config c = random_model::small_config(L, L == 0 ? 1 : 3);
            const Block block = random_model::make_block(c, {1, 6, 8}, 5, is_double);
            const Model model = random_model::load(block.bytes());
            CHECK(model.config.cutoff == c.cutoff && model.config.max_rank == L);
            CHECK(model.atomic_numbers == std::vector<int>({1, 6, 8}));
            CHECK(model.layers.size() == static_cast<std::size_t>(c.num_layers));
            for (const auto& [name, entry] : block.tensors)
                if (name == "contraction.0.mixing")
                    for (std::size_t n = 0; n < entry.values.size(); ++n)
                        CHECK_CLOSE(model.layers[0].contraction.mixing[n], entry.values[n],
                                    entry.is_double ? 0.0 : 1e-6);
            CHECK(contains(model.metadata_json, "\"architecture\""));
        }
    }
}

TEST(wrong_content_is_named) {
    CHECK(message([](Block&) {}).empty());
    CHECK(contains(message([](Block& b) { b.erase("skip.1"); }),
                   "model file 'random': tensor 'skip.1' is missing, expected shape (2, 2)"));
    CHECK(contains(message([](Block& b) { b.tensor("skip.1").shape = {4}; }),
                   "tensor 'skip.1' has shape (4), expected (2, 2) from the config"));
    CHECK(contains(message([](Block& b) { b.tensors.push_back({"extra", {true, {1}, {0.0}}}); }),
                   "tensor 'extra' is not part of the model"));
    CHECK(contains(message([](Block& b) {
                       b.tensor("mixing.1").values[1] = std::numeric_limits<double>::infinity();
                   }),
                   "tensor 'mixing.1' holds infinity at index 1"));
    CHECK(contains(message([](Block& b) { b.tensor("zbl.radii").values[1] = 0; }), "zbl.radii"));
    CHECK(contains(message([](Block& b) { b.metadata["format_version"] = "2"; }),
                   "format_version is '2', this engine knows 1"));
    CHECK(contains(message([](Block& b) { b.metadata["required"] = "[\"charges\"]"; }),
                   "needs features [\"charges\"]"));
    CHECK(contains(message([](Block& b) { b.metadata["architecture"] = "gnn"; }),
                   "architecture 'gnn' is unknown; this engine knows cartesian_moments"));
    CHECK(contains(message([](Block& b) { b.metadata.erase("config"); }),
                   "metadata has no 'config'"));
    CHECK(contains(message([](Block& b) { b.metadata["cutoff"] = "5.0"; }), "expected 4"));
    CHECK(contains(message([](Block& b) { b.metadata["units"] = R"({"energy": "kcal/mol"})"; }),
                   "metadata 'units' is"));
    CHECK(contains(message([](Block& b) { b.metadata["sha256"] = "0"; }), "the file is damaged"));
    for (const char* numbers :
         {"[]", "[8, 1]", "[1, 1]", "[0, 8]", "[1, 119]", "[1, 8.5]", "{}", "[1, \"8\"]", "3"})
        CHECK(contains(message([&](Block& b) { b.metadata["atomic_numbers"] = numbers; }),
                       "metadata 'atomic_numbers' is"));
    const char* changes[][3] = {{"\"max_rank\": 1", "\"max_rank\": 4", "config 'max_rank' is 4"},
                                {"\"max_rank\": 1", "\"max_rank\": 0", "'max_rank' is 0"},
                                {"\"num_channels\": 2", "\"num_channels\": 1e9", "1 to 4096"},
                                {"\"num_channels\": 2", "\"num_channels\": 1.5", "an integer"},
                                {"\"num_channels\": 2", "\"channels\": 2", "no 'num_channels'"},
                                {"\"zbl\": true", "\"zbl\": 1", "'zbl' is not true or false"},
                                {"\"zbl\": true", "\"zbl\": false", "'zbl.radii' is not part"},
                                {"\"cutoff\": 4", "\"cutoff\": -4", "config 'cutoff' is -4"},
                                {"\"message_rank\": 1", "\"message_rank\": 2", "expected 1 to 1"}};
    for (const auto& change : changes)
        CHECK(contains(
            message([&](Block& b) { replace(b.metadata["config"], change[0], change[1]); }),
            change[2]));
}

TEST(wrong_envelopes_are_named) {
    const auto text = [](const std::string& s) { return ByteVector(s.begin(), s.end()); };
    CHECK(contains(message(text("")), "0 bytes, expected a safetensors block"));
    CHECK(contains(message(text("just a text file\n")), "neither an archive (.pt) nor"));
    const auto block = [&](const std::string& header, std::size_t data) {
        ByteVector bytes(8 + header.size() + data);
        bytes[0] = static_cast<unsigned char>(header.size());
        std::copy(header.begin(), header.end(), bytes.begin() + 8);
        return bytes;
    };
    const std::string m = R"("__metadata__":{})", t = R"("dtype":"F32","shape":[1],)";
    CHECK(contains(message(block("{}", 0)), "no '__metadata__'"));
    CHECK(contains(message(block("{" + m + ",\"a\":{" + t + "\"data_offsets\":[4,8]}}", 8)),
                   "leave a hole at byte 0"));
    CHECK(contains(message(block("{" + m + ",\"a\":{" + t + "\"data_offsets\":[0,4]}}", 8)),
                   "cover 4 bytes of data, the file has 8"));
    CHECK(contains(message(block("{" + m + ",\"a\":{" + t + "\"data_offsets\":[0,4]},\"b\":{" + t +
                                     "\"data_offsets\":[0,4]}}",
                                 4)),
                   "overlap at byte 0"));
    CHECK(contains(message(block("{" + m + ",\"a\":{" + t + "\"data_offsets\":[0,12]}}", 8)),
                   "outside the 8 bytes"));
    CHECK(contains(message(block("{" + m + ",\"a\":{" + t + "\"data_offsets\":[0,8]}}", 8)),
                   "has 8 bytes, expected 4 from its shape"));
    CHECK(contains(
        message(block("{" + m +
                          R"(,"a":{"dtype":"F32","shape":[9007199254740991,9007199254740991],)" +
                          "\"data_offsets\":[0,4]}}",
                      4)),
        "larger than its data_offsets"));
    CHECK(contains(
        message(block("{" + m + R"(,"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", 8)),
        "dtype 'I64', expected F32 or F64"));
    CHECK(contains(message(block("{" + m + R"(,"a":3})", 0)), "tensor 'a' has dtype ''"));
}

TEST(archives_are_opened) {
    const ByteVector block = tiny_block().bytes();
    for (const bool zip64 : {false, true})
        for (const bool descriptor : {false, true})
            CHECK(message(archive::write({{"m/data.pkl", ByteVector(100, 7)},
                                          {"m/extra/model.safetensors", block},
                                          {"m/version", ByteVector(2, '3')}},
                                         zip64, descriptor))
                      .empty());
    CHECK(contains(message(archive::write({{"m/data.pkl", ByteVector(100, 7)}})),
                   "archive has no entry '*/extra/model.safetensors'; is this a checkpoint"));
    CHECK(contains(message(archive::write({{"m/x/extra/model.safetensors", block}})),
                   "archive has no entry"));
    CHECK(contains(message(archive::write({{"a/extra/model.safetensors", block},
                                           {"b/extra/model.safetensors", block}})),
                   "more than one entry"));
    ByteVector damaged = archive::write({{"m/extra/model.safetensors", block}});
    damaged[200] ^= 1;
    CHECK(contains(message(damaged), "fails its checksum; the file is damaged"));
}

TEST(truncation_at_every_length_is_refused) {
    const ByteVector block = tiny_block().bytes();
    for (std::size_t size = 0; size < block.size(); ++size)
        if (message_of(block.data(), size).empty()) CHECK(!"a truncated block was accepted");
    ByteVector longer = block;
    longer.push_back(0);
    CHECK(!message(longer).empty());
    const ByteVector zip = archive::write({{"m/extra/model.safetensors", block}}, true, true);
    for (std::size_t size = 0; size < zip.size(); ++size)
        if (message_of(zip.data(), size).empty()) CHECK(!"a truncated archive was accepted");
}

// Every mutant is accepted or refused by a FileError; under the sanitizers nothing else happens.
// The checksum stands last, so a mutant gets as deep into the reader as its damage allows.
TEST(one_hundred_thousand_mutants_break_nothing) {
    Config config = tiny_config();
    config.num_layers = 1;
    const ByteVector block = random_model::make_block(config, {8}, 3, false).bytes();
    const ByteVector files[2] = {
        block, archive::write({{"m/a", ByteVector(9, 1)}, {"m/extra/model.safetensors", block}},
                              true, true)};
    std::size_t header = 8;
    for (int byte = 0; byte < 4; ++byte)
        header += static_cast<std::size_t>(block[static_cast<std::size_t>(byte)]) << (8 * byte);
    std::mt19937_64 engine(1);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(engine() % n); };
    int accepted = 0, refused = 0;
    for (int round = 0; round < 100000; ++round) {
        ByteVector mutant = files[round % 8 == 0];
        // Half of the changes go where the structure is.
        const std::size_t reach = round % 8 == 0 ? mutant.size() : header;
        const int changes = 1 + static_cast<int>(below(3));
        for (int n = 0; n < changes; ++n) {
            const std::size_t at = round % 8 == 0 && below(2) ? mutant.size() - 1 - below(300)
                                   : below(4) ? below(std::min(reach, mutant.size()))
                                              : below(mutant.size());
            switch (below(5)) {
                case 0: mutant[at] ^= static_cast<unsigned char>(1u << below(8)); break;
                case 1:
                    mutant[at] = static_cast<unsigned char>("0123456789\"{}[],:-e\\"[below(20)]);
                    break;
                case 2: mutant[at] = below(2) ? 0xFF : 0; break;
                case 3: mutant.erase(mutant.begin() + static_cast<long>(at)); break;
                default: mutant.insert(mutant.begin() + static_cast<long>(at), mutant[at]); break;
            }
            if (mutant.size() < 400) break;
        }
        try {
            random_model::load(mutant);
            ++accepted;
        } catch (const FileError& error) {
            ++refused;
            if (std::string(error.what()).size() < 20) CHECK(!"a message says too little");
        }
    }
    CHECK(accepted + refused == 100000);
    CHECK(refused > 80000);
}

int main() { return check::run(); }
