// SPDX-License-Identifier: GPL-2.0-only
// pair_style mlip: its commands, and what happens before a run.  Every step: pair_mlip_compute.cpp.
#include "pair_mlip.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <set>

#include "atom.h"
#include "comm.h"
#include "elements.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "metadata.h"
#include "neighbor.h"
#include "update.h"

using namespace LAMMPS_NS;
using camlip_lammps::symbol;

PairMLIP::PairMLIP(LAMMPS* lmp) : Pair(lmp), energy_unit_(1.0) {
    manybody_flag = 1;
    one_coeff = 1;
    single_enable = 0;
    restartinfo = 0;
    no_virial_fdotr_compute = 1;
    centroidstressflag = CENTROID_AVAIL;
    info_.struct_size = sizeof(info_);
}

PairMLIP::~PairMLIP() {
    free_model();
    if (allocated) {
        memory->destroy(setflag);
        memory->destroy(cutsq);
    }
}

void PairMLIP::free_model() {
    camlip_engine_free(engine_);
    camlip_model_free(model_);
    engine_ = nullptr;
    model_ = nullptr;
}

void PairMLIP::allocate() {
    const int n = atom->ntypes + 1;
    memory->create(setflag, n, n, "pair:setflag");
    memory->create(cutsq, n, n, "pair:cutsq");
    for (int i = 0; i < n; i++) std::fill(setflag[i], setflag[i] + n, 0);
    map = new int[n];
    std::fill(map, map + n, -1);
    allocated = 1;
}

// A failure on any rank becomes one error on all, with the words of the first rank that failed.
// Only for places that every rank reaches.
void PairMLIP::require(camlip_status status, const char* doing) {
    int first = status == CAMLIP_OK ? comm->nprocs : comm->me;
    MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, world);
    if (first == comm->nprocs) return;
    char text[1024];
    snprintf(text, sizeof(text), "%s", camlip_last_error());
    MPI_Bcast(text, sizeof(text), MPI_CHAR, first, world);
    error->all(FLERR, "{}: {}", doing, text);
}

/* ---- pair_style ------------------------------------------------------------------------ */

void PairMLIP::settings(int narg, char** arg) {
    const std::string units = update->unit_style;
    if (units == "metal") {
        energy_unit_ = 1.0;
    } else if (units == "real") {
        energy_unit_ = utils::get_conversion_factor(utils::ENERGY, utils::METAL2REAL);
    } else {
        error->all(FLERR, "pair_style mlip: units are '{}', expected metal or real", units);
    }

    backend_ = "auto";
    precision_ = "mixed";
    threads_ = 0;
    device_ = -1;
    for (int i = 0; i < narg; i += 2) {
        const std::string key = arg[i];
        if (key != "engine" && key != "precision" && key != "threads" && key != "device") {
            error->all(FLERR,
                       "pair_style mlip: unknown keyword '{}', expected engine, precision, "
                       "threads or device",
                       key);
        }
        if (i + 1 == narg) error->all(FLERR, "pair_style mlip: keyword '{}' has no value", key);
        const std::string value = arg[i + 1];
        if (key == "engine") {
            backend_ = value;
        } else if (key == "precision") {
            if (value != "mixed" && value != "double") {
                error->all(FLERR, "pair_style mlip: precision is '{}', expected mixed or double",
                           value);
            }
            precision_ = value;
        } else if (key == "device") {
            device_ = utils::inumeric(FLERR, value, true, lmp);
            if (device_ < 0) {
                error->all(FLERR, "pair_style mlip: device is {}, expected 0 or more", device_);
            }
        } else {
            threads_ = utils::inumeric(FLERR, value, true, lmp);
            if (threads_ < 1) {
                error->all(FLERR, "pair_style mlip: threads is {}, expected 1 or more", threads_);
            }
        }
    }
    if (device_ >= 0 && backend_ != "cuda" && backend_ != "auto") {
        error->all(FLERR, "pair_style mlip: device {} of engine '{}', expected engine cuda or auto",
                   device_, backend_);
    }
    // A second pair_style command of the same name keeps this object: the engine is made anew.
    camlip_engine_free(engine_);
    engine_ = nullptr;
}

/* ---- pair_coeff ------------------------------------------------------------------------ */

