// SPDX-License-Identifier: MIT
// Edges of one atom: geometry, packed STF basis, radial functions, and what their adjoints add to.
#ifndef CAMLIP_CPU_EDGES_HPP
#define CAMLIP_CPU_EDGES_HPP

#include "cpu/kernels.hpp"
#include "cpu/linear.hpp"
#include "cpu/simd.hpp"

namespace camlip::cpu::CAMLIP_ISA {

inline double* row_of(RowBuffer& buffer, long row) {
    if (buffer.dirty) {
        std::uint8_t& dirty = buffer.dirty[row >> kDirtyShift];
        if (!dirty) {
            double* first = buffer.data + ((row >> kDirtyShift) << kDirtyShift) * buffer.width;
            for (long n = 0; n < (1L << kDirtyShift) * buffer.width; ++n) first[n] = 0;
            dirty = 1;
        }
    }
    return buffer.data + row * buffer.width;
}

CAMLIP_INLINE int rank_of(int m) { return m < 1 ? 0 : m < 4 ? 1 : m < 9 ? 2 : 3; }

// Packed STF components of the directions, rows of s.basis, and no more than max_rank asks for.
template <class T>
CAMLIP_INLINE void basis_of(Vector<T> x, Vector<T> y, Vector<T> z, int max_rank, T* out) {
    using V = Vector<T>;
    store<T>(out, V{} + T(1));
    if (max_rank < 1) return;
    store<T>(out + 1 * kChunk, x);
    store<T>(out + 2 * kChunk, y);
    store<T>(out + 3 * kChunk, z);
    if (max_rank < 2) return;
    const T s2 = T(1.4142135623730951), s6 = T(0.40824829046386302);
    const V xx = x * x, yy = y * y, zz = z * z;
    store<T>(out + 4 * kChunk, s2 * x * y);
    store<T>(out + 5 * kChunk, s2 * y * z);
    store<T>(out + 6 * kChunk, s2 * x * z);
    store<T>(out + 7 * kChunk, (s2 / 2) * (xx - yy));
    store<T>(out + 8 * kChunk, s6 * (2 * zz - xx - yy));
    if (max_rank < 3) return;
    const T k = T(0.31622776601683794), k15 = T(0.38729833462074170), k6 = T(1.2247448713915890);
    const V q = 4 * zz - xx - yy;
    store<T>(out + 9 * kChunk, T(0.5) * y * (3 * xx - yy));
    store<T>(out + 10 * kChunk, (2 * k6) * x * y * z);
    store<T>(out + 11 * kChunk, k15 * y * q);
    store<T>(out + 12 * kChunk, k * z * (2 * zz - 3 * xx - 3 * yy));
    store<T>(out + 13 * kChunk, k15 * x * q);
    store<T>(out + 14 * kChunk, k6 * z * (xx - yy));
    store<T>(out + 15 * kChunk, T(0.5) * x * (xx - 3 * yy));
}

// Adds sum_m y_bar_m dY_m/du (as polynomials) to g, with y_bar the rows at `bar` of the given
// stride.
template <class T>
CAMLIP_INLINE void basis_adjoint(Vector<T> x, Vector<T> y, Vector<T> z, int max_rank, const T* bar,
                                 long stride, Vector<T>* g) {
    using V = Vector<T>;
    if (max_rank < 1) return;
    g[0] += load<T>(bar + 1 * stride);
    g[1] += load<T>(bar + 2 * stride);
    g[2] += load<T>(bar + 3 * stride);
    if (max_rank < 2) return;
    const T s2 = T(1.4142135623730951), s6 = T(0.81649658092772603);
    const V b4 = s2 * load<T>(bar + 4 * stride), b5 = s2 * load<T>(bar + 5 * stride);
    const V b6 = s2 * load<T>(bar + 6 * stride), b7 = s2 * load<T>(bar + 7 * stride);
    const V b8 = s6 * load<T>(bar + 8 * stride);
    g[0] += b4 * y + b6 * z + b7 * x - b8 * x;
    g[1] += b4 * x + b5 * z - b7 * y - b8 * y;
    g[2] += b5 * y + b6 * x + 2 * (b8 * z);
    if (max_rank < 3) return;
    const T k = T(0.31622776601683794), k15 = T(0.38729833462074170), k6 = T(1.2247448713915890);
    const V xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, xz = x * z;
    const V b9 = load<T>(bar + 9 * stride), b10 = (2 * k6) * load<T>(bar + 10 * stride);
    const V b11 = k15 * load<T>(bar + 11 * stride), b12 = k * load<T>(bar + 12 * stride);
    const V b13 = k15 * load<T>(bar + 13 * stride), b14 = k6 * load<T>(bar + 14 * stride);
    const V b15 = load<T>(bar + 15 * stride), difference = T(1.5) * (xx - yy);
    g[0] += 3 * (b9 * xy) + b10 * yz - 2 * (b11 * xy) - 6 * (b12 * xz) +
            b13 * (4 * zz - 3 * xx - yy) + 2 * (b14 * xz) + b15 * difference;
    g[1] += b9 * difference + b10 * xz + b11 * (4 * zz - xx - 3 * yy) - 6 * (b12 * yz) -
            2 * (b13 * xy) - 2 * (b14 * yz) - 3 * (b15 * xy);
    g[2] += b10 * xy + 8 * (b11 * yz) + b12 * (6 * zz - 3 * (xx + yy)) + 8 * (b13 * xz) +
            b14 * (xx - yy);
}

template <class V, class T>
CAMLIP_INLINE V load_as(const T* p) {
    V v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
}

// sum_n c_n t^n and its derivative, coefficients `stride` apart, to `row` and `row_derivative`.
template <class T, class V, bool kDerivative, int kDegree>
CAMLIP_INLINE void polynomial(const T* c, int stride, T t, T scale, T* row, T* row_derivative) {
    V value = load_as<V>(c + kDegree * stride);
    V slope = value;
    value = value * t + load_as<V>(c + (kDegree - 1) * stride);
#pragma GCC unroll 8
    for (int n = kDegree - 2; n >= 0; --n) {
        if constexpr (kDerivative) slope = slope * t + value;
        value = value * t + load_as<V>(c + n * stride);
    }
    __builtin_memcpy(row, &value, sizeof(value));
    if constexpr (kDerivative) {
        slope = slope * scale;
        __builtin_memcpy(row_derivative, &slope, sizeof(slope));
    }
}

// Radial functions of the edges from `at` on as rows of s.row, and their derivatives; rows from
// count to padded are zero.
template <class T, bool kDerivative, int kDegree>
CAMLIP_INLINE void radial_rows(const Parameters<T>& p, const LayerData<T>& layer, Scratch<T>& s,
                               long at, int count, int padded) {
    constexpr int W = kLanes<T>;
    const T scale = static_cast<T>(p.num_intervals / p.cutoff);
    const int stride = layer.radial_stride;
    for (int e = 0; e < count; ++e) {
        const T t = s.fraction[at + e];
        const long interval =
            static_cast<long>(s.pair[at + e]) * p.num_intervals + static_cast<int>(s.knot[at + e]);
        const T* c = layer.radial_table + interval * (kDegree + 1) * stride;
        T *row = s.row + e * stride, *slopes = s.row_derivative + e * stride;
        if (stride < W) {
            polynomial<T, HalfVector<T>, kDerivative, kDegree>(c, stride, t, scale, row, slopes);
            continue;
        }
        for (int k = 0; k < stride; k += W) {
            polynomial<T, Vector<T>, kDerivative, kDegree>(c + k, stride, t, scale, row + k,
                                                           slopes + k);
        }
    }
    for (int n = count * stride; n < padded * stride; ++n) {
        s.row[n] = 0;
        if constexpr (kDerivative) s.row_derivative[n] = 0;
    }
}

// Geometry and basis of the edges [first, first + count) of a slot.  Lanes beyond count are edges
// along x.  Returns the number of edges with them.
template <class T>
inline int load_directions(Scratch<T>& s, int slot, int first, int count, int max_rank) {
    using V = Vector<T>;
    constexpr int W = kLanes<T>;
    const long at = static_cast<long>(slot) * s.capacity + first;
    const int padded = (count + W - 1) / W * W;
    for (int e = count; e < padded; ++e) {
        s.difference[0][at + e] = T(1);
        s.difference[1][at + e] = T(0);
        s.difference[2][at + e] = T(0);
    }
    for (int e = 0; e < padded; e += W) {
        const V x = load<T>(s.difference[0] + at + e), y = load<T>(s.difference[1] + at + e);
        const V z = load<T>(s.difference[2] + at + e);
        const V r = square_root<T>(x * x + y * y + z * z), inverse = T(1) / r;
        store<T>(s.inverse + e, inverse);
        store<T>(s.direction[0] + e, x * inverse);
        store<T>(s.direction[1] + e, y * inverse);
        store<T>(s.direction[2] + e, z * inverse);
        basis_of<T>(x * inverse, y * inverse, z * inverse, max_rank, s.basis + e);
    }
    return padded;
}

// (kChunk, stride of k) to (k, kChunk).
template <class T>
inline void transpose_radial(int stride, int padded, const T* rows, T* columns) {
    if (stride < kLanes<T>) {
        transpose_halves<T>(rows, padded, columns, kChunk);
    } else {
        transpose<T>(rows, stride, padded, stride, columns, kChunk);
    }
}

// Geometry, basis and radial functions of the edges [first, first + count) of a slot.  Lanes
// beyond count have no radial functions: they add nothing anywhere.
// s.row is (kChunk, stride of k); with `transposed`, s.radial and s.derivative are (k, kChunk).
template <class T, bool kDerivative>
inline void load_chunk(const Parameters<T>& p, const LayerData<T>& layer, Scratch<T>& s, int slot,
                       int first, int count, int max_rank) {
    const long at = static_cast<long>(slot) * s.capacity + first;
    const int padded = load_directions<T>(s, slot, first, count, max_rank);
    if (sizeof(T) == 4 || p.table_degree == 5) {
        radial_rows<T, kDerivative, 5>(p, layer, s, at, count, padded);
    } else {
        radial_rows<T, kDerivative, 9>(p, layer, s, at, count, padded);
    }
    if constexpr (kDerivative) {
        transpose_radial<T>(layer.radial_stride, padded, s.row, s.radial);
        transpose_radial<T>(layer.radial_stride, padded, s.row_derivative, s.derivative);
    }
}

// From the adjoints along the edge: df/dr (`along`) and d/du (`across`, not yet projected) to the
// edge gradient f = dE/dr_ij, stored in s.force.
template <class T>
CAMLIP_INLINE void edge_gradient(Scratch<T>& s, int e, Vector<T> along, const Vector<T>* across) {
    using V = Vector<T>;
    const V x = load<T>(s.direction[0] + e), y = load<T>(s.direction[1] + e);
    const V z = load<T>(s.direction[2] + e), inverse = load<T>(s.inverse + e);
    const V radial = along - inverse * (x * across[0] + y * across[1] + z * across[2]);
    store<T>(s.force[0] + e, radial * x + inverse * across[0]);
    store<T>(s.force[1] + e, radial * y + inverse * across[1]);
    store<T>(s.force[2] + e, radial * z + inverse * across[2]);
}

// Adds the edge gradients of a chunk to forces, virial and centroid virial.  Lanes beyond count have
// no gradient.
template <class T>
inline void scatter_gradients(Scratch<T>& s, long i, int slot, int first, int count) {
    using D = Vector<double>;
    constexpr int W = kLanes<double>;
    const long at = static_cast<long>(slot) * s.capacity + first;
    D center[3] = {}, virial[9] = {};
    for (int e = 0; e < count; e += W) {
        D f[3], r[3];
        for (int a = 0; a < 3; ++a) {
            f[a] = load_widened<T>(s.force[a] + e);
            r[a] = load_widened<T>(s.difference[a] + at + e);
            center[a] += f[a];
        }
        for (int a = 0; a < 3; ++a) {
            for (int b = 0; b < 3; ++b) virial[3 * a + b] += r[a] * f[b];
        }
    }
    for (int n = 0; n < 9; ++n) {
        double* out = s.virial + n * kVirialLanes;
        store<double>(out, load<double>(out) - virial[n]);
    }
    if (s.forces.data) {
        for (int e = 0; e < count; ++e) {
            double* row = row_of(s.forces, s.neighbor[at + e]);
            for (int a = 0; a < 3; ++a) row[a] -= static_cast<double>(s.force[a][e]);
        }
        double* row = row_of(s.forces, i);
        for (int a = 0; a < 3; ++a) row[a] += sum<double>(center[a]);
    }
    if (!s.centroid.data) return;
    for (int e = 0; e < count; ++e) {
        double* row = row_of(s.centroid, s.neighbor[at + e]);
        for (int a = 0; a < 3; ++a) {
            for (int b = 0; b < 3; ++b) {
                row[3 * a + b] -= static_cast<double>(s.difference[a][at + e]) * s.force[b][e];
            }
        }
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
