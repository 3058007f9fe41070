// SPDX-License-Identifier: MIT
#include "ForceModel.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "elements.h"
#include "openmm/OpenMMException.h"
#include "units.h"

using namespace OpenMM;

namespace camlip_openmm {

namespace {

[[noreturn]] void fail(const std::string& message) {
    throw OpenMMException("MLIPForce: " + message);
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

void require(camlip_status status) {
    if (status != CAMLIP_OK) fail(camlip_last_error());
}

ForceModel::ForceModel(const System& system, const MLIPForce& force, int num_threads,
                       const std::string& backend)
    : num_threads_(num_threads),
      own_backend_(backend),
      scale_parameter_(force.getScaleParameter()) {
    if (camlip_abi_version() != CAMLIP_ABI_VERSION)
        fail("engine has ABI version " + std::to_string(camlip_abi_version()) + ", expected " +
             std::to_string(CAMLIP_ABI_VERSION) + "; install camlip anew");
    update(system, force);
}

void ForceModel::update(const System& system, const MLIPForce& force) {
    periodic_ = force.usesPeriodicBoundaryConditions();
    if (!model_ || file_ != force.getModelFile() || sha256_ != force.getModelSha256()) load(force);
    set_atoms(system, force);
    create_engine(force);
}

void ForceModel::load(const MLIPForce& force) {
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

void ForceModel::set_atoms(const System& system, const MLIPForce& force) {
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
    all_particles_ = static_cast<int>(particles_.size()) == num_particles;
    for (size_t k = 0; k < particles_.size(); ++k)
        all_particles_ = all_particles_ && particles_[k] == static_cast<int>(k);
    types_ = std::move(types);
}

void ForceModel::create_engine(const MLIPForce& force) {
    const std::set<int32_t> present(types_.begin(), types_.end());
    const std::vector<int32_t> active(present.begin(), present.end());
    // "auto" on a platform that is not of a GPU is the processor.
    std::string backend = own_backend_.empty() ? force.getBackend() : own_backend_;
    if (backend == "auto") backend = "cpu";
    if (engine_ && precision_ == force.getPrecision() && backend_ == backend &&
        std::includes(active_types_.begin(), active_types_.end(), active.begin(), active.end()))
        return;
    camlip_engine_options options{};
    options.struct_size = sizeof(options);
    options.backend = backend.c_str();
    options.precision = force.getPrecision().c_str();
    options.num_threads = num_threads_;
    options.num_active_types = static_cast<int32_t>(active.size());
    options.active_types = active.data();
    options.skin = -1.0;
    camlip_engine* engine = nullptr;
    const camlip_status status = camlip_engine_create(model_.get(), &options, &engine);
    if (status == CAMLIP_ERROR_BACKEND)
        throw EngineUnavailable(std::string("MLIPForce: ") + camlip_last_error());
    require(status);
    engine_.reset(engine);
    precision_ = force.getPrecision();
    backend_ = backend;
    active_types_ = active;
}

std::string ForceModel::engine() const {
    camlip_engine_info info{};
    info.struct_size = sizeof(info);
    require(camlip_engine_get_info(engine_.get(), &info));
    return info.backend;
}

double ForceModel::scale(ContextImpl& context) const {
    return scale_parameter_.empty() ? 1.0 : context.getParameter(scale_parameter_);
}

}  // namespace camlip_openmm
