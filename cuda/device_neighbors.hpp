// SPDX-License-Identifier: MIT
// Neighbor lists made on the device, from positions that are there: of owned atoms among owned and
// ghost atoms, or of a periodic system without ghosts, whose pairs carry lattice shifts.
//
// build() makes a list and waits once for its length; the array of neighbors grows to fit.  The
// list is sorted by receiver and the same in every run.  Whether an atom has moved too far since is
// seen by MomentsForward (device/moments.hpp), which compares with built().
#ifndef CAMLIP_CUDA_DEVICE_NEIGHBORS_HPP
#define CAMLIP_CUDA_DEVICE_NEIGHBORS_HPP

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "device/model.hpp"
#include "device/search.hpp"
#include "device/systems.hpp"
#include "device_array.hpp"
#include "errors.hpp"
#include "list_grid.hpp"
#include "system_batch.hpp"

namespace camlip::cuda {

template <class Runtime>
class DeviceNeighbors {
  public:
    DeviceNeighbors(Runtime& runtime, double cutoff, double skin, int all_pairs = 256)
        : runtime_(runtime),
          grid_(cutoff, skin),
          all_pairs_(std::min(all_pairs, AllPairs::kMostAtoms)),
          built_(runtime),
          offsets_(runtime),
          totals_(runtime),
          starts_(runtime),
          indices_(runtime),
          shifts_(runtime),
          bin_of_(runtime),
          filled_(runtime),
          order_(runtime),
          sorted_(runtime),
          bounds_(runtime),
          flags_(runtime),
          frames_(runtime),
          system_of_(runtime),
          system_starts_(runtime),
          grids_(runtime) {}

    // positions: (total, 3) on the device; cell (3, 3) on the host, null when nothing is periodic.
    // Throws ArgumentError for a cell without volume and for atoms very far away from it.
    void build(const double* positions, std::int64_t owned, std::int64_t total, const double* cell,
               const std::array<bool, 3>& periodic) {
        owned_ = owned;
        periodic_ = periodic[0] || periodic[1] || periodic[2];
        flags_.reserve(1);
        flags_.zero(1);
        offsets_.reserve(owned + 1);
        built_.reserve(3 * total);
        runtime_.copy(built_.data(), positions,
                      sizeof(double) * 3 * static_cast<std::size_t>(total));
        grid_.set_lattice(cell, periodic);
        if (total <= all_pairs_) {
            all_pairs(positions, owned, total);
        } else {
            grid_.set_bins(grid_.bounded() ? grid_.unit_range() : find_bounds(positions, total),
                           total);
            sort(positions, total);
            search(owned, total);
        }
        const Frame frame = grid_.frame();
        keep_frames(&frame, 1);
    }

    // The list for a cell that changed, if it may still hold.
    bool deform(const double* cell, const std::array<bool, 3>& periodic) {
        Frame frame{};
        if (!grid_.deform(cell, periodic, frame)) return false;
        keep_frames(&frame, 1);
        return true;
    }

    // Of many systems: pairs within a system alone, without a skin.
    void build(const double* positions, const Systems& systems) {
        const std::int64_t atoms = systems.num_atoms();
        owned_ = atoms;
        set_systems(systems);
        flags_.reserve(1);
        flags_.zero(1);
        offsets_.reserve(atoms + 1);
        offsets_.zero(1);
        sorted_.reserve(atoms);
        launch(PlaceSystems{atoms, positions, system_of_.data(), grids_.data(), sorted_.data(),
                            flags_.data()},
               atoms, PlaceSystems::kMaxThreads);
        SystemPairs pairs{atoms,          system_of_.data(), system_starts_.data(), grids_.data(),
                          sorted_.data(), offsets_.data(),   {nullptr, nullptr}};
        const int each = SystemPairs::kMaxThreads / kWarp;
        launch(pairs, atoms, each);
        scan(offsets_.data(), atoms + 1);
        num_edges_ = read_length(atoms);
        make_room();
        pairs.target = target();
        if (num_edges_ > 0) launch(pairs, atoms, each);
    }

    // Before a build.
    void set_skin(double skin) { grid_.set_skin(skin); }

    const Frame* frames() const { return frames_.data(); }
    const std::int32_t* system_of() const { return system_of_.data(); }
    const std::int64_t* system_starts() const { return system_starts_.data(); }

