// SPDX-License-Identifier: GPL-2.0-only
// The engine of pair_style mlip: which device a rank takes, and whether it has the memory.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "neighbor.h"
#include "pair_mlip.h"

using namespace LAMMPS_NS;

// Ranks of a node take its devices in turn.
std::string PairMLIP::backend_of_this_rank() {
    if (backend_ != "cuda" && backend_ != "auto") return backend_;
    MPI_Comm node;
    int rank = 0;
    MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, comm->me, MPI_INFO_NULL, &node);
    MPI_Comm_rank(node, &rank);
    MPI_Comm_size(node, &ranks_on_node_);
    MPI_Comm_free(&node);
    int32_t devices = 0;
    camlip_num_devices(&devices);
    devices_on_node_ = devices;
    if (device_ >= 0) return backend_ + ":" + std::to_string(device_);
    // Without a device the engine says what is missing, or takes the processor.
    return devices > 0 ? backend_ + ":" + std::to_string(rank % devices) : backend_;
}

void PairMLIP::create_engine() {
    camlip_status status = make_engine(backend_of_this_rank());
    require(status, "pair_style mlip");
    // Exchanges and lists are collective, so all ranks must have the same kind of engine.
    camlip_engine_info engine{};
    engine.struct_size = sizeof(engine);
    camlip_engine_get_info(engine_, &engine);
    int here = engine.makes_lists, fewest = 0, most = 0;
    MPI_Allreduce(&here, &fewest, 1, MPI_INT, MPI_MIN, world);
    MPI_Allreduce(&here, &most, 1, MPI_INT, MPI_MAX, world);
    if (fewest != most) {
        status = make_engine("cpu");
        require(status, "pair_style mlip");
    }
    makes_lists_ = fewest == 1;
}

camlip_status PairMLIP::make_engine(const std::string& backend) {
    camlip_engine_free(engine_);
    engine_ = nullptr;
    const std::set<int32_t> in_use(map + 1, map + atom->ntypes + 1);
    std::vector<int32_t> active;
    std::copy_if(in_use.begin(), in_use.end(), std::back_inserter(active),
                 [](int t) { return t >= 0; });

    camlip_engine_options options{};
    options.struct_size = sizeof(options);
    options.backend = backend.c_str();
    options.precision = precision_.c_str();
    options.num_threads = threads_ > 0 ? threads_ : comm->nthreads;
    options.num_active_types = static_cast<int32_t>(active.size());
    options.active_types = active.data();
    options.skin = -1.0;
    return camlip_engine_create(model_, &options, &engine_);
}

// What the log says of a device.  Collective.
std::string PairMLIP::describe_device() {
    const bool excludes = neighbor->nex_type + neighbor->nex_group + neighbor->nex_mol > 0;
    std::string text = fmt::format(
        "  devices: {} for {} rank{} of this node; neighbor lists are made {}\n",
        device_ >= 0 ? fmt::format("number {}", device_) : std::to_string(devices_on_node_),
        ranks_on_node_, ranks_on_node_ == 1 ? "" : "s",
        hybrid_    ? "by LAMMPS, because of pair_style hybrid"
        : excludes ? "by LAMMPS, because of neigh_modify exclude"
                   : "there");

    // Ghosts as of a cube, neighbors as of a box that is evenly full.
    const double reach = info_.cutoff + neighbor->skin;
    const double volume = domain->xprd * domain->yprd * (domain->dimension == 3 ? domain->zprd : 1);
    const double owned = static_cast<double>(atom->natoms) / comm->nprocs;
    const double ghosts =
        owned * (std::pow(1 + 2 * reach / std::cbrt(volume / comm->nprocs), 3) - 1);
    camlip_memory_estimate memory{};
    memory.struct_size = sizeof(memory);
    memory.num_owned = static_cast<int64_t>(std::ceil(owned));
    memory.num_ghost = static_cast<int64_t>(std::ceil(ghosts));
    if (domain->nonperiodic == 0) {
        memory.neighbors_per_atom =
            4.0 / 3.0 * M_PI * reach * reach * reach * static_cast<double>(atom->natoms) / volume;
    }
    require(camlip_engine_estimate_memory(engine_, &memory), "pair_style mlip");
    const int devices = device_ >= 0 ? 1 : std::max(devices_on_node_, 1);
    const int sharing = (ranks_on_node_ + devices - 1) / devices;
    const auto gigabytes = [](double bytes) { return fmt::format("{:.3g} GB", 1e-9 * bytes); };
    double free = static_cast<double>(memory.available_bytes);
    MPI_Allreduce(MPI_IN_PLACE, &free, 1, MPI_DOUBLE, MPI_MIN, world);
    const double least = static_cast<double>(memory.least_bytes) * sharing;
    if (least > free) {
        error->all(FLERR,
                   "pair_style mlip: {} atoms need about {} of memory on a device of {} rank{}, "
                   "it has {} left; use more devices, a smaller system or a smaller skin",
                   atom->natoms, gigabytes(least), sharing, sharing == 1 ? "" : "s",
                   gigabytes(free));
    }
    text +=
        fmt::format("  memory: about {} of a device, which has {} left\n",
                    gigabytes(static_cast<double>(memory.needed_bytes) * sharing), gigabytes(free));
    return text;
}
