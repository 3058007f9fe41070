/* SPDX-License-Identifier: MIT
 *
 * camlip.h -- the one engine API.  Pure C11, stable ABI.
 *
 * Everything that runs a model (Python, LAMMPS, OpenMM, tests) goes through the functions
 * below and nothing else.  Units: eV, Angstrom, e.  Arrays are C-contiguous; shapes are
 * written as (rows, cols).  "Owned" atoms come first, "ghost" atoms follow.  Signs and index
 * orders are those of docs/conventions.md.
 *
 *     camlip_model  = parameters, read-only after load, shareable between threads
 *     camlip_engine = model + backend + scratch memory, one per thread or MPI rank
 *
 * Every struct begins with struct_size, which the caller sets to sizeof(struct) as compiled:
 * an engine newer than its caller leaves the fields alone that the caller does not know.
 */
#ifndef CAMLIP_H
#define CAMLIP_H

#include <stddef.h>
#include <stdint.h>

#define CAMLIP_ABI_VERSION 1

#if defined(_WIN32)
#define CAMLIP_API __declspec(dllexport)
#else
#define CAMLIP_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum camlip_status {
    CAMLIP_OK = 0,
    CAMLIP_ERROR_ARGUMENT = 1, /* the caller broke the contract of the function    */
    CAMLIP_ERROR_FILE = 2,     /* model file missing, truncated or malformed       */
    CAMLIP_ERROR_BACKEND = 3,  /* backend not built in, or no such device          */
    CAMLIP_ERROR_MEMORY = 4,   /* allocation failed                                */
    CAMLIP_ERROR_EXCHANGE = 5, /* a halo-exchange callback returned non-zero       */
    CAMLIP_ERROR_NUMERIC = 6,  /* NaN or infinity in the input, or in the result   */
    CAMLIP_ERROR_INTERNAL = 7
} camlip_status;

/* Message of the last failed call on this thread; never NULL. */
CAMLIP_API const char* camlip_last_error(void);
CAMLIP_API int camlip_abi_version(void);
CAMLIP_API const char* camlip_version(void); /* "0.1.0" */

/* ---- model ---------------------------------------------------------------------------- */

typedef struct camlip_model camlip_model;

typedef struct camlip_model_info {
    size_t struct_size;
    double cutoff;                 /* Angstrom                                           */
    int32_t num_types;             /* elements that the model knows                      */
    int32_t num_layers;            /* 1 = strictly local, 2 = one message-passing step   */
    int32_t exchange_width;        /* doubles per atom in one halo exchange, 0 if none   */
    const int32_t* atomic_numbers; /* (num_types), ascending type; owned by the model    */
    const char* metadata_json;     /* the metadata of the file, owned by the model       */
} camlip_model_info;

/* Models that come with camlip are named "camlip:NAME" wherever a path is asked for.  This writes
 * the path, and any other name as it is, with its terminating zero to a buffer of `size` bytes. */
CAMLIP_API camlip_status camlip_model_path(const char* name, char* path, size_t size);
CAMLIP_API camlip_status camlip_model_load(const char* path, camlip_model** model);
/* The same from bytes in memory; the bytes may be freed afterwards.  `name` is for messages. */
CAMLIP_API camlip_status camlip_model_load_memory(const void* bytes, size_t num_bytes,
                                                  const char* name, camlip_model** model);
CAMLIP_API camlip_status camlip_model_get_info(const camlip_model* model, camlip_model_info* info);
CAMLIP_API void camlip_model_free(camlip_model* model);

/* ---- engine --------------------------------------------------------------------------- */

typedef struct camlip_engine camlip_engine;

typedef struct camlip_engine_options {
    size_t struct_size;
    const char* backend;   /* "reference", "cpu", "cuda", "cuda:1", or "auto": what the
                              environment variable CAMLIP_BACKEND says, else cpu; where that
                              says "auto", cuda if there is a device that can run the model
                              ("auto:1": device 1), else cpu.  NULL = "auto".
                              "cuda:current": in the CUDA context that is current to the thread
                              in this and every later call, also in camlip_engine_free       */
    const char* precision; /* "mixed" (float32, float64 sums) or "double"; NULL = "mixed"   */
    int32_t num_threads;   /* 0 = what OpenMP would use                                     */
    int32_t num_active_types;    /* 0 = all.  Radial tables are made for active types only: */
    const int32_t* active_types; /* matters for models of many elements                     */
    double skin;           /* of camlip_compute_system's own list, Angstrom; < 0 = default  */
    const char* simd;      /* "auto", "avx512", "avx2", "baseline"; NULL = "auto": what the
                                  environment variable CAMLIP_SIMD says, or the widest    */
} camlip_engine_options;

