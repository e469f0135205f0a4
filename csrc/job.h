// One thread's work: the steps of one direction's rows, or of some parts of the units of them.
#pragma once
#include <algorithm>
#include <vector>

#include "layout.h"
#include "machine.h"
#include "team.h"

namespace seqloom::SEQLOOM_ISA {
namespace {

// One direction's rows of one group, for some parts of the units: what one thread runs.
class Job {
   public:
    Job(const Sequence& sequence, const Direction& direction, const Layout& layout, const float* packed, int group,
        int groups, float* shared, double* vector_totals)
        : sequence_(sequence), direction_(direction), stages_(sequence.program->passes[sequence.pass]), layout_(layout),
          packed_(packed), group_(group), groups_(groups), shared_(shared), vector_totals_(vector_totals),
          backward_(sequence.pass == backward_pass),
          scratch_(allocate((layout.most_linear + layout.most_accumulators) * TILE_ROWS * layout.most_units +
                            layout.most_registers * TILE_ROWS * layout.most_units * static_cast<int64_t>(stages_.size()) +
                            layout.most_streams * TILE_ROWS * LANES)),
          bases_(layout.most_streams), strides_(layout.most_streams), pointers_(layout.most_streams),
          bounce_pointers_(layout.most_streams), tile_strides_(layout.most_streams), bounce_strides_(layout.most_streams) {
        for (int width : sequence.program->vector_gradients) vector_offsets_.push_back(vector_offsets_.back() + width);
        vector_sums_.assign(backward_ ? vector_offsets_.back() : 0, 0.0f);
        linear_ = scratch_.get();
        accumulators_ = linear_ + layout.most_linear * TILE_ROWS * layout.most_units;
        bounce_ = accumulators_ + layout.most_accumulators * TILE_ROWS * layout.most_units;
        float* registers = bounce_ + layout.most_streams * TILE_ROWS * LANES;
        for (const Stage& stage : stages_) {
            epilogues_.push_back(stage.compiled.load(std::memory_order_acquire));
            machines_.emplace_back(stage, TILE_ROWS, layout.most_units, registers);
            registers += layout.most_registers * TILE_ROWS * layout.most_units;
        }
    }

    // `partial`: (parts, most_sums, rows) for sums over units.
    void run(int first_part, int last_part, Barrier* barrier, int rank, int parts, float* partial) {
        const int64_t time = sequence_.time;
        const bool descending = direction_.turned != backward_;
        const int64_t rows = local(sequence_.batch);
        int epoch = 0;
        for (int64_t iteration = 0; iteration < time; iteration++) {
            t_ = descending ? time - 1 - iteration : iteration;
            const int64_t count = local(sequence_.count(t_));
            if (count == 0) continue;
            before_ = direction_.turned ? t_ + 1 : t_ - 1;
            later_ = direction_.turned ? t_ - 1 : t_ + 1;
            const int64_t with_before = inside(before_) ? std::min(count, local(sequence_.count(before_))) : 0;
            const int64_t with_later = inside(later_) ? std::min(count, local(sequence_.count(later_))) : 0;
            for (size_t s = 0; s < stages_.size(); s++) {
                const Stage& stage = stages_[s];
                for (int part = first_part; part < last_part; part++) {
                    sums_ = partial + part * layout_.most_sums * rows;
                    sum_stride_ = rows;
                    if (!stage.sums.empty()) std::fill(sums_, sums_ + layout_.most_sums * rows, 0.0f);
                    int64_t from = 0;
                    while (from < count) {  // all rows of a segment begin and go on alike
                        int64_t to = count;
                        if (from < with_before) to = std::min(to, with_before);
                        if (backward_ && from < with_later) to = std::min(to, with_later);
                        run_segment(s, part, from, to, from < with_before, from < with_later);
                        from = to;
                    }
                }
                if (barrier) barrier->wait(rank, epoch);
                if (!stage.sums.empty()) {
                    if (first_part == 0) finish_sums(stage, count, parts, partial, rows);
                    if (barrier) barrier->wait(rank, epoch);
                }
            }
            if (iteration % STEPS_PER_SUM == STEPS_PER_SUM - 1) total_vectors();
        }
        total_vectors();
    }

   private:
    const Sequence& sequence_;
    const Direction& direction_;
    const std::vector<Stage>& stages_;
    const Layout& layout_;
    const float* packed_;
    const int64_t group_, groups_;
    float* shared_;  // arrays of one step and temporaries, (B, width) each
    // Gradients of vectors: sums over the rows of a few steps, and their total in double precision, for a sum of thousands of
    // floats one by one would lose digits.
    static constexpr int64_t STEPS_PER_SUM = 8;
    double* vector_totals_;
    std::vector<int64_t> vector_offsets_{0};
    std::vector<float> vector_sums_;
    const bool backward_;
    Buffer scratch_;
    static constexpr int64_t kInTile = -1;
    float *linear_, *accumulators_, *bounce_, *sums_ = nullptr;
    int64_t sum_stride_ = 0;
    std::vector<float*> bases_;
    std::vector<int64_t> strides_;
    std::vector<float*> pointers_, bounce_pointers_;
    std::vector<int64_t> tile_strides_, bounce_strides_;
    std::vector<Epilogue> epilogues_;
    std::vector<Machine> machines_;
    int64_t t_ = 0, before_ = 0, later_ = 0;

