// exp, log, softplus, sigmoid and tanh of a vector of floats, with stated errors over all float32 values.
//
// One ulp is the distance between the two floats around the true value (2^-149 where that is subnormal). The errors
// are those of all 2^32 arguments, tried for each instruction set by csrc/tests/accuracy.cpp (`pytest -m slow` repeats
// it). NaN gives NaN, infinities give the limits. Divisions are plain: a reciprocal estimate with a Newton step gained
// nothing (Zen 4), differs between makers of processors and needs care at the ends.
//
// Coefficients are minimax fits whose roundings to float were searched together. Compile without -ffast-math.
#pragma once
#include "vector.h"

namespace seqloom::SEQLOOM_ISA {

constexpr float PER_LN2 = 0x1.715476p+0f;

// v kept within low ... high; NaN stays.
SEQLOOM_INLINE vec limited(vec v, float low, float high) { return upper(broadcast(low), lower(broadcast(high), v)); }

#if defined(SEQLOOM_AVX512)
SEQLOOM_INLINE vec nearest_integer(vec v) { return (vec)_mm512_maskz_roundscale_ps(EVERY, (__m512)v, 8); }

// v * 2^n, rounded once; right for every n, also infinite.
SEQLOOM_INLINE vec scaled(vec v, vec n) { return (vec)_mm512_maskz_scalef_ps(EVERY, (__m512)v, (__m512)n); }
#else
// Adding it rounds to an integer n, and leaves n + OFFSET in the low bits of the sum.
template <int OFFSET>
constexpr float ROUNDER = 0x1.8p23f + OFFSET;

// 2^n from an integer whose low bits are n + 127, for n = -127 ... 128; these two give zero and infinity.
SEQLOOM_INLINE vec power_of_two(ivec biased) { return (vec)((uvec)biased << 23); }
#endif

// exp(r) - 1 for |r| <= ln(2) / 2; its relative error is small also where r is.
SEQLOOM_INLINE vec exponential_less_one(vec r) {
    const vec square = r * r;
    const vec low = fma(r, broadcast(0x1.555490p-3f), broadcast(0x1.fffffcp-2f));
    const vec middle = fma(r, broadcast(0x1.123b2cp-7f), broadcast(0x1.5558d2p-5f));
    const vec high = fma(square, broadcast(0x1.6a2202p-10f), middle);
    return fma(square, fma(square, high, low), r);
}

// exp(x - n ln 2) for the integer n next to x / ln 2. ln 2 in two parts (Cody and Waite): n times the first is exact.
SEQLOOM_INLINE vec exponential_of_rest(vec x, vec n) {
    vec r = fma(n, broadcast(-0x1.62e4p-1f), x);
    r = fma(n, broadcast(-0x1.7f7d1cp-20f), r);
#if defined(SEQLOOM_AVX512)
    // Where x is infinite or huge, n alone decides, and r may be anything finite.
    r = (vec)_mm512_maskz_range_ps(EVERY, (__m512)r, (__m512)broadcast(0.5f), 2);
#endif
    return 1.0f + exponential_less_one(r);
}

// Error: at most 1.05 ulp. Underflows gradually, to zero below -103.98; infinity from 88.723 on.
SEQLOOM_INLINE vec exp(vec x) {
#if defined(SEQLOOM_AVX512)
    const vec n = nearest_integer(x * PER_LN2);
    return scaled(exponential_of_rest(x, n), n);
#else
    x = limited(x, -104.0f, 89.0f);
    const vec sum = fma(x, broadcast(PER_LN2), broadcast(ROUNDER<0>));
    const ivec n = bits(sum) - bits(broadcast(ROUNDER<0>));
    const ivec half = n >> 1;  // 2^n in two factors: neither is beyond the normal numbers
    const vec result = exponential_of_rest(x, sum - ROUNDER<0>);
    return result * power_of_two(half + 127) * power_of_two(n - half + 127);
#endif
}

// Error: at most 2.49 ulp. Where the true value is subnormal (x < -87.34) it may be zero, and is below -88.73.
SEQLOOM_INLINE vec sigmoid(vec x) {
#if defined(SEQLOOM_AVX512)
    const vec n = nearest_integer(x * -PER_LN2);
    const vec divisor = 1.0f + scaled(exponential_of_rest(-x, n), n);
#else
    x = limited(x, -89.0f, 88.0f);
    const vec sum = fma(x, broadcast(-PER_LN2), broadcast(ROUNDER<127>));
    const vec divisor = fma(exponential_of_rest(-x, sum - ROUNDER<127>), power_of_two(bits(sum)), broadcast(1.0f));
#endif
    return 1.0f / divisor;
}

// Error: at most 2.66 ulp. Never beyond -1 and 1, which it takes from -9.02 and 9.02 on; tanh(x) = x where x is small.
// As e / (e + 2) with e = exp(2 x) - 1. With a quotient of polynomials (two of degree 4 in x^2) the elementwise part of
// an LSTM takes 0.98 (AVX-512) or 0.86 (AVX2) of the time, but that quotient errs by 4.9 ulp and passes 1.
SEQLOOM_INLINE vec tanh(vec x) {
    x = limited(x, -9.02f, 9.02f);
#if defined(SEQLOOM_AVX512)
    const vec n = nearest_integer(x * (2.0f * PER_LN2));
    const vec power = scaled(broadcast(1.0f), n);
#else
    const vec sum = fma(x, broadcast(2.0f * PER_LN2), broadcast(ROUNDER<127>));
    const vec n = sum - ROUNDER<127>;
    const vec power = power_of_two(bits(sum));
#endif
    // ln 2 in one part will do: the larger n, the less does e matter.
    const vec r = fma(n, broadcast(-0x1.62e430p-1f), x + x);
    const vec e = fma(power, exponential_less_one(r), power - 1.0f);
    return e / (e + 2.0f);
}

// log(1 + r) - r + r^2 / 2 over r^3, for r = -0.25 ... 0.5.
SEQLOOM_INLINE vec logarithm_tail(vec r, vec square) {
    const vec low = fma(square, fma(r, broadcast(-0x1.54efa8p-3f), broadcast(0x1.99699cp-3f)),
                        fma(r, broadcast(-0x1.000042p-2f), broadcast(0x1.5555a4p-2f)));
    const vec high = fma(square, fma(r, broadcast(-0x1.714056p-5f), broadcast(0x1.ac9042p-4f)),
                         fma(r, broadcast(-0x1.0d8a10p-3f), broadcast(0x1.288430p-3f)));
    return fma(square * square, high, low);
}

// Error: at most 0.96 ulp. Minus infinity for zeros, NaN for negative arguments; subnormal ones are no exception.
SEQLOOM_INLINE vec log(vec x) {  // x = 2^n (1 + r)
#if defined(SEQLOOM_AVX512)
    const __m512 mantissa = _mm512_maskz_getmant_ps(EVERY, (__m512)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
    const vec n = (vec)_mm512_maskz_getexp_ps(EVERY, (__m512)x) - (vec)_mm512_maskz_getexp_ps(EVERY, mantissa);
    const vec r = (vec)mantissa - 1.0f;
#else
    const ivec subnormal = x < 0x1p-126f;
    const uvec pattern = (uvec)select(subnormal, x * 0x1p23f, x);
    const ivec exponent = (ivec)(pattern - (uvec)broadcast(0.75f)) >> 23;
    const vec r = (vec)(pattern - ((uvec)exponent << 23)) - 1.0f;
    const vec n = __builtin_convertvector(exponent, vec) - select(subnormal, broadcast(23.0f), vec{});
#endif
    const vec square = r * r;
    const vec rest = fma(square * r, logarithm_tail(r, square), square * -0.5f);
    const vec value = fma(n, broadcast(0x1.62e4p-1f), r + fma(n, broadcast(0x1.7f7d1cp-20f), rest));
#if defined(SEQLOOM_AVX512)
    return value;
#else
    const vec infinity = broadcast(__builtin_inff());
    const vec special = select(x == 0.0f, -infinity, select(x == infinity, x, broadcast(__builtin_nanf(""))));
    return select((x > 0.0f) & (x < infinity), value, special);
#endif
}

// log(1 + exp(x)). Error: at most 2.97 ulp. Underflows gradually; x itself above 20, as in torch, and somewhat below.
SEQLOOM_INLINE vec softplus(vec x) {
    const vec u = exp(from_bits(bits(x) | bits(broadcast(-0.0f))));  // of -|x|; log(1 + u) = u + u^2 p / q
    const vec square = u * u;
    const vec p_low = fma(u, broadcast(-0x1.1fa68ep-2f), broadcast(-0x1.ffff5ep-2f));
    const vec q_low = fma(u, broadcast(0x1.3a77ccp+0f), broadcast(1.0f));
    const vec p = fma(square, broadcast(-0x1.3dc874p-9f), p_low);
    const vec q = fma(square, broadcast(0x1.4c2f64p-2f), q_low);
    return relu(x) + (u + square * p / q);
}

}  // namespace seqloom::SEQLOOM_ISA
