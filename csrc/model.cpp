// SPDX-License-Identifier: MIT
#include "model.hpp"

#include <cmath>
#include <cstdint>
#include <set>
#include <sstream>

#include "errors.hpp"
#include "model_file.hpp"

namespace camlip {
namespace {

constexpr int kFormatVersion = 1;
constexpr int kMaxAtomicNumber = 118;

using Shape = std::vector<std::int64_t>;

std::string to_string(const Shape& shape) {
    std::string text = "(";
    for (std::size_t i = 0; i < shape.size(); ++i)
        text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + ")";
}

std::string to_string(double number) {
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text << number;
    return text.str();
}

// A metadata value that is JSON text itself.
json::Value parse_metadata(const ModelFile& file, const std::string& key) {
    const std::string& text = file.text(key);
    return json::parse(text.data(), text.size(), file.subject() + ": metadata '" + key + "'");
}

// Reads the fields of 'config', each within its range.
class ConfigReader {
  public:
    explicit ConfigReader(const ModelFile& file)
        : subject_(file.subject()), fields_(parse_metadata(file, "config")) {
        if (!fields_.is(json::Kind::kObject))
            throw FileError(subject_ + ": metadata 'config' is not a JSON object");
    }

    double real(const std::string& name, double low, double high) const {
        const json::Value& value = field(name, json::Kind::kNumber, "a number");
        if (!(value.number >= low && value.number <= high))
            throw FileError(subject_ + ": config '" + name + "' is " + to_string(value.number) +
                            ", expected " + to_string(low) + " to " + to_string(high));
        return value.number;
    }

    int integer(const std::string& name, int low, int high) const {
        const double number = real(name, low, high);
        if (number != std::floor(number))
            throw FileError(subject_ + ": config '" + name + "' is " + to_string(number) +
                            ", expected an integer");
        return static_cast<int>(number);
    }

    bool boolean(const std::string& name) const {
        return field(name, json::Kind::kBool, "true or false").boolean;
    }

  private:
    const json::Value& field(const std::string& name, json::Kind kind, const char* what) const {
        const json::Value* value = fields_.find(name);
        if (!value) throw FileError(subject_ + ": config has no '" + name + "'");
        if (!value->is(kind)) throw FileError(subject_ + ": config '" + name + "' is not " + what);
        return *value;
    }

    std::string subject_;
    json::Value fields_;
};

// The ranges are those of CartesianMomentsConfig; they keep every product of sizes below 2^40.
Config read_config(const ModelFile& file) {
    const ConfigReader reader(file);
    Config c;
    c.cutoff = reader.real("cutoff", 0.5, 50.0);
    c.num_layers = reader.integer("num_layers", 1, 8);
    c.max_rank = reader.integer("max_rank", 0, kMaxRank);
    c.num_channels = reader.integer("num_channels", 1, 4096);
    c.num_radial = reader.integer("num_radial", 1, 256);
    c.num_hidden = reader.integer("num_hidden", 1, 4096);
    c.num_bessel = reader.integer("num_bessel", 1, 64);
    c.radial_width = reader.integer("radial_width", 1, 1024);
    c.zbl = reader.boolean("zbl");
    c.average_num_neighbors = reader.real("average_num_neighbors", 1e-3, 1e6);
    if (c.num_layers > 1) {
        if (c.max_rank < 1)
            throw FileError(file.subject() + ": config 'max_rank' is 0, expected at least 1 for " +
                            std::to_string(c.num_layers) + " layers");
        c.message_rank = reader.integer("message_rank", 1, c.max_rank);
        c.num_message_radial = reader.integer("num_message_radial", 1, 256);
        c.num_message_scalars = reader.integer("num_message_scalars", 1, 256);
        c.num_message_vectors = reader.integer("num_message_vectors", 1, 256);
    }
    const json::Value cutoff = parse_metadata(file, "cutoff");
    if (!cutoff.is(json::Kind::kNumber) || cutoff.number != c.cutoff)
        throw FileError(file.subject() + ": metadata 'cutoff' is '" + file.text("cutoff") +
                        "', expected " + to_string(c.cutoff) + " as in 'config'");
    return c;
}

std::vector<int> read_atomic_numbers(const ModelFile& file) {
    const json::Value list = parse_metadata(file, "atomic_numbers");
    const std::string expected =
        ", expected a list of ascending integers from 1 to " + std::to_string(kMaxAtomicNumber);
    std::vector<int> numbers;
    for (const json::Value& item : list.items) {
        const double last = numbers.empty() ? 0 : numbers.back();
        if (!item.is(json::Kind::kNumber) || !(item.number > last) ||
            item.number > kMaxAtomicNumber || item.number != std::floor(item.number))
            throw FileError(file.subject() + ": metadata 'atomic_numbers' is " +
                            file.text("atomic_numbers") + expected);
        numbers.push_back(static_cast<int>(item.number));
    }
    if (numbers.empty())
        throw FileError(file.subject() + ": metadata 'atomic_numbers' is " +
                        file.text("atomic_numbers") + expected);
    return numbers;
}

void check_format(const ModelFile& file) {
    if (file.text("format") != "camlip")
        throw FileError(file.subject() + ": metadata 'format' is '" + file.text("format") +
                        "', expected 'camlip'");
    if (file.text("format_version") != std::to_string(kFormatVersion))
        throw FileError(file.subject() + ": format_version is '" + file.text("format_version") +
                        "', this engine knows " + std::to_string(kFormatVersion) +
                        "; update camlip or export the model again");
    const json::Value units = parse_metadata(file, "units");
    const json::Value *energy = units.find("energy"), *length = units.find("length");
    if (!energy || energy->string != "eV" || !length || length->string != "Ang")
        throw FileError(file.subject() + ": metadata 'units' is " + file.text("units") +
                        R"(, expected {"energy": "eV", "length": "Ang"})");
    const json::Value required = parse_metadata(file, "required");
    if (!required.is(json::Kind::kArray))
        throw FileError(file.subject() + ": metadata 'required' is not a list");
    if (!required.items.empty())
        throw FileError(file.subject() + ": needs features " + file.text("required") +
                        " that this engine does not know; update camlip");
}

// Takes tensors out of the file one by one; what is left over in the end is an error.
class TensorReader {
  public:
    explicit TensorReader(const ModelFile& file) : file_(file) {
        for (const auto& entry : file.tensors) left_.insert(entry.first);
    }

