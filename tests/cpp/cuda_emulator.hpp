// SPDX-License-Identifier: MIT
// Runs the kernels of the cuda backend on the host, for tests only.
//
// The threads of a block are fibers of one host thread: one runs until it comes to a barrier, then
// the next does.  Between barriers the order of threads is that of `Order`: a kernel whose result
// depends on it has a race.  What a device would leave undefined is made to fail: shared memory
// begins as NaN and is exactly as large as was asked for (address sanitizers see its ends), loads
// of four check their alignment, and a barrier that not all threads reach is an error.
//
// Not covered: the memory model of a device (a missing sync_warp between lanes that run in step
// by luck is seen, a missing memory fence between blocks is not), its rounding of exp, its limits.
#ifndef CAMLIP_TESTS_CUDA_EMULATOR_HPP
#define CAMLIP_TESTS_CUDA_EMULATOR_HPP

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "device/platform.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulator {

constexpr int kWarp = camlip::cuda::kWarp;

// In which order the threads of a block run between barriers.
enum class Order { kAscending, kDescending, kShuffled };

class Scheduler;

// The Block of device/platform.hpp, for one thread.
class Block {
  public:
    Block(Scheduler& scheduler, int thread) : scheduler_(scheduler), thread_(thread) {}

    int thread() const { return thread_; }
    int threads() const;
    int index() const;
    int count() const;
    char* shared();
    void sync();
    void sync_warp();
    std::uint32_t ballot(bool value);
    template <class V>
    V shuffle_xor(V value, int mask);
    void add(std::int64_t* address, std::int64_t value) { *address += value; }
    std::int32_t fetch_add(std::int32_t* address, std::int32_t value) {
        *address += value;
        return *address - value;
    }

  private:
    Scheduler& scheduler_;
    int thread_;
};

// Fibers of one block.
class Scheduler {
  public:
    template <class Kernel>
    void run(const Kernel& kernel, int blocks, int threads, std::size_t shared_bytes, Order order,
             unsigned seed) {
        threads_ = threads;
        mail_.assign(static_cast<std::size_t>(threads), 0);
        count_ = blocks;
        body_ = [](const void* k, Block& block) { (*static_cast<const Kernel*>(k))(block); };
        kernel_ = &kernel;
        std::vector<int> block_order(static_cast<std::size_t>(blocks));
        std::iota(block_order.begin(), block_order.end(), 0);
        engine_.seed(seed);
        if (order == Order::kDescending) std::reverse(block_order.begin(), block_order.end());
        if (order == Order::kShuffled)
            std::shuffle(block_order.begin(), block_order.end(), engine_);
        for (const int index : block_order) {
            index_ = index;
            // 0xFF everywhere: NaN, and -1.
            shared_.reset(
                static_cast<char*>(std::aligned_alloc(16, (shared_bytes + 15) / 16 * 16)));
            std::memset(shared_.get(), 0xFF, (shared_bytes + 15) / 16 * 16);
            run_block(order);
        }
    }

  private:
    friend class Block;
    static constexpr std::size_t kStack = 256 * 1024;

    struct Fiber {
        std::unique_ptr<char[]> stack;
        ucontext_t start;
        jmp_buf place;
        bool started, done;
        bool in_block_barrier, in_warp_barrier;
        void* fake_stack;
    };
    struct Free {
        void operator()(char* memory) const { std::free(memory); }
    };

    void run_block(Order order) {
        const auto count = static_cast<std::size_t>(threads_);
        if (fibers_.size() < count) fibers_.resize(count);
        for (std::size_t n = 0; n < count; ++n) {
            Fiber& f = fibers_[n];
            if (!f.stack) f.stack.reset(new char[kStack]);
            f.started = f.done = f.in_block_barrier = f.in_warp_barrier = false;
            f.fake_stack = nullptr;
        }
        std::vector<int> turn(count);
        std::iota(turn.begin(), turn.end(), 0);
        if (order == Order::kDescending) std::reverse(turn.begin(), turn.end());
        for (;;) {
            if (order == Order::kShuffled) std::shuffle(turn.begin(), turn.end(), engine_);
            bool ran = false;
            for (const int n : turn) {
                Fiber& f = fibers_[static_cast<std::size_t>(n)];
                if (f.done || f.in_block_barrier || f.in_warp_barrier) continue;
                resume(n);
                ran = true;
            }
            if (ran) {
                release_warps();
                continue;
            }
            if (release_warps()) continue;
            std::size_t done = 0, waiting = 0;
            for (std::size_t n = 0; n < count; ++n) {
                done += fibers_[n].done;
                waiting += fibers_[n].in_block_barrier;
            }
            if (done == count) return;
            if (waiting != count)
                throw std::runtime_error("emulator: a barrier that not all threads reach");
            for (std::size_t n = 0; n < count; ++n) fibers_[n].in_block_barrier = false;
        }
    }

