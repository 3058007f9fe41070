// SPDX-License-Identifier: MIT
#include "capi_support.hpp"

#include <cstddef>
#include <exception>
#include <new>
#include <stdexcept>

namespace camlip::capi {
namespace {

thread_local std::string message;

camlip_status set_error(camlip_status status, const char* text) noexcept {
    try {
        message = text;
    } catch (...) {
        message.clear();
    }
    return status;
}

}  // namespace

const char* last_error() noexcept { return message.c_str(); }

camlip_status status_of_exception() noexcept {
    try {
        throw;
    } catch (const ArgumentError& error) {
        return set_error(CAMLIP_ERROR_ARGUMENT, error.what());
    } catch (const FileError& error) {
        return set_error(CAMLIP_ERROR_FILE, error.what());
    } catch (const BackendError& error) {
        return set_error(CAMLIP_ERROR_BACKEND, error.what());
    } catch (const ExchangeError& error) {
        return set_error(CAMLIP_ERROR_EXCHANGE, error.what());
    } catch (const NumericError& error) {
        return set_error(CAMLIP_ERROR_NUMERIC, error.what());
    } catch (const std::bad_alloc&) {
        return set_error(CAMLIP_ERROR_MEMORY, "out of memory");
    } catch (const std::length_error&) {
        return set_error(CAMLIP_ERROR_MEMORY, "out of memory");
    } catch (const std::exception& error) {
        return set_error(CAMLIP_ERROR_INTERNAL, error.what());
    } catch (...) {
        return set_error(CAMLIP_ERROR_INTERNAL, "unknown exception");
    }
}

void require(const void* pointer, const char* name) {
    if (!pointer) throw ArgumentError(std::string(name) + ": null");
}

std::size_t known_size(std::size_t struct_size, std::size_t ours, const char* name) {
    if (struct_size < sizeof(std::size_t))
        throw ArgumentError(std::string(name) + ": struct_size is " + std::to_string(struct_size) +
                            ", expected sizeof(camlip_" + name + ")");
    return std::min(struct_size, ours);
}

std::string text_or(const char* text, const char* otherwise) { return text ? text : otherwise; }

EngineOptions read_options(const camlip_engine_options* given) {
    EngineOptions options;
    if (!given) return options;
    camlip_engine_options o = read_struct(given, "engine_options");
    // A caller that ends before this field means the default, which is not zero.
    if (given->struct_size < offsetof(camlip_engine_options, skin) + sizeof(o.skin)) o.skin = -1;
    options.backend = text_or(o.backend, "auto");
    options.precision = text_or(o.precision, "mixed");
    options.simd = text_or(o.simd, "auto");
    options.num_threads = o.num_threads;
    options.skin = o.skin;
    if (o.num_active_types < 0)
        throw ArgumentError("num_active_types: value " + std::to_string(o.num_active_types) +
                            ", expected at least 0");
    if (o.num_active_types > 0) {
        require(o.active_types, "active_types");
        options.active_types.assign(o.active_types, o.active_types + o.num_active_types);
    }
    return options;
}

System read_system(const camlip_system& s) {
    if (s.num_atoms < 0 || s.num_atoms > INT32_MAX)
        throw ArgumentError("system: num_atoms is " + std::to_string(s.num_atoms) +
                            ", expected 0 to 2^31");
    if (s.num_atoms > 0) require(s.positions, "positions");
    System system;
    system.num_atoms = s.num_atoms;
    system.positions = s.positions;
    system.cell = s.cell;
    for (std::size_t k = 0; k < 3; ++k) system.periodic[k] = s.periodic[k] != 0;
    return system;
}

}  // namespace camlip::capi
