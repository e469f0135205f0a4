// Weights as int8, multiplied with 16-bit entries: products are exact integers.
//
// Up to 512 positions add up within 32 bits (512 * 127 * 32767 < 2^31); blocks of them are then added as floats. The same
// integers come from every instruction set.
#pragma once
#include "panel.h"

namespace seqloom::SEQLOOM_ISA {

// Keeps the compiler from fusing what made v with what follows: the numbers shall not depend on the instruction set.
SEQLOOM_INLINE vec settled(vec v) {
#if defined(__x86_64__) || defined(__i386__)
    asm("" : "+x"(v));
#elif defined(__aarch64__)
    asm("" : "+w"(v));
#endif
    return v;
}

constexpr int64_t EXACT = 512;  // positions whose products add up within 32 bits

constexpr int64_t fours(int64_t length) { return (length + 3) / 4 * 4; }

// Panels of int8: block after block of up to EXACT positions; each begins with -32768 times the sum of its weights, column
// by column (for the unsigned form of the entries), then [four positions][vector][lane][4].
struct Int8Panels {
    static int64_t bytes(int64_t vectors, int64_t length) {
        const int64_t blocks = (length + EXACT - 1) / EXACT;
        return vectors * LANES * (4 * blocks + fours(length));
    }

    static void pack(char* panel, int64_t vectors, int64_t column, const float* weights, int64_t length) {
        float most = 0.0f;
        for (int64_t k = 0; k < length; k++) most = std::fabs(weights[k]) > most || weights[k] != weights[k] ? std::fabs(weights[k]) : most;
        const bool finite = most < __builtin_inff();
        const float scale = finite ? most / 127.0f : __builtin_nanf("");
        reinterpret_cast<float*>(panel)[vectors * LANES + column] = scale;
        char* to = panel + Panel::head(vectors);
        for (int64_t begin = 0; begin < length; begin += EXACT) {
            const int64_t count = std::min(EXACT, length - begin);
            int32_t sum = 0;
            int8_t* block = reinterpret_cast<int8_t*>(to + vectors * LANES * 4);
            for (int64_t k = 0; k < count; k++) {
                const float ratio = scale > 0.0f ? std::nearbyint(weights[begin + k] / scale) : 0.0f;
                const int8_t value = static_cast<int8_t>(std::max(-127.0f, std::min(127.0f, ratio)));
                sum += value;
                block[(k / 4 * vectors * LANES + column) * 4 + k % 4] = value;
            }
            reinterpret_cast<int32_t*>(to)[column] = -32768 * sum;
            to += vectors * LANES * (4 + fours(count));
        }
    }

