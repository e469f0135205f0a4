// One thread's work in a run over a sequence: the steps of some rows of one direction, for some parts of the units.
#pragma once
#include <algorithm>
#include <vector>

#include "elementwise.h"
#include "homes.h"
#include "layout.h"
#include "team.h"
#include "unit_sums.h"

namespace seqloom::SEQLOOM_ISA {
namespace {

// Every `groups`-th row of the batch from row `number` on.
struct Group {
    int number = 0, groups = 1;

    int64_t rows(int64_t count) const { return count > number ? (count - number + groups - 1) / groups : 0; }
    Place of(Place all) const { return {all.at + number * all.stride, all.stride * groups}; }
};

// What the threads of a direction or a group share.
struct Shared {
    const float* packed;    // weights of all parts
    float* step;            // arrays of one step and temporaries, (B, width) each
    UnitSums sums;          // of the group's rows
    double* vector_totals;  // this thread's own: gradients of vectors
};

class Job {
   public:
    Job(const Sequence& sequence, const Direction& direction, const Layout& layout, Group group, const Shared& shared)
        : sequence_(sequence), batch_(sequence.batch), direction_(direction), stages_(sequence.stages()), layout_(layout),
          group_(group), shared_(shared), backward_(sequence.pass == Pass::backward),
          scratch_(allocate((layout.most_linear + layout.most_accumulators) * tile_floats() +
                            Elementwise::scratch_floats(stages_, TILE_ROWS, layout.most_units))),
          linear_(scratch_.get()), accumulators_(linear_ + layout.most_linear * tile_floats()),
          elementwise_(stages_, TILE_ROWS, layout.most_units, accumulators_ + layout.most_accumulators * tile_floats()),
          vector_sums_(backward_ ? sum(sequence.program->vector_gradients) : 0),
          first_homes_(stages_, [this](const Operand& operand) { return home(operand, false); }),
          homes_(stages_, [this](const Operand& operand) { return home(operand, true); }) {}

    void run(Share share, int parts) {
        const int64_t time = batch_.time;
        const bool descending = direction_.turned != backward_;
        for (int64_t iteration = 0; iteration < time; iteration++) {
            t_ = descending ? time - 1 - iteration : iteration;
            const int64_t count = group_.rows(batch_.count(t_));
            if (count == 0) continue;
            const int64_t before = direction_.turned ? t_ + 1 : t_ - 1, later = direction_.turned ? t_ - 1 : t_ + 1;
            count_steps(before, later);
            const int64_t with_before = rows_both(count, before), with_later = rows_both(count, later);
            for (size_t s = 0; s < stages_.size(); s++) {
                const Stage& stage = stages_[s];
                for (int part = share.first; part < share.last; part++) {
                    if (!stage.sums.empty()) shared_.sums.clear(part);
                    int64_t from = 0;
                    while (from < count) {  // all rows of a segment begin and go on alike
                        int64_t to = count;
                        if (from < with_before) to = std::min(to, with_before);
                        if (backward_ && from < with_later) to = std::min(to, with_later);
                        run_segment(s, part, from, to, from < with_before, from < with_later);
                        from = to;
                    }
                }
                share.wait();
                if (stage.sums.empty()) continue;
                if (share.first == 0) {
                    const Home* homes = homes_.operands(s);
                    shared_.sums.finish(stage, count, parts, [&](int operand) { return homes[operand].in_step(counters_); });
                }
                share.wait();
            }
            if (iteration % STEPS_PER_SUM == STEPS_PER_SUM - 1) total_vectors();
        }
        total_vectors();
    }

   private:
    // What places move with from step to step.
    enum Counter { never, now, previous, next, copy, previous_copy, COUNTERS };

    const Sequence& sequence_;
    const Batch& batch_;
    const Direction& direction_;
    const std::vector<Stage>& stages_;
    const Layout& layout_;
    const Group group_;
    const Shared shared_;
    const bool backward_;
    Buffer scratch_;
    float *linear_, *accumulators_;
    Elementwise elementwise_;
    // Gradients of vectors: sums over the rows of a few steps, and their total in double precision, for a sum of thousands of
    // floats one by one would lose digits.
    static constexpr int64_t STEPS_PER_SUM = 8;
    std::vector<float> vector_sums_;
    Homes first_homes_, homes_;  // of rows that begin with the step, and of all others
    std::vector<Place> sources_;
    int64_t t_ = 0, counters_[COUNTERS] = {};

