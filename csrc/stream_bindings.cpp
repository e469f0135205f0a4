// The door to Python for packed cells and streams: one call per step, with arrays and tensors as they are.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <cstring>

#include "array_view.h"
#include "loaded.h"
#include "stack.h"

namespace seqloom {
namespace {

using Address = uintptr_t;
using Strided = std::pair<Address, int64_t>;

const float* floats(Address address) { return reinterpret_cast<const float*>(address); }

PackedCell* pack(const Loaded& loaded, int64_t features, const std::vector<int64_t>& linear,
                 const std::vector<std::vector<int64_t>>& matrices, const std::vector<Address>& vectors, int weights,
                 int parts, bool plain) {
    if (weights < 0 || weights > 2 || parts < 1 || parts > kMostThreads || features < 1 || linear.size() != 3 ||
        matrices.size() != loaded.program.matrices.size() || vectors.size() != loaded.program.vectors.size()) {
        throw std::invalid_argument("a packed cell is described wrongly");
    }
    CellWeights cell;
    cell.program = &loaded.program;
    cell.features = features;
    cell.weight = {reinterpret_cast<float*>(linear[0]), linear[1]};
    cell.bias = floats(linear[2]);
    for (const auto& matrix : matrices) cell.matrices.push_back({reinterpret_cast<float*>(matrix.at(0)), matrix.at(1)});
    for (Address vector : vectors) cell.vectors.push_back(floats(vector));
    return loaded.kernels->pack(cell, static_cast<Weights>(weights), parts, plain).release();
}

// Directions of a layer over packed rows: x with its stride, and for each direction its output with its stride, the
// addresses of initial and final states, and hoisted values with their strides.
struct DirectionMemory {
    std::vector<Address> initial, final;
    std::vector<int64_t> output, leaves;
};
DirectionMemory memory_of(const std::vector<int64_t>& description, const Program& program) {
    const size_t states = program.states.size();
    if (description.size() != 2 + 2 * states + 2 * program.rows.size()) {
        throw std::invalid_argument("a direction is described wrongly");
    }
    auto at = description.begin();
    DirectionMemory memory;
    memory.output.assign(at, at + 2);
    memory.initial.assign(at + 2, at + 2 + states);
    memory.final.assign(at + 2 + states, at + 2 + 2 * states);
    memory.leaves.assign(at + 2 + 2 * states, description.end());
    return memory;
}

void run_cells(const std::vector<PackedCell*>& cells, Address x, int64_t stride, int64_t time, int64_t batch,
               Address counts, Address starts, const std::vector<std::vector<int64_t>>& directions, int threads) {
    std::vector<std::unique_ptr<Recurrence>> recurrences;
    std::vector<Recurrence*> running;
    std::vector<Passage> passages;
    std::vector<DirectionMemory> memories;
    for (size_t d = 0; d < cells.size(); d++) {
        const Program& program = cells[d]->program();
        const DirectionMemory& memory = memories.emplace_back(memory_of(directions.at(d), program));
        auto& recurrence = recurrences.emplace_back(cells[d]->begin(batch, cells[d]->parts()));
        for (size_t i = 0; i < program.states.size(); i++) {
            if (memory.initial[i]) recurrence->write_state(static_cast<int>(i), floats(memory.initial[i]), program.states[i]);
        }
        running.push_back(recurrence.get());
        Passage& passage = passages.emplace_back();
        passage.batch = {time, batch, reinterpret_cast<const int64_t*>(counts), reinterpret_cast<const int64_t*>(starts)};
        passage.turned = d == 1;
        const int64_t rows = counts ? 1 : batch;  // `starts` counts rows, else each step has all of them
        passage.x = {floats(x), rows * stride, stride};
        passage.out = {floats(memory.output[0]), rows * memory.output[1], memory.output[1]};
        for (size_t i = 0; i < memory.leaves.size(); i += 2) {
            passage.leaves.push_back({floats(memory.leaves[i]), rows * memory.leaves[i + 1], memory.leaves[i + 1]});
        }
    }
    nb::gil_scoped_release unlocked;
    run_directions(running, passages, cells[0]->parts(), cells[0]->arithmetic() * batch, threads);
    for (size_t d = 0; d < cells.size(); d++) {
        for (size_t i = 0; i < memories[d].final.size(); i++) {
            running[d]->read_final(static_cast<int>(i), passages[d], reinterpret_cast<float*>(memories[d].final[i]));
        }
    }
}

// A stack of packed layers with its state, and the array that its steps are written to.
class NativeStream {
   public:
    NativeStream(const std::vector<nb::object>& cells, int64_t batch, bool residual, int threads, nb::object array,
                 nb::object tensor)
        : owners_(cells), stack_(pointers(cells), batch, residual, threads),
          input_(batch * stack_.features), arrays_{array, array[nb::int_(0)]}, tensors_{tensor, tensor[nb::int_(0)]},
          tensor_type_(reinterpret_cast<PyTypeObject*>(tensor.type().ptr())), tensor_float_(tensor.attr("dtype")) {
        const View view(array.ptr(), tensor_type_, tensor_float_.ptr(), "the output", true);
        view.expect(batch, stack_.units);
        if (view.dimensions != 2) throw std::invalid_argument("the output is no matrix");
        output_ = reinterpret_cast<float*>(view.at);
    }

