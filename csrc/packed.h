// A cell's weights in panels: of the input product, and of the products of every stage, chunk by chunk of its units.
#pragma once
#include <cstdlib>
#include <memory>
#include <vector>

#include "compressed.h"
#include "integers.h"
#include "packed_cell.h"

namespace seqloom::SEQLOOM_ISA {

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};
template <class T>
using Memory = std::unique_ptr<T[], Free>;

// Zeroed, and as wide as a cache line, so that whole vectors may be read at its end.
template <class T>
Memory<T> zeroed(int64_t count) {
    const size_t bytes = (static_cast<size_t>(count) * sizeof(T) / 64 + 2) * 64;
    void* memory = std::aligned_alloc(64, bytes);
    if (!memory) throw std::bad_alloc();
    std::memset(memory, 0, bytes);
    return Memory<T>(static_cast<T*>(memory));
}

constexpr int64_t padded(int64_t units) { return (units + 15) / 16 * 16; }

// Some consecutive vectors of columns times `length` positions; panels lie one after the other.
struct PanelRow {
    int64_t vectors, length, at;
};
struct UnitChunk : Chunk {
    std::vector<PanelRow> products;
};
struct StageLayout {
    std::vector<std::vector<UnitChunk>> parts;
};

class Packed final : public PackedCell {
   public:
    Packed(const Program& program, const CellWeights& weights, const Format& format, int parts);
    std::unique_ptr<Recurrence> begin(int64_t rows, int workers) const override;
    const Program& program() const override { return program_; }
    int64_t features() const override { return features_; }
    int64_t bytes() const override { return bytes_; }
    int parts() const override { return parts_; }
    int64_t arithmetic() const override;

    const std::vector<Stage>& stages() const { return program_.stages(Pass::inference); }
    const Format& format() const { return format_; }
    const StageLayout& layout(size_t stage) const { return stages_[stage]; }
    const PanelRow& linear(int part) const { return linear_[part]; }
    int64_t linear_first(int part) const { return vectors_of(program_.linear_width) * part / parts_; }
    const float* vector(int index) const { return vectors_[index].get(); }
    int64_t longest() const { return longest_; }          // positions of any source
    int64_t most_columns() const { return most_columns_; }  // accumulators of any tile's row
    int64_t most_units() const { return most_units_; }

    // All columns for up to TILE_ROWS rows from `first` on.
    void multiply(const PanelRow& row, const Source& source, int64_t first, int count, float* out, int64_t stride,
                  bool reversed) const;

   private:
    const Program& program_;
    const Format& format_;
    const int64_t features_;
    const int parts_;
    std::vector<PanelRow> linear_;
    std::vector<StageLayout> stages_;
    std::vector<Memory<float>> vectors_;
    Memory<char> memory_;
    int64_t bytes_ = 0, longest_ = 1, most_columns_ = 1, most_units_ = LANES;

    void lay_out();
    PanelRow reserve(int64_t vectors, int64_t length);
    char* column(const PanelRow& row, int64_t column, int64_t* panel_vectors, int64_t* within) const;
    void pack_linear(const CellWeights& weights, int part);
    void pack_chunk(const CellWeights& weights, const Stage& stage, const UnitChunk& chunk);
};

inline PanelRow Packed::reserve(int64_t vectors, int64_t length) {
    const PanelRow row{vectors, length, bytes_};
    for (int64_t v = 0; v < vectors; v += WIDEST) {
        const int64_t wide = std::min<int64_t>(WIDEST, vectors - v);
        bytes_ += Panel::head(wide) + format_.bytes(wide, length);
    }
    longest_ = std::max(longest_, length);
    return row;
}

inline void Packed::lay_out() {
    for (int part = 0; part < parts_; part++) {
        linear_.push_back(reserve(linear_first(part + 1) - linear_first(part), features_));
    }
    for (const Stage& stage : stages()) {
        auto& parts = stages_.emplace_back().parts;
        const int64_t most = chunk_vectors(128, stage.accumulators, TILE_ROWS);
        for (int part = 0; part < parts_; part++) {
            auto& chunks = parts.emplace_back();
            for (const Chunk& units : chunks_of(stage.width, part, parts_, most)) {
                UnitChunk chunk{units, {}};
                for (const Product& product : stage.products) {
                    chunk.products.push_back(reserve(static_cast<int64_t>(product.gates.size()) * chunk.vectors, product.length));
                }
                most_units_ = std::max(most_units_, chunk.vectors * LANES);
                most_columns_ = std::max(most_columns_, stage.accumulators * chunk.vectors * LANES);
                chunks.push_back(std::move(chunk));
            }
        }
    }
}