    int64_t tile_floats() const { return TILE_ROWS * layout_.most_units; }

    static int64_t sum(const std::vector<int>& sizes, int count) {
        int64_t total = 0;
        for (int i = 0; i < count; i++) total += sizes[i];
        return total;
    }
    static int64_t sum(const std::vector<int>& sizes) { return sum(sizes, static_cast<int>(sizes.size())); }

    void total_vectors() {
        for (size_t i = 0; i < vector_sums_.size(); i++) {
            shared_.vector_totals[i] += vector_sums_[i];
            vector_sums_[i] = 0.0f;
        }
    }

    bool inside(int64_t t) const { return t >= 0 && t < batch_.time; }
    // How many of this step's rows have another step, too.
    int64_t rows_both(int64_t count, int64_t t) const {
        return inside(t) ? std::min(count, group_.rows(batch_.count(t))) : 0;
    }

    void count_steps(int64_t before, int64_t later) {
        counters_[now] = batch_.start(t_);
        counters_[previous] = inside(before) ? batch_.start(before) : 0;
        counters_[next] = inside(later) ? batch_.start(later) : 0;
        counters_[copy] = (t_ & 1) * batch_.rows;
        counters_[previous_copy] = (before & 1) * batch_.rows;
    }

    Home packed_rows(Place all, Counter counter) const {
        const Place place = group_.of(all);
        return {place.at, place.stride, all.stride, counter};
    }
    Home batch_rows(float* at, int64_t width, Counter counter = never) const { return packed_rows({at, width}, counter); }

    Home state_home(int index, bool before) const {
        const StateMemory& memory = direction_.states[index];
        if (memory.history) return packed_rows(memory.all, before ? previous : now);
        return batch_rows(memory.all.at, sequence_.program->states[index], before ? previous_copy : copy);
    }

    Home array_home(int index) const {
        const std::vector<Array>& arrays = sequence_.program->arrays;
        const Array& array = arrays[index];
        if (direction_.arrays[index]) return packed_rows({direction_.arrays[index], array.width}, now);
        if (array.linear >= 0 && sequence_.pass != Pass::inference) {
            return packed_rows({direction_.linear.at + array.linear, direction_.linear.stride}, now);
        }
        int64_t offset = 0;
        for (int i = 0; i < index; i++) offset += arrays[i].width * batch_.rows;
        return batch_rows(shared_.step + offset, array.width);
    }

    Home home(const Operand& operand, bool begun) {
        const Program& program = *sequence_.program;
        const int i = operand.index;
        switch (operand.kind) {
            case Kind::linear: return packed_rows(direction_.linear, now);
            case Kind::rows: return packed_rows(direction_.rows[i], now);
            case Kind::state:
                if (begun) return state_home(i, true);
                return batch_rows(const_cast<float*>(direction_.states[i].initial), program.states[i]);
            case Kind::new_state: return state_home(i, false);
            case Kind::array: return array_home(i);
            case Kind::vector: return {const_cast<float*>(direction_.vectors[i])};
            case Kind::output_gradient: return packed_rows(direction_.output_gradient, now);
            case Kind::carry: return batch_rows(direction_.carries[i], program.states[i]);
            case Kind::gradient: return packed_rows(direction_.gradient, now);
            case Kind::later_gradient: return packed_rows(direction_.gradient, next);
            case Kind::temporary:
                return batch_rows(shared_.step + sum(program.temporaries, i) * batch_.rows, program.temporaries[i]);
            default: return {vector_sums_.data() + sum(program.vector_gradients, i)};
        }
    }

