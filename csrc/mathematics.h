// exp, log, softplus, sigmoid and tanh of a vector of floats, with stated errors over all float32 values.
//
// One ulp is the distance between the two floats around the true value (2^-149 below the smallest normal number). NaN
// gives NaN. Without -ffast-math: the reductions below depend on the order of operations.
#pragma once
#include "vector.h"

namespace seqloom::SEQLOOM_ISA {

// The polynomial coefficients[0] + coefficients[1] x + ... by Horner's rule.
template <int COUNT>
SEQLOOM_INLINE vec polynomial(vec x, const float (&coefficients)[COUNT]) {
    vec value = broadcast(coefficients[COUNT - 1]);
    for (int i = COUNT - 2; i >= 0; i--) value = fma(value, x, broadcast(coefficients[i]));
    return value;
}

// v limited to low ... high; NaN stays.
SEQLOOM_INLINE vec limited(vec v, float low, float high) { return upper(broadcast(low), lower(broadcast(high), v)); }

// x = n ln 2 + SIGN r: the exponential of SIGN x is 2^n exp(r). Cody and Waite's two-part ln 2: n times the first is exact.
template <int SIGN>
SEQLOOM_INLINE vec exponential_of_rest(vec x, vec n) {
    vec r = fma(n, broadcast(SIGN * -0x1.62e4p-1f), x);
    r = fma(n, broadcast(SIGN * -0x1.7f7d1cp-20f), r);
#if defined(SEQLOOM_AVX512)
    r = (vec)_mm512_range_ps((__m512)r, (__m512)broadcast(0.5f), 2);  // infinite and huge x: any finite r will do
#endif
    return polynomial(r, {1.0f, SIGN * 1.0f, 0x1.fffffcp-2f, SIGN * 0x1.555490p-3f, 0x1.5558d2p-5f, SIGN * 0x1.123b2cp-7f, 0x1.6a2202p-10f});
}

SEQLOOM_INLINE vec exp(vec x) {
#if defined(SEQLOOM_AVX512)
    const vec n = (vec)_mm512_maskz_roundscale_ps(EVERY, (__m512)(x * 0x1.715476p+0f), 8);
    return (vec)_mm512_maskz_scalef_ps(EVERY, (__m512)exponential_of_rest<1>(x, n), (__m512)n);
#else
    x = limited(x, -104.0f, 89.0f);
    const vec rounder = broadcast(0x1.8p23f);
    const vec shifted = fma(x, broadcast(0x1.715476p+0f), rounder);
    const ivec n = bits(shifted) - bits(rounder);
    const ivec half = n >> 1;
    const vec first = from_bits((half + 127) << 23);
    const vec second = from_bits((n - half + 127) << 23);
    return exponential_of_rest<1>(x, shifted - rounder) * first * second;
#endif
}

SEQLOOM_INLINE vec sigmoid(vec x) {
#if defined(SEQLOOM_AVX512)
    const vec n = (vec)_mm512_maskz_roundscale_ps(EVERY, (__m512)(x * -0x1.715476p+0f), 8);
    const vec e = (vec)_mm512_maskz_scalef_ps(EVERY, (__m512)exponential_of_rest<-1>(x, n), (__m512)n);
#else
    x = limited(x, -89.0f, 88.0f);
    const vec rounder = broadcast(0x1.8p23f + 127.0f);
    const vec shifted = fma(x, broadcast(-0x1.715476p+0f), rounder);
    const vec e = exponential_of_rest<-1>(x, shifted - rounder) * from_bits(bits(shifted) << 23);
#endif
    return 1.0f / (1.0f + e);
}

SEQLOOM_INLINE vec tanh(vec x) {
    x = limited(x, -9.02f, 9.02f);
    const vec u = x * x;
    const vec p = polynomial(u, {1.0f, 0x1.120442p-3f, 0x1.c9f86ap-9f, 0x1.59557ap-16f, 0x1.c9a420p-27f});
    const vec q = polynomial(u, {1.0f, 0x1.de576cp-2f, 0x1.a7df2ap-6f, 0x1.5841eep-12f, 0x1.a0b894p-21f});
    return x * p / q;
}

SEQLOOM_INLINE vec log(vec x) {
#if defined(SEQLOOM_AVX512)
    const __m512 mantissa = _mm512_maskz_getmant_ps(EVERY, (__m512)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
    const vec n = (vec)_mm512_maskz_getexp_ps(EVERY, (__m512)x) - (vec)_mm512_maskz_getexp_ps(EVERY, mantissa);
    const vec r = (vec)mantissa - 1.0f;
#else
    const ivec subnormal = x < 0x1p-126f;
    const ivec pattern = bits(select(subnormal, x * 0x1p23f, x));
    const ivec exponent = (pattern - 0x3f400000) >> 23;
    const vec r = from_bits(pattern - (exponent << 23)) - 1.0f;
    const vec n = __builtin_convertvector(exponent, vec) - select(subnormal, broadcast(23.0f), vec{});
#endif
    const vec p = polynomial(r, {0x1.5555a4p-2f, -0x1.000042p-2f, 0x1.99699cp-3f, -0x1.54efa8p-3f, 0x1.288430p-3f, -0x1.0d8a10p-3f,
                                 0x1.ac9042p-4f, -0x1.714056p-5f});
    const vec square = r * r;
    const vec rest = fma(n, broadcast(0x1.7f7d1cp-20f), fma(square * r, p, square * -0.5f));
    const vec value = fma(n, broadcast(0x1.62e4p-1f), r + rest);
#if defined(SEQLOOM_AVX512)
    return value;
#else
    const vec infinity = broadcast(__builtin_inff());
    const vec special = select(x == 0.0f, -infinity, select(x == infinity, x, broadcast(__builtin_nanf(""))));
    return select((x > 0.0f) & (x < infinity), value, special);
#endif
}

SEQLOOM_INLINE vec softplus(vec x) {
    const vec u = exp(from_bits(bits(x) | bits(broadcast(-0.0f))));
    const vec p = polynomial(u, {1.0f, 0x1.bc00ccp-1f, 0x1.faf052p-4f});
    const vec q = polynomial(u, {1.0f, 0x1.5e0046p+0f, 0x1.e56fb8p-2f, 0x1.fd7410p-6f});
    return relu(x) + u * p / q;
}

}  // namespace seqloom::SEQLOOM_ISA
