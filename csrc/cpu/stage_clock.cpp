// SPDX-License-Identifier: MIT
#include "cpu/stage_clock.hpp"

#include <atomic>
#include <chrono>
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

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace

void StageClock::start() { last_ = now(); }

void StageClock::lap(Stage stage) {
    const double time = now();
    seconds_[static_cast<int>(stage)] += time - last_;
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
