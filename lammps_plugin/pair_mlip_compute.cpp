// SPDX-License-Identifier: GPL-2.0-only
// What pair_style mlip does every step: LAMMPS' arrays -> engine -> LAMMPS' arrays.
// Its commands are in pair_mlip.cpp.
#include <algorithm>
#include <utility>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "pair_mlip.h"

using namespace LAMMPS_NS;

void PairMLIP::compute(int eflag, int vflag) {
    ev_init(eflag, vflag);
    update_neighbor_list();
    update_types();

    const size_t total = static_cast<size_t>(atom->nlocal) + atom->nghost;
    double energy = 0.0, virial_sum[9] = {};
    forces_.assign(3 * total, 0.0);
    if (eflag_atom) atomic_energies_.assign(atom->nlocal, 0.0);
    const bool per_atom_virial = vflag_atom || cvflag_atom;
    if (per_atom_virial) centroid_virial_.assign(9 * total, 0.0);

    camlip_atoms atoms{};
    atoms.struct_size = sizeof(atoms);
    atoms.memory = CAMLIP_HOST;
    atoms.num_owned = atom->nlocal;
    atoms.num_ghost = atom->nghost;
    atoms.positions = atom->x ? atom->x[0] : nullptr;
    atoms.types = types_.data();

    camlip_neighbor_list neighbors{};
    neighbors.struct_size = sizeof(neighbors);
    neighbors.revision = revision_;
    if (lists_of_lammps_) {
        neighbors.offsets = offsets_.data();
        neighbors.indices = indices_.data();
    } else {
        neighbors.radius = info_.cutoff + neighbor->skin;
    }

    camlip_exchange halo{};
    halo.struct_size = sizeof(halo);
    halo.context = this;
    halo.forward = [](void* self, double* features, int32_t width) {
        return exchange(static_cast<PairMLIP*>(self), true, features, width);
    };
    halo.reverse = [](void* self, double* features, int32_t width) {
        return exchange(static_cast<PairMLIP*>(self), false, features, width);
    };

    static constexpr int32_t kNone = 0;
    if (boundary_known_) {
        halo.num_boundary = static_cast<int64_t>(boundary_.size());
        halo.boundary = boundary_.empty() ? &kNone : boundary_.data();
    }

    camlip_results results{};
    results.struct_size = sizeof(results);
    results.energy = &energy;
    results.forces = forces_.data();
    results.atomic_energies = eflag_atom ? atomic_energies_.data() : nullptr;
    results.virial = vflag_global ? virial_sum : nullptr;
    results.centroid_virial = per_atom_virial ? centroid_virial_.data() : nullptr;

    // No early return for a rank without atoms: the exchange is collective.
    const camlip_status status = camlip_compute(engine_, &atoms, &neighbors, &halo, &results);
    if (exchange_error_) std::rethrow_exception(std::exchange(exchange_error_, nullptr));
    // Not error->all: the other ranks may wait in an exchange, and only an abort reaches them.
    if (status != CAMLIP_OK) error->one(FLERR, "pair_style mlip: {}", camlip_last_error());
    add_results(energy, virial_sum);
}

// Whenever LAMMPS decided on new lists; ncalls catches builds between two computes.
void PairMLIP::update_neighbor_list() {
    const int nlocal = atom->nlocal;
    const bool rebuilt = neighbor->ago == 0 || list != built_from_ ||
                         neighbor->ncalls != built_calls_ || neighbor->lastcall != built_step_;
    if (!rebuilt && nlocal == built_owned_ && atom->nghost == built_ghost_) return;
    lists_of_lammps_ = !makes_lists_ || hybrid_ || neighbor->exclude;
    if (lists_of_lammps_) {
        if (makes_lists_ && !hybrid_) neighbor->build_one(list);
        copy_neighbor_list();
    } else {
        listed_.assign(nlocal, 1);
    }
    boundary_known_ = false;
    // Collective: only when all ranks come here.
    if (rebuilt && !lists_of_lammps_ && info_.exchange_width > 0) find_boundary();
    revision_++;
    built_from_ = list;
    built_calls_ = neighbor->ncalls;
    built_step_ = neighbor->lastcall;
    built_owned_ = nlocal;
    built_ghost_ = atom->nghost;
}

// LAMMPS' pages -> CSR.
void PairMLIP::copy_neighbor_list() {
    const int nlocal = atom->nlocal;
    listed_.assign(nlocal, 0);
    offsets_.assign(nlocal + 1, 0);
    for (int ii = 0; ii < list->inum; ii++) {
        const int i = list->ilist[ii];
        listed_[i] = 1;
        offsets_[i + 1] = list->numneigh[i];
    }
    for (int i = 0; i < nlocal; i++) offsets_[i + 1] += offsets_[i];
    indices_.resize(offsets_[nlocal]);
    for (int ii = 0; ii < list->inum; ii++) {
        const int i = list->ilist[ii];
        const int* from = list->firstneigh[i];
        std::transform(from, from + list->numneigh[i], indices_.begin() + offsets_[i],
                       [](int j) { return j & NEIGHMASK; });
    }
}

