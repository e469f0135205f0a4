// Which instruction sets this machine has, and how a sequence's work is divided among threads.
#include <algorithm>
#include <cstring>

#if defined(__x86_64__) || defined(_M_X64)
#define SEQLOOM_X86
#if defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

#include "sequence.h"
#include "team.h"

namespace seqloom {

#define SEQLOOM_DECLARE(isa) namespace isa { extern const Kernels set; }
SEQLOOM_DECLARE(portable)
#if defined(SEQLOOM_X86)
SEQLOOM_DECLARE(avx2)
SEQLOOM_DECLARE(avx512)
#endif

#if defined(SEQLOOM_X86)
namespace {

// The processor is asked itself: what a compiler knows of it (__builtin_cpu_supports) depends on the compiler's runtime
// library, which a wheel may not find.
struct Registers {
    unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf) {
    Registers found;
#if defined(_MSC_VER)
    int values[4];
    __cpuid(values, 0);
    if (static_cast<unsigned>(values[0]) < leaf) return found;
    __cpuidex(values, static_cast<int>(leaf), 0);
    found = {static_cast<unsigned>(values[0]), static_cast<unsigned>(values[1]), static_cast<unsigned>(values[2]),
             static_cast<unsigned>(values[3])};
#else
    __get_cpuid_count(leaf, 0, &found.a, &found.b, &found.c, &found.d);  // leaves zeros where there is no such leaf
#endif
    return found;
}

// Which registers the operating system saves when it switches threads.
unsigned saved_registers() {
#if defined(_MSC_VER)
    return static_cast<unsigned>(_xgetbv(0));
#else
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
#endif
}

constexpr unsigned bit(int position) { return 1u << position; }
constexpr bool has(unsigned value, unsigned wanted) { return (value & wanted) == wanted; }

}  // namespace
#endif

std::vector<const char*> instruction_sets() {
    std::vector<const char*> found;
#if defined(SEQLOOM_X86)
    const Registers basic = cpuid(1), extended = cpuid(7);
    const bool asks = has(basic.c, bit(27));  // OSXSAVE: xgetbv may be executed
    const unsigned saved = asks ? saved_registers() : 0;
    const bool avx2 = has(saved, 0x06) && has(basic.c, bit(28) | bit(12) | bit(29)) && has(extended.b, bit(5));  // AVX, FMA, F16C; AVX2
    // F, DQ, BW, VL; the system saves the masks and both halves of the wide registers.
    if (avx2 && has(saved, 0xe6) && has(extended.b, bit(16) | bit(17) | bit(30) | bit(31))) found.push_back("avx512");
    if (avx2) found.push_back("avx2");
#endif
    found.push_back("portable");
    return found;
}

bool has_byte_products() {
#if defined(SEQLOOM_X86)
    static const bool found = std::strcmp(instruction_sets().front(), "avx512") == 0 && has(cpuid(7).c, bit(11));  // VNNI
    return found;
#else
    return false;
#endif
}

const Kernels* kernels(const char* name) {
    for (const char* known : instruction_sets()) {
        if (std::strcmp(known, name) != 0) continue;
#if defined(SEQLOOM_X86)
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
