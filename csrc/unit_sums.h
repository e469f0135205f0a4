// Sums over the units of a stage, of which every part adds up its own before one thread adds up the parts.
#pragma once
#include <algorithm>
#include <vector>

#include "place.h"
#include "program.h"
#include "vector.h"

namespace seqloom::SEQLOOM_ISA {

// Memory (parts, most, rows) that somebody else owns.
struct UnitSums {
    float* at = nullptr;
    int64_t most = 0;  // of any stage
    int64_t rows = 0;

    static int64_t most_of(const std::vector<Stage>& stages) {
        int64_t most = 0;
        for (const Stage& stage : stages) most = std::max<int64_t>(most, stage.sums.size());
        return most;
    }

    float* of(int part) const { return at + part * most * rows; }
    void clear(int part) const { std::fill_n(of(part), most * rows, 0.0f); }

    // `place_of(operand)` is where a sum goes.
    template <class PlaceOf>
    void finish(const Stage& stage, int64_t count, int parts, PlaceOf place_of) const {
        for (size_t k = 0; k < stage.sums.size(); k++) {
            const Place place = place_of(stage.sums[k]);
            for (int64_t r = 0; r < count; r++) {
                float total = 0.0f;
                for (int part = 0; part < parts; part++) total += of(part)[static_cast<int64_t>(k) * rows + r];
                place.at[r * place.stride] = total;
            }
        }
    }
};

}  // namespace seqloom::SEQLOOM_ISA