void PairMLIP::coeff(int narg, char** arg) {
    if (!allocated) allocate();
    if (narg < 3 || strcmp(arg[0], "*") != 0 || strcmp(arg[1], "*") != 0) {
        error->all(
            FLERR,
            "pair_coeff for mlip: expected '* * model.pt' and one element for each atom type");
    }
    if (narg != 3 + atom->ntypes) {
        error->all(
            FLERR,
            "pair_coeff for mlip: found {} element names, expected {}: one for each atom type, "
            "NULL for a type of another pair style",
            narg - 3, atom->ntypes);
    }
    load_model(arg[2]);
    map_elements(narg, arg);
    create_engine();
    comm_forward = comm_reverse = info_.exchange_width;
}

// Rank 0 reads, all get the bytes: a thousand ranks do not open one file, and a missing file is one
// error.
void PairMLIP::load_model(const std::string& file) {
    std::vector<char> bytes;
    std::string trouble;
    bigint size = -1;
    if (comm->me == 0) {
        char path_found[4096];
        const bool found =
            camlip_model_path(file.c_str(), path_found, sizeof(path_found)) == CAMLIP_OK;
        const std::string path = found ? utils::get_potential_file_path(path_found) : "";
        FILE* stream = path.empty() ? nullptr : fopen(path.c_str(), "rb");
        if (stream) {
            char chunk[1 << 16];
            size_t count;
            while ((count = fread(chunk, 1, sizeof(chunk), stream)) > 0) {
                bytes.insert(bytes.end(), chunk, chunk + count);
            }
            if (!ferror(stream)) size = bytes.size();
            fclose(stream);
        }
        if (size < 0) trouble = found ? utils::getsyserror() : camlip_last_error();
    }
    MPI_Bcast(&size, 1, MPI_LMP_BIGINT, 0, world);
    if (size < 0) {
        error->all(FLERR, "pair_coeff for mlip: cannot read model file '{}'{}", file,
                   trouble.empty() ? "" : ": " + trouble);
    }
    bytes.resize(size);
    const bigint piece = 1 << 30;  // MPI counts are int
    for (bigint start = 0; start < size; start += piece) {
        MPI_Bcast(bytes.data() + start, static_cast<int>(std::min(piece, size - start)), MPI_BYTE,
                  0, world);
    }

    free_model();
    require(camlip_model_load_memory(bytes.data(), bytes.size(), file.c_str(), &model_),
            "pair_coeff for mlip");
    require(camlip_model_get_info(model_, &info_), "pair_coeff for mlip");
    file_ = file;
    summary_printed_ = false;
}

void PairMLIP::map_elements(int narg, char** arg) {
    const int ntypes = atom->ntypes;
    std::string known;
    for (int t = 0; t < info_.num_types; t++) {
        known += (t ? ", " : "") + symbol(info_.atomic_numbers[t]);
    }
    int mapped = 0;
    for (int i = 1; i <= ntypes && 2 + i < narg; i++) {
        const std::string name = arg[2 + i];
        map[i] = -1;
        if (name == "NULL") continue;
        for (int t = 0; t < info_.num_types; t++) {
            if (symbol(info_.atomic_numbers[t]) == name) map[i] = t;
        }
        if (map[i] < 0) {
            error->all(FLERR, "pair_coeff for mlip: model '{}' has no element '{}'; it knows {}",
                       file_, name, known);
        }
        mapped++;
    }
    if (mapped == 0)
        error->all(FLERR, "pair_coeff for mlip: every atom type is NULL, expected an element");
    if (mapped < ntypes && !utils::strmatch(force->pair_style, "^hybrid")) {
        error->all(FLERR,
                   "pair_coeff for mlip: {} of {} atom types are NULL, but no other pair style "
                   "takes them; "
                   "use pair_style hybrid or hybrid/overlay",
                   ntypes - mapped, ntypes);
    }
    for (int i = 1; i <= ntypes; i++) {
        for (int j = i; j <= ntypes; j++) setflag[i][j] = map[i] >= 0 && map[j] >= 0;
    }
}

/* ---- before a run ---------------------------------------------------------------------- */

