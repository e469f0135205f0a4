// The largest error of a vectorised function over float32, against the C library in double precision.
//
//     accuracy FUNCTION [STRIDE [FIRST [COUNT]]]
//
// STRIDE 1 (the default) tries every float among the bit patterns FIRST ... FIRST + COUNT - 1 (all 2^32 of them unless
// told); with a larger one, every STRIDE-th; and always the special values and the neighbours of all powers of two and
// of the places where a function changes its course. Prints "FUNCTION LANES ERROR ARGUMENT WRONG": the largest error in
// ulp (subnormal results: in units of 2^-149), where it was, and how many results were wrong altogether: NaN for a
// number, a number for NaN, a finite result for an infinite one and the reverse, beyond the function's bound, or at an
// infinite argument anything but the rounded limit.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../mathematics.h"

namespace isa = seqloom::SEQLOOM_ISA;
using isa::vec;

namespace {

struct Function {
    const char* name;
    vec (*vectorised)(vec);
    double (*exact)(double);
    double bound;  // no result is larger
    bool flushes;  // where the true value is subnormal, zero will do
};

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softplus(double x) { return (x > 0.0 ? x : 0.0) + std::log1p(std::exp(-std::fabs(x))); }

const Function FUNCTIONS[] = {
    {"exp", [](vec x) { return isa::exp(x); }, [](double x) { return std::exp(x); }, INFINITY, false},
    {"log", [](vec x) { return isa::log(x); }, [](double x) { return std::log(x); }, INFINITY, false},
    {"sigmoid", [](vec x) { return isa::sigmoid(x); }, sigmoid, 1.0, true},
    {"softplus", [](vec x) { return isa::softplus(x); }, softplus, INFINITY, false},
    {"tanh", [](vec x) { return isa::tanh(x); }, [](double x) { return std::tanh(x); }, 1.0, false},
};

float from_pattern(uint32_t pattern) {
    float value;
    std::memcpy(&value, &pattern, sizeof value);
    return value;
}

// The distance of the floats around `exact`.
double unit(double exact) {
    uint64_t pattern;
    std::memcpy(&pattern, &exact, sizeof exact);
    const uint64_t exponent = pattern >> 52 & 0x7ff;  // of a double: 1023 stands for one
    pattern = (exponent < 1023 - 126 ? uint64_t{1023 - 149} : exponent - 23) << 52;
    double distance;
    std::memcpy(&distance, &pattern, sizeof distance);
    return distance;
}

struct Worst {
    double error = 0.0;
    float where = 0.0f;
    int64_t wrong = 0;

    void see(const Function& function, float x, float result, double exact) {
        const float rounded = static_cast<float>(exact);
        const bool same = std::isnan(rounded) ? std::isnan(result) : result == rounded;
        if (same && (result == 0.0f || !std::isfinite(result))) return;
        if (function.flushes && result == 0.0f && std::fabs(exact) < 0x1p-126) return;
        // Next to the border of overflow the error of an ulp may decide between a number and infinity.
        const double size = std::fabs(exact);
        const bool border = std::isfinite(x) && size > 0x1.fffff8p127 && size < 0x1.000008p128;
        const bool limit = !std::isfinite(x) || !std::isfinite(result) || !std::isfinite(rounded);
        if ((limit && !same && !(border && !std::isnan(result))) || std::fabs(result) > function.bound) {
            wrong++, where = x;
            return;
        }
        if (limit) return;
        const double error_here = std::fabs(result - exact) / unit(exact);
        if (error_here > error) {
            error = error_here;
            if (wrong == 0) where = x;
        }
    }
};

class Trial {
  public:
    explicit Trial(const Function& function) : function_(function) {}

    void add(float x) {
        arguments_[count_++] = x;
        if (count_ == isa::LANES) flush();
    }

    void flush() {
        for (int i = count_; i < isa::LANES; i++) arguments_[i] = 1.0f;
        float results[isa::LANES];
        isa::store(results, function_.vectorised(isa::load(arguments_)));
        for (int i = 0; i < count_; i++) worst.see(function_, arguments_[i], results[i], function_.exact(arguments_[i]));
        count_ = 0;
    }

    Worst worst;

  private:
    const Function& function_;
    float arguments_[isa::LANES];
    int count_ = 0;
};

void add_neighbours(Trial& trial, float x, int distance) {
    uint32_t pattern;
    std::memcpy(&pattern, &x, sizeof x);
    for (int step = -distance; step <= distance; step++) {
        trial.add(from_pattern(pattern + step));
        trial.add(-from_pattern(pattern + step));
    }
}

void add_special_values(Trial& trial) {
    for (float x : {0.0f, INFINITY, NAN}) trial.add(x), trial.add(-x);
    for (uint32_t nan : {0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffffffffu}) trial.add(from_pattern(nan));
    for (int power = -149; power <= 127; power++) add_neighbours(trial, std::ldexp(1.0f, power), 3);
    for (float x : {0.75f, 1.0f, 1.5f, 9.02f, 20.0f, 87.33655f, 88.0f, 88.37626f, 88.72284f, 89.0f, 103.972f, 104.0f})
        add_neighbours(trial, x, 64);
    for (int halves = 0; halves < 300; halves++) add_neighbours(trial, halves * 0.34657359f, 8);  // n changes
}

}  // namespace

int main(int argc, char** argv) {
    const uint64_t stride = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const uint64_t first = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0;
    const uint64_t count = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : uint64_t{1} << 32;
    for (const Function& function : FUNCTIONS) {
        if (argc < 2 || std::strcmp(argv[1], function.name) != 0) continue;
        if (stride == 0) break;
        Trial trial(function);
        add_special_values(trial);
        for (uint64_t pattern = first; pattern < first + count; pattern += stride)
            trial.add(from_pattern(static_cast<uint32_t>(pattern)));
        trial.flush();
        const Worst& worst = trial.worst;
        const long long wrong = worst.wrong;
        std::printf("%s %d %.4f %a %lld\n", function.name, isa::LANES, worst.error, worst.where, wrong);
        return 0;
    }
    std::fprintf(stderr, "usage: accuracy exp|log|sigmoid|softplus|tanh [STRIDE [FIRST [COUNT]]]\n");
    return 2;
}
