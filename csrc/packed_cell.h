// Cells whose weights are packed once and kept, and their recurrences: what streams step with, and inference with
// compressed weights.
#pragma once
#include <memory>
#include <vector>

#include "sequence.h"
#include "team.h"

namespace seqloom {

// How packed weights are stored: bfloat16 rounds them; int8 scales each unit's weights to -127 ... 127, and each source
// vector to 16 bits by its own largest entry. Products are added up in float, and in exact integers.
#define SEQLOOM_WEIGHTS(X) X(float32) X(bfloat16) X(int8)
enum class Weights : int { SEQLOOM_WEIGHTS(SEQLOOM_ENUMERATOR) };

// A cell's weights, read once while they are packed.
struct CellWeights {
    int64_t features = 0;
    Place weight;                 // (linear width, features) of the input product
    const float* bias = nullptr;  // (linear width), or none
    std::vector<Place> matrices;
    std::vector<const float*> vectors;
};

// Rows over time: row b of step t lies at at + start * time + b * row, where start is t or what a batch's `starts` says.
struct RowsOverTime {
    const float* at = nullptr;
    int64_t time = 0, row = 0;
};

// Some consecutive steps of a recurrence.
struct Passage {
    Batch batch;
    bool turned = false;               // from the last step to the first
    bool residual = false;             // add x to the output
    RowsOverTime x, out;               // out is written
    std::vector<RowsOverTime> leaves;  // hoisted values that are no input product

    int64_t start(int64_t t) const { return batch.starts ? batch.starts[t] : t; }
    const float* place(const RowsOverTime& rows, int64_t t, int64_t row) const {
        return rows.at + start(t) * rows.time + row * rows.row;
    }
};

// The states of a batch of rows, and all memory that a step needs.
class Recurrence {
   public:
    virtual ~Recurrence() = default;
    // What one thread of a team does of a passage, then advance(): once, by one thread, when all have finished.
    virtual void run(const Passage& passage, Share& share) = 0;
    virtual void advance(int64_t steps) = 0;
    virtual int64_t block_steps() const = 0;  // passages of so many steps use the memory best
    virtual void read_state(int index, float* to, int64_t stride) const = 0;
    virtual void write_state(int index, const float* from, int64_t stride) = 0;
    // The state of each row after its own last step of a passage from a state that write_state set.
    virtual void read_final(int index, const Passage& passage, float* to) const = 0;
};

// A cell's weights, packed for one instruction set; the program must outlive it.
class PackedCell {
   public:
    virtual ~PackedCell() = default;
    virtual std::unique_ptr<Recurrence> begin(int64_t rows, int workers) const = 0;
    virtual const Program& program() const = 0;
    virtual int64_t features() const = 0;
    virtual int64_t bytes() const = 0;
    virtual int parts() const = 0;
    virtual int64_t arithmetic() const = 0;  // of a step of one row
};

}  // namespace seqloom
