// SPDX-License-Identifier: MIT
#include "cpu/stage_clock.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <mutex>

namespace camlip::cpu {
namespace {

constexpr const char* kNames[kNumStages] = {
    "neighbors",        "moments",
    "messages",         "mixing",
    "products",         "contraction",
    "readout",          "send",
    "readout adjoint",  "contraction adjoint",
    "products adjoint", "mixing adjoint",
    "messages adjoint", "moments adjoint",
};

std::atomic<bool> wanted{false};
std::mutex mutex;
double totals[kNumStages];

// Processor time of the thread where the system has it: a busy machine disturbs it little.
double now() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
#else
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
#endif
}

// What reading the clock takes: a call of the system, which the stages are not to pay for.
double cost_of_reading() {
    double least = 1;
    for (int n = 0; n < 200; ++n) {
        const double begin = now();
        least = std::min(least, now() - begin);
    }
    return least;
}

}  // namespace

void StageClock::start() { last_ = now(); }

void StageClock::lap(Stage stage) {
    const double time = now();
    static const double cost = cost_of_reading();
    seconds_[static_cast<int>(stage)] += time - last_ - cost;
    last_ = time;
}

void StageClock::collect() {
    const std::lock_guard<std::mutex> lock(mutex);
    for (int n = 0; n < kNumStages; ++n) totals[n] += seconds_[n];
    *this = StageClock();
}

bool stage_clocks_wanted() { return wanted.load(std::memory_order_relaxed); }

}  // namespace camlip::cpu

int camlip_cpu_stage_clock(int on) {
    using namespace camlip::cpu;
    const std::lock_guard<std::mutex> lock(mutex);
    for (double& seconds : totals) seconds = 0;
    wanted = on != 0;
    return kNumStages;
}

const char* camlip_cpu_stage(int stage, double* seconds) {
    using namespace camlip::cpu;
    if (stage < 0 || stage >= kNumStages) return nullptr;
    const std::lock_guard<std::mutex> lock(mutex);
    *seconds = totals[stage];
    return kNames[stage];
}
