// Recurrences of packed cells on threads: stacks of layers that stream, and the directions of a layer over whole sequences.
#pragma once
#include "packed_cell.h"

namespace seqloom {

// Layers that read each other's outputs step by step, with their states.
class Stack {
   public:
    Stack(const std::vector<const PackedCell*>& cells, int64_t batch, bool residual, int threads);
    void run(const RowsOverTime& x, const RowsOverTime& out, int64_t time);

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
