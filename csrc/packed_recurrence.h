// A recurrence over packed weights: its states, and what each thread of a team does in its steps, which is the input
// product of a block of steps, then step by step the stages.
#pragma once
#include "elementwise.h"
#include "homes.h"
#include "packed.h"
#include "unit_sums.h"

namespace seqloom::SEQLOOM_ISA {

class PackedRecurrence final : public Recurrence {
   public:
    PackedRecurrence(const Packed& cell, int64_t rows, int workers);
    void run(const Passage& passage, Share& share) override;
    void advance(int64_t steps) override { done_ += steps; }
    int64_t block_steps() const override { return block_; }
    void read_state(int index, float* to, int64_t stride) const override;
    void write_state(int index, const float* from, int64_t stride) override;
    void read_final(int index, const Passage& passage, float* to) const override;

   private:
    // What places move with from step to step.
    enum Counter { never, block_row, read_copy, written_copy, leaf_row, COUNTERS };

    // What belongs to one thread.
    struct Worker {
        Memory<float> accumulators, scratch, inputs, scales;
        Memory<char> integers;
        Elementwise elementwise;
        Homes homes;
        std::vector<const float*> input_rows;
        std::vector<Source> sources;

        Worker(const PackedRecurrence& recurrence, int64_t rows, int64_t units);
    };
    // One step as a thread sees it.
    struct Step {
        const Passage& passage;
        Share& share;
        Worker& worker;
        int64_t t, count;
        bool odd;
        int64_t counters[COUNTERS];
    };
    // An operand or a source that a passage brings, by its position among a worker's homes.
    struct Leaf {
        size_t position;
        int index, offset;
    };

    const Packed& cell_;
    const Program& program_;
    const std::vector<Stage>& stages_;
    const int64_t rows_, block_;
    std::vector<Memory<float>> states_;  // two copies each: a step reads one and writes the other
    std::vector<Memory<float>> arrays_;
    Memory<float> linear_, sum_memory_;
    int64_t linear_stride_, done_ = 0;
    UnitSums sums_;
    std::vector<Leaf> leaves_;
    std::vector<Worker> workers_;

    Home home(const Operand& operand) const;
    void multiply_inputs(const Passage& passage, Share& share, Worker& worker, int64_t done, int64_t steps);
    Source gather_inputs(const Passage& passage, Worker& worker, int64_t done, int64_t steps) const;
    void locate(size_t s, Step& step) const;
    void run_stage(size_t s, Step& step);
    void run_chunk(size_t s, const UnitChunk& chunk, int64_t row, int64_t rows, int part, Step& step);
    void write_outputs(const Step& step);

