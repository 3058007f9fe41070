// SPDX-License-Identifier: GPL-2.0-only
// pair_style mlip: a camlip model in LAMMPS.
//
//     pair_style mlip [engine auto|cpu|reference|cuda] [device N] [precision mixed|double]
//                     [threads N]
//     pair_coeff * * model.pt Si O NULL
//
// Needs newton on, a full neighbor list and ghosts within the model's own cutoff only: between
// message-passing layers the engine calls back, and the features of the boundary atoms travel
// through comm->forward_comm(this) and, in the backward sweep, comm->reverse_comm(this).
//
// An engine on a device makes the neighbor list itself, from owned atoms and ghosts, when LAMMPS
// decides on a new one; that of LAMMPS is made only where it may lack pairs (hybrid, exclude).
#ifndef LMP_PAIR_MLIP_H
#define LMP_PAIR_MLIP_H

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "camlip.h"
#include "pair.h"

namespace LAMMPS_NS {

class PairMLIP : public Pair {
  public:
    explicit PairMLIP(class LAMMPS* lmp);
    ~PairMLIP() override;

    void settings(int narg, char** arg) override;
    void coeff(int narg, char** arg) override;
    void init_style() override;
    double init_one(int i, int j) override;
    void compute(int eflag, int vflag) override;
    double memory_usage() override;

    int pack_forward_comm(int n, int* list, double* buf, int pbc_flag, int* pbc) override;
    void unpack_forward_comm(int n, int first, double* buf) override;
    int pack_reverse_comm(int n, int first, double* buf) override;
    void unpack_reverse_comm(int n, int* list, double* buf) override;

  private:
    void allocate();
    void map_elements(int narg, char** arg);
    void load_model(const std::string& file);
    void create_engine();
    std::string backend_of_this_rank();
    camlip_status make_engine(const std::string& backend);
    std::string describe_device();
    void free_model();
    void print_summary();
    void check_masses();
    void check_special_bonds();
    void update_neighbor_list();
    void copy_neighbor_list();
    void find_boundary();
    void update_types();
    void add_results(double energy, const double* virial);
    void require(camlip_status status, const char* doing);
    static int exchange(PairMLIP* self, bool forward, double* features, int width);

    camlip_model* model_ = nullptr;
    camlip_engine* engine_ = nullptr;
    camlip_model_info info_{};
    std::string file_;

    std::string backend_ = "auto";
    std::string precision_ = "mixed";
    int threads_ = 0;       // 0 = comm->nthreads, as set by OMP_NUM_THREADS or package omp
    int device_ = -1;  // of all ranks; < 0: they take turns
    int ranks_on_node_ = 1, devices_on_node_ = 0;
    bool makes_lists_ = false;  // the engine, on every rank
    bool hybrid_ = false;
    double energy_unit_;    // of LAMMPS, per eV
    bool summary_printed_ = false;

    // The CSR list, if the engine does not make it, and what tells that it is out of date.
    bool lists_of_lammps_ = true;
    std::vector<int64_t> offsets_;
    std::vector<int32_t> indices_;
    std::vector<char> listed_;    // owned atoms that have a row in LAMMPS' list
    uint64_t revision_ = 0;
    const class NeighList* built_from_ = nullptr;
    bigint built_calls_ = -1, built_step_ = -1;
    int built_owned_ = -1, built_ghost_ = -1;
    // Owned atoms that are ghosts elsewhere.
    std::vector<char> is_boundary_;
    std::vector<int32_t> boundary_;
    bool boundary_known_ = false, finding_boundary_ = false;

    std::vector<int32_t> types_;
    std::vector<double> forces_, atomic_energies_, centroid_virial_;

    // Valid only while the engine is inside an exchange callback.
    double* features_ = nullptr;
    int width_ = 0;
    std::exception_ptr exchange_error_;
};

}    // namespace LAMMPS_NS

#endif
