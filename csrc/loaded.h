// A program that Python holds.
#pragma once
#include <nanobind/nanobind.h>

#include "sequence.h"

namespace seqloom {

// A program for one instruction set.
struct Loaded {
    Program program;
    const Kernels* kernels;
};

void bind_streams(nanobind::module_& module);

}  // namespace seqloom
