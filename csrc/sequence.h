// What a run over a sequence is given: a program, the rows of a packed batch, and where everything lies.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "batch.h"
#include "place.h"
#include "program.h"

namespace seqloom {

struct StateMemory {
    Place all;             // (N, size) for every row of the batch, or, without history, two alternating copies of (B, size)
    bool history = false;
    const float* initial = nullptr;  // (B, size); zeros where there is none
    float* final = nullptr;          // (B, size), or not wanted
};

// One direction of one layer. Rows of the packed batch are in order of time; `turned` runs from the last step to the first.
struct Direction {
    bool turned = false;
    Place linear, output_gradient, gradient;
    Place x;                      // (N, features); where there is none, `linear` holds the input product
    Place weight;            // (linear width, features)
    const float* bias = nullptr;  // (linear width), or none
    std::vector<Place> rows;
    std::vector<StateMemory> states;
    std::vector<float*> arrays;            // null: memory of one step, or the input product's, as the program says
    std::vector<const float*> vectors;
    std::vector<float*> carries;           // (B, size), gradient of the final states in, elementwise part of the initial ones out
    std::vector<float*> vector_gradients;  // (width), zeroed by the caller
    std::vector<Place> matrices;
};

struct Sequence {
    Program* program = nullptr;
    Pass pass = Pass::inference;
    Batch batch;
    int64_t features = 0;  // of x; 0: the input products were computed before
    std::vector<Direction> directions;

    const std::vector<Stage>& stages() const { return program->stages(pass); }
};

// How a sequence's work is divided: `groups` of rows that never meet, and within each `parts` of the units, whose threads
// wait for each other after every stage.
struct Division {
    int groups = 1;
    int parts = 1;
};
Division divide(const Sequence& sequence, int threads);

class PackedCell;  // see packed_cell.h
struct CellWeights;
enum class Weights : int;

// The kernels of one instruction set.
struct Kernels {
    const char* name;
    int lanes;
    void (*run)(const Sequence& sequence, Division division, int threads);
    std::vector<std::pair<uint64_t, Epilogue>> (*built_in)();
    std::unique_ptr<PackedCell> (*pack)(const Program& program, const CellWeights& weights, Weights kind, int parts, bool plain);
};
const Kernels* kernels(const char* name);          // null where this machine or this build has none of that name
std::vector<const char*> instruction_sets();       // those that this machine can run, best first
bool has_byte_products();                          // beside avx512, instructions made for products of bytes

}  // namespace seqloom
