// The virtual machine: a stage's elementwise code on a tile, instruction by instruction, where no compiled code is there.
//
// Every value has a place with a row stride: registers are pieces of a buffer in L1, accumulators and operands are read
// where they lie. Each instruction runs over all rows and vectors of the tile, so that its dispatch costs little.
#pragma once
#include <vector>

#include "mathematics.h"
#include "place.h"
#include "program.h"

namespace seqloom::SEQLOOM_ISA {

class Machine {
   public:
    // Registers for tiles of up to `rows` rows and `units` units, a multiple of LANES.
    Machine(const Stage& stage, int64_t rows, int64_t units, float* registers)
        : stage_(stage), places_(stage.registers + stage.accumulators + stage.operands.size()) {
        for (int i = 0; i < stage.registers; i++) places_[i] = {registers + i * rows * units, units};
        for (auto [place, value] : stage.constants) {
            for (int64_t i = 0; i < units; i++) places_[place].at[i] = value;
            places_[place].stride = 0;
        }
    }

    void run(const Tile& tile) {
        Place* places = places_.data();
        for (int a = 0; a < stage_.accumulators; a++) {
            places[stage_.registers + a] = {const_cast<float*>(tile.accumulators) + a * tile.gate_stride, tile.row_stride};
        }
        Place* operands = places + stage_.registers + stage_.accumulators;
        for (size_t i = 0; i < stage_.operands.size(); i++) operands[i] = {tile.operands[i], tile.strides[i]};
        for (const RegisterInstruction& instruction : stage_.machine_code) execute(tile, instruction, places);
    }

   private:
    const Stage& stage_;
    std::vector<Place> places_;  // registers, accumulators, operands

    template <class F>
    static SEQLOOM_INLINE void one(const Tile& tile, const Place& d, const Place& a, F function) {
        for (int64_t r = 0; r < tile.rows; r++) {
            float* to = d.at + r * d.stride;
            const float* x = a.at + r * a.stride;
            for (int64_t u = 0; u < tile.units; u += LANES) store(to + u, function(load(x + u)));
        }
    }
    template <class F>
    static SEQLOOM_INLINE void two(const Tile& tile, const Place& d, const Place& a, const Place& b, F function) {
        for (int64_t r = 0; r < tile.rows; r++) {
            float* to = d.at + r * d.stride;
            const float *x = a.at + r * a.stride, *y = b.at + r * b.stride;
            for (int64_t u = 0; u < tile.units; u += LANES) store(to + u, function(load(x + u), load(y + u)));
        }
    }
    template <class F>
    static SEQLOOM_INLINE void three(const Tile& tile, const Place& d, const Place& a, const Place& b,
                                     const Place& c, F function) {
        for (int64_t r = 0; r < tile.rows; r++) {
            float* to = d.at + r * d.stride;
            const float *x = a.at + r * a.stride, *y = b.at + r * b.stride, *z = c.at + r * c.stride;
            for (int64_t u = 0; u < tile.units; u += LANES) store(to + u, function(load(x + u), load(y + u), load(z + u)));
        }
    }

    static void execute(const Tile& tile, const RegisterInstruction& instruction, const Place* places) {
        const Place &a = places[instruction.a], &b = places[instruction.b], &c = places[instruction.c];
        if (instruction.op == Op::sum_units) return sum_units(tile, instruction.result, a);
        const Place& d = places[instruction.result];
        switch (instruction.op) {
            case Op::load: case Op::store: return one(tile, d, a, [](vec x) { return x; });
            case Op::load_row: return load_row(tile, d, a);
            case Op::add: return two(tile, d, a, b, [](vec x, vec y) { return x + y; });
            case Op::sub: return two(tile, d, a, b, [](vec x, vec y) { return x - y; });
            case Op::mul: return two(tile, d, a, b, [](vec x, vec y) { return x * y; });
            case Op::div: return two(tile, d, a, b, [](vec x, vec y) { return x / y; });
            case Op::neg: return one(tile, d, a, [](vec x) { return -x; });
            case Op::reciprocal: return one(tile, d, a, [](vec x) { return reciprocal(x); });
            case Op::sigmoid: return one(tile, d, a, [](vec x) { return sigmoid(x); });
            case Op::tanh: return one(tile, d, a, [](vec x) { return tanh(x); });
            case Op::relu: return one(tile, d, a, [](vec x) { return relu(x); });
            case Op::exp: return one(tile, d, a, [](vec x) { return exp(x); });
            case Op::log: return one(tile, d, a, [](vec x) { return log(x); });
            case Op::softplus: return one(tile, d, a, [](vec x) { return softplus(x); });
            case Op::abs: return one(tile, d, a, [](vec x) { return absolute(x); });
            case Op::sign: return one(tile, d, a, [](vec x) { return sign(x); });
            case Op::sqrt: return one(tile, d, a, [](vec x) { return sqrt(x); });
            case Op::minimum: return two(tile, d, a, b, [](vec x, vec y) { return minimum(x, y); });
            case Op::maximum: return two(tile, d, a, b, [](vec x, vec y) { return maximum(x, y); });
            case Op::less: return two(tile, d, a, b, [](vec x, vec y) { return less(x, y); });
            case Op::less_equal: return two(tile, d, a, b, [](vec x, vec y) { return less_equal(x, y); });
            case Op::equal: return two(tile, d, a, b, [](vec x, vec y) { return equal(x, y); });
            case Op::where: return three(tile, d, a, b, c, [](vec x, vec y, vec z) { return where(x, y, z); });
            case Op::fused_multiply_add: return three(tile, d, a, b, c, [](vec x, vec y, vec z) { return fma(x, y, z); });
            case Op::sigmoid_of_sum: return two(tile, d, a, b, [](vec x, vec y) { return sigmoid(x + y); });
            case Op::tanh_of_sum: return two(tile, d, a, b, [](vec x, vec y) { return tanh(x + y); });
            case Op::add_rows: return add_rows(tile, d, a);
            default: return;
        }
    }

    static void load_row(const Tile& tile, const Place& d, const Place& a) {
        for (int64_t r = 0; r < tile.rows; r++) {
            const vec x = broadcast(a.at[r * a.stride]);
            for (int64_t u = 0; u < tile.units; u += LANES) store(d.at + r * d.stride + u, x);
        }
    }
    static void add_rows(const Tile& tile, const Place& d, const Place& a) {
        for (int64_t u = 0; u < tile.units; u += LANES) {
            vec total = load(d.at + u);
            for (int64_t r = 0; r < tile.rows; r++) total += load(a.at + r * a.stride + u);
            store(d.at + u, total);
        }
    }
    static void sum_units(const Tile& tile, int place, const Place& a) {
        for (int64_t r = 0; r < tile.rows; r++) {
            vec total{};
            for (int64_t u = 0; u < tile.units; u += LANES) {
                total += first_lanes(load(a.at + r * a.stride + u), tile.units - u);
            }
            tile.sums[place * tile.sum_stride + r] += sum(total);
        }
    }
};

}  // namespace seqloom::SEQLOOM_ISA
