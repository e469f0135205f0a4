// Recurrences whose weights are packed once and kept: streams of single steps, and inference with compressed weights.
#pragma once
#include <memory>
#include <vector>

#include "sequence.h"
#include "team.h"

namespace seqloom {

// How packed weights are stored: bfloat16 rounds them; int8 scales each unit's weights to -127 ... 127, and each source
// vector to 16 bits by its own largest entry. Products are added up in float, and in exact integers.
enum class Weights : int { float32, bfloat16, int8 };

// A cell's weights, read once while they are packed.
struct CellWeights {
    const Program* program = nullptr;
    int64_t features = 0;
    MatrixMemory weight;          // (linear width, features) of the input product
    const float* bias = nullptr;  // (linear width), or none
    std::vector<MatrixMemory> matrices;
    std::vector<const float*> vectors;
};

// Rows over time: row b of step t lies at at + start * time + b * row, where start is t or what `starts` says.
struct Rows {
    const float* at = nullptr;
    int64_t time = 0, row = 0;
};

// Some consecutive steps of a recurrence.
struct Passage {
    int64_t time = 0, batch = 0;
    const int64_t* counts = nullptr;  // rows that have each step, falling; all of them where there is none
    const int64_t* starts = nullptr;  // which row of x, out and leaves each step begins with
    bool turned = false;              // from the last step to the first
    bool residual = false;            // add x to the output
    Rows x, out;                      // out is written
    std::vector<Rows> leaves;         // hoisted values that are no input product

    int64_t count(int64_t t) const { return counts ? counts[t] : batch; }
    const float* place(const Rows& rows, int64_t t, int64_t row) const {
        return rows.at + (starts ? starts[t] : t) * rows.time + row * rows.row;
    }
};

// Where a thread of a team stands.
struct Share {
    int worker = 0;
    int first = 0, last = 1;  // parts of the units
    Barrier* barrier = nullptr;
    int rank = 0, epoch = 0;

    void wait() {
        if (barrier) barrier->wait(rank, epoch);
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

// Layers that read each other's outputs step by step, with their states.
class Stack {
   public:
    Stack(const std::vector<const PackedCell*>& cells, int64_t batch, bool residual, int threads);
    void run(const Rows& x, const Rows& out, int64_t time);

    const int64_t batch, features, units;  // units: of the output
    std::vector<std::unique_ptr<Recurrence>> layers;
    std::vector<const PackedCell*> cells;

   private:
    struct Region;
    void work(const Region& region, Share share);
    static void enter(void* region, int rank, int size);

    std::vector<bool> residual_;
    int threads_;
    int64_t arithmetic_ = 0, block_ = 1, between_stride_ = 0;
    std::vector<float> between_[2];
};

// One layer over whole sequences, direction by direction from states that were written before.
void run_directions(const std::vector<Recurrence*>& directions, const std::vector<Passage>& passages, int parts,
                    int64_t arithmetic, int threads);

}  // namespace seqloom
