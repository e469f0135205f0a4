// How a pass's weights are divided into parts and chunks, and packed for the products.
#pragma once
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "memory.h"
#include "product.h"
#include "sequence.h"

namespace seqloom::SEQLOOM_ISA {
namespace {

struct Release {
    void operator()(float* memory) const { give_back(memory); }
};
using Buffer = std::unique_ptr<float[], Release>;

Buffer allocate(int64_t floats) { return Buffer(take(static_cast<size_t>(std::max<int64_t>(floats, 1)) * sizeof(float))); }

struct PackedChunk : Chunk {
    int64_t packed;  // where its panels begin
};
struct Layout {
    std::vector<std::vector<std::vector<PackedChunk>>> chunks;  // by stage and part
    std::vector<std::vector<int>> linear;                       // by stage: operands whose input product is computed with it
    int64_t packed = 0;                                         // floats
    int64_t most_linear = 0, most_accumulators = 0, most_units = 0;
};

Layout lay_out(const std::vector<Stage>& stages, int parts, bool single_row, int64_t features) {
    Layout layout;
    for (const Stage& stage : stages) {
        auto& by_part = layout.chunks.emplace_back(parts);
        auto& linear = layout.linear.emplace_back();
        for (size_t i = 0; features && i < stage.operands.size(); i++) {
            if (stage.operands[i].kind == Kind::linear && !stage.per_row[i]) linear.push_back(static_cast<int>(i));
        }
        const int64_t most = single_row ? chunk_vectors(256, stage.accumulators, 1)
                                        : chunk_vectors(stage.accumulators <= 2 ? 128 : 64, stage.accumulators, TILE_ROWS);
        int64_t length = static_cast<int64_t>(linear.size()) * (features + 1);
        for (const Product& product : stage.products) length += static_cast<int64_t>(product.gates.size()) * product.length;
        for (int part = 0; part < parts; part++) {
            for (const Chunk& chunk : chunks_of(stage.width, part, parts, most)) {
                by_part[part].push_back({chunk, layout.packed});
                layout.packed += length * chunk.vectors * LANES;
            }
        }
        layout.most_linear = std::max<int64_t>(layout.most_linear, linear.size());
        layout.most_accumulators = std::max<int64_t>(layout.most_accumulators, stage.accumulators);
        layout.most_units = std::max(layout.most_units, std::min(most, vectors_of(stage.width)) * LANES);
    }
    return layout;
}

// Rows of a square become its columns.
SEQLOOM_INLINE void transpose(vec (&rows)[LANES]) {
#if defined(__has_builtin) && __has_builtin(__builtin_shufflevector)
    // Interleaving each row of the first half with its partner in the second, as often as the size can be halved.
#pragma GCC unroll 4
    for (int round = LANES; round > 1; round /= 2) {
        vec next[LANES];
#pragma GCC unroll 8
        for (int i = 0; i < LANES / 2; i++) {
            const vec a = rows[i], b = rows[i + LANES / 2];
#if defined(SEQLOOM_AVX512)
            next[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            next[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif defined(SEQLOOM_AVX2)
            next[2 * i] = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
            next[2 * i + 1] = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
            next[2 * i] = __builtin_shufflevector(a, b, 0, 4, 1, 5);
            next[2 * i + 1] = __builtin_shufflevector(a, b, 2, 6, 3, 7);
#endif
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) rows[i] = next[i];
    }
#else
    for (int i = 0; i < LANES; i++) {
        for (int j = 0; j < i; j++) {
            const float kept = rows[i][j];
            rows[i][j] = rows[j][i];
            rows[j][i] = kept;
        }
    }
#endif
}

void pack_block(const Place& matrix, const Segment& segment, int64_t width, int64_t unit, float* to, int64_t step) {
    const int64_t lanes = std::min<int64_t>(LANES, width - unit);
    if (segment.transposed) {
        const float* from = matrix.at + segment.offset * matrix.stride + unit;
        if (lanes == LANES) {
            for (int64_t k = 0; k < segment.length; k++) store(to + k * step, load(from + k * matrix.stride));
            return;
        }
        for (int64_t k = 0; k < segment.length; k++) {
            for (int64_t lane = 0; lane < LANES; lane++) to[k * step + lane] = lane < lanes ? from[k * matrix.stride + lane] : 0.0f;
        }
        return;
    }
    const float* from = matrix.at + (segment.offset + unit) * matrix.stride;
    int64_t k = 0;
    if (lanes == LANES) {
        for (; k + LANES <= segment.length; k += LANES) {
            vec square[LANES];
#pragma GCC unroll 16
            for (int lane = 0; lane < LANES; lane++) square[lane] = load(from + lane * matrix.stride + k);
            transpose(square);
#pragma GCC unroll 16
            for (int i = 0; i < LANES; i++) store(to + (k + i) * step, square[i]);
        }
    }
    for (; k < segment.length; k++) {
        for (int64_t lane = 0; lane < LANES; lane++) to[k * step + lane] = lane < lanes ? from[lane * matrix.stride + k] : 0.0f;
    }
}

// The bias, then the weights, of the input product of some units.
void pack_linear(const Stage& stage, int offset, const Direction& direction, int64_t features, int64_t unit, float* to,
                 int64_t step) {
    for (int64_t lane = 0; lane < LANES; lane++) {
        to[lane] = direction.bias && unit + lane < stage.width ? direction.bias[offset + unit + lane] : 0.0f;
    }
    const Segment whole{0, false, offset, static_cast<int>(features)};
    pack_block(direction.weight, whole, stage.width, unit, to + step, step);
}

// Panel after panel of a product's columns: gates, and within each the vectors of the chunk. Returns where they end.
template <class Fill>
float* pack_panels(const Chunk& chunk, int64_t gates, int64_t length, float* panel, Fill fill) {
    const int64_t columns = gates * chunk.vectors;
    for (int64_t v = 0; v < columns; v += PANEL) {
        const int64_t n = std::min<int64_t>(PANEL, columns - v);
        for (int64_t j = 0; j < n; j++) {
            fill((v + j) / chunk.vectors, (chunk.first + (v + j) % chunk.vectors) * LANES, panel + j * LANES, n * LANES);
        }
        panel += length * n * LANES;
    }
    return panel;
}

// The weights of a part, or the share of them that falls to one of several threads.
void pack(const std::vector<Stage>& stages, const Layout& layout, const Direction& direction, int64_t features, int part,
          int share, int shares, float* packed) {
    int number = 0;
    for (size_t s = 0; s < stages.size(); s++) {
        for (const PackedChunk& chunk : layout.chunks[s][part]) {
            if (number++ % shares != share) continue;
            float* panel = packed + chunk.packed;
            const std::vector<int>& linear = layout.linear[s];
            panel = pack_panels(chunk, linear.size(), features + 1, panel, [&](int64_t gate, int64_t unit, float* to, int64_t step) {
                pack_linear(stages[s], stages[s].operands[linear[gate]].offset, direction, features, unit, to, step);
            });
            for (const Product& product : stages[s].products) {
                panel = pack_panels(chunk, product.gates.size(), product.length, panel, [&](int64_t gate, int64_t unit, float* to, int64_t step) {
                    for (const Segment& segment : product.gates[gate]) {
                        pack_block(direction.matrices[segment.matrix], segment, stages[s].width, unit, to, step);
                        to += segment.length * step;
                    }
                });
            }
        }
    }
}

}  // namespace
}  // namespace seqloom::SEQLOOM_ISA