    template <int M, int N>
    static SEQLOOM_INLINE void finish(const Source& rows, int64_t first, const Panel& panel, int64_t vector,
                                      const vec (&totals)[M][N], float* out, int64_t stride) {
#pragma GCC unroll 8
        for (int r = 0; r < M; r++) {
            const vec scale = broadcast(rows.scales[first + r]);
#pragma GCC unroll 8
            for (int j = 0; j < N; j++) {
                const vec product = settled(totals[r][j] * load(panel.scale(vector + j)) * scale);
                store(out + r * stride + j * LANES, product + load(panel.start(vector + j)));
            }
        }
    }
};

SEQLOOM_INLINE ivec nearest(vec v) {
#if defined(SEQLOOM_AVX512)
    return (ivec)_mm512_maskz_cvtps_epi32(EVERY, (__m512)v);
#elif defined(SEQLOOM_AVX2)
    return (ivec)_mm256_cvtps_epi32((__m256)v);
#elif defined(__SSE2__)
    return (ivec)_mm_cvtps_epi32((__m128)v);
#elif defined(SEQLOOM_NEON)
    return (ivec)vcvtnq_s32_f32((float32x4_t)v);
#else
    ivec n;
    for (int i = 0; i < LANES; i++) n[i] = static_cast<int32_t>(__builtin_lrintf(v[i]));
    return n;
#endif
}

// LANES entries of a row, zeros beyond its end.
SEQLOOM_INLINE vec entries(const float* row, int64_t k, int64_t length) {
    if (k + LANES <= length) return load(row + k);
    float rest[LANES] = {};
    for (int64_t i = k; i < length; i++) rest[i - k] = row[i];
    return load(rest);
}

// What entries are multiplied with to become 16-bit integers; `scale` undoes it. A row that is not finite becomes zeros
// times NaN, so that it spoils its own products and no others.
SEQLOOM_INLINE float to_integers(const float* row, int64_t length, float* scale) {
    vec most{};
    for (int64_t k = 0; k < length; k += LANES) most = maximum(most, absolute(entries(row, k, length)));
    float largest = 0.0f;
    for (int i = 0; i < LANES; i++) largest = most[i] > largest || most[i] != most[i] ? most[i] : largest;
    if (!(largest < __builtin_inff())) {
        *scale = __builtin_nanf("");
        return 0.0f;
    }
    const bool vanishes = largest < 1e-30f;
    *scale = vanishes ? 0.0f : largest / 32767.0f;
    return vanishes ? 0.0f : 32767.0f / largest;
}

// A row as (length rounded up to vectors) signed integers.
static void quantize_signed(const float* row, int64_t length, char* to, float* scale) {
    using half [[gnu::vector_size(2 * LANES)]] = int16_t;
    const float factor = to_integers(row, length, scale);
    for (int64_t k = 0; k < length; k += LANES) {
        const vec value = factor > 0.0f ? entries(row, k, length) * factor : vec{};
        const half small = __builtin_convertvector(nearest(value), half);
        std::memcpy(to + 2 * k, &small, sizeof small);
    }
}

#if defined(SEQLOOM_AVX512) || defined(SEQLOOM_AVX2)
// Sign-extended weights times pairs of entries, with one instruction for multiplying and adding neighbours.
struct Int8Pairs : Int8Panels {
    static constexpr int registers_each = 2;

#if defined(SEQLOOM_AVX512)
    static SEQLOOM_INLINE ivec widened(const char* from) {
        return (ivec)_mm512_maskz_cvtepi8_epi16(0xffffffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    }
    static SEQLOOM_INLINE ivec four(const int16_t* from) {
        int64_t bits;
        std::memcpy(&bits, from, 8);
        return (ivec)_mm512_maskz_set1_epi64(0xff, bits);
    }
    static SEQLOOM_INLINE ivec products(ivec a, ivec b) {
        return (ivec)_mm512_maskz_madd_epi16(EVERY, (__m512i)a, (__m512i)b);
    }
#else
    static SEQLOOM_INLINE ivec widened(const char* from) {
        return (ivec)_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    }
    static SEQLOOM_INLINE ivec four(const int16_t* from) {
        int64_t bits;
        std::memcpy(&bits, from, 8);
        return (ivec)_mm256_set1_epi64x(bits);
    }
    static SEQLOOM_INLINE ivec products(ivec a, ivec b) { return (ivec)_mm256_madd_epi16((__m256i)a, (__m256i)b); }
#endif

    // Sums of pairs, two for each lane, the first half of the lanes apart from the second: to one for each lane.
    static SEQLOOM_INLINE ivec joined(const ivec (&sums)[2]) {
        int32_t apart[2 * LANES];
        std::memcpy(apart, sums, sizeof apart);
        ivec total;
        for (int lane = 0; lane < LANES; lane++) total[lane] = apart[2 * lane] + apart[2 * lane + 1];
        return total;
    }

    template <int M, int N>
    static void product(const Source& rows, int64_t first, const Panel& panel, int64_t vector, float* out, int64_t stride) {
        vec totals[M][N] = {};
        const char* block = panel.data();
        const int64_t step = panel.vectors * sizeof(ivec);
        for (int64_t begin = 0; begin < panel.length; begin += EXACT) {
            const int64_t end = fours(std::min(begin + EXACT, panel.length));
            ivec sums[M][N][2] = {};
            const char* weights = block + step + vector * sizeof(ivec);
            for (int64_t k = begin; k < end; k += 4, weights += step) {
#pragma GCC unroll 8
                for (int j = 0; j < N; j++) {
                    const ivec low = widened(weights + j * sizeof(ivec)), high = widened(weights + j * sizeof(ivec) + sizeof(ivec) / 2);
#pragma GCC unroll 8
                    for (int r = 0; r < M; r++) {
                        const ivec x = four(reinterpret_cast<const int16_t*>(rows.integers + (first + r) * rows.integer_stride) + k);
                        sums[r][j][0] += products(x, low);
                        sums[r][j][1] += products(x, high);
                    }
                }
            }
            for (int r = 0; r < M; r++) {
                for (int j = 0; j < N; j++) totals[r][j] += __builtin_convertvector(joined(sums[r][j]), vec);
            }
            block += step + (end - begin) / 4 * step;
        }
        finish<M, N>(rows, first, panel, vector, totals, out, stride);
    }
};
#endif

// Plain C++.
struct Int8Plain : Int8Panels {
    static constexpr int registers_each = 1;

