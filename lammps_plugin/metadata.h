// SPDX-License-Identifier: GPL-2.0-only
// A few values of the model's metadata, to be printed.  The engine has checked that the text is
// JSON, so this only walks to a key; what it does not find is empty and is not printed.
#ifndef CAMLIP_LAMMPS_METADATA_H
#define CAMLIP_LAMMPS_METADATA_H

#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>

namespace camlip_lammps {

// One past the end of the string, object, list or number that begins at `at`.
inline size_t end_of_value(const std::string& text, size_t at) {
    int depth = 0;
    bool quoted = false;
    for (; at < text.size(); ++at) {
        const char c = text[at];
        if (quoted) {
            if (c == '\\')
                ++at;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            ++depth;
        } else if (c == '}' || c == ']') {
            if (--depth < 0) return at;
        } else if (c == ',' && depth == 0) {
            return at;
        }
    }
    return text.size();
}

// A JSON string without its quotes and escapes; any other value as it is.
inline std::string unquote(const std::string& value) {
    if (value.size() < 2 || value.front() != '"') return value;
    std::string text;
    for (size_t at = 1; at + 1 < value.size(); ++at) {
        if (value[at] == '\\' && at + 2 < value.size()) ++at;
        text += value[at];
    }
    return text;
}

// The value under a path of keys: member(json, {"errors", "test", "forces", "rmse"}).
inline std::string member(std::string json, std::initializer_list<const char*> path) {
    for (const std::string key : path) {
        size_t at = json.find('{');
        std::string found;
        while (at != std::string::npos && at < json.size() && json[at] != '}') {
            const size_t name = json.find('"', at);
            const size_t colon = name == std::string::npos ? name : json.find(':', name);
            if (colon == std::string::npos) break;
            const size_t end = end_of_value(json, colon + 1);
            const size_t quote = json.rfind('"', colon);
            const size_t start = json.find_first_not_of(" \n\t", colon + 1);
            if (json.compare(name + 1, quote - name - 1, key) == 0 && start < end) {
                found = json.substr(start, end - start);
                break;
            }
            at = end;
        }
        // Metadata values are JSON inside JSON strings.
        json = unquote(found);
    }
    return json;
}

// What a user wants to know of the training, in one line; empty for a model that tells nothing.
inline std::string training_summary(const char* metadata) {
    const std::string training = member(metadata ? metadata : "", {"training"});
    std::string text;
    const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
    const std::string level = member(training, {"level_of_theory"});
    if (!level.empty() && level != "null") add("level of theory " + level);
    for (const char* set : {"test", "valid"}) {
        const auto rmse = [&](const char* quantity) {
            const std::string value = member(training, {"errors", set, quantity, "rmse"});
            return value.empty() ? -1.0 : std::atof(value.c_str());
        };
        const double energy = 1e3 * rmse("energy_per_atom"), forces = 1e3 * rmse("forces");
        char line[120];
        if (energy >= 0.0) {
            std::snprintf(line, sizeof(line), "%s RMSE %.3g meV/atom", set, energy);
            add(line);
        }
        if (forces >= 0.0) {
            std::snprintf(line, sizeof(line), "%s RMSE %.3g meV/Angstrom", set, forces);
            add(line);
        }
        if (energy >= 0.0 || forces >= 0.0) break;
    }
    if (text.empty() && !member(training, {"random"}).empty()) text = "random weights, not trained";
    return text;
}

}  // namespace camlip_lammps

#endif
