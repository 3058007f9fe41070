// SPDX-License-Identifier: MIT
// Written by scripts/generate_contraction.py from camlip.nn.contraction; do not edit.
//
// Products of moments, B^c = sum over paths (a, b, c) of w K^abc(A^a, A^b), their adjoint and
// the gradient by w, for one vector of channels.  Component m of A lies at a[m * stride], path p of
// w at w[p * w_stride].
// Every product A_x A_y is formed once and shared by the paths of its pair of ranks.
#ifndef CAMLIP_CPU_CONTRACTION_GENERATED_HPP
#define CAMLIP_CPU_CONTRACTION_GENERATED_HPP
// clang-format off

#include "cpu/simd.hpp"

namespace camlip::cpu::CAMLIP_ISA {

template <class T>
inline void contraction_forward_1(const T* a, const T* w, T* b,
                                  long stride, long w_stride) {
    using V = Vector<T>;
    const V a1 = load<T>(a + 1 * stride);
    const V a2 = load<T>(a + 2 * stride);
    const V a3 = load<T>(a + 3 * stride);
    {
        const V p0 = a1 * a1;
        const V p1 = a2 * a2;
        const V p2 = a3 * a3;
        {
            const V w_ = load<T>(w + 0 * w_stride);
            store<T>(b + 0 * stride, w_ * (T(0.57735026918962595) * p0 + T(0.57735026918962595) *
                p1 + T(0.57735026918962595) * p2));
        }
    }
    store<T>(b + 1 * stride, V{});
    store<T>(b + 2 * stride, V{});
    store<T>(b + 3 * stride, V{});
}

template <class T>
inline void contraction_adjoint_1(const T* a, const T* w, const T* b_bar, T* a_bar,
                                  long stride, long w_stride) {
    using V = Vector<T>;
    const V a1 = load<T>(a + 1 * stride);
    V g1 = load<T>(a_bar + 1 * stride);
    const V a2 = load<T>(a + 2 * stride);
    V g2 = load<T>(a_bar + 2 * stride);
    const V a3 = load<T>(a + 3 * stride);
    V g3 = load<T>(a_bar + 3 * stride);
    {
        const V w0 = load<T>(w + 0 * w_stride);
        const V s0_0 = w0 * load<T>(b_bar + 0 * stride);
        {
            const V q = T(1.1547005383792519) * s0_0;
            g1 += q * a1;
        }
        {
            const V q = T(1.1547005383792519) * s0_0;
            g2 += q * a2;
        }
        {
            const V q = T(1.1547005383792519) * s0_0;
            g3 += q * a3;
        }
    }
    store<T>(a_bar + 1 * stride, g1);
    store<T>(a_bar + 2 * stride, g2);
    store<T>(a_bar + 3 * stride, g3);
}

template <class T>
inline void contraction_gradient_1(const T* a, const T* b_bar, T* w_bar,
                                  long stride, long w_stride) {
    using V = Vector<T>;
    const V a1 = load<T>(a + 1 * stride);
    const V a2 = load<T>(a + 2 * stride);
    const V a3 = load<T>(a + 3 * stride);
    {
        const V p0 = a1 * a1;
        const V p1 = a2 * a2;
        const V p2 = a3 * a3;
        {
            V sum = load<T>(w_bar + 0 * w_stride);
            sum += load<T>(b_bar + 0 * stride) * (T(0.57735026918962595) * p0 +
                T(0.57735026918962595) * p1 + T(0.57735026918962595) * p2);
            store<T>(w_bar + 0 * w_stride, sum);
        }
    }
}

template <class T>
inline void contraction_forward_2(const T* a, const T* w, T* b,
                                  long stride, long w_stride) {
    using V = Vector<T>;
    const V a1 = load<T>(a + 1 * stride);
    const V a2 = load<T>(a + 2 * stride);
    const V a3 = load<T>(a + 3 * stride);
    const V a4 = load<T>(a + 4 * stride);
    const V a5 = load<T>(a + 5 * stride);
    const V a6 = load<T>(a + 6 * stride);
    const V a7 = load<T>(a + 7 * stride);
    const V a8 = load<T>(a + 8 * stride);
    {
        const V p0 = a1 * a1;
        const V p1 = a1 * a2;
        const V p2 = a1 * a3;
        const V p3 = a2 * a2;
        const V p4 = a2 * a3;
        const V p5 = a3 * a3;
        {
            const V w_ = load<T>(w + 0 * w_stride);
            store<T>(b + 0 * stride, w_ * (T(0.57735026918962595) * p0 + T(0.57735026918962595) *
                p3 + T(0.57735026918962595) * p5));
        }
        {
            const V w_ = load<T>(w + 1 * w_stride);
            store<T>(b + 4 * stride, w_ * (T(1.4142135623730949) * p1));
            store<T>(b + 5 * stride, w_ * (T(1.4142135623730949) * p4));
            store<T>(b + 6 * stride, w_ * (T(1.4142135623730949) * p2));
            store<T>(b + 7 * stride, w_ * (T(0.70710678118654802) * p0 - T(0.70710678118654802) *
                p3));
            store<T>(b + 8 * stride, w_ * (-T(0.40824829046386302) * p0 - T(0.40824829046386302) *
                p3 + T(0.81649658092772603) * p5));
        }
    }
    {
        const V p0 = a1 * a4;
        const V p1 = a1 * a6;
        const V p2 = a1 * a7;
        const V p3 = a1 * a8;
        const V p4 = a2 * a4;
        const V p5 = a2 * a5;
        const V p6 = a2 * a7;
        const V p7 = a2 * a8;
        const V p8 = a3 * a5;
        const V p9 = a3 * a6;
        const V p10 = a3 * a8;
        {
            const V w_ = load<T>(w + 2 * w_stride);
            store<T>(b + 1 * stride, w_ * (T(0.54772255750516596) * p2 - T(0.316227766016838) * p3
                + T(0.54772255750516596) * p4 + T(0.54772255750516596) * p9));
            store<T>(b + 2 * stride, w_ * (T(0.54772255750516596) * p0 - T(0.54772255750516596) *
                p6 - T(0.316227766016838) * p7 + T(0.54772255750516596) * p8));
            store<T>(b + 3 * stride, w_ * (T(0.54772255750516596) * p1 + T(0.54772255750516596) *
                p5 + T(0.63245553203367599) * p10));
        }
    }
    {
        const V p0 = a4 * a4;
        const V p1 = a4 * a5;
        const V p2 = a4 * a6;
        const V p3 = a4 * a8;
        const V p4 = a5 * a5;
        const V p5 = a5 * a6;
        const V p6 = a5 * a7;
        const V p7 = a5 * a8;
        const V p8 = a6 * a6;
        const V p9 = a6 * a7;
        const V p10 = a6 * a8;
        const V p11 = a7 * a7;
        const V p12 = a7 * a8;
        const V p13 = a8 * a8;
        {
            const V w_ = load<T>(w + 3 * w_stride);
            store<T>(b + 0 * stride, load<T>(b + 0 * stride) + w_ * (T(0.44721359549995798) * p0 +
                T(0.44721359549995798) * p4 + T(0.44721359549995798) * p8 + T(0.44721359549995798)
                * p11 + T(0.44721359549995798) * p13));
        }
        {
            const V w_ = load<T>(w + 4 * w_stride);
            store<T>(b + 4 * stride, load<T>(b + 4 * stride) + w_ * (-T(1.0690449676496969) * p3 +
                T(0.92582009977255098) * p5));
            store<T>(b + 5 * stride, load<T>(b + 5 * stride) + w_ * (T(0.92582009977255098) * p2 -
                T(0.92582009977255098) * p6 + T(0.53452248382484902) * p7));
            store<T>(b + 6 * stride, load<T>(b + 6 * stride) + w_ * (T(0.92582009977255098) * p1 +
                T(0.92582009977255098) * p9 + T(0.53452248382484902) * p10));
            store<T>(b + 7 * stride, load<T>(b + 7 * stride) + w_ * (-T(0.46291004988627599) * p4 +
                T(0.46291004988627599) * p8 - T(1.0690449676496969) * p12));
            store<T>(b + 8 * stride, load<T>(b + 8 * stride) + w_ * (-T(0.53452248382484902) * p0 +
                T(0.26726124191242401) * p4 + T(0.26726124191242401) * p8 - T(0.53452248382484902)
                * p11 + T(0.53452248382484902) * p13));
        }
    }
}

template <class T>
inline void contraction_adjoint_2(const T* a, const T* w, const T* b_bar, T* a_bar,
                                  long stride, long w_stride) {
    using V = Vector<T>;
    const V a1 = load<T>(a + 1 * stride);
    V g1 = load<T>(a_bar + 1 * stride);
    const V a2 = load<T>(a + 2 * stride);
    V g2 = load<T>(a_bar + 2 * stride);
    const V a3 = load<T>(a + 3 * stride);
    V g3 = load<T>(a_bar + 3 * stride);
    const V a4 = load<T>(a + 4 * stride);
    V g4 = load<T>(a_bar + 4 * stride);
    const V a5 = load<T>(a + 5 * stride);
    V g5 = load<T>(a_bar + 5 * stride);
    const V a6 = load<T>(a + 6 * stride);
    V g6 = load<T>(a_bar + 6 * stride);
    const V a7 = load<T>(a + 7 * stride);
    V g7 = load<T>(a_bar + 7 * stride);
    const V a8 = load<T>(a + 8 * stride);
    V g8 = load<T>(a_bar + 8 * stride);
    {
        const V w0 = load<T>(w + 0 * w_stride);
        const V s0_0 = w0 * load<T>(b_bar + 0 * stride);
        const V w1 = load<T>(w + 1 * w_stride);
        const V s1_0 = w1 * load<T>(b_bar + 4 * stride);
        const V s1_1 = w1 * load<T>(b_bar + 5 * stride);
        const V s1_2 = w1 * load<T>(b_bar + 6 * stride);
        const V s1_3 = w1 * load<T>(b_bar + 7 * stride);
        const V s1_4 = w1 * load<T>(b_bar + 8 * stride);
        {
            const V q = T(1.1547005383792519) * s0_0 + T(1.414213562373096) * s1_3 -
                T(0.81649658092772603) * s1_4;
            g1 += q * a1;
        }
        {
            const V q = T(1.4142135623730949) * s1_0;
            g1 += q * a2;
            g2 += q * a1;
        }
        {
            const V q = T(1.4142135623730949) * s1_2;
            g1 += q * a3;
            g3 += q * a1;
        }
        {
            const V q = T(1.1547005383792519) * s0_0 - T(1.414213562373096) * s1_3 -
                T(0.81649658092772603) * s1_4;
            g2 += q * a2;
        }
        {
            const V q = T(1.4142135623730949) * s1_1;
            g2 += q * a3;
            g3 += q * a2;
        }
        {
            const V q = T(1.1547005383792519) * s0_0 + T(1.6329931618554521) * s1_4;
            g3 += q * a3;
        }
    }
    {
        const V w2 = load<T>(w + 2 * w_stride);
        const V s2_0 = w2 * load<T>(b_bar + 1 * stride);
        const V s2_1 = w2 * load<T>(b_bar + 2 * stride);
        const V s2_2 = w2 * load<T>(b_bar + 3 * stride);
        {
            const V q = T(0.54772255750516596) * s2_1;
            g1 += q * a4;
            g4 += q * a1;
        }
        {
            const V q = T(0.54772255750516596) * s2_2;
            g1 += q * a6;
            g6 += q * a1;
        }
        {
            const V q = T(0.54772255750516596) * s2_0;
            g1 += q * a7;
            g7 += q * a1;
        }
        {
            const V q = -T(0.316227766016838) * s2_0;
            g1 += q * a8;
            g8 += q * a1;
        }
        {
            const V q = T(0.54772255750516596) * s2_0;
            g2 += q * a4;
            g4 += q * a2;
        }
        {
            const V q = T(0.54772255750516596) * s2_2;
            g2 += q * a5;
            g5 += q * a2;
        }
        {
            const V q = -T(0.54772255750516596) * s2_1;
            g2 += q * a7;
            g7 += q * a2;
        }
        {
            const V q = -T(0.316227766016838) * s2_1;
            g2 += q * a8;
            g8 += q * a2;
        }
        {
            const V q = T(0.54772255750516596) * s2_1;
            g3 += q * a5;
            g5 += q * a3;
        }
        {
            const V q = T(0.54772255750516596) * s2_0;
            g3 += q * a6;
            g6 += q * a3;
        }
        {
            const V q = T(0.63245553203367599) * s2_2;
            g3 += q * a8;
            g8 += q * a3;
        }
    }
    {
        const V w3 = load<T>(w + 3 * w_stride);
        const V s3_0 = w3 * load<T>(b_bar + 0 * stride);
        const V w4 = load<T>(w + 4 * w_stride);
        const V s4_0 = w4 * load<T>(b_bar + 4 * stride);
        const V s4_1 = w4 * load<T>(b_bar + 5 * stride);
        const V s4_2 = w4 * load<T>(b_bar + 6 * stride);
        const V s4_3 = w4 * load<T>(b_bar + 7 * stride);
        const V s4_4 = w4 * load<T>(b_bar + 8 * stride);
        {
            const V q = T(0.89442719099991597) * s3_0 - T(1.069044967649698) * s4_4;
            g4 += q * a4;
        }
        {
            const V q = T(0.92582009977255098) * s4_2;
            g4 += q * a5;
            g5 += q * a4;
        }
        {
            const V q = T(0.92582009977255098) * s4_1;
            g4 += q * a6;
            g6 += q * a4;
        }
        {
            const V q = -T(1.0690449676496969) * s4_0;
            g4 += q * a8;
            g8 += q * a4;
        }
        {
            const V q = T(0.89442719099991597) * s3_0 - T(0.92582009977255197) * s4_3 +
                T(0.53452248382484802) * s4_4;
            g5 += q * a5;
        }
        {
            const V q = T(0.92582009977255098) * s4_0;
            g5 += q * a6;
            g6 += q * a5;
        }
        {
            const V q = -T(0.92582009977255098) * s4_1;
            g5 += q * a7;
            g7 += q * a5;
        }
        {
            const V q = T(0.53452248382484902) * s4_1;
            g5 += q * a8;
            g8 += q * a5;
        }
        {
            const V q = T(0.89442719099991597) * s3_0 + T(0.92582009977255197) * s4_3 +
                T(0.53452248382484802) * s4_4;
            g6 += q * a6;
        }
        {
            const V q = T(0.92582009977255098) * s4_2;
            g6 += q * a7;
            g7 += q * a6;
        }
        {
            const V q = T(0.53452248382484902) * s4_2;
            g6 += q * a8;
            g8 += q * a6;
        }
        {
            const V q = T(0.89442719099991597) * s3_0 - T(1.069044967649698) * s4_4;
            g7 += q * a7;
        }
        {
            const V q = -T(1.0690449676496969) * s4_3;
            g7 += q * a8;
            g8 += q * a7;
        }
        {
            const V q = T(0.89442719099991597) * s3_0 + T(1.069044967649698) * s4_4;
            g8 += q * a8;
        }
    }
    store<T>(a_bar + 1 * stride, g1);
    store<T>(a_bar + 2 * stride, g2);
    store<T>(a_bar + 3 * stride, g3);
    store<T>(a_bar + 4 * stride, g4);
    store<T>(a_bar + 5 * stride, g5);
    store<T>(a_bar + 6 * stride, g6);
    store<T>(a_bar + 7 * stride, g7);
    store<T>(a_bar + 8 * stride, g8);
}

template <class T>
inline void contraction_gradient_2(const T* a, const T* b_bar, T* w_bar,
                                  long stride, long w_stride) {
    using V = Vector<T>;
    const V a1 = load<T>(a + 1 * stride);
    const V a2 = load<T>(a + 2 * stride);
    const V a3 = load<T>(a + 3 * stride);
    const V a4 = load<T>(a + 4 * stride);
    const V a5 = load<T>(a + 5 * stride);
    const V a6 = load<T>(a + 6 * stride);
    const V a7 = load<T>(a + 7 * stride);
    const V a8 = load<T>(a + 8 * stride);
    {
        const V p0 = a1 * a1;
        const V p1 = a1 * a2;
        const V p2 = a1 * a3;
        const V p3 = a2 * a2;
        const V p4 = a2 * a3;
        const V p5 = a3 * a3;
        {
            V sum = load<T>(w_bar + 0 * w_stride);
            sum += load<T>(b_bar + 0 * stride) * (T(0.57735026918962595) * p0 +
                T(0.57735026918962595) * p3 + T(0.57735026918962595) * p5);
            store<T>(w_bar + 0 * w_stride, sum);
        }
        {
            V sum = load<T>(w_bar + 1 * w_stride);
            sum += load<T>(b_bar + 4 * stride) * (T(1.4142135623730949) * p1);
            sum += load<T>(b_bar + 5 * stride) * (T(1.4142135623730949) * p4);
            sum += load<T>(b_bar + 6 * stride) * (T(1.4142135623730949) * p2);
            sum += load<T>(b_bar + 7 * stride) * (T(0.70710678118654802) * p0 -
                T(0.70710678118654802) * p3);
            sum += load<T>(b_bar + 8 * stride) * (-T(0.40824829046386302) * p0 -
                T(0.40824829046386302) * p3 + T(0.81649658092772603) * p5);
            store<T>(w_bar + 1 * w_stride, sum);
        }
    }
    {
        const V p0 = a1 * a4;
        const V p1 = a1 * a6;
        const V p2 = a1 * a7;
        const V p3 = a1 * a8;
        const V p4 = a2 * a4;
        const V p5 = a2 * a5;
        const V p6 = a2 * a7;
        const V p7 = a2 * a8;
        const V p8 = a3 * a5;
        const V p9 = a3 * a6;
        const V p10 = a3 * a8;
        {
            V sum = load<T>(w_bar + 2 * w_stride);
            sum += load<T>(b_bar + 1 * stride) * (T(0.54772255750516596) * p2 -
                T(0.316227766016838) * p3 + T(0.54772255750516596) * p4 + T(0.54772255750516596) *
                p9);
            sum += load<T>(b_bar + 2 * stride) * (T(0.54772255750516596) * p0 -
                T(0.54772255750516596) * p6 - T(0.316227766016838) * p7 + T(0.54772255750516596) *
                p8);
            sum += load<T>(b_bar + 3 * stride) * (T(0.54772255750516596) * p1 +
                T(0.54772255750516596) * p5 + T(0.63245553203367599) * p10);
            store<T>(w_bar + 2 * w_stride, sum);
        }
    }
    {
        const V p0 = a4 * a4;
        const V p1 = a4 * a5;
        const V p2 = a4 * a6;
        const V p3 = a4 * a8;
        const V p4 = a5 * a5;
        const V p5 = a5 * a6;
        const V p6 = a5 * a7;
        const V p7 = a5 * a8;
        const V p8 = a6 * a6;
        const V p9 = a6 * a7;
        const V p10 = a6 * a8;
        const V p11 = a7 * a7;
        const V p12 = a7 * a8;
        const V p13 = a8 * a8;
        {
            V sum = load<T>(w_bar + 3 * w_stride);
            sum += load<T>(b_bar + 0 * stride) * (T(0.44721359549995798) * p0 +
                T(0.44721359549995798) * p4 + T(0.44721359549995798) * p8 + T(0.44721359549995798)
                * p11 + T(0.44721359549995798) * p13);
            store<T>(w_bar + 3 * w_stride, sum);
        }
        {
            V sum = load<T>(w_bar + 4 * w_stride);
            sum += load<T>(b_bar + 4 * stride) * (-T(1.0690449676496969) * p3 +
                T(0.92582009977255098) * p5);
            sum += load<T>(b_bar + 5 * stride) * (T(0.92582009977255098) * p2 -
                T(0.92582009977255098) * p6 + T(0.53452248382484902) * p7);
            sum += load<T>(b_bar + 6 * stride) * (T(0.92582009977255098) * p1 +
                T(0.92582009977255098) * p9 + T(0.53452248382484902) * p10);
            sum += load<T>(b_bar + 7 * stride) * (-T(0.46291004988627599) * p4 +
                T(0.46291004988627599) * p8 - T(1.0690449676496969) * p12);
            sum += load<T>(b_bar + 8 * stride) * (-T(0.53452248382484902) * p0 +
                T(0.26726124191242401) * p4 + T(0.26726124191242401) * p8 - T(0.53452248382484902)
                * p11 + T(0.53452248382484902) * p13);
            store<T>(w_bar + 4 * w_stride, sum);
        }
    }
}

template <class T>
inline void contraction_forward_3(const T* a, const T* w, T* b,
                                  long stride, long w_stride) {
    using V = Vector<T>;
    const V a1 = load<T>(a + 1 * stride);
    const V a2 = load<T>(a + 2 * stride);
    const V a3 = load<T>(a + 3 * stride);
    const V a4 = load<T>(a + 4 * stride);
    const V a5 = load<T>(a + 5 * stride);
    const V a6 = load<T>(a + 6 * stride);
    const V a7 = load<T>(a + 7 * stride);
    const V a8 = load<T>(a + 8 * stride);
    const V a9 = load<T>(a + 9 * stride);
    const V a10 = load<T>(a + 10 * stride);
    const V a11 = load<T>(a + 11 * stride);
    const V a12 = load<T>(a + 12 * stride);
    const V a13 = load<T>(a + 13 * stride);
    const V a14 = load<T>(a + 14 * stride);
    const V a15 = load<T>(a + 15 * stride);
    {
        const V p0 = a1 * a1;
        const V p1 = a1 * a2;
        const V p2 = a1 * a3;
        const V p3 = a2 * a2;
        const V p4 = a2 * a3;
        const V p5 = a3 * a3;
        {
            const V w_ = load<T>(w + 0 * w_stride);
            store<T>(b + 0 * stride, w_ * (T(0.57735026918962595) * p0 + T(0.57735026918962595) *
                p3 + T(0.57735026918962595) * p5));
        }
        {
            const V w_ = load<T>(w + 1 * w_stride);
            store<T>(b + 4 * stride, w_ * (T(1.4142135623730949) * p1));
            store<T>(b + 5 * stride, w_ * (T(1.4142135623730949) * p4));
            store<T>(b + 6 * stride, w_ * (T(1.4142135623730949) * p2));
            store<T>(b + 7 * stride, w_ * (T(0.70710678118654802) * p0 - T(0.70710678118654802) *
                p3));
            store<T>(b + 8 * stride, w_ * (-T(0.40824829046386302) * p0 - T(0.40824829046386302) *
                p3 + T(0.81649658092772603) * p5));
        }
    }
    {
        const V p0 = a1 * a4;
        const V p1 = a1 * a5;
        const V p2 = a1 * a6;
        const V p3 = a1 * a7;
        const V p4 = a1 * a8;
        const V p5 = a2 * a4;
        const V p6 = a2 * a5;
        const V p7 = a2 * a6;
        const V p8 = a2 * a7;
        const V p9 = a2 * a8;
        const V p10 = a3 * a4;
        const V p11 = a3 * a5;
        const V p12 = a3 * a6;
        const V p13 = a3 * a7;
        const V p14 = a3 * a8;
        {
            const V w_ = load<T>(w + 2 * w_stride);
            store<T>(b + 1 * stride, w_ * (T(0.54772255750516596) * p3 - T(0.316227766016838) * p4
                + T(0.54772255750516596) * p5 + T(0.54772255750516596) * p12));
            store<T>(b + 2 * stride, w_ * (T(0.54772255750516596) * p0 - T(0.54772255750516596) *
                p8 - T(0.316227766016838) * p9 + T(0.54772255750516596) * p11));
            store<T>(b + 3 * stride, w_ * (T(0.54772255750516596) * p2 + T(0.54772255750516596) *
                p6 + T(0.63245553203367599) * p14));
        }
        {
            const V w_ = load<T>(w + 3 * w_stride);
            store<T>(b + 9 * stride, w_ * (T(0.70710678118654802) * p0 + T(0.70710678118654802) *
                p8));
            store<T>(b + 10 * stride, w_ * (T(0.57735026918962595) * p1 + T(0.57735026918962595) *
                p7 + T(0.57735026918962595) * p10));
            store<T>(b + 11 * stride, w_ * (-T(0.182574185835055) * p0 + T(0.182574185835055) * p8
                + T(0.63245553203367599) * p9 + T(0.73029674334022099) * p11));
            store<T>(b + 12 * stride, w_ * (-T(0.44721359549995798) * p2 - T(0.44721359549995798) *
                p6 + T(0.77459666924148296) * p14));
            store<T>(b + 13 * stride, w_ * (-T(0.182574185835055) * p3 + T(0.63245553203367599) *
                p4 - T(0.182574185835055) * p5 + T(0.73029674334022099) * p12));
            store<T>(b + 14 * stride, w_ * (T(0.57735026918962595) * p2 - T(0.57735026918962595) *
                p6 + T(0.57735026918962595) * p13));
            store<T>(b + 15 * stride, w_ * (T(0.70710678118654802) * p3 - T(0.70710678118654802) *
                p5));
        }
    }
    {
        const V p0 = a1 * a9;
        const V p1 = a1 * a10;
        const V p2 = a1 * a11;
        const V p3 = a1 * a12;
        const V p4 = a1 * a13;
        const V p5 = a1 * a14;
        const V p6 = a1 * a15;
        const V p7 = a2 * a9;
        const V p8 = a2 * a10;
        const V p9 = a2 * a11;
        const V p10 = a2 * a12;
        const V p11 = a2 * a13;
        const V p12 = a2 * a14;
        const V p13 = a2 * a15;
        const V p14 = a3 * a10;
        const V p15 = a3 * a11;
        const V p16 = a3 * a12;
        const V p17 = a3 * a13;
        const V p18 = a3 * a14;
        {
            const V w_ = load<T>(w + 4 * w_stride);
            store<T>(b + 4 * stride, load<T>(b + 4 * stride) + w_ * (T(0.597614304667197) * p0 -
                T(0.154303349962092) * p2 - T(0.154303349962092) * p11 - T(0.597614304667197) * p13
                + T(0.48795003647426699) * p14));
            store<T>(b + 5 * stride, load<T>(b + 5 * stride) + w_ * (T(0.48795003647426699) * p1 -
                T(0.37796447300922698) * p10 - T(0.48795003647426699) * p12 +
                T(0.61721339984836798) * p15));
            store<T>(b + 6 * stride, load<T>(b + 6 * stride) + w_ * (-T(0.37796447300922698) * p3 +
                T(0.48795003647426699) * p5 + T(0.48795003647426699) * p8 + T(0.61721339984836798)
                * p17));
            store<T>(b + 7 * stride, load<T>(b + 7 * stride) + w_ * (-T(0.154303349962092) * p4 +
                T(0.597614304667197) * p6 + T(0.597614304667197) * p7 + T(0.154303349962092) * p9 +
                T(0.48795003647426699) * p18));
            store<T>(b + 8 * stride, load<T>(b + 8 * stride) + w_ * (T(0.53452248382484902) * p4 +
                T(0.53452248382484902) * p9 + T(0.65465367070797698) * p16));
        }
    }
    {
        const V p0 = a4 * a4;
        const V p1 = a4 * a5;
        const V p2 = a4 * a6;
        const V p3 = a4 * a8;
        const V p4 = a5 * a5;
        const V p5 = a5 * a6;
        const V p6 = a5 * a7;
        const V p7 = a5 * a8;
        const V p8 = a6 * a6;
        const V p9 = a6 * a7;
        const V p10 = a6 * a8;
        const V p11 = a7 * a7;
        const V p12 = a7 * a8;
        const V p13 = a8 * a8;
        {
            const V w_ = load<T>(w + 5 * w_stride);
            store<T>(b + 0 * stride, load<T>(b + 0 * stride) + w_ * (T(0.44721359549995798) * p0 +
                T(0.44721359549995798) * p4 + T(0.44721359549995798) * p8 + T(0.44721359549995798)
                * p11 + T(0.44721359549995798) * p13));
        }
        {
            const V w_ = load<T>(w + 6 * w_stride);
            store<T>(b + 4 * stride, load<T>(b + 4 * stride) + w_ * (-T(1.0690449676496969) * p3 +
                T(0.92582009977255098) * p5));
            store<T>(b + 5 * stride, load<T>(b + 5 * stride) + w_ * (T(0.92582009977255098) * p2 -
                T(0.92582009977255098) * p6 + T(0.53452248382484902) * p7));
            store<T>(b + 6 * stride, load<T>(b + 6 * stride) + w_ * (T(0.92582009977255098) * p1 +
                T(0.92582009977255098) * p9 + T(0.53452248382484902) * p10));
            store<T>(b + 7 * stride, load<T>(b + 7 * stride) + w_ * (-T(0.46291004988627599) * p4 +
                T(0.46291004988627599) * p8 - T(1.0690449676496969) * p12));
            store<T>(b + 8 * stride, load<T>(b + 8 * stride) + w_ * (-T(0.53452248382484902) * p0 +
                T(0.26726124191242401) * p4 + T(0.26726124191242401) * p8 - T(0.53452248382484902)
                * p11 + T(0.53452248382484902) * p13));
        }
    }
    {
        const V p0 = a4 * a9;
        const V p1 = a4 * a10;
        const V p2 = a4 * a11;
        const V p3 = a4 * a12;
        const V p4 = a4 * a13;
        const V p5 = a4 * a15;
        const V p6 = a5 * a9;
        const V p7 = a5 * a10;
        const V p8 = a5 * a11;
        const V p9 = a5 * a12;
        const V p10 = a5 * a13;
        const V p11 = a5 * a14;
        const V p12 = a5 * a15;
        const V p13 = a6 * a9;
        const V p14 = a6 * a10;
        const V p15 = a6 * a11;
        const V p16 = a6 * a12;
        const V p17 = a6 * a13;
        const V p18 = a6 * a14;
        const V p19 = a6 * a15;
        const V p20 = a7 * a9;
        const V p21 = a7 * a11;
        const V p22 = a7 * a12;
        const V p23 = a7 * a13;
        const V p24 = a7 * a14;
        const V p25 = a7 * a15;
        const V p26 = a8 * a9;
        const V p27 = a8 * a11;
        const V p28 = a8 * a12;
        const V p29 = a8 * a13;
        const V p30 = a8 * a15;
        {
            const V w_ = load<T>(w + 7 * w_stride);
            store<T>(b + 1 * stride, load<T>(b + 1 * stride) + w_ * (T(0.46291004988627599) * p0 -
                T(0.119522860933439) * p2 + T(0.37796447300922698) * p7 - T(0.29277002188456003) *
                p16 + T(0.37796447300922698) * p18 - T(0.119522860933439) * p23 +
                T(0.46291004988627599) * p25 + T(0.41403933560541201) * p29));
            store<T>(b + 2 * stride, load<T>(b + 2 * stride) + w_ * (-T(0.119522860933439) * p4 -
                T(0.46291004988627599) * p5 - T(0.29277002188456003) * p9 - T(0.37796447300922698)
                * p11 + T(0.37796447300922698) * p14 + T(0.46291004988627599) * p20 +
                T(0.119522860933439) * p21 + T(0.41403933560541201) * p27));
            store<T>(b + 3 * stride, load<T>(b + 3 * stride) + w_ * (T(0.37796447300922698) * p1 +
                T(0.478091443733757) * p8 + T(0.478091443733757) * p17 + T(0.37796447300922698) *
                p24 + T(0.50709255283710997) * p28));
        }
        {
            const V w_ = load<T>(w + 8 * w_stride);
            store<T>(b + 9 * stride, load<T>(b + 9 * stride) + w_ * (-T(0.28867513459481298) * p4 +
                T(0.45643546458763801) * p11 + T(0.45643546458763801) * p14 -
                T(0.28867513459481298) * p21 - T(0.64549722436790302) * p26));
            store<T>(b + 10 * stride, load<T>(b + 10 * stride) + w_ * (-T(0.57735026918962595) * p3
                + T(0.35355339059327401) * p10 - T(0.45643546458763801) * p12 +
                T(0.45643546458763801) * p13 + T(0.35355339059327401) * p15));
            store<T>(b + 11 * stride, load<T>(b + 11 * stride) + w_ * (T(0.44721359549995798) * p4
                + T(0.28867513459481298) * p5 + T(0.182574185835055) * p9 - T(0.35355339059327401)
                * p11 + T(0.35355339059327401) * p14 - T(0.28867513459481298) * p20 -
                T(0.44721359549995798) * p21 + T(0.38729833462074198) * p27));
            store<T>(b + 12 * stride, load<T>(b + 12 * stride) + w_ * (-T(0.57735026918962595) * p1
                + T(0.182574185835055) * p8 + T(0.182574185835055) * p17 - T(0.57735026918962595) *
                p24 + T(0.51639777949432197) * p28));
            store<T>(b + 13 * stride, load<T>(b + 13 * stride) + w_ * (-T(0.28867513459481298) * p0
                + T(0.44721359549995798) * p2 + T(0.35355339059327401) * p7 + T(0.182574185835055)
                * p16 + T(0.35355339059327401) * p18 + T(0.44721359549995798) * p23 -
                T(0.28867513459481298) * p25 + T(0.38729833462074198) * p29));
            store<T>(b + 14 * stride, load<T>(b + 14 * stride) + w_ * (T(0.45643546458763801) * p6
                - T(0.35355339059327401) * p8 + T(0.35355339059327401) * p17 +
                T(0.45643546458763801) * p19 - T(0.57735026918962595) * p22));
            store<T>(b + 15 * stride, load<T>(b + 15 * stride) + w_ * (T(0.28867513459481298) * p2
                - T(0.45643546458763801) * p7 + T(0.45643546458763801) * p18 -
                T(0.28867513459481298) * p23 - T(0.64549722436790302) * p30));
        }
    }
    {
        const V p0 = a9 * a9;
        const V p1 = a9 * a10;
        const V p2 = a9 * a11;
        const V p3 = a9 * a13;
        const V p4 = a9 * a14;
        const V p5 = a10 * a10;
        const V p6 = a10 * a11;
        const V p7 = a10 * a12;
        const V p8 = a10 * a13;
        const V p9 = a10 * a15;
        const V p10 = a11 * a11;
        const V p11 = a11 * a12;
        const V p12 = a11 * a13;
        const V p13 = a11 * a14;
        const V p14 = a11 * a15;
        const V p15 = a12 * a12;
        const V p16 = a12 * a13;
        const V p17 = a12 * a14;
        const V p18 = a13 * a13;
        const V p19 = a13 * a14;
        const V p20 = a13 * a15;
        const V p21 = a14 * a14;
        const V p22 = a14 * a15;
        const V p23 = a15 * a15;
        {
            const V w_ = load<T>(w + 9 * w_stride);
            store<T>(b + 0 * stride, load<T>(b + 0 * stride) + w_ * (T(0.37796447300922698) * p0 +
                T(0.37796447300922698) * p5 + T(0.37796447300922698) * p10 + T(0.37796447300922698)
                * p15 + T(0.37796447300922698) * p18 + T(0.37796447300922698) * p21 +
                T(0.37796447300922698) * p23));
        }
        {
            const V w_ = load<T>(w + 10 * w_stride);
            store<T>(b + 4 * stride, load<T>(b + 4 * stride) + w_ * (-T(0.48795003647426699) * p3 -
                T(0.97590007294853298) * p7 + T(0.75592894601845395) * p12 + T(0.48795003647426699)
                * p14));
            store<T>(b + 5 * stride, load<T>(b + 5 * stride) + w_ * (T(0.77151674981046003) * p4 +
                T(0.597614304667197) * p8 - T(0.77151674981046003) * p9 + T(0.30860669992418399) *
                p11 - T(0.597614304667197) * p13));
            store<T>(b + 6 * stride, load<T>(b + 6 * stride) + w_ * (T(0.77151674981046003) * p1 +
                T(0.597614304667197) * p6 + T(0.30860669992418399) * p16 + T(0.597614304667197) *
                p19 + T(0.77151674981046003) * p22));
            store<T>(b + 7 * stride, load<T>(b + 7 * stride) + w_ * (-T(0.48795003647426699) * p2 -
                T(0.37796447300922698) * p10 - T(0.97590007294853298) * p17 +
                T(0.37796447300922698) * p18 - T(0.48795003647426699) * p20));
            store<T>(b + 8 * stride, load<T>(b + 8 * stride) + w_ * (-T(0.54554472558998102) * p0 +
                T(0.32732683535398899) * p10 + T(0.436435780471985) * p15 + T(0.32732683535398899)
                * p18 - T(0.54554472558998102) * p23));
        }
    }
}

template <class T>
inline void contraction_adjoint_3(const T* a, const T* w, const T* b_bar, T* a_bar,
                                  long stride, long w_stride) {
    using V = Vector<T>;
    const V a1 = load<T>(a + 1 * stride);
    V g1 = load<T>(a_bar + 1 * stride);
    const V a2 = load<T>(a + 2 * stride);
    V g2 = load<T>(a_bar + 2 * stride);
    const V a3 = load<T>(a + 3 * stride);
    V g3 = load<T>(a_bar + 3 * stride);
    const V a4 = load<T>(a + 4 * stride);
    V g4 = load<T>(a_bar + 4 * stride);
    const V a5 = load<T>(a + 5 * stride);
    V g5 = load<T>(a_bar + 5 * stride);
    const V a6 = load<T>(a + 6 * stride);
    V g6 = load<T>(a_bar + 6 * stride);
    const V a7 = load<T>(a + 7 * stride);
    V g7 = load<T>(a_bar + 7 * stride);
    const V a8 = load<T>(a + 8 * stride);
    V g8 = load<T>(a_bar + 8 * stride);
    const V a9 = load<T>(a + 9 * stride);
    V g9 = load<T>(a_bar + 9 * stride);
    const V a10 = load<T>(a + 10 * stride);
    V g10 = load<T>(a_bar + 10 * stride);
    const V a11 = load<T>(a + 11 * stride);
    V g11 = load<T>(a_bar + 11 * stride);
    const V a12 = load<T>(a + 12 * stride);
    V g12 = load<T>(a_bar + 12 * stride);
    const V a13 = load<T>(a + 13 * stride);
    V g13 = load<T>(a_bar + 13 * stride);
    const V a14 = load<T>(a + 14 * stride);
    V g14 = load<T>(a_bar + 14 * stride);
    const V a15 = load<T>(a + 15 * stride);
    V g15 = load<T>(a_bar + 15 * stride);
    {
        const V w0 = load<T>(w + 0 * w_stride);
        const V s0_0 = w0 * load<T>(b_bar + 0 * stride);
        const V w1 = load<T>(w + 1 * w_stride);
        const V s1_0 = w1 * load<T>(b_bar + 4 * stride);
        const V s1_1 = w1 * load<T>(b_bar + 5 * stride);
        const V s1_2 = w1 * load<T>(b_bar + 6 * stride);
        const V s1_3 = w1 * load<T>(b_bar + 7 * stride);
        const V s1_4 = w1 * load<T>(b_bar + 8 * stride);
        {
            const V q = T(1.1547005383792519) * s0_0 + T(1.414213562373096) * s1_3 -
                T(0.81649658092772603) * s1_4;
            g1 += q * a1;
        }
        {
            const V q = T(1.4142135623730949) * s1_0;
            g1 += q * a2;
            g2 += q * a1;
        }
        {
            const V q = T(1.4142135623730949) * s1_2;
            g1 += q * a3;
            g3 += q * a1;
        }
        {
            const V q = T(1.1547005383792519) * s0_0 - T(1.414213562373096) * s1_3 -
                T(0.81649658092772603) * s1_4;
            g2 += q * a2;
        }
        {
            const V q = T(1.4142135623730949) * s1_1;
            g2 += q * a3;
            g3 += q * a2;
        }
        {
            const V q = T(1.1547005383792519) * s0_0 + T(1.6329931618554521) * s1_4;
            g3 += q * a3;
        }
    }
    {
        const V w2 = load<T>(w + 2 * w_stride);
        const V s2_0 = w2 * load<T>(b_bar + 1 * stride);
        const V s2_1 = w2 * load<T>(b_bar + 2 * stride);
        const V s2_2 = w2 * load<T>(b_bar + 3 * stride);
        const V w3 = load<T>(w + 3 * w_stride);
        const V s3_0 = w3 * load<T>(b_bar + 9 * stride);
        const V s3_1 = w3 * load<T>(b_bar + 10 * stride);
        const V s3_2 = w3 * load<T>(b_bar + 11 * stride);
        const V s3_3 = w3 * load<T>(b_bar + 12 * stride);
        const V s3_4 = w3 * load<T>(b_bar + 13 * stride);
        const V s3_5 = w3 * load<T>(b_bar + 14 * stride);
        const V s3_6 = w3 * load<T>(b_bar + 15 * stride);
        {
            const V q = T(0.54772255750516596) * s2_1 + T(0.70710678118654802) * s3_0 -
                T(0.182574185835055) * s3_2;
            g1 += q * a4;
            g4 += q * a1;
        }
        {
            const V q = T(0.57735026918962595) * s3_1;
            g1 += q * a5;
            g5 += q * a1;
        }
        {
            const V q = T(0.54772255750516596) * s2_2 - T(0.44721359549995798) * s3_3 +
                T(0.57735026918962595) * s3_5;
            g1 += q * a6;
            g6 += q * a1;
        }
        {
            const V q = T(0.54772255750516596) * s2_0 - T(0.182574185835055) * s3_4 +
                T(0.70710678118654802) * s3_6;
            g1 += q * a7;
            g7 += q * a1;
        }
        {
            const V q = -T(0.316227766016838) * s2_0 + T(0.63245553203367599) * s3_4;
            g1 += q * a8;
            g8 += q * a1;
        }
        {
            const V q = T(0.54772255750516596) * s2_0 - T(0.182574185835055) * s3_4 -
                T(0.70710678118654802) * s3_6;
            g2 += q * a4;
            g4 += q * a2;
        }
        {
            const V q = T(0.54772255750516596) * s2_2 - T(0.44721359549995798) * s3_3 -
                T(0.57735026918962595) * s3_5;
            g2 += q * a5;
            g5 += q * a2;
        }
        {
            const V q = T(0.57735026918962595) * s3_1;
            g2 += q * a6;
            g6 += q * a2;
        }
        {
            const V q = -T(0.54772255750516596) * s2_1 + T(0.70710678118654802) * s3_0 +
                T(0.182574185835055) * s3_2;
            g2 += q * a7;
            g7 += q * a2;
        }
        {
            const V q = -T(0.316227766016838) * s2_1 + T(0.63245553203367599) * s3_2;
            g2 += q * a8;
            g8 += q * a2;
        }
        {
            const V q = T(0.57735026918962595) * s3_1;
            g3 += q * a4;
            g4 += q * a3;
        }
        {
            const V q = T(0.54772255750516596) * s2_1 + T(0.73029674334022099) * s3_2;
            g3 += q * a5;
            g5 += q * a3;
        }
        {
            const V q = T(0.54772255750516596) * s2_0 + T(0.73029674334022099) * s3_4;
            g3 += q * a6;
            g6 += q * a3;
        }
        {
            const V q = T(0.57735026918962595) * s3_5;
            g3 += q * a7;
            g7 += q * a3;
        }
        {
            const V q = T(0.63245553203367599) * s2_2 + T(0.77459666924148296) * s3_3;
            g3 += q * a8;
            g8 += q * a3;
        }
    }
    {
        const V w4 = load<T>(w + 4 * w_stride);
        const V s4_0 = w4 * load<T>(b_bar + 4 * stride);
        const V s4_1 = w4 * load<T>(b_bar + 5 * stride);
        const V s4_2 = w4 * load<T>(b_bar + 6 * stride);
        const V s4_3 = w4 * load<T>(b_bar + 7 * stride);
        const V s4_4 = w4 * load<T>(b_bar + 8 * stride);
        {
            const V q = T(0.597614304667197) * s4_0;
            g1 += q * a9;
            g9 += q * a1;
        }
        {
            const V q = T(0.48795003647426699) * s4_1;
            g1 += q * a10;
            g10 += q * a1;
        }
        {
            const V q = -T(0.154303349962092) * s4_0;
            g1 += q * a11;
            g11 += q * a1;
        }
        {
            const V q = -T(0.37796447300922698) * s4_2;
            g1 += q * a12;
            g12 += q * a1;
        }
        {
            const V q = -T(0.154303349962092) * s4_3 + T(0.53452248382484902) * s4_4;
            g1 += q * a13;
            g13 += q * a1;
        }
        {
            const V q = T(0.48795003647426699) * s4_2;
            g1 += q * a14;
            g14 += q * a1;
        }
        {
            const V q = T(0.597614304667197) * s4_3;
            g1 += q * a15;
            g15 += q * a1;
        }
        {
            const V q = T(0.597614304667197) * s4_3;
            g2 += q * a9;
            g9 += q * a2;
        }
        {
            const V q = T(0.48795003647426699) * s4_2;
            g2 += q * a10;
            g10 += q * a2;
        }
        {
            const V q = T(0.154303349962092) * s4_3 + T(0.53452248382484902) * s4_4;
            g2 += q * a11;
            g11 += q * a2;
        }
        {
            const V q = -T(0.37796447300922698) * s4_1;
            g2 += q * a12;
            g12 += q * a2;
        }
        {
            const V q = -T(0.154303349962092) * s4_0;
            g2 += q * a13;
            g13 += q * a2;
        }
        {
            const V q = -T(0.48795003647426699) * s4_1;
            g2 += q * a14;
            g14 += q * a2;
        }
        {
            const V q = -T(0.597614304667197) * s4_0;
            g2 += q * a15;
            g15 += q * a2;
        }
        {
            const V q = T(0.48795003647426699) * s4_0;
            g3 += q * a10;
            g10 += q * a3;
        }
        {
            const V q = T(0.61721339984836798) * s4_1;
            g3 += q * a11;
            g11 += q * a3;
        }
        {
            const V q = T(0.65465367070797698) * s4_4;
            g3 += q * a12;
            g12 += q * a3;
        }
        {
            const V q = T(0.61721339984836798) * s4_2;
            g3 += q * a13;
            g13 += q * a3;
        }
        {
            const V q = T(0.48795003647426699) * s4_3;
            g3 += q * a14;
            g14 += q * a3;
        }
    }
    {
        const V w5 = load<T>(w + 5 * w_stride);
        const V s5_0 = w5 * load<T>(b_bar + 0 * stride);
        const V w6 = load<T>(w + 6 * w_stride);
        const V s6_0 = w6 * load<T>(b_bar + 4 * stride);
        const V s6_1 = w6 * load<T>(b_bar + 5 * stride);
        const V s6_2 = w6 * load<T>(b_bar + 6 * stride);
        const V s6_3 = w6 * load<T>(b_bar + 7 * stride);
        const V s6_4 = w6 * load<T>(b_bar + 8 * stride);
        {
            const V q = T(0.89442719099991597) * s5_0 - T(1.069044967649698) * s6_4;
            g4 += q * a4;
        }
        {
            const V q = T(0.92582009977255098) * s6_2;
            g4 += q * a5;
            g5 += q * a4;
        }
        {
            const V q = T(0.92582009977255098) * s6_1;
            g4 += q * a6;
            g6 += q * a4;
        }
        {
            const V q = -T(1.0690449676496969) * s6_0;
            g4 += q * a8;
            g8 += q * a4;
        }
        {
            const V q = T(0.89442719099991597) * s5_0 - T(0.92582009977255197) * s6_3 +
                T(0.53452248382484802) * s6_4;
            g5 += q * a5;
        }
        {
            const V q = T(0.92582009977255098) * s6_0;
            g5 += q * a6;
            g6 += q * a5;
        }
        {
            const V q = -T(0.92582009977255098) * s6_1;
            g5 += q * a7;
            g7 += q * a5;
        }
        {
            const V q = T(0.53452248382484902) * s6_1;
            g5 += q * a8;
            g8 += q * a5;
        }
        {
            const V q = T(0.89442719099991597) * s5_0 + T(0.92582009977255197) * s6_3 +
                T(0.53452248382484802) * s6_4;
            g6 += q * a6;
        }
        {
            const V q = T(0.92582009977255098) * s6_2;
            g6 += q * a7;
            g7 += q * a6;
        }
        {
            const V q = T(0.53452248382484902) * s6_2;
            g6 += q * a8;
            g8 += q * a6;
        }
        {
            const V q = T(0.89442719099991597) * s5_0 - T(1.069044967649698) * s6_4;
            g7 += q * a7;
        }
        {
            const V q = -T(1.0690449676496969) * s6_3;
            g7 += q * a8;
            g8 += q * a7;
        }
        {
            const V q = T(0.89442719099991597) * s5_0 + T(1.069044967649698) * s6_4;
            g8 += q * a8;
        }
    }
    {
        const V w7 = load<T>(w + 7 * w_stride);
        const V s7_0 = w7 * load<T>(b_bar + 1 * stride);
        const V s7_1 = w7 * load<T>(b_bar + 2 * stride);
        const V s7_2 = w7 * load<T>(b_bar + 3 * stride);
        const V w8 = load<T>(w + 8 * w_stride);
        const V s8_0 = w8 * load<T>(b_bar + 9 * stride);
        const V s8_1 = w8 * load<T>(b_bar + 10 * stride);
        const V s8_2 = w8 * load<T>(b_bar + 11 * stride);
        const V s8_3 = w8 * load<T>(b_bar + 12 * stride);
        const V s8_4 = w8 * load<T>(b_bar + 13 * stride);
        const V s8_5 = w8 * load<T>(b_bar + 14 * stride);
        const V s8_6 = w8 * load<T>(b_bar + 15 * stride);
        {
            const V q = T(0.46291004988627599) * s7_0 - T(0.28867513459481298) * s8_4;
            g4 += q * a9;
            g9 += q * a4;
        }
        {
            const V q = T(0.37796447300922698) * s7_2 - T(0.57735026918962595) * s8_3;
            g4 += q * a10;
            g10 += q * a4;
        }
        {
            const V q = -T(0.119522860933439) * s7_0 + T(0.44721359549995798) * s8_4 +
                T(0.28867513459481298) * s8_6;
            g4 += q * a11;
            g11 += q * a4;
        }
        {
            const V q = -T(0.57735026918962595) * s8_1;
            g4 += q * a12;
            g12 += q * a4;
        }
        {
            const V q = -T(0.119522860933439) * s7_1 - T(0.28867513459481298) * s8_0 +
                T(0.44721359549995798) * s8_2;
            g4 += q * a13;
            g13 += q * a4;
        }
        {
            const V q = -T(0.46291004988627599) * s7_1 + T(0.28867513459481298) * s8_2;
            g4 += q * a15;
            g15 += q * a4;
        }
        {
            const V q = T(0.45643546458763801) * s8_5;
            g5 += q * a9;
            g9 += q * a5;
        }
        {
            const V q = T(0.37796447300922698) * s7_0 + T(0.35355339059327401) * s8_4 -
                T(0.45643546458763801) * s8_6;
            g5 += q * a10;
            g10 += q * a5;
        }
        {
            const V q = T(0.478091443733757) * s7_2 + T(0.182574185835055) * s8_3 -
                T(0.35355339059327401) * s8_5;
            g5 += q * a11;
            g11 += q * a5;
        }
        {
            const V q = -T(0.29277002188456003) * s7_1 + T(0.182574185835055) * s8_2;
            g5 += q * a12;
            g12 += q * a5;
        }
        {
            const V q = T(0.35355339059327401) * s8_1;
            g5 += q * a13;
            g13 += q * a5;
        }
        {
            const V q = -T(0.37796447300922698) * s7_1 + T(0.45643546458763801) * s8_0 -
                T(0.35355339059327401) * s8_2;
            g5 += q * a14;
            g14 += q * a5;
        }
        {
            const V q = -T(0.45643546458763801) * s8_1;
            g5 += q * a15;
            g15 += q * a5;
        }
        {
            const V q = T(0.45643546458763801) * s8_1;
            g6 += q * a9;
            g9 += q * a6;
        }
        {
            const V q = T(0.37796447300922698) * s7_1 + T(0.45643546458763801) * s8_0 +
                T(0.35355339059327401) * s8_2;
            g6 += q * a10;
            g10 += q * a6;
        }
        {
            const V q = T(0.35355339059327401) * s8_1;
            g6 += q * a11;
            g11 += q * a6;
        }
        {
            const V q = -T(0.29277002188456003) * s7_0 + T(0.182574185835055) * s8_4;
            g6 += q * a12;
            g12 += q * a6;
        }
        {
            const V q = T(0.478091443733757) * s7_2 + T(0.182574185835055) * s8_3 +
                T(0.35355339059327401) * s8_5;
            g6 += q * a13;
            g13 += q * a6;
        }
        {
            const V q = T(0.37796447300922698) * s7_0 + T(0.35355339059327401) * s8_4 +
                T(0.45643546458763801) * s8_6;
            g6 += q * a14;
            g14 += q * a6;
        }
        {
            const V q = T(0.45643546458763801) * s8_5;
            g6 += q * a15;
            g15 += q * a6;
        }
        {
            const V q = T(0.46291004988627599) * s7_1 - T(0.28867513459481298) * s8_2;
            g7 += q * a9;
            g9 += q * a7;
        }
        {
            const V q = T(0.119522860933439) * s7_1 - T(0.28867513459481298) * s8_0 -
                T(0.44721359549995798) * s8_2;
            g7 += q * a11;
            g11 += q * a7;
        }
        {
            const V q = -T(0.57735026918962595) * s8_5;
            g7 += q * a12;
            g12 += q * a7;
        }
        {
            const V q = -T(0.119522860933439) * s7_0 + T(0.44721359549995798) * s8_4 -
                T(0.28867513459481298) * s8_6;
            g7 += q * a13;
            g13 += q * a7;
        }
        {
            const V q = T(0.37796447300922698) * s7_2 - T(0.57735026918962595) * s8_3;
            g7 += q * a14;
            g14 += q * a7;
        }
        {
            const V q = T(0.46291004988627599) * s7_0 - T(0.28867513459481298) * s8_4;
            g7 += q * a15;
            g15 += q * a7;
        }
        {
            const V q = -T(0.64549722436790302) * s8_0;
            g8 += q * a9;
            g9 += q * a8;
        }
        {
            const V q = T(0.41403933560541201) * s7_1 + T(0.38729833462074198) * s8_2;
            g8 += q * a11;
            g11 += q * a8;
        }
        {
            const V q = T(0.50709255283710997) * s7_2 + T(0.51639777949432197) * s8_3;
            g8 += q * a12;
            g12 += q * a8;
        }
        {
            const V q = T(0.41403933560541201) * s7_0 + T(0.38729833462074198) * s8_4;
            g8 += q * a13;
            g13 += q * a8;
        }
        {
            const V q = -T(0.64549722436790302) * s8_6;
            g8 += q * a15;
            g15 += q * a8;
        }
    }
    {
        const V w9 = load<T>(w + 9 * w_stride);
        const V s9_0 = w9 * load<T>(b_bar + 0 * stride);
        const V w10 = load<T>(w + 10 * w_stride);
        const V s10_0 = w10 * load<T>(b_bar + 4 * stride);
        const V s10_1 = w10 * load<T>(b_bar + 5 * stride);
        const V s10_2 = w10 * load<T>(b_bar + 6 * stride);
        const V s10_3 = w10 * load<T>(b_bar + 7 * stride);
        const V s10_4 = w10 * load<T>(b_bar + 8 * stride);
        {
            const V q = T(0.75592894601845395) * s9_0 - T(1.091089451179962) * s10_4;
            g9 += q * a9;
        }
        {
            const V q = T(0.77151674981046003) * s10_2;
            g9 += q * a10;
            g10 += q * a9;
        }
        {
            const V q = -T(0.48795003647426699) * s10_3;
            g9 += q * a11;
            g11 += q * a9;
        }
        {
            const V q = -T(0.48795003647426699) * s10_0;
            g9 += q * a13;
            g13 += q * a9;
        }
        {
            const V q = T(0.77151674981046003) * s10_1;
            g9 += q * a14;
            g14 += q * a9;
        }
        {
            const V q = T(0.75592894601845395) * s9_0;
            g10 += q * a10;
        }
        {
            const V q = T(0.597614304667197) * s10_2;
            g10 += q * a11;
            g11 += q * a10;
        }
        {
            const V q = -T(0.97590007294853298) * s10_0;
            g10 += q * a12;
            g12 += q * a10;
        }
        {
            const V q = T(0.597614304667197) * s10_1;
            g10 += q * a13;
            g13 += q * a10;
        }
        {
            const V q = -T(0.77151674981046003) * s10_1;
            g10 += q * a15;
            g15 += q * a10;
        }
        {
            const V q = T(0.75592894601845395) * s9_0 - T(0.75592894601845395) * s10_3 +
                T(0.65465367070797797) * s10_4;
            g11 += q * a11;
        }
        {
            const V q = T(0.30860669992418399) * s10_1;
            g11 += q * a12;
            g12 += q * a11;
        }
        {
            const V q = T(0.75592894601845395) * s10_0;
            g11 += q * a13;
            g13 += q * a11;
        }
        {
            const V q = -T(0.597614304667197) * s10_1;
            g11 += q * a14;
            g14 += q * a11;
        }
        {
            const V q = T(0.48795003647426699) * s10_0;
            g11 += q * a15;
            g15 += q * a11;
        }
        {
            const V q = T(0.75592894601845395) * s9_0 + T(0.87287156094397) * s10_4;
            g12 += q * a12;
        }
        {
            const V q = T(0.30860669992418399) * s10_2;
            g12 += q * a13;
            g13 += q * a12;
        }
        {
            const V q = -T(0.97590007294853298) * s10_3;
            g12 += q * a14;
            g14 += q * a12;
        }
        {
            const V q = T(0.75592894601845395) * s9_0 + T(0.75592894601845395) * s10_3 +
                T(0.65465367070797797) * s10_4;
            g13 += q * a13;
        }
        {
            const V q = T(0.597614304667197) * s10_2;
            g13 += q * a14;
            g14 += q * a13;
        }
        {
            const V q = -T(0.48795003647426699) * s10_3;
            g13 += q * a15;
            g15 += q * a13;
        }
        {
            const V q = T(0.75592894601845395) * s9_0;
            g14 += q * a14;
        }
        {
            const V q = T(0.77151674981046003) * s10_2;
            g14 += q * a15;
            g15 += q * a14;
        }
        {
            const V q = T(0.75592894601845395) * s9_0 - T(1.091089451179962) * s10_4;
            g15 += q * a15;
        }
    }
    store<T>(a_bar + 1 * stride, g1);
    store<T>(a_bar + 2 * stride, g2);
    store<T>(a_bar + 3 * stride, g3);
    store<T>(a_bar + 4 * stride, g4);
    store<T>(a_bar + 5 * stride, g5);
    store<T>(a_bar + 6 * stride, g6);
    store<T>(a_bar + 7 * stride, g7);
    store<T>(a_bar + 8 * stride, g8);
    store<T>(a_bar + 9 * stride, g9);
    store<T>(a_bar + 10 * stride, g10);
    store<T>(a_bar + 11 * stride, g11);
    store<T>(a_bar + 12 * stride, g12);
    store<T>(a_bar + 13 * stride, g13);
    store<T>(a_bar + 14 * stride, g14);
    store<T>(a_bar + 15 * stride, g15);
}

template <class T>
inline void contraction_gradient_3(const T* a, const T* b_bar, T* w_bar,
                                  long stride, long w_stride) {
    using V = Vector<T>;
    const V a1 = load<T>(a + 1 * stride);
    const V a2 = load<T>(a + 2 * stride);
    const V a3 = load<T>(a + 3 * stride);
    const V a4 = load<T>(a + 4 * stride);
    const V a5 = load<T>(a + 5 * stride);
    const V a6 = load<T>(a + 6 * stride);
    const V a7 = load<T>(a + 7 * stride);
    const V a8 = load<T>(a + 8 * stride);
    const V a9 = load<T>(a + 9 * stride);
    const V a10 = load<T>(a + 10 * stride);
    const V a11 = load<T>(a + 11 * stride);
    const V a12 = load<T>(a + 12 * stride);
    const V a13 = load<T>(a + 13 * stride);
    const V a14 = load<T>(a + 14 * stride);
    const V a15 = load<T>(a + 15 * stride);
    {
        const V p0 = a1 * a1;
        const V p1 = a1 * a2;
        const V p2 = a1 * a3;
        const V p3 = a2 * a2;
        const V p4 = a2 * a3;
        const V p5 = a3 * a3;
        {
            V sum = load<T>(w_bar + 0 * w_stride);
            sum += load<T>(b_bar + 0 * stride) * (T(0.57735026918962595) * p0 +
                T(0.57735026918962595) * p3 + T(0.57735026918962595) * p5);
            store<T>(w_bar + 0 * w_stride, sum);
        }
        {
            V sum = load<T>(w_bar + 1 * w_stride);
            sum += load<T>(b_bar + 4 * stride) * (T(1.4142135623730949) * p1);
            sum += load<T>(b_bar + 5 * stride) * (T(1.4142135623730949) * p4);
            sum += load<T>(b_bar + 6 * stride) * (T(1.4142135623730949) * p2);
            sum += load<T>(b_bar + 7 * stride) * (T(0.70710678118654802) * p0 -
                T(0.70710678118654802) * p3);
            sum += load<T>(b_bar + 8 * stride) * (-T(0.40824829046386302) * p0 -
                T(0.40824829046386302) * p3 + T(0.81649658092772603) * p5);
            store<T>(w_bar + 1 * w_stride, sum);
        }
    }
    {
        const V p0 = a1 * a4;
        const V p1 = a1 * a5;
        const V p2 = a1 * a6;
        const V p3 = a1 * a7;
        const V p4 = a1 * a8;
        const V p5 = a2 * a4;
        const V p6 = a2 * a5;
        const V p7 = a2 * a6;
        const V p8 = a2 * a7;
        const V p9 = a2 * a8;
        const V p10 = a3 * a4;
        const V p11 = a3 * a5;
        const V p12 = a3 * a6;
        const V p13 = a3 * a7;
        const V p14 = a3 * a8;
        {
            V sum = load<T>(w_bar + 2 * w_stride);
            sum += load<T>(b_bar + 1 * stride) * (T(0.54772255750516596) * p3 -
                T(0.316227766016838) * p4 + T(0.54772255750516596) * p5 + T(0.54772255750516596) *
                p12);
            sum += load<T>(b_bar + 2 * stride) * (T(0.54772255750516596) * p0 -
                T(0.54772255750516596) * p8 - T(0.316227766016838) * p9 + T(0.54772255750516596) *
                p11);
            sum += load<T>(b_bar + 3 * stride) * (T(0.54772255750516596) * p2 +
                T(0.54772255750516596) * p6 + T(0.63245553203367599) * p14);
            store<T>(w_bar + 2 * w_stride, sum);
        }
        {
            V sum = load<T>(w_bar + 3 * w_stride);
            sum += load<T>(b_bar + 9 * stride) * (T(0.70710678118654802) * p0 +
                T(0.70710678118654802) * p8);
            sum += load<T>(b_bar + 10 * stride) * (T(0.57735026918962595) * p1 +
                T(0.57735026918962595) * p7 + T(0.57735026918962595) * p10);
            sum += load<T>(b_bar + 11 * stride) * (-T(0.182574185835055) * p0 +
                T(0.182574185835055) * p8 + T(0.63245553203367599) * p9 + T(0.73029674334022099) *
                p11);
            sum += load<T>(b_bar + 12 * stride) * (-T(0.44721359549995798) * p2 -
                T(0.44721359549995798) * p6 + T(0.77459666924148296) * p14);
            sum += load<T>(b_bar + 13 * stride) * (-T(0.182574185835055) * p3 +
                T(0.63245553203367599) * p4 - T(0.182574185835055) * p5 + T(0.73029674334022099) *
                p12);
            sum += load<T>(b_bar + 14 * stride) * (T(0.57735026918962595) * p2 -
                T(0.57735026918962595) * p6 + T(0.57735026918962595) * p13);
            sum += load<T>(b_bar + 15 * stride) * (T(0.70710678118654802) * p3 -
                T(0.70710678118654802) * p5);
            store<T>(w_bar + 3 * w_stride, sum);
        }
    }
    {
        const V p0 = a1 * a9;
        const V p1 = a1 * a10;
        const V p2 = a1 * a11;
        const V p3 = a1 * a12;
        const V p4 = a1 * a13;
        const V p5 = a1 * a14;
        const V p6 = a1 * a15;
        const V p7 = a2 * a9;
        const V p8 = a2 * a10;
        const V p9 = a2 * a11;
        const V p10 = a2 * a12;
        const V p11 = a2 * a13;
        const V p12 = a2 * a14;
        const V p13 = a2 * a15;
        const V p14 = a3 * a10;
        const V p15 = a3 * a11;
        const V p16 = a3 * a12;
        const V p17 = a3 * a13;
        const V p18 = a3 * a14;
        {
            V sum = load<T>(w_bar + 4 * w_stride);
            sum += load<T>(b_bar + 4 * stride) * (T(0.597614304667197) * p0 - T(0.154303349962092)
                * p2 - T(0.154303349962092) * p11 - T(0.597614304667197) * p13 +
                T(0.48795003647426699) * p14);
            sum += load<T>(b_bar + 5 * stride) * (T(0.48795003647426699) * p1 -
                T(0.37796447300922698) * p10 - T(0.48795003647426699) * p12 +
                T(0.61721339984836798) * p15);
            sum += load<T>(b_bar + 6 * stride) * (-T(0.37796447300922698) * p3 +
                T(0.48795003647426699) * p5 + T(0.48795003647426699) * p8 + T(0.61721339984836798)
                * p17);
            sum += load<T>(b_bar + 7 * stride) * (-T(0.154303349962092) * p4 + T(0.597614304667197)
                * p6 + T(0.597614304667197) * p7 + T(0.154303349962092) * p9 +
                T(0.48795003647426699) * p18);
            sum += load<T>(b_bar + 8 * stride) * (T(0.53452248382484902) * p4 +
                T(0.53452248382484902) * p9 + T(0.65465367070797698) * p16);
            store<T>(w_bar + 4 * w_stride, sum);
        }
    }
    {
        const V p0 = a4 * a4;
        const V p1 = a4 * a5;
        const V p2 = a4 * a6;
        const V p3 = a4 * a8;
        const V p4 = a5 * a5;
        const V p5 = a5 * a6;
        const V p6 = a5 * a7;
        const V p7 = a5 * a8;
        const V p8 = a6 * a6;
        const V p9 = a6 * a7;
        const V p10 = a6 * a8;
        const V p11 = a7 * a7;
        const V p12 = a7 * a8;
        const V p13 = a8 * a8;
        {
            V sum = load<T>(w_bar + 5 * w_stride);
            sum += load<T>(b_bar + 0 * stride) * (T(0.44721359549995798) * p0 +
                T(0.44721359549995798) * p4 + T(0.44721359549995798) * p8 + T(0.44721359549995798)
                * p11 + T(0.44721359549995798) * p13);
            store<T>(w_bar + 5 * w_stride, sum);
        }
        {
            V sum = load<T>(w_bar + 6 * w_stride);
            sum += load<T>(b_bar + 4 * stride) * (-T(1.0690449676496969) * p3 +
                T(0.92582009977255098) * p5);
            sum += load<T>(b_bar + 5 * stride) * (T(0.92582009977255098) * p2 -
                T(0.92582009977255098) * p6 + T(0.53452248382484902) * p7);
            sum += load<T>(b_bar + 6 * stride) * (T(0.92582009977255098) * p1 +
                T(0.92582009977255098) * p9 + T(0.53452248382484902) * p10);
            sum += load<T>(b_bar + 7 * stride) * (-T(0.46291004988627599) * p4 +
                T(0.46291004988627599) * p8 - T(1.0690449676496969) * p12);
            sum += load<T>(b_bar + 8 * stride) * (-T(0.53452248382484902) * p0 +
                T(0.26726124191242401) * p4 + T(0.26726124191242401) * p8 - T(0.53452248382484902)
                * p11 + T(0.53452248382484902) * p13);
            store<T>(w_bar + 6 * w_stride, sum);
        }
    }
    {
        const V p0 = a4 * a9;
        const V p1 = a4 * a10;
        const V p2 = a4 * a11;
        const V p3 = a4 * a12;
        const V p4 = a4 * a13;
        const V p5 = a4 * a15;
        const V p6 = a5 * a9;
        const V p7 = a5 * a10;
        const V p8 = a5 * a11;
        const V p9 = a5 * a12;
        const V p10 = a5 * a13;
        const V p11 = a5 * a14;
        const V p12 = a5 * a15;
        const V p13 = a6 * a9;
        const V p14 = a6 * a10;
        const V p15 = a6 * a11;
        const V p16 = a6 * a12;
        const V p17 = a6 * a13;
        const V p18 = a6 * a14;
        const V p19 = a6 * a15;
        const V p20 = a7 * a9;
        const V p21 = a7 * a11;
        const V p22 = a7 * a12;
        const V p23 = a7 * a13;
        const V p24 = a7 * a14;
        const V p25 = a7 * a15;
        const V p26 = a8 * a9;
        const V p27 = a8 * a11;
        const V p28 = a8 * a12;
        const V p29 = a8 * a13;
        const V p30 = a8 * a15;
        {
            V sum = load<T>(w_bar + 7 * w_stride);
            sum += load<T>(b_bar + 1 * stride) * (T(0.46291004988627599) * p0 -
                T(0.119522860933439) * p2 + T(0.37796447300922698) * p7 - T(0.29277002188456003) *
                p16 + T(0.37796447300922698) * p18 - T(0.119522860933439) * p23 +
                T(0.46291004988627599) * p25 + T(0.41403933560541201) * p29);
            sum += load<T>(b_bar + 2 * stride) * (-T(0.119522860933439) * p4 -
                T(0.46291004988627599) * p5 - T(0.29277002188456003) * p9 - T(0.37796447300922698)
                * p11 + T(0.37796447300922698) * p14 + T(0.46291004988627599) * p20 +
                T(0.119522860933439) * p21 + T(0.41403933560541201) * p27);
            sum += load<T>(b_bar + 3 * stride) * (T(0.37796447300922698) * p1 +
                T(0.478091443733757) * p8 + T(0.478091443733757) * p17 + T(0.37796447300922698) *
                p24 + T(0.50709255283710997) * p28);
            store<T>(w_bar + 7 * w_stride, sum);
        }
        {
            V sum = load<T>(w_bar + 8 * w_stride);
            sum += load<T>(b_bar + 9 * stride) * (-T(0.28867513459481298) * p4 +
                T(0.45643546458763801) * p11 + T(0.45643546458763801) * p14 -
                T(0.28867513459481298) * p21 - T(0.64549722436790302) * p26);
            sum += load<T>(b_bar + 10 * stride) * (-T(0.57735026918962595) * p3 +
                T(0.35355339059327401) * p10 - T(0.45643546458763801) * p12 +
                T(0.45643546458763801) * p13 + T(0.35355339059327401) * p15);
            sum += load<T>(b_bar + 11 * stride) * (T(0.44721359549995798) * p4 +
                T(0.28867513459481298) * p5 + T(0.182574185835055) * p9 - T(0.35355339059327401) *
                p11 + T(0.35355339059327401) * p14 - T(0.28867513459481298) * p20 -
                T(0.44721359549995798) * p21 + T(0.38729833462074198) * p27);
            sum += load<T>(b_bar + 12 * stride) * (-T(0.57735026918962595) * p1 +
                T(0.182574185835055) * p8 + T(0.182574185835055) * p17 - T(0.57735026918962595) *
                p24 + T(0.51639777949432197) * p28);
            sum += load<T>(b_bar + 13 * stride) * (-T(0.28867513459481298) * p0 +
                T(0.44721359549995798) * p2 + T(0.35355339059327401) * p7 + T(0.182574185835055) *
                p16 + T(0.35355339059327401) * p18 + T(0.44721359549995798) * p23 -
                T(0.28867513459481298) * p25 + T(0.38729833462074198) * p29);
            sum += load<T>(b_bar + 14 * stride) * (T(0.45643546458763801) * p6 -
                T(0.35355339059327401) * p8 + T(0.35355339059327401) * p17 + T(0.45643546458763801)
                * p19 - T(0.57735026918962595) * p22);
            sum += load<T>(b_bar + 15 * stride) * (T(0.28867513459481298) * p2 -
                T(0.45643546458763801) * p7 + T(0.45643546458763801) * p18 - T(0.28867513459481298)
                * p23 - T(0.64549722436790302) * p30);
            store<T>(w_bar + 8 * w_stride, sum);
        }
    }
    {
        const V p0 = a9 * a9;
        const V p1 = a9 * a10;
        const V p2 = a9 * a11;
        const V p3 = a9 * a13;
        const V p4 = a9 * a14;
        const V p5 = a10 * a10;
        const V p6 = a10 * a11;
        const V p7 = a10 * a12;
        const V p8 = a10 * a13;
        const V p9 = a10 * a15;
        const V p10 = a11 * a11;
        const V p11 = a11 * a12;
        const V p12 = a11 * a13;
        const V p13 = a11 * a14;
        const V p14 = a11 * a15;
        const V p15 = a12 * a12;
        const V p16 = a12 * a13;
        const V p17 = a12 * a14;
        const V p18 = a13 * a13;
        const V p19 = a13 * a14;
        const V p20 = a13 * a15;
        const V p21 = a14 * a14;
        const V p22 = a14 * a15;
        const V p23 = a15 * a15;
        {
            V sum = load<T>(w_bar + 9 * w_stride);
            sum += load<T>(b_bar + 0 * stride) * (T(0.37796447300922698) * p0 +
                T(0.37796447300922698) * p5 + T(0.37796447300922698) * p10 + T(0.37796447300922698)
                * p15 + T(0.37796447300922698) * p18 + T(0.37796447300922698) * p21 +
                T(0.37796447300922698) * p23);
            store<T>(w_bar + 9 * w_stride, sum);
        }
        {
            V sum = load<T>(w_bar + 10 * w_stride);
            sum += load<T>(b_bar + 4 * stride) * (-T(0.48795003647426699) * p3 -
                T(0.97590007294853298) * p7 + T(0.75592894601845395) * p12 + T(0.48795003647426699)
                * p14);
            sum += load<T>(b_bar + 5 * stride) * (T(0.77151674981046003) * p4 +
                T(0.597614304667197) * p8 - T(0.77151674981046003) * p9 + T(0.30860669992418399) *
                p11 - T(0.597614304667197) * p13);
            sum += load<T>(b_bar + 6 * stride) * (T(0.77151674981046003) * p1 +
                T(0.597614304667197) * p6 + T(0.30860669992418399) * p16 + T(0.597614304667197) *
                p19 + T(0.77151674981046003) * p22);
            sum += load<T>(b_bar + 7 * stride) * (-T(0.48795003647426699) * p2 -
                T(0.37796447300922698) * p10 - T(0.97590007294853298) * p17 +
                T(0.37796447300922698) * p18 - T(0.48795003647426699) * p20);
            sum += load<T>(b_bar + 8 * stride) * (-T(0.54554472558998102) * p0 +
                T(0.32732683535398899) * p10 + T(0.436435780471985) * p15 + T(0.32732683535398899)
                * p18 - T(0.54554472558998102) * p23);
            store<T>(w_bar + 10 * w_stride, sum);
        }
    }
}

}  // namespace camlip::cpu::CAMLIP_ISA

#endif
