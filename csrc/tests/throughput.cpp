// Nanoseconds per 1024 values (in the first-level cache) and per value of a chain, of each vectorised function, and per
// 1024 units of an LSTM's elementwise part. Compile with the flags of an instruction set, run, compare ratios only.
#include <chrono>
#include <cstdio>
#include <initializer_list>

#include "../mathematics.h"

using namespace seqloom::SEQLOOM_ISA;

namespace {

constexpr int COUNT = 1024, CHAIN = 64, REPEATS = 300, TRIALS = 40;
alignas(64) float arguments[COUNT], results[COUNT], gates[4][COUNT], cells[COUNT];

template <class Work>
double nanoseconds(Work work) {
    double best = 1e30;
    for (int trial = 0; trial < TRIALS; trial++) {
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < REPEATS; i++) {
            work();
            asm volatile("" ::: "memory");
        }
        const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
        best = time.count() / REPEATS < best ? time.count() / REPEATS : best;
    }
    return best;
}

template <class Function>
void report(const char* name, Function function) {
    const double throughput = nanoseconds([&] {
        for (int i = 0; i < COUNT; i += LANES) store(results + i, function(load(arguments + i)));
    });
    vec v = load(arguments);
    const double chain = nanoseconds([&] {
        for (int i = 0; i < CHAIN; i++) v = function(v);
    });
    store(results, v);
    std::printf("%-9s %7.0f %7.1f\n", name, throughput, chain / CHAIN);
}

void lstm() {
    for (int i = 0; i < COUNT; i += LANES) {
        const vec kept = sigmoid(load(gates[1] + i)) * load(cells + i);
        const vec cell = kept + sigmoid(load(gates[0] + i)) * tanh(load(gates[2] + i));
        store(results + i, cell);
        store(arguments + i, sigmoid(load(gates[3] + i)) * tanh(cell));
    }
}

}  // namespace

int main() {
    uint32_t state = 1;
    const auto next = [&] {
        state = state * 1664525u + 1013904223u;
        return static_cast<float>(state >> 8) * 0x1p-21f - 4.0f;  // -4 ... 4
    };
    for (float* values : {arguments, gates[0], gates[1], gates[2], gates[3], cells})
        for (int i = 0; i < COUNT; i++) values[i] = next();
    std::printf("%d lanes\n", LANES);
    report("exp", [](vec x) { return exp(x); });
    report("sigmoid", [](vec x) { return sigmoid(x); });
    report("tanh", [](vec x) { return tanh(x); });
    report("softplus", [](vec x) { return softplus(x); });
    for (float& x : arguments) x += 5.0f;
    report("log", [](vec x) { return log(x); });
    std::printf("%-9s %7.0f\n", "LSTM", nanoseconds(lstm));
}
