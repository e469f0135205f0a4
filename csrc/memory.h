// Working memory of the kernels, kept between calls: its pages are mapped, large ones, and partly still in a cache.
#pragma once
#include <cstddef>

namespace seqloom {

// At least so many bytes, aligned to a cache line or, where they are many, to a large page. Throws std::bad_alloc.
float* take(size_t bytes);
void give_back(float* memory);

}  // namespace seqloom
