// The elementwise code of a pass's stages on tiles, as one thread runs it: compiled code where there is some, else the
// virtual machine.
#pragma once
#include <algorithm>
#include <vector>

#include "machine.h"
#include "place.h"

namespace seqloom::SEQLOOM_ISA {

class Elementwise {
   public:
    // For tiles of up to `rows` rows and `units` units, a multiple of LANES; `scratch` has as many floats as scratch_floats
    // says.
    Elementwise(const std::vector<Stage>& stages, int64_t rows, int64_t units, float* scratch)
        : stages_(stages), rows_(rows), bases_(most_operands(stages)), pointers_(bases_.size()), copy_pointers_(bases_.size()),
          strides_(bases_.size()), copy_strides_(bases_.size()), copies_(scratch) {
        float* registers = scratch + static_cast<int64_t>(bases_.size()) * rows * LANES;
        for (const Stage& stage : stages) {
            epilogues_.push_back(stage.compiled.load(std::memory_order_acquire));
            machines_.emplace_back(stage, rows, units, registers);
            registers += stage.registers * rows * units;
        }
    }

    static int64_t scratch_floats(const std::vector<Stage>& stages, int64_t rows, int64_t units) {
        int64_t registers = 0;
        for (const Stage& stage : stages) registers += stage.registers;
        return rows * (registers * units + static_cast<int64_t>(most_operands(stages)) * LANES);
    }

    // Where the first row and unit of a stage's operand lie in this step.
    void in_memory(size_t operand, Place place) {
        bases_[operand] = place.at;
        strides_[operand] = place.stride;
    }
    Place place(size_t operand) const { return {bases_[operand], strides_[operand]}; }

    // Operands that are made for each tile, with room for whole vectors: one after the other, `apart` floats each.
    void in_tile(const std::vector<int>& operands, float* at, int64_t stride, int64_t apart) {
        made_ = operands.empty() ? nullptr : &operands;
        for (int operand : operands) {
            in_memory(operand, {at, stride});
            at += apart;
        }
    }

    // A stage's code on the tile whose first row and unit these are; of it are given rows, units, accumulators and sums.
    void run(size_t s, Tile tile, int64_t row, int64_t unit) {
        const Stage& stage = stages_[s];
        for (size_t i = 0; i < stage.operands.size(); i++) {
            pointers_[i] = bases_[i] + row * strides_[i] + (stage.per_row[i] ? 0 : unit);
        }
        if (made_) {
            for (int i : *made_) pointers_[i] = bases_[i];
        }
        const int64_t units = tile.units, whole = units / LANES * LANES;
        tile.operands = pointers_.data();
        tile.strides = strides_.data();
        tile.units = whole;
        if (whole) call(s, tile);
        tile.units = units - whole;
        if (tile.units) run_tail(s, tile, whole);
    }

   private:
    const std::vector<Stage>& stages_;
    const int64_t rows_;
    std::vector<Epilogue> epilogues_;
    std::vector<Machine> machines_;
    std::vector<float*> bases_, pointers_, copy_pointers_;
    std::vector<int64_t> strides_, copy_strides_;
    const std::vector<int>* made_ = nullptr;  // operands of this stage that are made for each tile, where there are any
    float* copies_;

    static size_t most_operands(const std::vector<Stage>& stages) {
        size_t most = 0;
        for (const Stage& stage : stages) most = std::max(most, stage.operands.size());
        return most;
    }

    void call(size_t s, const Tile& tile) {
        if (epilogues_[s]) epilogues_[s](&tile); else machines_[s].run(tile);
    }

    // The last units, fewer than a vector, from unit `at` of the tile: the code runs on copies with room for a whole one.
    void run_tail(size_t s, Tile tile, int64_t at) {
        const Stage& stage = stages_[s];
        for (size_t i = 0; i < stage.operands.size(); i++) {
            copy_strides_[i] = strides_[i];
            copy_pointers_[i] = pointers_[i];
            if (stage.per_row[i]) continue;
            if (is_made(i)) {
                copy_pointers_[i] += at;
                continue;
            }
            float* copy = copy_pointers_[i] = copies_ + static_cast<int64_t>(i) * rows_ * LANES;
            copy_strides_[i] = strides_[i] ? LANES : 0;
            if (!stage.reads[i]) continue;
            for (int64_t r = 0; r < copied_rows(i, tile); r++) {
                const float* from = pointers_[i] + at + r * strides_[i];
                for (int64_t u = 0; u < LANES; u++) copy[r * LANES + u] = u < tile.units ? from[u] : 0.0f;
            }
        }
        tile.accumulators += at;
        tile.operands = copy_pointers_.data();
        tile.strides = copy_strides_.data();
        call(s, tile);
        for (size_t i = 0; i < stage.operands.size(); i++) {
            if (!stage.writes[i]) continue;
            for (int64_t r = 0; r < copied_rows(i, tile); r++) {
                std::copy_n(copy_pointers_[i] + r * LANES, tile.units, pointers_[i] + at + r * strides_[i]);
            }
        }
    }

    bool is_made(size_t operand) const {
        return made_ && std::find(made_->begin(), made_->end(), static_cast<int>(operand)) != made_->end();
    }

    // What all rows share is one.
    int64_t copied_rows(size_t operand, const Tile& tile) const { return strides_[operand] ? tile.rows : 1; }
};

}  // namespace seqloom::SEQLOOM_ISA
