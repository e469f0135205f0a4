// A recurrence over packed weights: its states, and where everything that a step reads and writes lies.
#pragma once
#include "machine.h"
#include "packed.h"

namespace seqloom::SEQLOOM_ISA {

// What belongs to one thread.
struct Worker {
    Memory<float> accumulators, registers, bounce, inputs, scales;
    Memory<char> integers;
    std::vector<Machine> machines;
    std::vector<float*> pointers, bounce_pointers, bases;
    std::vector<int64_t> strides, tile_strides;
    std::vector<const float*> input_rows;
    std::vector<Source> sources;
};

class Steps final : public Recurrence {
   public:
    Steps(const Packed& cell, int64_t rows, int workers);
    void run(const Passage& passage, Share& share) override;
    void advance(int64_t steps) override { done_ += steps; }
    int64_t block_steps() const override { return block_; }
    void read_state(int index, float* to, int64_t stride) const override;
    void write_state(int index, const float* from, int64_t stride) override;
    void read_final(int index, const Passage& passage, float* to) const override;

   private:
    const Packed& cell_;
    const Program& program_;
    const std::vector<Stage>& stages_;
    const int64_t rows_, block_;
    std::vector<Memory<float>> states_[2];  // a step reads one copy and writes the other
    std::vector<Memory<float>> arrays_;
    Memory<float> linear_, sums_;
    int64_t linear_stride_, most_sums_ = 0, done_ = 0;
    std::vector<Place> places_[2];  // of all stages' streams and sources, by the copy that is read
    std::vector<size_t> first_place_;
    std::vector<Epilogue> epilogues_;
    std::vector<Worker> workers_;

    // One step as a thread sees it.
    struct Step {
        const Passage& passage;
        Share& share;
        Worker& worker;
        int64_t t, count, linear_row;
        int parity;
    };