    template <int M, int N>
    static void product(const Source& rows, int64_t first, const Panel& panel, int64_t vector, float* out, int64_t stride) {
        vec totals[M][N] = {};
        const char* block = panel.data();
        const int64_t step = panel.vectors * sizeof(ivec);
        for (int64_t begin = 0; begin < panel.length; begin += EXACT) {
            const int64_t end = fours(std::min(begin + EXACT, panel.length));
            int32_t sums[M][N][LANES] = {};
            const char* weights = block + step + vector * sizeof(ivec);
            for (int64_t k = begin; k < end; k += 4, weights += step) {
                const int8_t* w = reinterpret_cast<const int8_t*>(weights);
                for (int r = 0; r < M; r++) {
                    const int16_t* x = reinterpret_cast<const int16_t*>(rows.integers + (first + r) * rows.integer_stride) + k;
                    for (int column = 0; column < N * LANES; column++) {
                        sums[r][column / LANES][column % LANES] += x[0] * w[4 * column] + x[1] * w[4 * column + 1] +
                                                                   x[2] * w[4 * column + 2] + x[3] * w[4 * column + 3];
                    }
                }
            }
            for (int r = 0; r < M; r++) {
                for (int j = 0; j < N; j++) {
                    ivec sum;
                    std::memcpy(&sum, sums[r][j], sizeof sum);
                    totals[r][j] += __builtin_convertvector(sum, vec);
                }
            }
            block += step + (end - begin) / 4 * step;
        }
        finish<M, N>(rows, first, panel, vector, totals, out, stride);
    }
};

#if defined(SEQLOOM_AVX512)
#define SEQLOOM_VNNI __attribute__((target("avx512vnni")))

// An entry + 32768 as two bytes, the high ones of a row before the low ones, times weights four at a time.
struct Int8Bytes : Int8Panels {
    static constexpr int registers_each = 2;

    static SEQLOOM_INLINE SEQLOOM_VNNI __m512i four(const char* bytes) {
        // As a float: of an integer, GCC makes a broadcast from a general register, which is slower.
        float entries;
        std::memcpy(&entries, bytes, 4);
        return (__m512i)_mm512_maskz_broadcastss_ps(EVERY, _mm_set_ss(entries));
    }

    template <int M, int N>
    SEQLOOM_VNNI static void product(const Source& rows, int64_t first, const Panel& panel, int64_t vector, float* out, int64_t stride) {
        vec totals[M][N] = {};
        const char* block = panel.data();
        const int64_t step = panel.vectors * sizeof(ivec), low_bytes = rows.integer_stride / 2;
        for (int64_t begin = 0; begin < panel.length; begin += EXACT) {
            const int64_t end = fours(std::min(begin + EXACT, panel.length));
            __m512i high[M][N] = {}, low[M][N];
#pragma GCC unroll 8
            for (int r = 0; r < M; r++) {
#pragma GCC unroll 8
                for (int j = 0; j < N; j++) low[r][j] = _mm512_loadu_si512(block + (vector + j) * sizeof(ivec));
            }
            const char* weights = block + step + vector * sizeof(ivec);
            const char* bytes = rows.integers + first * rows.integer_stride;
            for (int64_t k = begin; k < end; k += 4, weights += step) {
                __m512i w[N];
#pragma GCC unroll 8
                for (int j = 0; j < N; j++) w[j] = _mm512_loadu_si512(weights + j * sizeof(ivec));
#pragma GCC unroll 8
                for (int r = 0; r < M; r++) {
                    const __m512i x = four(bytes + r * rows.integer_stride + k), y = four(bytes + r * rows.integer_stride + low_bytes + k);
#pragma GCC unroll 8
                    for (int j = 0; j < N; j++) {
                        high[r][j] = _mm512_dpbusd_epi32(high[r][j], x, w[j]);
                        low[r][j] = _mm512_dpbusd_epi32(low[r][j], y, w[j]);
                    }
                }
            }
#pragma GCC unroll 8
            for (int r = 0; r < M; r++) {
#pragma GCC unroll 8
                for (int j = 0; j < N; j++) {
                    const uvec sum = ((uvec)high[r][j] << 8) + (uvec)low[r][j];
                    totals[r][j] += __builtin_convertvector((ivec)sum, vec);
                }
            }
            block += step + (end - begin) / 4 * step;
        }
        finish<M, N>(rows, first, panel, vector, totals, out, stride);
    }
};

static void quantize_bytes(const float* row, int64_t length, char* to, float* scale) {
    const float factor = to_integers(row, length, scale);
    char* low = to + (length + LANES - 1) / LANES * LANES;
    for (int64_t k = 0; k < length; k += LANES) {
        const vec value = factor > 0.0f ? entries(row, k, length) * factor : vec{};
        const __m512i biased = (__m512i)(nearest(value) + 32768);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + k), _mm512_maskz_cvtepi32_epi8(EVERY, (__m512i)((ivec)biased >> 8)));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(low + k), _mm512_maskz_cvtepi32_epi8(EVERY, biased));
    }
}
#endif

}  // namespace seqloom::SEQLOOM_ISA
