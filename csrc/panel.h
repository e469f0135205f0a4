// Packed weights as panels, and the products of a few rows with one: what packed cells multiply with.
//
// A panel is up to 8 vectors of columns, position by position, behind a head of two floats per column: where its sum
// begins (a bias), and its scale. Each sum runs through all positions in their order whatever the tile, so that a row's
// result is the same bits alone, in a batch, in a chunk and on any number of threads.
#pragma once
#include <algorithm>
#include <cmath>

#include "tiling.h"

namespace seqloom::SEQLOOM_ISA {

constexpr int WIDEST = 8;
#if defined(SEQLOOM_AVX512)
constexpr int REGISTERS = 24;  // for sums, of 32
#else
constexpr int REGISTERS = 12;  // of 16
#endif

// The widest tile of so many rows whose sums, each of so many registers, stay in registers: 8, 4, 2 or 1 vectors.
constexpr int widest_tile(int rows, int registers_each) {
    int width = WIDEST;
    while (width > 1 && width * rows * registers_each > (rows == 1 ? 16 : REGISTERS)) width /= 2;
    return width;
}

// Rows that are multiplied: as floats, or as 16-bit integers times a scale per row.
struct Source {
    const float* values;
    int64_t stride;
    const char* integers;
    int64_t integer_stride;  // bytes
    const float* scales;
};

struct Panel {
    const char* at;
    int64_t vectors;
    int64_t length;

    const float* start(int64_t vector) const { return reinterpret_cast<const float*>(at) + vector * LANES; }
    const float* scale(int64_t vector) const { return start(vectors + vector); }
    const char* data() const { return reinterpret_cast<const char*>(start(2 * vectors)); }
    static int64_t head(int64_t vectors) { return 2 * vectors * LANES * static_cast<int64_t>(sizeof(float)); }
};

// out[r * stride + j * LANES + lane] = start + sum over positions of rows[first + r] times the panel's vector + j.
using PanelProduct = void (*)(const Source& rows, int64_t first, const Panel& panel, int64_t vector, float* out, int64_t stride);

// How weights are stored and multiplied.
struct Format {
    int64_t (*bytes)(int64_t vectors, int64_t length);  // of a panel's data
    // One column of a panel from a row of the matrix; its scale goes into the head.
    void (*pack)(char* panel, int64_t vectors, int64_t column, const float* weights, int64_t length);
    // A row as integers, and its scale; none where rows are read as floats.
    void (*quantize)(const float* row, int64_t length, char* to, float* scale);
    PanelProduct products[TILE_ROWS][4];  // by rows, and the logarithm of the vectors
    int registers_each;
};

// All products of a format whose product<M, N> is a static member of T.
template <class T, int M>
constexpr void products_of_rows(PanelProduct (&to)[4]) {
    constexpr int widest = widest_tile(M, T::registers_each);
    to[0] = T::template product<M, 1>;
    if constexpr (widest >= 2) to[1] = T::template product<M, 2>;
    if constexpr (widest >= 4) to[2] = T::template product<M, 4>;
    if constexpr (widest >= 8) to[3] = T::template product<M, 8>;
}
template <class T>
constexpr Format format_of(void (*quantize)(const float*, int64_t, char*, float*)) {
    Format format{T::bytes, T::pack, quantize, {}, T::registers_each};
    products_of_rows<T, 1>(format.products[0]);
    products_of_rows<T, 2>(format.products[1]);
    products_of_rows<T, 3>(format.products[2]);
    products_of_rows<T, 4>(format.products[3]);
    products_of_rows<T, 5>(format.products[4]);
    products_of_rows<T, 6>(format.products[5]);
    return format;
}

// All vectors of a panel for up to TILE_ROWS rows.
inline void multiply_panel(const Format& format, const Source& rows, int64_t first, int count, const Panel& panel,
                           float* out, int64_t stride) {
    const int widest = widest_tile(count, format.registers_each);
    for (int64_t vector = 0; vector < panel.vectors;) {
        int number = 0;
        while (number < 3 && (2 << number) <= widest && (2 << number) <= panel.vectors - vector) number++;
        format.products[count - 1][number](rows, first, panel, vector, out + vector * LANES, stride);
        vector += 1 << number;
    }
}

struct Float32 {
    static constexpr int registers_each = 1;
    static int64_t bytes(int64_t vectors, int64_t length) { return vectors * length * LANES * 4; }

    static void pack(char* panel, int64_t vectors, int64_t column, const float* weights, int64_t length) {
        float* to = reinterpret_cast<float*>(panel) + 2 * vectors * LANES + column;
        for (int64_t k = 0; k < length; k++) to[k * vectors * LANES] = weights[k];
    }

    template <int M, int N>
    static void product(const Source& rows, int64_t first, const Panel& panel, int64_t vector, float* out, int64_t stride) {
        const float* a = rows.values + first * rows.stride;
        const float* weights = reinterpret_cast<const float*>(panel.data()) + vector * LANES;
        const int64_t step = panel.vectors * LANES;
        vec sums[M][N];
#pragma GCC unroll 8
        for (int r = 0; r < M; r++) {
#pragma GCC unroll 8
            for (int j = 0; j < N; j++) sums[r][j] = load(panel.start(vector + j));
        }
#pragma GCC unroll 2
        for (int64_t k = 0; k < panel.length; k++, weights += step) {
            vec w[N];
#pragma GCC unroll 8
            for (int j = 0; j < N; j++) w[j] = load(weights + j * LANES);
#pragma GCC unroll 8
            for (int r = 0; r < M; r++) {
                const vec x = broadcast(a[r * rows.stride + k]);
#pragma GCC unroll 8
                for (int j = 0; j < N; j++) sums[r][j] = fma(x, w[j], sums[r][j]);
            }
        }
#pragma GCC unroll 8
        for (int r = 0; r < M; r++) {
#pragma GCC unroll 8
            for (int j = 0; j < N; j++) store(out + r * stride + j * LANES, sums[r][j]);
        }
    }
};

}  // namespace seqloom::SEQLOOM_ISA