    Place locate(const Stream& stream, int parity) const;
    Place moved(const Stream& stream, const Place& place, const Step& step) const;
    void prepare_worker(Worker& worker) const;
    void multiply_inputs(const Passage& passage, Share& share, Worker& worker, int64_t done, int64_t steps);
    Source gather_inputs(const Passage& passage, Worker& worker, int64_t done, int64_t steps) const;
    void run_stage(size_t s, Step& step);
    void run_chunk(size_t s, const UnitChunk& chunk, int64_t row, int64_t rows, bool reversed, Step& step, float* sums);
    void run_tail(size_t s, Tile tile, int64_t units, int64_t at, Worker& worker);
    void call(size_t s, const Tile& tile, Worker& worker) const {
        if (epilogues_[s]) epilogues_[s](&tile); else worker.machines[s].run(tile);
    }
    void finish_sums(size_t s, const Step& step);
    void write_outputs(const Step& step);
    int64_t time_of(const Passage& passage, int64_t step) const { return passage.turned ? passage.time - 1 - step : step; }
    int64_t state_stride(int index) const { return padded(program_.states[index]); }
};

inline Steps::Steps(const Packed& cell, int64_t rows, int workers)
    : cell_(cell), program_(cell.program()), stages_(cell.stages()), rows_(rows), block_(std::max<int64_t>(1, 48 / rows)),
      linear_stride_(padded(program_.linear_width)), workers_(workers) {
    for (auto& copy : states_) {
        for (int size : program_.states) copy.push_back(zeroed<float>(rows * padded(size)));
    }
    for (const Array& array : program_.arrays) arrays_.push_back(zeroed<float>(rows * padded(array.width)));
    linear_ = zeroed<float>(block_ * rows * linear_stride_);
    for (const Stage& stage : stages_) {
        most_sums_ = std::max<int64_t>(most_sums_, stage.sums.size());
        epilogues_.push_back(stage.compiled.load(std::memory_order_acquire));
    }
    sums_ = zeroed<float>(cell.parts() * most_sums_ * rows);
    for (int parity = 0; parity < 2; parity++) {
        for (const Stage& stage : stages_) {
            if (parity == 0) first_place_.push_back(places_[0].size());
            for (const Stream& stream : stage.streams) places_[parity].push_back(locate(stream, parity));
            for (const Product& product : stage.products) places_[parity].push_back(locate(product.source, parity));
        }
    }
    for (Worker& worker : workers_) prepare_worker(worker);
}

inline void Steps::prepare_worker(Worker& worker) const {
    const int64_t tile_rows = std::min<int64_t>(rows_, MOST_ROWS), units = cell_.most_units();
    size_t streams = 0, products = 0;
    int64_t registers = 0;
    for (const Stage& stage : stages_) {
        streams = std::max(streams, stage.streams.size());
        products = std::max(products, stage.products.size());
        registers += stage.registers;
    }
    worker.accumulators = zeroed<float>(tile_rows * cell_.most_columns());
    worker.registers = zeroed<float>(registers * tile_rows * units);
    worker.bounce = zeroed<float>(static_cast<int64_t>(streams) * tile_rows * LANES);
    float* at = worker.registers.get();
    for (const Stage& stage : stages_) {
        worker.machines.emplace_back(stage, tile_rows, units, at);
        at += stage.registers * tile_rows * units;
    }
    for (auto* list : {&worker.pointers, &worker.bounce_pointers, &worker.bases}) list->resize(streams);
    for (auto* list : {&worker.strides, &worker.tile_strides}) list->resize(streams);
    worker.input_rows.resize(block_ * rows_);
    worker.sources.resize(products);
    if (block_ * rows_ > 1) worker.inputs = zeroed<float>(block_ * rows_ * padded(cell_.features()));
    if (cell_.format().quantize) {
        const int64_t rows = std::max<int64_t>(block_ * rows_, rows_ * static_cast<int64_t>(products));
        worker.integers = zeroed<char>(rows * 2 * padded(cell_.longest()));
        worker.scales = zeroed<float>(rows);
    }
}

inline Place Steps::locate(const Stream& stream, int parity) const {
    const int i = stream.index;
    Place place;
    switch (stream.kind) {
        case Kind::linear: place = {linear_.get(), linear_stride_}; break;
        case Kind::state: place = {states_[parity][i].get(), state_stride(i)}; break;
        case Kind::new_state: place = {states_[1 - parity][i].get(), state_stride(i)}; break;
        case Kind::array: place = {arrays_[i].get(), padded(program_.arrays[i].width)}; break;
        case Kind::vector: place = {const_cast<float*>(cell_.vector(i)), 0}; break;
        default: return {};  // hoisted rows: the passage knows
    }
    place.at += stream.offset;
    return place;
}

// A place that is another one in each step.
inline Place Steps::moved(const Stream& stream, const Place& place, const Step& step) const {
    if (stream.kind == Kind::linear) return {place.at + step.linear_row * linear_stride_, place.stride};
    if (stream.kind != Kind::rows) return place;
    const Rows& leaf = step.passage.leaves[stream.index];
    return {const_cast<float*>(step.passage.place(leaf, step.t, 0)) + stream.offset, leaf.row};
}

inline void Steps::read_state(int index, float* to, int64_t stride) const {
    const float* from = states_[done_ & 1][index].get();
    for (int64_t r = 0; r < rows_; r++) std::copy_n(from + r * state_stride(index), program_.states[index], to + r * stride);
}

// Into both copies: a row may begin at any step.
inline void Steps::write_state(int index, const float* from, int64_t stride) {
    for (auto& copy : states_) {
        for (int64_t r = 0; r < rows_; r++) std::copy_n(from + r * stride, program_.states[index], copy[index].get() + r * state_stride(index));
    }
}

inline void Steps::read_final(int index, const Passage& passage, float* to) const {
    const int64_t size = program_.states[index], began = done_ - passage.time;
    for (int64_t r = 0, length = passage.time; r < passage.batch; r++) {
        while (length > 0 && passage.count(length - 1) <= r) length--;
        const int64_t steps = passage.turned && length > 0 ? passage.time : length;
        std::copy_n(states_[(began + steps) & 1][index].get() + r * state_stride(index), size, to + r * size);
    }
}

inline std::unique_ptr<Recurrence> Packed::begin(int64_t rows, int workers) const {
    return std::make_unique<Steps>(*this, rows, workers);
}

}  // namespace seqloom::SEQLOOM_ISA
