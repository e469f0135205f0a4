// Weights in half the bits: bfloat16, whose products are those of floats.
#pragma once
#include "panel.h"

namespace seqloom::SEQLOOM_ISA {

struct BFloat16 {
    static constexpr int registers_each = 1;
    // Pairs of positions: [pair][vector][lane][2].
    static int64_t bytes(int64_t vectors, int64_t length) { return vectors * ((length + 1) / 2) * LANES * 4; }

    static uint16_t rounded(float value) {
        uint32_t bits;
        std::memcpy(&bits, &value, 4);
        if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((bits >> 16) | 0x40);  // NaN
        return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }

    static void pack(char* panel, int64_t vectors, int64_t column, const float* weights, int64_t length) {
        uint16_t* to = reinterpret_cast<uint16_t*>(panel + Panel::head(vectors)) + 2 * column;
        for (int64_t k = 0; k < length; k++) to[k / 2 * vectors * LANES * 2 + k % 2] = rounded(weights[k]);
    }

    template <int M, int N>
    static void product(const Source& rows, int64_t first, const Panel& panel, int64_t vector, float* out, int64_t stride) {
        const float* a = rows.values + first * rows.stride;
        const char* weights = panel.data() + vector * sizeof(vec);
        const int64_t step = panel.vectors * sizeof(vec);
        vec sums[M][N];
#pragma GCC unroll 8
        for (int r = 0; r < M; r++) {
#pragma GCC unroll 8
            for (int j = 0; j < N; j++) sums[r][j] = load(panel.start(vector + j));
        }
        int64_t k = 0;
        for (; k + 2 <= panel.length; k += 2, weights += step) add_pair<M, N, 2>(a + k, rows.stride, weights, sums);
        if (k < panel.length) add_pair<M, N, 1>(a + k, rows.stride, weights, sums);
#pragma GCC unroll 8
        for (int r = 0; r < M; r++) {
#pragma GCC unroll 8
            for (int j = 0; j < N; j++) store(out + r * stride + j * LANES, sums[r][j]);
        }
    }

    template <int M, int N, int COUNT>
    static SEQLOOM_INLINE void add_pair(const float* a, int64_t distance, const char* weights, vec (&sums)[M][N]) {
#pragma GCC unroll 8
        for (int j = 0; j < N; j++) {
            const ivec both = bits(load(reinterpret_cast<const float*>(weights) + j * LANES));
            const vec even = from_bits(both << 16);
            const vec odd = from_bits(both & broadcast_integer(static_cast<int32_t>(0xffff0000)));
#pragma GCC unroll 8
            for (int r = 0; r < M; r++) {
                sums[r][j] = fma(broadcast(a[r * distance]), even, sums[r][j]);
                if constexpr (COUNT == 2) sums[r][j] = fma(broadcast(a[r * distance + 1]), odd, sums[r][j]);
            }
        }
    }
};

}  // namespace seqloom::SEQLOOM_ISA