typedef struct camlip_engine_info {
    size_t struct_size;
    const char* backend;       /* the one chosen, owned by the engine                       */
    const char* precision;
    const char* simd;          /* instruction set of the kernels in use                     */
    int32_t num_threads;
    double radial_table_error; /* largest |table - radial network| over all tables, relative
                                  to the largest value; 0 where nothing is tabulated        */
    double radial_table_derivative_error; /* the same for d/dr                              */
    uint64_t memory_bytes;     /* held by the engine now                                    */
    int32_t makes_lists;       /* 1: camlip_compute takes lists without offsets             */
} camlip_engine_info;

/* How many devices backend "cuda" finds; 0 where it is not built in or there is no driver. */
CAMLIP_API camlip_status camlip_num_devices(int32_t* count);

/* options may be NULL.  The model must outlive the engine. */
CAMLIP_API camlip_status camlip_engine_create(const camlip_model* model,
                                              const camlip_engine_options* options,
                                              camlip_engine** engine);
CAMLIP_API camlip_status camlip_engine_get_info(const camlip_engine* engine,
                                                camlip_engine_info* info);
/* What computing forces will take, before the first call.  Zeros where the backend does not know. */
typedef struct camlip_memory_estimate {
    size_t struct_size;
    int64_t num_owned;         /* set by the caller                                         */
    int64_t num_ghost;         /* the same                                                  */
    int32_t periodic;          /* the same: 1 = a periodic system without ghosts            */
    double neighbors_per_atom; /* the same, of the list with its skin; 0 = as in training   */
    uint64_t needed_bytes;     /* the answer: with the largest workspace ...                */
    uint64_t least_bytes;      /* ... with the smallest                                     */
    uint64_t available_bytes;  /* free on the device, or held by the engine already         */
} camlip_memory_estimate;
CAMLIP_API camlip_status camlip_engine_estimate_memory(const camlip_engine* engine,
                                                       camlip_memory_estimate* memory);
CAMLIP_API void camlip_engine_free(camlip_engine* engine);

/* Full neighbor list in CSR form: neighbors of owned atom i are
 * indices[offsets[i] .. offsets[i+1]).  Entries may point at ghosts.  Pairs beyond the cutoff
 * are allowed (skin) and are ignored. */
typedef struct camlip_neighbor_list {
    size_t struct_size;
    const int64_t* offsets; /* (num_owned + 1)                                             */
    const int32_t* indices; /* (offsets[num_owned])                                        */
    uint64_t revision;      /* changes whenever the list does; lets backends cache         */
    double radius;          /* offsets NULL, for an engine that makes_lists: it makes the list
                               from the positions of owned atoms and ghosts, of pairs closer
                               than this (cutoff + skin), when the revision changes        */
} camlip_neighbor_list;

/* Halo exchange, called by the engine between message-passing layers.
 *   forward: copy rows of owned atoms to their ghosts             (owned -> ghost)
 *   reverse: add rows of ghosts onto the atoms that they image    (ghost -> owned)
 * features: (num_owned + num_ghost, width) doubles on the host.  Return 0 on success.
 * Both are collective: the engine calls them the same number of times on every rank, also on a
 * rank that owns no atoms.  May be NULL when num_ghost == 0 or the model is strictly local.
 * Who knows which owned atoms are ghosts elsewhere may say so: the callbacks then touch no other
 * owned row, and an engine that makes_lists takes no other row to the host. */
typedef struct camlip_exchange {
    size_t struct_size;
    void* context;
    int (*forward)(void* context, double* features, int32_t width);
    int (*reverse)(void* context, double* features, int32_t width);
    int64_t num_boundary;
    const int32_t* boundary; /* (num_boundary) rows of owned atoms, or NULL: any of them.  May
                                change only when the list's revision does                  */
} camlip_exchange;

typedef enum camlip_memory { CAMLIP_HOST = 0, CAMLIP_DEVICE = 1 } camlip_memory;

typedef struct camlip_atoms {
    size_t struct_size;
    camlip_memory memory;    /* CAMLIP_HOST; for arrays on the device see
                                camlip_compute_system                                      */
    void* stream;            /* NULL                                                       */
    int64_t num_owned;
    int64_t num_ghost;
    const double* positions; /* (num_owned + num_ghost, 3), Angstrom, already imaged       */
    const int32_t* types;    /* (num_owned + num_ghost), 0 .. num_types-1; an atom of type
                                -1 is not the model's: it has no energy and is no neighbor */
} camlip_atoms;

