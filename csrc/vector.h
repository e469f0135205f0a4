// One vector of floats, the same source for every instruction set: 16 lanes with AVX-512, 8 with AVX2 and FMA, else 4.
//
// A translation unit that is compiled for an instruction set defines SEQLOOM_ISA as its name (portable, avx2, avx512)
// first: everything lies in that namespace, so that the linker never takes one set's code for another's.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#ifndef SEQLOOM_ISA
#define SEQLOOM_ISA portable
#endif
#define SEQLOOM_INLINE inline __attribute__((always_inline))
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define SEQLOOM_AVX512
#elif defined(__AVX2__) && defined(__FMA__)
#define SEQLOOM_AVX2
#elif defined(__ARM_NEON) && defined(__aarch64__)
#define SEQLOOM_NEON
#endif

namespace seqloom::SEQLOOM_ISA {

#if defined(SEQLOOM_AVX512)
constexpr int LANES = 16;
constexpr __mmask16 EVERY = 0xffff;  // the unmasked intrinsics of GCC 12 warn of an uninitialised value
#elif defined(SEQLOOM_AVX2)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

using vec [[gnu::vector_size(4 * LANES)]] = float;
using ivec [[gnu::vector_size(4 * LANES)]] = int32_t;  // as a mask: all bits of a lane set where it is true
using uvec [[gnu::vector_size(4 * LANES)]] = uint32_t;  // wraps around

SEQLOOM_INLINE vec load(const float* from) {  // needs no alignment
    vec v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

SEQLOOM_INLINE void store(float* to, vec v) { std::memcpy(to, &v, sizeof v); }

SEQLOOM_INLINE vec broadcast(float x) { return x - vec{}; }

SEQLOOM_INLINE ivec broadcast_integer(int32_t x) { return x - ivec{}; }

SEQLOOM_INLINE ivec bits(vec v) { return (ivec)v; }

SEQLOOM_INLINE vec from_bits(ivec v) { return (vec)v; }

// a * b + c, rounded once where the instruction set can.
SEQLOOM_INLINE vec fma(vec a, vec b, vec c) {
#if defined(SEQLOOM_AVX512)
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(SEQLOOM_AVX2)
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__SSE2__) && defined(__FMA__)
    return (vec)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c);
#elif defined(SEQLOOM_NEON)
    return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

// a where the mask is set, b elsewhere; bit for bit, so nothing of the other branch leaks.
SEQLOOM_INLINE vec select(ivec mask, vec a, vec b) { return mask ? a : b; }

SEQLOOM_INLINE vec where(vec condition, vec a, vec b) { return condition != vec{} ? a : b; }

SEQLOOM_INLINE vec less(vec a, vec b) { return a < b ? broadcast(1.0f) : vec{}; }

SEQLOOM_INLINE vec less_equal(vec a, vec b) { return a <= b ? broadcast(1.0f) : vec{}; }

SEQLOOM_INLINE vec equal(vec a, vec b) { return a == b ? broadcast(1.0f) : vec{}; }

// The second operand where either is NaN: what the x86 instruction does, and what NaN-propagating forms are made of.
SEQLOOM_INLINE vec lower(vec a, vec b) {
#if defined(SEQLOOM_AVX512)
    return (vec)_mm512_maskz_min_ps(EVERY, (__m512)a, (__m512)b);
#elif defined(SEQLOOM_AVX2)
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (vec)_mm_min_ps((__m128)a, (__m128)b);
#else
    return a < b ? a : b;
#endif
}

SEQLOOM_INLINE vec upper(vec a, vec b) {
#if defined(SEQLOOM_AVX512)
    return (vec)_mm512_maskz_max_ps(EVERY, (__m512)a, (__m512)b);
#elif defined(SEQLOOM_AVX2)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (vec)_mm_max_ps((__m128)a, (__m128)b);
#else
    return a > b ? a : b;
#endif
}

// NaN where either operand is, as torch.minimum and torch.maximum.
SEQLOOM_INLINE vec minimum(vec a, vec b) { return a != a ? a : lower(a, b); }

SEQLOOM_INLINE vec maximum(vec a, vec b) { return a != a ? a : upper(a, b); }

// NaN stays NaN, as torch.relu.
SEQLOOM_INLINE vec relu(vec v) { return upper(vec{}, v); }

SEQLOOM_INLINE vec absolute(vec v) { return from_bits(bits(v) & 0x7fffffff); }

// -1, 0 or 1; 0 for NaN, as torch.sign.
SEQLOOM_INLINE vec sign(vec v) { return less(vec{}, v) - less(v, vec{}); }

SEQLOOM_INLINE vec sqrt(vec v) {
#if defined(SEQLOOM_AVX512)
    return (vec)_mm512_maskz_sqrt_ps(EVERY, (__m512)v);
#elif defined(SEQLOOM_AVX2)
    return (vec)_mm256_sqrt_ps((__m256)v);
#elif defined(__SSE2__)
    return (vec)_mm_sqrt_ps((__m128)v);
#elif defined(SEQLOOM_NEON)
    return (vec)vsqrtq_f32((float32x4_t)v);
#else
    for (int i = 0; i < LANES; i++) v[i] = __builtin_sqrtf(v[i]);
    return v;
#endif
}

// Correctly rounded, and right for zeros, infinities and subnormals.
SEQLOOM_INLINE vec reciprocal(vec v) { return 1.0f / v; }

#if defined(__SSE2__)
SEQLOOM_INLINE float sum_of_four(__m128 v) {
    const __m128 two = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
#endif

// The sum of all lanes, by halves: always the same order of additions.
SEQLOOM_INLINE float sum(vec v) {
#if defined(SEQLOOM_AVX512)
    const __m256 first = _mm512_maskz_extractf32x8_ps(0xff, (__m512)v, 0);
    const __m256 eight = first + _mm512_maskz_extractf32x8_ps(0xff, (__m512)v, 1);
    return sum_of_four(_mm256_extractf128_ps(eight, 0) + _mm256_extractf128_ps(eight, 1));
#elif defined(SEQLOOM_AVX2)
    return sum_of_four(_mm256_extractf128_ps((__m256)v, 0) + _mm256_extractf128_ps((__m256)v, 1));
#elif defined(__SSE2__)
    return sum_of_four((__m128)v);
#else
    return (v[0] + v[2]) + (v[1] + v[3]);
#endif
}

// The first n lanes of v and zeros; all of v where n >= LANES.
SEQLOOM_INLINE vec first_lanes(vec v, int64_t n) {
    ivec number;
    for (int i = 0; i < LANES; i++) number[i] = i;
    const int32_t count = n < LANES ? static_cast<int32_t>(n) : LANES;
    return number < broadcast_integer(count) ? v : vec{};
}

}  // namespace seqloom::SEQLOOM_ISA