    void total_vectors() {
        for (size_t i = 0; i < vector_sums_.size(); i++) {
            vector_totals_[i] += vector_sums_[i];
            vector_sums_[i] = 0.0f;
        }
    }

    bool inside(int64_t t) const { return t >= 0 && t < sequence_.time; }
    int64_t local(int64_t count) const { return count > group_ ? (count - group_ + groups_ - 1) / groups_ : 0; }

    Place packed_row(Place place, int64_t t) const {
        return {place.at + (sequence_.start(t) + group_) * place.stride, place.stride * groups_};
    }
    Place batch_row(float* at, int64_t width) const { return {at + group_ * width, width * groups_}; }

    Place state(const StateMemory& memory, int size, int64_t t) const {
        if (memory.history) return packed_row(memory.all, t);
        return batch_row(memory.all.at + (t & 1) * sequence_.batch * size, size);
    }

    // Where a stream's first row of this group lies in this step, and how far its rows are apart.
    Place locate(const Stream& stream, bool has_before) {
        const Program& program = *sequence_.program;
        Place place;
        switch (stream.kind) {
            case Kind::linear: place = packed_row(direction_.linear, t_); break;
            case Kind::rows: place = packed_row(direction_.rows[stream.index], t_); break;
            case Kind::state: {
                const StateMemory& memory = direction_.states[stream.index];
                const int size = program.states[stream.index];
                place = has_before ? state(memory, size, before_) : batch_row(const_cast<float*>(memory.initial), size);
                break;
            }
            case Kind::new_state: place = state(direction_.states[stream.index], program.states[stream.index], t_); break;
            case Kind::array: {
                const Array& array = program.arrays[stream.index];
                if (direction_.arrays[stream.index]) {
                    place = packed_row({direction_.arrays[stream.index], array.width}, t_);
                } else if (array.linear >= 0 && sequence_.pass != inference_pass) {
                    place = packed_row({direction_.linear.at + array.linear, direction_.linear.stride}, t_);
                } else {
                    place = batch_row(shared_ + shared_offset(stream.index), array.width);
                }
                break;
            }
            case Kind::vector: place = {const_cast<float*>(direction_.vectors[stream.index]), 0}; break;
            case Kind::output_gradient: place = packed_row(direction_.output_gradient, t_); break;
            case Kind::carry: place = batch_row(direction_.carries[stream.index], program.states[stream.index]); break;
            case Kind::gradient: place = packed_row(direction_.gradient, t_); break;
            case Kind::later_gradient: place = packed_row(direction_.gradient, later_); break;
            case Kind::temporary: {
                int64_t offset = 0;
                for (int i = 0; i < stream.index; i++) offset += program.temporaries[i] * sequence_.batch;
                place = batch_row(shared_ + offset, program.temporaries[stream.index]);
                break;
            }
            default: place = {vector_sums_.data() + vector_offsets_[stream.index], 0}; break;
        }
        place.at += stream.offset;
        return place;
    }

    int64_t shared_offset(int index) const {
        int64_t offset = 0;
        for (int i = 0; i < index; i++) offset += sequence_.program->arrays[i].width * sequence_.batch;
        return offset;
    }

    void run_segment(size_t s, int part, int64_t from, int64_t to, bool has_before, bool has_later) {
        const Stage& stage = stages_[s];
        for (size_t i = 0; i < stage.streams.size(); i++) {
            const Place place = locate(stage.streams[i], has_before);
            bases_[i] = place.at;
            strides_[i] = place.stride;
        }
        // Input products of this stage lie in the tile, not in memory.
        for (int stream : layout_.linear[s]) strides_[stream] = kInTile;
        std::vector<Place>& sources = sources_;
        sources.clear();
        for (const Product& product : stage.products) {
            const bool nothing = product.source.kind == Kind::later_gradient && !has_later;
            sources.push_back(nothing ? Place{} : locate(product.source, has_before));
        }
        const auto& chunks = layout_.chunks[s][part];
        const int64_t tiles = (to - from + TILE_ROWS - 1) / TILE_ROWS;
        // Where the weights exceed a core's cache, what was read last is still there: come back the other way.
        const bool zigzag = t_ & 1;
        for (size_t c = 0; c < chunks.size(); c++) {
            const Chunk& chunk = chunks[zigzag ? chunks.size() - 1 - c : c];
            for (int64_t q = 0; q < tiles; q++) {
                const int64_t begin = from + (to - from) * q / tiles, end = from + (to - from) * (q + 1) / tiles;
                prefetch(stage, chunk, begin, end - begin);
                multiply(s, chunk, sources, begin, static_cast<int>(end - begin));
                finish(s, chunk, begin, end - begin);
            }
        }
    }

