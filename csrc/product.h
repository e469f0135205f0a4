// Products of a few rows with packed columns of a matrix: the part of a step that costs the time.
//
// A panel is N vectors of columns (units of gates), stored position by position: panel[k][j][lane]. A tile of M rows times
// N vectors stays in registers while the K positions pass by.
#pragma once
#include "tiling.h"

namespace seqloom::SEQLOOM_ISA {

#if defined(__AVX512F__)
constexpr int PANEL = 4;  // vectors: 6 x 4 accumulators of 32 registers
#else
constexpr int PANEL = 2;  // 6 x 2 of 16
#endif

// out[offsets[j] + r * row_stride + lane] = sum over k of a[r * row_distance + k] * panel[k][j][lane]; with START the sum
// begins with one more vector per column, which precedes the panel.
template <int M, int N, bool START>
static void product_tile(const float* a, int64_t row_distance, const float* panel, int64_t length, float* out,
                         const int64_t* offsets, int64_t row_stride) {
    // With 8 lanes or fewer a few accumulators would wait for each other's latency: sum every second or fourth position
    // apart then. With 16 the cache is what a single row waits for, and one order of summation for all tiles means that
    // neither the size of a batch nor the number of threads changes a bit of the result.
    constexpr int APART = PANEL == 4 || M > 3 ? 1 : M > 1 ? 2 : 4;
    vec sums[APART][M][N] = {};
    if constexpr (START) {
#pragma GCC unroll 8
        for (int r = 0; r < M; r++) {
#pragma GCC unroll 8
            for (int j = 0; j < N; j++) sums[0][r][j] = *reinterpret_cast<const vec*>(panel + j * LANES);
        }
        panel += N * LANES;
    }
    int64_t k = 0;
    for (; k + APART <= length; k += APART) {
#pragma GCC unroll 8
        for (int q = 0; q < APART; q++) {
            vec w[N];
#pragma GCC unroll 8
            for (int j = 0; j < N; j++) w[j] = *reinterpret_cast<const vec*>(panel + ((k + q) * N + j) * LANES);
#pragma GCC unroll 8
            for (int r = 0; r < M; r++) {
                const vec x = broadcast(a[r * row_distance + k + q]);
#pragma GCC unroll 8
                for (int j = 0; j < N; j++) sums[q][r][j] = fma(x, w[j], sums[q][r][j]);
            }
        }
    }
    for (; k < length; k++) {
        for (int r = 0; r < M; r++) {
            const vec x = broadcast(a[r * row_distance + k]);
#pragma GCC unroll 8
            for (int j = 0; j < N; j++) {
                sums[0][r][j] = fma(x, *reinterpret_cast<const vec*>(panel + (k * N + j) * LANES), sums[0][r][j]);
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < M; r++) {
#pragma GCC unroll 8
        for (int j = 0; j < N; j++) {
            vec total = sums[0][r][j];
#pragma GCC unroll 8
            for (int q = 1; q < APART; q++) total += sums[q][r][j];
            store(out + offsets[j] + r * row_stride, total);
        }
    }
}

using ProductTile = void (*)(const float*, int64_t, const float*, int64_t, float*, const int64_t*, int64_t);

template <int N, bool START>
constexpr ProductTile tiles_of(int rows) {
    constexpr ProductTile by_rows[TILE_ROWS] = {
        product_tile<1, N, START>, product_tile<2, N, START>, product_tile<3, N, START>,
        product_tile<4, N, START>, product_tile<5, N, START>, product_tile<6, N, START>,
    };
    return by_rows[rows - 1];
}

template <bool START>
static ProductTile product_of(int rows, int vectors) {
    switch (vectors) {
#if defined(__AVX512F__)
        case 4: return tiles_of<4, START>(rows);
        case 3: return tiles_of<3, START>(rows);
#endif
        case 2: return tiles_of<2, START>(rows);
        default: return tiles_of<1, START>(rows);
    }
}

}  // namespace seqloom::SEQLOOM_ISA
