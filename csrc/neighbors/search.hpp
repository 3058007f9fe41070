// SPDX-License-Identifier: MIT
// The innermost loop of the neighbor list: which entries of the bins around a bin are within range.
//
// Entries are atoms and periodic images, sorted by bin.  Bins along the last direction follow one
// another, so what surrounds a bin is a few runs of entries, the same for all atoms of the bin:
// they are copied together, in float and relative to the bin, and tested many at a time.  What
// float cannot decide, double does, without fused multiply-adds: every instruction set finds the
// same pairs, those of double arithmetic.
#ifndef CAMLIP_NEIGHBORS_SEARCH_HPP
#define CAMLIP_NEIGHBORS_SEARCH_HPP

#include <cstdint>

namespace camlip::search {

constexpr int kMaxLanes = 16;  // tested together; arrays are padded by as many

// Bins [first, last) relative to the bin of an atom that can hold neighbors.
struct Column {
    std::int32_t first, last;
};

struct Run {
    std::int32_t begin, end;
};

struct Input {
    const double *x, *y, *z;  // of the entries
    const std::int32_t* rows;  // of the entries: row that the list names
    const std::int32_t* starts;  // (bins + 1), first entry of each bin
    const Column* columns;  // the first one is the one around the bin itself
    std::int32_t num_columns;
    double range2;  // neighbors have a squared distance below
    float sure, never;  // squares below and from which float has decided
};

// What one thread needs beside the input.
struct Room {
    Run* runs;  // (num_columns)
    float *x, *y, *z;  // of the entries around a bin
    std::int32_t* rows;  // of the same
    std::int32_t* list;  // neighbors of one atom
};

struct Functions {
    const char* name;
    // Number of neighbors of each entry of the bin, to counts[row].
    void (*count)(const Input&, std::int32_t bin, const Room&, std::int64_t* counts);
    // Neighbors of each entry of the bin, to indices[offsets[row]] and on.
    void (*list)(const Input&, std::int32_t bin, const Room&, const std::int64_t* offsets,
                 std::int32_t* indices);
};

// The widest instruction set of this machine, but none wider than `simd` ("auto", "avx512",
// "avx2", "baseline").
const Functions& choose(const char* simd);

}  // namespace camlip::search

#endif
