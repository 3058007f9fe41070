// SPDX-License-Identifier: MIT
#include "HostModel.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "elements.h"
#include "openmm/OpenMMException.h"
#include "units.h"

using namespace OpenMM;

namespace camlip_openmm {

namespace {

static_assert(sizeof(Vec3) == 3 * sizeof(double), "arrays of Vec3 are read as arrays of double");

[[noreturn]] void fail(const std::string& message) {
    throw OpenMMException("MLIPForce: " + message);
}

void require(camlip_status status) {
    if (status != CAMLIP_OK) fail(camlip_last_error());
}

// Where it was, or else under its name in the current directory: a System that was written to XML
// may be read on another machine.
std::string find_model_file(const std::string& file) {
    if (file.empty())
        fail("model file is not set, expected the path of an exported model; call setModelFile");
    std::error_code ignored;
    if (std::filesystem::exists(file, ignored)) return file;
    const std::string name = std::filesystem::path(file).filename().string();
    if (std::filesystem::exists(name, ignored)) return name;
    fail("model file '" + file + "' does not exist, nor does '" + name +
         "' in the current directory; put it at one of these places, or name another with "
         "setModelFile");
}

camlip_model_info info_of(const camlip_model* model) {
    camlip_model_info info{};
    info.struct_size = sizeof(info);
    require(camlip_model_get_info(model, &info));
    return info;
}

// The value of the key "sha256", 64 hexadecimal digits.  Other values are JSON inside strings,
// where quotes are escaped, so the first such key that is followed by such a value is the one.
std::string sha256_of(const std::string& metadata_json) {
    const std::string key = "\"sha256\"";
    for (size_t at = metadata_json.find(key); at != std::string::npos;
         at = metadata_json.find(key, at + 1)) {
        const size_t open = metadata_json.find('"', at + key.size());
        if (open == std::string::npos) break;
        const size_t close = metadata_json.find('"', open + 1);
        if (close != std::string::npos && close - open == 65)
            return metadata_json.substr(open + 1, 64);
    }
    return "";
}

}  // namespace

HostModel::HostModel(const System& system, const MLIPForce& force, int num_threads)
    : num_threads_(num_threads), scale_parameter_(force.getScaleParameter()) {
    if (camlip_abi_version() != CAMLIP_ABI_VERSION)
        fail("engine has ABI version " + std::to_string(camlip_abi_version()) + ", expected " +
             std::to_string(CAMLIP_ABI_VERSION) + "; install camlip anew");
    update(system, force);
}

void HostModel::update(const System& system, const MLIPForce& force) {
    periodic_ = force.usesPeriodicBoundaryConditions();
    if (!model_ || file_ != force.getModelFile() || sha256_ != force.getModelSha256()) load(force);
    set_atoms(system, force);
    create_engine(force);
}

void HostModel::load(const MLIPForce& force) {
    const std::string path = find_model_file(force.getModelFile());
    camlip_model* loaded = nullptr;
    require(camlip_model_load(path.c_str(), &loaded));
    std::unique_ptr<camlip_model, Free> model(loaded);
    const std::string expected = force.getModelSha256();
    const std::string found = sha256_of(info_of(loaded).metadata_json);
    if (!expected.empty() && found != expected)
        fail("model file '" + path + "' has sha256 " + found.substr(0, 12) + "..., expected " +
             expected.substr(0, 12) +
             "... as when the force was made; restore that model, or accept this one with "
             "setModelFile");
    engine_.reset();
    model_ = std::move(model);
    file_ = force.getModelFile();
    sha256_ = expected;
}

void HostModel::set_atoms(const System& system, const MLIPForce& force) {
    const int num_particles = system.getNumParticles();
    const std::vector<int>& numbers = force.getAtomicNumbers();
    std::vector<int> particles = force.getParticles();
    if (particles.empty()) {
        if (static_cast<int>(numbers.size()) != num_particles)
            fail(std::to_string(numbers.size()) + " elements for " + std::to_string(num_particles) +
                 " particles of the System, expected one for each; for a part of the System give "
                 "the particles as well");
        for (int i = 0; i < num_particles; ++i) particles.push_back(i);
    }
    std::vector<char> used(static_cast<size_t>(num_particles), 0);
    for (const int i : particles) {
        if (i < 0 || i >= num_particles)
            fail("particle " + std::to_string(i) + " does not exist, expected 0 to " +
                 std::to_string(num_particles - 1));
        if (used[static_cast<size_t>(i)]++)
            fail("particle " + std::to_string(i) + " is listed twice, expected once");
    }

    const camlip_model_info info = info_of(model_.get());
    std::vector<int32_t> types;
    for (size_t k = 0; k < particles.size(); ++k) {
        const int32_t* end = info.atomic_numbers + info.num_types;
        const int32_t* found = std::find(info.atomic_numbers, end, numbers[k]);
        if (found == end) {
            std::string known;
            for (int t = 0; t < info.num_types; ++t)
                known += (t ? ", " : "") + symbol(info.atomic_numbers[t]);
            fail("model '" + force.getModelFile() + "' has no element '" + symbol(numbers[k]) +
                 "' (first at particle " + std::to_string(particles[k]) + "); it knows " + known);
        }
        types.push_back(static_cast<int32_t>(found - info.atomic_numbers));
    }
    particles_ = std::move(particles);
    forces_are_zero_ = false;
    all_particles_ = static_cast<int>(particles_.size()) == num_particles;
    for (size_t k = 0; k < particles_.size(); ++k)
        all_particles_ = all_particles_ && particles_[k] == static_cast<int>(k);
    types_ = std::move(types);
}

void HostModel::create_engine(const MLIPForce& force) {
    const std::set<int32_t> present(types_.begin(), types_.end());
    const std::vector<int32_t> active(present.begin(), present.end());
    if (engine_ && precision_ == force.getPrecision() && backend_ == force.getBackend() &&
        std::includes(active_types_.begin(), active_types_.end(), active.begin(), active.end()))
        return;
    camlip_engine_options options{};
    options.struct_size = sizeof(options);
    options.backend = force.getBackend().c_str();
    options.precision = force.getPrecision().c_str();
    options.num_threads = num_threads_;
    options.num_active_types = static_cast<int32_t>(active.size());
    options.active_types = active.data();
    options.skin = -1.0;
    camlip_engine* engine = nullptr;
    require(camlip_engine_create(model_.get(), &options, &engine));
    engine_.reset(engine);
    precision_ = force.getPrecision();
    backend_ = force.getBackend();
    active_types_ = active;
}

double HostModel::scale(ContextImpl& context) const {
    return scale_parameter_.empty() ? 1.0 : context.getParameter(scale_parameter_);
}

double HostModel::compute(const std::vector<Vec3>& positions, const Vec3* box, double scale,
                          std::vector<Vec3>* forces, std::vector<double>* atomic_energies) {
    const size_t n = particles_.size();
    positions_.resize(3 * n);
    // Divisions would take as long as all the rest of this function.
    const double length = 1 / nmPerAngstrom;
    if (all_particles_) {
        const double* from = reinterpret_cast<const double*>(positions.data());
        for (size_t m = 0; m < 3 * n; ++m) positions_[m] = length * from[m];
    } else {
        for (size_t k = 0; k < n; ++k) {
            const Vec3& position = positions[static_cast<size_t>(particles_[k])];
            for (int a = 0; a < 3; ++a) positions_[3 * k + a] = length * position[a];
        }
    }
    double cell[9];
    for (int a = 0; periodic_ && a < 9; ++a) cell[a] = length * box[a / 3][a % 3];

    camlip_system system{};
    system.struct_size = sizeof(system);
    system.num_atoms = static_cast<int64_t>(n);
    system.positions = positions_.data();
    system.types = types_.data();
    system.cell = periodic_ ? cell : nullptr;
    for (int& direction : system.periodic) direction = periodic_;

    double energy = 0.0;
    camlip_results results{};
    results.struct_size = sizeof(results);
    results.energy = &energy;
    if (forces) {
        if (!forces_are_zero_) forces_.assign(3 * n, 0.0);
        forces_are_zero_ = false;
        results.forces = forces_.data();
    }
    if (atomic_energies) {
        atomic_energies->assign(n, 0.0);
        results.atomic_energies = atomic_energies->data();
    }
    require(camlip_compute_system(engine_.get(), &system, &results));

    if (forces) {
        const double unit = scale * kJPerMolPerEV / nmPerAngstrom;
        double* all = all_particles_ ? reinterpret_cast<double*>(forces->data()) : nullptr;
        for (size_t m = 0; all && m < 3 * n; ++m) all[m] += unit * forces_[m];
        for (size_t k = 0; !all && k < n; ++k) {
            Vec3& force = (*forces)[static_cast<size_t>(particles_[k])];
            for (int a = 0; a < 3; ++a) force[a] += unit * forces_[3 * k + a];
        }
        // For the next step, while they are in the cache.
        std::fill(forces_.begin(), forces_.end(), 0.0);
        forces_are_zero_ = true;
    }
    if (atomic_energies)
        for (double& value : *atomic_energies) value *= kJPerMolPerEV;
    return energy * kJPerMolPerEV;
}

}  // namespace camlip_openmm
