// What the door to Python is made of: programs that Python holds, and the structs that it fills in.
#pragma once
#include <nanobind/nanobind.h>

#include "packed_cell.h"
#include "sequence.h"

namespace seqloom {

// A program for one instruction set.
struct Loaded {
    Program program;
    const Kernels* kernels;
};

// One direction of a packed layer over packed rows.
struct PackedDirection {
    Place output;                       // (N, H)
    std::vector<Place> leaves;          // hoisted values (N, size)
    std::vector<const float*> initial;  // (B, size) of each state; empty: zeros
    std::vector<float*> final;          // (B, size) of each state
};

// Refuses, naming it, a list whose length is not what the program says.
void check_count(const char* name, size_t found, size_t expected);

void bind_structs(nanobind::module_& module);
void bind_streams(nanobind::module_& module);

}  // namespace seqloom