    // Warps all of whose lanes wait may go on.
    bool release_warps() {
        bool released = false;
        for (int warp = 0; warp < threads_; warp += kWarp) {
            const auto first = fibers_.begin() + warp;
            const auto waits = [](const Fiber& f) { return f.in_warp_barrier; };
            if (!std::all_of(first, first + kWarp, waits)) continue;
            for (auto f = first; f != first + kWarp; ++f) f->in_warp_barrier = false;
            released = true;
        }
        return released;
    }

    std::uint64_t& letter(int thread) { return mail_[static_cast<std::size_t>(thread)]; }

    void resume(int n) {
        current_ = n;
        Fiber& f = fibers_[static_cast<std::size_t>(n)];
        start_switch(&host_fake_stack_, f.stack.get(), kStack);
        if (_setjmp(host_) == 0) {
            if (f.started) _longjmp(f.place, 1);
            f.started = true;
            getcontext(&f.start);
            f.start.uc_stack.ss_sp = f.stack.get();
            f.start.uc_stack.ss_size = kStack;
            f.start.uc_link = nullptr;
            const auto self = reinterpret_cast<std::uintptr_t>(this);
            makecontext(&f.start, reinterpret_cast<void (*)()>(&Scheduler::enter), 2,
                        static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
            setcontext(&f.start);
        }
        finish_switch(host_fake_stack_);
    }

    static void enter(unsigned high, unsigned low) {
        auto* self = reinterpret_cast<Scheduler*>(std::uintptr_t{high} << 32 | low);
        self->finish_switch(nullptr);
        Block block(*self, self->current_);
        self->body_(self->kernel_, block);
        Fiber& f = self->fibers_[static_cast<std::size_t>(self->current_)];
        f.done = true;
        self->start_switch(nullptr, self->host_stack_, self->host_stack_size_);
        _longjmp(self->host_, 1);
    }

    // Of the running fiber: back to the scheduler until the barrier is released.
    void wait(int thread, bool whole_block) {
        Fiber& f = fibers_[static_cast<std::size_t>(thread)];
        (whole_block ? f.in_block_barrier : f.in_warp_barrier) = true;
        start_switch(&f.fake_stack, host_stack_, host_stack_size_);
        if (_setjmp(f.place) == 0) _longjmp(host_, 1);
        finish_switch(f.fake_stack);
    }

    // The address sanitizer wants to know which stack is in use.
    void start_switch(void** save, const void* stack, std::size_t size) {
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(save, stack, size);
#else
        (void)save, (void)stack, (void)size;
#endif
    }
    void finish_switch(void* saved) {
#if defined(__SANITIZE_ADDRESS__)
        const void* from = nullptr;
        std::size_t size = 0;
        __sanitizer_finish_switch_fiber(saved, &from, &size);
        if (!host_stack_) {
            host_stack_ = from;
            host_stack_size_ = size;
        }
#else
        (void)saved;
#endif
    }

    int threads_ = 0, count_ = 0, index_ = 0, current_ = 0;
    void (*body_)(const void*, Block&) = nullptr;
    const void* kernel_ = nullptr;
    std::unique_ptr<char, Free> shared_;
    std::vector<Fiber> fibers_;
    std::mt19937 engine_;
    jmp_buf host_;
    void* host_fake_stack_ = nullptr;
    const void* host_stack_ = nullptr;
    std::size_t host_stack_size_ = 0;
    std::vector<std::uint64_t> mail_;  // of each thread: what its warp may read
};

inline int Block::threads() const { return scheduler_.threads_; }
inline int Block::index() const { return scheduler_.index_; }
inline int Block::count() const { return scheduler_.count_; }
inline char* Block::shared() { return scheduler_.shared_.get(); }
inline void Block::sync() { scheduler_.wait(thread_, true); }
inline void Block::sync_warp() { scheduler_.wait(thread_, false); }

inline std::uint32_t Block::ballot(bool value) {
    scheduler_.letter(thread_) = value;
    sync_warp();
    std::uint32_t bits = 0;
    for (int lane = 0; lane < kWarp; ++lane)
        bits |= static_cast<std::uint32_t>(scheduler_.letter(thread_ / kWarp * kWarp + lane) & 1)
                << lane;
    sync_warp();
    return bits;
}

template <class V>
V Block::shuffle_xor(V value, int mask) {
    static_assert(sizeof(V) <= 8 && std::is_trivially_copyable<V>::value, "a register");
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(V));
    scheduler_.letter(thread_) = bits;
    sync_warp();
    bits = scheduler_.letter(thread_ ^ mask);
    sync_warp();
    std::memcpy(&value, &bits, sizeof(V));
    return value;
}

// The Runtime of device_backend.hpp.  Fresh memory holds NaN; every allocation has its own bounds.
// Work is put off until someone waits for it, as late as a device might do it: a host that reads
// results early or writes over what is still to be copied fails.
class Runtime {
  public:
    using StepKey = std::array<std::int64_t, 4>;
    using Work = std::function<void()>;

