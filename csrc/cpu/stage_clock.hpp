// SPDX-License-Identifier: MIT
// Time of the stages of the CPU backend, for benchmarks: off, it costs a test of a pointer per
// stage and block of atoms.
#ifndef CAMLIP_CPU_STAGE_CLOCK_HPP
#define CAMLIP_CPU_STAGE_CLOCK_HPP

namespace camlip::cpu {

enum class Stage {
    kNeighbors,          // neighbors within the cutoff, places in the tables
    kMoments,            // layer 0: geometry, radial functions, a
    kMessages,           // above: geometry, radial functions, M and T
    kMixing,             // a or M, T -> A
    kProducts,           // A -> B
    kContraction,        // B -> D
    kReadout,            // invariants, hidden features, energy; adjoint of h
    kSend,               // node features, and their adjoint
    kReadoutAdjoint,     // h_bar -> A_bar, D_bar
    kContractionAdjoint,
    kProductsAdjoint,
    kMixingAdjoint,
    kMessagesAdjoint,
    kMomentsAdjoint,
    kCount
};

constexpr int kNumStages = static_cast<int>(Stage::kCount);

// Of one thread.
class StageClock {
  public:
    void start();
    void lap(Stage stage);  // what passed since the last lap belongs to `stage`
    void collect();         // adds to the sums of the process, and clears

  private:
    double seconds_[kNumStages] = {};
    double last_ = 0;
};

bool stage_clocks_wanted();

}  // namespace camlip::cpu

// Not part of camlip.h: benchmarks/engine_speed.py finds them in the library.
extern "C" {
// Turns the clocks of later calls on or off and clears the sums; returns the number of stages.
__attribute__((visibility("default"))) int camlip_cpu_stage_clock(int on);
// Name of a stage, and the seconds spent in it by all threads.
__attribute__((visibility("default"))) const char* camlip_cpu_stage(int stage, double* seconds);
}

#endif
