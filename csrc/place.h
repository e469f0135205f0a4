// Where rows of numbers lie in memory.
#pragma once
#include <cstdint>

namespace seqloom {

struct Place {
    float* at = nullptr;
    int64_t stride = 0;  // floats from one row to the next
};

}  // namespace seqloom
