// SPDX-License-Identifier: MIT
#include "cuda_library.hpp"

#include <dlfcn.h>

#include <cstring>
#include <string>

#include "errors.hpp"

namespace camlip {
namespace {

constexpr const char* kFile = "libcamlip_cuda.so";

using Version = const char* (*)();
using Make = Backend* (*)(const Model*, const BackendOptions*);

// Folder of the library or program that this code is in, with a slash.
std::string own_folder() {
    Dl_info info{};
    if (!dladdr(reinterpret_cast<void*>(&own_folder), &info) || !info.dli_fname) return "";
    const std::string path = info.dli_fname;
    return path.substr(0, path.rfind('/') + 1);
}

struct Library {
    Make make;
    int (*num_devices)();
};

// Stays open until the process ends.
Library open_library() {
    const std::string path = own_folder() + kFile;
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library)
        throw BackendError("backend 'cuda': cannot open the library of its kernels (" +
                           std::string(dlerror()) +
                           "), expected it beside libcamlip.so; build camlip where nvcc is, with "
                           "-DCAMLIP_CUDA=ON, or use backend cpu");
    const auto version = reinterpret_cast<Version>(dlsym(library, "camlip_cuda_version"));
    const auto make = reinterpret_cast<Make>(dlsym(library, "camlip_cuda_make_backend"));
    const auto num_devices = reinterpret_cast<int (*)()>(dlsym(library, "camlip_cuda_num_devices"));
    if (!version || !make || !num_devices || std::strcmp(version(), CAMLIP_VERSION_STRING) != 0)
        throw BackendError("backend 'cuda': '" + path + "' is of version " +
                           (version ? version() : "unknown") +
                           ", expected " CAMLIP_VERSION_STRING "; install camlip again");
    return {make, num_devices};
}

const Library& library() {
    static const Library opened = open_library();
    return opened;
}

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(const Model& model, const BackendOptions& options) {
    return std::unique_ptr<Backend>(library().make(&model, &options));
}

int num_cuda_devices() {
    try {
        return library().num_devices();
    } catch (const BackendError&) {
        return 0;
    }
}

}  // namespace camlip
