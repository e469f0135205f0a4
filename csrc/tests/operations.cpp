// The vector type's operations on arrays, for the tests: count values of a, b and c, a multiple of the lanes.
#include <cstring>

#include "../vector.h"

namespace isa = seqloom::SEQLOOM_ISA;
using isa::vec;

namespace {

struct Operation {
    const char* name;
    vec (*apply)(vec, vec, vec);
};

const Operation OPERATIONS[] = {
    {"absolute", [](vec a, vec, vec) { return isa::absolute(a); }},
    {"equal", [](vec a, vec b, vec) { return isa::equal(a, b); }},
    {"fma", [](vec a, vec b, vec c) { return isa::fma(a, b, c); }},
    {"less", [](vec a, vec b, vec) { return isa::less(a, b); }},
    {"less_equal", [](vec a, vec b, vec) { return isa::less_equal(a, b); }},
    {"maximum", [](vec a, vec b, vec) { return isa::maximum(a, b); }},
    {"minimum", [](vec a, vec b, vec) { return isa::minimum(a, b); }},
    {"reciprocal", [](vec a, vec, vec) { return isa::reciprocal(a); }},
    {"relu", [](vec a, vec, vec) { return isa::relu(a); }},
    {"sign", [](vec a, vec, vec) { return isa::sign(a); }},
    {"sqrt", [](vec a, vec, vec) { return isa::sqrt(a); }},
    {"where", [](vec a, vec b, vec c) { return isa::where(a, b, c); }},
};

}  // namespace

extern "C" int lanes() { return isa::LANES; }

extern "C" int apply(const char* name, const float* a, const float* b, const float* c, float* out, int64_t count) {
    for (const Operation& operation : OPERATIONS) {
        if (std::strcmp(name, operation.name) != 0) continue;
        for (int64_t i = 0; i < count; i += isa::LANES)
            isa::store(out + i, operation.apply(isa::load(a + i), isa::load(b + i), isa::load(c + i)));
        return 0;
    }
    return 1;
}

extern "C" float sum_of_first(const float* a, int64_t count) { return isa::sum(isa::first_lanes(isa::load(a), count)); }