/* Any pointer may be NULL: that quantity is then not computed.  Arrays are added to. */
typedef struct camlip_results {
    size_t struct_size;
    double* energy;          /* (1) eV, sum over owned atoms                                */
    double* atomic_energies; /* (num_owned) eV                                              */
    double* forces;          /* (num_owned + num_ghost, 3) eV/A; ghosts need reverse comm   */
    double* virial;          /* (3, 3) eV, W_ab = sum_i r_ia F_ib                           */
    double* centroid_virial; /* (num_owned + num_ghost, 3, 3) eV, see docs/conventions.md   */
} camlip_results;

CAMLIP_API camlip_status camlip_compute(camlip_engine* engine, const camlip_atoms* atoms,
                                        const camlip_neighbor_list* neighbors,
                                        const camlip_exchange* exchange, camlip_results* results);

/* ---- a whole system, periodic or not, without domain decomposition ---------------------- */

typedef struct camlip_system {
    size_t struct_size;
    int64_t num_atoms;
    const double* positions; /* (num_atoms, 3), Angstrom; need not lie inside the cell      */
    const int32_t* types;    /* (num_atoms)                                                 */
    const double* cell;      /* (3, 3) rows are lattice vectors; NULL when nothing is periodic.
                                Any triclinic cell, also smaller than the cutoff            */
    int32_t periodic[3];     /* 1 = periodic along that lattice vector                      */
    camlip_memory memory;    /* of positions and of the arrays of the results; types and cell
                                are always on the host                                      */
    void* stream;            /* with CAMLIP_DEVICE                                          */
} camlip_system;

/* Makes, keeps (skin) and refreshes its own neighbor list and ghosts; results have num_atoms
 * rows everywhere.
 *
 * With CAMLIP_DEVICE (backend cuda) the work is queued in `stream`, a cudaStream_t of the engine's
 * device or context, behind what is there: the arrays are read and written when the device comes
 * to it.  Types and cell may change as soon as the function returns.  It waits until the device has
 * begun the step and looked whether the list still holds, not for its end; when a list is made it
 * waits for that.  Calls of one engine on different streams are for the caller to order.  Results
 * that are NaN or infinity are an error of the next call. */
CAMLIP_API camlip_status camlip_compute_system(camlip_engine* engine, const camlip_system* system,
                                               camlip_results* results);

/* Systems one after the other: atoms of system s are those from offsets[s] on. */
typedef struct camlip_systems {
    size_t struct_size;
    int64_t num_systems;
    const int64_t* offsets;   /* (num_systems + 1), offsets[0] = 0; N = offsets[num_systems]   */
    const double* positions;  /* (N, 3), Angstrom                                            */
    const int32_t* types;     /* (N)                                                         */
    const double* cells;      /* (num_systems, 3, 3); NULL when nothing is periodic          */
    const int32_t* periodic;  /* (num_systems, 3); NULL when nothing is periodic             */
} camlip_systems;

/* Many systems, above all small ones, in one call: they share blocks of atoms and threads.  Of the
 * results, energy has num_systems rows, virial (num_systems, 3, 3), the others N.  Lists are made
 * anew in every call.  With a status other than OK the results are undefined. */
CAMLIP_API camlip_status camlip_compute_systems(camlip_engine* engine,
                                                const camlip_systems* systems,
                                                camlip_results* results);

/* ---- relaxation ------------------------------------------------------------------------ */

typedef enum camlip_optimizer { CAMLIP_LBFGS = 0, CAMLIP_FIRE = 1 } camlip_optimizer;

typedef enum camlip_cell_change {
    CAMLIP_CELL_FIXED = 0,
    CAMLIP_CELL_STRAIN = 1,   /* the components of `strain`                                 */
    CAMLIP_CELL_ISOTROPIC = 2 /* one factor for all lengths                                 */
} camlip_cell_change;

typedef enum camlip_relax_end {
    CAMLIP_RELAX_CONVERGED = 0, /* forces and stress are below the limits                   */
    CAMLIP_RELAX_STEPS = 1,     /* max_steps steps were not enough                          */
    CAMLIP_RELAX_STOPPED = 2,   /* the callback returned non-zero                           */
    CAMLIP_RELAX_STALLED = 3,   /* no lower point was found, often because of rounding      */
    CAMLIP_RELAX_DIVERGED = 4   /* an atom lost all neighbors, or the cell exploded or
                                   collapsed; see `atom` of the result                      */
} camlip_relax_end;

