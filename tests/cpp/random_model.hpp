// SPDX-License-Identifier: MIT
// Model blocks of random numbers, in memory, in the format of docs/model_file.md.
#ifndef CAMLIP_TESTS_RANDOM_MODEL_HPP
#define CAMLIP_TESTS_RANDOM_MODEL_HPP

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "json.hpp"
#include "model.hpp"
#include "model_file.hpp"
#include "sha256.hpp"

namespace random_model {

using ByteVector = std::vector<unsigned char>;
using Shape = std::vector<std::int64_t>;

// A small model; tests change what they are about.
inline camlip::Config small_config(int max_rank = 2, int num_layers = 2) {
    camlip::Config c;
    c.cutoff = 4.0;
    c.num_layers = num_layers;
    c.max_rank = max_rank;
    c.message_rank = max_rank > 1 ? max_rank - 1 : max_rank;
    c.num_channels = 5;
    c.num_radial = 4;
    c.num_message_radial = 3;
    c.num_message_scalars = 3;
    c.num_message_vectors = 2;
    c.num_hidden = 6;
    c.num_bessel = 4;
    c.radial_width = 7;
    c.zbl = true;
    c.average_num_neighbors = 9.0;
    return c;
}

// A block that may be wrong in ways that tests choose: change metadata or tensors, then bytes().
class Block {
  public:
    struct Entry {
        bool is_double;
        Shape shape;
        std::vector<double> values;
    };

    std::map<std::string, std::string> metadata;
    std::vector<std::pair<std::string, Entry>> tensors;

    Entry& tensor(const std::string& name) {
        for (auto& [key, entry] : tensors)
            if (key == name) return entry;
        throw std::out_of_range("random_model: no tensor " + name);
    }

    void erase(const std::string& name) {
        for (std::size_t n = 0; n < tensors.size(); ++n)
            if (tensors[n].first == name) tensors.erase(tensors.begin() + static_cast<long>(n--));
    }

    // The tensor bytes and the sha256 of them follow the tensors as they are now.
    ByteVector bytes() const {
        ByteVector data;
        std::ostringstream header;
        header << "{";
        for (const auto& [name, entry] : tensors) {
            const std::size_t begin = data.size();
            for (const double value : entry.values) append(data, value, entry.is_double);
            header << camlip::json::quote(name) << ":{\"dtype\":\""
                   << (entry.is_double ? "F64" : "F32") << "\",\"shape\":[";
            for (std::size_t d = 0; d < entry.shape.size(); ++d)
                header << (d ? "," : "") << entry.shape[d];
            header << "],\"data_offsets\":[" << begin << "," << data.size() << "]},";
        }
        std::map<std::string, std::string> texts = metadata;
        texts.emplace("sha256", camlip::sha256(data.data(), data.size()));
        header << "\"__metadata__\":{";
        bool first = true;
        for (const auto& [key, text] : texts) {
            header << (first ? "" : ",") << camlip::json::quote(key) << ":"
                   << camlip::json::quote(text);
            first = false;
        }
        header << "}}";
        std::string text = header.str();
        text.resize((text.size() + 7) / 8 * 8, ' ');
        ByteVector all;
        for (int byte = 0; byte < 8; ++byte)
            all.push_back(static_cast<unsigned char>(text.size() >> (8 * byte) & 0xFF));
        all.insert(all.end(), text.begin(), text.end());
        all.insert(all.end(), data.begin(), data.end());
        return all;
    }