    int64_t time_of(const Passage& passage, int64_t step) const {
        return passage.turned ? passage.batch.time - 1 - step : step;
    }
    int64_t state_stride(int index) const { return padded(program_.states[index]); }
    float* state(int index, int64_t copy) const { return states_[index].get() + copy * rows_ * state_stride(index); }
};

inline PackedRecurrence::PackedRecurrence(const Packed& cell, int64_t rows, int workers)
    : cell_(cell), program_(cell.program()), stages_(cell.stages()), rows_(rows), block_(std::max<int64_t>(1, 48 / rows)),
      linear_stride_(padded(program_.linear_width)) {
    for (int size : program_.states) states_.push_back(zeroed<float>(2 * rows * padded(size)));
    for (const Array& array : program_.arrays) arrays_.push_back(zeroed<float>(rows * padded(array.width)));
    linear_ = zeroed<float>(block_ * rows * linear_stride_);
    const int64_t most = UnitSums::most_of(stages_);
    sum_memory_ = zeroed<float>(cell.parts() * most * rows);
    sums_ = {sum_memory_.get(), most, rows};
    size_t position = 0;
    auto note = [&](const Operand& operand) {
        if (operand.kind == Kind::rows) leaves_.push_back({position, operand.index, operand.offset});
        position++;
    };
    for (const Stage& stage : stages_) {
        for (const Operand& operand : stage.operands) note(operand);
        for (const Product& product : stage.products) note(product.source);
    }
    workers_.reserve(workers);
    for (int worker = 0; worker < workers; worker++) {
        workers_.emplace_back(*this, std::min<int64_t>(rows, TILE_ROWS), cell.most_units());
    }
}

inline PackedRecurrence::Worker::Worker(const PackedRecurrence& recurrence, int64_t rows, int64_t units)
    : accumulators(zeroed<float>(rows * recurrence.cell_.most_columns())),
      scratch(zeroed<float>(Elementwise::scratch_floats(recurrence.stages_, rows, units))),
      elementwise(recurrence.stages_, rows, units, scratch.get()),
      homes(recurrence.stages_, [&](const Operand& operand) { return recurrence.home(operand); }) {
    const Packed& cell = recurrence.cell_;
    const int64_t block = recurrence.block_ * recurrence.rows_;
    size_t products = 0;
    for (const Stage& stage : recurrence.stages_) products = std::max(products, stage.products.size());
    input_rows.resize(block);
    sources.resize(products);
    if (block > 1) inputs = zeroed<float>(block * padded(cell.features()));
    if (cell.format().quantize) {
        const int64_t most = std::max<int64_t>(block, recurrence.rows_ * static_cast<int64_t>(products));
        integers = zeroed<char>(most * 2 * padded(cell.longest()));
        scales = zeroed<float>(most);
    }
}

inline Home PackedRecurrence::home(const Operand& operand) const {
    const int i = operand.index;
    const auto moving = [](float* at, int64_t stride, Counter counter) { return Home{at, stride, stride, counter}; };
    switch (operand.kind) {
        case Kind::linear: return moving(linear_.get(), linear_stride_, block_row);
        case Kind::state: return moving(states_[i].get(), state_stride(i), read_copy);
        case Kind::new_state: return moving(states_[i].get(), state_stride(i), written_copy);
        case Kind::array: return moving(arrays_[i].get(), padded(program_.arrays[i].width), never);
        case Kind::vector: return moving(const_cast<float*>(cell_.vector(i)), 0, never);
        default: return {};  // hoisted rows: the passage knows
    }
}

inline void PackedRecurrence::run(const Passage& passage, Share& share) {
    Worker& worker = workers_[share.worker];
    for (const Leaf& leaf : leaves_) {
        const RowsOverTime& rows = passage.leaves[leaf.index];
        worker.homes.all()[leaf.position] = {const_cast<float*>(rows.at) + leaf.offset, rows.row, rows.time, leaf_row};
    }
    for (int64_t done = 0; done < passage.batch.time; done += block_) {
        const int64_t steps = std::min(block_, passage.batch.time - done);
        if (program_.linear_width) {
            multiply_inputs(passage, share, worker, done, steps);
            share.wait();
        }
        int64_t row = 0;
        for (int64_t i = done; i < done + steps; i++) {
            const int64_t t = time_of(passage, i), count = passage.batch.count(t);
            const bool odd = (done_ + i) & 1;
            Step step{passage, share, worker, t, count, odd, {0, row, odd ? rows_ : 0, odd ? 0 : rows_, passage.start(t)}};
            if (count > 0) {
                for (size_t s = 0; s < stages_.size(); s++) run_stage(s, step);
                write_outputs(step);
            }
            row += count;
        }
    }
}

// The rows of x of some steps, one after the other, as the format reads them.
inline Source PackedRecurrence::gather_inputs(const Passage& passage, Worker& worker, int64_t done, int64_t steps) const {
    const int64_t features = cell_.features(), integer_stride = 2 * vectors_of(features) * LANES;
    auto& rows = worker.input_rows;
    int64_t count = 0;
    for (int64_t i = done; i < done + steps; i++) {
        const int64_t t = time_of(passage, i);
        for (int64_t r = 0; r < passage.batch.count(t); r++) rows[count++] = passage.place(passage.x, t, r);
    }
    Source source{count ? rows[0] : nullptr, count > 1 ? rows[1] - rows[0] : 0, worker.integers.get(), integer_stride, worker.scales.get()};
    if (cell_.format().quantize) {
        for (int64_t r = 0; r < count; r++) {
            cell_.format().quantize(rows[r], features, worker.integers.get() + r * integer_stride, worker.scales.get() + r);
        }
        return source;
    }
    bool even = true;
    for (int64_t r = 2; r < count; r++) even &= rows[r] - rows[r - 1] == source.stride;
    if (even) return source;
    for (int64_t r = 0; r < count; r++) std::copy_n(rows[r], features, worker.inputs.get() + r * padded(features));
    source.values = worker.inputs.get();
    source.stride = padded(features);
    return source;
}

inline void PackedRecurrence::multiply_inputs(const Passage& passage, Share& share, Worker& worker, int64_t done, int64_t steps) {
    const Source source = gather_inputs(passage, worker, done, steps);
    int64_t count = 0;
    for (int64_t i = done; i < done + steps; i++) count += passage.batch.count(time_of(passage, i));
    for (int part = share.first; part < share.last; part++) {
        float* out = linear_.get() + cell_.linear_first(part) * LANES;
        for (int64_t row = 0; row < count; row += TILE_ROWS) {
            const int rows = static_cast<int>(std::min<int64_t>(TILE_ROWS, count - row));
            cell_.multiply(cell_.linear(part), source, row, rows, out + row * linear_stride_, linear_stride_, false);
        }
    }
}

// Where a stage's operands and sources lie in a step; sources as the format reads them.
inline void PackedRecurrence::locate(size_t s, Step& step) const {
    const Stage& stage = stages_[s];
    Worker& worker = step.worker;
    const Home *operands = worker.homes.operands(s), *sources = worker.homes.sources(s);
    for (size_t i = 0; i < stage.operands.size(); i++) worker.elementwise.in_memory(i, operands[i].in_step(step.counters));
    for (size_t p = 0; p < stage.products.size(); p++) {
        const Place place = sources[p].in_step(step.counters);
        const int64_t length = stage.products[p].length, integer_stride = 2 * vectors_of(length) * LANES;
        const int64_t first = rows_ * static_cast<int64_t>(p);
        char* integers = worker.integers.get() + first * 2 * padded(cell_.longest());
        float* scales = worker.scales.get() + first;
        worker.sources[p] = {place.at, place.stride, integers, integer_stride, scales};
        for (int64_t r = 0; cell_.format().quantize && r < step.count; r++) {
            cell_.format().quantize(place.at + r * place.stride, length, integers + r * integer_stride, scales + r);
        }
    }
}

inline void PackedRecurrence::run_stage(size_t s, Step& step) {
    const Stage& stage = stages_[s];
    locate(s, step);
    for (int part = step.share.first; part < step.share.last; part++) {
        if (!stage.sums.empty()) sums_.clear(part);
        const auto& chunks = cell_.layout(s).parts[part];
        for (size_t c = 0; c < chunks.size(); c++) {
            // Where the weights exceed a core's cache, what was read last is still there: come back the other way.
            const UnitChunk& chunk = chunks[step.odd ? chunks.size() - 1 - c : c];
            for (int64_t row = 0; row < step.count; row += TILE_ROWS) {
                run_chunk(s, chunk, row, std::min<int64_t>(TILE_ROWS, step.count - row), part, step);
            }
        }
    }
    step.share.wait();
    if (stage.sums.empty()) return;
    if (step.share.first == 0) {
        const Home* homes = step.worker.homes.operands(s);
        sums_.finish(stage, step.count, cell_.parts(), [&](int operand) { return homes[operand].in_step(step.counters); });
    }
    step.share.wait();
}

inline void PackedRecurrence::run_chunk(size_t s, const UnitChunk& chunk, int64_t row, int64_t rows, int part, Step& step) {
    const Stage& stage = stages_[s];
    Worker& worker = step.worker;
    const int64_t gate_stride = chunk.vectors * LANES, row_stride = stage.accumulators * gate_stride;
    float* out = worker.accumulators.get();
    for (size_t p = 0; p < stage.products.size(); p++) {
        cell_.multiply(chunk.products[p], worker.sources[p], row, static_cast<int>(rows), out, row_stride, step.odd);
        out += chunk.products[p].vectors * LANES;
    }
    const int64_t first = chunk.first * LANES, units = std::min(gate_stride, stage.width - first);
    worker.elementwise.run(s, {rows, units, worker.accumulators.get(), gate_stride, row_stride, nullptr, nullptr, sums_.of(part) + row, rows_},
                           row, first);
}

// Each thread copies its share of the units.
inline void PackedRecurrence::write_outputs(const Step& step) {
    const Passage& passage = step.passage;
    const int64_t size = program_.states[0], parts = cell_.parts();
    const int64_t from = size * step.share.first / parts, to = size * step.share.last / parts;
    for (int64_t r = 0; r < step.count; r++) {
        const float* written = state(0, 1 - step.odd) + r * state_stride(0);
        float* out = const_cast<float*>(passage.place(passage.out, step.t, r));
        if (!passage.residual) {
            std::copy(written + from, written + to, out + from);
            continue;
        }
        const float* x = passage.place(passage.x, step.t, r);
        for (int64_t u = from; u < to; u++) out[u] = written[u] + x[u];
    }
}

inline void PackedRecurrence::read_state(int index, float* to, int64_t stride) const {
    const float* from = state(index, done_ & 1);
    for (int64_t r = 0; r < rows_; r++) std::copy_n(from + r * state_stride(index), program_.states[index], to + r * stride);
}

// Into both copies: a row may begin at any step.
inline void PackedRecurrence::write_state(int index, const float* from, int64_t stride) {
    for (int copy = 0; copy < 2; copy++) {
        float* to = state(index, copy);
        for (int64_t r = 0; r < rows_; r++) std::copy_n(from + r * stride, program_.states[index], to + r * state_stride(index));
    }
}

inline void PackedRecurrence::read_final(int index, const Passage& passage, float* to) const {
    const int64_t size = program_.states[index], time = passage.batch.time, began = done_ - time;
    passage.batch.each_length([&](int64_t row, int64_t length) {
        const int64_t steps = passage.turned && length > 0 ? time : length;
        std::copy_n(state(index, (began + steps) & 1) + row * state_stride(index), size, to + row * size);
    });
}

inline std::unique_ptr<Recurrence> Packed::begin(int64_t rows, int workers) const {
    return std::make_unique<PackedRecurrence>(*this, rows, workers);
}

}  // namespace seqloom::SEQLOOM_ISA