/* The state after a step; the arrays are valid during the callback. */
typedef struct camlip_relax_step {
    size_t struct_size;
    int64_t step;            /* 0 is the start                                              */
    int64_t num_evaluations; /* of energy and forces, so far                                */
    double energy;           /* eV                                                          */
    double max_force;        /* largest force norm of atoms that are not fixed, eV/A        */
    double max_stress;       /* largest principal value of the stress + pressure that moves
                                the cell, eV/A^3; 0 with a fixed cell                       */
    const double* positions; /* (num_atoms, 3)                                              */
    const double* forces;    /* (num_atoms, 3)                                              */
    const double* cell;      /* (3, 3); NULL if the system has none                         */
} camlip_relax_step;

/* Zero in every field is a sensible choice. */
typedef struct camlip_relax_options {
    size_t struct_size;
    int32_t optimizer;     /* a camlip_optimizer                                            */
    double max_force;      /* limit on the largest force norm, eV/A; 0 = 0.01               */
    double max_stress;     /* the same for stress + pressure, eV/A^3; 0 = max_force / 100 A^2 */
    int64_t max_steps;     /* 0 = 1000; < 0 = none: energy and forces of the start          */
    double max_step;       /* no atom moves further in one step, Angstrom; 0 = 0.2          */
    const uint8_t* fixed;  /* (num_atoms) 1 = keeps its place in the cell; NULL = none      */
    int32_t cell_change;   /* a camlip_cell_change                                          */
    int32_t strain[6];     /* 1 = free: xx, yy, zz, yz, xz, xy; all zero = all free         */
    double pressure;       /* hydrostatic, positive compresses, eV/A^3; with a free cell    */
    void* context;
    int (*callback)(void* context, const camlip_relax_step* step); /* non-zero stops; may be
                                                                      NULL                  */
} camlip_relax_options;

typedef struct camlip_relax_result {
    size_t struct_size;
    double* positions; /* (num_atoms, 3), set by the caller, may be those of the system     */
    double* cell;      /* (3, 3), the same; may be NULL with a fixed cell                   */
    double* forces;    /* (num_atoms, 3) or NULL                                            */
    camlip_relax_end end;
    int64_t num_steps;
    int64_t num_evaluations;
    double start_energy; /* eV                                                              */
    double energy;       /* eV; minus start_energy: what the relaxation gained              */
    double max_force;    /* as in camlip_relax_step                                         */
    double max_stress;
    double stress[6];    /* eV/A^3, ASE's sign, xx, yy, zz, yz, xz, xy; 0 without a volume  */
    int64_t atom;        /* CAMLIP_RELAX_DIVERGED: the atom that lost its neighbors; else -1 */
} camlip_relax_result;

/* Relaxes positions, and the cell if asked for, with the engine's own neighbor list.  OK for every
 * `end`; with any other status the arrays of the result are not written.  Formulas and sources in
 * docs/relaxation.md. */
CAMLIP_API camlip_status camlip_relax(camlip_engine* engine, const camlip_system* system,
                                      const camlip_relax_options* options,
                                      camlip_relax_result* result);

/* The neighbor list alone, for tests and for hosts that need it. */
typedef struct camlip_neighbors camlip_neighbors;

typedef struct camlip_neighbors_view {
    size_t struct_size;
    int64_t num_atoms;
    int64_t num_ghost;
    const int64_t* ghost_owner;  /* (num_ghost) atom that the ghost images                  */
    const int32_t* ghost_shift;  /* (num_ghost, 3) r_ghost = r_owner + shift . cell         */
    const double* positions;     /* (num_atoms + num_ghost, 3), as of the last update       */
    const int64_t* offsets;      /* (num_atoms + 1)                                         */
    const int32_t* indices;      /* full list with skin                                     */
    uint64_t revision;           /* number of times the list was rebuilt                    */
} camlip_neighbors_view;

CAMLIP_API camlip_status camlip_neighbors_create(double cutoff, double skin,
                                                 camlip_neighbors** neighbors);
/* Refreshes ghost positions; rebuilds when the pairs within the cutoff may no longer all be there:
 * an atom moved by more than skin/2 since the last build (less while the cell is strained), or the
 * cell changed by more than that bears, or the periodicity or the number of atoms changed. */