    std::vector<double> take(const std::string& name, const Shape& shape) {
        const auto entry = file_.tensors.find(name);
        const std::string subject = file_.subject() + ": tensor '" + name + "'";
        if (entry == file_.tensors.end())
            throw FileError(subject + " is missing, expected shape " + to_string(shape));
        if (entry->second.shape != shape)
            throw FileError(subject + " has shape " + to_string(entry->second.shape) +
                            ", expected " + to_string(shape) + " from the config");
        left_.erase(name);
        std::vector<double> values = entry->second.values();
        for (std::size_t i = 0; i < values.size(); ++i)
            if (!std::isfinite(values[i]))
                throw FileError(subject + " holds " + (std::isnan(values[i]) ? "NaN" : "infinity") +
                                " at index " + std::to_string(i));
        return values;
    }

    void finish() const {
        if (!left_.empty())
            throw FileError(file_.subject() + ": tensor '" + *left_.begin() +
                            "' is not part of the model that the config describes");
    }

  private:
    const ModelFile& file_;
    std::set<std::string> left_;
};

Layer read_layer(TensorReader& reader, const Config& c, std::int64_t num_types, int index) {
    const std::string t = "." + std::to_string(index);
    const std::int64_t L1 = c.max_rank + 1, C = c.num_channels, H = c.num_hidden;
    const std::int64_t W = c.radial_width, K = c.num_radial_of(index), Q = c.num_sent();
    const std::int64_t P1 = c.num_message_vectors, I = c.num_invariants();
    const auto num_paths = static_cast<std::int64_t>(contraction_paths(c.max_rank).size());
    Layer layer;
    layer.radial.bessel_weight = reader.take("radial" + t + ".bessel_weight", {c.num_bessel, W});
    layer.radial.pair_bias = reader.take("radial" + t + ".pair_bias", {num_types, num_types, W});
    layer.radial.hidden_weight = reader.take("radial" + t + ".hidden_weight", {W, W});
    layer.radial.hidden_bias = reader.take("radial" + t + ".hidden_bias", {W});
    layer.radial.output_weight = reader.take("radial" + t + ".output_weight", {W, K});
    if (index == 0) {
        layer.mixing = reader.take("mixing" + t, {L1, K, C});
    } else {
        layer.mixing = reader.take("mixing" + t, {c.message_rank + 1, K * Q, C});
        layer.transverse_mixing =
            reader.take("transverse_mixing" + t, {c.num_transverse(), K * P1, C});
        layer.skip = reader.take("skip" + t, {L1, C});
    }
    if (num_paths > 0)
        layer.contraction.weight =
            reader.take("contraction" + t + ".weight", {num_types, num_paths, C});
    layer.contraction.mixing = reader.take("contraction" + t + ".mixing", {L1, C, C});
    layer.contraction.skip = reader.take("contraction" + t + ".skip", {L1, C});
    layer.hidden.scale = reader.take("hidden" + t + ".scale", {I});
    layer.hidden.weight = reader.take("hidden" + t + ".weight", {I, H});
    layer.hidden.bias = reader.take("hidden" + t + ".bias", {num_types, H});
    layer.readout.weight = reader.take("readout" + t + ".weight", {H, H});
    layer.readout.bias = reader.take("readout" + t + ".bias", {H});
    layer.readout.output = reader.take("readout" + t + ".output", {H});
    if (index + 1 < c.num_layers) {
        layer.message.weight = reader.take("message" + t + ".weight", {H, Q});
        layer.message.vector = reader.take("message" + t + ".vector", {C, P1});
    }
    return layer;
}

}  // namespace

std::vector<Path> contraction_paths(int max_rank) {
    std::vector<Path> paths;
    for (int a = 1; a <= max_rank; ++a)
        for (int b = a; b <= max_rank; ++b)
            for (int c = b - a; c <= a + b && c <= max_rank; c += 2) paths.push_back({a, b, c});
    return paths;
}

Model model_from_file(const ModelFile& file) {
    check_format(file);
    Model model;
    model.name = file.name;
    model.metadata_json = file.metadata_json;
    model.architecture = file.text("architecture");
    if (model.architecture != "cartesian_moments")
        throw FileError(file.subject() + ": architecture '" + model.architecture +
                        "' is unknown; this engine knows cartesian_moments");
    model.config = read_config(file);
    model.atomic_numbers = read_atomic_numbers(file);

    TensorReader reader(file);
    const std::int64_t num_types = model.num_types();
    model.reference_energies = reader.take("reference_energies", {num_types});
    model.energy_scale = reader.take("energy_scale", {1})[0];
    if (model.config.zbl) {
        model.zbl_radii = reader.take("zbl.radii", {num_types});
        for (const double radius : model.zbl_radii)
            if (!(radius > 0))
                throw FileError(file.subject() + ": tensor 'zbl.radii' holds " + to_string(radius) +
                                ", expected positive numbers");
    }
    for (int t = 0; t < model.config.num_layers; ++t)
        model.layers.push_back(read_layer(reader, model.config, num_types, t));
    reader.finish();
    file.check_sum();
    return model;
}

}  // namespace camlip