  private:
    static void append(ByteVector& data, double value, bool is_double) {
        unsigned char raw[8];
        const auto single = static_cast<float>(value);
        if (is_double)
            std::memcpy(raw, &value, 8);
        else
            std::memcpy(raw, &single, 4);
        data.insert(data.end(), raw, raw + (is_double ? 8 : 4));
    }
};

inline std::string config_text(const camlip::Config& c) {
    std::ostringstream text;
    text.precision(17);
    text << "{\"cutoff\": " << c.cutoff << ", \"num_layers\": " << c.num_layers
         << ", \"max_rank\": " << c.max_rank << ", \"message_rank\": " << c.message_rank
         << ", \"num_channels\": " << c.num_channels << ", \"num_radial\": " << c.num_radial
         << ", \"num_message_radial\": " << c.num_message_radial
         << ", \"num_message_scalars\": " << c.num_message_scalars
         << ", \"num_message_vectors\": " << c.num_message_vectors
         << ", \"num_hidden\": " << c.num_hidden << ", \"num_bessel\": " << c.num_bessel
         << ", \"radial_width\": " << c.radial_width << ", \"zbl\": " << (c.zbl ? "true" : "false")
         << ", \"per_element_products\": true, \"average_num_neighbors\": "
         << c.average_num_neighbors << "}";
    return text.str();
}

// Weights are normal with variance 1/inputs, so that every term of the model contributes.
inline Block make_block(const camlip::Config& c, const std::vector<int>& atomic_numbers = {1, 8},
                        unsigned seed = 1, bool is_double = true) {
    Block block;
    std::mt19937_64 engine(seed);
    std::normal_distribution<double> normal;
    const auto add = [&](const std::string& name, const Shape& shape, double scale,
                         double offset = 0, bool always_double = false) {
        std::int64_t size = 1;
        for (const std::int64_t length : shape) size *= length;
        Block::Entry entry = {is_double || always_double, shape, {}};
        for (std::int64_t n = 0; n < size; ++n)
            entry.values.push_back(offset + scale * normal(engine));
        block.tensors.emplace_back(name, entry);
    };
    const auto fan = [](std::int64_t inputs) { return 1 / std::sqrt(static_cast<double>(inputs)); };
    const auto T = static_cast<std::int64_t>(atomic_numbers.size());
    const std::int64_t L1 = c.max_rank + 1, C = c.num_channels, H = c.num_hidden;
    const std::int64_t W = c.radial_width, Q = c.num_sent(), P1 = c.num_message_vectors;
    const std::int64_t I = c.num_invariants();
    const auto P = static_cast<std::int64_t>(camlip::contraction_paths(c.max_rank).size());
    add("reference_energies", {T}, 2.0, 0, true);
    add("energy_scale", {1}, 0.0, 1.5, true);
    if (c.zbl) add("zbl.radii", {T}, 0.0, 0.6, true);
    for (int layer = 0; layer < c.num_layers; ++layer) {
        const std::string t = "." + std::to_string(layer);
        const std::int64_t K = c.num_radial_of(layer);
        add("radial" + t + ".bessel_weight", {c.num_bessel, W}, fan(c.num_bessel));
        add("radial" + t + ".pair_bias", {T, T, W}, 0.7, 0, true);
        add("radial" + t + ".hidden_weight", {W, W}, fan(W));
        add("radial" + t + ".hidden_bias", {W}, 0.3);
        add("radial" + t + ".output_weight", {W, K}, 2 * fan(W));
        if (layer == 0) {
            add("mixing.0", {L1, K, C}, fan(K));
        } else {
            add("mixing" + t, {c.message_rank + 1, K * Q, C}, fan(K * Q));
            add("transverse_mixing" + t, {c.num_transverse(), K * P1, C}, fan(K * P1));
            add("skip" + t, {L1, C}, 0.3, 1.0);
        }
        if (P > 0) add("contraction" + t + ".weight", {T, P, C}, 0.3, 0.5);
        add("contraction" + t + ".mixing", {L1, C, C}, fan(C));
        add("contraction" + t + ".skip", {L1, C}, 0.3, 1.0);
        add("hidden" + t + ".scale", {I}, 0.1, 0.8);
        add("hidden" + t + ".weight", {I, H}, fan(I));
        add("hidden" + t + ".bias", {T, H}, 0.3);
        add("readout" + t + ".weight", {H, H}, fan(H));
        add("readout" + t + ".bias", {H}, 0.3);
        add("readout" + t + ".output", {H}, 0.5 * fan(H));
        if (layer + 1 < c.num_layers) {
            add("message" + t + ".weight", {H, Q}, fan(H));
            add("message" + t + ".vector", {C, P1}, fan(C));
        }
    }
    std::ostringstream cutoff, numbers;
    cutoff.precision(17);
    cutoff << c.cutoff;
    for (std::size_t n = 0; n < atomic_numbers.size(); ++n)
        numbers << (n ? ", " : "[") << atomic_numbers[n];
    block.metadata = {{"format", "camlip"},
                      {"format_version", "1"},
                      {"architecture", "cartesian_moments"},
                      {"config", config_text(c)},
                      {"atomic_numbers", numbers.str() + "]"},
                      {"cutoff", cutoff.str()},
                      {"units", R"({"energy": "eV", "length": "Ang"})"},
                      {"required", "[]"},
                      {"created_by", "tests/cpp/random_model.hpp"}};
    return block;
}

inline camlip::Model load(const ByteVector& bytes) {
    return camlip::model_from_file(
        camlip::parse_model_file({bytes.data(), bytes.size()}, "random"));
}

inline camlip::Model make_model(const camlip::Config& config,
                                const std::vector<int>& atomic_numbers = {1, 8},
                                unsigned seed = 1) {
    return load(make_block(config, atomic_numbers, seed).bytes());
}

}  // namespace random_model

#endif
