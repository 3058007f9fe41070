// SPDX-License-Identifier: MIT
// The loops of search.hpp for one instruction set: search_<isa>.cpp defines CAMLIP_ISA, a namespace
// of its own, and includes this.  Nothing here calls an inline function of the standard library:
// the linker would keep one copy for the whole library, perhaps one with wide instructions.
#ifndef CAMLIP_NEIGHBORS_SEARCH_LOOPS_HPP
#define CAMLIP_NEIGHBORS_SEARCH_LOOPS_HPP

#include "neighbors/search_lanes.hpp"

namespace camlip::search::CAMLIP_ISA {

constexpr float kFar = 1e30f;  // whose square is infinite

// Entries around the bin, without empty runs; the one that holds the bin itself comes first.
CAMLIP_INLINE int find_runs(const Input& in, std::int32_t bin, Run* runs) {
    int count = 0;
    for (std::int32_t c = 0; c < in.num_columns; ++c) {
        const Run run = {in.starts[bin + in.columns[c].first], in.starts[bin + in.columns[c].last]};
        runs[count] = run;
        count += run.begin < run.end;
    }
    return count;
}

// Copies the entries of the runs together, relative to the first entry of the bin.  Returns their
// number; beyond it there are entries that are far from everything.
CAMLIP_INLINE long gather(const Input& in, std::int32_t bin, int num_runs, const Room& room) {
    constexpr int kStep = 8;
    const long origin = in.starts[bin];
    const double x = in.x[origin], y = in.y[origin], z = in.z[origin];
    long count = 0;
    for (int r = 0; r < num_runs; ++r) {
        const long begin = room.runs[r].begin, size = room.runs[r].end - begin;
        // Whole steps, the last one beyond the end: the next run overwrites it.
        for (long n = 0; n < size; n += kStep) {
            for (int k = 0; k < kStep; ++k) {
                room.x[count + n + k] = static_cast<float>(in.x[begin + n + k] - x);
            }
            for (int k = 0; k < kStep; ++k) {
                room.y[count + n + k] = static_cast<float>(in.y[begin + n + k] - y);
            }
            for (int k = 0; k < kStep; ++k) {
                room.z[count + n + k] = static_cast<float>(in.z[begin + n + k] - z);
            }
            for (int k = 0; k < kStep; ++k) {
                room.rows[count + n + k] = in.rows[begin + n + k];
            }
        }
        count += size;
    }
    for (int k = 0; k < kLanes; ++k) {
        room.x[count + k] = kFar;
        room.y[count + k] = room.z[count + k] = 0;
    }
    return count;
}

// Decides in double for the lanes of the mask: neighbors n + k, as gathered, of entry e.
inline unsigned decide(const Input& in, const Run* runs, long e, long n, unsigned mask) {
    unsigned found = 0;
    for (int k = 0; k < kLanes; ++k) {
        if (!(mask >> k & 1)) continue;
        long left = n + k;
        const Run* run = runs;
        for (; left >= run->end - run->begin; ++run) left -= run->end - run->begin;
        const long other = run->begin + left;
        const double x = in.x[other] - in.x[e], y = in.y[other] - in.y[e];
        const double z = in.z[other] - in.z[e];
        found |= static_cast<unsigned>(x * x + y * y + z * z < in.range2) << k;
    }
    return found;
}

// Calls use(n, mask) for all gathered entries: lane k of the mask says that n + k is a neighbor of
// entry e, which is itself the gathered entry `self`.
template <class Use>
CAMLIP_INLINE void for_neighbors(const Input& in, const Room& room, long e, long self, long count,
                                 Use use) {
    const float *x = room.x, *y = room.y, *z = room.z;
    const Center center(x[self], y[self], z[self], in.sure, in.never);
    const long self_group = self / kLanes * kLanes;
    const unsigned self_bit = 1u << (self - self_group);
    for (long n = 0; n < count; n += kLanes) {
        unsigned maybe;
        unsigned mask = test(x + n, y + n, z + n, center, &maybe);
        if (__builtin_expect(mask != maybe, 0)) mask |= decide(in, room.runs, e, n, mask ^ maybe);
        use(n, n == self_group ? mask & ~self_bit : mask);
    }
}

inline void count_bin(const Input& in, std::int32_t bin, const Room& given, std::int64_t* counts) {
    const Room room = given;
    const long first = in.starts[bin], last = in.starts[bin + 1];
    if (first == last) return;
    for (long e = first; e < last; ++e) __builtin_prefetch(counts + in.rows[e], 1);
    const int num_runs = find_runs(in, bin, room.runs);
    const long gathered = gather(in, bin, num_runs, room);
    for (long e = first; e < last; ++e) {
        int count = 0;
        for_neighbors(in, room, e, e - room.runs[0].begin, gathered,
                      [&](long, unsigned mask) { count += __builtin_popcount(mask); });
        counts[in.rows[e]] = count;
    }
}

inline void list_bin(const Input& in, std::int32_t bin, const Room& given,
                     const std::int64_t* offsets, std::int32_t* indices) {
    const Room room = given;
    const long first = in.starts[bin], last = in.starts[bin + 1];
    if (first == last) return;
    // Atoms come in the order of the caller, which may be none: ask for what will be needed.
    for (long e = first; e < last; ++e) __builtin_prefetch(offsets + in.rows[e]);
    const int num_runs = find_runs(in, bin, room.runs);
    const long gathered = gather(in, bin, num_runs, room);
    for (long e = first; e < last; ++e) __builtin_prefetch(indices + offsets[in.rows[e]], 1);
    for (long e = first; e < last; ++e) {
        long count = 0;
        for_neighbors(in, room, e, e - room.runs[0].begin, gathered, [&](long n, unsigned mask) {
            compress(room.list + count, room.rows + n, mask);
            count += __builtin_popcount(mask);
        });
        if (count == 0) continue;  // without any pair there may be no array
        __builtin_memcpy(indices + offsets[in.rows[e]], room.list,
                         static_cast<unsigned long>(count) * sizeof(std::int32_t));
    }
}

}  // namespace camlip::search::CAMLIP_ISA

#endif
