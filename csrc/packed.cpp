// Packed cells of one instruction set; SEQLOOM_ISA names it.
#include "packed_recurrence.h"

namespace seqloom::SEQLOOM_ISA {
namespace {

const Format& format_for(Weights weights, [[maybe_unused]] bool plain) {
    static constexpr Format floats = format_of<Float32>(nullptr), halves = format_of<BFloat16>(nullptr);
    if (weights == Weights::float32) return floats;
    if (weights == Weights::bfloat16) return halves;
#if defined(SEQLOOM_AVX512)
    static constexpr Format bytes = format_of<Int8Bytes>(quantize_bytes);
    if (!plain && has_byte_products()) return bytes;
#endif
#if defined(SEQLOOM_AVX512) || defined(SEQLOOM_AVX2)
    static constexpr Format pairs = format_of<Int8Pairs>(quantize_signed);
    if (!plain) return pairs;
#endif
    static constexpr Format single = format_of<Int8Plain>(quantize_signed);
    return single;
}

}  // namespace

std::unique_ptr<PackedCell> pack_cell(const Program& program, const CellWeights& weights, Weights kind, int parts, bool plain) {
    return std::make_unique<Packed>(program, weights, format_for(kind, plain), parts);
}

}  // namespace seqloom::SEQLOOM_ISA