    const std::int64_t* offsets() const { return offsets_.data(); }
    const std::int32_t* indices() const { return indices_.data(); }
    const std::int32_t* shifts() const { return periodic_ ? shifts_.data() : nullptr; }
    const double* built() const { return built_.data(); }
    std::int64_t num_edges() const { return num_edges_; }
    // Reduced lattice vectors, which shifts count.
    const Grid& grid() const { return grid_.grid(); }
    std::uint64_t bytes() const {
        return built_.bytes() + offsets_.bytes() + totals_.bytes() + starts_.bytes() +
               indices_.bytes() + shifts_.bytes() + bin_of_.bytes() + filled_.bytes() +
               order_.bytes() + sorted_.bytes() + bounds_.bytes() + flags_.bytes() +
               frames_.bytes() + system_of_.bytes() + system_starts_.bytes() + grids_.bytes();
    }
    // What a list of so many pairs takes.
    static std::uint64_t bytes_of(std::int64_t owned, std::int64_t total, std::int64_t edges,
                                  bool periodic) {
        const std::int64_t each = 24 + 4 + 4 + std::int64_t{sizeof(SortedAtom)} + 2 * (8 + 4);
        const std::int64_t room = edges + edges / 10 + 64;
        return static_cast<std::uint64_t>(each * total + 8 * (owned + 1) + 4096 * (8 + 4) +
                                          (periodic ? 8 : 4) * room);
    }

  private:
    static constexpr int kBoundBlocks = 256;

    static int blocks_for(std::int64_t items, int each) {
        return static_cast<int>(std::clamp<std::int64_t>((items + each - 1) / each, 1, 8192));
    }
    template <class Kernel>
    void launch(const Kernel& kernel, std::int64_t items, int each) {
        runtime_.launch(kernel, blocks_for(items, each), Kernel::kMaxThreads,
                        kernel.shared_bytes());
    }

    void keep_frames(const Frame* frames, std::int64_t count) {
        frames_.reserve(count);
        frames_.upload(frames, 0, count);
    }

    // The grid of each system, of one bin, and whose the atoms are.
    void set_systems(const Systems& systems) {
        const auto count = static_cast<std::size_t>(systems.count);
        std::vector<Grid> grids(count);
        std::vector<Frame> frames(count);
        std::vector<std::int32_t> system_of(static_cast<std::size_t>(systems.num_atoms()));
        grid_.set_lattice(nullptr, {});
        const Grid open = grid();
        periodic_ = false;
        for (std::size_t s = 0; s < count; ++s) {
            std::array<bool, 3> periodic{};
            for (std::size_t k = 0; systems.periodic && k < 3; ++k)
                periodic[k] = systems.periodic[3 * s + k] != 0;
            const bool any = periodic[0] || periodic[1] || periodic[2];
            if (any) grid_.set_lattice(systems.cells ? systems.cells + 9 * s : nullptr, periodic);
            periodic_ |= any;
            grids[s] = any ? grid() : open;
            std::copy_n(grids[s].rows, 9, frames[s].rows);
            std::fill(system_of.begin() + systems.offsets[s],
                      system_of.begin() + systems.offsets[s + 1], static_cast<std::int32_t>(s));
        }
        grids_.reserve(systems.count);
        grids_.upload(grids.data(), 0, systems.count);
        keep_frames(frames.data(), systems.count);
        system_of_.reserve(systems.num_atoms());
        system_of_.upload(system_of.data(), 0, systems.num_atoms());
        system_starts_.reserve(systems.count + 1);
        system_starts_.upload(systems.offsets, 0, systems.count + 1);
    }

    std::array<double, 6> find_bounds(const double* positions, std::int64_t total) {
        const int blocks = std::min(blocks_for(total, Bounds::kMaxThreads), kBoundBlocks);
        bounds_.reserve(6 * kBoundBlocks);
        const Bounds kernel{grid(), positions, total, bounds_.data()};
        runtime_.launch(kernel, blocks, Bounds::kMaxThreads, kernel.shared_bytes());
        std::vector<double> parts(static_cast<std::size_t>(6 * blocks));
        bounds_.download(parts.data(), 0, 6 * blocks);
        std::array<double, 6> range{};
        std::copy_n(parts.begin(), 6, range.begin());
        for (std::size_t n = 6; n < parts.size(); ++n) {
            const std::size_t k = n % 6;
            range[k] = k < 3 ? std::min(range[k], parts[n]) : std::max(range[k], parts[n]);
        }
        return range;
    }