// Where the panel of a vector of columns begins, and which of the panel's vectors it is.
inline char* Packed::column(const PanelRow& row, int64_t column, int64_t* panel_vectors, int64_t* within) const {
    const int64_t whole = column / WIDEST;
    *panel_vectors = std::min<int64_t>(WIDEST, row.vectors - whole * WIDEST);
    *within = column % WIDEST;
    return memory_.get() + row.at + whole * (Panel::head(WIDEST) + format_.bytes(WIDEST, row.length));
}

inline void Packed::pack_linear(const CellWeights& weights, int part) {
    const PanelRow& row = linear_[part];
    for (int64_t v = 0; v < row.vectors; v++) {
        int64_t wide, within;
        char* panel = column(row, v, &wide, &within);
        for (int64_t lane = 0; lane < LANES; lane++) {
            const int64_t unit = (linear_first(part) + v) * LANES + lane;
            if (unit >= program_.linear_width) break;
            if (weights.bias) reinterpret_cast<float*>(panel)[within * LANES + lane] = weights.bias[unit];
            format_.pack(panel, wide, within * LANES + lane, weights.weight.at + unit * weights.weight.stride, features_);
        }
    }
}

inline void Packed::pack_chunk(const CellWeights& weights, const Stage& stage, const UnitChunk& chunk) {
    std::vector<float> line;
    for (size_t p = 0; p < stage.products.size(); p++) {
        const Product& product = stage.products[p];
        line.resize(product.length);
        for (int64_t v = 0; v < chunk.products[p].vectors; v++) {
            int64_t wide, within;
            char* panel = column(chunk.products[p], v, &wide, &within);
            const auto& gate = product.gates[v / chunk.vectors];
            for (int64_t lane = 0; lane < LANES; lane++) {
                const int64_t unit = (chunk.first + v % chunk.vectors) * LANES + lane;
                if (unit >= stage.width) break;
                float* to = line.data();
                for (const Segment& segment : gate) {
                    const Place& matrix = weights.matrices[segment.matrix];
                    const float* from = segment.transposed ? matrix.at + segment.offset * matrix.stride + unit
                                                           : matrix.at + (segment.offset + unit) * matrix.stride;
                    for (int k = 0; k < segment.length; k++) *to++ = from[k * (segment.transposed ? matrix.stride : 1)];
                }
                format_.pack(panel, wide, within * LANES + lane, line.data(), product.length);
            }
        }
    }
}

inline Packed::Packed(const Program& program, const CellWeights& weights, const Format& format, int parts)
    : program_(program), format_(format), features_(weights.features), parts_(parts) {
    lay_out();
    memory_ = zeroed<char>(bytes_);
    for (int part = 0; part < parts_; part++) {
        if (program_.linear_width) pack_linear(weights, part);
        for (size_t s = 0; s < stages().size(); s++) {
            for (const UnitChunk& chunk : stages_[s].parts[part]) pack_chunk(weights, stages()[s], chunk);
        }
    }
    for (size_t i = 0; i < program_.vectors.size(); i++) {
        vectors_.push_back(zeroed<float>(program_.vectors[i]));
        std::copy_n(weights.vectors[i], program_.vectors[i], vectors_.back().get());
    }
}

inline int64_t Packed::arithmetic() const {
    return 2 * features_ * program_.linear_width + program_.arithmetic(Pass::inference);
}

inline void Packed::multiply(const PanelRow& row, const Source& source, int64_t first, int count, float* out, int64_t stride,
                             bool reversed) const {
    const int64_t panels = (row.vectors + WIDEST - 1) / WIDEST;
    const int64_t bytes = Panel::head(WIDEST) + format_.bytes(WIDEST, row.length);
    for (int64_t i = 0; i < panels; i++) {
        const int64_t p = reversed ? panels - 1 - i : i;
        const Panel panel{memory_.get() + row.at + p * bytes, std::min<int64_t>(WIDEST, row.vectors - p * WIDEST), row.length};
        multiply_panel(format_, source, first, count, panel, out + p * WIDEST * LANES, stride);
    }
}

}  // namespace seqloom::SEQLOOM_ISA