void PairMLIP::init_style() {
    if (force->newton_pair == 0) {
        error->all(FLERR,
                   "pair_style mlip: newton is off for pairs, expected on: write 'newton on' "
                   "before the box is made");
    }
    check_special_bonds();
    if (!engine_) create_engine();
    // For an engine that makes lists, one that LAMMPS makes only if it is asked to: whether pairs
    // are excluded is not known yet.
    hybrid_ = utils::strmatch(force->pair_style, "^hybrid");
    const bool on_demand = makes_lists_ && !hybrid_;
    neighbor->add_request(this,
                          NeighConst::REQ_FULL | (on_demand ? NeighConst::REQ_OCCASIONAL : 0));
    built_from_ = nullptr;

    // pair_style hybrid asked for the widths when it was made, before the model was known, and comm
    // sizes its buffers by what hybrid says.
    force->pair->comm_forward = std::max(force->pair->comm_forward, comm_forward);
    force->pair->comm_reverse = std::max(force->pair->comm_reverse, comm_reverse);

    if (!summary_printed_) print_summary();
    summary_printed_ = true;
}

double PairMLIP::init_one(int, int) { return info_.cutoff; }

// Bonded neighbors with weight 0 are not in the list: the model would see atoms without bonds.
void PairMLIP::check_special_bonds() {
    if (atom->molecular == Atom::ATOMIC || atom->nbonds + atom->nangles == 0) return;
    for (int k = 1; k <= 3; k++) {
        if (force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0) {
            error->all(FLERR,
                       "pair_style mlip: special_bonds takes bonded atoms out of the neighbor "
                       "list, but the model "
                       "needs all neighbors; write 'special_bonds lj/coul 1.0 1.0 1.0'");
        }
    }
}

// The usual cause of absurd forces is a wrong order of the elements in pair_coeff.
void PairMLIP::check_masses() {
    if (!atom->mass || !atom->mass_setflag) return;
    for (int i = 1; i <= atom->ntypes; i++) {
        if (map[i] < 0 || !atom->mass_setflag[i]) continue;
        const auto distance = [&](int t) {
            return std::fabs(camlip_lammps::elements[info_.atomic_numbers[t]].mass - atom->mass[i]);
        };
        int nearest = map[i];
        for (int t = 0; t < info_.num_types; t++) {
            if (distance(t) < distance(nearest)) nearest = t;
        }
        if (nearest != map[i] && distance(map[i]) > 0.2 * atom->mass[i]) {
            error->warning(FLERR,
                           "pair_coeff for mlip: type {} has mass {:.4g}, that of {} rather than "
                           "of {}; is the "
                           "order of the elements right?",
                           i, atom->mass[i], symbol(info_.atomic_numbers[nearest]),
                           symbol(info_.atomic_numbers[map[i]]));
        }
    }
}

void PairMLIP::print_summary() {
    const std::string device_summary = makes_lists_ ? describe_device() : "";
    if (comm->me != 0) return;
    camlip_engine_info engine{};
    engine.struct_size = sizeof(engine);
    camlip_engine_get_info(engine_, &engine);
    std::string text = fmt::format(
        "pair_style mlip: model '{}', camlip {}\n  engine {} ({} precision, {}), {} thread{} per "
        "MPI rank\n"
        "  cutoff {} Angstrom, {} layer{}{}; units of the model eV and Angstrom, of this run {}\n",
        file_, camlip_version(), engine.backend, engine.precision, engine.simd, engine.num_threads,
        engine.num_threads == 1 ? "" : "s", info_.cutoff, info_.num_layers,
        info_.num_layers == 1 ? "" : "s",
        info_.exchange_width
            ? fmt::format(", {} numbers per boundary atom exchanged between layers",
                          info_.exchange_width)
            : "",
        update->unit_style);
    text += device_summary;
    for (int i = 1; i <= atom->ntypes; i++) {
        text += fmt::format(
            "  type {} -> {}\n", i,
            map[i] < 0 ? "NULL, another pair style's" : symbol(info_.atomic_numbers[map[i]]));
    }
    const std::string training = camlip_lammps::training_summary(info_.metadata_json);
    if (!training.empty()) text += fmt::format("  training: {}\n", training);
    utils::logmesg(lmp, text);
    check_masses();
}
