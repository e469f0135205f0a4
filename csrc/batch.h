// The rows of a packed batch: those of one time step together, the longest sequence first.
#pragma once
#include <cstdint>

namespace seqloom {

struct Batch {
    int64_t time = 0, rows = 0;
    const int64_t* counts = nullptr;  // rows that have each step, falling; all of them where there is none
    const int64_t* starts = nullptr;  // first packed row of each step

    int64_t count(int64_t t) const { return counts ? counts[t] : rows; }
    int64_t start(int64_t t) const { return starts ? starts[t] : t * rows; }

    // visit(row, length) of every row.
    template <class Visit>
    void each_length(Visit visit) const {
        for (int64_t row = 0, length = time; row < rows; row++) {
            while (length > 0 && count(length - 1) <= row) length--;
            visit(row, length);
        }
    }
};

}  // namespace seqloom
