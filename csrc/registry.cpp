// SPDX-License-Identifier: MIT
#include "registry.hpp"

#include "architectures/cartesian_moments.hpp"
#include "cuda_library.hpp"
#include "errors.hpp"
#include "reference/backend_reference.hpp"
#ifdef CAMLIP_HAVE_CPU
#include "cpu/backend_cpu.hpp"
#endif

namespace camlip {
namespace {

constexpr struct {
    const char* name;
    Architecture run;
} kArchitectures[] = {
    {"cartesian_moments", run_cartesian_moments},
};

// In the order in which "auto" prefers them.
constexpr BackendEntry kBackends[] = {
#ifdef CAMLIP_HAVE_CPU
    {"cpu", make_cpu_backend},
#endif
    {"reference", make_reference_backend},
    {"cuda", make_cuda_backend},
};

}  // namespace

Architecture find_architecture(const std::string& name) {
    for (const auto& entry : kArchitectures)
        if (name == entry.name) return entry.run;
    throw BackendError("architecture '" + name + "': not built into this engine");
}

const BackendEntry& find_backend(const std::string& name) {
    if (name == "auto") return kBackends[0];
    std::string known;
    for (const BackendEntry& entry : kBackends) {
        if (name == entry.name) return entry;
        known += (known.empty() ? "" : ", ") + std::string(entry.name);
    }
    throw BackendError("backend '" + name + "': not built into this engine; it has " + known);
}

}  // namespace camlip
