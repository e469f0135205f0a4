// How the units of a stage are cut into parts and chunks, and its rows into tiles.
#pragma once
#include <algorithm>
#include <vector>

#include "vector.h"

namespace seqloom::SEQLOOM_ISA {

constexpr int TILE_ROWS = 6;  // at most

constexpr int64_t vectors_of(int64_t units) { return (units + LANES - 1) / LANES; }

// Consecutive vectors of a stage's units, for which products and elementwise code run on one tile.
struct Chunk {
    int64_t first, vectors;
};

// At most so many vectors make a chunk: `units` of them, wide enough that an instruction of the virtual machine is worth
// its dispatch, unless the accumulators of a tile of `rows` would then not stay in L1.
constexpr int64_t chunk_vectors(int64_t units, int64_t accumulators, int64_t rows) {
    while (units > LANES && accumulators * units * rows > 4096) units /= 2;
    return std::max<int64_t>(1, units / LANES);
}

// The chunks of one of several parts of a stage's units.
inline std::vector<Chunk> chunks_of(int64_t units, int part, int parts, int64_t most) {
    const int64_t vectors = vectors_of(units), begin = vectors * part / parts, end = vectors * (part + 1) / parts;
    const int64_t count = (end - begin + most - 1) / most;
    std::vector<Chunk> chunks;
    for (int64_t c = 0; c < count; c++) {
        const int64_t from = begin + (end - begin) * c / count, to = begin + (end - begin) * (c + 1) / count;
        chunks.push_back({from, to - from});
    }
    return chunks;
}

}  // namespace seqloom::SEQLOOM_ISA
