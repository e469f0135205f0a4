// What a thread does in a recurrence: the input product of a block of steps, then step by step the stages.
#pragma once
#include "recurrence.h"

namespace seqloom::SEQLOOM_ISA {

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

}  // namespace seqloom::SEQLOOM_ISA
