// A recurrence over packed weights: block by block of steps the input product, then step by step its stages.
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

inline void Steps::run(const Passage& passage, Share& share) {
    Worker& worker = workers_[share.worker];
    for (int64_t done = 0; done < passage.time; done += block_) {
        const int64_t steps = std::min(block_, passage.time - done);
        if (program_.linear_width) {
            multiply_inputs(passage, share, worker, done, steps);
            share.wait();
        }
        int64_t linear_row = 0;
        for (int64_t i = done; i < done + steps; i++) {
            const int64_t t = time_of(passage, i), count = passage.count(t);
            Step step{passage, share, worker, t, count, linear_row, static_cast<int>((done_ + i) & 1)};
            if (count > 0) {
                for (size_t s = 0; s < stages_.size(); s++) run_stage(s, step);
                write_outputs(step);
            }
            linear_row += count;
        }
    }
}

// The rows of x of some steps, one after the other, as the format reads them.
inline Source Steps::gather_inputs(const Passage& passage, Worker& worker, int64_t done, int64_t steps) const {
    const int64_t features = cell_.features(), integer_stride = 2 * vectors_for(features) * LANES;
    auto& rows = worker.input_rows;
    int64_t count = 0;
    for (int64_t i = done; i < done + steps; i++) {
        const int64_t t = time_of(passage, i);
        for (int64_t r = 0; r < passage.count(t); r++) rows[count++] = passage.place(passage.x, t, r);
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

inline void Steps::multiply_inputs(const Passage& passage, Share& share, Worker& worker, int64_t done, int64_t steps) {
    const Source source = gather_inputs(passage, worker, done, steps);
    int64_t count = 0;
    for (int64_t i = done; i < done + steps; i++) count += passage.count(time_of(passage, i));
    for (int part = share.first; part < share.last; part++) {
        float* out = linear_.get() + cell_.linear_first(part) * LANES;
        for (int64_t row = 0; row < count; row += MOST_ROWS) {
            const int rows = static_cast<int>(std::min<int64_t>(MOST_ROWS, count - row));
            cell_.multiply(cell_.linear(part), source, row, rows, out + row * linear_stride_, linear_stride_, false);
        }
    }
}

inline void Steps::run_stage(size_t s, Step& step) {
    const Stage& stage = stages_[s];
    Worker& worker = step.worker;
    const Place* places = places_[step.parity].data() + first_place_[s];
    for (size_t i = 0; i < stage.streams.size(); i++) {
        const Place place = moved(stage.streams[i], places[i], step);
        worker.bases[i] = place.at;
        worker.strides[i] = place.stride;
    }
    for (size_t p = 0; p < stage.products.size(); p++) {
        const Product& product = stage.products[p];
        const Place place = moved(product.source, places[stage.streams.size() + p], step);
        const int64_t first = rows_ * static_cast<int64_t>(p), integer_stride = 2 * vectors_for(product.length) * LANES;
        char* integers = worker.integers.get() + first * 2 * padded(cell_.longest());
        float* scales = worker.scales.get() + first;
        worker.sources[p] = {place.at, place.stride, integers, integer_stride, scales};
        for (int64_t r = 0; cell_.format().quantize && r < step.count; r++) {
            cell_.format().quantize(place.at + r * place.stride, product.length, integers + r * integer_stride, scales + r);
        }
    }
    // Where the weights exceed a core's cache, what was read last is still there: come back the other way.
    const bool reversed = step.parity;
    for (int part = step.share.first; part < step.share.last; part++) {
        float* sums = sums_.get() + part * most_sums_ * rows_;
        std::fill_n(sums, most_sums_ * rows_, 0.0f);
        const auto& chunks = cell_.layout(s).parts[part];
        for (size_t c = 0; c < chunks.size(); c++) {
            const UnitChunk& chunk = chunks[reversed ? chunks.size() - 1 - c : c];
            for (int64_t row = 0; row < step.count; row += MOST_ROWS) {
                run_chunk(s, chunk, row, std::min<int64_t>(MOST_ROWS, step.count - row), reversed, step, sums);
            }
        }
    }
    step.share.wait();
    if (stage.sums.empty()) return;
    if (step.share.first == 0) finish_sums(s, step);
    step.share.wait();
}

inline void Steps::run_chunk(size_t s, const UnitChunk& chunk, int64_t row, int64_t rows, bool reversed, Step& step, float* sums) {
    const Stage& stage = stages_[s];
    Worker& worker = step.worker;
    const int64_t gate_stride = chunk.vectors * LANES, stride = stage.accumulators * gate_stride;
    float* out = worker.accumulators.get();
    for (size_t p = 0; p < stage.products.size(); p++) {
        cell_.multiply(chunk.products[p], worker.sources[p], row, static_cast<int>(rows), out, stride, reversed);
        out += chunk.products[p].vectors * LANES;
    }
    const int64_t first = chunk.first * LANES, units = std::min(gate_stride, stage.width - first), whole = units / LANES * LANES;
    for (size_t i = 0; i < stage.streams.size(); i++) {
        worker.pointers[i] = worker.bases[i] + row * worker.strides[i] + (stage.per_row[i] ? 0 : first);
    }
    const Tile tile{rows, whole, worker.accumulators.get(), gate_stride, stride, worker.pointers.data(), worker.strides.data(), sums + row, rows_};
    if (whole) call(s, tile, worker);
    if (whole < units) run_tail(s, tile, units - whole, whole, worker);
}

// The last units, fewer than a vector: the code runs on copies that have room for a whole one.
inline void Steps::run_tail(size_t s, Tile tile, int64_t units, int64_t at, Worker& worker) {
    const Stage& stage = stages_[s];
    const int64_t tile_rows = std::min<int64_t>(rows_, MOST_ROWS);
    for (size_t i = 0; i < stage.streams.size(); i++) {
        worker.tile_strides[i] = worker.strides[i];
        worker.bounce_pointers[i] = worker.pointers[i];
        if (stage.per_row[i]) continue;
        float* copy = worker.bounce_pointers[i] = worker.bounce.get() + static_cast<int64_t>(i) * tile_rows * LANES;
        worker.tile_strides[i] = worker.strides[i] ? LANES : 0;
        if (!stage.reads[i]) continue;
        for (int64_t r = 0; r < (worker.strides[i] ? tile.rows : 1); r++) {
            const float* from = worker.pointers[i] + at + r * worker.strides[i];
            for (int64_t u = 0; u < LANES; u++) copy[r * LANES + u] = u < units ? from[u] : 0.0f;
        }
    }
    tile.units = units;
    tile.accumulators += at;
    tile.streams = worker.bounce_pointers.data();
    tile.strides = worker.tile_strides.data();
    call(s, tile, worker);
    for (size_t i = 0; i < stage.streams.size(); i++) {
        if (!stage.writes[i] || stage.per_row[i]) continue;
        for (int64_t r = 0; r < tile.rows; r++) {
            std::copy_n(worker.bounce_pointers[i] + r * LANES, units, worker.pointers[i] + at + r * worker.strides[i]);
        }
    }
}

inline void Steps::finish_sums(size_t s, const Step& step) {
    const Stage& stage = stages_[s];
    for (size_t k = 0; k < stage.sums.size(); k++) {
        const Place place = places_[step.parity][first_place_[s] + stage.sums[k]];
        for (int64_t r = 0; r < step.count; r++) {
            float total = 0.0f;
            for (int part = 0; part < cell_.parts(); part++) total += sums_[(part * most_sums_ + static_cast<int64_t>(k)) * rows_ + r];
            place.at[r * place.stride] = total;
        }
    }
}

// Each thread copies its share of the units.
inline void Steps::write_outputs(const Step& step) {
    const Passage& passage = step.passage;
    const int64_t size = program_.states[0], parts = cell_.parts();
    const int64_t from = size * step.share.first / parts, to = size * step.share.last / parts;
    for (int64_t r = 0; r < step.count; r++) {
        const float* state = states_[1 - step.parity][0].get() + r * state_stride(0);
        float* out = const_cast<float*>(passage.place(passage.out, step.t, r));
        if (!passage.residual) {
            std::copy(state + from, state + to, out + from);
            continue;
        }
        const float* x = passage.place(passage.x, step.t, r);
        for (int64_t u = from; u < to; u++) out[u] = state[u] + x[u];
    }
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