    void run_segment(size_t s, int part, int64_t from, int64_t to, bool has_before, bool has_later) {
        const Stage& stage = stages_[s];
        const Homes& homes = has_before ? homes_ : first_homes_;
        for (size_t i = 0; i < stage.operands.size(); i++) {
            elementwise_.in_memory(i, homes.operands(s)[i].in_step(counters_));
        }
        sources_.resize(stage.products.size());
        for (size_t p = 0; p < stage.products.size(); p++) {
            const bool nothing = stage.products[p].source.kind == Kind::later_gradient && !has_later;
            sources_[p] = nothing ? Place{} : homes.sources(s)[p].in_step(counters_);
        }
        const auto& chunks = layout_.chunks[s][part];
        const int64_t tiles = (to - from + TILE_ROWS - 1) / TILE_ROWS;
        // Where the weights exceed a core's cache, what was read last is still there: come back the other way.
        const bool zigzag = t_ & 1;
        for (size_t c = 0; c < chunks.size(); c++) {
            const PackedChunk& chunk = chunks[zigzag ? chunks.size() - 1 - c : c];
            // Input products of this stage lie in the tile, not in memory.
            const int64_t row_stride = chunk.vectors * LANES, gate_stride = row_stride * TILE_ROWS;
            elementwise_.in_tile(layout_.linear[s], linear_, row_stride, gate_stride);
            const int64_t first = chunk.first * LANES, units = std::min(row_stride, stage.width - first);
            for (int64_t q = 0; q < tiles; q++) {
                const int64_t row = from + (to - from) * q / tiles, rows = from + (to - from) * (q + 1) / tiles - row;
                prefetch(stage, first, units, row, rows);
                multiply(s, chunk, row, static_cast<int>(rows));
                const UnitSums& sums = shared_.sums;
                elementwise_.run(s, {rows, units, accumulators_, gate_stride, row_stride, nullptr, nullptr, sums.of(part) + row, sums.rows},
                                 row, first);
            }
        }
    }

    void prefetch(const Stage& stage, int64_t first, int64_t units, int64_t row, int64_t rows) const {
        for (size_t i = 0; i < stage.operands.size(); i++) {
            const Place place = elementwise_.place(i);
            const bool in_tile = sequence_.features && stage.operands[i].kind == Kind::linear;
            if (place.stride == 0 || stage.per_row[i] || in_tile) continue;
            for (int64_t r = 0; r < rows; r++) {
                const float* at = place.at + (row + r) * place.stride + first;
                for (int64_t u = 0; u < units; u += 16) {
                    if (stage.writes[i]) __builtin_prefetch(at + u, 1); else __builtin_prefetch(at + u, 0);
                }
            }
        }
    }

    void multiply(size_t s, const PackedChunk& chunk, int64_t row, int rows) {
        const Stage& stage = stages_[s];
        const int64_t gate_stride = chunk.vectors * LANES * TILE_ROWS;
        const float* panel = shared_.packed + chunk.packed;
        if (const int64_t gates = layout_.linear[s].size()) {
            const Place x = packed_rows(direction_.x, now).in_step(counters_);
            panel = multiply_panels<true>(chunk, gates, sequence_.features, {x.at + row * x.stride, x.stride}, panel, linear_, rows);
        }
        float* out = accumulators_;
        for (size_t p = 0; p < stage.products.size(); p++) {
            const Product& product = stage.products[p];
            const int64_t gates = product.gates.size();
            if (sources_[p].at) {
                const Place source = {sources_[p].at + row * sources_[p].stride, sources_[p].stride};
                panel = multiply_panels<false>(chunk, gates, product.length, source, panel, out, rows);
            } else {
                for (int64_t g = 0; g < gates; g++) std::fill_n(out + g * gate_stride, rows * chunk.vectors * LANES, 0.0f);
                panel += gates * chunk.vectors * product.length * LANES;
            }
            out += gates * gate_stride;
        }
    }

    template <bool START>
    static const float* multiply_panels(const Chunk& chunk, int64_t gates, int64_t length, Place source, const float* panel,
                                        float* out, int rows) {
        const int64_t units = chunk.vectors * LANES, gate_stride = units * TILE_ROWS, columns = gates * chunk.vectors;
        for (int64_t v = 0; v < columns; v += PANEL) {
            const int n = static_cast<int>(std::min<int64_t>(PANEL, columns - v));
            int64_t offsets[PANEL];
            for (int j = 0; j < n; j++) offsets[j] = (v + j) / chunk.vectors * gate_stride + (v + j) % chunk.vectors * LANES;
            product_of<START>(rows, n)(source.at, source.stride, panel, length, out, offsets, units);
            panel += (length + START) * n * LANES;
        }
        return panel;
    }
};

}  // namespace
}  // namespace seqloom::SEQLOOM_ISA