CAMLIP_API camlip_status camlip_neighbors_update(camlip_neighbors* neighbors,
                                                 const camlip_system* system);
CAMLIP_API camlip_status camlip_neighbors_get(const camlip_neighbors* neighbors,
                                              camlip_neighbors_view* view);
CAMLIP_API void camlip_neighbors_free(camlip_neighbors* neighbors);

/* ---- training: gradients by the parameters ------------------------------------------------ */

/* A model whose parameters change.  Its derivatives are those of sum_s c_s E_s, where the caller
 * chooses the seed c_s of each structure, at displaced and strained positions: force matching
 * needs no more (docs/training.md).  One trainer is for one thread at a time. */
typedef struct camlip_trainer camlip_trainer;
typedef struct camlip_batch camlip_batch;

/* S structures with N atoms and E edges together, one after the other.  An edge goes from its
 * center to the image of a neighbor of the same structure, at r_j + shift . cell. */
typedef struct camlip_structures {
    size_t struct_size;
    int64_t num_structures;
    int64_t num_edges;
    const int64_t* num_atoms; /* (S)                                                        */
    const double* positions;  /* (N, 3) Angstrom                                            */
    const int32_t* types;     /* (N), 0 .. num_types-1                                      */
    const double* cells;      /* (S, 3, 3), rows are lattice vectors                        */
    const int32_t* centers;   /* (E), ascending                                             */
    const int32_t* neighbors; /* (E)                                                        */
    const int32_t* shifts;    /* (E, 3)                                                     */
} camlip_structures;

/* Where to evaluate: r -> (1 + strain) r + displacement.  NULL stands for zero, and for seeds
 * of 1. */
typedef struct camlip_training_point {
    size_t struct_size;
    const double* displacements; /* (N, 3) Angstrom                                         */
    const double* strains;       /* (S, 3, 3), symmetric                                    */
    const double* seeds;         /* (S)                                                     */
} camlip_training_point;

/* Overwritten; gradient is added to.  A pointer that is NULL is not computed. */
typedef struct camlip_training_results {
    size_t struct_size;
    double* energies; /* (S) eV, with the reference energies, whatever the seeds              */
    double* forces;   /* (N, 3) eV/A, of sum_s c_s E_s                                        */
    double* virials;  /* (S, 3, 3) eV, of c_s E_s                                             */
    double* gradient; /* (num_parameters), of sum_s c_s E_s                                   */
} camlip_training_results;

/* Copies the model.  CAMLIP_ERROR_BACKEND when the backend cannot train. */
CAMLIP_API camlip_status camlip_trainer_create(const camlip_model* model,
                                               const camlip_engine_options* options,
                                               camlip_trainer** trainer);
CAMLIP_API void camlip_trainer_free(camlip_trainer* trainer);
/* Parameters are the tensors of the model file that training changes, one after the other.
 * `index` counts tensors; past the last one name is NULL and offset the number of parameters. */
CAMLIP_API camlip_status camlip_trainer_get_tensor(const camlip_trainer* trainer, int64_t index,
                                                   const char** name, int64_t* offset);
CAMLIP_API camlip_status camlip_trainer_get_parameters(const camlip_trainer* trainer,
                                                       double* values);
CAMLIP_API camlip_status camlip_trainer_set_parameters(camlip_trainer* trainer,
                                                       const double* values);
/* Copies what it needs. */
CAMLIP_API camlip_status camlip_batch_create(const camlip_trainer* trainer,
                                             const camlip_structures* structures,
                                             camlip_batch** batch);
/* The structures of several batches, one after the other: batches of one structure each can be made
 * once and put together anew in each epoch.  The parts may be freed afterwards. */
CAMLIP_API camlip_status camlip_batch_join(const camlip_batch* const* parts, int64_t num_parts,
                                           camlip_batch** batch);
/* Each structure twice, for two points of a line: structures 2 s and 2 s + 1 are s, and likewise
 * the atoms, so that sums of the gradient have both next to each other when they nearly cancel. */
CAMLIP_API camlip_status camlip_batch_double(const camlip_batch* single, camlip_batch** batch);
CAMLIP_API void camlip_batch_free(camlip_batch* batch);
/* point may be NULL. */
CAMLIP_API camlip_status camlip_trainer_compute(camlip_trainer* trainer, const camlip_batch* batch,
                                                const camlip_training_point* point,
                                                camlip_training_results* results);

#ifdef __cplusplus
}
#endif
#endif /* CAMLIP_H */
