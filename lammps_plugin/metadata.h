// SPDX-License-Identifier: GPL-2.0-only
// One value out of the metadata, to be printed.  No JSON parser: the engine has checked the text.
#ifndef CAMLIP_LAMMPS_METADATA_H
#define CAMLIP_LAMMPS_METADATA_H

#include <string>

namespace camlip_lammps {

// The value of a top-level text `key` with its escapes removed; empty if there is none.
inline std::string metadata_value(const char* json, const std::string& key) {
    const std::string text = json ? json : "";
    size_t at = text.find('"' + key + '"');
    if (at == std::string::npos) return {};
    at = text.find_first_not_of(" :\n", at + key.size() + 2);
    if (at == std::string::npos || text[at] != '"') return {};
    std::string value;
    for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size()) ++at;
        value += text[at] >= ' ' ? text[at] : ' ';
    }
    return value;
}

}  // namespace camlip_lammps

#endif
