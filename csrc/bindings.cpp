// The door to Python: programs, runs over sequences whose memory Python owns, and what this machine can run.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>

#include "loaded.h"
#include "team.h"

namespace nb = nanobind;
namespace seqloom {
namespace {

Loaded* load(nb::bytes words, const std::string& instruction_set) {
    const Kernels* found = kernels(instruction_set.c_str());
    if (!found) throw std::invalid_argument("this machine cannot run the instruction set '" + instruction_set + "'");
    if (words.size() % 4) throw std::invalid_argument("not a kernel program: its size is not a multiple of 4 bytes");
    std::vector<int32_t> copy(words.size() / 4);
    std::memcpy(copy.data(), words.c_str(), words.size());
    return new Loaded{Program(copy.data(), copy.size()), found};
}

// Addresses and numbers in the order in which the fields of Direction follow each other; see library.py.
class Numbers {
   public:
    explicit Numbers(const std::vector<int64_t>& numbers) : next_(numbers.data()), end_(numbers.data() + numbers.size()) {}
    int64_t number() {
        if (next_ == end_) throw std::invalid_argument("a direction's description ends early");
        return *next_++;
    }
    float* address() { return reinterpret_cast<float*>(number()); }
    Place place() {
        float* at = address();
        return {at, number()};
    }
    void finish() const {
        if (next_ != end_) throw std::invalid_argument("a direction's description is too long");
    }

   private:
    const int64_t* next_;
    const int64_t* end_;
};

Direction direction_of(const Program& program, Pass pass, const std::vector<int64_t>& description) {
    Numbers numbers(description);
    Direction direction;
    direction.turned = numbers.number() != 0;
    direction.linear = numbers.place();
    direction.x = numbers.place();
    Place weight = numbers.place();
    direction.weight = {weight.at, weight.stride};
    direction.bias = numbers.address();
    for (size_t i = 0; i < program.rows.size(); i++) direction.rows.push_back(numbers.place());
    for (size_t i = 0; i < program.vectors.size(); i++) direction.vectors.push_back(numbers.address());
    for (size_t i = 0; i < program.matrices.size(); i++) {
        Place place = numbers.place();
        direction.matrices.push_back({place.at, place.stride});
    }
    for (size_t i = 0; i < program.states.size(); i++) {
        StateMemory memory;
        memory.all = numbers.place();
        memory.history = numbers.number() != 0;
        memory.initial = numbers.address();
        memory.final = numbers.address();
        direction.states.push_back(memory);
    }
    for (size_t i = 0; i < program.arrays.size(); i++) direction.arrays.push_back(numbers.address());
    if (pass == Pass::backward) {
        direction.output_gradient = numbers.place();
        direction.gradient = numbers.place();
        for (size_t i = 0; i < program.states.size(); i++) direction.carries.push_back(numbers.address());
        for (size_t i = 0; i < program.vector_gradients.size(); i++) direction.vector_gradients.push_back(numbers.address());
    }
    numbers.finish();
    return direction;
}

void run(Loaded& loaded, int pass, int64_t time, int64_t batch, int64_t features, uintptr_t counts, uintptr_t starts,
         const std::vector<std::vector<int64_t>>& directions, int threads, int groups, int parts) {
    Sequence sequence;
    sequence.program = &loaded.program;
    sequence.pass = static_cast<Pass>(pass);
    sequence.batch = {time, batch, reinterpret_cast<const int64_t*>(counts), reinterpret_cast<const int64_t*>(starts)};
    sequence.features = features;
    for (const auto& description : directions) {
        sequence.directions.push_back(direction_of(loaded.program, sequence.pass, description));
    }
    Division division = groups > 0 ? Division{groups, parts} : divide(sequence, threads);
    nb::gil_scoped_release unlocked;
    loaded.kernels->run(sequence, division, threads);
}

}  // namespace
}  // namespace seqloom

NB_MODULE(_kernels, module) {
    using namespace seqloom;
    module.doc() = "The compiled kernels of the engine; seqloom.engine.compiled.library is what uses them.";
    nb::set_leak_warnings(false);
    nb::class_<Loaded>(module, "Program")
        .def(nb::new_(&load), nb::arg("words"), nb::arg("instruction_set"))
        .def("run", &run)
        .def("stages", [](const Loaded& loaded, int pass) { return loaded.program.passes[pass].size(); })
        .def("compiled", [](const Loaded& loaded, int pass, size_t stage) {
            return loaded.program.passes[pass].at(stage).compiled.load() != nullptr;
        })
        .def("set_compiled", [](Loaded& loaded, int pass, size_t stage, uintptr_t address) {
            loaded.program.passes[pass].at(stage).compiled.store(reinterpret_cast<Epilogue>(address), std::memory_order_release);
        });
    module.def("instruction_sets", [] {
        std::vector<std::string> names;
        for (const char* name : instruction_sets()) names.emplace_back(name);
        return names;
    });
    module.def("built_in", [](const std::string& instruction_set) {
        std::vector<std::pair<uint64_t, uintptr_t>> found;
        const Kernels* known = kernels(instruction_set.c_str());
        if (known) {
            for (auto [key, epilogue] : known->built_in()) found.push_back({key, reinterpret_cast<uintptr_t>(epilogue)});
        }
        return found;
    });
    module.def("has_team", &has_team);
    bind_streams(module);
}
