// A kernel program as the machine holds it: read from words, checked, its elementwise code made ready to run.
#pragma once
#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "tile.h"

namespace seqloom {

// What a program may have at most; a test compares these with what lowering keeps to.
constexpr int kVersion = 1;
constexpr int kMost = 1 << 22;  // any size, width or length
constexpr int kMostStages = 256, kMostEntries = 256, kMostAccumulators = 64, kMostInstructions = 8192;

// The names and numbers of these enumerations are those of seqloom/engine/lowering/form.py, which a test compares.
#define SEQLOOM_OPS(X) \
    X(load) X(load_row) X(accumulator) X(constant) X(add) X(sub) X(mul) X(div) X(neg) X(reciprocal) X(sigmoid) X(tanh) \
    X(relu) X(exp) X(log) X(softplus) X(abs) X(sign) X(sqrt) X(minimum) X(maximum) X(less) X(less_equal) X(equal) \
    X(where) X(store) X(add_rows) X(sum_units)
#define SEQLOOM_KINDS(X) \
    X(linear) X(rows) X(state) X(new_state) X(array) X(vector) X(output_gradient) X(carry) X(gradient) X(later_gradient) \
    X(temporary) X(vector_gradient)
#define SEQLOOM_PASSES(X) X(forward) X(inference) X(backward)
#define SEQLOOM_ENUMERATOR(name) name,

enum class Op : int {
    SEQLOOM_OPS(SEQLOOM_ENUMERATOR)
    // The machine's own, which fuse two of the above:
    fused_multiply_add, sigmoid_of_sum, tanh_of_sum
};
enum class Kind : int { SEQLOOM_KINDS(SEQLOOM_ENUMERATOR) count };
enum class Pass : int { SEQLOOM_PASSES(SEQLOOM_ENUMERATOR) count };

// Where a stage's code reads or writes memory: what array of a kind, and from which column its units are.
struct Operand {
    Kind kind;
    int index;
    int offset;
};
struct Instruction {
    Op op;
    int a, b, c;
    float value;
};
struct Segment {
    int matrix;
    bool transposed;
    int offset;
    int length;
};
struct Product {
    Operand source;
    int length;
    std::vector<std::vector<Segment>> gates;
};
// An instruction on places: registers first, then accumulators, then operands (see machine.h).
struct RegisterInstruction {
    Op op;
    int result, a, b, c;
    float value;
};
struct Stage {
    int width;
    std::vector<Product> products;
    std::vector<Operand> operands;
    std::vector<Instruction> code;
    int accumulators = 0;
    int registers = 0;
    std::vector<RegisterInstruction> machine_code;    // what the virtual machine runs
    std::vector<std::pair<int, float>> constants;     // registers that hold a constant throughout
    std::vector<int> sums;                            // operands that the stage's SUM_UNITS write, in order
    std::vector<char> reads, writes, per_row;         // by operand; per_row: one number of each row
    std::atomic<Epilogue> compiled{nullptr};

    Stage() = default;
    Stage(Stage&& other) noexcept
        : width(other.width), products(std::move(other.products)), operands(std::move(other.operands)),
          code(std::move(other.code)), accumulators(other.accumulators), registers(other.registers),
          machine_code(std::move(other.machine_code)), constants(std::move(other.constants)), sums(std::move(other.sums)),
          reads(std::move(other.reads)), writes(std::move(other.writes)), per_row(std::move(other.per_row)) {
        compiled.store(other.compiled.load());
    }
};
struct Matrix {
    int rows, columns;
};
struct Array {
    int width;
    bool kept;
    int linear;
};

struct Program {
    int linear_width = 0, gradient_width = 0;
    std::vector<int> states, rows, vectors, temporaries, vector_gradients;
    std::vector<Matrix> matrices;
    std::vector<Array> arrays;
    std::vector<Stage> passes[static_cast<int>(Pass::count)];

    // Throws std::invalid_argument, naming what is wrong, for anything that could read or write out of bounds.
    Program(const int32_t* words, size_t count);
    Program(Program&&) = default;

    std::vector<Stage>& stages(Pass pass) { return passes[static_cast<int>(pass)]; }
    const std::vector<Stage>& stages(Pass pass) const { return passes[static_cast<int>(pass)]; }

    // Whether units wait for each other between stages or steps: a product of something computed, or a sum over units.
    bool mixes_units(Pass pass) const;
    // Bytes of recurrent weights that a step multiplies with.
    int64_t weight_bytes(Pass pass) const;
    // Of a step of one row, in operations.
    int64_t arithmetic(Pass pass) const;
};

void allocate_registers(Stage& stage);

}  // namespace seqloom
