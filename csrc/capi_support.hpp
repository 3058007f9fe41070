// SPDX-License-Identifier: MIT
// What the C functions share: structs of the caller's version in, exceptions to statuses out.
#ifndef CAMLIP_CAPI_SUPPORT_HPP
#define CAMLIP_CAPI_SUPPORT_HPP

#include <algorithm>
#include <cstring>
#include <string>

#include "camlip.h"
#include "engine.hpp"
#include "errors.hpp"
#include "model.hpp"

struct camlip_model {
    camlip::Model model;
};

struct camlip_engine {
    camlip_engine(const camlip::Model& model, const camlip::EngineOptions& options)
        : engine(model, options) {}
    camlip::Engine engine;
    camlip::BackendInfo info;  // keeps the strings of the last camlip_engine_get_info
};

namespace camlip::capi {

// Message of the last failed call on this thread.
const char* last_error() noexcept;
// The status of the exception being handled, whose message is kept for the thread.
camlip_status status_of_exception() noexcept;

// Runs the body; whatever it throws becomes a status and the message of this thread.
template <class Body>
camlip_status guarded(Body body) noexcept {
    try {
        body();
        return CAMLIP_OK;
    } catch (...) {
        return status_of_exception();
    }
}

void require(const void* pointer, const char* name);
std::size_t known_size(std::size_t struct_size, std::size_t ours, const char* name);

// A copy of the caller's struct; fields that the caller does not know are zero.
template <class Struct>
Struct read_struct(const Struct* given, const char* name) {
    require(given, name);
    Struct ours{};
    std::memcpy(static_cast<void*>(&ours), given,
                known_size(given->struct_size, sizeof(Struct), name));
    return ours;
}

// Fills the fields that the caller knows.
template <class Struct>
void write_struct(Struct ours, Struct* given, const char* name) {
    const std::size_t size = known_size(given->struct_size, sizeof(Struct), name);
    ours.struct_size = given->struct_size;
    std::memcpy(static_cast<void*>(given), &ours, size);
}

std::string text_or(const char* text, const char* otherwise);
EngineOptions read_options(const camlip_engine_options* given);
System read_system(const camlip_system& given);

}  // namespace camlip::capi

#endif
