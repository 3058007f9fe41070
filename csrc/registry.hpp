// SPDX-License-Identifier: MIT
// The tables of architectures and backends; registry.cpp has one line for each.
#ifndef CAMLIP_REGISTRY_HPP
#define CAMLIP_REGISTRY_HPP

#include <string>

#include "architectures/architecture.hpp"
#include "backend.hpp"

namespace camlip {

struct BackendEntry {
    const char* name;
    MakeBackend make;
};

// Throws BackendError for an architecture that is not built in.
Architecture find_architecture(const std::string& name);

// "auto" is the first of the table (an Engine looks for a device before); throws BackendError when the name is not built in.
const BackendEntry& find_backend(const std::string& name);

}  // namespace camlip

#endif
