// SPDX-License-Identifier: MIT
// Stands in for libcuda.so.1, libnvrtc.so.13 and libcufft.so.12: enough for OpenMM's CUDA platform
// to make a Context on a machine without a device.  Device memory is memory of the host, programs
// are not compiled, and kernels do nothing but those that clear buffers and take positions.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <list>
#include <string>
#include <vector>

namespace {

std::uint64_t handle = 0x1000;  // of contexts, streams, events, modules: never looked into
int next(void** out) {
    *out = reinterpret_cast<void*>(handle += 16);
    return 0;
}
std::vector<void*> contexts;  // the stack of a thread; OpenMM has one here
int allocate(void** out, std::size_t bytes) {
    *out = std::calloc(bytes > 0 ? bytes : 1, 1);
    return *out ? 0 : 2;
}
int release(void* memory) {
    std::free(memory);
    return 0;
}
int copy(void* to, const void* from, std::size_t bytes) {
    std::memmove(to, from, bytes);
    return 0;
}

template <class V>
V argument(void** arguments, std::size_t n) {
    return *static_cast<V*>(arguments[n]);
}
// (N, 3) to the first three of (N, 4).
template <class Real>
void copy_vectors(void** arguments) {
    const Real* from = argument<Real*>(arguments, 0);
    Real* to = argument<Real*>(arguments, 1);
    for (int n = 0; n < 3 * argument<int>(arguments, 2); ++n) to[n / 3 * 4 + n % 3] = from[n];
}

}  // namespace

#define API extern "C" __attribute__((visibility("default"))) int

API cuInit(unsigned) { return 0; }
API cuDriverGetVersion(int* version) { return *version = 13000, 0; }
API cuDeviceGetCount(int* count) { return *count = 1, 0; }
API cuDeviceGet(int* device, int) { return *device = 0, 0; }
API cuDeviceGetName(char* name, int size, int) { return std::strncpy(name, "none", size), 0; }
API cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
        case 1: return *value = 1024, 0;    // threads of a block
        case 8: return *value = 49152, 0;   // shared memory of a block
        case 10: return *value = 32, 0;     // lanes of a warp
        case 16: return *value = 4, 0;      // multiprocessors
        case 75: return *value = 9, 0;      // compute capability
        case 76: return *value = 0, 0;
        case 97: return *value = 232448, 0;  // shared memory that may be asked for
        default: return *value = 65536, 0;
    }
}
API cuDeviceCanAccessPeer(int* can, int, int) { return *can = 0, 0; }
API cuGetErrorName(int, const char** name) { return *name = "stand-in", 0; }

API cuCtxCreate_v4(void** context, void*, unsigned, int) {
    next(context);
    contexts.push_back(*context);
    return 0;
}
API cuCtxDestroy_v2(void*) { return 0; }
API cuCtxPushCurrent_v2(void* context) { return contexts.push_back(context), 0; }
API cuCtxPopCurrent_v2(void** context) {
    if (contexts.empty()) return 201;  // invalid context
    *context = contexts.back();
    contexts.pop_back();
    return 0;
}
API cuCtxSetCurrent(void* context) {
    if (!contexts.empty()) contexts.pop_back();
    if (context) contexts.push_back(context);
    return 0;
}
API cuCtxSynchronize() { return 0; }
API cuCtxSetCacheConfig(int) { return 0; }
API cuCtxEnablePeerAccess(void*, unsigned) { return 0; }
API cuProfilerStop() { return 0; }

API cuMemAlloc_v2(void** memory, std::size_t bytes) { return allocate(memory, bytes); }
API cuMemFree_v2(void* memory) { return release(memory); }
API cuMemHostAlloc(void** memory, std::size_t bytes, unsigned) { return allocate(memory, bytes); }
API cuMemFreeHost(void* memory) { return release(memory); }
API cuMemHostGetDevicePointer_v2(void** out, void* memory, unsigned) { return *out = memory, 0; }
API cuMemcpyHtoD_v2(void* to, const void* from, std::size_t n) { return copy(to, from, n); }
API cuMemcpyDtoH_v2(void* to, const void* from, std::size_t n) { return copy(to, from, n); }
API cuMemcpyAsync(void* to, const void* from, std::size_t n, void*) { return copy(to, from, n); }
API cuMemcpyHtoDAsync_v2(void* to, const void* from, std::size_t n, void*) {
    return copy(to, from, n);
}
API cuMemcpyDtoHAsync_v2(void* to, const void* from, std::size_t n, void*) {
    return copy(to, from, n);
}
API cuMemcpyDtoDAsync_v2(void* to, const void* from, std::size_t n, void*) {
    return copy(to, from, n);
}

API cuStreamCreate(void** stream, unsigned) { return next(stream); }
API cuStreamDestroy_v2(void*) { return 0; }
API cuStreamSynchronize(void*) { return 0; }
API cuStreamWaitEvent(void*, void*, unsigned) { return 0; }
API cuEventCreate(void** event, unsigned) { return next(event); }
API cuEventDestroy_v2(void*) { return 0; }
API cuEventRecord(void*, void*) { return 0; }
API cuEventSynchronize(void*) { return 0; }

API cuModuleLoad(void** module, const char*) { return next(module); }
API cuModuleLoadDataEx(void** module, const void*, unsigned, void*, void*) { return next(module); }
API cuModuleGetFunction(void** function, void*, const char* name) {
    static std::list<std::string> names;
    names.emplace_back(name);
    return *function = &names.back(), 0;
}
API cuFuncGetAttribute(int* value, int, void*) { return *value = 1024, 0; }
API cuLaunchKernel(void* function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                   unsigned, void*, void** arguments, void**) {
    const std::string& name = *static_cast<std::string*>(function);
    const std::vector<std::string> clear = {"clearBuffer",       "clearTwoBuffers",
                                            "clearThreeBuffers", "clearFourBuffers",
                                            "clearFiveBuffers",  "clearSixBuffers"};
    for (std::size_t n = 0; n < clear.size(); ++n) {
        if (name != clear[n]) continue;
        for (std::size_t m = 0; m <= n; ++m)
            std::memset(
                argument<void*>(arguments, 2 * m), 0,
                sizeof(int) * static_cast<std::size_t>(argument<int>(arguments, 2 * m + 1)));
    }
    if (name == "copyFloatBuffer") copy_vectors<float>(arguments);
    if (name == "copyDoubleBuffer") copy_vectors<double>(arguments);
    return 0;
}

API nvrtcCreateProgram(void** program, const char*, const char*, int, void*, void*) {
    return next(program);
}
API nvrtcCompileProgram(void*, int, void*) { return 0; }
API nvrtcDestroyProgram(void**) { return 0; }
API nvrtcGetPTXSize(void*, std::size_t* size) { return *size = 1, 0; }
API nvrtcGetPTX(void*, char* text) { return *text = 0, 0; }
API nvrtcGetProgramLogSize(void*, std::size_t* size) { return *size = 1, 0; }
API nvrtcGetProgramLog(void*, char* text) { return *text = 0, 0; }
API nvrtcGetNumSupportedArchs(int* count) { return *count = 1, 0; }
API nvrtcGetSupportedArchs(int* archs) { return *archs = 90, 0; }
extern "C" __attribute__((visibility("default"))) const char* nvrtcGetErrorString(int) {
    return "stand-in";
}

API cufftPlan3d(int*, int, int, int, int) { return 0; }
API cufftSetStream(int, void*) { return 0; }
API cufftDestroy(int) { return 0; }
