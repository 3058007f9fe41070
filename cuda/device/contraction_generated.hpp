// SPDX-License-Identifier: MIT
// Written by scripts/generate_contraction_cuda.py from camlip.nn.contraction; do not edit.
//
// Products of moments, B^c = sum over paths (a, b, c) of w K^abc(A^a, A^b), and their adjoint, for
// one channel.  Component m of A lies at a[m * stride], path p of w at w[p * w_stride].
#ifndef CAMLIP_CUDA_DEVICE_CONTRACTION_GENERATED_HPP
#define CAMLIP_CUDA_DEVICE_CONTRACTION_GENERATED_HPP
// clang-format off

#include "device/platform.hpp"

namespace camlip::cuda {

// Number of paths for L = 0 .. 3.
constexpr int kNumPaths[4] = {0, 1, 5, 11};

template <class T>
CAMLIP_SHARED_CODE void contraction_forward_1(const T* a, const T* w, T* b,
                                              int stride, int w_stride) {
    const T a1 = a[1 * stride];
    const T a2 = a[2 * stride];
    const T a3 = a[3 * stride];
    T b0 = 0;
    T b1 = 0;
    T b2 = 0;
    T b3 = 0;
    {
        const T p0 = a1 * a1;
        const T p1 = a2 * a2;
        const T p2 = a3 * a3;
        {
            const T v = w[0 * w_stride];
            b0 += v * (T(0.57735026918962595) * (p0 + p1 + p2));
        }
    }
    b[0 * stride] = b0;
    b[1 * stride] = b1;
    b[2 * stride] = b2;
    b[3 * stride] = b3;
}

template <class T>
CAMLIP_SHARED_CODE void contraction_adjoint_1(const T* a, const T* w, const T* b_bar, T* a_bar,
                                              int stride, int w_stride) {
    const T a1 = a[1 * stride];
    T g1 = 0;
    const T a2 = a[2 * stride];
    T g2 = 0;
    const T a3 = a[3 * stride];
    T g3 = 0;
    {
        const T w0 = w[0 * w_stride];
        const T s0_0 = w0 * b_bar[0 * stride];
        {
            const T q = T(1.1547005383792519) * s0_0;
            g1 += q * a1;
        }
        {
            const T q = T(1.1547005383792519) * s0_0;
            g2 += q * a2;
        }
        {
            const T q = T(1.1547005383792519) * s0_0;
            g3 += q * a3;
        }
    }
    a_bar[1 * stride] += g1;
    a_bar[2 * stride] += g2;
    a_bar[3 * stride] += g3;
}

template <class T>
CAMLIP_SHARED_CODE void contraction_forward_2(const T* a, const T* w, T* b,
                                              int stride, int w_stride) {
    const T a1 = a[1 * stride];
    const T a2 = a[2 * stride];
    const T a3 = a[3 * stride];
    const T a4 = a[4 * stride];
    const T a5 = a[5 * stride];
    const T a6 = a[6 * stride];
    const T a7 = a[7 * stride];
    const T a8 = a[8 * stride];
    T b0 = 0;
    T b1 = 0;
    T b2 = 0;
    T b3 = 0;
    T b4 = 0;
    T b5 = 0;
    T b6 = 0;
    T b7 = 0;
    T b8 = 0;
    {
        const T p0 = a1 * a1;
        const T p1 = a1 * a2;
        const T p2 = a1 * a3;
        const T p3 = a2 * a2;
        const T p4 = a2 * a3;
        const T p5 = a3 * a3;
        {
            const T v = w[0 * w_stride];
            b0 += v * (T(0.57735026918962595) * (p0 + p3 + p5));
        }
        {
            const T v = w[1 * w_stride];
            b4 += v * (T(1.4142135623730949) * p1);
            b5 += v * (T(1.4142135623730949) * p4);
            b6 += v * (T(1.4142135623730949) * p2);
            b7 += v * (T(0.70710678118654802) * (p0 - p3));
            b8 += v * (T(0.40824829046386302) * (-p0 - p3) + T(0.81649658092772603) * p5);
        }
    }
    {
        const T p0 = a1 * a4;
        const T p1 = a1 * a6;
        const T p2 = a1 * a7;
        const T p3 = a1 * a8;
        const T p4 = a2 * a4;
        const T p5 = a2 * a5;
        const T p6 = a2 * a7;
        const T p7 = a2 * a8;
        const T p8 = a3 * a5;
        const T p9 = a3 * a6;
        const T p10 = a3 * a8;
        {
            const T v = w[2 * w_stride];
            b1 += v * (T(0.54772255750516596) * (p2 + p4 + p9) + T(0.316227766016838) * (-p3));
            b2 += v * (T(0.54772255750516596) * (p0 - p6 + p8) + T(0.316227766016838) * (-p7));
            b3 += v * (T(0.54772255750516596) * (p1 + p5) + T(0.63245553203367599) * p10);
        }
    }
    {
        const T p0 = a4 * a4;
        const T p1 = a4 * a5;
        const T p2 = a4 * a6;
        const T p3 = a4 * a8;
        const T p4 = a5 * a5;
        const T p5 = a5 * a6;
        const T p6 = a5 * a7;
        const T p7 = a5 * a8;
        const T p8 = a6 * a6;
        const T p9 = a6 * a7;
        const T p10 = a6 * a8;
        const T p11 = a7 * a7;
        const T p12 = a7 * a8;
        const T p13 = a8 * a8;
        {
            const T v = w[3 * w_stride];
            b0 += v * (T(0.44721359549995798) * (p0 + p4 + p8 + p11 + p13));
        }
        {
            const T v = w[4 * w_stride];
            b4 += v * (T(1.0690449676496969) * (-p3) + T(0.92582009977255098) * p5);
            b5 += v * (T(0.92582009977255098) * (p2 - p6) + T(0.53452248382484902) * p7);
            b6 += v * (T(0.92582009977255098) * (p1 + p9) + T(0.53452248382484902) * p10);
            b7 += v * (T(0.46291004988627599) * (-p4 + p8) + T(1.0690449676496969) * (-p12));
            b8 += v * (T(0.53452248382484902) * (-p0 - p11 + p13) + T(0.26726124191242401) * (p4 +
                p8));
        }
    }
    b[0 * stride] = b0;
    b[1 * stride] = b1;
    b[2 * stride] = b2;
    b[3 * stride] = b3;
    b[4 * stride] = b4;
    b[5 * stride] = b5;
    b[6 * stride] = b6;
    b[7 * stride] = b7;
    b[8 * stride] = b8;
}

template <class T>
CAMLIP_SHARED_CODE void contraction_adjoint_2(const T* a, const T* w, const T* b_bar, T* a_bar,
                                              int stride, int w_stride) {
    const T a1 = a[1 * stride];
    T g1 = 0;
    const T a2 = a[2 * stride];
    T g2 = 0;
    const T a3 = a[3 * stride];
    T g3 = 0;
    const T a4 = a[4 * stride];
    T g4 = 0;
    const T a5 = a[5 * stride];
    T g5 = 0;
    const T a6 = a[6 * stride];
    T g6 = 0;
    const T a7 = a[7 * stride];
    T g7 = 0;
    const T a8 = a[8 * stride];
    T g8 = 0;
    {
        const T w0 = w[0 * w_stride];
        const T s0_0 = w0 * b_bar[0 * stride];
        const T w1 = w[1 * w_stride];
        const T s1_0 = w1 * b_bar[4 * stride];
        const T s1_1 = w1 * b_bar[5 * stride];
        const T s1_2 = w1 * b_bar[6 * stride];
        const T s1_3 = w1 * b_bar[7 * stride];
        const T s1_4 = w1 * b_bar[8 * stride];
        {
            const T q = T(1.1547005383792519) * s0_0 + T(1.414213562373096) * s1_3 +
                T(0.81649658092772603) * (-s1_4);
            g1 += q * a1;
        }
        {
            const T q = T(1.4142135623730949) * s1_0;
            g1 += q * a2;
            g2 += q * a1;
        }
        {
            const T q = T(1.4142135623730949) * s1_2;
            g1 += q * a3;
            g3 += q * a1;
        }
        {
            const T q = T(1.1547005383792519) * s0_0 + T(1.414213562373096) * (-s1_3) +
                T(0.81649658092772603) * (-s1_4);
            g2 += q * a2;
        }
        {
            const T q = T(1.4142135623730949) * s1_1;
            g2 += q * a3;
            g3 += q * a2;
        }
        {
            const T q = T(1.1547005383792519) * s0_0 + T(1.6329931618554521) * s1_4;
            g3 += q * a3;
        }
    }
    {
        const T w2 = w[2 * w_stride];
        const T s2_0 = w2 * b_bar[1 * stride];
        const T s2_1 = w2 * b_bar[2 * stride];
        const T s2_2 = w2 * b_bar[3 * stride];
        {
            const T q = T(0.54772255750516596) * s2_1;
            g1 += q * a4;
            g4 += q * a1;
        }
        {
            const T q = T(0.54772255750516596) * s2_2;
            g1 += q * a6;
            g6 += q * a1;
        }
        {
            const T q = T(0.54772255750516596) * s2_0;
            g1 += q * a7;
            g7 += q * a1;
        }
        {
            const T q = T(0.316227766016838) * (-s2_0);
            g1 += q * a8;
            g8 += q * a1;
        }
        {
            const T q = T(0.54772255750516596) * s2_0;
            g2 += q * a4;
            g4 += q * a2;
        }
        {
            const T q = T(0.54772255750516596) * s2_2;
            g2 += q * a5;
            g5 += q * a2;
        }
        {
            const T q = T(0.54772255750516596) * (-s2_1);
            g2 += q * a7;
            g7 += q * a2;
        }
        {
            const T q = T(0.316227766016838) * (-s2_1);
            g2 += q * a8;
            g8 += q * a2;
        }
        {
            const T q = T(0.54772255750516596) * s2_1;
            g3 += q * a5;
            g5 += q * a3;
        }
        {
            const T q = T(0.54772255750516596) * s2_0;
            g3 += q * a6;
            g6 += q * a3;
        }
        {
            const T q = T(0.63245553203367599) * s2_2;
            g3 += q * a8;
            g8 += q * a3;
        }
    }
    {
        const T w3 = w[3 * w_stride];
        const T s3_0 = w3 * b_bar[0 * stride];
        const T w4 = w[4 * w_stride];
        const T s4_0 = w4 * b_bar[4 * stride];
        const T s4_1 = w4 * b_bar[5 * stride];
        const T s4_2 = w4 * b_bar[6 * stride];
        const T s4_3 = w4 * b_bar[7 * stride];
        const T s4_4 = w4 * b_bar[8 * stride];
        {
            const T q = T(0.89442719099991597) * s3_0 + T(1.069044967649698) * (-s4_4);
            g4 += q * a4;
        }
        {
            const T q = T(0.92582009977255098) * s4_2;
            g4 += q * a5;
            g5 += q * a4;
        }
        {
            const T q = T(0.92582009977255098) * s4_1;
            g4 += q * a6;
            g6 += q * a4;
        }
        {
            const T q = T(1.0690449676496969) * (-s4_0);
            g4 += q * a8;
            g8 += q * a4;
        }
        {
            const T q = T(0.89442719099991597) * s3_0 + T(0.92582009977255197) * (-s4_3) +
                T(0.53452248382484802) * s4_4;
            g5 += q * a5;
        }
        {
            const T q = T(0.92582009977255098) * s4_0;
            g5 += q * a6;
            g6 += q * a5;
        }
        {
            const T q = T(0.92582009977255098) * (-s4_1);
            g5 += q * a7;
            g7 += q * a5;
        }
        {
            const T q = T(0.53452248382484902) * s4_1;
            g5 += q * a8;
            g8 += q * a5;
        }
        {
            const T q = T(0.89442719099991597) * s3_0 + T(0.92582009977255197) * s4_3 +
                T(0.53452248382484802) * s4_4;
            g6 += q * a6;
        }
        {
            const T q = T(0.92582009977255098) * s4_2;
            g6 += q * a7;
            g7 += q * a6;
        }
        {
            const T q = T(0.53452248382484902) * s4_2;
            g6 += q * a8;
            g8 += q * a6;
        }
        {
            const T q = T(0.89442719099991597) * s3_0 + T(1.069044967649698) * (-s4_4);
            g7 += q * a7;
        }
        {
            const T q = T(1.0690449676496969) * (-s4_3);
            g7 += q * a8;
            g8 += q * a7;
        }
        {
            const T q = T(0.89442719099991597) * s3_0 + T(1.069044967649698) * s4_4;
            g8 += q * a8;
        }
    }
    a_bar[1 * stride] += g1;
    a_bar[2 * stride] += g2;
    a_bar[3 * stride] += g3;
    a_bar[4 * stride] += g4;
    a_bar[5 * stride] += g5;
    a_bar[6 * stride] += g6;
    a_bar[7 * stride] += g7;
    a_bar[8 * stride] += g8;
}

template <class T>
CAMLIP_SHARED_CODE void contraction_forward_3(const T* a, const T* w, T* b,
                                              int stride, int w_stride) {
    const T a1 = a[1 * stride];
    const T a2 = a[2 * stride];
    const T a3 = a[3 * stride];
    const T a4 = a[4 * stride];
    const T a5 = a[5 * stride];
    const T a6 = a[6 * stride];
    const T a7 = a[7 * stride];
    const T a8 = a[8 * stride];
    const T a9 = a[9 * stride];
    const T a10 = a[10 * stride];
    const T a11 = a[11 * stride];
    const T a12 = a[12 * stride];
    const T a13 = a[13 * stride];
    const T a14 = a[14 * stride];
    const T a15 = a[15 * stride];
    T b0 = 0;
    T b1 = 0;
    T b2 = 0;
    T b3 = 0;
    T b4 = 0;
    T b5 = 0;
    T b6 = 0;
    T b7 = 0;
    T b8 = 0;
    T b9 = 0;
    T b10 = 0;
    T b11 = 0;
    T b12 = 0;
    T b13 = 0;
    T b14 = 0;
    T b15 = 0;
    {
        const T p0 = a1 * a1;
        const T p1 = a1 * a2;
        const T p2 = a1 * a3;
        const T p3 = a2 * a2;
        const T p4 = a2 * a3;
        const T p5 = a3 * a3;
        {
            const T v = w[0 * w_stride];
            b0 += v * (T(0.57735026918962595) * (p0 + p3 + p5));
        }
        {
            const T v = w[1 * w_stride];
            b4 += v * (T(1.4142135623730949) * p1);
            b5 += v * (T(1.4142135623730949) * p4);
            b6 += v * (T(1.4142135623730949) * p2);
            b7 += v * (T(0.70710678118654802) * (p0 - p3));
            b8 += v * (T(0.40824829046386302) * (-p0 - p3) + T(0.81649658092772603) * p5);
        }
    }
    {
        const T p0 = a1 * a4;
        const T p1 = a1 * a5;
        const T p2 = a1 * a6;
        const T p3 = a1 * a7;
        const T p4 = a1 * a8;
        const T p5 = a2 * a4;
        const T p6 = a2 * a5;
        const T p7 = a2 * a6;
        const T p8 = a2 * a7;
        const T p9 = a2 * a8;
        const T p10 = a3 * a4;
        const T p11 = a3 * a5;
        const T p12 = a3 * a6;
        const T p13 = a3 * a7;
        const T p14 = a3 * a8;
        {
            const T v = w[2 * w_stride];
            b1 += v * (T(0.54772255750516596) * (p3 + p5 + p12) + T(0.316227766016838) * (-p4));
            b2 += v * (T(0.54772255750516596) * (p0 - p8 + p11) + T(0.316227766016838) * (-p9));
            b3 += v * (T(0.54772255750516596) * (p2 + p6) + T(0.63245553203367599) * p14);
        }
        {
            const T v = w[3 * w_stride];
            b9 += v * (T(0.70710678118654802) * (p0 + p8));
            b10 += v * (T(0.57735026918962595) * (p1 + p7 + p10));
            b11 += v * (T(0.182574185835055) * (-p0 + p8) + T(0.63245553203367599) * p9 +
                T(0.73029674334022099) * p11);
            b12 += v * (T(0.44721359549995798) * (-p2 - p6) + T(0.77459666924148296) * p14);
            b13 += v * (T(0.182574185835055) * (-p3 - p5) + T(0.63245553203367599) * p4 +
                T(0.73029674334022099) * p12);
            b14 += v * (T(0.57735026918962595) * (p2 - p6 + p13));
            b15 += v * (T(0.70710678118654802) * (p3 - p5));
        }
    }
    {
        const T p0 = a1 * a9;
        const T p1 = a1 * a10;
        const T p2 = a1 * a11;
        const T p3 = a1 * a12;
        const T p4 = a1 * a13;
        const T p5 = a1 * a14;
        const T p6 = a1 * a15;
        const T p7 = a2 * a9;
        const T p8 = a2 * a10;
        const T p9 = a2 * a11;
        const T p10 = a2 * a12;
        const T p11 = a2 * a13;
        const T p12 = a2 * a14;
        const T p13 = a2 * a15;
        const T p14 = a3 * a10;
        const T p15 = a3 * a11;
        const T p16 = a3 * a12;
        const T p17 = a3 * a13;
        const T p18 = a3 * a14;
        {
            const T v = w[4 * w_stride];
            b4 += v * (T(0.597614304667197) * (p0 - p13) + T(0.154303349962092) * (-p2 - p11) +
                T(0.48795003647426699) * p14);
            b5 += v * (T(0.48795003647426699) * (p1 - p12) + T(0.37796447300922698) * (-p10) +
                T(0.61721339984836798) * p15);
            b6 += v * (T(0.37796447300922698) * (-p3) + T(0.48795003647426699) * (p5 + p8) +
                T(0.61721339984836798) * p17);
            b7 += v * (T(0.154303349962092) * (-p4 + p9) + T(0.597614304667197) * (p6 + p7) +
                T(0.48795003647426699) * p18);
            b8 += v * (T(0.53452248382484902) * (p4 + p9) + T(0.65465367070797698) * p16);
        }
    }
    {
        const T p0 = a4 * a4;
        const T p1 = a4 * a5;
        const T p2 = a4 * a6;
        const T p3 = a4 * a8;
        const T p4 = a5 * a5;
        const T p5 = a5 * a6;
        const T p6 = a5 * a7;
        const T p7 = a5 * a8;
        const T p8 = a6 * a6;
        const T p9 = a6 * a7;
        const T p10 = a6 * a8;
        const T p11 = a7 * a7;
        const T p12 = a7 * a8;
        const T p13 = a8 * a8;
        {
            const T v = w[5 * w_stride];
            b0 += v * (T(0.44721359549995798) * (p0 + p4 + p8 + p11 + p13));
        }
        {
            const T v = w[6 * w_stride];
            b4 += v * (T(1.0690449676496969) * (-p3) + T(0.92582009977255098) * p5);
            b5 += v * (T(0.92582009977255098) * (p2 - p6) + T(0.53452248382484902) * p7);
            b6 += v * (T(0.92582009977255098) * (p1 + p9) + T(0.53452248382484902) * p10);
            b7 += v * (T(0.46291004988627599) * (-p4 + p8) + T(1.0690449676496969) * (-p12));
            b8 += v * (T(0.53452248382484902) * (-p0 - p11 + p13) + T(0.26726124191242401) * (p4 +
                p8));
        }
    }
    {
        const T p0 = a4 * a9;
        const T p1 = a4 * a10;
        const T p2 = a4 * a11;
        const T p3 = a4 * a12;
        const T p4 = a4 * a13;
        const T p5 = a4 * a15;
        const T p6 = a5 * a9;
        const T p7 = a5 * a10;
        const T p8 = a5 * a11;
        const T p9 = a5 * a12;
        const T p10 = a5 * a13;
        const T p11 = a5 * a14;
        const T p12 = a5 * a15;
        const T p13 = a6 * a9;
        const T p14 = a6 * a10;
        const T p15 = a6 * a11;
        const T p16 = a6 * a12;
        const T p17 = a6 * a13;
        const T p18 = a6 * a14;
        const T p19 = a6 * a15;
        const T p20 = a7 * a9;
        const T p21 = a7 * a11;
        const T p22 = a7 * a12;
        const T p23 = a7 * a13;
        const T p24 = a7 * a14;
        const T p25 = a7 * a15;
        const T p26 = a8 * a9;
        const T p27 = a8 * a11;
        const T p28 = a8 * a12;
        const T p29 = a8 * a13;
        const T p30 = a8 * a15;
        {
            const T v = w[7 * w_stride];
            b1 += v * (T(0.46291004988627599) * (p0 + p25) + T(0.119522860933439) * (-p2 - p23) +
                T(0.37796447300922698) * (p7 + p18) + T(0.29277002188456003) * (-p16) +
                T(0.41403933560541201) * p29);
            b2 += v * (T(0.119522860933439) * (-p4 + p21) + T(0.46291004988627599) * (-p5 + p20) +
                T(0.29277002188456003) * (-p9) + T(0.37796447300922698) * (-p11 + p14) +
                T(0.41403933560541201) * p27);
            b3 += v * (T(0.37796447300922698) * (p1 + p24) + T(0.478091443733757) * (p8 + p17) +
                T(0.50709255283710997) * p28);
        }
        {
            const T v = w[8 * w_stride];
            b9 += v * (T(0.28867513459481298) * (-p4 - p21) + T(0.45643546458763801) * (p11 + p14)
                + T(0.64549722436790302) * (-p26));
            b10 += v * (T(0.57735026918962595) * (-p3) + T(0.35355339059327401) * (p10 + p15) +
                T(0.45643546458763801) * (-p12 + p13));
            b11 += v * (T(0.44721359549995798) * (p4 - p21) + T(0.28867513459481298) * (p5 - p20) +
                T(0.182574185835055) * p9 + T(0.35355339059327401) * (-p11 + p14) +
                T(0.38729833462074198) * p27);
            b12 += v * (T(0.57735026918962595) * (-p1 - p24) + T(0.182574185835055) * (p8 + p17) +
                T(0.51639777949432197) * p28);
            b13 += v * (T(0.28867513459481298) * (-p0 - p25) + T(0.44721359549995798) * (p2 + p23)
                + T(0.35355339059327401) * (p7 + p18) + T(0.182574185835055) * p16 +
                T(0.38729833462074198) * p29);
            b14 += v * (T(0.45643546458763801) * (p6 + p19) + T(0.35355339059327401) * (-p8 + p17)
                + T(0.57735026918962595) * (-p22));
            b15 += v * (T(0.28867513459481298) * (p2 - p23) + T(0.45643546458763801) * (-p7 + p18)
                + T(0.64549722436790302) * (-p30));
        }
    }
    {
        const T p0 = a9 * a9;
        const T p1 = a9 * a10;
        const T p2 = a9 * a11;
        const T p3 = a9 * a13;
        const T p4 = a9 * a14;
        const T p5 = a10 * a10;
        const T p6 = a10 * a11;
        const T p7 = a10 * a12;
        const T p8 = a10 * a13;
        const T p9 = a10 * a15;
        const T p10 = a11 * a11;
        const T p11 = a11 * a12;
        const T p12 = a11 * a13;
        const T p13 = a11 * a14;
        const T p14 = a11 * a15;
        const T p15 = a12 * a12;
        const T p16 = a12 * a13;
        const T p17 = a12 * a14;
        const T p18 = a13 * a13;
        const T p19 = a13 * a14;
        const T p20 = a13 * a15;
        const T p21 = a14 * a14;
        const T p22 = a14 * a15;
        const T p23 = a15 * a15;
        {
            const T v = w[9 * w_stride];
            b0 += v * (T(0.37796447300922698) * (p0 + p5 + p10 + p15 + p18 + p21 + p23));
        }
        {
            const T v = w[10 * w_stride];
            b4 += v * (T(0.48795003647426699) * (-p3 + p14) + T(0.97590007294853298) * (-p7) +
                T(0.75592894601845395) * p12);
            b5 += v * (T(0.77151674981046003) * (p4 - p9) + T(0.597614304667197) * (p8 - p13) +
                T(0.30860669992418399) * p11);
            b6 += v * (T(0.77151674981046003) * (p1 + p22) + T(0.597614304667197) * (p6 + p19) +
                T(0.30860669992418399) * p16);
            b7 += v * (T(0.48795003647426699) * (-p2 - p20) + T(0.37796447300922698) * (-p10 + p18)
                + T(0.97590007294853298) * (-p17));
            b8 += v * (T(0.54554472558998102) * (-p0 - p23) + T(0.32732683535398899) * (p10 + p18)
                + T(0.436435780471985) * p15);
        }
    }
    b[0 * stride] = b0;
    b[1 * stride] = b1;
    b[2 * stride] = b2;
    b[3 * stride] = b3;
    b[4 * stride] = b4;
    b[5 * stride] = b5;
    b[6 * stride] = b6;
    b[7 * stride] = b7;
    b[8 * stride] = b8;
    b[9 * stride] = b9;
    b[10 * stride] = b10;
    b[11 * stride] = b11;
    b[12 * stride] = b12;
    b[13 * stride] = b13;
    b[14 * stride] = b14;
    b[15 * stride] = b15;
}

template <class T>
CAMLIP_SHARED_CODE void contraction_adjoint_3(const T* a, const T* w, const T* b_bar, T* a_bar,
                                              int stride, int w_stride) {
    const T a1 = a[1 * stride];
    T g1 = 0;
    const T a2 = a[2 * stride];
    T g2 = 0;
    const T a3 = a[3 * stride];
    T g3 = 0;
    const T a4 = a[4 * stride];
    T g4 = 0;
    const T a5 = a[5 * stride];
    T g5 = 0;
    const T a6 = a[6 * stride];
    T g6 = 0;
    const T a7 = a[7 * stride];
    T g7 = 0;
    const T a8 = a[8 * stride];
    T g8 = 0;
    const T a9 = a[9 * stride];
    T g9 = 0;
    const T a10 = a[10 * stride];
    T g10 = 0;
    const T a11 = a[11 * stride];
    T g11 = 0;
    const T a12 = a[12 * stride];
    T g12 = 0;
    const T a13 = a[13 * stride];
    T g13 = 0;
    const T a14 = a[14 * stride];
    T g14 = 0;
    const T a15 = a[15 * stride];
    T g15 = 0;
    {
        const T w0 = w[0 * w_stride];
        const T s0_0 = w0 * b_bar[0 * stride];
        const T w1 = w[1 * w_stride];
        const T s1_0 = w1 * b_bar[4 * stride];
        const T s1_1 = w1 * b_bar[5 * stride];
        const T s1_2 = w1 * b_bar[6 * stride];
        const T s1_3 = w1 * b_bar[7 * stride];
        const T s1_4 = w1 * b_bar[8 * stride];
        {
            const T q = T(1.1547005383792519) * s0_0 + T(1.414213562373096) * s1_3 +
                T(0.81649658092772603) * (-s1_4);
            g1 += q * a1;
        }
        {
            const T q = T(1.4142135623730949) * s1_0;
            g1 += q * a2;
            g2 += q * a1;
        }
        {
            const T q = T(1.4142135623730949) * s1_2;
            g1 += q * a3;
            g3 += q * a1;
        }
        {
            const T q = T(1.1547005383792519) * s0_0 + T(1.414213562373096) * (-s1_3) +
                T(0.81649658092772603) * (-s1_4);
            g2 += q * a2;
        }
        {
            const T q = T(1.4142135623730949) * s1_1;
            g2 += q * a3;
            g3 += q * a2;
        }
        {
            const T q = T(1.1547005383792519) * s0_0 + T(1.6329931618554521) * s1_4;
            g3 += q * a3;
        }
    }
    {
        const T w2 = w[2 * w_stride];
        const T s2_0 = w2 * b_bar[1 * stride];
        const T s2_1 = w2 * b_bar[2 * stride];
        const T s2_2 = w2 * b_bar[3 * stride];
        const T w3 = w[3 * w_stride];
        const T s3_0 = w3 * b_bar[9 * stride];
        const T s3_1 = w3 * b_bar[10 * stride];
        const T s3_2 = w3 * b_bar[11 * stride];
        const T s3_3 = w3 * b_bar[12 * stride];
        const T s3_4 = w3 * b_bar[13 * stride];
        const T s3_5 = w3 * b_bar[14 * stride];
        const T s3_6 = w3 * b_bar[15 * stride];
        {
            const T q = T(0.54772255750516596) * s2_1 + T(0.70710678118654802) * s3_0 +
                T(0.182574185835055) * (-s3_2);
            g1 += q * a4;
            g4 += q * a1;
        }
        {
            const T q = T(0.57735026918962595) * s3_1;
            g1 += q * a5;
            g5 += q * a1;
        }
        {
            const T q = T(0.54772255750516596) * s2_2 + T(0.44721359549995798) * (-s3_3) +
                T(0.57735026918962595) * s3_5;
            g1 += q * a6;
            g6 += q * a1;
        }
        {
            const T q = T(0.54772255750516596) * s2_0 + T(0.182574185835055) * (-s3_4) +
                T(0.70710678118654802) * s3_6;
            g1 += q * a7;
            g7 += q * a1;
        }
        {
            const T q = T(0.316227766016838) * (-s2_0) + T(0.63245553203367599) * s3_4;
            g1 += q * a8;
            g8 += q * a1;
        }
        {
            const T q = T(0.54772255750516596) * s2_0 + T(0.182574185835055) * (-s3_4) +
                T(0.70710678118654802) * (-s3_6);
            g2 += q * a4;
            g4 += q * a2;
        }
        {
            const T q = T(0.54772255750516596) * s2_2 + T(0.44721359549995798) * (-s3_3) +
                T(0.57735026918962595) * (-s3_5);
            g2 += q * a5;
            g5 += q * a2;
        }
        {
            const T q = T(0.57735026918962595) * s3_1;
            g2 += q * a6;
            g6 += q * a2;
        }
        {
            const T q = T(0.54772255750516596) * (-s2_1) + T(0.70710678118654802) * s3_0 +
                T(0.182574185835055) * s3_2;
            g2 += q * a7;
            g7 += q * a2;
        }
        {
            const T q = T(0.316227766016838) * (-s2_1) + T(0.63245553203367599) * s3_2;
            g2 += q * a8;
            g8 += q * a2;
        }
        {
            const T q = T(0.57735026918962595) * s3_1;
            g3 += q * a4;
            g4 += q * a3;
        }
        {
            const T q = T(0.54772255750516596) * s2_1 + T(0.73029674334022099) * s3_2;
            g3 += q * a5;
            g5 += q * a3;
        }
        {
            const T q = T(0.54772255750516596) * s2_0 + T(0.73029674334022099) * s3_4;
            g3 += q * a6;
            g6 += q * a3;
        }
        {
            const T q = T(0.57735026918962595) * s3_5;
            g3 += q * a7;
            g7 += q * a3;
        }
        {
            const T q = T(0.63245553203367599) * s2_2 + T(0.77459666924148296) * s3_3;
            g3 += q * a8;
            g8 += q * a3;
        }
    }
    {
        const T w4 = w[4 * w_stride];
        const T s4_0 = w4 * b_bar[4 * stride];
        const T s4_1 = w4 * b_bar[5 * stride];
        const T s4_2 = w4 * b_bar[6 * stride];
        const T s4_3 = w4 * b_bar[7 * stride];
        const T s4_4 = w4 * b_bar[8 * stride];
        {
            const T q = T(0.597614304667197) * s4_0;
            g1 += q * a9;
            g9 += q * a1;
        }
        {
            const T q = T(0.48795003647426699) * s4_1;
            g1 += q * a10;
            g10 += q * a1;
        }
        {
            const T q = T(0.154303349962092) * (-s4_0);
            g1 += q * a11;
            g11 += q * a1;
        }
        {
            const T q = T(0.37796447300922698) * (-s4_2);
            g1 += q * a12;
            g12 += q * a1;
        }
        {
            const T q = T(0.154303349962092) * (-s4_3) + T(0.53452248382484902) * s4_4;
            g1 += q * a13;
            g13 += q * a1;
        }
        {
            const T q = T(0.48795003647426699) * s4_2;
            g1 += q * a14;
            g14 += q * a1;
        }
        {
            const T q = T(0.597614304667197) * s4_3;
            g1 += q * a15;
            g15 += q * a1;
        }
        {
            const T q = T(0.597614304667197) * s4_3;
            g2 += q * a9;
            g9 += q * a2;
        }
        {
            const T q = T(0.48795003647426699) * s4_2;
            g2 += q * a10;
            g10 += q * a2;
        }
        {
            const T q = T(0.154303349962092) * s4_3 + T(0.53452248382484902) * s4_4;
            g2 += q * a11;
            g11 += q * a2;
        }
        {
            const T q = T(0.37796447300922698) * (-s4_1);
            g2 += q * a12;
            g12 += q * a2;
        }
        {
            const T q = T(0.154303349962092) * (-s4_0);
            g2 += q * a13;
            g13 += q * a2;
        }
        {
            const T q = T(0.48795003647426699) * (-s4_1);
            g2 += q * a14;
            g14 += q * a2;
        }
        {
            const T q = T(0.597614304667197) * (-s4_0);
            g2 += q * a15;
            g15 += q * a2;
        }
        {
            const T q = T(0.48795003647426699) * s4_0;
            g3 += q * a10;
            g10 += q * a3;
        }
        {
            const T q = T(0.61721339984836798) * s4_1;
            g3 += q * a11;
            g11 += q * a3;
        }
        {
            const T q = T(0.65465367070797698) * s4_4;
            g3 += q * a12;
            g12 += q * a3;
        }
        {
            const T q = T(0.61721339984836798) * s4_2;
            g3 += q * a13;
            g13 += q * a3;
        }
        {
            const T q = T(0.48795003647426699) * s4_3;
            g3 += q * a14;
            g14 += q * a3;
        }
    }
    {
        const T w5 = w[5 * w_stride];
        const T s5_0 = w5 * b_bar[0 * stride];
        const T w6 = w[6 * w_stride];
        const T s6_0 = w6 * b_bar[4 * stride];
        const T s6_1 = w6 * b_bar[5 * stride];
        const T s6_2 = w6 * b_bar[6 * stride];
        const T s6_3 = w6 * b_bar[7 * stride];
        const T s6_4 = w6 * b_bar[8 * stride];
        {
            const T q = T(0.89442719099991597) * s5_0 + T(1.069044967649698) * (-s6_4);
            g4 += q * a4;
        }
        {
            const T q = T(0.92582009977255098) * s6_2;
            g4 += q * a5;
            g5 += q * a4;
        }
        {
            const T q = T(0.92582009977255098) * s6_1;
            g4 += q * a6;
            g6 += q * a4;
        }
        {
            const T q = T(1.0690449676496969) * (-s6_0);
            g4 += q * a8;
            g8 += q * a4;
        }
        {
            const T q = T(0.89442719099991597) * s5_0 + T(0.92582009977255197) * (-s6_3) +
                T(0.53452248382484802) * s6_4;
            g5 += q * a5;
        }
        {
            const T q = T(0.92582009977255098) * s6_0;
            g5 += q * a6;
            g6 += q * a5;
        }
        {
            const T q = T(0.92582009977255098) * (-s6_1);
            g5 += q * a7;
            g7 += q * a5;
        }
        {
            const T q = T(0.53452248382484902) * s6_1;
            g5 += q * a8;
            g8 += q * a5;
        }
        {
            const T q = T(0.89442719099991597) * s5_0 + T(0.92582009977255197) * s6_3 +
                T(0.53452248382484802) * s6_4;
            g6 += q * a6;
        }
        {
            const T q = T(0.92582009977255098) * s6_2;
            g6 += q * a7;
            g7 += q * a6;
        }
        {
            const T q = T(0.53452248382484902) * s6_2;
            g6 += q * a8;
            g8 += q * a6;
        }
        {
            const T q = T(0.89442719099991597) * s5_0 + T(1.069044967649698) * (-s6_4);
            g7 += q * a7;
        }
        {
            const T q = T(1.0690449676496969) * (-s6_3);
            g7 += q * a8;
            g8 += q * a7;
        }
        {
            const T q = T(0.89442719099991597) * s5_0 + T(1.069044967649698) * s6_4;
            g8 += q * a8;
        }
    }
    {
        const T w7 = w[7 * w_stride];
        const T s7_0 = w7 * b_bar[1 * stride];
        const T s7_1 = w7 * b_bar[2 * stride];
        const T s7_2 = w7 * b_bar[3 * stride];
        const T w8 = w[8 * w_stride];
        const T s8_0 = w8 * b_bar[9 * stride];
        const T s8_1 = w8 * b_bar[10 * stride];
        const T s8_2 = w8 * b_bar[11 * stride];
        const T s8_3 = w8 * b_bar[12 * stride];
        const T s8_4 = w8 * b_bar[13 * stride];
        const T s8_5 = w8 * b_bar[14 * stride];
        const T s8_6 = w8 * b_bar[15 * stride];
        {
            const T q = T(0.46291004988627599) * s7_0 + T(0.28867513459481298) * (-s8_4);
            g4 += q * a9;
            g9 += q * a4;
        }
        {
            const T q = T(0.37796447300922698) * s7_2 + T(0.57735026918962595) * (-s8_3);
            g4 += q * a10;
            g10 += q * a4;
        }
        {
            const T q = T(0.119522860933439) * (-s7_0) + T(0.44721359549995798) * s8_4 +
                T(0.28867513459481298) * s8_6;
            g4 += q * a11;
            g11 += q * a4;
        }
        {
            const T q = T(0.57735026918962595) * (-s8_1);
            g4 += q * a12;
            g12 += q * a4;
        }
        {
            const T q = T(0.119522860933439) * (-s7_1) + T(0.28867513459481298) * (-s8_0) +
                T(0.44721359549995798) * s8_2;
            g4 += q * a13;
            g13 += q * a4;
        }
        {
            const T q = T(0.46291004988627599) * (-s7_1) + T(0.28867513459481298) * s8_2;
            g4 += q * a15;
            g15 += q * a4;
        }
        {
            const T q = T(0.45643546458763801) * s8_5;
            g5 += q * a9;
            g9 += q * a5;
        }
        {
            const T q = T(0.37796447300922698) * s7_0 + T(0.35355339059327401) * s8_4 +
                T(0.45643546458763801) * (-s8_6);
            g5 += q * a10;
            g10 += q * a5;
        }
        {
            const T q = T(0.478091443733757) * s7_2 + T(0.182574185835055) * s8_3 +
                T(0.35355339059327401) * (-s8_5);
            g5 += q * a11;
            g11 += q * a5;
        }
        {
            const T q = T(0.29277002188456003) * (-s7_1) + T(0.182574185835055) * s8_2;
            g5 += q * a12;
            g12 += q * a5;
        }
        {
            const T q = T(0.35355339059327401) * s8_1;
            g5 += q * a13;
            g13 += q * a5;
        }
        {
            const T q = T(0.37796447300922698) * (-s7_1) + T(0.45643546458763801) * s8_0 +
                T(0.35355339059327401) * (-s8_2);
            g5 += q * a14;
            g14 += q * a5;
        }
        {
            const T q = T(0.45643546458763801) * (-s8_1);
            g5 += q * a15;
            g15 += q * a5;
        }
        {
            const T q = T(0.45643546458763801) * s8_1;
            g6 += q * a9;
            g9 += q * a6;
        }
        {
            const T q = T(0.37796447300922698) * s7_1 + T(0.45643546458763801) * s8_0 +
                T(0.35355339059327401) * s8_2;
            g6 += q * a10;
            g10 += q * a6;
        }
        {
            const T q = T(0.35355339059327401) * s8_1;
            g6 += q * a11;
            g11 += q * a6;
        }
        {
            const T q = T(0.29277002188456003) * (-s7_0) + T(0.182574185835055) * s8_4;
            g6 += q * a12;
            g12 += q * a6;
        }
        {
            const T q = T(0.478091443733757) * s7_2 + T(0.182574185835055) * s8_3 +
                T(0.35355339059327401) * s8_5;
            g6 += q * a13;
            g13 += q * a6;
        }
        {
            const T q = T(0.37796447300922698) * s7_0 + T(0.35355339059327401) * s8_4 +
                T(0.45643546458763801) * s8_6;
            g6 += q * a14;
            g14 += q * a6;
        }
        {
            const T q = T(0.45643546458763801) * s8_5;
            g6 += q * a15;
            g15 += q * a6;
        }
        {
            const T q = T(0.46291004988627599) * s7_1 + T(0.28867513459481298) * (-s8_2);
            g7 += q * a9;
            g9 += q * a7;
        }
        {
            const T q = T(0.119522860933439) * s7_1 + T(0.28867513459481298) * (-s8_0) +
                T(0.44721359549995798) * (-s8_2);
            g7 += q * a11;
            g11 += q * a7;
        }
        {
            const T q = T(0.57735026918962595) * (-s8_5);
            g7 += q * a12;
            g12 += q * a7;
        }
        {
            const T q = T(0.119522860933439) * (-s7_0) + T(0.44721359549995798) * s8_4 +
                T(0.28867513459481298) * (-s8_6);
            g7 += q * a13;
            g13 += q * a7;
        }
        {
            const T q = T(0.37796447300922698) * s7_2 + T(0.57735026918962595) * (-s8_3);
            g7 += q * a14;
            g14 += q * a7;
        }
        {
            const T q = T(0.46291004988627599) * s7_0 + T(0.28867513459481298) * (-s8_4);
            g7 += q * a15;
            g15 += q * a7;
        }
        {
            const T q = T(0.64549722436790302) * (-s8_0);
            g8 += q * a9;
            g9 += q * a8;
        }
        {
            const T q = T(0.41403933560541201) * s7_1 + T(0.38729833462074198) * s8_2;
            g8 += q * a11;
            g11 += q * a8;
        }
        {
            const T q = T(0.50709255283710997) * s7_2 + T(0.51639777949432197) * s8_3;
            g8 += q * a12;
            g12 += q * a8;
        }
        {
            const T q = T(0.41403933560541201) * s7_0 + T(0.38729833462074198) * s8_4;
            g8 += q * a13;
            g13 += q * a8;
        }
        {
            const T q = T(0.64549722436790302) * (-s8_6);
            g8 += q * a15;
            g15 += q * a8;
        }
    }
    {
        const T w9 = w[9 * w_stride];
        const T s9_0 = w9 * b_bar[0 * stride];
        const T w10 = w[10 * w_stride];
        const T s10_0 = w10 * b_bar[4 * stride];
        const T s10_1 = w10 * b_bar[5 * stride];
        const T s10_2 = w10 * b_bar[6 * stride];
        const T s10_3 = w10 * b_bar[7 * stride];
        const T s10_4 = w10 * b_bar[8 * stride];
        {
            const T q = T(0.75592894601845395) * s9_0 + T(1.091089451179962) * (-s10_4);
            g9 += q * a9;
        }
        {
            const T q = T(0.77151674981046003) * s10_2;
            g9 += q * a10;
            g10 += q * a9;
        }
        {
            const T q = T(0.48795003647426699) * (-s10_3);
            g9 += q * a11;
            g11 += q * a9;
        }
        {
            const T q = T(0.48795003647426699) * (-s10_0);
            g9 += q * a13;
            g13 += q * a9;
        }
        {
            const T q = T(0.77151674981046003) * s10_1;
            g9 += q * a14;
            g14 += q * a9;
        }
        {
            const T q = T(0.75592894601845395) * s9_0;
            g10 += q * a10;
        }
        {
            const T q = T(0.597614304667197) * s10_2;
            g10 += q * a11;
            g11 += q * a10;
        }
        {
            const T q = T(0.97590007294853298) * (-s10_0);
            g10 += q * a12;
            g12 += q * a10;
        }
        {
            const T q = T(0.597614304667197) * s10_1;
            g10 += q * a13;
            g13 += q * a10;
        }
        {
            const T q = T(0.77151674981046003) * (-s10_1);
            g10 += q * a15;
            g15 += q * a10;
        }
        {
            const T q = T(0.75592894601845395) * (s9_0 - s10_3) + T(0.65465367070797797) * s10_4;
            g11 += q * a11;
        }
        {
            const T q = T(0.30860669992418399) * s10_1;
            g11 += q * a12;
            g12 += q * a11;
        }
        {
            const T q = T(0.75592894601845395) * s10_0;
            g11 += q * a13;
            g13 += q * a11;
        }
        {
            const T q = T(0.597614304667197) * (-s10_1);
            g11 += q * a14;
            g14 += q * a11;
        }
        {
            const T q = T(0.48795003647426699) * s10_0;
            g11 += q * a15;
            g15 += q * a11;
        }
        {
            const T q = T(0.75592894601845395) * s9_0 + T(0.87287156094397) * s10_4;
            g12 += q * a12;
        }
        {
            const T q = T(0.30860669992418399) * s10_2;
            g12 += q * a13;
            g13 += q * a12;
        }
        {
            const T q = T(0.97590007294853298) * (-s10_3);
            g12 += q * a14;
            g14 += q * a12;
        }
        {
            const T q = T(0.75592894601845395) * (s9_0 + s10_3) + T(0.65465367070797797) * s10_4;
            g13 += q * a13;
        }
        {
            const T q = T(0.597614304667197) * s10_2;
            g13 += q * a14;
            g14 += q * a13;
        }
        {
            const T q = T(0.48795003647426699) * (-s10_3);
            g13 += q * a15;
            g15 += q * a13;
        }
        {
            const T q = T(0.75592894601845395) * s9_0;
            g14 += q * a14;
        }
        {
            const T q = T(0.77151674981046003) * s10_2;
            g14 += q * a15;
            g15 += q * a14;
        }
        {
            const T q = T(0.75592894601845395) * s9_0 + T(1.091089451179962) * (-s10_4);
            g15 += q * a15;
        }
    }
    a_bar[1 * stride] += g1;
    a_bar[2 * stride] += g2;
    a_bar[3 * stride] += g3;
    a_bar[4 * stride] += g4;
    a_bar[5 * stride] += g5;
    a_bar[6 * stride] += g6;
    a_bar[7 * stride] += g7;
    a_bar[8 * stride] += g8;
    a_bar[9 * stride] += g9;
    a_bar[10 * stride] += g10;
    a_bar[11 * stride] += g11;
    a_bar[12 * stride] += g12;
    a_bar[13 * stride] += g13;
    a_bar[14 * stride] += g14;
    a_bar[15 * stride] += g15;
}

}  // namespace camlip::cuda

#endif