    void sort(const double* positions, std::int64_t total) {
        const std::int64_t bins = grid().num_bins();
        bin_of_.reserve(total);
        order_.reserve(total);
        sorted_.reserve(total);
        starts_.reserve(bins + 1);
        filled_.reserve(bins);
        starts_.zero(bins + 1);
        filled_.zero(bins);
        launch(BinAtoms{grid(), positions, total, bin_of_.data(), starts_.data(), flags_.data()},
               total, BinAtoms::kMaxThreads);
        scan(starts_.data(), bins + 1);
        launch(FillBins{total, bin_of_.data(), starts_.data(), filled_.data(), order_.data()},
               total, FillBins::kMaxThreads);
        launch(OrderBins{grid(), positions, starts_.data(), order_.data(), sorted_.data()}, bins,
               OrderBins::kMaxThreads);
    }

    void scan(std::int64_t* values, std::int64_t count) {
        const std::int64_t chunks = (count + kScanChunk - 1) / kScanChunk;
        if (chunks == 1) {
            launch(ScanChunks{values, count, nullptr}, 1, 1);
            return;
        }
        totals_.reserve(chunks);
        launch(ScanChunks{values, count, totals_.data()}, chunks, 1);
        launch(ScanChunks{totals_.data(), chunks, nullptr}, 1, 1);
        launch(AddTotals{values, count, totals_.data()}, count, kScanThreads);
    }

    void search(std::int64_t owned, std::int64_t total) {
        Search kernel{grid(),         owned,          total,           bin_of_.data(),
                      starts_.data(), sorted_.data(), offsets_.data(), {nullptr, nullptr}};
        const int each = Search::kMaxThreads / kWarp;
        offsets_.zero(1);
        launch(kernel, total, each);
        scan(offsets_.data(), owned + 1);
        num_edges_ = read_length(owned);
        make_room();
        kernel.target = target();
        if (num_edges_ > 0) launch(kernel, total, each);
    }

    void all_pairs(const double* positions, std::int64_t owned, std::int64_t total) {
        for (;;) {
            const AllPairs kernel{grid(),
                                  static_cast<int>(owned),
                                  static_cast<int>(total),
                                  positions,
                                  offsets_.data(),
                                  target(),
                                  capacity(),
                                  flags_.data()};
            launch(kernel, 1, 1);
            num_edges_ = read_length(owned);
            if (num_edges_ <= capacity()) return;
            make_room();
        }
    }

    // Waits for the device.
    std::int64_t read_length(std::int64_t owned) {
        std::int64_t length = 0;
        std::uint32_t far = 0;
        offsets_.download(&length, owned, 1);
        flags_.download(&far, 0, 1);
        if (far != 0)
            throw ArgumentError(
                "positions: an atom is more than 100 cells away from the cell, expected fewer; "
                "wrap the positions, or use backend cpu");
        return length;
    }

    std::int64_t capacity() const {
        return periodic_ ? std::min(indices_.capacity(), shifts_.capacity()) : indices_.capacity();
    }
    ListTarget target() { return {indices_.data(), periodic_ ? shifts_.data() : nullptr}; }
    // With a tenth to spare, so that a list which fluctuates settles.
    void make_room() {
        if (num_edges_ <= capacity()) return;
        const std::int64_t room = num_edges_ + num_edges_ / 10 + 64;
        const std::uint64_t needed = static_cast<std::uint64_t>(room) * (periodic_ ? 8 : 4);
        const std::uint64_t available =
            runtime_.free_bytes() + indices_.bytes() + (periodic_ ? shifts_.bytes() : 0);
        if (needed > available)
            throw BackendError("memory: a list of " + std::to_string(num_edges_) +
                               " neighbors needs " + gigabytes(needed) + ", the device has " +
                               gigabytes(available) +
                               " left; use more devices, a smaller system or a smaller skin");
        indices_.reserve(room);
        if (periodic_) shifts_.reserve(room);
    }

    Runtime& runtime_;
    ListGrid grid_;
    std::int64_t all_pairs_;
    bool periodic_ = false;
    std::int64_t owned_ = 0, num_edges_ = 0;
    template <class V>
    using Array = DeviceArray<V, Runtime>;
    Array<double> built_;
    Array<std::int64_t> offsets_, totals_, starts_;
    Array<std::int32_t> indices_, shifts_, bin_of_, filled_, order_;
    Array<SortedAtom> sorted_;
    Array<double> bounds_;
    Array<std::uint32_t> flags_;
    Array<Frame> frames_;  // of whole systems
    // Of many systems
    Array<std::int32_t> system_of_;
    Array<std::int64_t> system_starts_;
    Array<Grid> grids_;
};

}  // namespace camlip::cuda

#endif
