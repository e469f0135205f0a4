// A vector or matrix of float32 that a Python object holds, without copying and without torch's headers.
#pragma once
#include <nanobind/nanobind.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "tensors.h"

namespace seqloom {

namespace nb = nanobind;

inline std::string shape_text(const std::vector<int64_t>& shape) {
    std::string text = "(";
    for (size_t i = 0; i < shape.size(); i++) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + (shape.size() == 1 ? ",)" : ")");
}

// One vector or matrix of float32 in a Python object: an array, anything with a buffer, or a tensor.
class View {
   public:
    View(PyObject* object, PyTypeObject* tensor_type, PyObject* tensor_float, const char* name, bool writable)
        : name_(name) {
        if (Py_TYPE(object) == tensor_type || PyObject_TypeCheck(object, tensor_type)) {
            tensor = true;
            open_tensor(object, tensor_float, writable);
        } else {
            open_buffer(object, writable);
        }
    }
    ~View() {
        if (held_) PyBuffer_Release(&buffer_);
    }
    View(const View&) = delete;

    bool tensor = false;
    char* at = nullptr;
    int dimensions = 0;
    int64_t shape[2] = {1, 1}, strides[2] = {0, 0};  // bytes; a vector is a matrix of one row

    int64_t rows() const { return shape[0]; }
    int64_t columns() const { return shape[1]; }

    void expect(int64_t rows, int64_t columns) const {
        const bool one = dimensions == 1 && rows == 1 && columns == shape[1];
        const bool all = dimensions == 2 && rows == shape[0] && columns == shape[1];
        if (one || all) return;
        std::vector<int64_t> found(shape + 2 - dimensions, shape + 2);
        throw std::invalid_argument(std::string(name_) + " has shape " + shape_text(found) + "; expected " +
                                    shape_text({rows, columns}) + (rows == 1 ? " or " + shape_text({columns}) : ""));
    }
    bool contiguous() const { return strides[1] == 4 || shape[1] == 1; }

   private:
    const char* name_;
    Py_buffer buffer_;
    bool held_ = false;
    nb::object resolved_;  // of a tensor that is negated when it is read

    [[noreturn]] void refuse(const std::string& found) const {
        throw std::invalid_argument(std::string(name_) + " is " + found + "; expected a vector or matrix of float32, as a NumPy array or a tensor on CPU");
    }

    void set(int count, const int64_t* sizes, const int64_t* steps) {
        dimensions = count;
        if (count < 1 || count > 2) refuse("an array of " + std::to_string(count) + " dimensions");
        for (int i = 0; i < count; i++) {
            shape[2 - count + i] = sizes[i];
            strides[2 - count + i] = steps[i];
        }
    }

    void open_buffer(PyObject* object, bool writable) {
        if (PyObject_GetBuffer(object, &buffer_, writable ? PyBUF_RECORDS : PyBUF_RECORDS_RO) != 0) {
            PyErr_Clear();
            refuse(writable ? "no writable array" : std::string("of type ") + Py_TYPE(object)->tp_name);
        }
        held_ = true;
        const char* format = buffer_.format ? buffer_.format : "B";
        if (std::strcmp(format, "f") != 0) {
            const std::string found = std::string("an array of type '") + format + "'";
            PyBuffer_Release(&buffer_);
            held_ = false;
            refuse(found);
        }
        at = static_cast<char*>(buffer_.buf);
        int64_t sizes[2] = {0, 0}, steps[2] = {0, 0};
        for (int i = 0; i < buffer_.ndim && i < 2; i++) {
            sizes[i] = buffer_.shape[i];
            steps[i] = buffer_.strides[i];
        }
        const int count = buffer_.ndim;
        if (count < 1 || count > 2) {
            PyBuffer_Release(&buffer_);
            held_ = false;
        }
        set(count, sizes, steps);
    }

    void open_tensor(PyObject* object, PyObject* tensor_float, bool writable) {
        static PyObject* const size = PyUnicode_InternFromString("shape");
        static PyObject* const stride = PyUnicode_InternFromString("stride");
        static PyObject* const resolve_neg = PyUnicode_InternFromString("resolve_neg");
        const nb::object type = type_of(object);
        const bool cpu = is_on_cpu(object);
        if (type.ptr() != tensor_float || !cpu) {
            refuse("a tensor of " + std::string(nb::str(type).c_str()) + (cpu ? "" : " on another device"));
        }
        if (is_negated(object)) {
            if (writable) refuse("a tensor that is negated when it is read");
            resolved_ = ask(object, resolve_neg);
            object = resolved_.ptr();
        }
        void* const memory = memory_of(object);
        const nb::object sizes = attribute_of(object, size), steps = ask(object, stride);
        const int count = static_cast<int>(PyTuple_GET_SIZE(sizes.ptr()));
        int64_t found[2] = {0, 0}, apart[2] = {0, 0};
        for (int i = 0; i < count && i < 2; i++) {
            found[i] = integer_of(PyTuple_GET_ITEM(sizes.ptr(), i));
            apart[i] = 4 * integer_of(PyTuple_GET_ITEM(steps.ptr(), i));
        }
        at = static_cast<char*>(memory);
        set(count, found, apart);
    }
};

}  // namespace seqloom