    nb::object step(nb::handle x, nb::handle out) {
        const Use use(*this);
        const View input(x.ptr(), tensor_type_, tensor_float_.ptr(), "x", false);
        input.expect(stack_.batch, stack_.features);
        const RowsOverTime rows = read(input);
        if (!out.is_none()) {
            const View output(out.ptr(), tensor_type_, tensor_float_.ptr(), "out", true);
            output.expect(stack_.batch, stack_.units);
            if (!output.contiguous() || (stack_.batch > 1 && output.strides[0] % 4)) {
                throw std::invalid_argument("out has gaps between its units; pass an array whose rows are contiguous");
            }
            stack_.run(rows, {reinterpret_cast<float*>(output.at), 0, output.strides[0] / 4}, 1);
            return nb::borrow(out);
        }
        stack_.run(rows, {output_, 0, stack_.units}, 1);
        static PyObject* const copy = PyUnicode_InternFromString("copy");
        static PyObject* const clone = PyUnicode_InternFromString("clone");
        const nb::object& own = (input.tensor ? tensors_ : arrays_)[input.dimensions == 1];
        PyObject* result = PyObject_CallMethodNoArgs(own.ptr(), input.tensor ? clone : copy);
        if (!result) throw nb::python_error();
        return nb::steal(result);
    }

    // Steps over memory that the caller has checked: strides in floats.
    void push(Address x, int64_t x_time, int64_t x_row, Address out, int64_t out_time, int64_t out_row, int64_t time) {
        const Use use(*this);
        nb::gil_scoped_release unlocked;
        stack_.run({floats(x), x_time, x_row}, {floats(out), out_time, out_row}, time);
    }

    void read_state(int layer, int index, Address to, int64_t stride) const {
        check(layer, index);
        stack_.layers[layer]->read_state(index, reinterpret_cast<float*>(to), stride);
    }
    void write_state(int layer, int index, Address from, int64_t stride) {
        check(layer, index);
        stack_.layers[layer]->write_state(index, floats(from), stride);
    }

   private:
    const std::vector<nb::object> owners_;
    Stack stack_;
    std::vector<float> input_;
    nb::object arrays_[2], tensors_[2];  // a matrix, and its first row
    PyTypeObject* tensor_type_;
    nb::object tensor_float_;
    float* output_;
    std::atomic<bool> used_{false};

    // Two threads in one stream would mix up its state.
    struct Use {
        explicit Use(NativeStream& stream) : stream_(stream) {
            if (stream.used_.exchange(true)) {
                throw std::runtime_error("the stream is at work in another thread; give each thread a stream of its own");
            }
        }
        ~Use() { stream_.used_.store(false); }
        NativeStream& stream_;
    };

    static std::vector<const PackedCell*> pointers(const std::vector<nb::object>& cells) {
        std::vector<const PackedCell*> found;
        for (const nb::object& cell : cells) found.push_back(nb::cast<const PackedCell*>(cell));
        if (found.empty()) throw std::invalid_argument("a stream of no layers");
        return found;
    }

    RowsOverTime read(const View& view) {
        if (view.contiguous() && view.strides[0] % 4 == 0) {
            return {reinterpret_cast<const float*>(view.at), 0, view.strides[0] / 4};
        }
        for (int64_t r = 0; r < view.rows(); r++) {
            for (int64_t k = 0; k < view.columns(); k++) {
                std::memcpy(&input_[r * view.columns() + k], view.at + r * view.strides[0] + k * view.strides[1], 4);
            }
        }
        return {input_.data(), 0, view.columns()};
    }

    void check(int layer, int index) const {
        const bool inside = layer >= 0 && layer < static_cast<int>(stack_.layers.size()) && index >= 0 &&
                            index < static_cast<int>(stack_.cells[layer]->program().states.size());
        if (!inside) throw std::invalid_argument("the stream has no such state");
    }
};

}  // namespace

void bind_streams(nb::module_& module) {
    nb::class_<PackedCell>(module, "PackedCell")
        .def(nb::new_(&pack), nb::arg("program"), nb::arg("features"), nb::arg("linear"), nb::arg("matrices"),
             nb::arg("vectors"), nb::arg("weights"), nb::arg("parts"), nb::arg("plain"),
             nb::keep_alive<0, 2>())  // argument 1 is the class
        .def_prop_ro("bytes", &PackedCell::bytes);
    module.def("run_cells", &run_cells);
    nb::class_<NativeStream>(module, "Stream")
        .def(nb::init<const std::vector<nb::object>&, int64_t, bool, int, nb::object, nb::object>())
        .def("step", &NativeStream::step, nb::arg("x"), nb::arg("out") = nb::none())
        .def("push", &NativeStream::push)
        .def("read_state", &NativeStream::read_state)
        .def("write_state", &NativeStream::write_state);
}

}  // namespace seqloom
