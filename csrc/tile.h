// What a stage's elementwise code is given: a tile of rows and units, held in L1.
#pragma once
#include <cstdint>

namespace seqloom {

// Operands lie in memory (see seqloom/engine/lowering/form.py): operand i of row r and unit u of the tile at
// operands[i][r * strides[i] + u]; one of width 1 at operands[i][r * strides[i]]. Only the last vector may be partial:
// `units` counts the real ones. Then every operand of that tile has room for whole vectors, and what the code writes into
// the lanes beyond is thrown away; sums over units must leave those lanes out.
struct Tile {
    int64_t rows;
    int64_t units;
    const float* accumulators;  // accumulator a of row r and unit u: accumulators[a * gate_stride + r * row_stride + u]
    int64_t gate_stride;
    int64_t row_stride;
    float* const* operands;
    const int64_t* strides;
    float* sums;  // the k-th SUM_UNITS of the code adds this tile's part to sums[k * sum_stride + r]
    int64_t sum_stride;
};

using Epilogue = void (*)(const Tile*);

}  // namespace seqloom
