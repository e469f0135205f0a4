// The door to Python: programs, runs over sequences whose memory Python owns, and what this machine can run.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>

#include "struct_bindings.h"
#include "team.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace seqloom {

void check_count(const char* name, size_t found, size_t expected) {
    if (found == expected) return;
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(found) + " entries; the program expects " +
                                std::to_string(expected));
}

namespace {

Loaded* load(nb::bytes words, const std::string& instruction_set) {
    const Kernels* found = kernels(instruction_set.c_str());
    if (!found) throw std::invalid_argument("this machine cannot run the instruction set '" + instruction_set + "'");
    if (words.size() % 4) throw std::invalid_argument("not a kernel program: its size is not a multiple of 4 bytes");
    std::vector<int32_t> copy(words.size() / 4);
    std::memcpy(copy.data(), words.c_str(), words.size());
    return new Loaded{Program(copy.data(), copy.size()), found};
}

Pass pass_of(int number) {
    if (number < 0 || number >= static_cast<int>(Pass::count)) throw std::invalid_argument("there is no such pass");
    return static_cast<Pass>(number);
}

void check(const Program& program, Pass pass, const Direction& direction) {
    check_count("rows", direction.rows.size(), program.rows.size());
    check_count("vectors", direction.vectors.size(), program.vectors.size());
    check_count("matrices", direction.matrices.size(), program.matrices.size());
    check_count("states", direction.states.size(), program.states.size());
    check_count("arrays", direction.arrays.size(), program.arrays.size());
    if (pass != Pass::backward) return;
    check_count("carries", direction.carries.size(), program.states.size());
    check_count("vector_gradients", direction.vector_gradients.size(), program.vector_gradients.size());
}

void run(Loaded& loaded, int pass, const Batch& batch, int64_t features, std::vector<Direction> directions, int threads,
         const Division* division) {
    const Sequence sequence{&loaded.program, pass_of(pass), batch, features, std::move(directions)};
    for (const Direction& direction : sequence.directions) check(loaded.program, sequence.pass, direction);
    nb::gil_scoped_release unlocked;
    loaded.kernels->run(sequence, division ? *division : divide(sequence, threads), threads);
}

Stage& stage_of(Loaded& loaded, int pass, size_t stage) { return loaded.program.stages(pass_of(pass)).at(stage); }

nb::dict limits() {
    nb::dict all;
    all["version"] = kVersion;
    all["columns"] = kMost;
    all["stages"] = kMostStages;
    all["entries"] = kMostEntries;
    all["accumulators"] = kMostAccumulators;
    all["instructions"] = kMostInstructions;
    all["threads"] = kMostThreads;
    return all;
}

// Names and numbers of the enumerations that Python has, too.
nb::dict enumerations() {
    nb::dict ops, kinds, passes, weights;
#define SEQLOOM_ENTRY_OP(name) ops[#name] = static_cast<int>(Op::name);
#define SEQLOOM_ENTRY_KIND(name) kinds[#name] = static_cast<int>(Kind::name);
#define SEQLOOM_ENTRY_PASS(name) passes[#name] = static_cast<int>(Pass::name);
#define SEQLOOM_ENTRY_WEIGHTS(name) weights[#name] = static_cast<int>(Weights::name);
    SEQLOOM_OPS(SEQLOOM_ENTRY_OP)
    SEQLOOM_KINDS(SEQLOOM_ENTRY_KIND)
    SEQLOOM_PASSES(SEQLOOM_ENTRY_PASS)
    SEQLOOM_WEIGHTS(SEQLOOM_ENTRY_WEIGHTS)
    nb::dict all;
    all["Op"] = ops;
    all["Kind"] = kinds;
    all["Pass"] = passes;
    all["Weights"] = weights;
    return all;
}

}  // namespace
}  // namespace seqloom

NB_MODULE(_kernels, module) {
    using namespace seqloom;
    module.doc() = "The compiled kernels of the engine; seqloom.engine.runtime.native is what loads them.";
    nb::set_leak_warnings(false);
    bind_structs(module);
    nb::class_<Loaded>(module, "Program")
        .def(nb::new_(&load), "words"_a, "instruction_set"_a)
        .def("run", &run, "which"_a, "batch"_a, "features"_a, "directions"_a, "threads"_a, "division"_a.none() = nb::none())
        .def("compiled", [](Loaded& loaded, int pass, size_t stage) {
            return stage_of(loaded, pass, stage).compiled.load() != nullptr;
        }, "which"_a, "stage"_a)
        .def("set_compiled", [](Loaded& loaded, int pass, size_t stage, uintptr_t address) {
            stage_of(loaded, pass, stage).compiled.store(reinterpret_cast<Epilogue>(address), std::memory_order_release);
        }, "which"_a, "stage"_a, "address"_a);
    module.def("instruction_sets", [] {
        std::vector<std::string> names;
        for (const char* name : instruction_sets()) names.emplace_back(name);
        return names;
    });
    module.def("has_byte_products", &has_byte_products);
    module.def("built_in", [](const std::string& instruction_set) {
        std::vector<std::pair<uint64_t, uintptr_t>> found;
        const Kernels* known = kernels(instruction_set.c_str());
        if (known) {
            for (auto [key, epilogue] : known->built_in()) found.push_back({key, reinterpret_cast<uintptr_t>(epilogue)});
        }
        return found;
    }, "instruction_set"_a);
    module.def("enumerations", &enumerations);
    module.def("limits", &limits);
    module.def("has_team", &has_team);
    bind_streams(module);
}