// LAMMPS knows whom it sends: it is asked to send nothing much, and what it packs is noted.
void PairMLIP::find_boundary() {
    is_boundary_.assign(atom->nlocal, 0);
    finding_boundary_ = true;
    comm->forward_comm(this, 1);
    finding_boundary_ = false;
    boundary_.clear();
    for (int i = 0; i < atom->nlocal; i++) {
        if (is_boundary_[i]) boundary_.push_back(i);
    }
    boundary_known_ = true;
}

// Every step, because fix atom/swap and the like change types without a new list.
void PairMLIP::update_types() {
    const int nlocal = atom->nlocal, total = nlocal + atom->nghost;
    types_.resize(total);
    for (int i = 0; i < total; i++) types_[i] = map[atom->type[i]];
    for (int i = 0; i < nlocal; i++) {
        if (!listed_[i]) types_[i] = -1;
    }
}

// Everything the engine returns is in eV and Angstrom; LAMMPS wants its own energy unit.
void PairMLIP::add_results(double energy, const double* w) {
    const double unit = energy_unit_;
    const int nlocal = atom->nlocal, total = nlocal + atom->nghost;
    for (int i = 0; i < total; i++) {
        for (int a = 0; a < 3; a++) atom->f[i][a] += unit * forces_[3 * static_cast<size_t>(i) + a];
    }
    if (eflag_global) eng_vdwl += unit * energy;
    if (eflag_atom) {
        for (int i = 0; i < nlocal; i++) eatom[i] += unit * atomic_energies_[i];
    }

    // xx yy zz xy xz yz yx zx zy of a row-major (3, 3)
    static constexpr int order[9] = {0, 4, 8, 1, 2, 5, 3, 6, 7};
    static constexpr int mirrored[6] = {0, 4, 8, 3, 6, 7};
    if (vflag_global) {
        for (int k = 0; k < 6; k++) virial[k] += 0.5 * unit * (w[order[k]] + w[mirrored[k]]);
    }
    for (int i = 0; (vflag_atom || cvflag_atom) && i < total; i++) {
        const double* c = &centroid_virial_[9 * static_cast<size_t>(i)];
        for (int k = 0; vflag_atom && k < 6; k++) {
            vatom[i][k] += 0.5 * unit * (c[order[k]] + c[mirrored[k]]);
        }
        for (int k = 0; cvflag_atom && k < 9; k++) cvatom[i][k] += unit * c[order[k]];
    }
}

/* ---- halo exchange --------------------------------------------------------------------- */

int PairMLIP::exchange(PairMLIP* self, bool forward, double* features, int width) {
    self->features_ = features;
    self->width_ = width;
    try {
        if (width > self->comm_forward) {
            self->error->one(
                FLERR, "pair_style mlip: engine exchanges {} numbers per atom, expected at most {}",
                width, self->comm_forward);
        }
        if (forward) {
            self->comm->forward_comm(self, width);
        } else {
            self->comm->reverse_comm(self, width);
        }
    } catch (...) {
        // An exception must not cross the C API; compute() throws it again.
        self->exchange_error_ = std::current_exception();
        return 1;
    }
    return 0;
}

int PairMLIP::pack_forward_comm(int n, int* list, double* buf, int, int*) {
    if (finding_boundary_) {
        for (int k = 0; k < n; k++) {
            if (list[k] < atom->nlocal) is_boundary_[list[k]] = 1;
        }
        std::fill_n(buf, n, 0.0);
        return n;
    }
    for (int k = 0; k < n; k++) {
        std::copy_n(features_ + static_cast<size_t>(list[k]) * width_, width_,
                    buf + static_cast<size_t>(k) * width_);
    }
    return n * width_;
}

void PairMLIP::unpack_forward_comm(int n, int first, double* buf) {
    if (finding_boundary_) return;
    std::copy_n(buf, static_cast<size_t>(n) * width_,
                features_ + static_cast<size_t>(first) * width_);
}

int PairMLIP::pack_reverse_comm(int n, int first, double* buf) {
    std::copy_n(features_ + static_cast<size_t>(first) * width_, static_cast<size_t>(n) * width_,
                buf);
    return n * width_;
}

void PairMLIP::unpack_reverse_comm(int n, int* list, double* buf) {
    for (int k = 0; k < n; k++) {
        double* row = features_ + static_cast<size_t>(list[k]) * width_;
        for (int w = 0; w < width_; w++) row[w] += buf[static_cast<size_t>(k) * width_ + w];
    }
}

double PairMLIP::memory_usage() {
    camlip_engine_info engine{};
    engine.struct_size = sizeof(engine);
    if (engine_) camlip_engine_get_info(engine_, &engine);
    return Pair::memory_usage() + static_cast<double>(engine.memory_bytes) +
           offsets_.capacity() * sizeof(int64_t) +
           (indices_.capacity() + types_.capacity()) * sizeof(int32_t) +
           (forces_.capacity() + atomic_energies_.capacity() + centroid_virial_.capacity()) *
               sizeof(double);
}
