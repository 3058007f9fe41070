// SPDX-License-Identifier: MIT
#include "pretrained.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "errors.hpp"

namespace camlip {
namespace {

constexpr const char* kPrefix = "camlip:";

// The package has libcamlip.so in lib/, beside pretrained/.
std::filesystem::path folder() {
    Dl_info info{};
    if (!dladdr(reinterpret_cast<void*>(&folder), &info) || !info.dli_fname) return {};
    std::error_code error;
    const auto library = std::filesystem::weakly_canonical(info.dli_fname, error);
    return library.parent_path().parent_path() / "pretrained";
}

}  // namespace

std::string pretrained_path(const std::string& name) {
    const std::string prefix = kPrefix;
    if (name.compare(0, prefix.size(), prefix) != 0) return name;
    const std::string wanted = name.substr(prefix.size());
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder(), error)) {
        const auto extension = entry.path().extension();
        if (extension != ".pt" && extension != ".safetensors") continue;
        if (entry.path().stem() == wanted) return entry.path().string();
        names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    std::string known;
    for (const std::string& each : names) known += (known.empty() ? "" : ", ") + each;
    throw FileError("model '" + name + "': there is no such model in '" + folder().string() + "'" +
                    (known.empty() ? "; is camlip installed completely?" : ", which has " + known) +
                    "; give one of these or the path of a model file");
}

}  // namespace camlip