    struct Counters {
        std::uint64_t launches = 0, allocations = 0, synchronizations = 0;
        std::uint64_t overlapped = 0;  // waits for an event with work left behind it
        std::uint64_t recorded = 0, replayed = 0;  // steps
        std::uint64_t event_waits = 0;
    };
    struct State : Counters {
        Order order = Order::kAscending;
        unsigned seed = 1;
        std::size_t memory = std::size_t{1} << 30;
        std::size_t shared = 227 * 1024;
        std::size_t used = 0;
        std::map<void*, std::size_t> sizes;
        Scheduler scheduler;
        std::vector<Work> waiting;
        // Of steps
        StepKey key{};
        std::uint64_t key_allocations = ~std::uint64_t{0};
        bool recording = false, replaying = false;
        std::vector<Work> record;
        bool immediate = false;  // nothing is put off: other code reads what a stream should hold
        std::size_t event = 0;  // what of `waiting` comes before it
        void* stream = nullptr;  // of the caller, or null
    };

    explicit Runtime(std::shared_ptr<State> state) : state_(std::move(state)) {}

    const char* name() const { return "emulated"; }
    void* allocate(std::size_t bytes) {
        if (state_->used + bytes > state_->memory)
            throw std::runtime_error("emulator: out of memory");
        void* memory = allocate_host(bytes);
        state_->sizes[memory] = bytes;
        state_->used += bytes;
        return memory;
    }
    void release(void* memory) {
        if (!memory) return;
        work_off();
        state_->used -= state_->sizes[memory];
        state_->sizes.erase(memory);
        std::free(memory);
    }
    void* allocate_host(std::size_t bytes) {
        void* memory = std::malloc(std::max<std::size_t>(bytes, 1));
        std::memset(memory, 0xFF, bytes);
        ++state_->allocations;
        return memory;
    }
    void release_host(void* memory) {
        work_off();
        std::free(memory);
    }
    void upload(void* to, const void* from, std::size_t bytes) {
        copy(to, from, bytes);
        synchronize();
    }
    void download(void* to, const void* from, std::size_t bytes) {
        copy(to, from, bytes);
        synchronize();
    }
    void upload_later(void* to, const void* from, std::size_t bytes) { copy(to, from, bytes); }
    void download_later(void* to, const void* from, std::size_t bytes) { copy(to, from, bytes); }
    void copy(void* to, const void* from, std::size_t bytes) {
        if (bytes > 0) put_off([=] { std::memcpy(to, from, bytes); });
    }
    void zero(void* to, std::size_t bytes) {
        if (bytes > 0) put_off([=] { std::memset(to, 0, bytes); });
    }
    void synchronize() {
        ++state_->synchronizations;
        work_off();
    }
    void use_stream(void* stream, bool own) { state_->stream = own ? nullptr : stream; }
    void record_event() { state_->event = state_->waiting.size(); }
    // Nothing behind the event is done.
    void wait_for_event() {
        ++state_->event_waits;
        if (0 < state_->event && state_->event < state_->waiting.size()) ++state_->overlapped;
        work_off(state_->event);
        state_->event = 0;
    }
    std::size_t free_bytes() const { return state_->memory - state_->used; }
    std::size_t shared_limit() const { return state_->shared; }

    // Like CUDA graphs: the second step of a key is recorded, later ones replay the record.
    void begin_step(const StepKey& key) {
        State& s = *state_;
        s.recording = s.replaying = false;
        if (key != s.key || s.allocations != s.key_allocations) {
            s.key = key;
            s.key_allocations = s.allocations;
            s.record.clear();
        } else if (!s.record.empty()) {
            s.replaying = true;
            ++s.replayed;
            s.waiting.insert(s.waiting.end(), s.record.begin(), s.record.end());
            if (s.immediate) work_off();
        } else {
            s.recording = true;
            ++s.recorded;
        }
    }
    void end_step() { state_->recording = state_->replaying = false; }

    template <class Kernel>
    void launch(const Kernel& kernel, int blocks, int threads, std::size_t shared_bytes) {
        if (threads < 1 || threads > Kernel::kMaxThreads || threads % kWarp != 0 || blocks < 1 ||
            shared_bytes > state_->shared)
            throw std::runtime_error("emulator: launch of " + std::to_string(blocks) +
                                     " blocks of " + std::to_string(threads) + " threads, " +
                                     std::to_string(shared_bytes) + " bytes of shared memory");
        ++state_->launches;
        State* state = state_.get();
        put_off([=] {
            state->scheduler.run(kernel, blocks, threads, shared_bytes, state->order, state->seed);
        });
    }

  private:
    void put_off(Work work) {
        if (state_->replaying) return;
        if (state_->recording) state_->record.push_back(work);
        state_->waiting.push_back(std::move(work));
        if (state_->immediate) work_off();
    }
    void work_off() {
        state_->event = 0;
        work_off(state_->waiting.size());
    }
    void work_off(std::size_t count) {
        std::vector<Work> work;
        work.swap(state_->waiting);
        const auto end = work.begin() + static_cast<std::ptrdiff_t>(count);
        for (auto item = work.begin(); item != end; ++item) (*item)();
        state_->waiting.assign(end, work.end());
    }

    std::shared_ptr<State> state_;
};

}  // namespace emulator

#endif
