#include "memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

namespace seqloom {
namespace {

constexpr size_t kLargePage = 2 << 20, kHeader = 64;
constexpr size_t kMostKept = 16 << 20;  // bytes; beyond them what was given back first is freed

struct Header {
    size_t bytes;  // of the block, without its header
};
struct Pool {
    std::mutex mutex;
    std::vector<char*> blocks;
    size_t kept = 0;
};
Pool& pool() {
    static Pool* pool = new Pool;  // never destroyed: threads may outlive the process's static objects
    return *pool;
}
size_t bytes_of(const char* block) { return reinterpret_cast<const Header*>(block)->bytes; }

char* fresh(size_t bytes) {
    const bool large = bytes + kHeader > kLargePage / 2;
    const size_t alignment = large ? kLargePage : 64;
    const size_t whole = (bytes + kHeader + alignment - 1) / alignment * alignment;
    char* block = static_cast<char*>(std::aligned_alloc(alignment, whole));
    if (!block) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    if (large) madvise(block, whole, MADV_HUGEPAGE);
#endif
    reinterpret_cast<Header*>(block)->bytes = whole - kHeader;
    return block;
}

}  // namespace

float* take(size_t bytes) {
    Pool& known = pool();
    {
        std::lock_guard<std::mutex> held(known.mutex);
        size_t best = known.blocks.size();
        for (size_t i = 0; i < known.blocks.size(); i++) {
            const size_t size = bytes_of(known.blocks[i]);
            if (size < bytes || size > 4 * bytes + 4096) continue;
            if (best == known.blocks.size() || size < bytes_of(known.blocks[best])) best = i;
        }
        if (best < known.blocks.size()) {
            char* block = known.blocks[best];
            known.blocks.erase(known.blocks.begin() + static_cast<std::ptrdiff_t>(best));
            known.kept -= bytes_of(block);
            return reinterpret_cast<float*>(block + kHeader);
        }
    }
    return reinterpret_cast<float*>(fresh(bytes) + kHeader);
}

void give_back(float* memory) {
    if (!memory) return;
    char* block = reinterpret_cast<char*>(memory) - kHeader;
    Pool& known = pool();
    std::lock_guard<std::mutex> held(known.mutex);
    known.kept += bytes_of(block);
    known.blocks.push_back(block);
    size_t oldest = 0;
    while (known.kept > kMostKept && oldest + 1 < known.blocks.size()) {
        known.kept -= bytes_of(known.blocks[oldest]);
        std::free(known.blocks[oldest++]);
    }
    known.blocks.erase(known.blocks.begin(), known.blocks.begin() + static_cast<std::ptrdiff_t>(oldest));
}

}  // namespace seqloom
