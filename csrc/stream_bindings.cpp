// The door to Python for packed cells and streams: one call per step, with arrays and tensors as they are.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <cstring>

#include "array_view.h"
#include "stack.h"
#include "struct_bindings.h"
#include "tensors.h"

using namespace nanobind::literals;

namespace seqloom {
namespace {

Weights weights_of(const std::string& name) {
#define SEQLOOM_NAMED_WEIGHTS(known) \
    if (name == #known) return Weights::known;
    SEQLOOM_WEIGHTS(SEQLOOM_NAMED_WEIGHTS)
    throw std::invalid_argument("there is no kind of weights '" + name + "'");
}

PackedCell* pack(const Loaded& loaded, const CellWeights& weights, const std::string& kind, int parts, bool plain) {
    check_count("matrices", weights.matrices.size(), loaded.program.matrices.size());
    check_count("vectors", weights.vectors.size(), loaded.program.vectors.size());
    if (parts < 1 || parts > kMostThreads) {
        throw std::invalid_argument("parts is " + std::to_string(parts) + "; expected 1 to " + std::to_string(kMostThreads));
    }
    if (weights.features < 1) throw std::invalid_argument("a packed cell is described wrongly");
    return loaded.kernels->pack(loaded.program, weights, weights_of(kind), parts, plain).release();
}

void check(const Program& program, const PackedDirection& direction) {
    check_count("leaves", direction.leaves.size(), program.rows.size());
    if (!direction.initial.empty()) check_count("initial", direction.initial.size(), program.states.size());
    check_count("final", direction.final.size(), program.states.size());
}

// A forward cell, and a backward one where the layer has both directions.
void run_cells(const std::vector<PackedCell*>& cells, const Place& x, const Batch& batch,
               const std::vector<PackedDirection>& directions, int threads) {
    check_count("directions", directions.size(), cells.size());
    std::vector<std::unique_ptr<Recurrence>> recurrences;
    std::vector<Recurrence*> running;
    std::vector<Passage> passages;
    const int64_t rows = batch.counts ? 1 : batch.rows;  // `starts` counts rows, else each step has all of them
    const auto over_time = [rows](const Place& place) { return RowsOverTime{place.at, rows * place.stride, place.stride}; };
    for (size_t d = 0; d < cells.size(); d++) {
        const Program& program = cells[d]->program();
        const PackedDirection& direction = directions[d];
        check(program, direction);
        auto& recurrence = recurrences.emplace_back(cells[d]->begin(batch.rows, cells[d]->parts()));
        for (size_t i = 0; i < direction.initial.size(); i++) {
            recurrence->write_state(static_cast<int>(i), direction.initial[i], program.states[i]);
        }
        running.push_back(recurrence.get());
        Passage& passage = passages.emplace_back();
        passage.batch = batch;
        passage.turned = d == 1;
        passage.x = over_time(x);
        passage.out = over_time(direction.output);
        for (const Place& leaf : direction.leaves) passage.leaves.push_back(over_time(leaf));
    }
    nb::gil_scoped_release unlocked;
    run_directions(running, passages, cells[0]->parts(), cells[0]->arithmetic() * batch.rows, threads);
    for (size_t d = 0; d < cells.size(); d++) {
        for (size_t i = 0; i < directions[d].final.size(); i++) {
            running[d]->read_final(static_cast<int>(i), passages[d], directions[d].final[i]);
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
        if (!view.contiguous() || (batch > 1 && view.strides[0] != 4 * stack_.units)) {
            throw std::invalid_argument("the output has gaps between its units or rows");
        }
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

    // Some steps at once.
    void push(nb::handle x, nb::handle out, int64_t time) {
        const Use use(*this);
        const RowsOverTime from = rows_over_time(x, stack_.batch, time, stack_.features, false);
        const RowsOverTime to = rows_over_time(out, stack_.batch, time, stack_.units, true);
        nb::gil_scoped_release unlocked;
        stack_.run(from, to, time);
    }

    void read_state(int layer, int index, nb::handle tensor) const {
        check(layer, index);
        const Place to = place_of(tensor, 0, 0, true);
        stack_.layers[layer]->read_state(index, to.at, to.stride);
    }
    void write_state(int layer, int index, nb::handle tensor) {
        check(layer, index);
        const Place from = place_of(tensor);
        stack_.layers[layer]->write_state(index, from.at, from.stride);
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
        .def(nb::new_(&pack), "program"_a, "weights"_a, "kind"_a, "parts"_a, "plain"_a,
             nb::keep_alive<0, 2>())  // argument 1 is the class
        .def_prop_ro("bytes", &PackedCell::bytes);
    module.def("run_cells", &run_cells, "cells"_a, "x"_a, "batch"_a, "directions"_a, "threads"_a);
    nb::class_<NativeStream>(module, "Stream")
        .def(nb::init<const std::vector<nb::object>&, int64_t, bool, int, nb::object, nb::object>(), "cells"_a, "batch"_a,
             "residual"_a, "threads"_a, "array"_a, "tensor"_a)
        .def("step", &NativeStream::step, "x"_a.none(), "out"_a = nb::none())
        .def("push", &NativeStream::push, "x"_a, "out"_a, "time"_a)
        .def("read_state", &NativeStream::read_state, "layer"_a, "index"_a, "tensor"_a)
        .def("write_state", &NativeStream::write_state, "layer"_a, "index"_a, "tensor"_a);
}

}  // namespace seqloom