    void prefetch(const Stage& stage, const Chunk& chunk, int64_t row, int64_t rows) const {
        const int64_t first = chunk.first * LANES, units = std::min<int64_t>(chunk.vectors * LANES, stage.width - first);
        for (size_t i = 0; i < stage.streams.size(); i++) {
            if (strides_[i] <= 0 || stage.per_row[i]) continue;
            for (int64_t r = 0; r < rows; r++) {
                const float* at = bases_[i] + (row + r) * strides_[i] + first;
                for (int64_t u = 0; u < units; u += 16) {
                    if (stage.writes[i]) __builtin_prefetch(at + u, 1); else __builtin_prefetch(at + u, 0);
                }
            }
        }
    }

    void multiply(size_t s, const Chunk& chunk, const std::vector<Place>& sources, int64_t row, int rows) {
        const Stage& stage = stages_[s];
        const int64_t gate_stride = chunk.vectors * LANES * TILE_ROWS;
        const float* panel = packed_ + chunk.packed;
        if (const int64_t gates = layout_.linear[s].size()) {
            const Place x = packed_row(direction_.x, t_);
            panel = multiply_panels<true>(chunk, gates, sequence_.features, {x.at + row * x.stride, x.stride}, panel, linear_, rows);
        }
        float* out = accumulators_;
        for (size_t p = 0; p < stage.products.size(); p++) {
            const Product& product = stage.products[p];
            const int64_t gates = product.gates.size();
            if (sources[p].at) {
                const Place source = {sources[p].at + row * sources[p].stride, sources[p].stride};
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

    void finish(size_t s, const Chunk& chunk, int64_t row, int64_t rows) {
        const Stage& stage = stages_[s];
        const int64_t first = chunk.first * LANES, units = std::min<int64_t>(chunk.vectors * LANES, stage.width - first);
        const int64_t whole = units / LANES * LANES, stride = chunk.vectors * LANES;
        Tile tile{rows, whole, accumulators_, stride * TILE_ROWS, stride, pointers_.data(), tile_strides_.data(), sums_ + row, sum_stride_};
        tile_strides_ = strides_;
        for (size_t i = 0, gate = 0; i < stage.streams.size(); i++) {
            if (strides_[i] == kInTile) {
                pointers_[i] = linear_ + static_cast<int64_t>(gate++) * stride * TILE_ROWS;
                tile_strides_[i] = stride;
            } else {
                pointers_[i] = bases_[i] + row * strides_[i] + (stage.per_row[i] ? 0 : first);
            }
        }
        if (whole) call(s, tile);
        if (whole < units) finish_partial(s, tile, units - whole, whole);
    }

    // The last units, fewer than a vector: the code runs on copies that have room for a whole one.
    void finish_partial(size_t s, Tile tile, int64_t units, int64_t at) {
        const Stage& stage = stages_[s];
        for (size_t i = 0; i < stage.streams.size(); i++) {
            bounce_strides_[i] = tile_strides_[i];
            if (stage.per_row[i]) {
                bounce_pointers_[i] = pointers_[i];
                continue;
            }
            if (strides_[i] == kInTile) {
                bounce_pointers_[i] = pointers_[i] + at;
                continue;
            }
            bounce_pointers_[i] = bounce_ + static_cast<int64_t>(i) * TILE_ROWS * LANES;
            bounce_strides_[i] = strides_[i] ? LANES : 0;
            if (!stage.reads[i]) continue;
            for (int64_t r = 0; r < (strides_[i] ? tile.rows : 1); r++) {
                const float* from = pointers_[i] + at + r * strides_[i];
                for (int64_t u = 0; u < LANES; u++) bounce_pointers_[i][r * LANES + u] = u < units ? from[u] : 0.0f;
            }
        }
        tile.units = units;
        tile.accumulators += at;
        tile.streams = bounce_pointers_.data();
        tile.strides = bounce_strides_.data();
        call(s, tile);
        for (size_t i = 0; i < stage.streams.size(); i++) {
            if (!stage.writes[i]) continue;
            for (int64_t r = 0; r < (strides_[i] ? tile.rows : 1); r++) {
                std::copy_n(bounce_pointers_[i] + r * LANES, units, pointers_[i] + at + r * strides_[i]);
            }
        }
    }

    void call(size_t s, const Tile& tile) {
        if (epilogues_[s]) epilogues_[s](&tile); else machines_[s].run(tile);
    }

    void finish_sums(const Stage& stage, int64_t count, int parts, const float* partial, int64_t rows) {
        for (size_t k = 0; k < stage.sums.size(); k++) {
            const Place place = locate(stage.streams[stage.sums[k]], false);
            for (int64_t r = 0; r < count; r++) {
                float total = 0.0f;
                for (int part = 0; part < parts; part++) total += partial[(part * layout_.most_sums + k) * rows + r];
                place.at[r * place.stride] = total;
            }
        }
    }

    std::vector<Place> sources_;
};

}  // namespace
}  // namespace seqloom::SEQLOOM_ISA
