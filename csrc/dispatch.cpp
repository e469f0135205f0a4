// Which instruction sets this machine has, and how a sequence's work is divided among threads.
#include <algorithm>
#include <cstring>

#include "sequence.h"
#include "team.h"

namespace seqloom {

#define SEQLOOM_DECLARE(isa) namespace isa { extern const Kernels set; }
SEQLOOM_DECLARE(portable)
#if defined(__x86_64__)
SEQLOOM_DECLARE(avx2)
SEQLOOM_DECLARE(avx512)
#endif

std::vector<const char*> instruction_sets() {
    std::vector<const char*> found;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        found.push_back("avx512");
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back("avx2");
#endif
    found.push_back("portable");
    return found;
}

const Kernels* kernels(const char* name) {
    for (const char* known : instruction_sets()) {
        if (std::strcmp(known, name) != 0) continue;
#if defined(__x86_64__)
        if (std::strcmp(name, "avx512") == 0) return &avx512::set;
        if (std::strcmp(name, "avx2") == 0) return &avx2::set;
#endif
        return &portable::set;
    }
    return nullptr;
}

Division divide(const Sequence& sequence, int threads) {
    const Program& program = *sequence.program;
    const int directions = static_cast<int>(sequence.directions.size());
    int team = std::max(1, std::min(threads, kMostThreads) / std::max(1, directions));
    if (team == 1 || sequence.batch.rows == 0) return {};
    int64_t widest = 1;
    for (const Stage& stage : sequence.stages()) widest = std::max<int64_t>(widest, stage.width);
    // Rows need no barrier, but every core then reads all weights: while they fit its cache.
    constexpr int64_t kCache = 640 * 1024;
    const int64_t weights = program.weight_bytes(sequence.pass) + 4 * sequence.features * program.linear_width;
    const bool weights_fit = weights <= kCache;
    if (sequence.batch.rows >= 4 * team && (weights_fit || sequence.batch.rows >= 16 * team)) return {team, 1};
    if (!program.mixes_units(sequence.pass)) return {1, static_cast<int>(std::min<int64_t>(team, (widest + 15) / 16))};
    // A step shorter than about two microseconds is not worth a barrier.
    const int64_t per_step = program.arithmetic(sequence.pass) * sequence.batch.rows;
    if (per_step < 100'000) return {};
    return {1, static_cast<int>(std::min<int64_t>(team, (widest + 15) / 16))};
}

}  // namespace seqloom
