// SPDX-License-Identifier: MIT
#include "HostModel.h"

#include <algorithm>

#include "units.h"

using namespace OpenMM;

namespace camlip_openmm {

static_assert(sizeof(Vec3) == 3 * sizeof(double), "arrays of Vec3 are read as arrays of double");

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
        if (!forces_are_zero_ || forces_.size() != 3 * n) forces_.assign(3 * n, 0.0);
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
