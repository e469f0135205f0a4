// A kernel program as the machine holds it: read from words, checked, its elementwise code made ready to run.
#pragma once
#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "tile.h"

namespace seqloom {

// The numbers of these enumerations are those of seqloom/engine/lowering/form.py.
enum class Op : int {
    load, load_row, accumulator, constant, add, sub, mul, div, neg, reciprocal, sigmoid, tanh, relu, exp, log, softplus,
    abs, sign, sqrt, minimum, maximum, less, less_equal, equal, where, store, add_rows, sum_units,
    // The machine's own, which fuse two of the above:
    fused_multiply_add, sigmoid_of_sum, tanh_of_sum, count
};
enum class Kind : int {
    linear, rows, state, new_state, array, vector, output_gradient, carry, gradient, later_gradient, temporary,
    vector_gradient, count
};
enum Pass : int { forward_pass = 0, inference_pass = 1, backward_pass = 2 };

struct Stream {
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
    Stream source;
    int length;
    std::vector<std::vector<Segment>> gates;
};
// An instruction on operands: registers first, then accumulators, then streams (see machine.h).
struct Step {
    Op op;
    int result, a, b, c;
    float value;
};
struct Stage {
    int width;
    std::vector<Product> products;
    std::vector<Stream> streams;
    std::vector<Instruction> code;
    int accumulators = 0;
    int registers = 0;
    std::vector<Step> steps;                          // what the virtual machine runs
    std::vector<std::pair<int, float>> constants;     // registers that hold a constant throughout
    std::vector<int> sums;                            // streams that the stage's SUM_UNITS write, in order
    std::vector<char> reads, writes, per_row;         // by stream; per_row: of width 1
    std::atomic<Epilogue> compiled{nullptr};

    Stage() = default;
    Stage(Stage&& other) noexcept
        : width(other.width), products(std::move(other.products)), streams(std::move(other.streams)),
          code(std::move(other.code)), accumulators(other.accumulators), registers(other.registers),
          steps(std::move(other.steps)), constants(std::move(other.constants)), sums(std::move(other.sums)),
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
    std::vector<Stage> passes[3];

    // Throws std::invalid_argument, naming what is wrong, for anything that could read or write out of bounds.
    Program(const int32_t* words, size_t count);
    Program(Program&&) = default;

    // Whether units wait for each other between stages or steps: a product of something computed, or a sum over units.
    bool mixes_units(Pass pass) const;
    // Bytes of recurrent weights that a step multiplies with.
    int64_t weight_bytes(Pass pass) const;
};

void lower_to_steps(Stage& stage);

}  // namespace seqloom
