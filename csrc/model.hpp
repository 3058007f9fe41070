// SPDX-License-Identifier: MIT
// Typed parameters of a model, exactly as they are in the file (in double): nothing is folded,
// transposed or tabulated here; that is the business of each backend.
//
// Letters, as in docs/model_file.md: T types, n layers, L max_rank, Lm message_rank, C channels,
// K and Kr radial functions of layer 0 and of those above, P0 and P1 message scalars and vectors,
// Q = P0 + P1, H hidden, B Bessel functions, W radial width, P contraction paths.  The last index
// is the fastest.  Every linear map is x @ weight: rows are inputs.
#ifndef CAMLIP_MODEL_HPP
#define CAMLIP_MODEL_HPP

#include <cstddef>
#include <string>
#include <vector>

namespace camlip {

struct ModelFile;

constexpr int kMaxRank = 3;

// The even paths (a, b, c) of the contraction, 1 <= a <= b, in the order of the product weights.
struct Path {
    int a, b, c;
};
std::vector<Path> contraction_paths(int max_rank);

struct Config {
    double cutoff = 0;  // Angstrom
    int num_layers = 0;
    int max_rank = 0;
    int message_rank = 0;
    int num_channels = 0;
    int num_radial = 0;
    int num_message_radial = 0;
    int num_message_scalars = 0;
    int num_message_vectors = 0;
    int num_hidden = 0;
    int num_bessel = 0;
    int radial_width = 0;
    bool zbl = false;
    double average_num_neighbors = 0;  // n_bar; the radial functions carry 1/sqrt(n_bar)

    int num_components() const { return (max_rank + 1) * (max_rank + 1); }
    int num_message_components() const { return (message_rank + 1) * (message_rank + 1); }
    int num_sent() const { return num_message_scalars + num_message_vectors; }  // Q
    int num_invariants() const { return (3 * max_rank + 3) * num_channels; }
    int num_transverse() const { return max_rank < 2 ? max_rank : 2; }  // ranks 1, 2
    int num_radial_of(int layer) const { return layer == 0 ? num_radial : num_message_radial; }
    // Doubles per atom of the node features h, 0 for a local model.
    int exchange_width() const {
        return num_layers == 1 ? 0 : num_message_scalars + 3 * num_message_vectors;
    }
};

// z = SiLU(bessel(x) bessel_weight + pair_bias[center, neighbor]),
// g = n_bar^-1/2 f(x) SiLU(z hidden_weight + hidden_bias) output_weight
struct RadialNetwork {
    std::vector<double> bessel_weight;  // (B, W)
    std::vector<double> pair_bias;      // (T, T, W): center, neighbor
    std::vector<double> hidden_weight;  // (W, W)
    std::vector<double> hidden_bias;    // (W)
    std::vector<double> output_weight;  // (W, K), above layer 0 (W, Kr)
};

// B^c = sum over paths of weight * K^abc(A^a, A^b);  D^l = B^l mixing^l + skip^l * A^l
struct Contraction {
    std::vector<double> weight;  // (T, P, C); empty when P = 0
    std::vector<double> mixing;  // (L+1, C, C)
    std::vector<double> skip;  // (L+1, C)
};

// h = (I * scale) weight + bias[type]
struct Hidden {
    std::vector<double> scale;  // ((3L+3) C)
    std::vector<double> weight;  // ((3L+3) C, H)
    std::vector<double> bias;  // (T, H)
};

// e = SiLU(SiLU(h) weight + bias) . output
struct Readout {
    std::vector<double> weight;  // (H, H)
    std::vector<double> bias;  // (H)
    std::vector<double> output;  // (H)
};

// m = SiLU(h) weight;  scalars m[:P0], vectors m[P0 + p] * sum_c vector[c, p] D^1[c]
struct Message {
    std::vector<double> weight;  // (H, Q)
    std::vector<double> vector;  // (C, P1)
};

struct Layer {
    RadialNetwork radial;
    std::vector<double> mixing;  // layer 0: (L+1, K, C); above: (Lm+1, Kr Q, C), rows k Q + q
    std::vector<double> transverse_mixing;  // above layer 0: (min(L,2), Kr P1, C), rows k P1 + p
    std::vector<double> skip;  // above layer 0: (L+1, C), of the layer below's moments
    Contraction contraction;
    Hidden hidden;
    Readout readout;
    Message message;  // what this layer sends to the next; empty in the last layer
};

struct Model {
    std::string name;  // for messages
    std::string architecture;  // "cartesian_moments"
    std::string metadata_json;  // __metadata__ of the file
    Config config;
    std::vector<int> atomic_numbers;  // (T), ascending
    std::vector<double> reference_energies;  // (T), eV
    double energy_scale = 1;  // eV per unit of the readouts' sum
    std::vector<double> zbl_radii;  // (T), Angstrom; empty unless config.zbl
    std::vector<Layer> layers;  // (n)

    int num_types() const { return static_cast<int>(atomic_numbers.size()); }
};

// Checks the config against its ranges and every tensor against the config; nothing may be
// missing or left over, every number is finite.  Throws FileError.
Model model_from_file(const ModelFile& file);

}  // namespace camlip

#endif
