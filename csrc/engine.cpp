// SPDX-License-Identifier: MIT
#include "engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "cuda_library.hpp"
#include "errors.hpp"
#include "instruction_set.hpp"
#include "registry.hpp"

namespace camlip {
namespace {

constexpr double kDefaultSkin = 0.5;  // Angstrom

Precision parse_precision(const std::string& name) {
    if (name == "mixed") return Precision::kMixed;
    if (name == "double") return Precision::kDouble;
    throw ArgumentError("precision: value '" + name + "', expected mixed or double");
}

// The environment variable CAMLIP_MEMORY_MB, so that it reaches every host.
std::uint64_t parse_memory_limit(std::uint64_t otherwise) {
    const char* wanted = std::getenv("CAMLIP_MEMORY_MB");
    if (!wanted || !*wanted) return otherwise;
    const std::string text = wanted;
    if (text.size() > 7 || text.find_first_not_of("0123456789") != std::string::npos)
        throw ArgumentError("environment variable CAMLIP_MEMORY_MB: value '" + text +
                            "', expected megabytes, a whole number below 10^7");
    return std::stoull(text) << 20;
}

// 0 ... T-1 or the given ones, ascending and distinct.
std::vector<int> parse_active_types(const std::vector<int>& given, int num_types) {
    std::vector<int> types = given;
    for (const int type : types)
        if (type < 0 || type >= num_types)
            throw ArgumentError("active_types: value " + std::to_string(type) + ", expected 0 to " +
                                std::to_string(num_types - 1));
    if (types.empty())
        for (int type = 0; type < num_types; ++type) types.push_back(type);
    std::sort(types.begin(), types.end());
    types.erase(std::unique(types.begin(), types.end()), types.end());
    return types;
}

bool all_finite(const double* values, std::int64_t count) {
    // 0 * x is NaN for NaN and infinity: one pass without branches.
    double sum = 0;
    for (std::int64_t n = 0; n < count; ++n) sum += 0 * values[n];
    return sum == 0;
}

}  // namespace

void ImageExchange::forward(double* features, int width) {
    double* ghost = features + num_owned_ * width;
    for (const std::int64_t owner : ghost_owner_) {
        std::copy_n(features + owner * width, width, ghost);
        ghost += width;
    }
}

void ImageExchange::reverse(double* features, int width) {
    const double* ghost = features + num_owned_ * width;
    for (const std::int64_t owner : ghost_owner_) {
        for (int n = 0; n < width; ++n) features[owner * width + n] += ghost[n];
        ghost += width;
    }
}

namespace {

std::string wished_backend() {
    const char* wish = std::getenv("CAMLIP_BACKEND");
    return wish ? wish : "";
}

// What "auto" stands for: what CAMLIP_BACKEND says, which may be "auto" for a device where there is
// one.  Empty: the processor.  It is the default because the kernels have not yet run on a device.
std::string accelerator(const std::string& name) {
    if (name.compare(0, 4, "auto") != 0 || (name.size() > 4 && name[4] != ':')) return "";
    const std::string wish = wished_backend();
    if (wish != "auto") return wish;
    return num_cuda_devices() > 0 ? "cuda" + name.substr(4) : "";
}

}  // namespace

BackendChoice choose_backend(const Model& model, const EngineOptions& options) {
    BackendOptions chosen;
    chosen.precision = parse_precision(options.precision);
    chosen.simd = instruction_set(options.simd);
    if (options.num_threads < 0)
        throw ArgumentError("num_threads: value " + std::to_string(options.num_threads) +
                            ", expected at least 0");
    chosen.num_threads = options.num_threads;
    chosen.memory_limit = parse_memory_limit(chosen.memory_limit);
    chosen.active_types = parse_active_types(options.active_types, model.num_types());
    // "cuda:1" is device 1 of backend "cuda".
    std::string name = options.backend;
    const std::size_t colon = name.find(':');
    if (colon != std::string::npos) {
        const std::string device = name.substr(colon + 1);
        if (device == "current")
            chosen.device = kCurrentContext;
        else if (device.empty() || device.size() > 4 ||
                 device.find_first_not_of("0123456789") != std::string::npos)
            throw ArgumentError("backend: value '" + name +
                                "', expected a device as in cuda:0, or cuda:current");
        else
            chosen.device = std::stoi(device);
        name.resize(colon);
    }
    chosen.skin = options.skin < 0 ? kDefaultSkin : options.skin;
    const BackendEntry& entry = find_backend(name);
    return {entry.name, entry.make, chosen};
}

Engine::Engine(const Model& model, const EngineOptions& options)
    : model_(model),
      options_(options),
      architecture_(find_architecture(model.architecture)),
      neighbors_(model.config.cutoff, options.skin < 0 ? kDefaultSkin : options.skin, true,
                 options.num_threads, options.simd) {
    BackendChoice chosen = choose_backend(model, options);
    const std::string better = accelerator(options.backend);
    if (!better.empty()) {
        EngineOptions other = options;
        other.backend = better;
        try {
            const BackendChoice first = choose_backend(model, other);
            backend_ = first.make(model, first.options);
            chosen = first;
        } catch (const BackendError&) {
            // What was wished for must be there.
            if (wished_backend() != "auto") throw;
        }
    }
    active_.assign(static_cast<std::size_t>(model.num_types()), false);
    for (const int type : chosen.options.active_types)
        active_[static_cast<std::size_t>(type)] = true;
    backend_name_ = chosen.name;
    if (!backend_) backend_ = chosen.make(model, chosen.options);
}

BackendInfo Engine::info() const {
    BackendInfo info = backend_->info();
    std::size_t doubles = forces_.capacity() + centroid_virial_.capacity() + energies_.capacity();
    for (const auto& h : workspace_.h) doubles += h.capacity();
    if (batch_) info.memory_bytes += batch_->memory_bytes();
    info.memory_bytes += sizeof(double) * doubles + neighbors_.memory_bytes() +
                         sizeof(std::int32_t) * (types_.capacity() + all_types_.capacity());
    return info;
}

void Engine::check_count(const Atoms& atoms) const {
    if (atoms.num_owned < 0 || atoms.num_ghost < 0 ||
        atoms.num_owned > std::numeric_limits<std::int32_t>::max() - atoms.num_ghost)
        throw ArgumentError("atoms: " + std::to_string(atoms.num_owned) + " owned and " +
                            std::to_string(atoms.num_ghost) +
                            " ghost atoms, expected 0 to 2^31 together");
    if (atoms.num_total() > 0 && (!atoms.positions || !atoms.types))
        throw ArgumentError("atoms: positions or types is null");
}

void Engine::check_types(const Atoms& atoms) const {
    for (std::int64_t i = 0; i < atoms.num_total(); ++i) {
        const std::int32_t type = atoms.types[i];
        if (type < -1 || type >= model_.num_types())
            throw ArgumentError("types: atom " + std::to_string(i) + " has type " +
                                std::to_string(type) + ", expected -1 to " +
                                std::to_string(model_.num_types() - 1));
        if (type >= 0 && !active_[static_cast<std::size_t>(type)])
            throw ArgumentError("types: atom " + std::to_string(i) + " has type " +
                                std::to_string(type) +
                                ", which is not among the engine's active_types");
    }
}

void Engine::check_atoms(const Atoms& atoms) const {
    if (atoms.on_device)
        throw BackendError("atoms: arrays in device memory, backend '" + backend_name_ +
                           "' reads host memory here; use camlip_compute_system");
    check_count(atoms);
    check_types(atoms);
    const std::int64_t total = atoms.num_total();
    if (all_finite(atoms.positions, 3 * total)) return;
    for (std::int64_t i = 0; i < total; ++i)
        if (!all_finite(atoms.positions + 3 * i, 3))
            throw NumericError("positions: atom " + std::to_string(i) + " is at NaN or infinity");
}

void Engine::check_boundary(const Atoms& atoms) const {
    for (std::int64_t n = 0; n < atoms.num_boundary; ++n)
        if (atoms.boundary[n] < 0 || atoms.boundary[n] >= atoms.num_owned)
            throw ArgumentError("exchange: boundary atom " + std::to_string(atoms.boundary[n]) +
                                ", expected an owned one, 0 to " +
                                std::to_string(atoms.num_owned - 1));
}

void Engine::check_neighbors(const Atoms& atoms, const NeighborList& neighbors) const {
    if (!neighbors.offsets) {
        if (!backend_->makes_lists())
            throw ArgumentError("neighbors: offsets is null, backend '" + backend_name_ +
                                "' needs the list of the caller");
        if (!(neighbors.radius >= model_.config.cutoff) || !std::isfinite(neighbors.radius))
            throw ArgumentError("neighbors: radius " + std::to_string(neighbors.radius) +
                                " of a list without offsets, expected at least the cutoff, " +
                                std::to_string(model_.config.cutoff));
        return;
    }
    if (neighbors.offsets[0] != 0)
        throw ArgumentError("neighbors: offsets[0] is " + std::to_string(neighbors.offsets[0]) +
                            ", expected 0");
    for (std::int64_t i = 0; i < atoms.num_owned; ++i)
        if (neighbors.offsets[i + 1] < neighbors.offsets[i])
            throw ArgumentError("neighbors: offsets of atom " + std::to_string(i) + " descend");
    if (neighbors.offsets[atoms.num_owned] > 0 && !neighbors.indices)
        throw ArgumentError("neighbors: indices is null");
    const auto total = static_cast<std::uint32_t>(atoms.num_total());
    for (std::int64_t i = 0; i < atoms.num_owned; ++i) {
        bool bad = false;
        for (std::int64_t n = neighbors.offsets[i]; n < neighbors.offsets[i + 1]; ++n) {
            const std::int32_t j = neighbors.indices[n];
            bad |= static_cast<std::uint32_t>(j) >= total || j == i;
        }
        if (bad)
            throw ArgumentError("neighbors: a neighbor of atom " + std::to_string(i) +
                                " is the atom itself or not within 0 to " +
                                std::to_string(atoms.num_total() - 1));
    }
}

void Engine::run(const Atoms& atoms, const NeighborList& neighbors, Exchange& exchange,
                 const Outputs& outputs) {
    double energy = 0;
    Outputs wanted = outputs;
    wanted.energy = &energy;
    architecture_(model_, *backend_, atoms, neighbors, wanted, exchange, workspace_);
    if (!std::isfinite(energy) ||
        (outputs.forces && !all_finite(outputs.forces, 3 * atoms.num_total())) ||
        (outputs.virial && !all_finite(outputs.virial, 9)))
        throw NumericError(
            "result: energy, forces or virial is NaN or infinity; are two atoms at the same "
            "place, or far closer than in the training data");
    if (outputs.energy) *outputs.energy += energy;
}

void Engine::compute(const Atoms& atoms, const NeighborList& neighbors, Exchange* exchange,
                     const Outputs& outputs) {
    check_atoms(atoms);
    check_neighbors(atoms, neighbors);
    check_boundary(atoms);
    if (!exchange && model_.config.num_layers > 1 && atoms.num_ghost > 0)
        throw ArgumentError("exchange: null, expected callbacks for " +
                            std::to_string(atoms.num_ghost) + " ghost atoms and a model of " +
                            std::to_string(model_.config.num_layers) + " layers");
    NoExchange none;
    Atoms known = atoms;
    static constexpr std::int32_t kNobody = 0;
    if (!exchange) {
        known.boundary = &kNobody;
        known.num_boundary = 0;
    }
    run(known, neighbors, exchange ? *exchange : none, outputs);
}

MemoryEstimate Engine::estimate_memory(std::int64_t num_owned, std::int64_t num_ghost,
                                       bool periodic, double neighbors_per_atom) const {
    if (num_owned < 0 || num_ghost < 0)
        throw ArgumentError("memory: " + std::to_string(num_owned) + " owned and " +
                            std::to_string(num_ghost) + " ghost atoms, expected at least 0");
    if (!(neighbors_per_atom > 0)) {
        const double skin = options_.skin < 0 ? kDefaultSkin : options_.skin;
        neighbors_per_atom =
            model_.config.average_num_neighbors * std::pow(1 + skin / model_.config.cutoff, 3);
    }
    MemoryEstimate estimate;
    estimate.num_owned = num_owned;
    estimate.num_ghost = num_ghost;
    // A cell without much of a volume may have any density.
    estimate.num_edges = static_cast<std::int64_t>(
        std::min(neighbors_per_atom * static_cast<double>(num_owned), 1e17));
    estimate.periodic = periodic;
    backend_->estimate_memory(estimate);
    return estimate;
}

std::uint64_t Engine::list_revision() const {
    return backend_->makes_lists() ? backend_->list_revision() : neighbors_.revision();
}

void Engine::count_neighbors(std::vector<std::int64_t>& counts) const {
    if (backend_->makes_lists()) {
        backend_->count_neighbors(counts);
        return;
    }
    const std::vector<std::int64_t>& offsets = neighbors_.offsets();
    counts.resize(offsets.size() - 1);
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = offsets[i + 1] - offsets[i];
}

void Engine::compute_system(const System& system, const std::int32_t* types,
                            const Outputs& outputs) {
    if (backend_->makes_lists()) {
        Atoms atoms;
        atoms.num_owned = system.num_atoms;
        atoms.positions = system.positions;
        atoms.types = types;
        atoms.whole = true;
        atoms.cell = system.cell;
        atoms.periodic = system.periodic;
        check_atoms(atoms);
        NoExchange none;
        run(atoms, {}, none, outputs);
        return;
    }
    // The types decide what neighbors are; a backend may cache them with the list.
    const auto num_atoms = static_cast<std::size_t>(system.num_atoms);
    if (types_.size() != num_atoms || !std::equal(types_.begin(), types_.end(), types)) {
        types_.assign(types, types + system.num_atoms);
        neighbors_.invalidate();
    }
    neighbors_.update(system);

    const std::int64_t num_ghost = neighbors_.num_ghost();
    const std::size_t total = num_atoms + static_cast<std::size_t>(num_ghost);
    all_types_ = types_;
    for (const std::int64_t owner : neighbors_.ghost_owner()) all_types_.push_back(types[owner]);
    Atoms atoms;
    atoms.num_owned = system.num_atoms;
    atoms.num_ghost = num_ghost;
    atoms.positions = neighbors_.positions().data();
    atoms.types = all_types_.data();
    check_atoms(atoms);
    const NeighborList list = {neighbors_.offsets().data(), neighbors_.indices().data(),
                               neighbors_.revision()};

    Outputs scratch = outputs;
    forces_.assign(outputs.forces ? 3 * total : 0, 0.0);
    centroid_virial_.assign(outputs.centroid_virial ? 9 * total : 0, 0.0);
    if (outputs.forces) scratch.forces = forces_.data();
    if (outputs.centroid_virial) scratch.centroid_virial = centroid_virial_.data();
    ImageExchange exchange(neighbors_.num_atoms(), neighbors_.ghost_owner());
    run(atoms, list, exchange, scratch);

    if (outputs.forces) {
        exchange.reverse(forces_.data(), 3);
        for (std::size_t n = 0; n < 3 * num_atoms; ++n) outputs.forces[n] += forces_[n];
    }
    if (outputs.centroid_virial) {
        exchange.reverse(centroid_virial_.data(), 9);
        for (std::size_t n = 0; n < 9 * num_atoms; ++n)
            outputs.centroid_virial[n] += centroid_virial_[n];
    }
}

void Engine::compute_system_on_device(const System& system, const std::int32_t* types, void* stream,
                                      const Outputs& outputs) {
    if (!backend_->makes_lists())
        throw BackendError("system: arrays in device memory, backend '" + backend_name_ +
                           "' reads host memory; use backend cuda");
    Atoms atoms;
    atoms.num_owned = system.num_atoms;
    atoms.positions = system.positions;
    atoms.types = types;
    atoms.on_device = true;
    atoms.stream = stream;
    atoms.whole = true;
    atoms.cell = system.cell;
    atoms.periodic = system.periodic;
    check_count(atoms);
    const auto num_atoms = static_cast<std::size_t>(system.num_atoms);
    if (types_.size() != num_atoms || !std::equal(types_.begin(), types_.end(), types)) {
        check_types(atoms);
        types_.assign(types, types + system.num_atoms);
        neighbors_.invalidate();
    }
    NoExchange none;
    architecture_(model_, *backend_, atoms, {}, outputs, none, workspace_);
}

}  // namespace camlip
